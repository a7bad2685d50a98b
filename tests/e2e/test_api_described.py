"""The OpenAPI file and the API say the same: schemathesis asks what the file allows, and what it does not.

Only what it derives of the file is asked, so that each run asks the same. A longer one, with what chance adds:

    uv run schemathesis run http://127.0.0.1:8080/api/v1/openapi.json --header "Authorization: Bearer TOKEN"
"""

import subprocess
import sys
from pathlib import Path

from linegate.bootstrap import App
from linegate.config import parse
from linegate.inspection import Result
from tests.harness import CONFIG, Gate
from tests.stations import station

TOKEN = "all-" + "x" * 24
TOKENS = f"station: {{tokens: {{all: {{token: {TOKEN}, may: [look, review, upload]}}}}}}\n"
# What no schema can say is refused as well: a cursor of another question, a digest that does not fit. No gate takes up
# what is sent here, so another picture of the same name has to wait (503).
CONFIGURATION = """
[checks.positive_data_acceptance]
expected-statuses = ["2xx", 400, 401, 403, 404, 409, 412, 413, 415, 422, 503]
[checks.not_a_server_error]
expected-statuses = ["2xx", "4xx", 503]
"""


def test_whatever_the_file_allows_is_answered_as_it_says_and_all_else_refused(tmp_path: Path) -> None:
    gate = Gate(parse(CONFIG + TOKENS, Path(), {}))
    gate.finds("short", "spur")
    gate.verifier.answers = {"short": Result.FAIL, "spur": Result.UNSURE}
    gate.upload("uploads/smt-1/aoi/A1.png")
    gate.run()
    (tmp_path / "schemathesis.toml").write_text(CONFIGURATION)
    with station(App(gate.settings, gate.context, lambda _: b"")) as url:
        asked = subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli", "--config-file", "schemathesis.toml", "run"),
                *(f"{url}/api/v1/openapi.json", "--header", f"Authorization: Bearer {TOKEN}"),
                *("--phases", "coverage", "--seed", "1", "--no-color"),
            ],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
    assert asked.returncode == 0, asked.stdout[-6000:] + asked.stderr[-2000:]

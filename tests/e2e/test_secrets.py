"""Every service and target refuses and gives back all that it was sent: no key is left anywhere that somebody may look."""

import base64
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import yaml

from tests.boards import clean_board, defective_board
from tests.e2e.line import SECRET, Hmi
from tests.standins.service import Reply, Request, Service
from tests.waiting import until

LINEGATE = "from linegate.commands.main import main; raise SystemExit(main())"
KEYS = {
    "roboflow": "rf-Key/0001+of=the plant",
    "gemini": "gm-Key-0002-of-the-plant",
    "query": "Query-Key-0003-of-the-plant",
    "path": "Path0004KeyOfThePlant",
    "slack": "XyZ0005XyZ0005XyZ0005",
    "signing": SECRET.removeprefix("whsec_"),
}


def refuse(request: Request) -> Reply:
    """401 with the request in it, as careless services and proxies answer; a third of them as a redirect."""
    sent = f"{request.path} {dict(request.headers)} {request.body[-300:].decode('utf-8', 'replace')}"
    with_key = json.loads(request.body) if request.body[:1] == b"{" else {}
    said = f"{with_key.get('api_key', '')} {sent} {SECRET} {' '.join(map(quote, KEYS.values()))}"
    encoded = base64.b64encode(said.encode()).decode()
    moved = request.number % 3 == 0
    headers = {"location": f"https://elsewhere.example{request.path}"} if moved else {}
    return Reply(302 if moved else 401, {"error": {"code": 401, "message": said, "was": encoded}}, headers)


@pytest.fixture
def careless(tmp_path: Path, hmi: Hmi) -> Iterator[Path]:
    """The configuration of a line whose services and targets all refuse, but for one HMI that hears."""
    with ExitStack() as stack:
        url = {
            name: stack.enter_context(Service(refuse)).url.rstrip("/")
            for name in ("roboflow", "gemini", "mes", "slack")
        }
        quick: dict[str, Any] = {"deadline_s": 3, "check_budget_s": 2}
        content = {
            "edge": {"data": "data", "settle_ms": 50, "scan_ms": 100, "sweep_s": 0.3, "workers": {"processes": 1}},
            "roboflow": {
                "api_url": url["roboflow"],
                "workspace": "plant",
                "api_key": KEYS["roboflow"],
                "timeout_s": 1,
                "budget_s": 2,
            },
            "gemini": {"api_url": url["gemini"], "api_key": KEYS["gemini"]},
            "recipes": {
                "asked": quick | {"detector": "roboflow", "workflow": {"id": "pcb"}, "verifier": "none"},
                "judged": quick | {"golden": "golden.png", "verifier": "gemini"},
            },
            "lines": {"smt-1": {"recipe": "asked"}, "smt-2": {"recipe": "judged"}},
            "targets": {
                "hmi": {"url": hmi.url, "secrets": [SECRET]},
                "mes": {"url": f"{url['mes']}/{KEYS['path']}/in?token={KEYS['query']}", "secrets": [SECRET]},
                "chat": {"type": "slack", "url": f"{url['slack']}/services/T00/B00/{KEYS['slack']}"},
            },
            "network": {"private_addresses": ["127.0.0.0/8"]},
        }
        (tmp_path / "golden.png").write_bytes(clean_board())
        (tmp_path / "linegate.yaml").write_text(yaml.safe_dump(content))
        yield tmp_path / "linegate.yaml"


def linegate(config: Path, *arguments: str) -> str:
    """What a command prints on both streams."""
    command = [sys.executable, "-c", LINEGATE, *arguments, "--config", str(config)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    return done.stdout + done.stderr


def test_no_key_that_is_given_back_reaches_log_store_outbox_receiver_or_terminal(careless: Path, hmi: Hmi) -> None:
    folder = careless.parent
    with (folder / "log").open("wb") as log:
        command = [sys.executable, "-c", LINEGATE, "edge", "--config", str(careless)]
        gate = subprocess.Popen(command, stderr=log)
        try:
            for line in ("smt-1", "smt-2"):
                uploads = folder / "data" / "uploads" / line / "aoi"
                until(uploads.parent.is_dir, 30)
                uploads.mkdir()
                (uploads / "A.png").write_bytes(defective_board())
            until(lambda: len(hmi.data()) >= 2, 60)
            time.sleep(1)  # for targets to refuse more than once
        finally:
            gate.terminate()
            gate.wait(20)
    assert {data["verdict"] for data in hmi.data()} == {"REVIEW"}
    seen = {"receiver": json.dumps([received.event for received in hmi.received], ensure_ascii=False)}
    seen |= {
        " ".join(command): linegate(careless, *command)
        for command in (
            ("status",),
            ("status", "--json"),
            ("list",),
            ("show", "A"),
            ("show", "A", "--json"),
            ("doctor",),
        )
    }
    kept = {str(path): path.read_bytes() for path in [folder / "log", *(folder / "data").rglob("*")] if path.is_file()}
    everything = {name: text.encode() for name, text in seen.items()} | kept
    assert b"401" in everything["doctor"]
    assert b"401" in everything[str(folder / "log")]
    for name, key in KEYS.items():
        for form in {key, quote(key), quote(key, safe=""), key.replace("/", "\\/")}:
            assert not [place for place, content in everything.items() if form.encode() in content], name

"""A recipe that measures, through the real runtime."""

import json
import subprocess
import sys
from pathlib import Path
from textwrap import indent

import numpy as np
import pytest

from linegate.samples import jpeg
from linegate.samples.bottle import PRODUCT, draw


@pytest.mark.parametrize(("faults", "verdict", "code"), [((), "PASS", 0), (("overfilled",), "FAIL", 1)])
def test_a_bottle_is_judged_by_its_measures(tmp_path: Path, faults: tuple[str, ...], verdict: str, code: int) -> None:
    config = tmp_path / "linegate.yaml"
    config.write_text(f"recipes:\n  bottle:\n{indent(PRODUCT.recipe, '    ')}lines: {{filler: {{recipe: bottle}}}}\n")
    (tmp_path / "one.jpg").write_bytes(jpeg(draw(np.random.default_rng(2), faults).picture))
    command = [sys.executable, "-c", "from linegate.commands.main import main; raise SystemExit(main())", "inspect"]
    asked = [tmp_path / "one.jpg", "--config", config, "--json", "--annotated", tmp_path / "out.jpg"]
    done = subprocess.run([*command, *map(str, asked)], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == code, done.stderr
    report = json.loads(done.stdout)
    assert report["verdict"] == verdict
    assert report["fail_count"] == len(faults)
    told = {each["class"]: each for each in report["defects"]}
    assert set(told) == {"caps", "cap_gap", "cap_angle", "fill_level"}, "numbers of good parts are told, too"
    assert told["cap_gap"]["measure"]["unit"] == "mm"
    assert told["cap_gap"]["result"] == "PASS"
    assert told["fill_level"]["result"] == verdict

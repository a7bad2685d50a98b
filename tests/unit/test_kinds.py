"""What is special about a kind lies in its own files, and one line lists it."""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import linegate
from linegate.kinds import DETECTORS, TARGETS, VERIFIERS
from linegate.settings import type_of
from tests.boards import clean_board

PACKAGE = Path(linegate.__file__).parent
NAMES = {type_of(kind) for kinds in (DETECTORS, VERIFIERS, TARGETS) for kind in kinds}
# Where kinds live
OWN = (
    "adapters/anomaly",
    "adapters/assembly",
    "adapters/golden",
    "adapters/roboflow",
    "adapters/rfdetr",
    "adapters/gemini",
    "adapters/measure",
    "adapters/targets",
    "adapters/unverified.py",
)
ELSEWHERE = [path for path in sorted(PACKAGE.rglob("*.py")) if not path.relative_to(PACKAGE).as_posix().startswith(OWN)]

# The worked example of CONTRIBUTING.md: a module, the lines that list it, its test
EXAMPLE = (PACKAGE.parents[1] / "CONTRIBUTING.md").read_text().partition("## Add a target")[2].partition("\n## ")[0]
MODULE, LISTED, TEST = re.findall(r"```python\n(.*?)```", EXAMPLE, re.DOTALL)
CONFIGURATION = """
recipes: {pcb: {golden: golden.png}}
lines: {smt-1: {recipe: pcb}}
targets: {log: {type: file, path: heard.jsonl}}
"""
# A board through the runtime, as it would come from a camera; relative paths start at the configuration, not where it is run
RUN = """
import shutil, time
from pathlib import Path
from linegate.config import load
from linegate.edge.runtime import Runtime

runtime = Runtime(load(Path("line/linegate.yaml")))
station = Path("line/linegate-data/uploads/smt-1/aoi")
station.mkdir(parents=True)
runtime.start()
shutil.copy("line/golden.png", station / "board.part")
(station / "board.part").rename(station / "board.png")
until = time.monotonic() + 30
while not Path("line/heard.jsonl").exists() and time.monotonic() < until:
    time.sleep(0.05)
runtime.stop()
"""


@pytest.fixture
def followed(tmp_path: Path) -> dict[str, str]:
    """The environment of a process that sees a copy of the package in which the example was followed to the letter."""
    copy = tmp_path / "shared" / "linegate"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(PACKAGE.parents[1] / "functions", tmp_path / "functions")
    (copy / "adapters" / "targets" / "file.py").write_text(MODULE)
    imported, begin, line, _ = (each for each in LISTED.splitlines() if each)
    pattern = re.compile(rf"^{re.escape(begin)}$", re.MULTILINE)
    listed, found = pattern.subn(f"{begin}\n{line}", (copy / "kinds.py").read_text())
    assert found == 1
    (copy / "kinds.py").write_text(
        listed.replace("\nfrom linegate.kind import", f"\n{imported}\nfrom linegate.kind import")
    )
    (tmp_path / "test_file_target.py").write_text(TEST)
    line_folder = tmp_path / "line"
    line_folder.mkdir()
    (line_folder / "linegate.yaml").write_text(CONFIGURATION)
    (line_folder / "golden.png").write_bytes(clean_board())
    return {**os.environ, "PYTHONPATH": str(tmp_path / "shared"), "LINEGATE_LOG_LEVEL": "ERROR"}


def run(arguments: list[str], environment: dict[str, str], folder: Path) -> str:
    done = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_target_of_a_new_kind_is_its_own_files_and_one_line(followed: dict[str, str], tmp_path: Path) -> None:
    main = "from linegate.commands.main import main; raise SystemExit(main())"
    assert "3 passed" in run(["-m", "pytest", "test_file_target.py"], followed, tmp_path)
    run(["-c", RUN], followed, tmp_path)
    (heard,) = (json.loads(line) for line in (tmp_path / "line" / "heard.jsonl").read_text().splitlines())
    assert (heard["data"]["serial"], heard["data"]["verdict"]) == ("board", "PASS")
    findings = json.loads(run(["-c", main, "doctor", "--json", "--config", "line/linegate.yaml"], followed, tmp_path))
    assert "writes to line/heard.jsonl" in next(one["said"] for one in findings if one["part"] == "targets.log")
    run(["-c", main, "cost", "--config", "line/linegate.yaml"], followed, tmp_path)
    known = json.loads(run(["-c", main, "schema"], followed, tmp_path))["$defs"]
    assert known["File"]["properties"]["path"]["description"].startswith("Of the file")


@pytest.mark.parametrize("path", ELSEWHERE, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_nothing_else_compares_the_names_of_kinds(path: Path) -> None:
    compared = {
        constant.value
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Compare)
        for constant in ast.walk(node)
        if isinstance(constant, ast.Constant) and constant.value in NAMES
    }
    assert not compared

"""What is special about a kind lies in its own files, and one line lists it."""

import ast
import json
import os
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
OWN = ("adapters/golden", "adapters/roboflow", "adapters/gemini", "adapters/targets", "adapters/unverified.py")
ELSEWHERE = [path for path in sorted(PACKAGE.rglob("*.py")) if not path.relative_to(PACKAGE).as_posix().startswith(OWN)]

TOY = '''
"""The kind `file`: each notification is a line of a file."""

from datetime import datetime
from pathlib import Path
from typing import Literal

from linegate.kind import Surroundings, TargetKind
from linegate.ports import Target


class File(TargetKind):
    """Appends notifications to a file."""

    type: Literal["file"] = "file"
    path: str
    """Of the file."""

    def build(self, around: Surroundings) -> Target:
        return FileTarget(Path(self.path))

    def try_out(self, around: Surroundings) -> str:
        return f"would write to {self.path}"


class FileTarget:
    def __init__(self, path: Path) -> None:
        self._path = path

    def send(self, entry_id: str, body: str, now: datetime) -> None:
        with self._path.open("a") as file:
            file.write(body + "\\n")
'''
CONFIGURATION = """
recipes: {pcb: {golden: golden.png}}
lines: {smt-1: {recipe: pcb}}
targets: {log: {type: file, path: heard.jsonl}}
"""
# A board through the runtime, as it would come from a camera
RUN = """
import shutil, time
from pathlib import Path
from linegate.config import load
from linegate.edge.runtime import Runtime

runtime = Runtime(load(Path("linegate.yaml")))
station = Path("linegate-data/uploads/smt-1/aoi")
station.mkdir(parents=True)
runtime.start()
shutil.copy("golden.png", station / "board.part")
(station / "board.part").rename(station / "board.png")
until = time.monotonic() + 30
while not Path("heard.jsonl").exists() and time.monotonic() < until:
    time.sleep(0.05)
runtime.stop()
"""


@pytest.fixture
def with_toy(tmp_path: Path) -> dict[str, str]:
    """The environment of a process that sees the package with one kind more: its file, and its name where kinds are listed."""
    copy = tmp_path / "package" / "linegate"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(PACKAGE.parents[1] / "functions", tmp_path / "functions")
    (copy / "adapters" / "targets" / "file.py").write_text(TOY)
    listed = (copy / "kinds.py").read_text()
    line = "TARGETS: Final[tuple[type[TargetKind], ...]] = (Webhook, Slack)"
    assert line in listed
    import_it = "from linegate.adapters.targets.file import File\n"
    named = listed.replace(line, line.replace("Slack)", "Slack, File)"))
    (copy / "kinds.py").write_text(
        named.replace("from linegate.adapters.targets.slack", f"{import_it}from linegate.adapters.targets.slack")
    )
    (tmp_path / "linegate.yaml").write_text(CONFIGURATION)
    (tmp_path / "golden.png").write_bytes(clean_board())
    return {**os.environ, "PYTHONPATH": str(tmp_path / "package"), "LINEGATE_LOG_LEVEL": "ERROR"}


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


def test_a_target_of_a_new_kind_is_its_own_file_and_one_line(with_toy: dict[str, str], tmp_path: Path) -> None:
    main = "from linegate.commands.main import main; raise SystemExit(main())"
    run(["-c", RUN], with_toy, tmp_path)
    (heard,) = (json.loads(line) for line in (tmp_path / "heard.jsonl").read_text().splitlines())
    assert (heard["data"]["serial"], heard["data"]["verdict"]) == ("board", "PASS")
    findings = json.loads(run(["-c", main, "doctor", "--json"], with_toy, tmp_path))
    assert "would write to heard.jsonl" in next(one["said"] for one in findings if one["part"] == "targets.log")
    assert "heard.jsonl" not in run(["-c", main, "cost", "--config", "linegate.yaml"], with_toy, tmp_path)
    known = json.loads(run(["-c", main, "schema"], with_toy, tmp_path))["$defs"]
    assert known["File"]["properties"]["path"]["description"] == "Of the file."


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

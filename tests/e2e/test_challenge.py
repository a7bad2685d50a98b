"""`linegate challenge` on a running gate: what it fails it is trusted by, what it lets pass ends the trust."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog
import yaml

from linegate import logs
from linegate.commands.main import main
from linegate.config import load
from tests.boards import clean_board, defective_board, encoded
from tests.e2e.line import Hmi, Line, running

Maker = Callable[..., Line]


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logs.configure("CRITICAL")
    yield
    structlog.reset_defaults()


@pytest.fixture
def challenged(make_line: Maker) -> Line:
    """A line that must fail its challenges every eight hours."""
    line = make_line(clean_board())
    written = yaml.safe_load(line.config.read_text())
    written["lines"]["smt-1"]["challenge_every"] = "8h"
    line.config.write_text(yaml.safe_dump(written))
    return Line(line.folder, load(line.config))


def ran(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, str]:
    capsys.readouterr()
    code = main([*map(str, arguments)])
    return code, capsys.readouterr().out


def challenge(capsys: pytest.CaptureFixture[str], line: Line, *pictures: Path) -> tuple[int, dict[str, Any]]:
    code, out = ran(capsys, "challenge", *pictures, "--config", line.config, "--json")
    return code, json.loads(out)


def test_a_line_passes_boards_once_the_gate_has_failed_its_challenge_and_over_a_restart(
    challenged: Line, hmi: Hmi, capsys: pytest.CaptureFixture[str]
) -> None:
    with running(challenged):
        first = hmi.wait_for(challenged.upload("smt-1/aoi/A1.png", clean_board(noise=3)))
        assert first["verdict"] == "REVIEW"
        assert "No challenge board has been failed yet" in first["summary"]
        assert "No challenge board has been failed yet" in ran(capsys, "status", "--config", challenged.config)[1]
        code, told = challenge(capsys, challenged)
        assert (code, told["met"], told["failed"], told["planted"]) == (0, True, 5, True), told
        assert hmi.wait_for(challenged.upload("smt-1/aoi/A2.png", clean_board(noise=4)))["verdict"] == "PASS"
        listed = json.loads(ran(capsys, "list", "--config", challenged.config, "--json")[1])
        assert {board["line"]: board["challenge"] for board in listed} == {"smt-1": False, "smt-1-challenge": True}
        code, out = ran(capsys, "doctor", "--config", challenged.config)
        assert "lines.smt-1.challenge_every: the next challenge is due by" in out
    with running(challenged):
        assert hmi.wait_for(challenged.upload("smt-1/aoi/A3.png", clean_board(noise=5)))["verdict"] == "PASS"
        assert "Line smt-1: the next challenge is due by" in ran(capsys, "status", "--config", challenged.config)[1]
    assert {data["line"] for data in hmi.data()} == {"smt-1"}, "no HMI hears of a challenge"


def test_a_known_bad_board_that_passes_is_told_and_nothing_passes_any_more(
    challenged: Line, hmi: Hmi, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "bad"
    folder.mkdir()
    (folder / "cut.png").write_bytes(defective_board())
    with running(challenged):
        assert challenge(capsys, challenged, folder)[0] == 0
        (folder / "sound.png").write_bytes(clean_board(noise=6))
        (folder / "grey.png").write_bytes(encoded(_grey()))
        code, told = challenge(capsys, challenged, folder)
        verdicts = {board["name"]: board["verdict"] for board in told["boards"]}
        assert (code, told["met"]) == (1, False)
        assert verdicts == {"cut.png": "FAIL", "grey.png": "REVIEW", "sound.png": "PASS"}
        data = hmi.wait_for(challenged.upload("smt-1/aoi/A1.png", clean_board(noise=3)))
        assert data["verdict"] == "REVIEW"
        assert "Of 3 challenge boards, all known to be bad, 1 PASSED" in data["summary"]
        (folder / "sound.png").unlink()
        code, told = challenge(capsys, challenged, folder)
        assert (code, told["met"]) == (1, False), "REVIEW is no FAIL, and changes nothing"
        code, out = ran(capsys, "challenge", folder / "cut.png", "--config", challenged.config)
        assert code == 0
        assert "1 of 1 known-bad boards FAILED on line smt-1." in out
        assert hmi.wait_for(challenged.upload("smt-1/aoi/A2.png", clean_board(noise=3)))["verdict"] == "PASS"


def _grey() -> Any:
    from PIL import Image

    return Image.new("RGB", (192, 192), (90, 90, 90))


def test_what_can_not_be_challenged_is_said(
    challenged: Line, make_line: Maker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def said(*arguments: str | Path) -> str:
        capsys.readouterr()
        assert main(["challenge", "--config", str(challenged.config), *map(str, arguments)]) == 64
        return capsys.readouterr().err

    assert "the gate is not running" in said()
    assert "there is no line 'smt-9'" in said("--line", "smt-9")
    assert "there is no" in said(tmp_path / "none.png")
    written = yaml.safe_load(challenged.config.read_text())
    del written["lines"]["smt-1"]["challenge_every"]
    challenged.config.write_text(yaml.safe_dump(written))
    assert "line 'smt-1' has no challenges: give it `challenge_every: 8h`" in said()

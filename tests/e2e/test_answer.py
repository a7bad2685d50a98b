"""A person answers a product at the running gate by `linegate answer`."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from linegate.adapters.local.database import DATABASE, ReadOnly
from linegate.adapters.local.queries import SqliteQueries
from linegate.commands.main import main
from linegate.errors import TransientError
from linegate.inspection import Inspection
from tests.boards import clean_board, defective_board
from tests.e2e.line import Hmi, Line, running


@pytest.fixture
def line(make_line: Callable[..., Line], hmi: Hmi) -> Iterator[Line]:
    line = make_line(clean_board())
    with running(line):
        hmi.wait_for(line.upload("smt-1/aoi/A1.png", defective_board()))
        archived(line)
        yield line


def archived(line: Line) -> None:
    """Its upload is no longer where the camera left it."""
    until = time.monotonic() + 30
    while any((line.data / "uploads").rglob("*.png")):
        assert time.monotonic() < until
        time.sleep(0.05)


def stored(line: Line) -> Inspection:
    with closing(ReadOnly(line.data / DATABASE)) as rows:
        (found,) = SqliteQueries(rows).find("A1", 9)
        return found


def heard(hmi: Hmi, revision: int) -> dict[str, object]:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        for data in hmi.data():
            if data["revision"] == revision:
                return data
        time.sleep(0.05)
    raise TransientError(f"nobody told the HMI of revision {revision}")


def test_a_decision_counts_is_drawn_told_and_shown(line: Line, hmi: Hmi, capsys: pytest.CaptureFixture[str]) -> None:
    config = ("--config", str(line.config))
    assert main(["answer", "A1", "--as", "Ada", *config]) == 1
    assert "Nothing is said of finding" in capsys.readouterr().out
    assert main(["answer", "A1", "--false-call", "all", "--as", "Ada", "--comment", "Dust.", *config]) == 0
    assert "revision 2 by Ada" in capsys.readouterr().out
    assert main(["answer", "A1", "--true-defect", "0", "--as", "Bob", "--seen", "1", *config]) == 1
    assert "Ada was first: revision 2 is PASS. Look again." in capsys.readouterr().out
    told = heard(hmi, 2)
    assert (told["verdict"], told["decided_by"]) == ("PASS", "Ada")
    assert (line.data / f"results/{stored(line).inspection_id}/r2.jpg").is_file(), "drawn from the archive"
    assert main(["answer", "A1", "--missed", "crack", "30", "30", "8", "8", "--as", "Bob", *config]) == 0
    assert heard(hmi, 3)["fail_count"] == 1
    capsys.readouterr()
    assert main(["show", "A1", "--json", *config]) == 0
    (shown,) = json.loads(capsys.readouterr().out)
    assert [revision["decided_by"] for revision in shown["revisions"][1:]] == ["person:Ada", "person:Bob"]
    assert shown["revisions"][1]["review"]["comment"] == "Dust."
    assert [refused["author"] for refused in shown["refused"]] == ["Ada", "Bob"]
    assert main(["show", "A1", *config]) == 0
    text = capsys.readouterr().out
    for said in ("by person:Bob", "missed by the machine: crack", "Dust.", "refused: Bob, who saw revision 1"):
        assert said in text


@pytest.mark.parametrize(
    ("typed", "told"),
    [
        (["nobody", "--looked"], "nothing was inspected"),
        (["A1", "--false-call", "x"], "no decision"),
        (["A1", "--missed", "crack", "1"], "X Y WIDTH HEIGHT"),
        (["A1", "--false-call", "0", "--repaired", "0"], "one ruling"),
    ],
)
def test_what_is_no_decision_is_wrong_usage(
    line: Line, typed: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["answer", *typed, "--config", str(line.config)]) == 64
    assert told in capsys.readouterr().err


def test_without_a_running_gate_nothing_is_decided(
    make_line: Callable[..., Line], capsys: pytest.CaptureFixture[str]
) -> None:
    line = make_line(clean_board())
    assert main(["answer", "A1", "--config", str(line.config)]) == 64
    assert "not running" in capsys.readouterr().err

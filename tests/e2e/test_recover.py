"""A damaged database stops the gate with a word of what to do, and what can be read of it is saved."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from linegate.commands.main import main
from linegate.edge.runtime import Runtime
from linegate.errors import TransientError
from tests.boards import clean_board, defective_board
from tests.e2e.conftest import Hmi, Line, running
from tests.e2e.test_gate import files, until

Maker = Callable[..., Line]


@pytest.fixture
def damaged(make_line: Maker, hmi: Hmi) -> Line:
    """A line with 40 decided boards whose database lost a page in the middle."""
    line = make_line(clean_board())
    with running(line):
        for number in range(40):
            line.upload(f"smt-1/aoi/{number}.png", clean_board(noise=3))
        until(lambda: len(hmi.data()) == 40 and files(line.data / "uploads") == [], 60)
    path = line.data / "linegate.db"
    size = path.stat().st_size // 4096 * 4096
    with path.open("r+b") as file:
        file.seek(size // 2 // 4096 * 4096)
        file.write(os.urandom(4096))
    line.upload("smt-1/aoi/LATE.png", defective_board())
    return line


def test_what_can_be_read_is_saved_and_the_gate_goes_on(
    damaged: Line, hmi: Hmi, capsys: pytest.CaptureFixture[str]
) -> None:
    archived = files(damaged.data / "archive")
    assert main(["recover", "--config", str(damaged.config)]) == 0
    said = capsys.readouterr().out
    assert "objects: " in said
    assert len(list(damaged.data.glob("linegate-broken-*.db"))) == 1
    assert files(damaged.data / "archive") == archived
    with running(damaged) as runtime:
        assert hmi.wait_for("uploads/smt-1/aoi/LATE.png")["verdict"] == "FAIL"
        assert runtime.database.read("SELECT count(*) FROM inspections")[0][0] > 10
    again = [data for data in hmi.data() if data["image"]["name"].endswith("/0.png")]
    assert len(again) == 1, "what was archived is not inspected again"


def test_a_file_that_is_no_database_is_refused_with_what_to_do(make_line: Maker) -> None:
    line = make_line(clean_board())
    line.data.mkdir()
    (line.data / "linegate.db").write_bytes(b"none of it is a database" * 400)
    with pytest.raises(TransientError, match="linegate recover"):
        Runtime(line.settings)
    assert main(["recover", "--config", str(line.config)]) == 0
    with running(line):
        pass


def test_there_must_be_something_to_recover(make_line: Maker, tmp_path: Path) -> None:
    line = make_line(clean_board())
    assert main(["recover", "--config", str(line.config)]) == 64

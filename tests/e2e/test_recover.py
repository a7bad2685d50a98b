"""A damaged database stops the gate with a word of what to do, and what can be read of it is saved."""

import os
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from linegate.commands.main import main
from linegate.edge.runtime import Runtime, open_database
from linegate.errors import TransientError
from tests.boards import clean_board, defective_board
from tests.e2e.line import Hmi, Line, files, running
from tests.waiting import until

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


def spoil(line: Line, *serials: str) -> None:
    """Flip a byte inside the documents of these boards, which SQLite does not notice."""
    path = line.data / "linegate.db"
    content = path.read_bytes()
    for serial in serials:
        wanted, spoilt = (f'"serial":"{serial}"{end}'.encode() for end in ("}", "]"))
        assert wanted in content
        content = content.replace(wanted, spoilt)
    path.write_bytes(content)


def test_a_row_that_makes_no_sense_is_not_taken_over_and_its_board_is_named_and_inspected_again(
    make_line: Maker, hmi: Hmi, capsys: pytest.CaptureFixture[str]
) -> None:
    line = make_line(clean_board())
    with running(line):
        for serial in ("A", "B", "C"):
            hmi.wait_for(line.upload(f"smt-1/aoi/{serial}.png", defective_board()))
        until(lambda: files(line.data / "uploads") == [])
    spoil(line, "B")
    capsys.readouterr()
    assert main(["list", "--config", str(line.config)]) == 70
    told = capsys.readouterr()
    assert "recover" in told.err
    assert ["smt-1/aoi/A" in told.out, "smt-1/aoi/B" in told.out, "smt-1/aoi/C" in told.out] == [True, False, True]
    assert main(["recover", "--config", str(line.config)]) == 0
    (lost,) = [said for said in capsys.readouterr().out.splitlines() if said.startswith("not recovered")]
    assert "uploads/smt-1/aoi/B.png" in lost
    with running(line):
        until(lambda: len(hmi.data()) == 4)
    assert [data["serial"] for data in hmi.data()][3] == "B"
    assert main(["list", "--config", str(line.config)]) == 0


def test_a_database_that_was_cut_off_gives_back_what_it_knew_up_to_there(make_line: Maker, hmi: Hmi) -> None:
    line = make_line(clean_board())
    with running(line):
        for number in range(30):
            line.upload(f"smt-1/aoi/{number}.png", clean_board(noise=3))
        until(lambda: len(hmi.data()) == 30 and files(line.data / "uploads") == [], 60)
    path = line.data / "linegate.db"
    size = path.stat().st_size
    left = size * 3 // 4  # the first half of so small a file is tables and indexes, each with a page of its own
    os.truncate(path, left)
    assert main(["recover", "--config", str(line.config)]) == 0
    with closing(open_database(line.settings)) as database:
        assert database.read("SELECT count(*) FROM inspections")[0][0] >= 5
    (aside,) = line.data.glob("linegate-broken-*.db")
    assert aside.stat().st_size == left, "what is kept is as it was found"


@pytest.mark.parametrize("how", ["recovered", "removed"])
def test_no_number_is_given_twice_after_a_database_was_lost(make_line: Maker, hmi: Hmi, how: str) -> None:
    line = make_line(clean_board())
    with running(line):
        hmi.wait_for(line.upload("smt-1/aoi/A.png", clean_board(noise=3)))
        until(lambda: files(line.data / "uploads") == [])
    path = line.data / "linegate.db"
    if how == "removed":
        path.unlink()
    else:
        path.write_bytes(b"none of it is a database" * 400)
        assert main(["recover", "--config", str(line.config)]) == 0
    with running(line):
        line.upload("smt-1/aoi/A.png", defective_board())
        until(lambda: len(hmi.data()) == 2 and files(line.data / "uploads") == [])
    before, after = hmi.data()
    assert (before["verdict"], after["verdict"]) == ("PASS", "FAIL")
    assert before["inspection_id"] != after["inspection_id"]
    assert len(files(line.data / "archive")) == 2


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

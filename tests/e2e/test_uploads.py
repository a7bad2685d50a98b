"""How cameras hand over pictures: nothing half written is inspected, nothing that changes is taken for done, no link followed."""

import contextlib
import hashlib
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from linegate.adapters.local import folders
from linegate.adapters.local.database import Database
from linegate.commands.main import main
from linegate.edge.machine import look
from linegate.edge.runtime import Runtime
from linegate.errors import ConfigError
from tests.boards import clean_board, defective_board, draw, encoded
from tests.e2e.line import Hmi, Line, files, running
from tests.waiting import until

Maker = Callable[..., Line]


@pytest.fixture
def station(make_line: Maker) -> tuple[Line, Path]:
    line = make_line(clean_board(), settle_ms=100, share_settle_ms=400)
    folder = line.data / "uploads" / "smt-1" / "aoi"
    folder.mkdir(parents=True)
    return line, folder


def preallocated(path: Path, content: bytes, written: int) -> int:
    """A file at its full size of which the first bytes are written, and its descriptor, as Samba and Windows copy."""
    descriptor = os.open(path, os.O_CREAT | os.O_RDWR)
    os.truncate(descriptor, len(content))
    os.pwrite(descriptor, content[:written], 0)
    return descriptor


@contextmanager
def busy(runtime: Runtime) -> Iterator[None]:
    """No upload is looked at inside the block, as if every worker were busy with other boards."""
    limits = runtime.dispatcher._limits
    runtime.dispatcher._limits = {**limits, "detect": 0}
    yield
    runtime.dispatcher._limits = limits
    runtime.bus.bell.ring()


@pytest.mark.parametrize("image_format", ["TIFF", "BMP", "JPEG"])
def test_a_file_of_full_size_is_not_taken_before_its_writer_has_closed_it(
    station: tuple[Line, Path], hmi: Hmi, image_format: str
) -> None:
    line, folder = station
    content = encoded(draw(defective=True, noise=1), image_format)
    with running(line):
        descriptor = preallocated(folder / "A.img", content, len(content) // 2)
        time.sleep(1.2)  # many times what it needs to settle
        assert hmi.data() == []
        os.pwrite(descriptor, content[len(content) // 2 :], len(content) // 2)
        os.close(descriptor)
        assert hmi.wait_for("uploads/smt-1/aoi/A.img")["verdict"] == "FAIL"
        until(lambda: files(line.data / "uploads") == [])
    assert len(hmi.data()) == 1
    assert [path.read_bytes() for path in files(line.data / "archive")] == [content]


def test_a_file_that_somebody_wrote_to_before_the_start_is_waited_for_and_told_about(
    station: tuple[Line, Path], hmi: Hmi, monkeypatch: pytest.MonkeyPatch
) -> None:
    line, folder = station
    content = defective_board()
    descriptor = preallocated(folder / "A.png", content, len(content) // 2)
    os.utime(folder / "A.png", (1_700_000_000, 1_700_000_000))  # as old as it likes
    with running(line):
        time.sleep(0.8)
        assert hmi.data() == []
        os.pwrite(descriptor, content, 0)
        os.close(descriptor)
        assert hmi.wait_for("uploads/smt-1/aoi/A.png")["verdict"] == "FAIL"


def test_a_picture_that_is_written_to_after_it_was_taken_stays_and_is_inspected_again(
    station: tuple[Line, Path], hmi: Hmi
) -> None:
    line, folder = station
    path = folder / "A.png"
    with running(line) as runtime:
        with busy(runtime):
            path.write_bytes(clean_board(noise=3))
            until(lambda: runtime.database.read("SELECT 1 FROM objects") != [])
            writer = path.open("r+b")
        assert hmi.wait_for("uploads/smt-1/aoi/A.png")["verdict"] == "PASS"
        time.sleep(0.4)
        assert path.exists(), "archived while somebody may still write to it"
        writer.write(defective_board())
        writer.truncate()
        writer.close()
        until(lambda: len(hmi.data()) == 2 and files(line.data / "uploads") == [])
    assert [data["verdict"] for data in hmi.data()] == ["PASS", "FAIL"]


class _Overtaken:
    """The archive's database; the first time that a file's new place is kept, somebody else is quicker than the rest."""

    def __init__(self, database: Database, act: Callable[[], None]) -> None:
        self.read, self._write, self._acts = database.read, database.write, [act]

    def write(self, work: Callable[[Any], Any]) -> Any:
        done = self._write(work)
        while self._acts:
            self._acts.pop()()
        return done


@pytest.mark.parametrize("closes", ["before", "after", "after it was moved"])
def test_a_writer_that_comes_while_the_picture_is_archived_has_its_verdict(
    station: tuple[Line, Path], hmi: Hmi, closes: str
) -> None:
    line, folder = station
    path, content = folder / "A.png", defective_board()
    writers: list[Any] = []

    def write() -> None:
        writers.append(path.open("ab"))
        if closes == "before":
            finish()
        if closes == "after it was moved":  # as where no file can be given a second name
            path.unlink()

    def finish() -> None:
        writers[0].write(content[1000:])
        writers[0].close()

    with running(line) as runtime:
        runtime.intake._archive._database = _Overtaken(runtime.database, write)  # type: ignore[assignment]
        path.write_bytes(content[:1000])
        assert hmi.wait_for("uploads/smt-1/aoi/A.png")["verdict"] == "ERROR"
        until(lambda: bool(writers))
        if closes != "before":
            time.sleep(0.3)
            finish()
        until(lambda: len(hmi.data()) == 2 and files(line.data / "uploads") == [])
    assert [data["verdict"] for data in hmi.data()] == ["ERROR", "FAIL"]
    assert [kept.read_bytes() for kept in files(line.data / "archive")] == [content]


def test_an_empty_file_is_given_time_to_be_filled(make_line: Maker, hmi: Hmi) -> None:
    line = make_line(clean_board(), settle_ms=50, share_settle_ms=2000)
    path = line.data / "uploads" / "smt-1" / "aoi" / "A.png"
    path.parent.mkdir(parents=True)
    with running(line):
        path.touch()
        time.sleep(0.6)
        path.write_bytes(defective_board())
        assert hmi.wait_for("uploads/smt-1/aoi/A.png")["verdict"] == "FAIL"
        (path.parent / "B.png").touch()
        assert hmi.wait_for("uploads/smt-1/aoi/B.png")["verdict"] == "ERROR"


def test_a_change_that_keeps_size_and_time_is_seen(station: tuple[Line, Path], hmi: Hmi) -> None:
    line, folder = station
    path = folder / "A.bmp"
    good, bad = encoded(draw(noise=3), "BMP"), encoded(draw(defective=True, noise=1), "BMP")
    assert len(good) == len(bad)
    with running(line):
        path.write_bytes(good)
        os.utime(path, (1_700_000_000, 1_700_000_000))
        hmi.wait_for("uploads/smt-1/aoi/A.bmp")
        inspected = hmi.data()[-1]["verdict"]
        path.write_bytes(bad)  # or the archive was quicker, and this is a new file
        os.utime(path, (1_700_000_000, 1_700_000_000))
        until(lambda: hmi.data()[-1]["verdict"] == "FAIL")
    assert inspected == "PASS"


def test_a_name_that_is_copied_to_again_and_again_has_a_verdict_of_its_last_content(
    station: tuple[Line, Path], hmi: Hmi
) -> None:
    line, folder = station
    with running(line) as runtime:
        for content in (clean_board(noise=3), clean_board(noise=4), defective_board()):
            (folder / "A.png").write_bytes(content)
        until(lambda: files(line.data / "uploads") == [] and runtime.dispatcher.idle and bool(hmi.data()))
    assert hmi.data()[-1]["verdict"] == "FAIL"


def test_where_the_writer_can_not_be_told_content_must_stay_the_same_for_longer(
    station: tuple[Line, Path], hmi: Hmi, tmp_path: Path
) -> None:
    """A file of a share: no notice, no lease. What stands in for it here is a file system that answers neither."""
    line, folder = station
    content = defective_board()
    with running(line) as runtime:
        runtime.intake._observer.unschedule_all()
        (folder / "A.png").write_bytes(content[: len(content) // 2])
        started = time.monotonic()
        time.sleep(0.05)
        (folder / "A.png").write_bytes(content)
        assert hmi.wait_for("uploads/smt-1/aoi/A.png")["verdict"] == "FAIL"
        assert time.monotonic() - started > 0.1
    assert len(hmi.data()) == 1


def test_a_picture_with_a_checksum_beside_it_counts_when_it_fits(station: tuple[Line, Path], hmi: Hmi) -> None:
    line, folder = station
    content = defective_board()
    with running(line):
        (folder / "A.png.sha256").write_text(f"{hashlib.sha256(content).hexdigest()}  A.png\n")
        (folder / "A.png").write_bytes(content[: len(content) // 2])
        time.sleep(0.6)
        assert hmi.data() == []
        (folder / "A.png").write_bytes(content)
        assert hmi.wait_for("uploads/smt-1/aoi/A.png")["verdict"] == "FAIL"
        until(lambda: files(line.data / "uploads") == [])
    assert len(hmi.data()) == 1


def test_a_board_that_waits_for_its_turn_is_overdue_like_any_other(make_line: Maker, hmi: Hmi) -> None:
    line = make_line(clean_board(), sweep_s=0.2)
    recipe = line.settings.recipes["pcb"].model_copy(
        update={"deadline_s": 0.5, "check_budget_s": 0.4, "golden": "none.png"}
    )
    line.settings = line.settings.model_copy(update={"recipes": {"pcb": recipe}})
    with running(line) as runtime:
        runtime.dispatcher._limits = {
            **runtime.dispatcher._limits,
            "detect": 0,
        }  # every worker is busy with other boards
        name = line.upload("smt-1/aoi/A.png", clean_board(noise=3))
        assert hmi.wait_for(name, 10)["verdict"] == "REVIEW"


# --- links, and what else is no picture


def foreign(tmp_path: Path) -> Path:
    folder = tmp_path / "foreign"
    folder.mkdir()
    for number in range(3):
        (folder / f"{number}.png").write_bytes(clean_board(noise=number))
    return folder


def test_a_station_that_is_a_link_is_left_alone_and_told_about(
    station: tuple[Line, Path], hmi: Hmi, tmp_path: Path
) -> None:
    line, folder = station
    theirs = foreign(tmp_path)
    folder.with_name("link").symlink_to(theirs)
    (folder / "file.png").symlink_to(theirs / "0.png")
    os.mkfifo(folder / "pipe.png")
    with capture_logs() as logged, running(line):
        assert hmi.wait_for(line.upload("smt-1/aoi/A.png", clean_board(noise=3)))["verdict"] == "PASS"
        time.sleep(0.4)
    assert len(hmi.data()) == 1
    assert len(files(theirs)) == 3
    skipped = [entry["object"] for entry in logged if entry["event"] == "upload.skipped"]
    assert sorted(skipped) == [f"uploads/smt-1/{name}" for name in ("aoi/file.png", "aoi/pipe.png", "link")]


def test_a_station_that_becomes_a_link_gives_nothing_away(station: tuple[Line, Path], hmi: Hmi, tmp_path: Path) -> None:
    line, folder = station
    theirs = foreign(tmp_path)
    with running(line) as runtime:
        with busy(runtime):
            for number in range(3):
                line.upload(f"smt-1/aoi/{number}.png", defective_board())
            until(lambda: runtime.database.read("SELECT count(*) FROM inspections")[0][0] == 3)
            folder.rename(folder.with_name("moved"))
            folder.symlink_to(theirs)
        for number in range(3):
            assert hmi.wait_for(f"uploads/smt-1/aoi/{number}.png")["verdict"] == "ERROR"
        time.sleep(0.4)  # time to archive, had it followed the link
    assert len(files(theirs)) == 3
    assert not [path for path in files(line.data / "quarantine") if path.suffix != ".json"]


def test_a_tree_without_a_bottom_keeps_no_picture_waiting(station: tuple[Line, Path], hmi: Hmi) -> None:
    line, folder = station
    at = os.open(folder, os.O_RDONLY)
    for _ in range(1500):
        os.mkdir("d", dir_fd=at)
        below = os.open("d", os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(at)
    with capture_logs() as logged, running(line):
        assert hmi.wait_for(line.upload("smt-1/aoi/A.png", clean_board(noise=3)))["verdict"] == "PASS"
        assert look(line.settings)["uploads"]["waiting"] <= 1
    assert [entry["event"] for entry in logged if "crash" in entry["event"]] == []
    assert [entry["object"].count("/d") for entry in logged if entry["event"] == "upload.skipped"] == [15]
    subprocess.run(["rm", "-rf", folder], check=True)  # pytest's own way has no bottom either


def test_a_picture_does_not_wait_until_thousands_before_it_are_taken_nor_does_a_stop(
    station: tuple[Line, Path], hmi: Hmi
) -> None:
    line, folder = station
    for number in range(3000):
        (folder / f"{number}.png").write_bytes(b"no picture")
    with running(line) as runtime:
        until(lambda: runtime.database.read("SELECT count(*) FROM objects")[0][0] > 0)
        (folder / "late.png").write_bytes(b"no picture either")
        until(lambda: runtime.database.read("SELECT 1 FROM objects WHERE name LIKE '%late%'") != [])
        assert runtime.database.read("SELECT count(*) FROM objects WHERE name LIKE 'uploads/%'")[0][0] < 3000
        assert runtime.intake.stop(5)
        assert runtime.database.read("SELECT count(*) FROM objects WHERE name LIKE 'uploads/%'")[0][0] < 3000


def test_decided_pictures_that_can_not_be_archived_keep_no_others_from_it(
    station: tuple[Line, Path], hmi: Hmi, monkeypatch: pytest.MonkeyPatch
) -> None:
    line, folder = station
    monkeypatch.setattr("linegate.edge.archive.BATCH", 2)
    with running(line) as runtime, contextlib.ExitStack() as writers:
        with busy(runtime):
            for number in range(3):
                (folder / f"{number}.png").write_bytes(b"no picture")
            until(lambda: runtime.database.read("SELECT count(*) FROM objects") == [(3,)])
            for path in files(folder):
                writers.enter_context(path.open("ab"))
        line.upload("smt-1/aoi/after.png", b"no picture")
        until(lambda: any(path.name.startswith("after") for path in files(line.data / "archive")))
        until(lambda: len(files(folder)) == 3)  # its first name goes after it has its second


OURS = [".aside", ".incoming", "archive", "results", "quarantine", "uploads"]


@pytest.mark.parametrize("name", OURS)
def test_a_link_in_the_place_of_a_folder_of_ours_is_refused_at_the_start(
    make_line: Maker, tmp_path: Path, name: str
) -> None:
    line = make_line(clean_board())
    theirs = foreign(tmp_path)
    line.data.mkdir()
    (line.data / name).symlink_to(theirs)
    with pytest.raises(ConfigError, match=f"{name} is a link"):
        Runtime(line.settings)
    assert len(files(theirs)) == 3


@pytest.mark.parametrize("name", [".lock", "linegate.db", "linegate.db-wal"])
def test_a_link_in_the_place_of_a_file_of_ours_is_refused_and_what_it_leads_to_is_untouched(
    make_line: Maker, tmp_path: Path, name: str
) -> None:
    line = make_line(clean_board())
    theirs = tmp_path / "theirs"
    theirs.write_bytes(b"theirs")
    line.data.mkdir()
    (line.data / name).symlink_to(theirs)
    for command in ("edge", "status", "recover"):
        assert main([command, "--config", str(line.config)]) == 78
    assert theirs.read_bytes() == b"theirs"


@pytest.mark.parametrize("name", OURS)
def test_a_folder_of_ours_that_becomes_a_link_leads_nothing_out_of_the_gates_folder(
    station: tuple[Line, Path], hmi: Hmi, tmp_path: Path, name: str
) -> None:
    line, folder = station
    theirs = foreign(tmp_path)
    before = {path: path.stat() for path in files(theirs)}
    with running(line):
        hmi.wait_for(line.upload("smt-1/aoi/0.png", clean_board(noise=3)))
        until(lambda: files(line.data / "uploads") == [])
        if (line.data / name).exists():
            (line.data / name).rename(line.data / "moved")
        (line.data / name).symlink_to(theirs)
        (folder if name != "uploads" else line.data / "moved" / "smt-1" / "aoi").joinpath("A.png").write_bytes(
            b"no picture"
        )
        time.sleep(0.5)
    assert {path: path.stat() for path in files(theirs)} == before


def test_what_the_gate_writes_is_nobody_elses_to_read(make_line: Maker, hmi: Hmi) -> None:
    line = make_line(clean_board())
    with running(line):
        hmi.wait_for(line.upload("smt-1/aoi/A.png", b"no picture"))
        hmi.wait_for(line.upload("smt-1/aoi/B.png", defective_board()))
    cameras = ("uploads", "archive")
    ours = [
        path for path in line.data.rglob("*") if path.is_dir() or path.relative_to(line.data).parts[0] not in cameras
    ]
    assert {path.stat().st_mode & 0o077 for path in [line.data, *ours]} == {0}


def test_a_file_that_is_held_for_writing_can_be_told(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    with path.open("rb") as reader:
        assert folders.being_written(reader.fileno()) is False
        with path.open("ab"):
            assert folders.being_written(reader.fileno()) is True
        assert folders.being_written(reader.fileno()) is False

"""The intake after a stop: an upload that was taken has a verdict, or a message under way, or is taken up again."""

import os
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from linegate.adapters.local.bus import Backlog, Delivery, LocalBus
from linegate.adapters.local.database import Database
from linegate.adapters.local.storage import FolderReader
from linegate.adapters.local.store import SqliteInspections
from linegate.config import parse
from linegate.deciders import DETECT
from linegate.edge.intake import Intake
from linegate.errors import ObjectMissingError
from linegate.inspection import Inspection, Revision
from linegate.stages import UPLOADS
from linegate.verdict import rejected
from tests.fakes import START
from tests.waiting import until

CONFIG = """
recipes: {pcb: {golden: golden.png}}
lines: {smt-1: {recipe: pcb}}
edge: {scan_ms: 50, settle_ms: 10, share_settle_ms: 20, data: data}
"""


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    (tmp_path / "data").mkdir()
    with closing(Database(tmp_path / "data" / "linegate.db")) as opened:
        yield opened


def started(database: Database, folder: Path) -> tuple[Intake, LocalBus]:
    bus = LocalBus(database)
    intake = Intake(database, bus, parse(CONFIG, folder, {}))
    intake.start()
    return intake, bus


def taken(bus: LocalBus) -> Delivery:
    """The upload's message, leased as a dispatcher does."""
    found: list[Delivery] = []

    def leased() -> bool:
        found.extend(bus.lease(UPLOADS, 1, 60, {}, 1))
        return bool(found)

    until(leased)
    return found[0]


def acknowledge(database: Database, delivery: Delivery) -> None:
    bus = LocalBus(database)
    bus.acknowledge(delivery)
    until(lambda: not bus.backlog())  # it does not wait for the disk


def upload(database: Database, folder: Path) -> tuple[Path, Delivery, Inspection]:
    """A picture that was taken up by an intake which has stopped."""
    picture = folder / "data" / "uploads" / "smt-1" / "aoi" / "A.png"
    picture.parent.mkdir(parents=True)
    picture.write_bytes(b"picture")
    intake, bus = started(database, folder)
    delivery = taken(bus)
    assert intake.stop(10)
    ((inspection_id,),) = database.read("SELECT id FROM inspections")
    inspection = SqliteInspections(database).get(inspection_id)
    assert inspection is not None
    return picture, delivery, inspection


def waiting_after_a_start(database: Database, folder: Path) -> int:
    intake, bus = started(database, folder)
    try:
        time.sleep(0.2)  # for some scans
        return bus.backlog().get(UPLOADS, Backlog()).waiting
    finally:
        assert intake.stop(10)


def test_an_upload_whose_message_got_lost_is_taken_up_again(database: Database, tmp_path: Path) -> None:
    _, delivery, inspection = upload(database, tmp_path)
    acknowledge(database, delivery)
    intake, bus = started(database, tmp_path)
    again = taken(bus)
    assert intake.stop(10)
    assert again.message.attributes["objectGeneration"] == str(inspection.image.generation)
    assert database.read("SELECT count(*) FROM inspections") == [(1,)], "it is the same inspection"


def test_an_upload_whose_message_is_under_way_has_no_second_one(database: Database, tmp_path: Path) -> None:
    upload(database, tmp_path)
    assert waiting_after_a_start(database, tmp_path) == 0


def test_a_decided_upload_is_not_taken_up_again(database: Database, tmp_path: Path) -> None:
    _, delivery, inspection = upload(database, tmp_path)
    acknowledge(database, delivery)
    revision = Revision(1, DETECT, START, rejected("it is no picture"))
    assert SqliteInspections(database).commit(inspection, revision, [])
    assert waiting_after_a_start(database, tmp_path) == 0


def test_an_upload_that_is_gone_is_not_taken_up_again(database: Database, tmp_path: Path) -> None:
    picture, delivery, _ = upload(database, tmp_path)
    acknowledge(database, delivery)
    picture.unlink()
    assert waiting_after_a_start(database, tmp_path) == 0


def test_a_picture_that_is_written_over_in_place_is_not_read_for_the_one_that_was_taken(
    database: Database, tmp_path: Path
) -> None:
    """With its size and its time, as a careful copy leaves them: its content tells."""
    picture, _, inspection = upload(database, tmp_path)
    reader = FolderReader(database, tmp_path / "data")
    assert reader.read(inspection.image) == b"picture"
    before = picture.stat()
    with picture.open("r+b") as file:
        file.write(b"another")
    os.utime(picture, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(ObjectMissingError, match="replaced"):
        reader.read(inspection.image)

"""What SQLite's adapters do with records that can't be read."""

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

from structlog.testing import capture_logs

from linegate.adapters.local.database import Database
from linegate.adapters.local.queries import SqliteQueries
from linegate.adapters.local.store import SqliteInspections, SqliteOutbox
from linegate.search import Wanted
from tests.contract.examples import board, entry, revision
from tests.fakes import START


def _execute(query: str, key: str, connection: sqlite3.Connection) -> None:
    connection.execute(query, (key,))


def test_a_record_that_can_not_be_read_keeps_no_other_from_its_verdict(tmp_path: Path) -> None:
    with closing(Database(tmp_path / "linegate.db")) as database:
        inspections, outbox = SqliteInspections(database), SqliteOutbox(database)
        for number in range(3):
            inspections.open(board(f"{number:032}", number))
        inspections.commit(replace(board(), revision=revision()), revision(), [entry(target="a"), entry(target="b")])
        for table, key in (("inspections", f"{1:032}"), ("outbox", entry(target="a").entry_id)):
            broken = f"UPDATE {table} SET document = replace(document, '\"20', '\"x') WHERE id = ?"
            database.write(partial(_execute, broken, key))
        later = START + timedelta(seconds=100)
        with capture_logs() as logged:
            assert [late.inspection_id for late in inspections.overdue(later, 10)] == [f"{2:032}"]
            assert [left.target for left in outbox.stranded(later, later, 10)] == ["b"]
            page = SqliteQueries(database).search(Wanted())
        assert [one.inspection_id for one in page.items] == [f"{number:032}" for number in (2, 0)]
        assert page.unreadable == (f"{1:032}",)
        assert [line["id"] for line in logged] == [f"{1:032}", entry(target="a").entry_id, f"{1:032}"]

"""What SQLite answers pages and counts from: found by an index, brought up of an earlier release, kept through recovery."""

import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from linegate.adapters.local import catalogue, retention
from linegate.adapters.local.database import DATABASE, MIGRATIONS, Database, ReadOnly, Values
from linegate.adapters.local.queries import SCAN, SqliteQueries
from linegate.adapters.local.recovery import recover
from linegate.adapters.local.store import SqliteInspections
from linegate.errors import CursorError
from linegate.inspection import Verdict
from linegate.rollups import Counts
from linegate.search import Position, Wanted, cursor_at, pages
from tests.contract.examples import board, manifest, revision
from tests.fakes import START
from tests.history import QUESTIONS, build

RELEASE = Path(__file__).parents[1] / "fixtures" / "release-0.1.0" / DATABASE
LONG_AGO, LATER = START - timedelta(days=900), START + timedelta(days=900)
# As the release before left a database
EARLIER = (
    *(f"DROP TABLE {table}" for table in ("catalogue", "marks", "rollups", "handshakes", "links")),
    f"PRAGMA user_version = {MIGRATIONS.index(catalogue.SCHEMA[0])}",
)


class Explained:
    """Rows that also say how SQLite comes to them."""

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path)
        self.plan: list[str] = []

    def read(self, query: str, parameters: Values = ()) -> list[tuple[Any, ...]]:
        self.plan += [row[3] for row in self._connection.execute(f"EXPLAIN QUERY PLAN {query}", parameters)]
        return self._connection.execute(query, parameters).fetchall()


def counts(queries: SqliteQueries) -> Counts:
    return sum((slot.counts for slot in queries.counts(None, None, LONG_AGO, LATER)), Counts())


def run(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


def test_no_page_walks_through_the_history_or_sorts_it(tmp_path: Path) -> None:
    path = tmp_path / DATABASE
    build(path, 300)
    rows = Explained(path)
    queries = SqliteQueries(rows)
    for wanted in QUESTIONS.values():
        queries.search(wanted, queries.search(wanted, limit=2).next)
    queries.waiting(limit=2)
    queries.waiting(["smt-1", "smt-2"], queries.waiting(["smt-1", "smt-2"], limit=2).next)
    walked = [step for step in rows.plan if step.startswith("SCAN") and "INDEX" not in step]
    assert set(walked) <= {"SCAN c", "SCAN m", "SCAN (subquery-1)"}, "but for what a subquery has limited"
    assert not [step for step in rows.plan if "TEMP B-TREE" in step]
    rows.plan.clear()
    queries.find("S7", 20)
    queries.counts("smt-1", None, LONG_AGO, LATER)
    assert not [step for step in rows.plan if step.startswith("SCAN") and ("inspections" in step or "rollups" in step)]


def test_a_page_of_which_next_to_nothing_fits_ends_early_and_goes_on(tmp_path: Path) -> None:
    path = tmp_path / DATABASE
    with closing(Database(path)) as database:
        inspections = SqliteInspections(database)
        first = board()
        inspections.open(first)
        inspections.commit(replace(first, revision=revision()), revision(), [])
    run(
        path,
        f"""WITH RECURSIVE n (n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM n WHERE n <= {SCAN + 9})
        INSERT INTO catalogue SELECT n, n, {START.timestamp()} + n, 'l', 'pcb', 's', 'PASS', 'machine', 0, 1 FROM n""",
    )
    with closing(ReadOnly(path)) as rows:
        found = list(
            pages(lambda cursor: SqliteQueries(rows).search(Wanted(recipe="pcb", verdict=Verdict.REVIEW), cursor))
        )
    assert [[one.inspection_id for one in page.items] for page in found] == [[], [first.inspection_id]]


def test_a_data_folder_of_the_first_release_is_brought_up(tmp_path: Path) -> None:
    path = tmp_path / DATABASE
    shutil.copy(RELEASE, path)
    path.chmod(0o400)
    with closing(ReadOnly(path)) as rows:
        before = SqliteQueries(rows).search(Wanted(), limit=99), SqliteQueries(rows).waiting()
    assert path.read_bytes() == RELEASE.read_bytes(), "who only looks at it changes nothing"
    path.chmod(0o600)
    with closing(Database(path)) as database:
        queries = SqliteQueries(database)
        assert (queries.search(Wanted(), limit=99), queries.waiting()) == before
        page = queries.search(Wanted())
        decided = [one for one in page.items if one.revision]
        assert page.items and decided and not page.unreadable
        assert counts(queries).products == len(decided)
        waiting = [one for one in decided if one.revision and one.revision.decision.verdict in ("FAIL", "REVIEW")]
        assert queries.waiting().count == len(waiting)
    with closing(Database(path)) as database:
        assert counts(SqliteQueries(database)).products == len(decided), "once"


def test_what_was_stopped_while_it_was_brought_up_goes_on_and_counts_each_once(tmp_path: Path) -> None:
    path, truth = tmp_path / DATABASE, tmp_path / "truth.db"
    size = 2 * catalogue.STEP + 7
    build(path, size, catalogued=False)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        assert catalogue.fill(connection)
        connection.execute("COMMIT")
        connection.execute("BEGIN IMMEDIATE")
        catalogue.fill(connection)  # and is killed here
    build(truth, size, catalogued=False)
    with closing(Database(path)) as database, closing(Database(truth)) as whole:
        told = counts(SqliteQueries(database))
        assert (told.products, told) == (size, counts(SqliteQueries(whole)))
        assert told.findings["short"].keys() == {"PASS", "FAIL", "UNSURE"}
        newest = SqliteQueries(database).search(Wanted(), limit=20).items
        assert newest == SqliteQueries(whole).search(Wanted(), limit=20).items
        assert all(one.revision for one in newest)


def test_a_record_that_can_not_be_read_keeps_no_other_from_being_brought_up(tmp_path: Path) -> None:
    path = tmp_path / DATABASE
    with closing(Database(path)) as database:
        for number in range(3):
            one = replace(board(f"{number:032}"), received_at=START + timedelta(seconds=number))
            SqliteInspections(database).open(one)
            SqliteInspections(database).commit(replace(one, revision=revision()), revision(), [])
    run(path, "UPDATE inspections SET document = 'x' WHERE id LIKE '%1'", *EARLIER)
    with capture_logs() as logged, closing(Database(path)) as database:
        page = SqliteQueries(database).search(Wanted())
        assert [one.inspection_id for one in page.items] == [f"{number:032}" for number in (2, 0)]
        assert page.unreadable == (f"{1:032}",)
        assert counts(SqliteQueries(database)).products == 2
    assert {line["id"] for line in logged if line["event"] == "record.unreadable"} == {f"{1:032}"}


def test_a_revision_before_that_can_not_be_read_keeps_no_correction_up(tmp_path: Path) -> None:
    with closing(Database(tmp_path / DATABASE)) as database:
        inspections = SqliteInspections(database)
        inspections.open(board())
        inspections.commit(replace(board(), revision=revision()), revision(), [])
        database.write(lambda connection: connection.execute("UPDATE revisions SET document = '{}'"))
        with capture_logs() as logged:
            assert inspections.commit(replace(board(), revision=revision(2)), revision(2), [])
        assert [line["event"] for line in logged] == ["record.unreadable", "rollup.left_out"]
        stored = inspections.get(board().inspection_id)
        assert stored is not None and stored.revision == revision(2)
        assert counts(SqliteQueries(database)).latest == {Verdict.REVIEW: 1}


def test_a_cursor_of_another_store_is_refused(tmp_path: Path) -> None:
    foreign = cursor_at(Position(START, "abc"), Wanted())
    with closing(Database(tmp_path / DATABASE)) as database, pytest.raises(CursorError, match="another store"):
        SqliteQueries(database).search(Wanted(), foreign)


def test_a_running_gate_can_be_read_beside(tmp_path: Path) -> None:
    path = tmp_path / DATABASE
    with closing(Database(path)) as database, closing(ReadOnly(path)) as rows:
        SqliteInspections(database).open(board())
        assert [one.inspection_id for one in SqliteQueries(rows).search(Wanted()).items] == [board().inspection_id]


def test_what_is_removed_is_on_no_page_and_its_hour_in_no_count(tmp_path: Path) -> None:
    with closing(Database(tmp_path / DATABASE)) as database:
        inspections, queries = SqliteInspections(database), SqliteQueries(database)
        for number in range(2):
            one = replace(board(f"{number:032}"), received_at=START + timedelta(hours=number))
            inspections.open(one)
            inspections.store_manifest(one.inspection_id, manifest("short"), 1)
            inspections.commit(replace(one, revision=revision()), revision(), [])
        retention.remove(database, f"{0:032}", "results")
        retention.note_removed_until(database, (START + timedelta(minutes=59)).timestamp())
        assert [one.inspection_id for one in queries.search(Wanted()).items] == [f"{1:032}"]
        assert counts(queries).products == 2, "its hour has not ended"
        retention.note_removed_until(database, (START + timedelta(minutes=60)).timestamp())
        assert counts(queries).products == 1
        assert (queries.waiting().count, queries.find("ü", 9)) == (1, list(queries.search(Wanted()).items))


def test_recovery_makes_pages_and_counts_of_what_it_saved(tmp_path: Path) -> None:
    path = tmp_path / DATABASE
    build(path, 60, catalogued=False)
    with closing(Database(path)) as database:
        before, newest = counts(SqliteQueries(database)), SqliteQueries(database).search(Wanted())
    recover(path)
    with closing(Database(path)) as database:
        assert counts(SqliteQueries(database)) == before
        assert SqliteQueries(database).search(Wanted()).items == newest.items

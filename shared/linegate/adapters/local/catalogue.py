"""What the port Queries is answered from in SQLite, written in the transaction of whoever changes an inspection.

`catalogue` has a narrow row for each inspection with all that is searched for, `marks` what its findings are found by (see
`linegate.search`), `rollups` the counters of each line, hour and recipe (see `linegate.rollups`). An index holds what a page
is found by, in the order of the page. Inspections of an earlier release are entered when the file is opened first.
"""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Final

from linegate.inspection import Inspection, Revision
from linegate.logs import log
from linegate.rollups import added, hour
from linegate.search import By, awaits_answer, marks
from linegate.stored import load_json, readable

SCHEMA: Final = (
    """CREATE TABLE catalogue (
        number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, received_at REAL NOT NULL, line TEXT NOT NULL DEFAULT '',
        recipe TEXT NOT NULL DEFAULT '', serial TEXT NOT NULL DEFAULT '', verdict TEXT, decided_by TEXT,
        waiting INTEGER NOT NULL DEFAULT 0, counted INTEGER NOT NULL DEFAULT 0)""",
    "CREATE INDEX catalogue_by_time ON catalogue (received_at)",
    "CREATE INDEX catalogue_by_line ON catalogue (line, received_at)",
    "CREATE INDEX catalogue_by_line_and_verdict ON catalogue (line, verdict, received_at)",
    "CREATE INDEX catalogue_by_verdict ON catalogue (verdict, received_at)",
    "CREATE INDEX catalogue_by_recipe ON catalogue (recipe, received_at)",
    "CREATE INDEX catalogue_by_serial ON catalogue (serial, received_at)",
    "CREATE INDEX catalogue_by_person ON catalogue (received_at) WHERE decided_by = 'person'",
    "CREATE INDEX catalogue_waiting ON catalogue (received_at) WHERE waiting = 1",
    "CREATE INDEX catalogue_waiting_by_line ON catalogue (line, received_at) WHERE waiting = 1",
    """CREATE TABLE marks (
        mark TEXT NOT NULL, received_at REAL NOT NULL, number INTEGER NOT NULL,
        PRIMARY KEY (mark, received_at, number)) WITHOUT ROWID""",
    "CREATE INDEX marks_by_number ON marks (number)",
    """CREATE TABLE rollups (
        line TEXT NOT NULL, hour INTEGER NOT NULL, recipe TEXT NOT NULL, counter TEXT NOT NULL, value INTEGER NOT NULL,
        PRIMARY KEY (line, hour, recipe, counter)) WITHOUT ROWID""",
)
# The note that says up to which row inspections are still to be entered; there is none where all are.
LEFT: Final = "to_catalogue"
REMEMBER: Final = f"""INSERT OR REPLACE INTO notes
    SELECT '{LEFT}', max(rowid) FROM inspections HAVING max(rowid) IS NOT NULL"""
STEP: Final = 500


def enter(connection: sqlite3.Connection, inspection: Inspection) -> bool:
    """A new inspection; False if it is there already."""
    place = inspection.place
    created = connection.execute(
        "INSERT OR IGNORE INTO catalogue (id, received_at, line, recipe, serial) VALUES (?, ?, ?, ?, ?)",
        (inspection.inspection_id, inspection.received_at.timestamp(), place.line, inspection.recipe, place.serial),
    )
    return created.rowcount > 0


def revise(connection: sqlite3.Connection, inspection: Inspection, revision: Revision) -> None:
    """Its new latest revision: what it is found by from now on, and what it adds to the counts."""
    identity = inspection.inspection_id
    enter(connection, inspection)  # where a gate of an earlier release has opened it meanwhile
    number, counted = connection.execute("SELECT number, counted FROM catalogue WHERE id = ?", (identity,)).fetchone()
    earlier = _revisions(connection, identity, revision.number) if revision.number > 1 else []
    history = [*earlier, revision]
    if whole := len(history) == revision.number:
        _count(connection, inspection, added(inspection, history, counted))
    else:
        log.error("rollup.left_out", inspection_id=identity, reason="an earlier revision of it can't be read")
    connection.execute(
        "UPDATE catalogue SET verdict = ?, decided_by = ?, waiting = ?, counted = ? WHERE number = ?",
        (
            revision.decision.verdict.value,
            (By.PERSON if revision.decided_by.is_person else By.MACHINE).value,
            awaits_answer(inspection.manifest, revision),
            revision.number if whole else counted,
            number,
        ),
    )
    if revision.number > 1:
        connection.execute("DELETE FROM marks WHERE number = ?", (number,))
    at = inspection.received_at.timestamp()
    connection.executemany(
        "INSERT OR IGNORE INTO marks VALUES (?, ?, ?)",
        [(mark, at, number) for mark in marks(inspection.manifest, history)],
    )


def remove(connection: sqlite3.Connection, inspection_id: str) -> None:
    """What it is found by; what it added to the counts stays."""
    connection.execute("DELETE FROM marks WHERE number = (SELECT number FROM catalogue WHERE id = ?)", (inspection_id,))
    connection.execute("DELETE FROM catalogue WHERE id = ?", (inspection_id,))


def remove_counts(connection: sqlite3.Connection, before: float) -> None:
    """Of the hours that had ended then, in seconds since 1970."""
    connection.execute("DELETE FROM rollups WHERE hour + 3600 <= ?", (before,))


def behind(connection: sqlite3.Connection) -> int:
    """How many inspections, about, are still to be entered."""
    noted = connection.execute("SELECT value FROM notes WHERE name = ?", (LEFT,)).fetchone()
    return int(noted[0]) if noted else 0


def fill(connection: sqlite3.Connection) -> bool:
    """Enter some of the inspections that are not in the catalogue yet, the latest first; False where all are.

    Inside a transaction of the caller's. One that can't be read is entered by its id and time alone: a page tells of it.
    """
    rows = connection.execute(
        "SELECT rowid, id, received_at, document FROM inspections WHERE rowid <= ? ORDER BY rowid DESC LIMIT ?",
        (behind(connection), STEP),
    ).fetchall()
    for _, identity, received_at, document in rows:
        for inspection in readable(lambda text: load_json(Inspection, text), [(identity, document)]):
            if enter(connection, inspection) and inspection.revision is not None:
                revise(connection, inspection, inspection.revision)
        connection.execute("INSERT OR IGNORE INTO catalogue (id, received_at) VALUES (?, ?)", (identity, received_at))
    if more := len(rows) == STEP:
        connection.execute("UPDATE notes SET value = ? WHERE name = ?", (str(rows[-1][0] - 1), LEFT))
    else:
        connection.execute("DELETE FROM notes WHERE name = ?", (LEFT,))
    return more


def make_beside(connection: sqlite3.Connection, missing: Sequence[str]) -> None:
    """All of it in temporary tables, and the empty tables of `missing` migrations, for a connection that may change nothing."""
    tables = [each for each in missing if each.startswith("CREATE TABLE") and each not in SCHEMA]
    connection.execute("BEGIN")
    for statement in ("CREATE TABLE notes (name TEXT PRIMARY KEY, value TEXT NOT NULL)", *tables, *SCHEMA):
        connection.execute(statement.replace("CREATE TABLE", "CREATE TEMP TABLE IF NOT EXISTS", 1))
    connection.execute(REMEMBER)
    while fill(connection):
        pass
    connection.execute("COMMIT")


def _revisions(connection: sqlite3.Connection, inspection_id: str, below: int) -> Sequence[Revision]:
    query = "SELECT inspection_id, document FROM revisions WHERE inspection_id = ? AND number < ? ORDER BY number"
    rows = connection.execute(query, (inspection_id, below)).fetchall()
    return readable(lambda text: load_json(Revision, text), rows)


def _count(connection: sqlite3.Connection, inspection: Inspection, counters: Mapping[str, int]) -> None:
    where = (inspection.place.line, int(hour(inspection).timestamp()), inspection.recipe)
    connection.executemany(
        """INSERT INTO rollups VALUES (?, ?, ?, ?, ?)
        ON CONFLICT (line, hour, recipe, counter) DO UPDATE SET value = value + excluded.value""",
        [(*where, counter, value) for counter, value in counters.items()],
    )

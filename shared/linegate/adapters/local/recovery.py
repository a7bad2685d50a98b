"""What can be read of a damaged database goes into a new one, which takes its place; the damaged one is set aside."""

import json
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from linegate.adapters.local import catalogue
from linegate.adapters.local.database import Database
from linegate.adapters.local.storage import count_from_now
from linegate.answers import Refusal
from linegate.challenges import Challenge
from linegate.errors import TransientError
from linegate.inspection import Check, Inspection, OutboxEntry, Revision
from linegate.line.handshake import State
from linegate.stored import load_json

# In this order: what hangs on nothing else comes first. ▶ what its documents are
TABLES: Final[Mapping[str, type | None]] = {
    "objects": None,
    "inspections": Inspection,
    "checks": Check,
    "revisions": Revision,
    "refusals": Refusal,
    "outbox": OutboxEntry,
    "disabled_targets": None,
    "challenges": Challenge,
    "handshakes": State,
    "messages": None,
    "notes": None,
}
# What an inspection that is begun anew must not find: a verdict that it did not come to stands in the way of its own. A
# notification stays where nobody knows the picture any more.
ORPHANS: Final = (
    "DELETE FROM checks WHERE inspection_id NOT IN (SELECT id FROM inspections)",
    "DELETE FROM refusals WHERE inspection_id NOT IN (SELECT id FROM inspections)",
    "DELETE FROM revisions WHERE number > coalesce((SELECT revision FROM inspections WHERE id = inspection_id), 0)",
    """DELETE FROM outbox WHERE inspection_id IN (SELECT inspection_id FROM objects)
        AND revision > coalesce((SELECT i.revision FROM inspections i WHERE i.id = outbox.inspection_id), 0)""",
)
# Without a number for each row that they could be asked for by
UNNUMBERED: Final = frozenset(
    {"checks", "revisions", "refusals", "disabled_targets", "challenges", "handshakes", "notes"}
)
FRESH: Final = ".recovered.db"  # until it takes the damaged one's place
FILES: Final = ("", "-wal", "-shm")  # of one database
STEP: Final = 1000
# A damaged page holds the rows of so many numbers, or fewer, even where it only leads to others.
GAP: Final = 20_000
_KINDS: Final = {"INTEGER": int, "REAL": int | float, "TEXT": str, "BLOB": bytes}

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Recovered:
    """What came of a recovery. `tables` tells of each table how many rows were saved, and how many rows or stretches of them
    could not be read.
    """

    aside: Path
    tables: Mapping[str, tuple[int, int]]
    inspections: frozenset[str]  # ids of those that were saved


def recover(damaged: Path) -> Recovered:
    """For whoever holds the lock of the folder. Raises TransientError; the damaged database then stands where it stood."""
    folder = damaged.parent
    fresh = folder / FRESH
    for ending in FILES:
        Path(f"{fresh}{ending}").unlink(missing_ok=True)
    with closing(Database(fresh)) as database, _at_full_length(damaged):
        tables = {table: _save(damaged, database, table) for table in TABLES}
        for orphans in ORPHANS:
            database.write(partial(_executed, orphans))
        database.write(partial(_executed, catalogue.REMEMBER))
        while database.write(catalogue.fill):  # what pages are found by, and the counts of what was saved
            pass
        count_from_now(database)  # which numbers were given is known no more
        known = frozenset(row[0] for row in database.read("SELECT id FROM inspections"))
    aside = _aside(folder)
    for ending in reversed(FILES):  # the log of the one must not be taken for the other's
        with suppress(FileNotFoundError):
            os.rename(f"{damaged}{ending}", f"{aside}{ending}")
    os.rename(fresh, damaged)
    return Recovered(aside, tables, known)


def _aside(folder: Path) -> Path:
    """A name that no earlier recovery has used."""
    name = f"linegate-broken-{time.strftime('%Y%m%d-%H%M%S')}"
    names = (folder / f"{name}{mark}.db" for mark in ("", *(f"-{number}" for number in range(2, 100))))
    return next(path for path in names if not path.exists())


@contextmanager
def _at_full_length(path: Path) -> Iterator[None]:
    """A file that was cut off is read as if zeros stood where it ends: SQLite reads nothing of one that is too short."""
    with path.open("r+b") as file:
        head, size = file.read(32), os.fstat(file.fileno()).st_size
        page = int.from_bytes(head[16:18], "big")
        whole = (65536 if page == 1 else page) * int.from_bytes(head[28:32], "big")
        short = head.startswith(b"SQLite format 3\0") and size < whole
        if short:
            file.truncate(whole)
        try:
            yield
        finally:
            if short:
                file.truncate(size)


def _save(damaged: Path, database: Database, table: str) -> tuple[int, int]:
    """Copy the rows of a table that can be read and make sense; how many there were, and how many gaps or rows are lost."""
    columns = {
        row[0]: row[1:] for row in database.read(f"SELECT name, type, [notnull] FROM pragma_table_info('{table}')")
    }
    marks = ",".join("?" * len(columns))
    insert = f"INSERT OR IGNORE INTO {table} ({','.join(columns)}) VALUES ({marks})"
    saved = lost = 0
    rows: list[Row] = []
    for row in _readable(damaged, table, list(columns)):
        if row is not None and _makes_sense(table, columns, row):
            rows.append(row)
        else:
            lost += 1
        if len(rows) == STEP:
            saved += database.write(partial(_inserted, insert, rows))
            rows = []
    return saved + database.write(partial(_inserted, insert, rows)), lost


def _inserted(insert: str, rows: list[Row], connection: sqlite3.Connection) -> int:
    return max(0, connection.executemany(insert, rows).rowcount)


def _executed(statement: str, connection: sqlite3.Connection) -> None:
    connection.execute(statement)


def _makes_sense(table: str, columns: Mapping[str, tuple[str, int]], row: Row) -> bool:
    """Whether the gate can work with a row: SQLite keeps no checksums, so a flipped byte is only seen in what it spoils."""
    for (kind, required), value in zip(columns.values(), row, strict=True):
        if not isinstance(value, _KINDS[kind]) and (required or value is not None):
            return False
    named, model = dict(zip(columns, row, strict=True)), TABLES[table]
    try:
        if model is not None:
            document: object = load_json(model, named["document"])
            return not isinstance(document, Inspection) or document.inspection_id == named["id"]
        return table != "messages" or isinstance(json.loads(named["attributes"]), dict)
    except (ValueError, TransientError):
        return False


def _readable(damaged: Path, table: str, names: list[str]) -> Iterator[Row | None]:
    """The rows of a damaged file; None for each gap between them."""
    try:
        with closing(sqlite3.connect(f"{damaged.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            known = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
            selected = ", ".join(name if name in known else "''" for name in names)
            read = _by_key if table in UNNUMBERED else _by_number
            if known:
                yield from read(connection, table, selected)
    except sqlite3.Error:
        yield None


def _by_number(connection: sqlite3.Connection, table: str, selected: str) -> Iterator[Row | None]:
    """Rows by their numbers. Behind a damaged page, from the next number that can be asked for."""
    number = reached = 0
    while number - reached <= GAP:
        try:
            query = f"SELECT rowid, {selected} FROM {table} WHERE rowid > ? ORDER BY rowid"
            for row in connection.execute(query, (number,)):
                if row[0] <= number:
                    raise sqlite3.DatabaseError("a damaged page leads back")
                if number > reached:
                    yield None
                number = reached = row[0]
                yield row[1:]
            break
        except sqlite3.Error:
            number += 1
    if number > reached:
        yield None


def _by_key(connection: sqlite3.Connection, table: str, selected: str) -> Iterator[Row | None]:
    """Rows forwards and backwards: a damaged page ends the one way, and often leaves the other open."""
    for direction in ("ASC", "DESC"):
        try:
            yield from connection.execute(f"SELECT {selected} FROM {table} ORDER BY 1 {direction}")
            return
        except sqlite3.Error:
            yield None

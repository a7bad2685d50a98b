"""`linegate recover`: a damaged database is set aside, what can be read of it goes into a new one, and what could not is listed.

Uploads and archive stay as they are. An upload whose inspection could not be saved is inspected again; what was archived is not.
"""

import argparse
import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final

from linegate import config
from linegate.adapters.local.database import Database
from linegate.commands.arguments import add_config
from linegate.edge.runtime import DATABASE, data_folder, lock
from linegate.errors import UsageError

# In this order: what hangs on nothing else comes first.
TABLES: Final = ("objects", "inspections", "checks", "revisions", "outbox", "disabled_targets", "messages", "notes")
STEP: Final = 1000


arguments = add_config


def run(options: argparse.Namespace) -> int:
    """Set the database aside, save what can be read, tell what could not. 0. Raises UsageError, ConfigError, TransientError."""
    data = data_folder(config.load(options.config))
    if not (data / DATABASE).exists():
        raise UsageError(f"there is no database {data / DATABASE} to recover")
    with closing(lock(data)):  # raises ConfigError while a gate runs
        aside = data / f"linegate-broken-{time.strftime('%Y%m%d-%H%M%S')}.db"
        for ending in ("", "-wal", "-shm"):
            with suppress(FileNotFoundError):
                os.rename(data / f"{DATABASE}{ending}", f"{aside}{ending}")
        with closing(Database(data / DATABASE)) as database:
            for table in TABLES:
                saved, lost = _save(aside, database, table)
                print(f"{table}: {saved} saved" + (f", {lost} stretches could not be read" if lost else ""))
            unknown = sorted(set(_results(data)) - {row[0] for row in database.read("SELECT id FROM inspections")})
    print(f"the damaged database is kept as {aside}")
    for identity in unknown:
        print(f"not recovered: the verdict of inspection {identity}; its picture is in {data / 'results' / identity}")
    print("uploads and archive are as they were; start the gate, and what has no verdict is inspected again")
    return 0


def _save(aside: Path, database: Database, table: str) -> tuple[int, int]:
    """Copy the rows of a table that can be read; how many there were, and how many stretches were lost."""
    names = str(database.read(f"SELECT group_concat(name) FROM pragma_table_info('{table}')")[0][0])
    saved = lost = 0
    for rows in _readable(aside, table, names):
        if rows is None:
            lost += 1
            continue
        marks = ",".join("?" * (names.count(",") + 1))
        insert = f"INSERT OR IGNORE INTO {table} ({names}) VALUES ({marks})"
        saved += database.write(partial(_inserted, insert, rows))
    return saved, lost


def _inserted(insert: str, rows: list[tuple[Any, ...]], connection: sqlite3.Connection) -> int:
    return connection.executemany(insert, rows).rowcount


def _readable(aside: Path, table: str, names: str) -> Iterator[list[tuple[Any, ...]] | None]:
    """The rows of a damaged file in pieces; None for each piece that can't be read.

    Forwards and backwards: a damaged page ends the one way, and often leaves the other open.
    """
    for direction in ("ASC", "DESC"):
        rows: list[tuple[Any, ...]] = []
        try:
            with closing(sqlite3.connect(f"file:{aside}?mode=ro", uri=True)) as connection:
                known = {row[1] for row in connection.execute(f"PRAGMA table_info({table})")}
                shared = [name for name in names.split(",") if name in known]
                if not shared:
                    return
                key = {"objects": "generation", "messages": "id"}.get(table, shared[0])
                for row in connection.execute(f"SELECT {','.join(shared)} FROM {table} ORDER BY {key} {direction}"):
                    values = dict(zip(shared, row, strict=True))
                    rows.append(tuple(values.get(name, "") for name in names.split(",")))
                    if len(rows) == STEP:
                        yield rows
                        rows = []
            yield rows
            return
        except sqlite3.Error:
            yield rows
            yield None


def _results(data: Path) -> Iterator[str]:
    with suppress(OSError):
        yield from (folder.name for folder in (data / "results").iterdir() if folder.is_dir())

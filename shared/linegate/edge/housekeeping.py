"""Removes what is older than `edge.retention_days`: pictures, verdicts and everything that hangs on them."""

import os
import shutil
import sqlite3
import time
from pathlib import Path

from linegate.adapters.local.database import Database
from linegate.logs import log
from linegate.settings import Settings

BATCH = 500


def remove_expired(database: Database, settings: Settings) -> int:
    """Remove decided inspections past their retention; returns how many. Undecided ones stay, however old."""
    cutoff = time.time() - settings.edge.retention_days * 86_400
    total = 0
    while True:
        rows = database.read(
            "SELECT id FROM inspections WHERE received_at < ? AND revision > 0 LIMIT ?", (cutoff, BATCH)
        )
        for (inspection_id,) in rows:
            _remove(database, settings, inspection_id)
        total += len(rows)
        if len(rows) < BATCH:
            break
    if total:
        log.info("housekeeping.removed", inspections=total)
    return total


def _remove(database: Database, settings: Settings, inspection_id: str) -> None:
    """Files first: if the process dies in between, the rows are still there to find the rest by."""
    data, bucket = settings.data, settings.storage.results_bucket
    for (raw,) in database.read("SELECT path FROM objects WHERE inspection_id = ?", (inspection_id,)):
        Path(os.fsdecode(raw)).unlink(missing_ok=True)
    shutil.rmtree(data / "results" / inspection_id, ignore_errors=True)
    for name in (inspection_id, f"{inspection_id}.json"):
        (data / "quarantine" / name).unlink(missing_ok=True)

    def work(connection: sqlite3.Connection) -> None:
        for table in ("checks", "revisions", "outbox", "objects"):
            connection.execute(f"DELETE FROM {table} WHERE inspection_id = ?", (inspection_id,))
        for name in (f"results/{inspection_id}", f"quarantine/{inspection_id}"):
            span = (bucket, name, f"{name}~")  # all names that begin so, by index
            connection.execute("DELETE FROM objects WHERE bucket = ? AND name >= ? AND name < ?", span)
        connection.execute("DELETE FROM inspections WHERE id = ?", (inspection_id,))

    database.write(work)

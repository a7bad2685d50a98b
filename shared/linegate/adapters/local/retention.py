"""Records by their age, and their removal."""

import sqlite3

from linegate.adapters.local import catalogue
from linegate.adapters.local.database import Database, Rows
from linegate.shift_report import REPORT

NOTE = "removed_until"


def oldest(rows: Rows) -> float | None:
    """When the first inspection that is left was received, in seconds since 1970."""
    ((received_at,),) = rows.read("SELECT min(received_at) FROM inspections")
    return None if received_at is None else float(received_at)


def removed_until(rows: Rows) -> float | None:
    """Up to when everything decided has been removed, as it was noted; None before the first time."""
    found = rows.read("SELECT value FROM notes WHERE name = ?", (NOTE,))
    return float(found[0][0]) if found else None


def note_removed_until(database: Database, seconds: float) -> None:
    """The counts of the time before go with it, and the reports that were made of them and are done."""

    def work(connection: sqlite3.Connection) -> None:
        span = (REPORT, f"{REPORT}~", seconds)  # all ids that begin so, by index
        connection.execute(
            """DELETE FROM outbox WHERE inspection_id >= ? AND inspection_id < ? AND created_at < ?
            AND state NOT IN ('PENDING', 'HELD')""",
            span,
        )
        connection.execute("REPLACE INTO notes VALUES (?, ?)", (NOTE, repr(seconds)))
        catalogue.remove_counts(connection, seconds)

    database.write(work)


def decided_before(rows: Rows, seconds: float, limit: int) -> list[str]:
    """Ids of inspections that were received before then and have a verdict."""
    query = "SELECT id FROM inspections WHERE received_at < ? AND revision > 0 LIMIT ?"
    return [identity for (identity,) in rows.read(query, (seconds, limit))]


def remove(database: Database, inspection_id: str, results_bucket: str) -> None:
    """Remove an inspection with all that hangs on it, its objects in the index included; the files are left."""

    def work(connection: sqlite3.Connection) -> None:
        for table in ("checks", "revisions", "refusals", "outbox", "objects"):
            connection.execute(f"DELETE FROM {table} WHERE inspection_id = ?", (inspection_id,))
        for name in (f"results/{inspection_id}", f"quarantine/{inspection_id}"):
            span = (results_bucket, name, f"{name}~")  # all names that begin so, by index
            connection.execute("DELETE FROM objects WHERE bucket = ? AND name >= ? AND name < ?", span)
        catalogue.remove(connection, inspection_id)
        connection.execute("DELETE FROM inspections WHERE id = ?", (inspection_id,))

    database.write(work)

"""Inspections for a person, and as `list` and `show` read them from the database of a gate that may be running."""

import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote

from linegate.codec import codec
from linegate.config import command
from linegate.errors import TransientError, UsageError
from linegate.inspection import Inspection
from linegate.settings import Settings


def summary(inspection: Inspection) -> dict[str, Any]:
    """One inspection as plain data, as far as a list tells of it."""
    revision, place = inspection.revision, inspection.place
    return {
        "inspection_id": inspection.inspection_id,
        "board": place.board,
        "line": place.line,
        "station": place.station,
        "serial": place.serial,
        "received_at": inspection.received_at.isoformat(),
        "decided_at": revision.decided_at.isoformat() if revision else None,
        "verdict": revision.decision.verdict.value if revision else None,
        "reasons": list(revision.decision.reasons) if revision else [],
    }


def opened(settings: Settings) -> sqlite3.Connection:
    """The gate's database, to read only. Raises UsageError, TransientError."""
    path = settings.data / "linegate.db"
    if not path.is_file():
        raise UsageError(f"nothing was inspected here yet: there is no {path}")
    try:
        return sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=10, isolation_level=None)
    except sqlite3.Error as error:
        raise TransientError(f"{path} can't be opened: {error}") from error


def rows(connection: sqlite3.Connection, query: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
    try:
        return connection.execute(query, tuple(values)).fetchall()
    except sqlite3.Error as error:
        raise TransientError(f"linegate.db can't be read: {error}") from error


def inspection_of(text: str) -> Inspection:
    try:
        return codec(Inspection).validate_json(text)
    except ValueError as error:
        raise TransientError(f"linegate.db is damaged; stop the gate, then: {command()} recover") from error


def described(defect: Mapping[str, Any]) -> str:
    """Class, confidence and place of what `notification.defect` gives, for a person."""
    box = defect["box"]
    where = f"x {box['x']:.0f}, y {box['y']:.0f}, {box['width']:.0f} by {box['height']:.0f} px"
    return f"{defect['class']} {defect['confidence']:.2f}  {where}"


def local(moment: datetime) -> str:
    """In the time of this machine, to the second."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")

"""Inspections for a person, and as `list` and `show` read them from the database of a gate that may be running."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from linegate.adapters.local.database import DATABASE, ReadOnly
from linegate.errors import UsageError
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
        "fault": inspection.fault,
    }


def opened(settings: Settings) -> ReadOnly:
    """The gate's database. Raises UsageError, TransientError."""
    path = settings.data / DATABASE
    if not path.is_file():
        raise UsageError(f"nothing was inspected here yet: there is no {path}")
    return ReadOnly(path)


def described(defect: Mapping[str, Any]) -> str:
    """Class, confidence and place of what `notification.defect` gives, for a person."""
    box = defect["box"]
    where = f"x {box['x']:.0f}, y {box['y']:.0f}, {box['width']:.0f} by {box['height']:.0f} px"
    return f"{defect['class']} {defect['confidence']:.2f}  {where}"


def local(moment: datetime) -> str:
    """In the time of this machine, to the second."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")

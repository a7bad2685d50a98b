"""How the machine beside the line stands: what `status` says first, since nothing else counts while one of these is wrong."""

import shutil
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from linegate.adapters.local import folders
from linegate.adapters.local.lock import holder
from linegate.edge.archive import UPLOADS_FOLDER
from linegate.edge.intake import counts
from linegate.ports import Inspections
from linegate.settings import Settings

# Below this much free space, or this part of the disk, a person should make room.
SPACE: Final = 1 << 30
SPACE_RATIO: Final = 0.02
# Uploads are decided and archived within seconds; later than that somebody should look.
PATIENCE_S: Final = 60.0
SKEW_S: Final = 60.0
AFTER_ALL_DEADLINES: Final = datetime.max.replace(tzinfo=UTC)
MOST_WAITING: Final = 1000
MOST_TOLD: Final = 3


def look(settings: Settings) -> dict[str, Any]:
    """Runtime, disk, uploads and the clock, as plain data (seconds since 1970, bytes). Works beside a running gate."""
    data, now = settings.data, time.time()
    process, since = holder(data)
    usage = shutil.disk_usage(_existing(data))
    waiting = list(_waiting(data))
    return {
        "at": now,
        "runtime": {"running": process is not None, "process": process, "since": since},
        "disk": {"free_bytes": usage.free, "free_part": round(usage.free / usage.total, 4) if usage.total else 0.0},
        "uploads": {"waiting": len(waiting), "oldest": min(waiting, default=None)},
    }


def faults(inspections: Inspections) -> list[str]:
    """What keeps products from their verdicts at this moment: those that wait for it go to REVIEW at their deadline."""
    waiting = inspections.overdue(AFTER_ALL_DEADLINES, MOST_WAITING)
    return sorted({inspection.fault for inspection in waiting if inspection.fault})


def worries(state: dict[str, Any], newest_record: float | None = None, waits_for: Sequence[str] = ()) -> list[str]:
    """What a person must know before anything else, worst first; empty on a good day. `waits_for` are `faults`."""
    found = []
    if not state["runtime"]["running"]:
        found.append("The gate is NOT RUNNING: no board is inspected.")
    disk = state["disk"]
    if nearly_full(disk["free_bytes"], disk["free_part"]):
        left = f"{disk['free_bytes'] / (1 << 20):,.0f} MiB ({disk['free_part']:.1%})"
        found.append(f"The disk is nearly FULL: {left} free. Make room, or shorten edge.retention_days.")
    found += [f"Boards WAIT, and will go to REVIEW at their deadline: {fault}" for fault in waits_for[:MOST_TOLD]]
    oldest = state["uploads"]["oldest"]
    if oldest is not None and state["at"] - oldest > PATIENCE_S:
        found.append(f"A picture has been lying in uploads/ for {ago(state['at'] - oldest)}.")
    if newest_record is not None and newest_record > state["at"] + SKEW_S:
        ahead = ago(newest_record - state["at"])
        found.append(f"The CLOCK is wrong: the newest record was made {ahead} after what it says now.")
    return found


def nearly_full(free_bytes: int, free_part: float) -> bool:
    return free_bytes < SPACE or free_part < SPACE_RATIO


def ago(seconds: float) -> str:
    """A span in the largest unit that tells it: "40 s", "12 min", "3.5 h", "2 days"."""
    for size, unit in ((86_400, "days"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}" if seconds >= 10 * size else f"{seconds / size:.1f} {unit}"
    return f"{seconds:.0f} s"


def _existing(path: Path) -> Path:
    """The folder itself, or the nearest one above it that there is."""
    return next(folder for folder in (path, *path.resolve().parents) if folder.is_dir())


def _waiting(data: Path) -> Iterator[float]:
    """When each file in uploads/ was last written that is to be inspected; links and hidden files are none."""
    with suppress(OSError), folders.entered(data, [UPLOADS_FOLDER]) as uploads:
        for folder, names, descriptor in folders.walk(uploads):
            for name in names:
                found = folders.status(name, descriptor)
                if found and counts(folder / name):
                    yield found.st_mtime

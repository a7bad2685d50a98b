"""Removes what is older than `edge.retention_days`: pictures, verdicts and everything that hangs on them.

A clock that is wrong must not empty the archive. So what is removed follows the time that the gate has run, not the time of day
alone: from one run to the next at most a day's worth, and nothing at all while the clock disagrees with the newest records.
"""

import os
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from linegate.adapters.local import folders, retention
from linegate.adapters.local.database import Database
from linegate.adapters.local.queries import SqliteQueries
from linegate.adapters.local.storage import inside
from linegate.adapters.local.uploads import files
from linegate.errors import ObjectMissingError
from linegate.logs import log
from linegate.settings import Settings

BATCH: Final = 500
DAY_S: Final = 86_400.0
# A line may stand still for so long; a larger gap between the newest record and now looks like a clock that was set.
GAP_S: Final = 14 * DAY_S
# After such a gap, how long the gate must have run before anything is removed.
PROBATION_S: Final = DAY_S


class Housekeeper:
    """Called every hour or so. `clock` tells seconds since 1970, `running` seconds that go on whatever the clock is set to."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        clock: Callable[[], float] = time.time,
        running: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database, self._settings = database, settings
        self._clock, self._running = clock, running
        self._trusted_from = 0.0
        self._ahead = clock() - running()
        if abs(self._clock() - self._newest()) > GAP_S:
            self._doubt("the newest record is far from now")

    def run(self) -> int:
        """Remove decided inspections past their retention; returns how many. Undecided ones stay, however old."""
        now, ahead = self._clock(), self._clock() - self._running()
        step, self._ahead = ahead - self._ahead, ahead
        if abs(step) > 3600:
            self._doubt("the clock was set")
        if self._running() < self._trusted_from or self._newest() > now + 3600:
            return 0
        wanted = now - self._settings.edge.retention_days * DAY_S
        done = self._removed_until(wanted)
        until = min(wanted, done + DAY_S)
        if wanted - until > DAY_S:
            log.warning("housekeeping.behind", days=round((wanted - until) / DAY_S))
        total = self._remove_before(until)
        retention.note_removed_until(self._database, max(done, until))
        if total:
            log.info("housekeeping.removed", inspections=total)
        return total

    def _doubt(self, reason: str) -> None:
        self._trusted_from = self._running() + PROBATION_S
        log.warning("housekeeping.waits", reason=reason, hours=round(PROBATION_S / 3600))

    def _newest(self) -> float:
        """When the newest inspection was received; now, where there is none to disagree."""
        newest = SqliteQueries(self._database).newest()
        return self._clock() if newest is None else newest.timestamp()

    def _removed_until(self, wanted: float) -> float:
        """Up to when everything decided has been removed; before the first run, where the oldest begins."""
        noted = retention.removed_until(self._database)
        if noted is not None:
            return noted
        oldest = retention.oldest(self._database)
        return wanted if oldest is None else min(wanted, oldest)

    def _remove_before(self, cutoff: float) -> int:
        total = 0
        while True:
            ids = retention.decided_before(self._database, cutoff, BATCH)
            for inspection_id in ids:
                _remove(self._database, self._settings, inspection_id)
            total += len(ids)
            if len(ids) < BATCH:
                return total


def _remove(database: Database, settings: Settings, inspection_id: str) -> None:
    """Files first: if the process dies in between, the rows are still there to find the rest by."""
    root = settings.data.absolute()
    for path in files(database, inspection_id):
        _unlink(root, path)
    for name in (inspection_id, f"{inspection_id}.json"):
        _unlink(root, root / "quarantine" / name)
    with suppress(OSError), folders.entered(root, ["results"]) as results:
        shutil.rmtree(inspection_id, ignore_errors=True, dir_fd=results)
    retention.remove(database, inspection_id, settings.storage.results_bucket)


def _unlink(root: Path, path: Path) -> None:
    """Remove a file below the root, if it is there; no link is followed."""
    with suppress(OSError, ObjectMissingError):
        *parts, name = inside(root, path)
        with folders.entered(root, parts) as folder:
            os.unlink(name, dir_fd=folder)

"""The runtime beside a line: intake, bus, functions and clock in one process."""

import fcntl
import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TextIO

from linegate import bootstrap
from linegate.adapters.local import folders
from linegate.adapters.local.bus import LocalBus
from linegate.adapters.local.database import DATABASE, Database
from linegate.adapters.local.handshakes import forget_links
from linegate.adapters.local.lock import LOCK
from linegate.adapters.local.storage import HASHED, TEMPORARY, count_from_now, has_counted
from linegate.edge.ability import Ability, seldom
from linegate.edge.archive import ARCHIVE_FOLDER, ASIDE_FOLDER, UPLOADS_FOLDER
from linegate.edge.dispatcher import Dispatcher
from linegate.edge.functions import Response, in_process, load_all
from linegate.edge.housekeeping import Housekeeper
from linegate.edge.intake import Intake
from linegate.edge.lines import Lines
from linegate.edge.workers import WorkerPool
from linegate.errors import ConfigError, LinegateError
from linegate.events import to_message
from linegate.logs import log
from linegate.messages import SweepDue
from linegate.settings import Settings
from linegate.stages import STAGES, SWEEPS

HOUSEKEEPING_S = 3600.0
# Without workers, how often the gate looks whether what its recipes need is there.
BUILT_S = 5.0
# What the data folder holds besides files.
FOLDERS = (UPLOADS_FOLDER, ARCHIVE_FOLDER, ASIDE_FOLDER, TEMPORARY, HASHED, "results", "quarantine")
FILES = (LOCK, bootstrap.SESSION_KEY, DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm")
# What is under way may take this long when the process is asked to stop; service managers wait ten seconds and more.
GRACE_S = 7.0


class Runtime:
    """`start` it, let it run, `stop` it: what is under way is finished, the rest stays on the disk."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        bootstrap.look_for_packages(settings)
        data = data_folder(settings)
        self._lock = lock(data)
        with folders.entered(settings.data, [TEMPORARY], create=True) as incoming:
            for leftover in os.scandir(incoming):  # written to by a process that died
                os.unlink(leftover.name, dir_fd=incoming)
        try:
            self.database = open_database(settings)
            if _starts_anew(self.database, data):
                count_from_now(self.database)
        except LinegateError:
            self._lock.close()
            raise
        self.bus = LocalBus(self.database, settings.in_order)
        self.app = bootstrap.local(settings, self.database, self.bus)
        self._here = in_process(self.app)
        self._worked = settings.worked_stages
        self.workers = WorkerPool(settings, self._worked) if self._worked else None
        self.dispatcher = Dispatcher(self.bus, settings, self._deliver)
        self.lines = Lines(self.app)
        self.intake = Intake(self.database, self.bus, settings, self.lines.pictured)
        self._housekeeper = Housekeeper(self.database, settings)
        self._stopping = threading.Event()
        self._clocks = [
            threading.Thread(
                target=self._every, args=(settings.edge.sweep_s, self._sweep), name="linegate-sweep", daemon=True
            ),
            threading.Thread(
                target=self._every, args=(HOUSEKEEPING_S, self._keep_house), name="linegate-housekeeping", daemon=True
            ),
        ]

    def start(self) -> None:
        if self.workers:
            self.workers.start()
        forget_links(self.database)
        load_all(self._own_stages)
        self.app.warm_up(self._own_stages)
        self.app.look_for_goldens()
        self.app.look_for_shortfalls()
        # So that a person sees where pictures belong
        for line in (*self.settings.lines, *self.settings.challenge_lines):
            with folders.entered(self.settings.data, [UPLOADS_FOLDER, line], create=True):
                pass
        self.dispatcher.start()
        self.intake.start()
        self.lines.start(Ability(self.settings, self.database, self.dispatcher, self.intake, self._built()))
        for clock in self._clocks:
            clock.start()
        log.info("runtime.started", data=str(self.settings.data), lines=sorted(self.settings.lines))

    def stop(self, grace_s: float = GRACE_S) -> bool:
        """Take nothing new, finish what is under way, close the database.

        False if something was still under way after `grace_s` seconds: it is left behind, and the process should end, for what
        was not finished is begun anew by the next start.
        """
        until = time.monotonic() + grace_s
        self._stopping.set()
        finished = self.intake.stop(until - time.monotonic())
        finished &= self.lines.stop(until - time.monotonic())
        finished &= self.dispatcher.stop(until - time.monotonic())
        if self.workers:
            self.workers.stop(until - time.monotonic())
        for clock in self._clocks:
            clock.join(max(0.0, until - time.monotonic()))
            finished &= not clock.is_alive()
        self.app.close()
        if finished:
            self.database.close()
        self._lock.close()
        log.info("runtime.stopped", finished=finished)
        return finished

    def _deliver(self, stage: str, body: dict[str, Any]) -> Response:
        return self.workers.deliver(stage, body) if self.workers and stage in self._worked else self._here(stage, body)

    @property
    def _own_stages(self) -> list[str]:
        return [stage for stage in STAGES if stage not in self._worked]

    def _built(self) -> Callable[[str], str]:
        return self.workers.why_not if self.workers else seldom(lambda: self.app.lacking(self._own_stages), BUILT_S)

    def _every(self, seconds: float, work: Callable[[], None]) -> None:
        while True:
            try:
                work()
            except (LinegateError, OSError) as error:
                log.error("runtime.clock_failed", work=work.__name__, error=str(error))
            if self._stopping.wait(seconds):
                return

    def _sweep(self) -> None:
        if SWEEPS not in self.bus.backlog():
            self.bus.publish(SWEEPS, [to_message(SweepDue())])

    def _keep_house(self) -> None:
        self._housekeeper.run()


def open_database(settings: Settings) -> Database:
    """The database of the runtime's folder, running or not. Raises ConfigError, TransientError."""
    return Database(data_folder(settings) / DATABASE)


def _starts_anew(database: Database, data: Path) -> bool:
    """Whether the database is new and the folder is not: somebody removed the old one."""
    if has_counted(database):
        return False
    with suppress(OSError):
        return any((data / ARCHIVE_FOLDER).iterdir()) or any((data / "results").iterdir())
    return False


def data_folder(settings: Settings) -> Path:
    """The folder of the runtime, made if it is not there. Raises ConfigError, also where a link stands in it for what is ours."""
    os.umask(settings.umask)  # also for what libraries write, as the database
    try:
        settings.data.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError([f"edge.data: the folder can't be made: {error.strerror}"], str(settings.data)) from error
    _refuse_links(settings.data)
    return settings.data


def _refuse_links(data: Path) -> None:
    """A link in the place of one of the gate's own folders or files leads what it writes where that does not belong."""
    ours = dict.fromkeys(FOLDERS, (Path.is_dir, "no folder")) | dict.fromkeys(FILES, (Path.is_file, "no file"))
    faults = [
        f"edge.data: {path} is {'a link, and the gate follows none' if path.is_symlink() else none}: remove it"
        for name, (fits, none) in ours.items()
        if (path := data / name).is_symlink() or (path.exists() and not fits(path))
    ]
    if faults:
        raise ConfigError(faults, str(data))


def lock(data: Path) -> TextIO:
    """One runtime per folder: two would take each other's leases. The lock goes with the process, however it ends.

    Raises ConfigError while another one has it.
    """
    file = (data / LOCK).open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.seek(0)
        holder = file.read().strip() or "?"
        file.close()
        raise ConfigError([f"edge.data: another runtime (process {holder}) serves this folder"], str(data)) from error
    file.seek(0)
    file.truncate()
    file.write(str(os.getpid()))
    file.flush()
    return file

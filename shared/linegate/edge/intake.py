"""Watches `uploads/`: a complete file gets a generation, an inspection and an event; a decided one moves to `archive/`.

All of it happens in one thread, so that a file is never taken up while it is being archived. Notices of the file system
make it quick; a scan finds what they miss (network shares, a full queue, the time before the start).

A file is complete when its writer says so: it was renamed in, or closed and nobody else writes to it. Where the system can't
tell who writes (a network share, another account's file), it counts when its time and content have not changed for longer.
"""

import os
import queue
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from watchdog.events import FileClosedEvent, FileMovedEvent, FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from linegate.adapters.local import folders
from linegate.adapters.local.bus import LocalBus
from linegate.adapters.local.database import Database
from linegate.adapters.local.folders import Identity
from linegate.adapters.local.uploads import take, without_a_message
from linegate.edge.archive import CHECKSUM_SUFFIX, UPLOADS_FOLDER, Archive
from linegate.errors import LinegateError
from linegate.events import to_message
from linegate.handlers.shot import new_inspection
from linegate.inspection import Inspection, ObjectRef, place_of
from linegate.logs import log
from linegate.messages import ImageUploaded
from linegate.ports import Message
from linegate.settings import Settings
from linegate.stages import UPLOADS

IGNORED_SUFFIX: Final = ".part"
# What is still being written after this time is told, once.
LONG_S: Final = 30.0
NO_PICTURE: Final = "it is no regular file, or a folder that lies too deep; links are not followed"
# A notice may get lost: after this time the file counts like one whose writer can't be told.
ABANDONED_S: Final = 600.0
# Zeros at the end of a file whose writer can't be told from the outside: it may have been given its full size beforehand.
ZEROS, ZEROS_WAIT = 4096, 12


@dataclass(slots=True)
class _Seen:
    """A file that is not complete yet. Times in monotonic seconds."""

    identity: Identity
    digest: str
    since: float
    told: bool = False


class Intake:
    """Takes up what cameras leave below uploads/."""

    def __init__(
        self,
        database: Database,
        bus: LocalBus,
        settings: Settings,
        taken: Callable[[Inspection], None] = lambda _: None,
    ) -> None:
        self._tell = taken
        self._bus = bus
        self._database = database
        self._settings = settings
        self._root = settings.data.absolute()
        self._bucket = settings.storage.uploads_bucket
        self._settle_s = settings.edge.settle_ms / 1000
        self._share_settle_s = settings.edge.share_settle_ms / 1000
        self._scan_s = settings.edge.scan_ms / 1000
        self._archive = Archive(database, self._root)
        self._noticed: queue.SimpleQueue[_Notice] = queue.SimpleQueue()
        self._writing: dict[Path, float] = {}  # opened for writing and not closed, as far as the file system told
        self._seen: dict[Path, _Seen] = {}
        self._taken: dict[Path, tuple[Identity, int]] = {}
        self._skipped: set[Path] = set()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="linegate-intake", daemon=True)
        self._observer = Observer(generate_full_events=True)  # type: ignore[call-arg]
        with folders.entered(self._root, [UPLOADS_FOLDER], create=True):
            pass

    def start(self) -> None:
        self._archive.put_back()
        self._resume()
        try:
            _do_not_hold_back_notices()
            self._observer.schedule(_Notices(self._noticed), str(self._root / UPLOADS_FOLDER), recursive=True)
            self._observer.start()
        except (OSError, RecursionError) as error:  # no watches left, or a bottomless tree: the scan does it alone
            log.warning("intake.scan_only", reason=str(error))
        self._thread.start()

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def stop(self, grace_s: float) -> bool:
        """Take up nothing more; False if it was still busy, with a disk that does not answer say, after `grace_s` seconds."""
        until = time.monotonic() + grace_s
        self._stopping.set()
        self._noticed.put(_Notice("stop", Path()))
        self._thread.join(max(0.0, grace_s))
        if self._observer.is_alive():
            self._observer.stop()
            self._observer.join(max(0.0, until - time.monotonic()))
        return not self._thread.is_alive()

    def _run(self) -> None:
        next_scan = 0.0
        while not self._stopping.is_set():
            try:
                if time.monotonic() >= next_scan:
                    for changed in self._archive.move():
                        self._taken.pop(changed, None)
                    settling = self._scan()
                    next_scan = time.monotonic() + (
                        min(self._scan_s, max(0.01, self._settle_s)) if settling else self._scan_s
                    )
                if self._listen(next_scan - time.monotonic()):
                    next_scan = 0.0
            except (LinegateError, OSError) as error:
                log.error("intake.failed", error=str(error))
                self._stopping.wait(self._scan_s)
            except Exception:  # without this thread no upload would ever be taken up again
                log.exception("intake.crashed")
                self._stopping.wait(self._scan_s)

    def _listen(self, seconds: float) -> bool:
        """Wait for a notice and follow it; True if the folders must be looked through."""
        with suppress(queue.Empty):
            notice = self._noticed.get(timeout=max(0.0, seconds))
            if notice.what == "folder":
                return True  # its first files may have come before it was watched
            if notice.what != "stop":
                self._hear(notice)
        return False

    def _hear(self, notice: "_Notice") -> None:
        path = notice.path.relative_to(self._root / UPLOADS_FOLDER)
        if not counts(path):
            return
        if notice.what == "writing":
            self._writing.setdefault(path, time.monotonic())
        elif notice.what == "complete":
            self._writing.pop(path, None)
            with suppress(OSError), self._opened(path) as descriptor:
                # An empty one was made to be filled: the scan gives it time.
                if folders.being_written(descriptor) is not True and os.fstat(descriptor).st_size:
                    self._take(path, descriptor)

    def _scan(self) -> bool:
        """Take every file that is complete; True while there are some that are still settling."""
        present: set[Path] = set()
        settling = False
        before = [(known, [*known]) for known in (self._seen, self._taken, self._writing)]
        with folders.entered(self._root, [UPLOADS_FOLDER]) as uploads:
            for folder, names, descriptor in folders.walk(uploads):
                for name in names:
                    if self._stopping.is_set():
                        return False
                    # Thousands of files may lie here: what comes meanwhile must not wait until all of them are taken.
                    settling |= self._listen(0)
                    path = folder / name
                    if not counts(path):
                        continue
                    status = folders.status(name, descriptor)
                    if status is None:
                        self._skip(path)
                        continue
                    present.add(path)
                    if self._taken.get(path) != (Identity.of(status), status.st_ctime_ns):
                        settling |= self._settles(path, status)
        for known, paths in before:
            for path in paths:
                if path not in present:
                    known.pop(path, None)
        return settling

    def _settles(self, path: Path, status: os.stat_result) -> bool:
        """Take the file if it is complete; True if it may soon be."""
        identity, now = Identity.of(status), time.monotonic()
        # What has not changed since long before we looked is as good as watched.
        age = time.time() - max(status.st_mtime, status.st_ctime)
        try:
            with self._opened(path) as descriptor:
                seen = self._seen.get(path)
                written = folders.being_written(descriptor)
                if written is None and path in self._writing and now - self._writing[path] < ABANDONED_S:
                    written = True  # its writer has not closed it
                wait = self._settle_s
                if written is None or not status.st_size:
                    wait = self._share_settle_s * (ZEROS_WAIT if _ends_in_zeros(descriptor, status.st_size) else 1)
                digest = self._digest(descriptor, status.st_size) if written is None else ""
                if seen is None or seen.identity != identity or seen.digest != digest:
                    seen = self._seen[path] = _Seen(identity, digest, now, seen.told if seen else False)
                if written:
                    self._writing.setdefault(path, now)
                    self._still_written(path, seen)
                    return False
                self._writing.pop(path, None)
                if max(now - seen.since, age) < wait:
                    return wait <= self._scan_s
                self._take(path, descriptor)
        except OSError as error:
            if error.errno in folders.GONE:
                return False
            if max(now - self._seen.setdefault(path, _Seen(identity, "", now)).since, age) < self._settle_s:
                return True
            self._register(path, identity, status.st_ctime_ns, "")  # it can't be read: the product's deadline says so
        return False

    def _still_written(self, path: Path, seen: _Seen) -> None:
        if not seen.told and time.monotonic() - self._writing[path] > LONG_S:
            seen.told = True
            log.warning("upload.still_open", object=_name(path), seconds=round(time.monotonic() - self._writing[path]))

    def _skip(self, path: Path) -> None:
        """A link, pipe, socket or device is no picture; said once."""
        if path not in self._skipped:
            self._skipped.add(path)
            log.warning("upload.skipped", object=_name(path), reason=NO_PICTURE)

    def _take(self, path: Path, descriptor: int) -> None:
        """Give the open file its generation, unless it changes meanwhile or its checksum does not fit."""
        before = os.fstat(descriptor)
        digest = self._digest(descriptor, before.st_size)
        after = os.fstat(descriptor)
        if Identity.of(after) != Identity.of(before):
            return  # the scan comes back to it
        wanted = self._checksum(path)
        if wanted and digest and wanted != digest:
            seen = self._seen.setdefault(path, _Seen(Identity.of(after), digest, time.monotonic()))
            if not seen.told:
                seen.told = True
                log.warning(
                    "upload.checksum_differs",
                    object=_name(path),
                    reason=f"it does not fit {path.name}{CHECKSUM_SUFFIX}",
                )
            return
        self._register(path, Identity.of(after), after.st_ctime_ns, digest)

    def _register(self, path: Path, identity: Identity, ctime_ns: int, digest: str) -> None:
        """Publish the file's event and open its inspection, in one transaction: all or nothing, and only once."""
        if self._taken.get(path) == (identity, ctime_ns):
            return
        name, place = _name(path), self._root / UPLOADS_FOLDER / path
        now = datetime.now(UTC)

        begun: list[Inspection] = []

        def begin(image: ObjectRef) -> tuple[Message, Inspection]:
            upload = ImageUploaded(image, identity.size, now)
            # The deadline begins here: a product that waits for its turn is overdue like any other.
            begun[:] = [new_inspection(self._settings, upload, now)[0]]
            return to_message(upload), begun[0]

        image, new = take(self._database, (self._bucket, name), place, identity, digest, begin)
        self._taken[path] = (identity, ctime_ns)
        self._seen.pop(path, None)
        if new:
            log.info("upload.taken", object=name, inspection_id=image.inspection_id, **asdict(place_of(name, {})))
            self._bus.bell.ring()
            self._tell(begun[0])

    def _resume(self) -> None:
        """Uploads that are known but have neither a verdict nor a message under way get their event again."""
        lost = without_a_message(self._database, self._bucket)
        if lost:
            log.info("intake.resumed", uploads=len(lost))
            self._bus.publish(
                UPLOADS, [to_message(ImageUploaded(image, size, datetime.now(UTC))) for image, size in lost]
            )

    @contextmanager
    def _opened(self, path: Path) -> Iterator[int]:
        """A descriptor of the regular file at this path below uploads/. Raises OSError."""
        with folders.entered(self._root, [UPLOADS_FOLDER, *path.parts[:-1]]) as folder:
            descriptor = folders.opened(path.name, folder)
            try:
                yield descriptor
            finally:
                os.close(descriptor)

    def _digest(self, descriptor: int, size: int) -> str:
        """SHA-256 of the content; empty for a file that is too large to be inspected anyway."""
        return "" if size > self._settings.images.max_bytes else folders.digest(descriptor)

    def _checksum(self, path: Path) -> str:
        """What the file of the checksum beside a picture says; empty without one."""
        try:
            with self._opened(path.with_name(path.name + CHECKSUM_SUFFIX)) as descriptor:
                return os.read(descriptor, 64).decode("ascii", "replace").lower()
        except OSError:
            return ""


def counts(path: Path) -> bool:
    """Whether a file at this path below uploads/ is to be inspected: what is hidden, still being sent, or a checksum is not."""
    seen = len(path.parts) <= folders.MOST_FOLDERS + 1 and not any(part.startswith(".") for part in path.parts)
    return seen and path.suffix not in (IGNORED_SUFFIX, CHECKSUM_SUFFIX)


@dataclass(frozen=True, slots=True)
class _Notice:
    what: str  # "complete", "writing", "folder", "stop"
    path: Path


class _Notices(FileSystemEventHandler):
    """Passes on the paths of files that are being written, were closed after writing or renamed in, and of new folders."""

    def __init__(self, noticed: "queue.SimpleQueue[_Notice]") -> None:
        self._noticed = noticed

    def on_closed(self, event: FileSystemEvent) -> None:
        if isinstance(event, FileClosedEvent):
            self._put("complete", event.src_path)

    def on_created(self, event: FileSystemEvent) -> None:
        self._put("folder" if event.is_directory else "writing", event.src_path)

    def on_modified(self, event: FileSystemEvent) -> None:
        if not event.is_directory:
            self._put("writing", event.src_path)

    def on_moved(self, event: FileSystemEvent) -> None:
        if isinstance(event, FileMovedEvent) and event.dest_path:  # else it was moved out of the folder
            self._put("complete", event.dest_path)

    def _put(self, what: str, path: bytes | str) -> None:
        self._noticed.put(_Notice(what, Path(os.fsdecode(path))))


def _do_not_hold_back_notices() -> None:
    """A file that leaves the watched folder, as decided ones do, would hold back all notices for half a second: watchdog waits
    whether it appears in another watched folder. Nothing that is renamed within the folder takes that long.
    """
    with suppress(ImportError):  # another system
        from watchdog.observers.inotify_buffer import InotifyBuffer

        InotifyBuffer.delay = 0.01


def _name(path: Path) -> str:
    """The object name of a file below uploads/."""
    return f"{UPLOADS_FOLDER}/" + os.fsencode(path).decode("utf-8", "replace")


def _ends_in_zeros(descriptor: int, size: int) -> bool:
    tail = os.pread(descriptor, ZEROS, max(0, size - ZEROS))
    return bool(tail) and not any(tail)

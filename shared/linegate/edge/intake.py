"""Watches `uploads/`: a complete file gets a generation and an event, a decided one moves to `archive/`.

All of it happens in one thread, so that a file is never taken up while it is being archived. Notices of the file system
make it quick; a scan finds what they miss (network shares, a full queue, the time before the start).
"""

import json
import os
import queue
import sqlite3
import stat
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from watchdog.events import FileClosedEvent, FileMovedEvent, FileSystemEvent, FileSystemEventHandler
from watchdog.observers import Observer

from linegate.adapters.local.bus import LIVE, Bell, insert
from linegate.adapters.local.database import Database
from linegate.adapters.local.storage import Identity, adopt, link
from linegate.errors import LinegateError, ObjectMissingError
from linegate.events import UPLOADS, ImageUploaded, to_message
from linegate.inspection import ObjectRef
from linegate.logs import log

UPLOADS_FOLDER = "uploads"
ARCHIVE_FOLDER = "archive"
IGNORED_SUFFIX = ".part"
ARCHIVE_BATCH = 200
# Below uploads/, and hidden, as everything the intake leaves alone.
ASIDE_FOLDER = ".aside"


@dataclass(slots=True)
class _Seen:
    identity: Identity
    since: float  # monotonic seconds


class Intake:
    """Takes up what cameras leave below `root`/uploads; `bell` rings after each event that was published."""

    def __init__(self, database: Database, bell: Bell, root: Path, bucket: str, settle_ms: int, scan_ms: int) -> None:
        self._bell = bell
        self._database = database
        self._root = root
        self._uploads = root / UPLOADS_FOLDER
        self._bucket = bucket
        self._settle_s = settle_ms / 1000
        self._scan_s = scan_ms / 1000
        self._noticed: queue.SimpleQueue[Path | None] = queue.SimpleQueue()
        self._seen: dict[Path, _Seen] = {}
        self._taken: dict[Path, Identity] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="linegate-intake", daemon=True)
        self._observer = Observer(generate_full_events=True)  # type: ignore[call-arg]
        self._uploads.mkdir(parents=True, exist_ok=True)

    def start(self) -> None:
        self._put_back()
        self._resume()
        try:
            self._observer.schedule(_Notices(self._noticed), str(self._uploads), recursive=True)
            self._observer.start()
        except OSError as error:  # no watches left, say: the scan does it alone
            log.warning("intake.scan_only", reason=str(error))
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._noticed.put(None)
        self._thread.join()
        if self._observer.is_alive():
            self._observer.stop()
            self._observer.join()

    def _run(self) -> None:
        next_scan = 0.0
        while not self._stopping.is_set():
            try:
                if time.monotonic() >= next_scan:
                    self._archive_decided()
                    settling = self._scan()
                    next_scan = time.monotonic() + (
                        min(self._scan_s, max(0.01, self._settle_s)) if settling else self._scan_s
                    )
                with suppress(queue.Empty):
                    path = self._noticed.get(timeout=max(0.0, next_scan - time.monotonic()))
                    if path is not None and path.is_dir():
                        next_scan = 0.0  # its first files may have come before it was watched
                    elif path is not None and self._counts(path):
                        self._take(path)
            except (LinegateError, OSError) as error:
                log.error("intake.failed", error=str(error))
                self._stopping.wait(self._scan_s)
            except Exception:  # without this thread no upload would ever be taken up again
                log.exception("intake.crashed")
                self._stopping.wait(self._scan_s)

    def _scan(self) -> bool:
        """Take every file that is complete; True while there are some that are still settling."""
        now = time.monotonic()
        present: set[Path] = set()
        settling = False
        for folder, folders, names in os.walk(self._uploads):
            folders[:] = [name for name in folders if not name.startswith(".")]
            for path in (Path(folder, name) for name in names):
                if not self._counts(path):
                    continue
                status = _regular(path)
                if status is None:
                    continue
                present.add(path)
                identity = Identity.of(status)
                if self._taken.get(path) == identity:
                    continue
                seen = self._seen.get(path)
                if seen is None or seen.identity != identity:
                    seen = self._seen[path] = _Seen(identity, now)
                # What has not changed since long before we looked is as good as watched.
                age = time.time() - max(status.st_mtime, status.st_ctime)
                if max(now - seen.since, age) >= self._settle_s:
                    self._take(path)
                else:
                    settling = True
        for known in (self._seen, self._taken):
            for path in [path for path in known if path not in present]:
                del known[path]
        return settling

    def _take(self, path: Path) -> None:
        """Give the file its generation and publish its event, in one transaction: both or neither, and only once."""
        name = f"{UPLOADS_FOLDER}/" + os.fsencode(path.relative_to(self._uploads)).decode("utf-8", "replace")

        def work(connection: sqlite3.Connection) -> tuple[ObjectRef, bool]:
            image = ObjectRef(self._bucket, name, adopt(connection, self._bucket, name, path))
            row = connection.execute(
                "SELECT inspection_id FROM objects WHERE generation = ?", (image.generation,)
            ).fetchone()
            if row[0] is not None:
                return image, False
            connection.execute(
                "UPDATE objects SET inspection_id = ? WHERE generation = ?", (image.inspection_id, image.generation)
            )
            insert(connection, UPLOADS, [to_message(ImageUploaded(image, identity.size, datetime.now(UTC)))])
            return image, True

        status = _regular(path)
        if status is None or self._taken.get(path) == Identity.of(status):
            return
        identity = Identity.of(status)
        try:
            image, new = self._database.write(work)
        except ObjectMissingError:
            return  # gone again: there is nothing to inspect
        self._taken[path] = identity
        self._seen.pop(path, None)
        self._aside(path).parent.mkdir(parents=True, exist_ok=True)
        if new:
            log.info("upload.taken", object=name, inspection_id=image.inspection_id)
            self._bell.ring()

    def _put_back(self) -> None:
        """What a crash left aside goes back: decided, it is archived once more; new, it is taken up."""
        for aside in [path for path in (self._uploads / ASIDE_FOLDER).rglob("*") if path.is_file()]:
            with suppress(FileExistsError):  # a still newer version stands there by now
                link(aside, self._uploads / aside.relative_to(self._uploads / ASIDE_FOLDER))
            aside.unlink(missing_ok=True)

    def _resume(self) -> None:
        """Uploads that are known but have neither a verdict nor a message under way get their event again."""
        undecided = self._database.read(
            """SELECT o.name, o.generation, o.size, o.path, o.inspection_id
            FROM objects o LEFT JOIN inspections i ON i.id = o.inspection_id
            WHERE o.inspection_id IS NOT NULL AND coalesce(i.revision, 0) = 0"""
        )
        alive = [json.loads(text) for (text,) in self._database.read(f"SELECT attributes FROM messages WHERE {LIVE}")]
        under_way = {attributes.get("inspection_id") or attributes.get("objectGeneration") for attributes in alive}
        lost = [
            ImageUploaded(ObjectRef(self._bucket, name, generation), size, datetime.now(UTC))
            for name, generation, size, path, inspection_id in undecided
            if not {inspection_id, str(generation)} & under_way and Path(os.fsdecode(path)).exists()
        ]
        if lost:
            log.info("intake.resumed", uploads=len(lost))
            self._database.write(lambda connection: insert(connection, UPLOADS, [to_message(event) for event in lost]))

    def _archive_decided(self) -> None:
        """Move decided uploads to archive/. At every moment the index names a path where the file is."""
        prefix = os.fsencode(self._uploads) + b"/"
        rows = self._database.read(
            """SELECT o.generation, o.path, o.size, o.mtime_ns, o.inode
            FROM objects o JOIN inspections i ON i.id = o.inspection_id
            WHERE i.revision > 0 AND o.path >= ? AND o.path < ? LIMIT ?""",
            (prefix, prefix[:-1] + b"0", ARCHIVE_BATCH),
        )
        placed: list[tuple[bytes, int, Path]] = []
        for generation, raw, *identity in rows:
            path = Path(os.fsdecode(raw))
            target = self._second_name(generation, path, Identity(*identity))
            if target is not None:
                placed.append((os.fsencode(target), generation, path))
        if not placed:
            return
        self._database.write(
            lambda connection: connection.executemany(
                "UPDATE objects SET path = ? WHERE generation = ?",
                [(target, generation) for target, generation, _ in placed],
            )
        )
        for archived, _, path in placed:
            self._drop_first_name(path, Path(os.fsdecode(archived)))

    def _counts(self, path: Path) -> bool:
        """Files that are still being sent, and what is hidden, are none of ours."""
        hidden = any(part.startswith(".") for part in path.relative_to(self._uploads).parts)
        return not hidden and path.suffix != IGNORED_SUFFIX

    def _second_name(self, generation: int, path: Path, identity: Identity) -> Path | None:
        """Give the file a name below archive/: line/station/serial.generation.ext. None if that has to wait."""
        name = f"{path.stem}.{generation}{path.suffix}"
        if len(os.fsencode(name)) > 255:
            name = f"{generation}{path.suffix if len(os.fsencode(path.suffix)) < 50 else ''}"
        target = self._root / ARCHIVE_FOLDER / path.relative_to(self._uploads).parent / name
        status = _regular(path)
        if status is None or Identity.of(status) != identity:
            return target  # taken away or replaced: what the index names is gone, here or there
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            link(path, target)
        except FileExistsError:
            pass  # a crash came between linking and removing
        except OSError as error:
            log.warning("upload.not_archived", path=str(path), reason=error.strerror)
            return None
        return target

    def _aside(self, path: Path) -> Path:
        """Where a file is moved to be looked at before it is removed.

        In a folder that is watched by then: watchdog holds all notices back for half a second when a file seems to
        leave what it watches.
        """
        return self._uploads / ASIDE_FOLDER / path.relative_to(self._uploads)

    def _drop_first_name(self, path: Path, target: Path) -> None:
        """Remove the name below uploads/, unless a camera has put a newer version there: that one is put back."""
        aside = self._aside(path)
        try:
            if not target.exists() or not os.path.samefile(path, target):
                return
            aside.parent.mkdir(parents=True, exist_ok=True)
            os.rename(path, aside)
            if not os.path.samefile(aside, target):
                link(aside, path)
            aside.unlink(missing_ok=True)
        except FileNotFoundError:
            pass  # the camera has taken it away itself
        except OSError as error:
            log.warning("upload.not_removed", path=str(path), reason=error.strerror)


class _Notices(FileSystemEventHandler):
    """Passes on the paths of files that were closed after writing or renamed into the folder, and of new folders."""

    def __init__(self, noticed: "queue.SimpleQueue[Path | None]") -> None:
        self._noticed = noticed

    def on_closed(self, event: FileSystemEvent) -> None:
        if isinstance(event, FileClosedEvent):
            self._noticed.put(Path(os.fsdecode(event.src_path)))

    def on_created(self, event: FileSystemEvent) -> None:
        if event.is_directory:
            self._noticed.put(Path(os.fsdecode(event.src_path)))

    def on_moved(self, event: FileSystemEvent) -> None:
        if isinstance(event, FileMovedEvent) and event.dest_path:  # else it was moved out of the folder
            self._noticed.put(Path(os.fsdecode(event.dest_path)))


def _regular(path: Path) -> os.stat_result | None:
    """What the file system says of a plain file; None if it is gone, or a link, pipe or device: those are not pictures."""
    try:
        status = path.lstat()
    except OSError:
        return None
    return status if stat.S_ISREG(status.st_mode) else None

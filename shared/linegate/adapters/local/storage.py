"""Folders as buckets: whole files or none, and a stored generation for every version of every name.

The index in SQLite knows each version by what the file system says of it (inode, size, time of change). A camera that
overwrites its file therefore makes the version that an event named unreadable, as in Cloud Storage, instead of putting
another picture under it.
"""

import hashlib
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from linegate.adapters.local.database import Database
from linegate.errors import ObjectMissingError, TransientError
from linegate.inspection import ObjectRef

TEMPORARY = ".incoming"
# Names that no path can carry (too long, "..", NUL) lie here, hashed.
HASHED = ".hashed"


@dataclass(frozen=True, slots=True)
class Identity:
    """What tells one version of a file from the next."""

    size: int
    mtime_ns: int
    inode: int

    @classmethod
    def of(cls, status: os.stat_result) -> "Identity":
        return cls(status.st_size, status.st_mtime_ns, status.st_ino)


class FolderStore:
    """The port ImageStore below one folder, which every bucket shares: their object names differ in the first part."""

    def __init__(self, database: Database, root: Path) -> None:
        self._database = database
        self.root = root
        (root / TEMPORARY).mkdir(parents=True, exist_ok=True)

    def size(self, ref: ObjectRef) -> int:
        with self._opened(ref) as file:
            return os.fstat(file.fileno()).st_size

    def read(self, ref: ObjectRef) -> bytes:
        with self._opened(ref) as file:
            before = Identity.of(os.fstat(file.fileno()))
            data = file.read()
            if Identity.of(os.fstat(file.fileno())) != before:
                raise _replaced(ref)
            return data

    def write(self, bucket: str, name: str, data: bytes, content_type: str) -> int:
        path = self._path(name)
        with self._temporary(data) as temporary:
            path.parent.mkdir(parents=True, exist_ok=True)
            os.replace(temporary, path)
        _sync_folder(path.parent)
        return self.adopt(bucket, name, path)

    def create(self, bucket: str, name: str, data: bytes, content_type: str) -> bool:
        path = self._path(name)
        with self._temporary(data) as temporary:
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                link(temporary, path)
            except FileExistsError:
                return False
        _sync_folder(path.parent)
        self.adopt(bucket, name, path)
        return True

    def copy(self, ref: ObjectRef, bucket: str, name: str) -> None:
        path = self._path(name)
        with self._opened(ref) as source, self._temporary(b"") as temporary:
            with temporary.open("wb") as target:
                shutil.copyfileobj(source, target, 1 << 20)
                target.flush()
                os.fsync(target.fileno())
            path.parent.mkdir(parents=True, exist_ok=True)
            os.replace(temporary, path)
        _sync_folder(path.parent)
        self.adopt(bucket, name, path)

    def adopt(self, bucket: str, name: str, path: Path) -> int:
        """Index the file at `path` as the newest version of the object; returns its generation.

        The generation that the file already has, if it is the same version as before.
        """
        return self._database.write(lambda connection: adopt(connection, bucket, name, path))

    def _path(self, name: str) -> Path:
        parts = name.split("/")
        try:
            plain = all(
                0 < len(part.encode()) <= 255 and part not in (".", "..") and "\0" not in part for part in parts
            )
        except UnicodeEncodeError:
            plain = False
        if plain and len(name) < 1024 and not parts[0].startswith("."):
            return self.root.joinpath(*parts)
        return self.root / HASHED / hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()

    @contextmanager
    def _opened(self, ref: ObjectRef) -> Iterator[BinaryIO]:
        """The file of this very version."""
        rows = self._database.read(
            "SELECT path, size, mtime_ns, inode FROM objects WHERE bucket = ? AND name = ? AND generation = ?",
            (ref.bucket, ref.name, ref.generation),
        )
        if not rows:
            raise ObjectMissingError(f"there is no object {ref.name!r} of generation {ref.generation}")
        raw, *identity = rows[0]
        try:
            with Path(os.fsdecode(raw)).open("rb") as file:
                if Identity.of(os.fstat(file.fileno())) != Identity(*identity):
                    raise _replaced(ref)
                yield file
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
            raise ObjectMissingError(
                f"the file of {ref.name!r} is gone: it was moved or deleted before it was read"
            ) from error
        except OSError as error:
            raise TransientError(f"the file of {ref.name!r} can't be read: {error.strerror}") from error

    @contextmanager
    def _temporary(self, data: bytes) -> Iterator[Path]:
        """A file with `data`, on the disk, to be moved where it belongs; gone afterwards if it was not."""
        try:
            handle, name = tempfile.mkstemp(dir=self.root / TEMPORARY)
            temporary = Path(name)
            try:
                with os.fdopen(handle, "wb") as file:
                    os.fchmod(file.fileno(), 0o644)
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                yield temporary
            finally:
                temporary.unlink(missing_ok=True)
        except OSError as error:
            raise TransientError(f"a file can't be written below {self.root}: {error.strerror}") from error


def adopt(connection: sqlite3.Connection, bucket: str, name: str, path: Path) -> int:
    """The generation of the file at `path` in the index; a new one if this version of it is not known yet.

    For callers that must do more in the same transaction. Raises ObjectMissingError.
    """
    try:
        found = Identity.of(path.stat())
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ObjectMissingError(f"the file of {name!r} is gone") from error
    raw = os.fsencode(path)
    key = (bucket, name, found.size, found.mtime_ns, found.inode)
    known = connection.execute(
        """SELECT generation, path FROM objects WHERE bucket = ? AND name = ? AND size = ? AND mtime_ns = ? AND inode = ?
        ORDER BY generation DESC LIMIT 1""",
        key,
    ).fetchone()
    if known is None:
        cursor = connection.execute(
            "INSERT INTO objects (bucket, name, size, mtime_ns, inode, path) VALUES (?, ?, ?, ?, ?, ?)", (*key, raw)
        )
        return int(cursor.lastrowid or 0)
    generation, standing = known
    if standing != raw:  # it was archived, and has come back
        connection.execute("UPDATE objects SET path = ? WHERE generation = ?", (raw, generation))
    return int(generation)


def link(source: Path, target: Path) -> None:
    """Give a file a second name, creating and checking in one step. Raises FileExistsError.

    Where the file system knows no hard links the file is moved instead.
    """
    try:
        os.link(source, target)
    except FileExistsError:
        raise
    except OSError:
        if target.exists():
            raise FileExistsError(str(target)) from None
        os.replace(source, target)


def _replaced(ref: ObjectRef) -> ObjectMissingError:
    return ObjectMissingError(f"the file of {ref.name!r} was replaced before it was read")


def _sync_folder(folder: Path) -> None:
    """Make a rename survive power loss."""
    with suppress(OSError):  # not every file system knows it
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)

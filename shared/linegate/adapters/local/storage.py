"""Folders as buckets: whole files or none, and a stored generation for every version of every name.

The index in SQLite knows each version by what the file system says of it (inode, size, time of change) and by its content. A
camera that overwrites its file therefore makes the version that an event named unreadable, as in Cloud Storage, instead of
putting another picture under it.
"""

import hashlib
import os
import secrets
import shutil
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

from linegate.adapters.local import folders
from linegate.adapters.local.database import Database, Rows
from linegate.adapters.local.folders import Identity
from linegate.errors import ObjectMissingError, TransientError
from linegate.inspection import ObjectRef

TEMPORARY: Final = ".incoming"
# Names that no path can carry (too long, "..", NUL) lie here, hashed.
HASHED: Final = ".hashed"
PRIVATE: Final = 0o077  # umask: nobody but the gate's own account


class FolderReader:
    """The reading half of the port ImageStore below one folder, for who changes nothing."""

    def __init__(self, rows: Rows, root: Path) -> None:
        self._rows = rows
        self.root = root.absolute()

    def size(self, ref: ObjectRef) -> int:
        with self._opened(ref) as (file, _):
            return os.fstat(file.fileno()).st_size

    def read(self, ref: ObjectRef) -> bytes:
        with self._opened(ref) as (file, digest):
            before = Identity.of(os.fstat(file.fileno()))
            data = file.read()
            if Identity.of(os.fstat(file.fileno())) != before or (digest and digest_of(data) != digest):
                raise _replaced(ref)
            return data

    def part(self, ref: ObjectRef, start: int, count: int) -> bytes:
        with self._opened(ref) as (file, _):
            before = Identity.of(os.fstat(file.fileno()))
            file.seek(start)
            data = file.read(count)
            if Identity.of(os.fstat(file.fileno())) != before:
                raise _replaced(ref)
            return data

    def newest(self, bucket: str, name: str) -> ObjectRef:
        newest = "SELECT max(generation) FROM objects WHERE bucket = ? AND name = ?"
        ((generation,),) = self._rows.read(newest, (bucket, name))
        if generation is None:
            raise ObjectMissingError(f"there is no object {name!r}")
        return ObjectRef(bucket, name, generation)

    def latest(self, bucket: str, name: str) -> bytes:
        return self.read(self.newest(bucket, name))

    @contextmanager
    def _opened(self, ref: ObjectRef) -> Iterator[tuple[BinaryIO, str]]:
        """The file of this very version, and the digest of its content where that is known."""
        rows = self._rows.read(
            "SELECT path, digest, size, mtime_ns, inode FROM objects WHERE bucket = ? AND name = ? AND generation = ?",
            (ref.bucket, ref.name, ref.generation),
        )
        if not rows:
            raise ObjectMissingError(f"there is no object {ref.name!r} of generation {ref.generation}")
        raw, digest, *identity = rows[0]
        path = Path(os.fsdecode(raw))
        try:
            with (
                folders.entered(self.root, inside(self.root, path)[:-1]) as folder,
                os.fdopen(folders.opened(path.name, folder), "rb") as file,
            ):
                if not same(file.fileno(), Identity(*identity), digest):
                    raise _replaced(ref)
                yield file, digest
        except OSError as error:
            if error.errno in folders.GONE:
                raise ObjectMissingError(
                    f"the file of {ref.name!r} is gone: it was moved, deleted or replaced before it was read"
                ) from error
            raise TransientError(f"the file of {ref.name!r} can't be read: {error.strerror}") from error


class FolderStore(FolderReader):
    """The port ImageStore below one folder, which every bucket shares: their object names differ in the first part."""

    def __init__(self, database: Database, root: Path, umask: int = PRIVATE) -> None:
        super().__init__(database, root)
        self._database = database
        self._mode = 0o666 & ~umask
        with _below(root):
            root.mkdir(parents=True, exist_ok=True)

    def write(self, bucket: str, name: str, data: bytes, content_type: str) -> int:
        with self._temporary(data) as (temporary, incoming), self._folder_of(name) as (path, folder):
            os.replace(temporary, path.name, src_dir_fd=incoming, dst_dir_fd=folder)
            return self._adopted(bucket, name, path, folder)

    def put(self, bucket: str, name: str, file: BinaryIO, digest: str, content_type: str) -> tuple[int, bool]:
        with self._temporary(b"") as (temporary, incoming), self._folder_of(name) as (path, folder):
            _fill(temporary, incoming, file)

            def work(connection: sqlite3.Connection) -> tuple[int, bool]:
                """In one transaction: nobody else puts the same meanwhile, and whoever watches the folder waits for its end."""
                standing = connection.execute(
                    """SELECT generation, digest, path FROM objects WHERE bucket = ? AND name = ?
                    ORDER BY generation DESC LIMIT 1""",
                    (bucket, name),
                ).fetchone()
                if standing and standing[1] == digest and os.path.lexists(os.fsdecode(standing[2])):
                    return int(standing[0]), False
                os.replace(temporary, path.name, src_dir_fd=incoming, dst_dir_fd=folder)
                folders.sync(folder)
                return _enter(connection, bucket, name, path, _identity(path, folder), digest), True

            return self._database.write(work)

    def create(self, bucket: str, name: str, data: bytes, content_type: str) -> bool:
        with self._temporary(data) as (temporary, incoming), self._folder_of(name) as (path, folder):
            try:
                folders.link(temporary, incoming, path.name, folder)
            except FileExistsError:
                return False
            self._adopted(bucket, name, path, folder)
            return True

    def copy(self, ref: ObjectRef, bucket: str, name: str) -> None:
        with (
            self._opened(ref) as (source, _),
            self._temporary(b"") as (temporary, incoming),
            self._folder_of(name) as at,
        ):
            path, folder = at
            _fill(temporary, incoming, source)
            os.replace(temporary, path.name, src_dir_fd=incoming, dst_dir_fd=folder)
            self._adopted(bucket, name, path, folder)

    def _adopted(self, bucket: str, name: str, path: Path, folder: int) -> int:
        folders.sync(folder)
        identity = _identity(path, folder)
        return self._database.write(lambda connection: adopt(connection, bucket, name, path, identity))

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
    def _folder_of(self, name: str) -> Iterator[tuple[Path, int]]:
        """The path of an object, and its folder, made if it is not there. No link on the way is followed."""
        path = self._path(name)
        with (
            _below(self.root),
            folders.entered(self.root, path.relative_to(self.root).parts[:-1], create=True) as folder,
        ):
            yield path, folder

    @contextmanager
    def _temporary(self, data: bytes) -> Iterator[tuple[str, int]]:
        """A file with `data`, on the disk, to be moved where it belongs, and its folder; gone afterwards if it was not."""
        with _below(self.root), folders.entered(self.root, [TEMPORARY], create=True) as incoming:
            name = secrets.token_hex(8)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            with os.fdopen(os.open(name, flags, 0o600, dir_fd=incoming), "wb") as file:
                os.fchmod(file.fileno(), self._mode)
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            try:
                yield name, incoming
            finally:
                with suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=incoming)


def _fill(temporary: str, incoming: int, source: BinaryIO) -> None:
    """Write a temporary file from another one, a part at a time, and have it on the disk."""
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_NOFOLLOW, dir_fd=incoming), "wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)
        target.flush()
        os.fsync(target.fileno())


def _identity(path: Path, folder: int) -> Identity:
    found = folders.status(path.name, folder)
    if found is None:
        raise TransientError(f"{path} was taken away as soon as it was written")
    return Identity.of(found)


def adopt(connection: sqlite3.Connection, bucket: str, name: str, path: Path, found: Identity, digest: str = "") -> int:
    """The generation of the file at `path` in the index; a new one if this version of it is not known yet.

    `digest` is that of its content (see `digest_of`), empty if that is not looked at. For callers that must do more in the same
    transaction.
    """
    raw = os.fsencode(path)
    key = (bucket, name, found.size, found.inode, found.mtime_ns, digest)
    known = connection.execute(
        """SELECT generation, path FROM objects WHERE bucket = ?1 AND name = ?2 AND size = ?3 AND inode = ?4
        AND (mtime_ns = ?5 AND digest IN (?6, '') OR digest <> '' AND digest = ?6) ORDER BY generation DESC LIMIT 1""",
        key,
    ).fetchone()
    if known is None:
        return _enter(connection, bucket, name, path, found, digest)
    generation, standing = known
    if standing != raw:  # it was archived, and has come back
        connection.execute("UPDATE objects SET path = ? WHERE generation = ?", (raw, generation))
    return int(generation)


def _enter(connection: sqlite3.Connection, bucket: str, name: str, path: Path, found: Identity, digest: str) -> int:
    """A new generation for the file at `path`, even where a freed inode makes it look like an earlier one."""
    cursor = connection.execute(
        "INSERT INTO objects (bucket, name, size, inode, mtime_ns, digest, path) VALUES (?, ?, ?, ?, ?, ?, ?)",
        (bucket, name, found.size, found.inode, found.mtime_ns, digest, os.fsencode(path)),
    )
    return int(cursor.lastrowid or 0)


def has_counted(database: Database) -> bool:
    """Whether a generation was ever given from this database."""
    return bool(database.read("SELECT 1 FROM sqlite_sequence WHERE name = 'objects'"))


def count_from_now(database: Database) -> None:
    """Let generations go on from the milliseconds since 1970, so that none is given that a database before this one gave.

    Ids of inspections and of notifications, and names in the archive, are made of them: receivers would take another product's
    verdict for one that they have heard.
    """

    def work(connection: sqlite3.Connection) -> None:
        row = connection.execute("SELECT max(seq) FROM sqlite_sequence WHERE name = 'objects'").fetchone()
        start = max(row[0] or 0, time.time_ns() // 1_000_000)
        connection.execute("DELETE FROM sqlite_sequence WHERE name = 'objects'")
        connection.execute("INSERT INTO sqlite_sequence (name, seq) VALUES ('objects', ?)", (start,))

    database.write(work)


def same(descriptor: int, known: Identity, digest: str) -> bool:
    """Whether an open file is the version that is known: by its content where that is known, whatever its time says."""
    found = Identity.of(os.fstat(descriptor))
    if not digest:
        return found == known
    return found.size == known.size and (found == known or folders.digest(descriptor) == digest)


def digest_of(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def inside(root: Path, path: Path) -> Sequence[str]:
    """The parts of a path below the root. Raises ObjectMissingError for one elsewhere, which is none of ours."""
    try:
        return path.absolute().relative_to(root).parts
    except ValueError as error:
        raise ObjectMissingError(f"{path} does not lie below {root}") from error


@contextmanager
def _below(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise TransientError(f"a file can't be written below {root}: {error.strerror}") from error


def _replaced(ref: ObjectRef) -> ObjectMissingError:
    return ObjectMissingError(f"the file of {ref.name!r} was replaced before it was read")

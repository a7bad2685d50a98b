"""One SQLite file for store, bus and object index: durable (WAL, synchronous=FULL), with group commit.

Every write runs in one writer thread. What arrives while a commit is under way goes into the next one together: one
fsync then serves all of it, while each caller still returns only when its own write is on the disk. A write that
fails is rolled back alone (savepoint).
"""

import os
import queue
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar, cast
from urllib.parse import quote

from linegate.adapters.local import catalogue
from linegate.errors import TransientError
from linegate.logs import log

T = TypeVar("T")

# Its file in the data folder
DATABASE: Final = "linegate.db"
BUSY_TIMEOUT_S = 30.0
MAX_GROUP = 256
# With less room on the disk than this nothing counts as writable, in bytes.
LEAST_ROOM: Final = 8 << 20

SCHEMA = """
CREATE TABLE IF NOT EXISTS objects (
    generation INTEGER PRIMARY KEY AUTOINCREMENT, bucket TEXT NOT NULL, name TEXT NOT NULL,
    path BLOB NOT NULL, size INTEGER NOT NULL, mtime_ns INTEGER NOT NULL, inode INTEGER NOT NULL, inspection_id TEXT);
CREATE INDEX IF NOT EXISTS objects_by_name ON objects (bucket, name, generation);
CREATE INDEX IF NOT EXISTS objects_by_path ON objects (path);
CREATE INDEX IF NOT EXISTS objects_by_inspection ON objects (inspection_id);
CREATE TABLE IF NOT EXISTS inspections (
    id TEXT PRIMARY KEY, deadline REAL NOT NULL, received_at REAL NOT NULL, revision INTEGER NOT NULL DEFAULT 0,
    document TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS inspections_undecided ON inspections (deadline) WHERE revision = 0;
CREATE INDEX IF NOT EXISTS inspections_by_age ON inspections (received_at);
CREATE TABLE IF NOT EXISTS checks (
    inspection_id TEXT NOT NULL, number INTEGER NOT NULL, document TEXT NOT NULL,
    PRIMARY KEY (inspection_id, number)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS revisions (
    inspection_id TEXT NOT NULL, number INTEGER NOT NULL, document TEXT NOT NULL,
    PRIMARY KEY (inspection_id, number)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS outbox (
    id TEXT PRIMARY KEY, inspection_id TEXT NOT NULL, revision INTEGER NOT NULL, target TEXT NOT NULL, state TEXT NOT NULL,
    created_at REAL NOT NULL, attempted_at REAL, document TEXT NOT NULL);
CREATE INDEX IF NOT EXISTS outbox_by_inspection ON outbox (inspection_id, revision);
CREATE INDEX IF NOT EXISTS outbox_open ON outbox (created_at) WHERE state = 'PENDING';
CREATE TABLE IF NOT EXISTS disabled_targets (
    name TEXT PRIMARY KEY, reason TEXT NOT NULL, disabled_at REAL NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT, topic TEXT NOT NULL, data BLOB NOT NULL, attributes TEXT NOT NULL,
    lane TEXT NOT NULL DEFAULT '', published_at REAL NOT NULL, due_at REAL NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
    leased_until REAL NOT NULL DEFAULT 0, last_error TEXT NOT NULL DEFAULT '');
CREATE INDEX IF NOT EXISTS messages_by_topic ON messages (topic, id);
CREATE INDEX IF NOT EXISTS messages_by_due ON messages (topic, due_at);
"""

# What has come to the schema since its first release, in order; `PRAGMA user_version` counts how many a file has.
MIGRATIONS: Final = (
    # What a file held when it was taken up, as SHA-256: size and time alone do not tell every change.
    "ALTER TABLE objects ADD COLUMN digest TEXT NOT NULL DEFAULT ''",
    # What the gate remembers of itself.
    "CREATE TABLE notes (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    # A message that takes the place of the one of its key; lanes are served in turn.
    "ALTER TABLE messages ADD COLUMN key TEXT NOT NULL DEFAULT ''",
    "CREATE INDEX messages_by_key ON messages (topic, key) WHERE key <> ''",
    "CREATE INDEX messages_by_lane ON messages (topic, lane, id)",
    # When the gate last showed that it fails what is bad.
    """CREATE TABLE challenges (
        line TEXT NOT NULL, recipe TEXT NOT NULL, setup TEXT NOT NULL, document TEXT NOT NULL,
        PRIMARY KEY (line, recipe, setup)) WITHOUT ROWID""",
    # Reviews of persons that became no revision.
    """CREATE TABLE refusals (
        inspection_id TEXT NOT NULL, review_id TEXT NOT NULL, refused_at REAL NOT NULL, document TEXT NOT NULL,
        PRIMARY KEY (inspection_id, review_id)) WITHOUT ROWID""",
    # What pages and counts are answered from; what an earlier release has inspected is entered after this.
    *catalogue.SCHEMA,
    catalogue.REMEMBER,
    # What gate and line agreed on, and who is connected.
    """CREATE TABLE handshakes (
        target TEXT NOT NULL, line TEXT NOT NULL, acknowledged INTEGER NOT NULL, acknowledged_at REAL,
        waiting INTEGER NOT NULL, document TEXT NOT NULL, PRIMARY KEY (target, line)) WITHOUT ROWID""",
    """CREATE TABLE links (
        target TEXT PRIMARY KEY, connected INTEGER NOT NULL, said TEXT NOT NULL, since REAL NOT NULL) WITHOUT ROWID""",
)


# What a person can do about a file that is damaged.
MEND: Final = "; stop the gate, then `linegate recover` sets it aside and saves what can be read"


Values = tuple[Any, ...] | Mapping[str, Any]


class Rows(Protocol):
    def read(self, query: str, parameters: Values = ()) -> list[tuple[Any, ...]]:
        """Rows of a query, as of the last commit. Raises TransientError."""
        ...


class ReadOnly:
    """The file of a gate that may be running: one connection that changes nothing, for one thread.

    What an earlier release left lacks tables, what pages are answered from among them: they are made beside it, for this
    connection alone.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self._connection = sqlite3.connect(
                f"file:{quote(str(path))}?mode=ro", uri=True, timeout=10, isolation_level=None
            )
            (version,) = self._connection.execute("PRAGMA user_version").fetchone()
            if version < len(MIGRATIONS):
                catalogue.make_beside(self._connection, MIGRATIONS[version:])
        except sqlite3.Error as error:
            raise TransientError(f"{path} can't be opened: {error}{_mend(error)}") from error

    def read(self, query: str, parameters: Values = ()) -> list[tuple[Any, ...]]:
        try:
            return self._connection.execute(query, parameters).fetchall()
        except sqlite3.Error as error:
            raise TransientError(f"{self._path.name} can't be read: {error}{_mend(error)}") from error

    def close(self) -> None:
        self._connection.close()


class Database:
    """Connections of one process to one file. Safe for any number of threads; other processes may share the file."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        # Reading connections that nobody uses at the moment; there are as many as there were readers at the same time.
        self._idle: deque[sqlite3.Connection] = deque()
        self._ear: sqlite3.Connection | None = None
        self._listening = threading.Lock()
        self._looked: Future[Any] | None = None
        self._failed = False  # the last write
        self._writes: queue.SimpleQueue[tuple[Callable[[sqlite3.Connection], Any], Future[Any]] | None] = (
            queue.SimpleQueue()
        )
        connection = self._connect()
        self._migrate(connection)
        self._writer = threading.Thread(target=self._write_all, args=(connection,), name="linegate-writer", daemon=True)
        self._writer.start()

    def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` in a write transaction; returns its result once that is on the disk.

        `work` may raise what it likes: its writes are rolled back and the error comes out here. Raises TransientError
        when the database can't be written (disk full, locked for long).
        """
        return self.write_soon(work).result()

    def write_soon(self, work: Callable[[sqlite3.Connection], T]) -> "Future[T]":
        """Like `write`, without waiting for the disk."""
        future: Future[Any] = Future()
        self._writes.put((work, future))
        return cast("Future[T]", future)

    def look(self, seconds: float) -> str:
        """Why nothing could be written now; empty if a write goes through within so long. For one thread.

        While nothing has failed it costs the disk nothing.
        """
        try:
            room = os.statvfs(self.path.parent)
        except OSError as error:
            return f"the disk does not answer: {error.strerror}"
        if room.f_flag & os.ST_RDONLY or room.f_bavail * room.f_frsize < LEAST_ROOM:
            return "the disk is full, or can only be read"
        if self._looked is None:  # else the last one is still waiting
            self._looked = self.write_soon(_noted if self._failed else lambda _: None)
        try:
            self._looked.result(seconds)
        except TransientError as error:
            self._looked = None
            return str(error)
        except TimeoutError:
            return "the store does not answer"
        self._looked = None
        return "the store could not be written a moment ago" if self._failed else ""

    def read(self, query: str, parameters: Values = ()) -> list[tuple[Any, ...]]:
        """Rows of a query, as of the last commit. Raises TransientError."""
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = self._connect()
        try:
            return connection.execute(query, parameters).fetchall()
        except sqlite3.Error as error:
            raise TransientError(f"{self.path.name} can't be read: {error}{_mend(error)}") from error
        finally:
            self._idle.append(connection)

    def pulse(self) -> int:
        """Another number as soon as anybody has committed to the file; it costs some microseconds. Raises TransientError."""
        with self._listening:  # what one connection wrote it does not hear itself: this one never writes
            self._ear = self._ear or self._connect()
            try:
                return int(self._ear.execute("PRAGMA data_version").fetchone()[0])
            except sqlite3.Error as error:
                raise TransientError(f"{self.path.name} can't be read: {error}{_mend(error)}") from error

    def close(self) -> None:
        """Commit what is waiting and close every connection."""
        self._writes.put(None)
        self._writer.join()
        if self._ear is not None:
            self._ear.close()
        while self._idle:
            self._idle.pop().close()

    def _connect(self) -> sqlite3.Connection:
        try:
            # Autocommit: transactions are begun and ended here, in words.
            connection = sqlite3.connect(self.path, BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
        except sqlite3.Error as error:
            raise TransientError(f"{self.path} can't be opened: {error}{_mend(error)}") from error
        return connection

    def _migrate(self, connection: sqlite3.Connection) -> None:
        """Bring the file to the present schema, all of it or nothing, and then what it holds; several may try at once."""
        try:
            connection.executescript(SCHEMA)
            connection.execute("BEGIN IMMEDIATE")
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            if version > len(MIGRATIONS):
                connection.close()
                raise TransientError(f"{self.path} belongs to a newer version of Linegate; this one can't read it")
            for migration in MIGRATIONS[version:]:
                connection.execute(migration)
            connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
            connection.execute("COMMIT")
            if behind := catalogue.behind(connection):
                log.info("database.upgrading", inspections=behind)  # a minute for some hundred thousand
            while behind:  # in steps: whoever is stopped in between goes on from there
                connection.execute("BEGIN IMMEDIATE")
                catalogue.fill(connection)
                connection.execute("COMMIT")
                behind = catalogue.behind(connection)
        except sqlite3.Error as error:
            connection.close()
            raise TransientError(f"{self.path} can't be opened: {error}{_mend(error)}") from error

    def _write_all(self, connection: sqlite3.Connection) -> None:
        while (first := self._writes.get()) is not None:
            group, last = [first], False
            while len(group) < MAX_GROUP and not last:
                try:
                    following = self._writes.get_nowait()
                except queue.Empty:
                    break
                if following is None:
                    last = True
                else:
                    group.append(following)
            self._commit(connection, group)
            if last:
                break
        connection.close()

    def _commit(
        self, connection: sqlite3.Connection, group: list[tuple[Callable[[sqlite3.Connection], Any], Future[Any]]]
    ) -> None:
        outcomes: list[tuple[Future[Any], Any, BaseException | None]] = []
        before = connection.total_changes
        try:
            connection.execute("BEGIN IMMEDIATE")
            for work, future in group:
                connection.execute("SAVEPOINT one")
                try:
                    outcomes.append((future, work(connection), None))
                except Exception as error:
                    connection.execute("ROLLBACK TO one")
                    outcomes.append((future, None, error))
                connection.execute("RELEASE one")
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            self._failed = True
            for _, future in group:
                fault = TransientError(f"{self.path.name} can't be written: {error}{_mend(error)}")
                fault.__cause__ = error
                future.set_exception(fault)
            return
        if connection.total_changes > before:
            self._failed = False
        for future, result, failure in outcomes:
            if failure is None:
                future.set_result(result)
            elif isinstance(failure, sqlite3.OperationalError) or (
                isinstance(failure, sqlite3.Error) and _mend(failure)
            ):
                self._failed = True
                fault = TransientError(f"{self.path.name} can't be written: {failure}{_mend(failure)}")
                fault.__cause__ = failure
                future.set_exception(fault)
            else:
                future.set_exception(failure)


def _noted(connection: sqlite3.Connection) -> None:
    connection.execute("REPLACE INTO notes VALUES ('looked', '')")


def _mend(error: sqlite3.Error) -> str:
    """`MEND` where the file is damaged; empty for everything else."""
    broken = isinstance(error, sqlite3.DatabaseError) and not isinstance(
        error, sqlite3.OperationalError | sqlite3.IntegrityError
    )
    return MEND if broken else ""

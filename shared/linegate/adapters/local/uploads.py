"""The index of uploads: which file is which inspection's, and where it lies now."""

import json
import os
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from linegate.adapters.local.bus import LIVE, insert
from linegate.adapters.local.database import Database, Rows
from linegate.adapters.local.folders import Identity
from linegate.adapters.local.storage import adopt
from linegate.adapters.local.store import insert_inspection
from linegate.inspection import Inspection, ObjectRef
from linegate.ports import Message
from linegate.stages import UPLOADS


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that is indexed; `digest` is the SHA-256 of its content, empty where that is not known."""

    generation: int
    path: Path
    identity: Identity
    digest: str


def take(
    database: Database,
    image: tuple[str, str],
    path: Path,
    identity: Identity,
    digest: str,
    begin: Callable[[ObjectRef], tuple[Message, Inspection]],
) -> tuple[ObjectRef, bool]:
    """The object that the file at `path` is, `image` being its bucket and name; and whether it is a new one.

    A new one is indexed, its event is on the bus and its inspection is opened, as `begin` makes them of it: in one
    transaction, all or nothing, and only once.
    """

    def work(connection: sqlite3.Connection) -> tuple[ObjectRef, bool]:
        ref = ObjectRef(*image, adopt(connection, *image, path, identity, digest))
        query = "SELECT inspection_id FROM objects WHERE generation = ?"
        if connection.execute(query, (ref.generation,)).fetchone()[0] is not None:
            return ref, False
        connection.execute(
            "UPDATE objects SET inspection_id = ? WHERE generation = ?", (ref.inspection_id, ref.generation)
        )
        event, inspection = begin(ref)
        insert(connection, UPLOADS, [event])
        insert_inspection(connection, inspection)
        return ref, True

    return database.write(work)


def without_a_message(database: Database, bucket: str) -> list[tuple[ObjectRef, int]]:
    """The uploads, and their sizes, that have neither a verdict nor a message under way, and whose file is there."""
    undecided = database.read(
        """SELECT o.name, o.generation, o.size, o.path, o.inspection_id
        FROM objects o LEFT JOIN inspections i ON i.id = o.inspection_id
        WHERE o.inspection_id IS NOT NULL AND coalesce(i.revision, 0) = 0"""
    )
    alive = [json.loads(text) for (text,) in database.read(f"SELECT attributes FROM messages WHERE {LIVE}")]
    under_way = {attributes.get("inspection_id") or attributes.get("objectGeneration") for attributes in alive}
    return [
        (ObjectRef(bucket, name, generation), size)
        for name, generation, size, path, inspection_id in undecided
        if not {inspection_id, str(generation)} & under_way and os.path.lexists(os.fsdecode(path))
    ]


def decided_below(rows: Rows, folder: Path, after: int, limit: int) -> list[Upload]:
    """Uploads with a verdict whose file lies below a folder, in the order of their generations, from `after` on."""
    prefix = os.fsencode(folder) + b"/"
    found = rows.read(
        """SELECT o.generation, o.path, o.digest, o.size, o.mtime_ns, o.inode
        FROM objects o JOIN inspections i ON i.id = o.inspection_id
        WHERE i.revision > 0 AND o.path >= ? AND o.path < ? AND o.generation > ? ORDER BY o.generation LIMIT ?""",
        (prefix, prefix[:-1] + b"0", after, limit),
    )
    return [
        Upload(generation, Path(os.fsdecode(path)), Identity(*identity), digest)
        for generation, path, digest, *identity in found
    ]


def relocate(database: Database, moved: Iterable[tuple[int, Path]]) -> None:
    """From now on the files of these generations lie there."""
    values = [(os.fsencode(path), generation) for generation, path in moved]
    database.write(
        lambda connection: connection.executemany("UPDATE objects SET path = ? WHERE generation = ?", values)
    )


def files(rows: Rows, inspection_id: str) -> list[Path]:
    """Where the upload of an inspection lies, if it still does."""
    found = rows.read("SELECT path FROM objects WHERE inspection_id = ?", (inspection_id,))
    return [Path(os.fsdecode(path)) for (path,) in found]

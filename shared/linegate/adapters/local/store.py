"""The ports Inspections, Outbox and Challenges in SQLite. Documents are JSON; what a stage looks for has a column."""

import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from linegate.adapters.local import catalogue
from linegate.adapters.local.database import Database
from linegate.answers import Refusal
from linegate.challenges import Challenge
from linegate.errors import PermanentError
from linegate.inspection import Check, Inspection, Manifest, OutboxEntry, OutboxState, Revision
from linegate.stored import dump_json, load_json, readable

# Of the notes, one for each target: up to when shifts have been reported to it.
REPORTED: Final = "reported_until:"


class SqliteInspections:
    def __init__(self, database: Database) -> None:
        self._database = database

    def open(self, inspection: Inspection) -> Inspection:
        return self._database.write(lambda connection: insert_inspection(connection, inspection))

    def get(self, inspection_id: str) -> Inspection | None:
        rows = self._database.read("SELECT document FROM inspections WHERE id = ?", (inspection_id,))
        return load_json(Inspection, rows[0][0]) if rows else None

    def note_fault(self, inspection_id: str, fault: str) -> None:
        self._database.write(lambda connection: _change(connection, inspection_id, fault=fault))

    def store_manifest(self, inspection_id: str, manifest: Manifest, manifest_ms: float) -> Manifest:
        def work(connection: sqlite3.Connection) -> Manifest:
            standing = _existing(connection, inspection_id)
            if standing.manifest is not None:
                return standing.manifest
            timings = replace(standing.timings, manifest_ms=manifest_ms)
            _change(connection, inspection_id, manifest=manifest, timings=timings)
            return manifest

        return self._database.write(work)

    def record_check(self, inspection_id: str, check: Check) -> int:
        def work(connection: sqlite3.Connection) -> int:
            connection.execute(
                "INSERT OR IGNORE INTO checks VALUES (?, ?, ?)", (inspection_id, check.index, dump_json(check))
            )
            query = "SELECT count(*) FROM checks WHERE inspection_id = ?"
            return int(connection.execute(query, (inspection_id,)).fetchone()[0])

        return self._database.write(work)

    def has_check(self, inspection_id: str, index: int) -> bool:
        query = "SELECT 1 FROM checks WHERE inspection_id = ? AND number = ?"
        return bool(self._database.read(query, (inspection_id, index)))

    def checks(self, inspection_id: str, expected: int) -> dict[int, Check]:
        query = "SELECT number, document FROM checks WHERE inspection_id = ? AND number < ? ORDER BY number"
        return {
            number: load_json(Check, text) for number, text in self._database.read(query, (inspection_id, expected))
        }

    def commit(self, inspection: Inspection, revision: Revision, outbox: Sequence[OutboxEntry]) -> bool:
        def work(connection: sqlite3.Connection) -> bool:
            created = connection.execute(
                "INSERT OR IGNORE INTO revisions VALUES (?, ?, ?)",
                (inspection.inspection_id, revision.number, dump_json(revision)),
            )
            if created.rowcount == 0:
                return False
            standing = _existing(connection, inspection.inspection_id)
            timings = replace(standing.timings, decided_ms=inspection.timings.decided_ms)
            fields = {"revision": revision, "told": inspection.told, "timings": timings}
            catalogue.revise(connection, _change(connection, inspection.inspection_id, **fields), revision)
            connection.executemany(
                "INSERT INTO outbox VALUES (?, ?, ?, ?, ?, ?, ?, ?)", [_outbox_row(e) for e in outbox]
            )
            return True

        return self._database.write(work)

    def refuse(self, refusal: Refusal) -> None:
        review = refusal.review
        row = (review.inspection_id, review.review_id, refusal.refused_at.timestamp(), dump_json(refusal))
        self._database.write(
            lambda connection: connection.execute("INSERT OR IGNORE INTO refusals VALUES (?, ?, ?, ?)", row)
        )

    def note_late_fails(self, inspection_id: str, indices: Sequence[int]) -> None:
        def work(connection: sqlite3.Connection) -> None:
            known = _existing(connection, inspection_id).late_fails
            _change(connection, inspection_id, late_fails=tuple(sorted({*known, *indices})))

        self._database.write(work)

    def overdue(self, now: datetime, limit: int) -> list[Inspection]:
        query = "SELECT id, document FROM inspections WHERE revision = 0 AND deadline <= ? ORDER BY deadline LIMIT ?"
        return readable(lambda text: load_json(Inspection, text), self._database.read(query, (now.timestamp(), limit)))

    def postpone(self, inspection_id: str, deadline: datetime) -> None:
        def work(connection: sqlite3.Connection) -> None:
            _change(connection, inspection_id, deadline=deadline)
            connection.execute(
                "UPDATE inspections SET deadline = ? WHERE id = ?", (deadline.timestamp(), inspection_id)
            )

        self._database.write(work)


class SqliteOutbox:
    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, entry: OutboxEntry) -> bool:
        query = "INSERT OR IGNORE INTO outbox VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        return self._database.write(lambda connection: connection.execute(query, _outbox_row(entry)).rowcount == 1)

    def reported_until(self, target: str) -> datetime | None:
        rows = self._database.read("SELECT value FROM notes WHERE name = ?", (f"{REPORTED}{target}",))
        return datetime.fromisoformat(rows[0][0]) if rows else None

    def note_reported(self, target: str, until: datetime) -> None:
        row = (f"{REPORTED}{target}", until.astimezone(UTC).isoformat())
        self._database.write(lambda connection: connection.execute("REPLACE INTO notes VALUES (?, ?)", row))

    def pending(self, inspection_id: str, revision: int) -> list[OutboxEntry]:
        query = "SELECT document FROM outbox WHERE inspection_id = ? AND revision = ? AND state = 'PENDING' ORDER BY id"
        return [load_json(OutboxEntry, text) for (text,) in self._database.read(query, (inspection_id, revision))]

    def entries(self, inspection_id: str, target: str) -> list[OutboxEntry]:
        query = "SELECT document FROM outbox WHERE inspection_id = ? AND target = ? ORDER BY revision"
        return [load_json(OutboxEntry, text) for (text,) in self._database.read(query, (inspection_id, target))]

    def update(self, entry: OutboxEntry) -> bool:
        def work(connection: sqlite3.Connection) -> bool:
            row = connection.execute("SELECT document FROM outbox WHERE id = ?", (entry.entry_id,)).fetchone()
            if row is None or load_json(OutboxEntry, row[0]).version != entry.version:
                return False
            _replace(connection, entry)
            return True

        return self._database.write(work)

    def stranded(self, never_attempted_before: datetime, attempted_before: datetime, limit: int) -> list[OutboxEntry]:
        query = """SELECT id, document FROM outbox WHERE state = 'PENDING' AND
            CASE WHEN attempted_at IS NULL THEN created_at <= ? ELSE attempted_at <= ? END
            ORDER BY attempted_at, created_at LIMIT ?"""
        parameters = (never_attempted_before.timestamp(), attempted_before.timestamp(), limit)
        return readable(lambda text: load_json(OutboxEntry, text), self._database.read(query, parameters))

    def disable_target(self, target: str, reason: str, now: datetime) -> None:
        row = (target, reason, now.timestamp())
        self._database.write(
            lambda connection: connection.execute("INSERT OR IGNORE INTO disabled_targets VALUES (?, ?, ?)", row)
        )

    def enable_target(self, target: str) -> list[OutboxEntry]:
        def work(connection: sqlite3.Connection) -> list[OutboxEntry]:
            connection.execute("DELETE FROM disabled_targets WHERE name = ?", (target,))
            query = "SELECT document FROM outbox WHERE target = ? AND state = 'HELD' ORDER BY created_at"
            held = [load_json(OutboxEntry, text) for (text,) in connection.execute(query, (target,)).fetchall()]
            return [_replace(connection, replace(entry, state=OutboxState.PENDING)) for entry in held]

        return self._database.write(work)

    def disabled_targets(self, *, fresh: bool = False) -> dict[str, str]:
        return dict(self._database.read("SELECT name, reason FROM disabled_targets ORDER BY name"))


class SqliteChallenges:
    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, challenge: Challenge) -> None:
        row = (challenge.line, challenge.recipe, challenge.setup, dump_json(challenge))
        self._database.write(lambda connection: connection.execute("REPLACE INTO challenges VALUES (?, ?, ?, ?)", row))

    def of(self, line: str, *, fresh: bool = False) -> list[Challenge]:
        rows = self._database.read("SELECT setup, document FROM challenges WHERE line = ?", (line,))
        return readable(lambda text: load_json(Challenge, text), rows)


def insert_inspection(connection: sqlite3.Connection, inspection: Inspection) -> Inspection:
    """Open an inspection inside a transaction of the caller's; the one that stands there already is returned instead."""
    standing = _inspection(connection, inspection.inspection_id)
    if standing is not None:
        return standing
    connection.execute(
        "INSERT INTO inspections (id, deadline, received_at, document) VALUES (?, ?, ?, ?)",
        (
            inspection.inspection_id,
            inspection.deadline.timestamp(),
            inspection.received_at.timestamp(),
            dump_json(inspection),
        ),
    )
    catalogue.enter(connection, inspection)
    return inspection


def _inspection(connection: sqlite3.Connection, inspection_id: str) -> Inspection | None:
    row = connection.execute("SELECT document FROM inspections WHERE id = ?", (inspection_id,)).fetchone()
    return load_json(Inspection, row[0]) if row else None


def _existing(connection: sqlite3.Connection, inspection_id: str) -> Inspection:
    standing = _inspection(connection, inspection_id)
    if standing is None:
        raise PermanentError(f"there is no inspection {inspection_id}")
    return standing


def _change(connection: sqlite3.Connection, inspection_id: str, **fields: object) -> Inspection:
    changed = replace(_existing(connection, inspection_id), **fields)  # type: ignore[arg-type]
    connection.execute(
        "UPDATE inspections SET document = ?, revision = ? WHERE id = ?",
        (dump_json(changed), changed.revision.number if changed.revision else 0, inspection_id),
    )
    return changed


def _replace(connection: sqlite3.Connection, entry: OutboxEntry) -> OutboxEntry:
    """Write the entry as its next version, which is returned."""
    updated = replace(entry, version=entry.version + 1)
    connection.execute("REPLACE INTO outbox VALUES (?, ?, ?, ?, ?, ?, ?, ?)", _outbox_row(updated))
    return updated


def _outbox_row(entry: OutboxEntry) -> tuple[object, ...]:
    return (
        entry.entry_id,
        entry.inspection_id,
        entry.revision,
        entry.target,
        entry.state.value,
        entry.created_at.timestamp(),
        entry.attempted_at.timestamp() if entry.attempted_at else None,
        dump_json(entry),
    )

"""The ports Inspections, Outbox, Queries and Challenges in Firestore.

    inspections/{inspection_id}                 the inspection, with its manifest and latest revision
    inspections/{inspection_id}/checks/{i}      one check
    inspections/{inspection_id}/revisions/{n}   one decision: creating it is the latch that makes a verdict exactly one
    inspections/{inspection_id}/refusals/{id}   a person's review that became no revision, and why
    outbox/{inspection_id}_r{n}_{target}        one notification
    disabled_targets/{target}                   a target that is sent nothing
    challenges/{line}:{recipe}:{setup}          the last time that known-bad boards were put through

No transactions: under contention they cost seconds and fail, where a `create` costs nothing and never lies. Every document
carries `expire_at` for the TTL policy, since a sub-collection is not covered by its parent's. Reads and writes of one board
with N crops and E targets: at most 2N + 4 + 2E and N + 4 + 2E; a test counts them.
"""

import math
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeVar

from google.api_core import exceptions
from google.cloud import firestore
from google.cloud.firestore_v1.base_query import And, FieldFilter

from linegate.adapters.gcp.errors import BUDGET_S, RETRY, mapped
from linegate.answers import Refusal
from linegate.challenges import Challenge
from linegate.errors import PermanentError, TransientError
from linegate.inspection import Check, Inspection, Manifest, OutboxEntry, OutboxState, Revision, Verdict
from linegate.ports import Undelivered, begins_an_id
from linegate.stored import dump, load, readable
from linegate.texts import brief

T = TypeVar("T")
SERVICE: Final = "Firestore"
# Disabled targets are asked for before every notification, and change perhaps once a year.
REMEMBERED_S: Final = 10.0
# Asked for with each board of a line that has challenges, which come a few times a day.
CHALLENGES_REMEMBERED_S: Final = 30.0


class Firestore:
    """One database, and how all of it is reached. Documents are kept for `retention` after they were last written.

    Safe to share between threads.
    """

    def __init__(self, project: str, database: str, retention: timedelta) -> None:
        with mapped(SERVICE):
            self.client = firestore.Client(project=project, database=database)
        self._retention = retention

    def close(self) -> None:
        self.client.close()  # type: ignore[no-untyped-call]

    def board(self, inspection_id: str) -> firestore.DocumentReference:
        return self.client.collection("inspections").document(inspection_id)

    def entry(self, entry_id: str) -> firestore.DocumentReference:
        return self.client.collection("outbox").document(entry_id)

    def entries(self, **equal: object) -> list[OutboxEntry]:
        """Outbox entries by equality of fields, which needs no composite index."""
        conditions = And([FieldFilter(name, "==", value) for name, value in equal.items()])
        query = self.client.collection("outbox").where(filter=conditions)
        return [_value(OutboxEntry, snapshot) for snapshot in self.stream(query)]

    def stream(self, query: Any) -> list[Any]:
        with mapped(SERVICE):
            return list(query.stream(retry=RETRY, timeout=BUDGET_S))

    def expiry(self) -> dict[str, datetime]:
        return {"expire_at": datetime.now(UTC) + self._retention}


class FirestoreInspections:
    def __init__(self, store: Firestore) -> None:
        self._store = store

    def open(self, inspection: Inspection) -> Inspection:
        with mapped(SERVICE):
            try:
                fields = dump(inspection) | {"decided": False} | self._store.expiry()
                self._store.board(inspection.inspection_id).create(fields, retry=RETRY, timeout=BUDGET_S)
            except exceptions.AlreadyExists:  # or our own creation, whose answer got lost and which was repeated
                return self.get(inspection.inspection_id) or inspection
        return inspection

    def get(self, inspection_id: str) -> Inspection | None:
        with mapped(SERVICE):
            snapshot = self._store.board(inspection_id).get(retry=RETRY, timeout=BUDGET_S)
        return _load(Inspection, snapshot)

    def note_fault(self, inspection_id: str, fault: str) -> None:
        self._update(inspection_id, {"fault": fault})

    def store_manifest(self, inspection_id: str, manifest: Manifest, manifest_ms: float) -> Manifest:
        board = self._store.board(inspection_id)
        fields = {"manifest": dump(manifest), "timings.manifest_ms": manifest_ms}
        with mapped(SERVICE):
            while True:
                snapshot = board.get(retry=RETRY, timeout=BUDGET_S)
                standing = _load(Inspection, snapshot)
                if standing is None:
                    raise PermanentError(f"there is no inspection {inspection_id}")
                if standing.manifest is not None:
                    return standing.manifest
                unchanged = self._store.client.write_option(last_update_time=snapshot.update_time)
                try:
                    board.update(fields, option=unchanged, retry=RETRY, timeout=BUDGET_S)
                except exceptions.FailedPrecondition:
                    continue  # a fault was noted, or another delivery stored its manifest: look again
                return manifest

    def record_check(self, inspection_id: str, check: Check) -> int:
        checks = self._store.board(inspection_id).collection("checks")
        with mapped(SERVICE):
            with suppress(exceptions.AlreadyExists):  # means "go on", never "done"
                checks.document(str(check.index)).create(
                    dump(check) | self._store.expiry(), retry=RETRY, timeout=BUDGET_S
                )
            ((count,),) = checks.count().get(retry=RETRY, timeout=BUDGET_S)
        return int(count.value)

    def has_check(self, inspection_id: str, index: int) -> bool:
        check = self._store.board(inspection_id).collection("checks").document(str(index))
        with mapped(SERVICE):
            return bool(check.get(retry=RETRY, timeout=BUDGET_S).exists)

    def checks(self, inspection_id: str, expected: int) -> dict[int, Check]:
        checks = self._store.board(inspection_id).collection("checks").where(filter=FieldFilter("index", "<", expected))
        found = [_value(Check, snapshot) for snapshot in self._store.stream(checks)]
        return {check.index: check for check in sorted(found, key=lambda check: check.index)}

    def commit(self, inspection: Inspection, revision: Revision, outbox: Sequence[OutboxEntry]) -> bool:
        board = self._store.board(inspection.inspection_id)
        batch = self._store.client.batch()
        batch.create(
            board.collection("revisions").document(str(revision.number)), dump(revision) | self._store.expiry()
        )
        batch.update(
            board,
            {
                "revision": dump(revision),
                "told": list(inspection.told),
                "timings.decided_ms": inspection.timings.decided_ms,
                "decided": True,
            },
        )
        for entry in outbox:
            batch.create(self._store.entry(entry.entry_id), dump(entry) | self._store.expiry())
        with mapped(SERVICE):
            try:
                batch.commit(retry=RETRY, timeout=BUDGET_S)
            except exceptions.AlreadyExists:
                return False
            except exceptions.NotFound as error:
                raise PermanentError(f"there is no inspection {inspection.inspection_id}") from error
        return True

    def refuse(self, refusal: Refusal) -> None:
        kept = self._store.board(refusal.review.inspection_id).collection("refusals")
        with mapped(SERVICE), suppress(exceptions.AlreadyExists):
            kept.document(refusal.review.review_id).create(
                dump(refusal) | self._store.expiry(), retry=RETRY, timeout=BUDGET_S
            )

    def note_late_fails(self, inspection_id: str, indices: Sequence[int]) -> None:
        self._update(inspection_id, {"late_fails": firestore.ArrayUnion(list(indices))})

    def overdue(self, now: datetime, limit: int) -> list[Inspection]:
        late = And([FieldFilter("decided", "==", False), FieldFilter("deadline", "<=", now)])
        boards = self._store.client.collection("inspections").where(filter=late).order_by("deadline").limit(limit)
        return readable(
            lambda snapshot: _value(Inspection, snapshot), ((one.id, one) for one in self._store.stream(boards))
        )

    def postpone(self, inspection_id: str, deadline: datetime) -> None:
        self._update(inspection_id, {"deadline": deadline})

    def _update(self, inspection_id: str, fields: dict[str, Any]) -> None:
        with mapped(SERVICE):
            try:
                self._store.board(inspection_id).update(fields, retry=RETRY, timeout=BUDGET_S)
            except exceptions.NotFound as error:
                raise PermanentError(f"there is no inspection {inspection_id}") from error


class FirestoreOutbox:
    def __init__(self, store: Firestore) -> None:
        self._store = store
        self._disabled: tuple[float, dict[str, str]] = (0.0, {})

    def pending(self, inspection_id: str, revision: int) -> list[OutboxEntry]:
        found = self._store.entries(inspection_id=inspection_id, revision=revision, state=OutboxState.PENDING)
        return sorted(found, key=lambda entry: entry.entry_id)

    def entries(self, inspection_id: str, target: str) -> list[OutboxEntry]:
        return sorted(self._store.entries(inspection_id=inspection_id, target=target), key=lambda entry: entry.revision)

    def update(self, entry: OutboxEntry) -> bool:
        document = self._store.entry(entry.entry_id)
        updated = dump(replace(entry, version=entry.version + 1)) | self._store.expiry()
        with mapped(SERVICE):
            snapshot = document.get(retry=RETRY, timeout=BUDGET_S)
            standing = _load(OutboxEntry, snapshot)
            if standing is None or standing.version != entry.version:
                return False
            unchanged = self._store.client.write_option(last_update_time=snapshot.update_time)
            try:
                document.update(updated, option=unchanged, retry=RETRY, timeout=BUDGET_S)
            except exceptions.FailedPrecondition:
                return False  # or our own update, whose answer got lost: then nothing is wrong but one more attempt
        return True

    def stranded(self, never_attempted_before: datetime, attempted_before: datetime, limit: int) -> list[OutboxEntry]:
        pending = FieldFilter("state", "==", OutboxState.PENDING.value)
        never = [FieldFilter("attempted_at", "==", None), FieldFilter("created_at", "<=", never_attempted_before)]
        long_ago = [FieldFilter("attempted_at", "<=", attempted_before)]
        found: list[OutboxEntry] = []
        for conditions in (never, long_ago):
            query = (
                self._store.client.collection("outbox")
                .where(filter=And([pending, *conditions]))
                .limit(limit - len(found))
            )
            found += readable(
                lambda snapshot: _value(OutboxEntry, snapshot), ((one.id, one) for one in self._store.stream(query))
            )
            if len(found) >= limit:
                break
        return found  # a query comes in the order of the field that it compares

    def disable_target(self, target: str, reason: str, now: datetime) -> None:
        with mapped(SERVICE), suppress(exceptions.AlreadyExists):  # the first reason is the one to mend
            self._store.client.collection("disabled_targets").document(target).create(
                {"reason": reason, "disabled_at": now}, retry=RETRY, timeout=BUDGET_S
            )
        self._disabled = (0.0, {})

    def enable_target(self, target: str) -> list[OutboxEntry]:
        with mapped(SERVICE):
            self._store.client.collection("disabled_targets").document(target).delete(retry=RETRY, timeout=BUDGET_S)
        self._disabled = (0.0, {})
        held = self._store.entries(target=target, state=OutboxState.HELD)
        entries = [replace(entry, state=OutboxState.PENDING) for entry in sorted(held, key=lambda e: e.created_at)]
        return [replace(entry, version=entry.version + 1) for entry in entries if self.update(entry)]

    def disabled_targets(self, *, fresh: bool = False) -> dict[str, str]:
        asked, known = self._disabled
        if fresh or time.monotonic() - asked > REMEMBERED_S:
            targets = self._store.stream(self._store.client.collection("disabled_targets"))
            known = {snapshot.id: str(snapshot.get("reason")) for snapshot in targets}
            self._disabled = (time.monotonic(), known)
        return dict(known)


class FirestoreChallenges:
    def __init__(self, store: Firestore) -> None:
        self._store = store
        self._known: dict[str, tuple[float, list[Challenge]]] = {}

    def record(self, challenge: Challenge) -> None:
        identity = f"{challenge.line}:{challenge.recipe}:{challenge.setup}"
        with mapped(SERVICE):
            self._challenges.document(identity).set(
                dump(challenge) | self._store.expiry(), retry=RETRY, timeout=BUDGET_S
            )
        self._known.pop(challenge.line, None)

    def of(self, line: str, *, fresh: bool = False) -> list[Challenge]:
        asked, known = self._known.get(line, (-math.inf, []))
        if fresh or time.monotonic() - asked > CHALLENGES_REMEMBERED_S:
            snapshots = self._store.stream(self._challenges.where(filter=FieldFilter("line", "==", line)))
            known = readable(lambda snapshot: _value(Challenge, snapshot), ((one.id, one) for one in snapshots))
            self._known[line] = (time.monotonic(), known)
        return list(known)

    @property
    def _challenges(self) -> firestore.CollectionReference:
        return self._store.client.collection("challenges")


class FirestoreQueries:
    def __init__(self, store: Firestore) -> None:
        self._store = store

    def undecided(self, now: datetime) -> tuple[int, int]:
        waiting: Any = self._inspections.where(filter=FieldFilter("decided", "==", False))
        overdue = waiting.where(filter=FieldFilter("deadline", "<=", now))
        return self._count(waiting), self._count(overdue)

    def decided(self) -> list[str]:
        query = self._inspections.where(filter=FieldFilter("decided", "==", True)).select([])
        return [snapshot.id for snapshot in self._store.stream(query)]

    def newest(self) -> datetime | None:
        found = self.latest(1)
        return found[0].received_at if found else None

    def latest(
        self, limit: int, *, line: str | None = None, verdict: Verdict | None = None, since: datetime | None = None
    ) -> list[Inspection]:
        query: Any = self._inspections
        if line is not None:
            query = query.where(filter=FieldFilter("place.line", "==", line))
        if verdict is not None:
            query = query.where(filter=FieldFilter("revision.decision.verdict", "==", verdict.value))
        if since is not None:
            query = query.where(filter=FieldFilter("received_at", ">=", since))
        return self._all(Inspection, query.order_by("received_at", direction="DESCENDING").limit(limit))

    def find(self, wanted: str, limit: int) -> list[Inspection]:
        by_serial = self._inspections.where(filter=FieldFilter("place.serial", "==", wanted))
        queries = [by_serial.order_by("received_at", direction="DESCENDING").limit(limit)]
        if begins_an_id(wanted):
            by_id = self._inspections.order_by("__name__")
            first, behind = self._store.board(wanted), self._store.board(f"{wanted}g")
            queries.append(by_id.start_at({"__name__": first}).end_before({"__name__": behind}))
        found = {one.inspection_id: one for query in queries for one in self._all(Inspection, query)}
        return sorted(found.values(), key=lambda one: one.received_at, reverse=True)[:limit]

    def revisions(self, inspection_id: str) -> list[Revision]:
        found = self._all(Revision, self._store.board(inspection_id).collection("revisions"))
        return sorted(found, key=lambda revision: revision.number)

    def refusals(self, inspection_id: str) -> list[Refusal]:
        found = self._all(Refusal, self._store.board(inspection_id).collection("refusals"))
        return sorted(found, key=lambda refusal: refusal.refused_at)

    def notifications(self, inspection_id: str) -> list[OutboxEntry]:
        query = self._store.client.collection("outbox").where(filter=FieldFilter("inspection_id", "==", inspection_id))
        return sorted(self._all(OutboxEntry, query), key=lambda entry: (entry.revision, entry.target))

    def undelivered(self) -> list[Undelivered]:
        states = [OutboxState.PENDING.value, OutboxState.DEAD.value, OutboxState.HELD.value]
        query = self._store.client.collection("outbox").where(filter=FieldFilter("state", "in", states))
        groups: dict[tuple[str, OutboxState], list[OutboxEntry]] = {}
        for entry in self._all(OutboxEntry, query):
            groups.setdefault((entry.target, entry.state), []).append(entry)
        return [
            Undelivered(
                target,
                state,
                count=len(entries),
                attempts=max(entry.attempts for entry in entries),
                oldest=min(entry.created_at for entry in entries),
                last_error=max(entry.last_error for entry in entries),
            )
            for (target, state), entries in sorted(groups.items())
        ]

    @staticmethod
    def _count(query: Any) -> int:
        with mapped(SERVICE):
            ((count,),) = query.count().get(retry=RETRY, timeout=BUDGET_S)
        return int(count.value)

    @property
    def _inspections(self) -> firestore.CollectionReference:
        return self._store.client.collection("inspections")

    def _all(self, cls: type[T], query: Any) -> list[T]:
        snapshots = self._store.stream(query)
        try:
            return [_value(cls, snapshot) for snapshot in snapshots]
        except ValueError as error:
            raise TransientError(f"a record in Firestore can't be read: {brief(str(error))}") from error


def _load(cls: type[T], snapshot: Any) -> T | None:
    return _value(cls, snapshot) if snapshot.exists else None


def _value(cls: type[T], snapshot: Any) -> T:
    return load(cls, snapshot.to_dict())

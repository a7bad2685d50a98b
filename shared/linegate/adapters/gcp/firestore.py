"""The ports Inspections, Outbox and Challenges in Firestore; `queries` has Queries.

    inspections/{inspection_id}                 the inspection, with its manifest and latest revision
    inspections/{inspection_id}/checks/{i}      one check
    inspections/{inspection_id}/revisions/{n}   one decision: creating it is the latch that makes a verdict exactly one
    inspections/{inspection_id}/refusals/{id}   a person's review that became no revision, and why
    outbox/{inspection_id}_r{n}_{target}        one notification
    outbox/report:{day}:{shift}_r1_{target}     the same, of a shift
    disabled_targets/{target}                   a target that is sent nothing
    reported_targets/{target}                   up to when shifts have been reported to it
    challenges/{line}:{recipe}:{setup}          the last time that known-bad boards were put through
    rollups/{line, recipe}_{day}_{shard}        a part of what is counted in the hours of a day (UTC)

No transactions: under contention they cost seconds and fail, where a `create` costs nothing and never lies. Every document
carries `expire_at` for the TTL policy, since a sub-collection is not covered by its parent's. Reads and writes of one board
with N crops and E targets: at most 2N + 4 + 2E and N + 5 + 2E; a test counts them. A correction also reads the revisions before
it.
"""

import hashlib
import math
import time
from collections.abc import Mapping, Sequence
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
from linegate.errors import PermanentError
from linegate.inspection import Check, Inspection, Manifest, OutboxEntry, OutboxState, Revision
from linegate.logs import log
from linegate.rollups import added, hour
from linegate.search import By, awaits_answer, marks
from linegate.stored import dump, load, readable
from linegate.texts import brief

T = TypeVar("T")
SERVICE: Final = "Firestore"
# Disabled targets are asked for before every notification, and change perhaps once a year.
REMEMBERED_S: Final = 10.0
# Asked for with each board of a line that has challenges, which come a few times a day.
CHALLENGES_REMEMBERED_S: Final = 30.0
# A document takes about one write a second for long: a line's counts are spread over so many, and its readers add them up.
SHARDS: Final = 8
# Of a stored revision: whether it and those before it are in the counts.
COUNTED: Final = "counted"


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

    def rollup(self, *, line: str, recipe: str, day: str, shard: int) -> firestore.DocumentReference:
        which = hashlib.sha256(repr((line, recipe)).encode("utf-8", "surrogatepass")).hexdigest()[:20]
        return self.client.collection("rollups").document(f"{which}_{day}_{shard}")

    def entries(self, **equal: object) -> list[OutboxEntry]:
        """Outbox entries by equality of fields, which needs no composite index."""
        conditions = And([FieldFilter(name, "==", value) for name, value in equal.items()])
        query = self.client.collection("outbox").where(filter=conditions)
        return [value(OutboxEntry, snapshot) for snapshot in self.stream(query)]

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
        found = [value(Check, snapshot) for snapshot in self._store.stream(checks)]
        return {check.index: check for check in sorted(found, key=lambda check: check.index)}

    def commit(self, inspection: Inspection, revision: Revision, outbox: Sequence[OutboxEntry]) -> bool:
        earlier, known = self._earlier(inspection.inspection_id, revision.number)
        history = [*earlier, revision]
        counters: Mapping[str, int] = {}
        if len(history) == revision.number:
            counters = added(inspection, history, known)
        else:
            log.error(
                "rollup.left_out", inspection_id=inspection.inspection_id, reason="an earlier revision can't be read"
            )
        found_by = marks(inspection.manifest, history)
        with mapped(SERVICE):
            try:
                try:
                    self._commit(inspection, revision, outbox, found_by, counters)
                except exceptions.InvalidArgument as error:  # counters that have grown too large keep no verdict up
                    if not counters:
                        raise
                    self._commit(inspection, revision, outbox, found_by, {})
                    log.error("rollup.left_out", inspection_id=inspection.inspection_id, reason=brief(str(error)))
            except exceptions.AlreadyExists:
                return False
            except exceptions.NotFound as error:
                raise PermanentError(f"there is no inspection {inspection.inspection_id}") from error
        return True

    def _commit(
        self,
        inspection: Inspection,
        revision: Revision,
        outbox: Sequence[OutboxEntry],
        found_by: Sequence[str],
        counters: Mapping[str, int],
    ) -> None:
        board, expiry = self._store.board(inspection.inspection_id), self._store.expiry()
        batch = self._store.client.batch()
        batch.create(
            board.collection("revisions").document(str(revision.number)),
            dump(revision) | {COUNTED: bool(counters)} | expiry,
        )
        batch.update(
            board,
            {
                "revision": dump(revision),
                "told": list(inspection.told),
                "timings.decided_ms": inspection.timings.decided_ms,
                "decided": True,
                "by": (By.PERSON if revision.decided_by.is_person else By.MACHINE).value,
                "waiting": awaits_answer(inspection.manifest, revision),
                "marks": list(found_by),
            },
        )
        if counters:
            start, part = hour(inspection), int(inspection.inspection_id[:8], 16) % SHARDS
            more = {counter: firestore.Increment(count) for counter, count in counters.items()}
            which = {"line": inspection.place.line, "recipe": inspection.recipe, "day": f"{start:%Y-%m-%d}"}
            batch.set(
                self._store.rollup(**which, shard=part), {**which, "hours": {f"{start:%H}": more}} | expiry, merge=True
            )
        for entry in outbox:
            batch.create(self._store.entry(entry.entry_id), dump(entry) | expiry)
        batch.commit(retry=RETRY, timeout=BUDGET_S)

    def _earlier(self, inspection_id: str, below: int) -> tuple[list[Revision], int]:
        """The revisions before this number, which nobody changes any more; and the last of them up to which they are counted."""
        if below <= 1:
            return [], 0
        revisions = self._store.board(inspection_id).collection("revisions")
        snapshots = self._store.stream(revisions.where(filter=FieldFilter("number", "<", below)).order_by("number"))
        counted = [int(one.id) for one in snapshots if (one.to_dict() or {}).get(COUNTED)]
        found = readable(lambda one: value(Revision, one), ((inspection_id, one) for one in snapshots))
        return found, max(counted, default=0)

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
            lambda snapshot: value(Inspection, snapshot), ((one.id, one) for one in self._store.stream(boards))
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

    def add(self, entry: OutboxEntry) -> bool:
        document = self._store.entry(entry.entry_id)
        with mapped(SERVICE):
            try:
                document.create(dump(entry) | self._store.expiry(), retry=RETRY, timeout=BUDGET_S)
            except exceptions.AlreadyExists:  # or our own creation, whose answer got lost: sweep has it published
                return False
        return True

    def reported_until(self, target: str) -> datetime | None:
        with mapped(SERVICE):
            found: Any = self._reported(target).get(retry=RETRY, timeout=BUDGET_S)
        return found.get("until") if found.exists else None

    def note_reported(self, target: str, until: datetime) -> None:
        with mapped(SERVICE):
            self._reported(target).set({"until": until}, retry=RETRY, timeout=BUDGET_S)

    def _reported(self, target: str) -> firestore.DocumentReference:
        return self._store.client.collection("reported_targets").document(target)

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
                lambda snapshot: value(OutboxEntry, snapshot), ((one.id, one) for one in self._store.stream(query))
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
            known = readable(lambda snapshot: value(Challenge, snapshot), ((one.id, one) for one in snapshots))
            self._known[line] = (time.monotonic(), known)
        return list(known)

    @property
    def _challenges(self) -> firestore.CollectionReference:
        return self._store.client.collection("challenges")


def _load(cls: type[T], snapshot: Any) -> T | None:
    return value(cls, snapshot) if snapshot.exists else None


def value(cls: type[T], snapshot: Any) -> T:
    return load(cls, snapshot.to_dict())

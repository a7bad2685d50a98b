"""Fakes of the ports, kept in memory: small enough to be seen to be right, with crashes where a test wants them."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, BinaryIO, Literal

from PIL.Image import Image

from linegate.answers import Refusal
from linegate.challenges import Challenge
from linegate.errors import ObjectMissingError, PermanentError, TargetGoneError, TransientError
from linegate.inspection import (
    Check,
    Detection,
    Inspection,
    Manifest,
    ObjectRef,
    OutboxEntry,
    OutboxState,
    Result,
    Revision,
)
from linegate.ports import Found, Judgement, Message, Reference, Undelivered, begins_an_id
from linegate.rollups import Counts, Slot, counted, days, hour, ordered
from linegate.search import MOST_COUNTED, Page, Position, Wanted, awaits_answer, cursor_at, fits, marks, position
from linegate.shapes import Box

START = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Crash(BaseException):
    """The process dies here. No handler may catch it."""


@dataclass
class ManualClock:
    time: datetime = START

    def now(self) -> datetime:
        return self.time

    def advance(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)


@dataclass
class MemoryImages:
    objects: dict[tuple[str, str], tuple[int, bytes]] = field(default_factory=dict)
    reads: int = 0

    def size(self, ref: ObjectRef) -> int:
        return len(self._content(ref))

    def read(self, ref: ObjectRef) -> bytes:
        self.reads += 1
        return self._content(ref)

    def part(self, ref: ObjectRef, start: int, count: int) -> bytes:
        return self._content(ref)[start : start + count]

    def newest(self, bucket: str, name: str) -> ObjectRef:
        if (bucket, name) not in self.objects:
            raise ObjectMissingError(f"there is no object {name}")
        return ObjectRef(bucket, name, self.objects[bucket, name][0])

    def latest(self, bucket: str, name: str) -> bytes:
        return self._content(self.newest(bucket, name))

    def write(self, bucket: str, name: str, data: bytes, content_type: str) -> int:
        generation = self.objects.get((bucket, name), (0, b""))[0] + 1
        self.objects[bucket, name] = (generation, data)
        return generation

    def put(self, bucket: str, name: str, file: BinaryIO, digest: str, content_type: str) -> tuple[int, bool]:
        generation, standing = self.objects.get((bucket, name), (0, None))
        data = file.read()
        if standing == data:
            return generation, False
        return self.write(bucket, name, data, content_type), True

    def create(self, bucket: str, name: str, data: bytes, content_type: str) -> bool:
        if (bucket, name) in self.objects:
            return False
        self.write(bucket, name, data, content_type)
        return True

    def copy(self, ref: ObjectRef, bucket: str, name: str) -> None:
        self.write(bucket, name, self._content(ref), "")

    def names(self, bucket: str) -> set[str]:
        return {name for held, name in self.objects if held == bucket}

    def _content(self, ref: ObjectRef) -> bytes:
        generation, data = self.objects.get((ref.bucket, ref.name), (0, b""))
        if generation != ref.generation:
            raise ObjectMissingError(f"{ref.name} of generation {ref.generation} is not here")
        return data


@dataclass
class MemoryOutbox:
    held: dict[str, OutboxEntry] = field(default_factory=dict)
    disabled: dict[str, str] = field(default_factory=dict)
    reported: dict[str, datetime] = field(default_factory=dict)

    def add(self, entry: OutboxEntry) -> bool:
        return self.held.setdefault(entry.entry_id, entry) is entry

    def reported_until(self, target: str) -> datetime | None:
        return self.reported.get(target)

    def note_reported(self, target: str, until: datetime) -> None:
        self.reported[target] = until

    def pending(self, inspection_id: str, revision: int) -> list[OutboxEntry]:
        return [
            entry
            for entry in self.held.values()
            if (entry.inspection_id, entry.revision, entry.state) == (inspection_id, revision, OutboxState.PENDING)
        ]

    def entries(self, inspection_id: str, target: str) -> list[OutboxEntry]:
        entries = [e for e in self.held.values() if (e.inspection_id, e.target) == (inspection_id, target)]
        return sorted(entries, key=lambda entry: entry.revision)

    def update(self, entry: OutboxEntry) -> bool:
        standing = self.held.get(entry.entry_id)
        if standing is None or standing.version != entry.version:
            return False
        self.held[entry.entry_id] = replace(entry, version=entry.version + 1)
        return True

    def stranded(self, never_attempted_before: datetime, attempted_before: datetime, limit: int) -> list[OutboxEntry]:
        def lost(entry: OutboxEntry) -> bool:
            if entry.attempted_at is None:
                return entry.created_at <= never_attempted_before
            return entry.attempted_at <= attempted_before

        pending = (entry for entry in self.held.values() if entry.state is OutboxState.PENDING)
        found = [entry for entry in pending if lost(entry)]
        return sorted(found, key=lambda entry: entry.attempted_at or datetime.min.replace(tzinfo=UTC))[:limit]

    def disable_target(self, target: str, reason: str, now: datetime) -> None:
        self.disabled.setdefault(target, reason)

    def enable_target(self, target: str) -> list[OutboxEntry]:
        self.disabled.pop(target, None)
        held = [e for e in self.held.values() if (e.target, e.state) == (target, OutboxState.HELD)]
        for entry in held:
            self.update(replace(entry, state=OutboxState.PENDING))
        return [self.held[entry.entry_id] for entry in held]

    def disabled_targets(self, *, fresh: bool = False) -> dict[str, str]:
        return dict(self.disabled)


@dataclass
class MemoryInspections:
    inspections: dict[str, Inspection] = field(default_factory=dict)
    recorded: dict[str, dict[int, Check]] = field(default_factory=dict)
    history: dict[str, list[Revision]] = field(default_factory=dict)
    outbox: MemoryOutbox = field(default_factory=MemoryOutbox)
    refused: dict[str, dict[str, Refusal]] = field(default_factory=dict)

    def open(self, inspection: Inspection) -> Inspection:
        return self.inspections.setdefault(inspection.inspection_id, inspection)

    def get(self, inspection_id: str) -> Inspection | None:
        return self.inspections.get(inspection_id)

    def note_fault(self, inspection_id: str, fault: str) -> None:
        self._change(inspection_id, fault=fault)

    def store_manifest(self, inspection_id: str, manifest: Manifest, manifest_ms: float) -> Manifest:
        if inspection_id not in self.inspections:
            raise PermanentError(inspection_id)
        standing = self.inspections[inspection_id].manifest
        if standing is None:
            self._change(inspection_id, manifest=manifest)
        return standing or manifest

    def record_check(self, inspection_id: str, check: Check) -> int:
        checks = self.recorded.setdefault(inspection_id, {})
        checks.setdefault(check.index, check)
        return len(checks)

    def has_check(self, inspection_id: str, index: int) -> bool:
        return index in self.recorded.get(inspection_id, {})

    def checks(self, inspection_id: str, expected: int) -> dict[int, Check]:
        return {index: check for index, check in self.recorded.get(inspection_id, {}).items() if index < expected}

    def commit(self, inspection: Inspection, revision: Revision, outbox: Sequence[OutboxEntry]) -> bool:
        history = self.history.setdefault(inspection.inspection_id, [])
        if any(known.number == revision.number for known in history):
            return False
        history.append(revision)
        self._change(inspection.inspection_id, revision=revision, told=inspection.told)
        self.outbox.held |= {entry.entry_id: entry for entry in outbox}
        return True

    def refuse(self, refusal: Refusal) -> None:
        kept = self.refused.setdefault(refusal.review.inspection_id, {})
        kept.setdefault(refusal.review.review_id, refusal)

    def note_late_fails(self, inspection_id: str, indices: Sequence[int]) -> None:
        known = self.inspections[inspection_id].late_fails
        self._change(inspection_id, late_fails=tuple(sorted({*known, *indices})))

    def overdue(self, now: datetime, limit: int) -> list[Inspection]:
        late = [board for board in self.inspections.values() if board.revision is None and board.deadline <= now]
        return sorted(late, key=lambda board: board.deadline)[:limit]

    def postpone(self, inspection_id: str, deadline: datetime) -> None:
        self._change(inspection_id, deadline=deadline)

    def _change(self, inspection_id: str, **fields: object) -> None:
        self.inspections[inspection_id] = replace(self.inspections[inspection_id], **fields)  # type: ignore[arg-type]


@dataclass
class MemoryQueries:
    inspections: MemoryInspections

    def undecided(self, now: datetime) -> tuple[int, int]:
        waiting = [board for board in self._boards if board.revision is None]
        return len(waiting), sum(board.deadline <= now for board in waiting)

    def decided(self) -> list[str]:
        return [board.inspection_id for board in self._boards if board.revision]

    def newest(self) -> datetime | None:
        return max((board.received_at for board in self._boards), default=None)

    def search(self, wanted: Wanted, cursor: str = "", limit: int = 50) -> Page[Inspection]:
        found = [board for board in self._boards if fits(wanted, board, self._marks(board))]
        return self._page(found, cursor, limit, wanted, newest_first=not wanted.oldest_first)

    def waiting(self, lines: Collection[str] = (), cursor: str = "", limit: int = 50) -> Page[Inspection]:
        found = [board for board in self._boards if board.revision and awaits_answer(board.manifest, board.revision)]
        found = [board for board in found if not lines or board.place.line in lines]
        page = self._page(found, cursor, limit, ("waiting", *sorted(set(lines))), newest_first=False)
        return replace(page, count=min(len(found), MOST_COUNTED))

    def _page(
        self, found: list[Inspection], cursor: str, limit: int, asked: object, *, newest_first: bool
    ) -> Page[Inspection]:
        begin = position(cursor, asked)
        keyed = sorted([((one.received_at, one.inspection_id), one) for one in found], reverse=newest_first)
        if begin is not None:
            at = (begin.received_at, begin.key)
            keyed = [(key, one) for key, one in keyed if (key < at if newest_first else key > at)]
        items = [one for _, one in keyed[:limit]]
        end = Position(*keyed[limit - 1][0]) if len(keyed) > limit else None
        return Page(tuple(items), cursor_at(end, asked) if end else "")

    def counts(
        self,
        line: str | None,
        recipe: str | None,
        since: datetime,
        until: datetime,
        by: Literal["hour", "day"] = "hour",
        zone: tzinfo = UTC,
    ) -> list[Slot]:
        """Counted anew from all that is here, where a store adds up as it goes."""
        sums: dict[tuple[datetime, str, str], Counts] = {}
        for one in self._boards:
            key = (hour(one), one.place.line, one.recipe)
            if line in (None, key[1]) and recipe in (None, key[2]) and since <= key[0] < until and one.revision:
                sums[key] = sums.get(key, Counts()) + Counts(counted(one, self.revisions(one.inspection_id)))
        hours = [Slot(*key, counts) for key, counts in sums.items()]
        return days(hours, zone) if by == "day" else ordered(hours)

    def find(self, wanted: str, limit: int) -> list[Inspection]:
        newest_first = sorted(self._boards, key=lambda board: board.received_at, reverse=True)
        return [
            board
            for board in newest_first
            if board.place.serial == wanted or (begins_an_id(wanted) and board.inspection_id.startswith(wanted))
        ][:limit]

    def _marks(self, board: Inspection) -> tuple[str, ...]:
        return marks(board.manifest, self.revisions(board.inspection_id))

    def revisions(self, inspection_id: str) -> list[Revision]:
        return sorted(self.inspections.history.get(inspection_id, []), key=lambda revision: revision.number)

    def refusals(self, inspection_id: str) -> list[Refusal]:
        kept = self.inspections.refused.get(inspection_id, {}).values()
        return sorted(kept, key=lambda refusal: refusal.refused_at)

    def notifications(self, inspection_id: str) -> list[OutboxEntry]:
        found = [entry for entry in self._entries if entry.inspection_id == inspection_id]
        return sorted(found, key=lambda entry: (entry.revision, entry.target))

    def undelivered(self) -> list[Undelivered]:
        done = (OutboxState.SENT, OutboxState.SUPERSEDED)
        left = [entry for entry in self._entries if entry.state not in done]
        groups = {key: [e for e in left if (e.target, e.state) == key] for key in {(e.target, e.state) for e in left}}
        return [
            Undelivered(
                *key,
                len(entries),
                max(entry.attempts for entry in entries),
                min(entry.created_at for entry in entries),
                max(entry.last_error for entry in entries),
            )
            for key, entries in sorted(groups.items())
        ]

    @property
    def _boards(self) -> list[Inspection]:
        return list(self.inspections.inspections.values())

    @property
    def _entries(self) -> list[OutboxEntry]:
        return list(self.inspections.outbox.held.values())


@dataclass
class MemoryChallenges:
    held: dict[tuple[str, str, str], Challenge] = field(default_factory=dict)

    def record(self, challenge: Challenge) -> None:
        self.held[challenge.line, challenge.recipe, challenge.setup] = challenge

    def of(self, line: str, *, fresh: bool = False) -> list[Challenge]:
        return [challenge for challenge in self.held.values() if challenge.line == line]


@dataclass
class MemoryBus:
    messages: list[tuple[str, Message]] = field(default_factory=list)

    def publish(self, topic: str, messages: Sequence[Message]) -> None:
        self.messages += [(topic, message) for message in messages]

    def take(self, topic: str) -> list[Message]:
        taken = [message for held, message in self.messages if held == topic]
        self.messages = [(held, message) for held, message in self.messages if held != topic]
        return taken


@dataclass
class StaticDetector:
    """Finds what it is told to; `fault` is raised instead, once, if set."""

    found: Found = field(default_factory=lambda: Found((), "static"))
    fault: Exception | None = None
    calls: int = 0
    golden: Reference | None = None  # the last one it was given

    def detect(self, picture: Image, file: bytes, golden: Reference | None) -> Found:
        self.calls += 1
        self.golden = golden
        if self.fault is not None:
            fault, self.fault = self.fault, None
            raise fault
        return self.found


@dataclass
class StaticVerifier:
    """Answers by the class of the detection; `fault` is raised instead if set."""

    answers: dict[str, Result] = field(default_factory=dict)
    fault: Exception | None = None
    calls: int = 0

    def verify(self, crop: bytes, reference: bytes | None, detection: Detection) -> Judgement:
        self.calls += 1
        if self.fault is not None:
            raise self.fault
        result = self.answers.get(detection.class_name, Result.FAIL)
        return Judgement(result, f"It is {result.value.lower()}.", "static")


@dataclass
class RecordingTarget:
    """Takes what it is sent, unless it is `down`."""

    sent: list[tuple[str, str]] = field(default_factory=list)
    down: bool = False
    gone: bool = False
    retry_after_s: float | None = None

    def send(self, entry_id: str, body: str, now: datetime) -> None:
        if self.gone:
            raise TargetGoneError("it answered 410")
        if self.down:
            raise TransientError("it answered 503", retry_after_s=self.retry_after_s)
        self.sent.append((entry_id, body))


def detection(class_name: str = "short", x: float = 20, confidence: float = 0.9) -> Detection:
    return Detection(class_name, confidence, Box(x, 20, 8, 8))


def holds(present: Any, earlier: Any) -> bool:
    """Whether a document still holds all that an earlier one did."""
    if isinstance(earlier, dict):
        return isinstance(present, dict) and all(holds(present.get(key), value) for key, value in earlier.items())
    return bool(present == earlier)

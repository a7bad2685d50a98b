"""What the handlers need of the world, as Protocols. Adapters fulfil them; one contract suite per port holds them to it."""

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from typing import TYPE_CHECKING, BinaryIO, Literal, Protocol

from linegate.answers import Refusal
from linegate.challenges import Challenge
from linegate.inspection import (
    Check,
    Coverage,
    Detection,
    Inspection,
    Manifest,
    ObjectRef,
    OutboxEntry,
    OutboxState,
    Result,
    Revision,
)
from linegate.rollups import Slot
from linegate.search import Page, Wanted

if TYPE_CHECKING:  # Pillow is not loaded by the functions that never touch a picture
    from PIL.Image import Image

    from linegate.sight import Sight


@dataclass(frozen=True, slots=True)
class Message:
    """What a topic carries: a small JSON object and its attributes."""

    data: bytes
    attributes: Mapping[str, str] = field(default_factory=dict)
    key: str = ""  # a bus that can keep one message of this key at a time puts the new one in the place of the old


@dataclass(frozen=True, slots=True)
class Found:
    """A detector's answer: what it saw, who it was, how much of the picture it could judge, and why it may not be trusted."""

    detections: tuple[Detection, ...]
    model: str
    model_version: str = ""
    doubts: tuple[str, ...] = ()
    coverage: Coverage | None = None  # None where it can't know
    heatmap: bytes = b""  # a PNG of the picture's shape: how unusual each place is


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verifier's answer about one crop."""

    result: Result
    reason: str
    model: str
    model_version: str = ""
    tokens: int = 0


@dataclass(frozen=True, slots=True)
class Reference:
    """The golden picture as it lies over a picture, RGB and of its size; and by how many grey levels (mode L) good
    products differ from it at each pixel, where that was learned from several of them; `broad` (mode L) by how many they do when
    they are blurred, so that where thin strokes lie averages out.

    `unseen` are the tiles (see `linegate.sight`) in which the picture shows next to nothing of what this one does.
    `outside` (mode L, of any size; not 0 there) is where the golden picture says nothing of the picture, `cut_off` which part
    (0 … 1) of the golden picture lies beyond it; the plain background of the product counts for neither. `proof` is what its
    file holds of what can be found with it, `scale` how many of its own pixels there are for one of the picture.
    `lies` leads from parts (0 … 1) of the golden picture's width and height to pixels of the picture: x and y are the products of
    its first and second three numbers with (across, down, 1). None where the golden picture was not moved. `digest` is the
    SHA-256 of its file, in hex; empty where there is none.
    """

    picture: "Image"
    variation: "Image | None" = None
    unseen: tuple[int, ...] = ()
    outside: "Image | None" = None
    cut_off: float = 0.0
    proof: str = ""
    scale: float = 1.0
    lies: tuple[float, float, float, float, float, float] | None = None
    digest: str = ""
    broad: "Image | None" = None


class Clock(Protocol):
    def now(self) -> datetime:
        """The time, aware, in UTC."""
        ...


class ImageStore(Protocol):
    """Buckets of objects. Any text of 1 … 1024 bytes UTF-8 is a legal object name; none of them escapes its bucket.

    Every method raises TransientError when the store can't be reached.
    """

    def size(self, ref: ObjectRef) -> int:
        """Bytes of this very generation. Raises ObjectMissingError."""
        ...

    def read(self, ref: ObjectRef) -> bytes:
        """The content of this very generation. Raises ObjectMissingError when it is gone or was replaced."""
        ...

    def part(self, ref: ObjectRef, start: int, count: int) -> bytes:
        """At most `count` bytes of this very generation from `start` on, fewer at its end. Raises ObjectMissingError."""
        ...

    def newest(self, bucket: str, name: str) -> ObjectRef:
        """The newest version of a name. Raises ObjectMissingError."""
        ...

    def latest(self, bucket: str, name: str) -> bytes:
        """The content of the newest version, whichever it is. Raises ObjectMissingError."""
        ...

    def write(self, bucket: str, name: str, data: bytes, content_type: str) -> int:
        """Store a new version, whole or not at all; returns its generation."""
        ...

    def put(self, bucket: str, name: str, file: BinaryIO, digest: str, content_type: str) -> tuple[int, bool]:
        """Store a new version, the whole of a file, unless the newest one that was put has this `digest` and is still there.

        Returns its generation, and whether it is new: whoever puts the same again, even at the same time, gets the same
        generation. `digest` is the SHA-256 of the content in hex; the file is read from where it stands.
        """
        ...

    def create(self, bucket: str, name: str, data: bytes, content_type: str) -> bool:
        """Store the object only if there is none of that name; False if there is."""
        ...

    def copy(self, ref: ObjectRef, bucket: str, name: str) -> None:
        """Copy an object of any size without reading it into memory. Raises ObjectMissingError."""
        ...


class Inspections(Protocol):
    """Inspections with their checks and revisions. Every method raises TransientError when the store can't answer."""

    def open(self, inspection: Inspection) -> Inspection:
        """Create the inspection; if it exists, the one that stands there is returned instead."""
        ...

    def get(self, inspection_id: str) -> Inspection | None: ...

    def note_fault(self, inspection_id: str, fault: str) -> None:
        """Remember what kept detect from its end, for the reason of a verdict at the deadline; "" once it got there."""
        ...

    def store_manifest(self, inspection_id: str, manifest: Manifest, manifest_ms: float) -> Manifest:
        """First writer wins: returns the manifest that stands there now. Raises PermanentError for an unknown inspection."""
        ...

    def record_check(self, inspection_id: str, check: Check) -> int:
        """Store a check, unless one of that index is there: the first one counts. Returns how many there are now.

        However many are recorded at the same time, at least one caller is told of all of them.
        """
        ...

    def has_check(self, inspection_id: str, index: int) -> bool: ...

    def checks(self, inspection_id: str, expected: int) -> dict[int, Check]:
        """The checks with indices 0 … expected-1 that have come, by index."""
        ...

    def commit(self, inspection: Inspection, revision: Revision, outbox: Sequence[OutboxEntry]) -> bool:
        """In one batch: create the revision, update the inspection, create the outbox entries.

        False, and nothing written, if that revision exists: somebody else decided. It is here, not on the outbox, because
        creating the revision is the latch; the entries go with it, so that no verdict can stand that nobody is told of.
        """
        ...

    def refuse(self, refusal: Refusal) -> None:
        """Keep a review that is no revision, and why; the first refusal of a review counts."""
        ...

    def note_late_fails(self, inspection_id: str, indices: Sequence[int]) -> None:
        """Remember detections that the machine called defects when somebody may have decided already."""
        ...

    def overdue(self, now: datetime, limit: int) -> list[Inspection]:
        """Undecided inspections whose deadline has passed, oldest first."""
        ...

    def postpone(self, inspection_id: str, deadline: datetime) -> None:
        """It could not be decided: overdue again from then on, behind those that wait already."""
        ...


class Outbox(Protocol):
    """Notifications on their way to their targets, and the targets that are disabled. `Inspections.commit` creates the
    entries, but for those of reports. Every method raises TransientError when the store can't answer.
    """

    def add(self, entry: OutboxEntry) -> bool:
        """Create an entry that hangs on no revision; False, and nothing written, if one of that id exists."""
        ...

    def reported_until(self, target: str) -> datetime | None:
        """Up to when shifts have been reported to it; None before the first time."""
        ...

    def note_reported(self, target: str, until: datetime) -> None: ...

    def pending(self, inspection_id: str, revision: int) -> list[OutboxEntry]:
        """PENDING entries of one revision."""
        ...

    def entries(self, inspection_id: str, target: str) -> list[OutboxEntry]:
        """What this target is told of this inspection, the lowest revision first."""
        ...

    def update(self, entry: OutboxEntry) -> bool:
        """Compare and set: False, and nothing written, if the entry was updated since this one was read."""
        ...

    def stranded(self, never_attempted_before: datetime, attempted_before: datetime, limit: int) -> list[OutboxEntry]:
        """PENDING entries whose message must have got lost: created long ago and never tried, or not tried for long.

        Those that were never tried come first, then the one whose attempt is the longest ago.
        """
        ...

    def disable_target(self, target: str, reason: str, now: datetime) -> None:
        """It is sent nothing any more until it is enabled; its entries are HELD meanwhile."""
        ...

    def enable_target(self, target: str) -> list[OutboxEntry]:
        """It is sent to again. Its HELD entries become PENDING and are returned, to be published."""
        ...

    def disabled_targets(self, *, fresh: bool = False) -> dict[str, str]:
        """The targets that are disabled, with the reason of each; `fresh` as of now, else as of a few seconds ago."""
        ...


@dataclass(frozen=True, slots=True)
class Undelivered:
    """The notifications of one target that share a state and are not done: PENDING, HELD or DEAD."""

    target: str
    state: OutboxState
    count: int
    attempts: int  # of the one that was tried most often
    oldest: datetime  # when the first of them was created
    last_error: str = ""  # of any of them


class Queries(Protocol):
    """What people ask of the store; it changes nothing. Every method raises TransientError when the store can't answer.

    In pages, and for `find`, a record that can't be read is told and keeps nobody from the others; elsewhere it is a
    TransientError.
    """

    def undecided(self, now: datetime) -> tuple[int, int]:
        """How many inspections wait for their verdict, and how many of those are past their deadline."""
        ...

    def decided(self) -> list[str]:
        """Ids of all inspections that have a verdict, in no order."""
        ...

    def newest(self) -> datetime | None:
        """When the latest inspection was received; None where there is none."""
        ...

    def search(self, wanted: Wanted, cursor: str = "", limit: int = 50) -> Page[Inspection]:
        """The inspections that are wanted, by the time they were received: the newest first, or the oldest.

        `cursor` is the `next` of the page before, "" for the first. Inspections that arrive meanwhile repeat nothing and
        hide nothing. A page costs about the same whatever the history: where next to nothing fits it may end early, with
        fewer than `limit` and a `next`. Raises CursorError.
        """
        ...

    def waiting(self, lines: Collection[str] = (), cursor: str = "", limit: int = 50) -> Page[Inspection]:
        """FAIL and REVIEW that no person has answered, and what passed and was drawn for an audit, of these lines (30 at most)
        or of all, the oldest first; with their count. Raises CursorError.
        """
        ...

    def counts(
        self,
        line: str | None,
        recipe: str | None,
        since: datetime,
        until: datetime,
        by: Literal["hour", "day"] = "hour",
        zone: tzinfo = UTC,
    ) -> list[Slot]:
        """The counts of the hours that begin in since ≤ t < until, by hour, line and recipe; None is any, each by itself.

        Days are those of `zone`: sums of the hours that begin in them. Where nothing was counted there is no slot.
        """
        ...

    def find(self, wanted: str, limit: int) -> list[Inspection]:
        """The inspections of this serial, or with an id that begins so (six digits at least), newest first."""
        ...

    def revisions(self, inspection_id: str) -> list[Revision]:
        """All revisions, the first one first."""
        ...

    def refusals(self, inspection_id: str) -> list[Refusal]:
        """The reviews of it that became no revision, the first one first."""
        ...

    def notifications(self, inspection_id: str) -> list[OutboxEntry]:
        """All that was, or is to be, told of an inspection, by revision and target."""
        ...

    def undelivered(self) -> list[Undelivered]:
        """Of each target and state, by both."""
        ...


def begins_an_id(text: str) -> bool:
    """Whether a person who wrote this may have meant the first digits of an inspection's id."""
    return bool(re.fullmatch(r"[0-9a-f]{6,32}", text))


class Challenges(Protocol):
    """The last challenges of each line. Every method raises TransientError when the store can't answer."""

    def record(self, challenge: Challenge) -> None:
        """In place of the earlier one of the same line, recipe and setup."""
        ...

    def of(self, line: str, *, fresh: bool = False) -> list[Challenge]:
        """One for each recipe and setup; `fresh` as of now, else as of half a minute ago at most."""
        ...


class Publisher(Protocol):
    def publish(self, topic: str, messages: Sequence[Message]) -> None:
        """All of them durably or an error. Raises TransientError."""
        ...


class Registrar(Protocol):
    def sight(self, golden: str) -> "Sight":
        """What was measured of the golden picture of that name. Raises TransientError."""
        ...

    def register(self, picture: "Image", golden: str) -> Reference:
        """Lay the golden picture of that name over the picture. Raises RegistrationError, TransientError."""
        ...


class Detector(Protocol):
    def detect(self, picture: "Image", file: bytes, golden: Reference | None) -> Found:
        """Find suspected defects on an upright RGB picture; `file` is the upload that it was decoded from.

        `golden` is None for a kind that does not need it, and where the recipe has none. A detection may come `settled`,
        where the detector has verified it as well. Raises TransientError, PermanentError.
        """
        ...


class Verifier(Protocol):
    def verify(self, crop: bytes, reference: bytes | None, detection: Detection) -> Judgement:
        """Judge one crop (JPEG) beside the same cut of the golden picture (JPEG), if there is one.

        The adapter owns its retries; what it could not find out inside its time budget is UNSURE, not an error. Raises
        DeferredError where it is to ask later, since a quota is a queue and no doubt.
        """
        ...


class Target(Protocol):
    def send(self, entry_id: str, body: str, now: datetime) -> None:
        """Deliver one notification. Raises TransientError, with what the target asked for as `retry_after_s`, and
        TargetGoneError from a target that wants to hear nothing any more; the caller keeps the count of attempts.
        """
        ...

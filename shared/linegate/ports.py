"""What the handlers need of the world, as Protocols. Adapters fulfil them; one contract suite per port holds them to it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from linegate.inspection import (
    Check,
    Detection,
    Inspection,
    Manifest,
    ObjectRef,
    OutboxEntry,
    Result,
    Revision,
)

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
    """A detector's answer: what it saw, who it was, and why it may not be trusted."""

    detections: tuple[Detection, ...]
    model: str
    model_version: str = ""
    doubts: tuple[str, ...] = ()


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
    boards differ from it at each pixel, where that was learned from several of them.

    `unseen` are the tiles (see `linegate.sight`) in which the picture shows next to nothing of what this one does.
    """

    picture: "Image"
    variation: "Image | None" = None
    unseen: tuple[int, ...] = ()


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

    def write(self, bucket: str, name: str, data: bytes, content_type: str) -> int:
        """Store a new version, whole or not at all; returns its generation."""
        ...

    def create(self, bucket: str, name: str, data: bytes, content_type: str) -> bool:
        """Store the object only if there is none of that name; False if there is."""
        ...

    def copy(self, ref: ObjectRef, bucket: str, name: str) -> None:
        """Copy an object of any size without reading it into memory. Raises ObjectMissingError."""
        ...


class InspectionStore(Protocol):
    """Inspections, their checks, revisions and outbox. Every method raises TransientError when the store can't answer."""

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

        False, and nothing written, if that revision exists: somebody else decided.
        """
        ...

    def pending(self, inspection_id: str, revision: int) -> list[OutboxEntry]:
        """PENDING outbox entries of one revision."""
        ...

    def outbox(self, inspection_id: str, target: str) -> list[OutboxEntry]:
        """What this target is told of this inspection, the lowest revision first."""
        ...

    def update_outbox(self, entry: OutboxEntry) -> bool:
        """Compare and set: False, and nothing written, if the entry was updated since this one was read."""
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

    def overdue(self, now: datetime, limit: int) -> list[Inspection]:
        """Undecided inspections whose deadline has passed, oldest first."""
        ...

    def postpone(self, inspection_id: str, deadline: datetime) -> None:
        """It could not be decided: overdue again from then on, behind those that wait already."""
        ...

    def stranded(self, never_attempted_before: datetime, attempted_before: datetime, limit: int) -> list[OutboxEntry]:
        """PENDING entries whose message must have got lost: created long ago and never tried, or not tried for long.

        Those that were never tried come first, then the one whose attempt is the longest ago.
        """
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

        The adapter owns its retries; what it could not find out inside its time budget is UNSURE, not an error.
        """
        ...


class Target(Protocol):
    def send(self, entry_id: str, body: str, now: datetime) -> None:
        """Deliver one notification. Raises TransientError, with what the target asked for as `retry_after_s`, and
        TargetGoneError from a target that wants to hear nothing any more; the caller keeps the count of attempts.
        """
        ...

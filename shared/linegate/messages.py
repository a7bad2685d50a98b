"""What stages tell each other, as values. `events` puts them on the wire, `stages` says who takes which."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from linegate.answers import Review
from linegate.inspection import Check, Detection, ObjectRef


@dataclass(frozen=True, slots=True)
class ImageUploaded:
    """A picture is complete in the uploads bucket. `size` in bytes; `metadata` is the object's custom metadata."""

    image: ObjectRef
    size: int
    uploaded_at: datetime
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CropReady:
    """One detection to verify. `crop` and `reference` (the golden picture's same cut) are JPEGs."""

    inspection_id: str
    line: str
    recipe: str
    index: int
    expected: int
    detection: Detection
    crop: bytes
    reference: bytes | None = None
    again: bool = False  # published a second time: skip it if its check exists
    deadline: datetime | None = None  # of the product: until then a check may wait for its turn


@dataclass(frozen=True, slots=True)
class CheckMade:
    """The check of one crop; `expected` is how many the inspection waits for."""

    inspection_id: str
    line: str
    expected: int
    check: Check
    deadline: datetime | None = None  # of the product, as its crop told it


@dataclass(frozen=True, slots=True)
class ReviewGiven:
    """A person decided about an inspection. Raises ValueError where the review is about another one."""

    inspection_id: str
    line: str
    review: Review

    def __post_init__(self) -> None:
        if self.review.inspection_id != self.inspection_id:
            raise ValueError("the review is about another inspection")


@dataclass(frozen=True, slots=True)
class NotificationDue:
    """An outbox entry waits to be sent."""

    inspection_id: str
    line: str
    target: str
    entry_id: str
    published: int = 1  # which publication of the entry this is


@dataclass(frozen=True, slots=True)
class SweepDue:
    """The clock struck."""


Event = ImageUploaded | CropReady | CheckMade | ReviewGiven | NotificationDue | SweepDue

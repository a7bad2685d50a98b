"""What a person decides about an inspection: their word on each finding, what was missed, and what they had seen."""

import hashlib
import json
import math
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from linegate.shapes import Box
from linegate.texts import visible

LONGEST_NAME: Final = 200
LONGEST_COMMENT: Final = 1000
MOST_MISSED: Final = 100
MACHINE: Final = "machine"  # what targets are told in the place of a person's name


class Disposition(StrEnum):
    """A person's word on one finding. IPC-CFX says DefectConfirmed, DefectRejected, DefectAccepted, DefectRepaired."""

    TRUE_DEFECT = "true_defect"
    FALSE_CALL = "false_call"
    ACCEPTED = "accepted"  # it is there, and as it is no defect: a process indicator
    REPAIRED = "repaired"

    @property
    def fails(self) -> bool:
        """Whether the product is bad for it."""
        return self is Disposition.TRUE_DEFECT

    @property
    def words(self) -> str:
        """For people."""
        return self.value.replace("_", " ")


@dataclass(frozen=True, slots=True)
class Ruling:
    """A person's word on the detection with this `index` in the manifest."""

    index: int
    disposition: Disposition


@dataclass(frozen=True, slots=True)
class Missed:
    """A defect that no detector found; `box` is None where it has no place in the picture."""

    class_name: str
    box: Box | None = None


@dataclass(frozen=True, slots=True)
class Review:
    """What a person decided about one inspection. Raises ValueError where it could not be kept or understood.

    `seen` is the revision that they looked at, `origin` from where they answered (an address, "api", "cli"). `looked` says
    that they looked at the whole product, which answers the doubts of the machine.
    """

    inspection_id: str
    author: str
    origin: str
    seen: int
    at: datetime
    rulings: tuple[Ruling, ...] = ()
    missed: tuple[Missed, ...] = ()
    looked: bool = False
    comment: str = ""

    def __post_init__(self) -> None:
        indices = [ruling.index for ruling in self.rulings]
        names = (self.author, *(missed.class_name for missed in self.missed))
        boxes = [missed.box for missed in self.missed if missed.box is not None]
        if not all(name.strip() and _sound(name) for name in names) or not _sound(self.origin):
            raise ValueError(
                f"a review names its author, and each missed defect's class, in 1 … {LONGEST_NAME} letters"
            )
        if self.author.strip().casefold() == MACHINE:
            raise ValueError("a person decides under a name of their own")
        if len(self.comment) > LONGEST_COMMENT or not self.comment.encode("utf-8", "replace").decode() == self.comment:
            raise ValueError(f"a comment has {LONGEST_COMMENT} letters at most")
        if self.seen < 0 or min(indices, default=0) < 0 or len(set(indices)) != len(indices):
            raise ValueError("a review has one ruling for a finding at most, and no number below 0")
        if self.at.tzinfo is None:
            raise ValueError("a review tells when, with the time zone")
        if len(self.missed) > MOST_MISSED:
            raise ValueError(f"a review names {MOST_MISSED} missed defects at most")
        if not all(math.isfinite(sum(box.corners)) and box.width > 0 and box.height > 0 for box in boxes):
            raise ValueError("the box of a missed defect has a place and a size")

    @property
    def review_id(self) -> str:
        """The same for the same decision of the same person about the same revision, however often and from where it is sent."""
        said = [
            self.inspection_id,
            self.author,
            self.seen,
            sorted((ruling.index, ruling.disposition.value) for ruling in self.rulings),
            sorted(f"{missed.class_name} {missed.box}" for missed in self.missed),
            self.looked,
            self.comment,
        ]
        return hashlib.sha256(json.dumps(said).encode()).hexdigest()[:32]

    @property
    def defective(self) -> bool:
        """Whether the product came with a defect, be it repaired since."""
        words = {ruling.disposition for ruling in self.rulings}
        return bool(self.missed or words & {Disposition.TRUE_DEFECT, Disposition.REPAIRED})

    def ruling(self, index: int) -> Disposition | None:
        """Their word on this detection."""
        return next((ruling.disposition for ruling in self.rulings if ruling.index == index), None)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A review that did not become a revision, and why. It is kept as it came."""

    review: Review
    reason: str  # for its author
    refused_at: datetime
    standing: int = 0  # the revision that stood when it came
    first: str = ""  # whose decision the author had not seen: "person:Ada", "check:3"


def _sound(name: str) -> bool:
    """Whether it can stand in a line of a report as it is."""
    return len(name) <= LONGEST_NAME and visible(name) == name

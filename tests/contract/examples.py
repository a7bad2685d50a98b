"""Records as the contracts of the store's ports need them, and a store as its three ports."""

from dataclasses import dataclass, replace
from datetime import timedelta

from linegate.answers import Disposition, Missed, Review, Ruling
from linegate.deciders import Decider
from linegate.inspection import Answer, Inspection, Manifest, ObjectRef, OutboxEntry, Place, Revision, outbox_id
from linegate.ports import Inspections, Outbox, Queries
from linegate.shapes import Box
from linegate.verdict import decide
from tests.fakes import START, detection

ID = "0" * 32


@dataclass
class Store:
    inspections: Inspections
    outbox: Outbox
    queries: Queries


def board(inspection_id: str = ID, deadline_s: float = 60) -> Inspection:
    return Inspection(
        inspection_id=inspection_id,
        image=ObjectRef("b", "uploads/l/s/ü.jpg", 7),
        place=Place("l", "s", "ü"),
        recipe="pcb",
        uploaded_at=START,
        received_at=START,
        deadline=START + timedelta(seconds=deadline_s),
    )


def manifest(*classes: str) -> Manifest:
    return Manifest.of(
        (detection(name) for name in classes), width=64, height=64, answers=(Answer("d", "d"),), doubts=("hm",)
    )


def review(author: str = "Zoë", seen: int = 1) -> Review:
    return Review(
        ID,
        author,
        "10.0.0.7",
        seen,
        START,
        (Ruling(0, Disposition.FALSE_CALL), Ruling(2, Disposition.TRUE_DEFECT)),
        (Missed("crack", Box(9.5, 9, 4, 4)), Missed("smell")),
        looked=True,
        comment="It's as it is.",
    )


def answered(number: int = 2) -> Revision:
    """A person's revision."""
    return replace(revision(number, "person:Zoë"), review=review())


def revision(number: int = 1, by: str = "check:0") -> Revision:
    return Revision(number, Decider.parse(by), START, decide(None, {}), "results/x/r1.jpg")


def entry(number: int = 1, target: str = "hmi") -> OutboxEntry:
    return OutboxEntry(outbox_id(ID, number, target), ID, "l", number, target, '{"a":"ü"}', START)

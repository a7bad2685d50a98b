"""The stages of the gate, in one table: what each is called, is fed by, takes, needs, and gets of a machine.

A stage is one function (`functions/{name}/main.py`) and one handler (`handlers/{name}.py`). All else that is said of stages is
made of this table: messages and their topics, their turns beside a line, packages, prices, and Terraform's `defaults.json`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from linegate.messages import CheckMade, CropReady, Event, ImageUploaded, NotificationDue, SweepDue

# Topics, named after what they carry. `uploads` is fed by the bucket's notifications, `sweeps` by a clock.
UPLOADS: Final = "uploads"
CROPS: Final = "crops"
CHECKS: Final = "checks"
NOTIFICATIONS: Final = "notifications"
SWEEPS: Final = "sweeps"


@dataclass(frozen=True, slots=True)
class Instance:
    """What an instance of the function gets on Google Cloud; `message_s` is how long a message takes there, for a price."""

    memory_mib: int
    concurrency: int
    most: int
    timeout_s: int
    message_s: float


@dataclass(frozen=True, slots=True)
class Stage:
    """One row of the table."""

    name: str
    topic: str
    takes: type[Event]
    type: str  # the attribute that tells its messages; empty for a bucket's notifications, which have their own
    publishes_to: tuple[str, ...]  # topics
    served: int  # its turn in a gate beside a line
    ports: frozenset[str]  # what the handler needs of the world, beside store and publisher
    instance: Instance
    swept: bool = (
        False  # what its message asks for stands in the store: sweep publishes it again, however often it failed
    )


STAGES: Final = {
    stage.name: stage
    for stage in (
        Stage(
            "detect",
            topic=UPLOADS,
            takes=ImageUploaded,
            type="",
            publishes_to=(CROPS, NOTIFICATIONS),
            served=5,
            ports=frozenset({"images", "detector", "registrar"}),
            # Decodes pictures and waits for the detector: a core for a few at a time, and memory for 100 megapixels.
            instance=Instance(2048, concurrency=4, most=20, timeout_s=120, message_s=1.0),
        ),
        Stage(
            "verify",
            topic=CROPS,
            takes=CropReady,
            type="crop.ready",
            publishes_to=(CHECKS,),
            served=3,
            ports=frozenset({"verifier"}),
            # Waits for the verifier and does little else: many at a time, so that all crops of a board run at once.
            instance=Instance(1024, concurrency=64, most=20, timeout_s=180, message_s=2.0),
        ),
        Stage(
            "aggregate",
            topic=CHECKS,
            takes=CheckMade,
            type="check.made",
            publishes_to=(NOTIFICATIONS,),
            served=2,
            ports=frozenset({"images"}),
            # Draws one annotated picture a board; the other checks only write and count.
            instance=Instance(2048, concurrency=8, most=20, timeout_s=120, message_s=0.05),
        ),
        Stage(
            "notify",
            topic=NOTIFICATIONS,
            takes=NotificationDue,
            type="notification.due",
            publishes_to=(),
            served=1,
            ports=frozenset({"target"}),
            # Waits for HMIs. Few instances: each paces Slack and remembers Retry-After by itself.
            instance=Instance(512, concurrency=32, most=2, timeout_s=60, message_s=0.3),
            swept=True,
        ),
        Stage(
            "sweep",
            topic=SWEEPS,
            takes=SweepDue,
            type="sweep.due",
            publishes_to=(NOTIFICATIONS,),
            served=4,
            ports=frozenset({"images"}),
            # One at a time: a second sweep would only find what the first is deciding.
            instance=Instance(2048, concurrency=1, most=1, timeout_s=300, message_s=1.0),
        ),
    )
}
# A board that is nearly done is finished before a new one is begun.
SERVING_ORDER: Final = tuple(sorted(STAGES, key=lambda name: STAGES[name].served))
TOPICS: Final = tuple(stage.topic for stage in STAGES.values())
BY_TOPIC: Final = {stage.topic: stage for stage in STAGES.values()}
BY_MESSAGE: Final[Mapping[type, Stage]] = {stage.takes: stage for stage in STAGES.values()}
# The attribute of a dead letter that no function could read, with why: written by the function that buried it.
REASON: Final = "reason"


def dead_letter(topic: str) -> str:
    """The topic that takes what `topic` could not deliver."""
    return f"{topic}-dead"

"""The stages of the gate, in one table: what each is called, is fed by, takes, needs, and gets of a machine.

A stage is one function (`functions/{name}/main.py`) and one handler (`handlers/{name}.py`). All else that is said of stages is
made of this table: messages and their topics, their turns beside a line, packages, prices, and Terraform's `defaults.json`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import ceil
from typing import Final

from linegate.messages import CheckMade, CropReady, Event, ImageUploaded, NotificationDue, ReviewGiven, SweepDue

# Topics, named after what they carry. `uploads` is fed by the bucket's notifications, `sweeps` by a clock.
UPLOADS: Final = "uploads"
CROPS: Final = "crops"
CHECKS: Final = "checks"
REVIEWS: Final = "reviews"
NOTIFICATIONS: Final = "notifications"
SWEEPS: Final = "sweeps"


# Of an instance's memory: it comes in such steps, this much to a core at most (so Cloud Run wants it), and no more than that.
MEMORY_STEP_MIB: Final = 256
MEMORY_A_CORE_MIB: Final = 4096
MOST_MEMORY_MIB: Final = 32_768
# What a function needs of its time beside the service that it waits for: to fetch the picture, to open it, to store and publish.
MARGIN_S: Final = 15


@dataclass(frozen=True, slots=True)
class Instance:
    """What an instance of the function gets on Google Cloud; `message_s` is how long a message takes there, for a price.

    Until it is `holding` pictures, `memory_mib` is what it needs beside them, and `concurrency` how many messages it serves at a
    time where memory allows.
    """

    memory_mib: int
    concurrency: int
    most: int
    timeout_s: int
    message_s: float
    bytes_a_pixel: int = 0  # of memory at most, for a picture that it works on
    kept_bytes_a_pixel: int = 0  # and for the golden pictures that it keeps beside

    def holding(self, pixels: int, more_bytes_a_pixel: int = 0) -> "Instance":
        """This instance with memory for as many pictures of `pixels` as it then works on at a time.

        As many as a core's memory holds; where that is not one, one, with the memory that it takes.
        """
        picture_mib = pixels * (self.bytes_a_pixel + more_bytes_a_pixel) / (1 << 20)
        if not picture_mib:
            return self
        beside_mib = self.memory_mib + pixels * self.kept_bytes_a_pixel / (1 << 20)
        concurrency = max(1, min(self.concurrency, int((MEMORY_A_CORE_MIB - beside_mib) // picture_mib)))
        needed = (beside_mib + concurrency * picture_mib) / MEMORY_STEP_MIB
        return replace(self, memory_mib=MEMORY_STEP_MIB * ceil(needed), concurrency=concurrency)

    @property
    def cores(self) -> int:
        """1, 2, 4 or 8: as many as its memory asks for."""
        return next(cores for cores in (1, 2, 4, 8) if self.memory_mib <= cores * MEMORY_A_CORE_MIB or cores == 8)

    @property
    def budget_s(self) -> int:
        """Seconds that a message may wait for a service there."""
        return self.timeout_s - MARGIN_S


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
    # What its message asks for stands in the store: sweep publishes it again, however often it failed.
    swept: bool = False


STAGES: Final = {
    stage.name: stage
    for stage in (
        Stage(
            "detect",
            topic=UPLOADS,
            takes=ImageUploaded,
            type="",
            publishes_to=(CROPS, NOTIFICATIONS),
            served=6,
            ports=frozenset({"images", "detector", "registrar"}),
            # Decodes pictures and waits for the detector: a few at a time. What a picture takes is the detector's to say.
            # Four golden pictures are kept, three bytes a pixel each; one of them is reckoned with the picture under it.
            instance=Instance(512, concurrency=4, most=20, timeout_s=120, message_s=1.0, kept_bytes_a_pixel=9),
        ),
        Stage(
            "verify",
            topic=CROPS,
            takes=CropReady,
            type="crop.ready",
            publishes_to=(CHECKS,),
            served=4,
            ports=frozenset({"verifier"}),
            # Waits for the verifier and does little else: many at a time, so that all crops of a product run at once.
            instance=Instance(1024, concurrency=64, most=20, timeout_s=180, message_s=2.0),
        ),
        Stage(
            "aggregate",
            topic=CHECKS,
            takes=CheckMade,
            type="check.made",
            publishes_to=(NOTIFICATIONS,),
            served=3,
            ports=frozenset({"images"}),
            # Draws one annotated picture a product; the other checks only write and count.
            instance=Instance(256, concurrency=8, most=20, timeout_s=120, message_s=0.05, bytes_a_pixel=14),
        ),
        Stage(
            "review",
            topic=REVIEWS,
            takes=ReviewGiven,
            type="review.given",
            publishes_to=(NOTIFICATIONS,),
            served=2,
            ports=frozenset({"images"}),
            # A person's decision now and then: it draws one annotated picture.
            instance=Instance(256, concurrency=8, most=2, timeout_s=120, message_s=0.3, bytes_a_pixel=14),
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
            served=5,
            ports=frozenset({"images"}),
            # One at a time: a second sweep would only find what the first is deciding.
            instance=Instance(256, concurrency=1, most=1, timeout_s=300, message_s=1.0, bytes_a_pixel=14),
        ),
    )
}
# The pages for people are a function as well, and no stage: no topic feeds it.
STATION: Final = "station"
FUNCTIONS: Final = (*STAGES, STATION)
# An open page is a request that ends with the function's time and comes again: as long as Cloud Run lets it, and as many as an
# instance serves. Beside them one picture is opened at a time, and some are kept. Few instances: each asks the store by itself.
STATION_INSTANCE: Final = Instance(1024, concurrency=250, most=2, timeout_s=3600, message_s=0.05, bytes_a_pixel=24)
# A product that is nearly done is finished before a new one is begun.
SERVING_ORDER: Final = tuple(sorted(STAGES, key=lambda name: STAGES[name].served))
TOPICS: Final = tuple(stage.topic for stage in STAGES.values())
BY_TOPIC: Final = {stage.topic: stage for stage in STAGES.values()}
BY_MESSAGE: Final[Mapping[type, Stage]] = {stage.takes: stage for stage in STAGES.values()}
# The attribute of a dead letter that no function could read, with why: written by the function that buried it.
REASON: Final = "reason"


def dead_letter(topic: str) -> str:
    """The topic that takes what `topic` could not deliver."""
    return f"{topic}-dead"

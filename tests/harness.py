"""The handlers over fakes: a whole gate in memory, driven message by message."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image

from linegate.answers import Review
from linegate.config import parse
from linegate.events import parse as parse_event
from linegate.events import push_body, to_message
from linegate.handlers.aggregate import aggregate
from linegate.handlers.context import Context
from linegate.handlers.detect import detect
from linegate.handlers.notify import notify
from linegate.handlers.review import review
from linegate.handlers.sweep import sweep
from linegate.handlers.verify import verify
from linegate.inspection import Inspection, ObjectRef
from linegate.messages import CheckMade, CropReady, ImageUploaded, NotificationDue, ReviewGiven
from linegate.ports import Detector, Found, Message, Reference, Registrar, Target, Verifier
from linegate.settings import Recipe, Settings
from linegate.sight import Sight, measure
from linegate.stages import CHECKS, CROPS, NOTIFICATIONS, REVIEWS, UPLOADS
from tests.boards import SIDE, draw, encoded
from tests.fakes import (
    ManualClock,
    MemoryBus,
    MemoryChallenges,
    MemoryImages,
    MemoryInspections,
    MemoryOutbox,
    MemoryQueries,
    RecordingTarget,
    StaticDetector,
    StaticVerifier,
    detection,
)

SECRET = "whsec_" + "A" * 43 + "="
CONFIG = f"""
recipes:
  pcb: {{golden: golden.png, deadline_s: 60}}
  trusting: {{golden: golden.png, verifier: none}}
  remote: {{golden: golden.png, deadline_s: 60, detector: roboflow, workflow: {{id: boards}}}}
  both:
    golden: golden.png
    mm_per_px: 0.1
    detectors: [{{type: golden}}, {{type: roboflow, name: trained, workflow: {{id: boards}}}}]
lines:
  smt-1: {{recipe: pcb, recipes: [trusting]}}
  smt-2: {{recipe: trusting}}
  smt-3: {{recipe: remote}}
  smt-4: {{recipe: both}}
roboflow: {{workspace: plant, api_key: key}}
targets:
  hmi: {{url: "http://127.0.0.1/", secrets: [{SECRET}]}}
  alarm: {{url: "http://127.0.0.1/", secrets: [{SECRET}], verdicts: [FAIL, ERROR], give_up_after_s: 3600}}
network: {{private_addresses: [127.0.0.1]}}
images: {{max_bytes: 1000000, max_pixels: 1000000}}
"""

BOTH = "uploads/smt-4/aoi/A1.png"  # a line with two detectors, `golden` and `trained`
REMOTE = "uploads/smt-3/aoi/A1.png"  # a line whose detector never looks at the golden picture


def picture(size: tuple[int, int] = (SIDE, SIDE), image_format: str = "PNG") -> bytes:
    """A picture of a board in the given size and format."""
    return encoded(draw().resize(size), image_format)


class SameBoard:
    """A registrar whose golden picture always fits."""

    def sight(self, golden: str) -> Sight:
        return measure(draw())

    def register(self, picture: Image.Image, golden: str) -> Reference:
        return Reference(Image.new("RGB", picture.size, "green"))


def deliver(
    context: Context,
    topic: str,
    message: Message,
    *,
    registrar: Callable[[], Registrar],
    detectors: Callable[[Recipe], Sequence[Detector]],
    verifier: Callable[[Recipe], Verifier],
    target: Callable[[str], Target],
) -> None:
    """Hand a message to the handler of its topic, through the wire format."""
    body = json.loads(json.dumps(push_body(message, message_id="1", publish_time="", subscription="s", attempt=1)))

    def read(wanted: type[Any]) -> Any:
        return parse_event("google.cloud.pubsub.topic.v1.messagePublished", body, wanted)

    if topic == UPLOADS:
        detect(context, read(ImageUploaded), registrar, detectors)
    elif topic == CROPS:
        verify(context, read(CropReady), verifier)
    elif topic == CHECKS:
        aggregate(context, read(CheckMade))
    elif topic == REVIEWS:
        review(context, read(ReviewGiven))
    elif topic == NOTIFICATIONS:
        notify(context, read(NotificationDue), target)
    else:
        raise AssertionError(topic)


@dataclass
class Gate:
    """Every handler, over fakes."""

    settings: Settings = field(default_factory=lambda: parse(CONFIG, Path(), {}))
    clock: ManualClock = field(default_factory=ManualClock)
    images: MemoryImages = field(default_factory=MemoryImages)
    inspections: MemoryInspections = field(default_factory=MemoryInspections)
    outbox: MemoryOutbox = field(init=False)
    bus: MemoryBus = field(default_factory=MemoryBus)
    challenges: MemoryChallenges = field(default_factory=MemoryChallenges)
    registrar: Registrar = field(default_factory=SameBoard)
    detector: StaticDetector = field(default_factory=StaticDetector)
    trained: StaticDetector = field(default_factory=StaticDetector)  # beside the other, on a line that has two
    verifier: StaticVerifier = field(default_factory=StaticVerifier)
    targets: dict[str, RecordingTarget] = field(
        default_factory=lambda: {"hmi": RecordingTarget(), "alarm": RecordingTarget()}
    )

    def __post_init__(self) -> None:
        self.outbox = self.inspections.outbox

    @property
    def context(self) -> Context:
        queries = MemoryQueries(self.inspections)
        return Context(
            self.settings,
            self.clock,
            self.images,
            self.inspections,
            self.outbox,
            queries,
            self.bus,
            self.challenges,
        )

    def upload(
        self, name: str = "uploads/smt-1/aoi/A1.png", data: bytes | None = None, metadata: dict[str, str] | None = None
    ) -> ImageUploaded:
        """Store a picture and tell of it, as a camera and its bucket do."""
        content = picture() if data is None else data
        image = ObjectRef("uploads", name, self.images.write("uploads", name, content, ""))
        event = ImageUploaded(image, len(content), self.clock.now(), metadata or {})
        self.bus.publish(UPLOADS, [to_message(event)])
        return event

    def finds(self, *classes: str, **fields: Any) -> None:
        """What the detector sees from now on: one detection of each class; `fields` of Found."""
        self.detector.found = Found(tuple(detection(name) for name in classes), "static", **fields)

    def detectors(self, recipe: Recipe) -> tuple[StaticDetector, ...]:
        return (self.detector, self.trained)[: len(recipe.detectors)]

    def handle(self, topic: str, message: Message) -> None:
        """Deliver one message to the stage of its topic, through the wire format."""
        deliver(
            self.context,
            topic,
            message,
            registrar=lambda: self.registrar,
            detectors=self.detectors,
            verifier=lambda _: self.verifier,
            target=self.targets.__getitem__,
        )

    def answer(self, inspection_id: str, author: str = "Ada", *, seen: int = 1, **said: Any) -> Review:
        """A person decides; `said` are fields of Review."""
        decided = Review(inspection_id, author, "test", seen, self.clock.now(), **said)
        line = self.inspections.inspections[inspection_id].place.line
        self.bus.publish(REVIEWS, [to_message(ReviewGiven(inspection_id, line, decided))])
        return decided

    def sweep(self) -> None:
        sweep(self.context)

    def run(self, *topics: str) -> None:
        """Deliver, in order, until nothing is left (of these topics)."""
        while wave := [pair for pair in self.bus.messages if not topics or pair[0] in topics]:
            self.bus.messages = [pair for pair in self.bus.messages if pair not in wave]
            for topic, message in wave:
                self.handle(topic, message)

    def board(self, event: ImageUploaded) -> Inspection:
        return self.inspections.inspections[event.image.inspection_id]

    def verdict(self, event: ImageUploaded) -> str:
        revision = self.board(event).revision
        assert revision is not None, "no verdict yet"
        return revision.decision.verdict.value

    def told(self, target: str) -> list[dict[str, Any]]:
        """The bodies that a target was sent."""
        return [json.loads(body)["data"] for _, body in self.targets[target].sent]

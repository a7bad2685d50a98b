"""One random history of a gate: uploads, persons, sweeps, several instances, crashes, lost answers, a clock that runs on."""

import random
from collections import Counter
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

from PIL import Image

from linegate import sight
from linegate.answers import Disposition, Missed, Review, Ruling
from linegate.config import parse
from linegate.errors import TransientError
from linegate.events import to_message
from linegate.handlers.context import Context
from linegate.handlers.outbox import publish_outbox
from linegate.handlers.sweep import sweep
from linegate.inspection import Coverage, Detection, Loss, ObjectRef, Result
from linegate.messages import ImageUploaded, ReviewGiven
from linegate.ports import Found, Judgement, Message, Reference
from linegate.settings import Settings
from linegate.shapes import Box
from linegate.stages import REVIEWS, UPLOADS
from tests.boards import draw
from tests.fakes import (
    Crash,
    ManualClock,
    MemoryBus,
    MemoryChallenges,
    MemoryImages,
    MemoryInspections,
    MemoryOutbox,
    MemoryQueries,
    RecordingTarget,
    StaticVerifier,
    detection,
)
from tests.harness import CONFIG, deliver, picture
from tests.torture.scheduler import Delivery, Scheduler

INSTANCES: Final = 3
TARGETS: Final = ("hmi", "alarm")
PERSONS: Final = ("Ada", "Bob")
# Beyond the leash (`clear_below`): what the verifier says of it clears nothing
SURE: Final = 0.95
# Then a message goes to its dead letter
MOST_ATTEMPTS: Final = 20
# A run that ends no sooner has no end
MOST_STEPS: Final = 20_000


@cache
def configured() -> Settings:
    return parse(CONFIG, Path(), {})


@cache
def good_picture() -> bytes:
    return picture()


@cache
def golden() -> Image.Image:
    return draw()


class SameBoard:
    """A registrar whose golden picture always fits; what was measured of it is kept, as the real one does."""

    def sight(self, golden_name: str) -> sight.Sight:
        return sight.measure(golden())

    def register(self, picture: Image.Image, golden_name: str) -> Reference:
        return Reference(golden())


@dataclass
class StaleOutbox(MemoryOutbox):
    """What is disabled is known as of a while ago, unless it is asked for afresh: the only staleness that the ports allow."""

    rng: random.Random = field(default_factory=random.Random)
    earlier: dict[str, str] = field(default_factory=dict)

    def disabled_targets(self, *, fresh: bool = False) -> dict[str, str]:
        if fresh or self.rng.random() < 0.5:
            self.earlier = dict(self.disabled)
        return dict(self.earlier)


@dataclass
class FickleVerifier(StaticVerifier):
    """Judges a crop that it is shown again as it likes: a model does."""

    rng: random.Random = field(default_factory=random.Random)
    fickle: float = 0.0

    def verify(self, crop: bytes, reference: bytes | None, detection: Detection) -> Judgement:
        if self.rng.random() < self.fickle:
            return Judgement(self.rng.choice(list(Result)), "It is like this today.", "static")
        return super().verify(crop, reference, detection)


@dataclass
class FickleDetector:
    """Sees now one thing, now another; and now and then nobody is there."""

    usual: Found
    other: Found
    rng: random.Random

    def detect(self, picture: Image.Image, file: bytes, golden: Reference | None) -> Found:
        if self.rng.random() < 0.05:
            raise TransientError("it is away")
        return self.usual if self.rng.random() < 0.8 else self.other


@dataclass
class History:
    """The world of one seed. `play` it; then the laws can be looked at."""

    seed: int
    rng: random.Random = field(init=False)
    scheduler: Scheduler = field(init=False)
    clock: ManualClock = field(default_factory=ManualClock)
    images: MemoryImages = field(default_factory=MemoryImages)
    inspections: MemoryInspections = field(init=False)
    bus: MemoryBus = field(default_factory=MemoryBus)
    challenges: MemoryChallenges = field(default_factory=MemoryChallenges)
    targets: dict[str, RecordingTarget] = field(default_factory=lambda: {name: RecordingTarget() for name in TARGETS})
    detectors: dict[str, tuple[FickleDetector, ...]] = field(default_factory=dict)
    verifier: FickleVerifier = field(init=False)
    uploads: list[ImageUploaded] = field(default_factory=list)
    broken: set[str] = field(default_factory=set)  # inspections of pictures that nobody can open
    calm: bool = False
    attempts: Counter[int] = field(default_factory=Counter)  # of each message, since it is calm
    dead: list[tuple[str, Message]] = field(
        default_factory=list
    )  # what could not be served though nothing failed any more

    def __post_init__(self) -> None:
        self.rng = random.Random(self.seed)
        self.scheduler = Scheduler(self.rng)
        self.verifier = FickleVerifier(rng=self.rng, fickle=self.rng.choice([0.0, 0.3]))
        self.inspections = MemoryInspections(outbox=StaleOutbox(rng=self.rng))

    # --- what happens in it

    def play(self) -> None:
        rng = self.rng
        wild = rng.choice([0.0, 0.02, 0.08])  # chance of a crash or of a failing call at each step
        slow = rng.choice([0.0, 0.0, 0.01, 0.05])  # … that time passes, up to beyond the deadline
        talkative = rng.choice([0.0, 0.02])  # … that a person says something
        together = rng.choice([1, 2, INSTANCES])
        self.scheduler.fair = rng.random() < 0.5
        self.targets[rng.choice(TARGETS)].down = rng.random() < 0.1
        self._cameras()
        for _ in range(rng.randint(20, 400)):
            self._step(wild, slow, talkative, together)
        self._calm_down()

    def _cameras(self) -> None:
        rng = self.rng
        for number in range(rng.choice([1, 1, 1, 2, 3])):
            line = rng.choice(["smt-1", "smt-1", "smt-1", "smt-2", "smt-4"])
            sound = rng.random() > 0.05
            name = f"uploads/{line}/aoi/{number}.png"
            data = good_picture() if sound else b"no picture"
            image = ObjectRef("uploads", name, self.images.write("uploads", name, data, ""))
            event = ImageUploaded(image, len(data), self.clock.now(), {})
            self.uploads.append(event)
            if not sound:
                self.broken.add(image.inspection_id)
            self.bus.publish(UPLOADS, [to_message(event)])
        self.verifier.answers = {f"class_{n}": rng.choice([*Result, Result.PASS, Result.PASS]) for n in range(6)}
        for recipe in ("pcb", "trusting", "both"):
            self.detectors[recipe] = (self._detector(), self._detector())

    def _detector(self) -> FickleDetector:
        """A model that is asked again may see something else."""
        return FickleDetector(self._found(), self._found(), self.rng)

    def _found(self) -> Found:
        rng = self.rng
        classes = [f"class_{index}" for index in range(rng.choice([0, 0, 1, 1, 2, 3, 5]))]
        found = tuple(
            detection(name, x=20 + 12 * n, confidence=SURE if rng.random() < 0.1 else 0.9)
            for n, name in enumerate(classes)
        )
        doubts = ("it saw double",) if rng.random() < 0.08 else ()
        coverage = rng.choice([None, None, Coverage(1.0), Coverage(0.5, (Loss("glare", 0.5),))])
        return Found(found, "static", doubts=doubts, coverage=coverage)

    def _step(self, wild: float, slow: float, talkative: float, together: int) -> None:
        rng, running = self.rng, self.scheduler.running
        if rng.random() < slow:
            self.clock.advance(rng.choice([1, 20, 70, 400]))
            if rng.random() < 0.7:
                self._begin_sweep()
        if rng.random() < talkative:
            self._answer()
        if rng.random() < 0.01:
            self.targets[rng.choice(TARGETS)].down = rng.random() < 0.5
        if rng.random() < 0.003:
            self.targets[rng.choice(TARGETS)].gone = True
        if self.bus.messages and len(running) < together and (not running or rng.random() < 0.5):
            self._begin_delivery(twice=rng.random() < 0.1)
        if running:
            delivery = self.scheduler.next()
            thrown: BaseException | None = None
            if rng.random() < wild:
                thrown = Crash() if rng.random() < 0.6 else TransientError("the call failed, or its answer was lost")
            self.scheduler.turn(delivery, thrown)

    def _calm_down(self) -> None:
        """Nothing fails any more: all is delivered at last, and the sweep comes by."""
        self.calm = True
        for target in self.targets.values():
            target.down = target.gone = False
        for _ in range(6):
            for name in TARGETS:  # as `linegate enable` does; whoever had heard a 410 before may still disable it
                publish_outbox(self._world(), self.inspections.outbox.enable_target(name))
            for _ in range(MOST_STEPS):
                running = self.scheduler.running
                if running:
                    self.scheduler.turn(self.scheduler.next())
                elif self.bus.messages:
                    self._begin_delivery(twice=False)
                else:
                    break
            else:
                raise AssertionError("it never comes to rest")
            self.clock.advance(1000)
            self._begin_sweep()

    # --- deliveries

    def _begin_delivery(self, *, twice: bool) -> None:
        topic, message = self.bus.messages.pop(self.rng.randrange(len(self.bus.messages)))
        if twice:
            self.bus.messages.append((topic, message))
        context = self._instance()

        def done(acknowledged: bool) -> None:
            if not acknowledged:
                self.attempts[id(message)] += self.calm
                served = self.attempts[id(message)] < MOST_ATTEMPTS
                (self.bus.messages if served else self.dead).append((topic, message))

        name = f"{topic} {message.attributes.get('inspection_id', '')[:6]} #{len(self.scheduler.trace)}"
        self.scheduler.begin(Delivery(name, lambda: self._handle(context, topic, message), done))

    def _begin_sweep(self) -> None:
        context = self._instance()
        self.scheduler.begin(Delivery(f"sweep #{len(self.scheduler.trace)}", lambda: sweep(context), lambda _: None))

    def _world(self) -> Context:
        """The ports themselves, for what is no part of the history."""
        queries = MemoryQueries(self.inspections)
        ports = (self.images, self.inspections, self.inspections.outbox, queries, self.bus, self.challenges)
        return Context(configured(), self.clock, *ports)

    def _instance(self) -> Context:
        """An instance of its own: it shares nothing with the others but what the ports keep."""
        through = self.scheduler.through
        return Context(
            configured(),
            self.clock,
            through(self.images, "images"),
            through(self.inspections, "inspections"),
            through(self.inspections.outbox, "outbox"),
            through(MemoryQueries(self.inspections), "queries"),
            through(self.bus, "bus"),
            through(self.challenges, "challenges"),
        )

    def _handle(self, context: Context, topic: str, message: Message) -> None:
        through = self.scheduler.through
        deliver(
            context,
            topic,
            message,
            registrar=SameBoard,
            detectors=self._looking,
            verifier=lambda _: through(self.verifier, "verifier"),
            target=lambda name: through(self.targets[name], name),
        )

    def _looking(self, recipe: Any) -> tuple[FickleDetector, ...]:
        name = next(name for name, known in configured().recipes.items() if known is recipe)
        return self.detectors[name][: len(recipe.detectors)]

    # --- persons

    def _answer(self) -> None:
        """A person says something of some product: of what stands or stood, of all its findings or of some, once or twice."""
        rng = self.rng
        products = [one for one in self.inspections.inspections.values() if one.revision is not None]
        if not products:
            return
        product = rng.choice(products)
        assert product.revision is not None
        latest, findings = product.revision.number, len(product.manifest.detections) if product.manifest else 0
        words = [rng.choice([*Disposition, Disposition.FALSE_CALL]) for _ in range(findings)]
        said = Review(
            product.inspection_id,
            rng.choice(PERSONS),
            "test",
            max(0, rng.choice([latest, latest, latest, latest - 1, latest + 1])),
            self.clock.now(),
            tuple(Ruling(*ruling) for ruling in enumerate(words) if rng.random() < 0.9),
            (Missed("crack", Box(9, 9, 5, 5)),) if rng.random() < 0.1 else (),
            looked=rng.random() < 0.7,
        )
        for _ in range(rng.choice([1, 1, 2])):
            self.bus.publish(REVIEWS, [to_message(ReviewGiven(product.inspection_id, product.place.line, said))])


def replayed(seed: int) -> History:
    history = History(seed)
    history.play()
    return history

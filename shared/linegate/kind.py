"""What a kind of detector, verifier or target is to the rest: a section of the file that builds, tries and prices itself.

All that is special about a kind lies in its own module or folder. `kinds` lists them, one a line. Nothing else compares names.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Protocol, TypeVar

from pydantic import Field, model_validator

from linegate.inspection import Verdict
from linegate.line.conversation import Conversation, nobody
from linegate.line.handshake import Rules
from linegate.ports import Detector, Target, Verifier
from linegate.sections import ClassPolicy, Limits, Name, Network, Ratio, Seconds, Section, Zone

if TYPE_CHECKING:
    from PIL.Image import Image

T = TypeVar("T")


class Need(StrEnum):
    """What a kind needs besides its own section. The section of a service that it shares is `Kind.service`."""

    GOLDEN = "golden"  # the recipe's golden picture
    MODEL_FILE = "model file"  # on this machine
    SCALE = "mm_per_px"


class Says(StrEnum):
    """What a detector can say of a finding besides its class and its box."""

    CONFIDENCE = "confidence"  # how sure it is; else all its findings are certain
    OUTLINE = "outline"
    MEASURE = "measure"


# The file of prices, as far as it is read: kinds and services by name
Prices = Mapping[str, Any]


class Shared(Protocol):
    def __call__(self, key: str, build: Callable[[], T]) -> T:
        """What `build` made for this key, once for all recipes."""
        ...


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a kind is built with, beside its own section and its recipe."""

    folder: Path  # where relative paths in the file start
    service: Section | None  # the section of the file that `Kind.service` names
    network: Network
    proxy_for: Callable[[str], str | None]
    shared: Shared
    at_stop: Callable[[Callable[[], None]], None]  # has this called once, when the gate stops
    lines: Sequence[str] = ()  # of the file
    # A target's with one line, and how it tells whether it is connected, and to whom or why not
    conversation: Callable[[str, Rules], Conversation] = nobody
    link: Callable[[bool, str], None] = lambda *_: None


class Kind(Section):
    """One detector, verifier or target of the file. What holds for all of a kind are class variables."""

    type: str
    """Which kind it is."""

    service: ClassVar[str] = ""  # the section of the file that it shares with others
    service_keys: ClassVar[str] = ""  # what that section holds at least, for a person
    package: ClassVar[str] = ""  # what must be installed that a plain installation lacks: the name of a module
    needs: ClassVar[frozenset[Need]] = frozenset()
    takes: ClassVar[frozenset[Need]] = frozenset()  # what it works with where the recipe has it, and without where not
    # Keys by which a recipe says what must be inspected: who wrote them beside another kind would wait for it in vain
    demanding: ClassVar[frozenset[str]] = frozenset()
    preload: ClassVar[tuple[str, ...]] = ()  # modules that it is built of: loaded before the first product needs them
    asks: ClassVar[bool] = False  # another machine: it waits for answers, and needs none of this one's cores

    @classmethod
    def lacks(cls, written: Mapping[str, Any], file: Mapping[str, Any]) -> Iterator[str]:
        """What the section as it was written lacks, or may not say; told even where it has other faults.

        Each begins with its key. `file` is the whole of it.
        """
        yield from ()


class DetectorKind(Kind):
    """Finds suspected defects on a picture."""

    name: Name | None = None
    """What findings, doubts and pages call it, where a recipe has several; its type, if left out."""

    says: ClassVar[frozenset[Says]] = frozenset({Says.CONFIDENCE})
    names: ClassVar[tuple[str, ...]] = ()  # the classes that it can name; empty where only its model knows
    start: ClassVar[str] = ""  # the keys of a recipe to start from, commented, as `linegate init --kind` writes it
    trained: ClassVar[bool] = False  # on pictures, whose labels therefore prove nothing
    # Of memory, for the largest picture, with its golden picture laid over it, as `tests/unit/test_memory.py` measures it
    bytes_a_pixel: ClassVar[int] = 36

    @property
    def called(self) -> str:
        """Its name in the recipe."""
        return self.name or self.type

    def faults(self, recipe: "RecipeBase") -> Iterator[str]:
        """Under what settings it could not see; each begins with its key."""
        yield from ()

    def shortfalls(self, recipe: "RecipeBase", golden: bytes) -> tuple[str, ...]:
        """Why this golden picture (its file) does not deliver what the recipe demands of it, as sentences."""
        return ()

    def budget_s(self, service: Section | None) -> float:
        """Seconds that one picture may wait for a service."""
        return 0.0

    def build(self, recipe: "RecipeBase", around: Surroundings) -> Detector:
        """Raises TransientError where it can't be loaded."""
        raise NotImplementedError

    def try_out(self, recipe: "RecipeBase", around: Surroundings, picture: "Image") -> str:
        """Ask once, and tell what was answered; empty where there is nobody to ask. Raises LinegateError."""
        return ""

    def cost(self, service: Section | None, prices: Prices) -> dict[str, float]:
        """US dollars for one picture, by who is paid. Raises KeyError for a price that is missing."""
        return {}


class VerifierKind(Kind):
    """Looks at each finding again."""

    checks: ClassVar[bool] = True  # crops are sent to it; else detections are settled without
    settles: ClassVar[str] = ""  # the reason by which every detection counts as it is
    of_detector: ClassVar[str] = ""  # whose answer it reads: it works with this kind only
    priced: ClassVar[bool] = False  # each finding costs money
    most_at_once: ClassVar[int] = 0  # checks in work beside a line; 0: by this machine's cores

    def build(self, recipe: "RecipeBase", around: Surroundings) -> Verifier:
        """Raises TransientError where it can't be loaded."""
        raise NotImplementedError

    def try_out(self, recipe: "RecipeBase", around: Surroundings, crop: bytes) -> str:
        """Ask once about a JPEG, and tell what was answered; empty where there is nobody to ask. Raises LinegateError."""
        return ""

    def cost(self, recipe: "RecipeBase", service: Section | None, prices: Prices) -> dict[str, float]:
        """US dollars for one check, by who is paid. Raises KeyError for a price that is missing."""
        return {}


class TargetKind(Kind):
    """Somebody to notify. Where they are, how they are trusted, tried out and parted from is their kind's."""

    mend: ClassVar[str] = "see that it runs, and that this machine reaches it"  # where trying it out fails
    testable: ClassVar[bool] = True  # a test message can be sent to it, from beside a gate that runs
    # Beside a line: it hears of a line's products one after the other, as they were decided
    in_order: ClassVar[bool] = False
    reportable: ClassVar[bool] = True  # it can be told what is of no product: the report of a shift

    verdicts: list[Verdict] = list(Verdict)
    """Which it hears of; it also hears the correction of what it heard. None (`[]`) for reports alone."""
    reports: bool = False
    """Whether it hears of each shift that is over, in figures: of each of its `lines`, or of all together."""
    lines: list[str] | None = None
    """Whose products it hears of; all, unknown ones included, if unset."""
    give_up_after_s: Seconds = 86_400.0
    """A notification that was not taken until then is dead."""

    @model_validator(mode="after")
    def _hears_something(self) -> "TargetKind":
        if self.reports and not self.reportable:
            raise ValueError("can be told of products only; leave `reports` out")
        if not self.verdicts and not self.reports:
            raise ValueError("hears of nothing: name `verdicts`, or say `reports: true`")
        return self

    def build(self, around: Surroundings) -> Target:
        """What it keeps open goes to `around.at_stop`. Nobody need be there yet."""
        raise NotImplementedError

    def try_out(self, around: Surroundings) -> str:
        """See that somebody is there, without sending anything that counts, and tell. Raises LinegateError."""
        return ""


class RecipeBase(Section):
    """What a line inspects for, as far as kinds need to know it."""

    detectors: Annotated[Sequence[DetectorKind], Field(min_length=1)]
    verifier: VerifierKind
    golden: str | None = None
    """The good product's picture, beside the file; `{line}`, `{station}` and `{serial}` may stand in its name."""
    mm_per_px: Annotated[float, Field(gt=0, le=1000)] | None = None
    """Millimetres of the product for each pixel of a picture; sizes are told in mm then."""
    opportunities: Annotated[int, Field(ge=1, le=10_000_000)] | None = None
    """Places of one product that could each have a defect (parts and joints, say); DPMO is told if it is there."""
    least_coverage: Ratio = 0.98
    """Part of the picture that each detector must have been able to judge, as far as it knows; with less a person looks."""
    confidence: Ratio = 0.3
    """Detections below it are dropped."""
    deadline_s: Seconds = 60.0
    """A product without all its answers by then goes to REVIEW."""
    clear_below: Ratio = 0.9
    """The verifier's leash: what a detector was surer of, no PASS of a verifier clears: it is REVIEW. 1: no leash."""
    check_budget_s: Seconds = 30.0
    """Of one crop's check, all attempts together; where a quota is used up it comes again, until the deadline."""
    max_checks: Annotated[int, Field(ge=1, le=1000)] = 200
    """A picture with more findings goes to REVIEW unchecked."""
    crop_padding: Annotated[float, Field(ge=0, le=2)] = 0.25
    """Margin around a crop, in parts of its box."""
    max_findings: Annotated[int, Field(ge=1, le=1000)] = 1000
    """The surest that are kept; with more a product goes to REVIEW."""
    classes: dict[str, ClassPolicy] = {}
    """What is done with detections of a class, where it needs its own rule."""
    ignore: list[Zone] = []
    """What lies wholly inside these parts of the picture is ignored (a fiducial, a label)."""
    limits: Limits = Limits()
    """What a picture must show before any detector is asked."""
    audit_share: Ratio = 0.0
    """Part of the products that pass which a person looks at all the same, not knowing: so escapes are counted."""

    @property
    def lowest_confidence(self) -> float:
        """What a detector must be asked for, so that no class's own minimum is cut off before it is looked at."""
        minima = (policy.minimum_confidence for policy in self.classes.values())
        return min(self.confidence, *(minimum for minimum in minima if minimum is not None), 1.0)

    def clearable_below(self, class_name: str) -> float:
        """Up to which confidence a verifier may clear a detection of this class."""
        policy = self.classes.get(class_name)
        return self.clear_below if policy is None or policy.clear_below is None else policy.clear_below

    def minimum_confidence(self, class_name: str) -> float:
        """From which confidence on a detection of this class counts."""
        policy = self.classes.get(class_name)
        return self.confidence if policy is None or policy.minimum_confidence is None else policy.minimum_confidence

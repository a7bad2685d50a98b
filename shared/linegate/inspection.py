"""The domain: what an inspection is. Imports nothing of Linegate but texts, shapes, answers and deciders."""

import hashlib
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum

from linegate.answers import Review
from linegate.deciders import Decider
from linegate.shapes import Box, Outline
from linegate.texts import printable, visible


class Result(StrEnum):
    """What verification said of one crop."""

    PASS = "PASS"  # not a defect
    FAIL = "FAIL"  # a defect
    UNSURE = "UNSURE"  # no answer that can be relied on


class Verdict(StrEnum):
    """What was decided for the product."""

    PASS = "PASS"
    FAIL = "FAIL"
    REVIEW = "REVIEW"  # a person must look
    ERROR = "ERROR"  # no inspection took place


class OutboxState(StrEnum):
    PENDING = "PENDING"
    SENT = "SENT"
    DEAD = "DEAD"  # given up after the target's `give_up_after_s`, or there is no such target any more
    SUPERSEDED = "SUPERSEDED"  # the target already knows a higher revision
    HELD = "HELD"  # the target is disabled; sent when a person enables it


@dataclass(frozen=True, slots=True)
class ObjectRef:
    """One version of one object in a bucket. `generation` grows with each version of a name."""

    bucket: str
    name: str
    generation: int

    @property
    def inspection_id(self) -> str:
        """First 32 hex digits of sha256("bucket/name#generation").

        The same upload has the same id, however often it is heard of.
        """
        key = f"{self.bucket}/{self.name}#{self.generation}"
        return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a picture was taken, as its object name `uploads/{line}/{station}/{serial}.{ext}` tells."""

    line: str
    station: str
    serial: str

    @property
    def board(self) -> str:
        """For people: line/station/serial, with "?" for what is not known."""
        return "/".join(part or "?" for part in (self.line, self.station, self.serial))


@dataclass(frozen=True, slots=True)
class Check:
    """What verification said of the detection with this `index` in the manifest."""

    index: int
    result: Result
    reason: str
    model: str = ""
    model_version: str = ""
    latency_ms: float = 0.0
    tokens: int = 0
    overruled: bool = False  # the verifier cleared it, and was not to: see `Detection.clear_below`


@dataclass(frozen=True, slots=True)
class Measure:
    """What was measured, and between which limits it must lie; without any it is only told."""

    name: str
    value: float
    unit: str  # "mm", "px", "°", "%"; empty for a count
    low: float | None = None
    high: float | None = None

    @property
    def figure(self) -> str:
        """The value with its unit, as a person reads it: 41.20 mm, 1.20°, 3."""
        if not self.unit:
            return f"{self.value:g}"
        return f"{self.value:.2f}{'' if self.unit == '°' else ' '}{self.unit}"

    def __str__(self) -> str:
        """With its limits, as a person reads it: "fill level 41.20 mm (40 … 42)"."""
        unit = f" {self.unit}" * bool(self.unit)
        said = f"{self.name} {self.value:.3g}{unit}" if abs(self.value) < 1 else f"{self.name} {self.value:.2f}{unit}"
        match self.low, self.high:
            case None, None:
                return said
            case low, None:
                return f"{said} (at least {low:g})"
            case None, high:
                return f"{said} (at most {high:g})"
        return f"{said} ({self.low:g} … {self.high:g})"


@dataclass(frozen=True, slots=True)
class Detection:
    """A suspected defect, or what was measured. `settled` carries its result when it needs no check.

    A verifier may clear it up to the confidence `clear_below`, as the recipe said when the manifest was made.
    """

    class_name: str
    confidence: float
    box: Box
    note: str = ""
    settled: Check | None = None
    outline: Outline = ()
    measure: Measure | None = None
    heatmap: str = ""  # object name in the results bucket
    found_by: tuple[str, ...] = ()  # the recipe's names of its detectors, where it has several
    clear_below: float = 1.0

    @property
    def clearable(self) -> bool:
        """Whether a PASS of the verifier counts."""
        return self.confidence <= self.clear_below


@dataclass(frozen=True, slots=True)
class Loss:
    """Part (0 … 1) of a picture that could not be judged, and why."""

    why: str  # "outside the golden picture"
    part: float


@dataclass(frozen=True, slots=True)
class Coverage:
    """Which part (0 … 1) of a picture could be judged, and what took the rest."""

    part: float = 1.0
    lost: tuple[Loss, ...] = ()

    def __str__(self) -> str:
        """As a person reads it: "93.1 % (5.0 % outside the golden picture, 1.9 % glare)"; never more than it is."""
        said = f"{math.floor(1000 * self.part + 1e-6) / 10:.1f} %"
        causes = ", ".join(f"{100 * loss.part:.1f} % {loss.why}" for loss in self.lost)
        return f"{said} ({causes})" if causes else said


@dataclass(frozen=True, slots=True)
class Answer:
    """One detector's part in an inspection: which it was, how long it took, and how much it could judge, if it knows."""

    detector: str  # the recipe's name for it
    model: str
    model_version: str = ""
    took_ms: float = 0.0
    coverage: Coverage | None = None


@dataclass(frozen=True, slots=True)
class Figures:
    """What the input gate measured of a picture, in pixels and in grey levels (0 … 255) of its brightest channel."""

    width: int
    height: int
    low: int  # half a percent of the pixels are darker
    high: int  # half a percent are brighter
    mean: float
    black: float  # part of the pixels that are black
    white: float
    between: float  # part that is neither dark nor bright; next to nothing on a black-and-white scan
    noise: float
    edge: float  # pixels over which edges rise
    colours: tuple[int, ...]  # contrast of red, green and blue

    @property
    def contrast(self) -> int:
        return self.high - self.low


@dataclass(frozen=True, slots=True)
class LeftOut:
    """How many findings policy left out of the manifest, and why."""

    confidence: int = 0  # below the recipe's or their class's confidence
    ignored: int = 0  # wholly inside an ignored zone
    surplus: int = 0  # beyond what a manifest can hold; such a product does not pass


@dataclass(frozen=True, slots=True)
class Laid:
    """Which golden picture a product was compared with, and where it lay: see `ports.Reference`."""

    golden: str  # its name
    digest: str  # SHA-256 of its file, in hex
    lies: tuple[float, float, float, float, float, float]


@dataclass(frozen=True, slots=True)
class Manifest:
    """All detections of an inspection: written once, never recomputed.

    The first `expected` detections need a check and own the indices 0 … expected-1; the others are settled.
    `answers` has one entry for each detector that answered; `detector_ms` is how long they took, side by side. `doubts` are
    the reasons for not trusting the picture or an answer; any of them keeps the product from passing. `picture` and `golden`
    are what the input gate measured, where it was asked. `setup` stands for all that a product of a line
    with challenges is judged by: release, recipe, the services' settings, golden picture. `laid` is None where no golden
    picture lay over the product. `audit` says that a person is to look at it should it pass: see `audits`.
    """

    width: int
    height: int
    detections: tuple[Detection, ...]
    expected: int
    answers: tuple[Answer, ...] = ()
    detector_ms: float = 0.0
    doubts: tuple[str, ...] = ()
    left_out: LeftOut = LeftOut()
    picture: Figures | None = None
    golden: Figures | None = None
    mm_per_px: float | None = None
    setup: str = ""
    laid: Laid | None = None
    audit: bool = False

    @property
    def model(self) -> str:
        """The models of all detectors, for a person; empty where none was asked."""
        return ", ".join(dict.fromkeys(answer.model for answer in self.answers if answer.model))

    @property
    def coverage(self) -> Coverage | None:
        """The least of its detectors', none of whom looks for the other; None where none of them knows."""
        known = [answer.coverage for answer in self.answers if answer.coverage is not None]
        return min(known, key=lambda coverage: coverage.part, default=None)

    @classmethod
    def of(cls, detections: Iterable[Detection], **fields: object) -> "Manifest":
        """Order the detections so that those to check come first, and number the settled ones after them."""
        found = list(detections)
        to_check = [detection for detection in found if detection.settled is None]
        settled = [
            replace(detection, settled=replace(detection.settled, index=index))
            for index, detection in enumerate((d for d in found if d.settled is not None), start=len(to_check))
            if detection.settled is not None
        ]
        return cls(detections=(*to_check, *settled), expected=len(to_check), **fields)  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Decision:
    """A verdict with what led to it; `checks` has one entry for each detection, UNSURE where none has come."""

    verdict: Verdict
    complete: bool
    fail_count: int
    reasons: tuple[str, ...]
    summary: str
    checks: tuple[Check, ...] = ()

    @property
    def inspection_result(self) -> str:
        """PASS or FAIL as Roboflow's workflow words it. A product that was not cleared is a FAIL here, whatever the verdict."""
        return "PASS" if self.verdict is Verdict.PASS else "FAIL"


@dataclass(frozen=True, slots=True)
class Revision:
    """One decision as it was stored. 1 is the first verdict; a late or human correction makes the next one."""

    number: int
    decided_by: Decider
    decided_at: datetime
    decision: Decision
    annotated: str = ""  # object name in the results bucket
    annotated_why: str = ""  # why there is none
    review: Review | None = None  # what a person said, where one decided


@dataclass(frozen=True, slots=True)
class Timings:
    """Milliseconds since the upload was received, where the step has been reached."""

    manifest_ms: float = 0.0
    decided_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Inspection:
    """One picture of one product, from upload to verdict."""

    inspection_id: str
    image: ObjectRef
    place: Place
    recipe: str
    uploaded_at: datetime
    received_at: datetime
    deadline: datetime
    fault: str = ""  # the last thing that kept detect from its end, until it got there
    manifest: Manifest | None = None
    revision: Revision | None = None  # the latest
    told: tuple[str, ...] = ()  # targets that were sent any revision
    timings: Timings = field(default_factory=Timings)
    late_fails: tuple[int, ...] = ()  # detections that the machine called defects after the deadline, or after a person

    @property
    def contradicted(self) -> tuple[int, ...]:
        """Detections of a product that a person passed, of which the machine said only afterwards that they are defects."""
        revision = self.revision
        if revision is None or not revision.decided_by.is_person or revision.decision.verdict is not Verdict.PASS:
            return ()
        seen = {check.index for check in revision.decision.checks if check.result is Result.FAIL}
        return tuple(index for index in self.late_fails if index not in seen)

    @property
    def complete(self) -> bool:
        return self.revision is not None and self.revision.decision.complete


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """One notification of one target. `body` is frozen, so that one id always carries the same bytes."""

    entry_id: str
    inspection_id: str  # of a report, its own id: see `shift_report`
    line: str
    revision: int
    target: str
    body: str
    created_at: datetime
    state: OutboxState = OutboxState.PENDING
    attempts: int = 0
    attempted_at: datetime | None = None  # when it was last tried, or published again
    last_error: str = ""
    published: int = 1  # how often; the message of an earlier publication is stale
    version: int = field(default=0, compare=False)  # grows with each update: what compare and set goes by


def place_of(name: str, metadata: Mapping[str, str]) -> Place:
    """Where the picture of the object `uploads/{line}/{station}/{serial}.{ext}` was taken.

    A camera may only write below its line's prefix, so the name wins over metadata. What the name lacks is taken from
    there. The parts are for people and logs: control characters are gone and each is 200 characters at most.
    """
    parts = name.split("/")[1:]
    folders, serial = parts[:-1][:2], "/".join(parts[2:] or parts[-1:])
    line, station = (*folders, "", "")[:2]
    stem, dot, extension = serial.rpartition(".")
    serial = stem if dot and stem and len(extension) <= 5 else serial
    return Place(
        line=visible((line or metadata.get("line", ""))[:200]),
        station=visible((station or metadata.get("station", ""))[:200]),
        serial=visible((serial or metadata.get("serial", ""))[:200]),
    )


def archived_name(image: ObjectRef) -> str:
    """Where a gate beside a line keeps an upload once it is decided: archive/LINE/STATION/SERIAL.GENERATION.EXT."""
    folder, _, file = image.name.partition("/")[2].rpartition("/")
    return printable("/".join(filter(None, ("archive", folder, archived_file(file, image.generation)))), 1024)


def archived_file(file: str, generation: int) -> str:
    """A file's name with its generation before the extension; without what no file system would take (255 bytes)."""
    stem, _, extension = file.rpartition(".")
    end = f".{extension}" if stem and extension else ""
    name = f"{file.removesuffix(end)}.{generation}{end}"
    if len(name.encode("utf-8", "replace")) > 255:
        name = f"{generation}{end if len(end.encode('utf-8', 'replace')) < 50 else ''}"
    return name


def outbox_id(inspection_id: str, revision: int, target: str) -> str:
    return f"{inspection_id}_r{revision}_{target}"

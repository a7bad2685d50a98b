"""The domain: what an inspection is, and the pure rules that decide it. Imports nothing of Linegate but redaction.

A board never passes by accident: PASS needs a PASS for every detection of the manifest and a detector without doubts.
"""

import hashlib
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from linegate.redaction import redact

if TYPE_CHECKING:
    from pydantic_core import CoreSchema

# Letters by Unicode's tables, yet nothing is seen of them
_BLANK: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
# Of all reasons of a decision, and of all its checks' reasons, each: Firestore holds a mebibyte for a board, manifest and
# all. Up to 120 findings no reason is ever cut.
MOST_BYTES: Final = 150_000


class Result(StrEnum):
    """What verification said of one crop."""

    PASS = "PASS"  # not a defect
    FAIL = "FAIL"  # a defect
    UNSURE = "UNSURE"  # no answer that can be relied on


class Verdict(StrEnum):
    """What was decided for the board."""

    PASS = "PASS"
    FAIL = "FAIL"
    REVIEW = "REVIEW"  # a person must look
    ERROR = "ERROR"  # no inspection took place


class OutboxState(StrEnum):
    PENDING = "PENDING"
    SENT = "SENT"
    DEAD = "DEAD"  # given up after the target's `give_up_after`
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
class Box:
    """A rectangle in pixels of the upright picture; `x`, `y` are its centre, as Roboflow returns it."""

    x: float
    y: float
    width: float
    height: float

    @property
    def corners(self) -> tuple[float, float, float, float]:
        """(left, top, right, bottom) in pixels."""
        return (
            self.x - self.width / 2,
            self.y - self.height / 2,
            self.x + self.width / 2,
            self.y + self.height / 2,
        )


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


@dataclass(frozen=True, slots=True)
class Detection:
    """A suspected defect. `settled` carries its result when policy asks for no check."""

    class_name: str
    confidence: float
    box: Box
    note: str = ""
    settled: Check | None = None


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
    surplus: int = 0  # beyond what a manifest can hold; such a board does not pass


@dataclass(frozen=True, slots=True)
class Manifest:
    """All detections of an inspection: written once, never recomputed.

    The first `expected` detections need a check and own the indices 0 … expected-1; the others are settled.
    `doubts` are the reasons for not trusting the picture or the detector's answer; any of them keeps the board from
    passing. `picture` and `golden` are what the input gate measured, where it was asked.
    """

    width: int
    height: int
    detections: tuple[Detection, ...]
    expected: int
    detector: str
    detector_version: str = ""
    detector_ms: float = 0.0
    doubts: tuple[str, ...] = ()
    left_out: LeftOut = LeftOut()
    picture: Figures | None = None
    golden: Figures | None = None

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
        """PASS or FAIL as Roboflow's workflow words it. A board that was not cleared is a FAIL here, whatever the verdict."""
        return "PASS" if self.verdict is Verdict.PASS else "FAIL"


class Role(StrEnum):
    """In which role somebody decides."""

    CHECK = "check"  # the last check that came
    DETECT = "detect"  # nothing was to be checked, or inspected
    SWEEP = "sweep"  # the deadline passed
    PERSON = "person"


@dataclass(frozen=True, slots=True)
class Decider:
    """Who decided: the check of an `index`, detect, sweep, or a person by `name`. Raises ValueError for anybody else.

    Stored as a text: "check:3", "detect", "sweep", "person:Ada Lovelace".
    """

    role: Role
    index: int | None = None
    name: str = ""

    def __post_init__(self) -> None:
        wanted = (self.role is Role.CHECK, self.role is Role.PERSON)
        if (self.index is not None, self.name != "") != wanted or (self.index or 0) < 0:
            raise ValueError(f"nobody decides as {self.role} with index {self.index} and name {self.name!r}")

    @classmethod
    def check(cls, index: int) -> "Decider":
        return cls(Role.CHECK, index=index)

    @classmethod
    def person(cls, name: str) -> "Decider":
        return cls(Role.PERSON, name=name)

    @classmethod
    def parse(cls, text: str) -> "Decider":
        """From the stored form. Raises ValueError."""
        role, _, which = text.partition(":")
        try:
            decider = cls.check(int(which)) if role == Role.CHECK else cls(Role(role), name=which)
        except ValueError as error:
            raise ValueError(f"{text!r} names nobody who decides") from error
        if str(decider) != text:  # "check:03"
            raise ValueError(f"{text!r} names nobody who decides")
        return decider

    def __str__(self) -> str:
        """The stored form."""
        which = self.name if self.index is None else str(self.index)
        return f"{self.role}:{which}" if which else self.role.value

    @property
    def is_person(self) -> bool:
        return self.role is Role.PERSON

    @classmethod
    def __get_pydantic_core_schema__(cls, *_: object) -> "CoreSchema":
        """How the codec keeps it: by its stored form."""
        from pydantic_core import core_schema

        known, written = core_schema.is_instance_schema(cls), core_schema.str_schema(strict=True)
        read = core_schema.no_info_after_validator_function(cls.parse, written)
        return core_schema.json_or_python_schema(
            json_schema=read,
            python_schema=core_schema.union_schema([known, read]),
            serialization=core_schema.plain_serializer_function_ser_schema(str, return_schema=written),
        )


DETECT: Final = Decider(Role.DETECT)
SWEEP: Final = Decider(Role.SWEEP)


@dataclass(frozen=True, slots=True)
class Revision:
    """One decision as it was stored. 1 is the first verdict; a late or human correction makes the next one."""

    number: int
    decided_by: Decider
    decided_at: datetime
    decision: Decision
    annotated: str = ""  # object name in the results bucket
    annotated_why: str = ""  # why there is none


@dataclass(frozen=True, slots=True)
class Timings:
    """Milliseconds since the upload was received, where the step has been reached."""

    manifest_ms: float = 0.0
    decided_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class Inspection:
    """One picture of one board, from upload to verdict."""

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

    @property
    def complete(self) -> bool:
        return self.revision is not None and self.revision.decision.complete


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """One notification of one target. `body` is frozen, so that one id always carries the same bytes."""

    entry_id: str
    inspection_id: str
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


def printable(text: str, limit: int = 200) -> str:
    """A text from outside as anybody may see it: `visible`, without secrets, cut to `limit` characters."""
    return visible(redact(text)[:limit])


def visible(text: str, keep: str = "") -> str:
    """`text` with "?" for what steers a terminal, turns the direction of writing, or is not seen at all; spaces are spaces.

    That is every character of Unicode's kinds Cc, Cf, Cs, Co, Cn, Zl and Zp, and a few blank letters; but for those in `keep`.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(char if char in keep else _visible(char) for char in text)


def _visible(char: str) -> str:
    if char.isprintable() and char not in _BLANK:
        return char
    return " " if unicodedata.category(char) == "Zs" else "?"


def brief(text: str) -> str:
    """A reason as a report can carry it: one line, 300 characters at most, whatever a service said."""
    line = " ".join(redact(text).split())
    return printable(line if len(line) <= 300 else f"{line[:299]}…", 300)


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


def decide(manifest: Manifest | None, checks: Mapping[int, Check], fault: str = "") -> Decision:
    """Decide a board from its manifest and the checks that have come so far; `fault` is what kept detect from its end.

    One FAIL is a FAIL; else any UNSURE is REVIEW, and so is a missing check, a missing manifest or a doubt of the
    detector; PASS is what is left. The decision is complete when nothing is missing.
    """
    late = f"before the deadline{f' ({fault})' if fault else ''}."
    if manifest is None:
        reason = f"The detector gave no answer {late}"
        return Decision(Verdict.REVIEW, False, 0, (reason,), f"A person must look at this board. {reason}")
    results = tuple(
        detection.settled or checks.get(index) or Check(index, Result.UNSURE, f"No check {late}")
        for index, detection in enumerate(manifest.detections)
    )
    failed = sum(check.result is Result.FAIL for check in results)
    unsure = sum(check.result is Result.UNSURE for check in results)
    if failed:
        verdict = Verdict.FAIL
    elif unsure or manifest.doubts:
        verdict = Verdict.REVIEW
    else:
        verdict = Verdict.PASS
    reasons = manifest.doubts + tuple(
        f"{_what_and_where(detection, manifest)}: {check.reason}"
        for detection, check in zip(manifest.detections, results, strict=True)
        if check.result is not Result.PASS
    )
    return Decision(
        verdict=verdict,
        complete=all(index in checks for index in range(manifest.expected)),
        fail_count=failed,
        reasons=_storable(reasons),
        summary=f"{_summary(verdict, manifest, results)}{_left_out(manifest.left_out)}",
        checks=tuple(
            replace(check, reason=reason)
            for check, reason in zip(results, _storable([check.reason for check in results]), strict=True)
        ),
    )


def _storable(texts: Sequence[str]) -> tuple[str, ...]:
    """Each text cut to its share of what a store can hold, where there are hundreds."""
    share = MOST_BYTES // max(1, len(texts))
    return tuple(text.encode("utf-8", "replace")[:share].decode("utf-8", "ignore") for text in texts)


def _left_out(left_out: LeftOut) -> str:
    """What policy did not let count, as further sentences."""
    parts = (
        (left_out.confidence, "below the recipe's confidence"),
        (left_out.ignored, "in ignored parts of the picture"),
    )
    return "".join(
        f" {_count(number, 'finding')} {why} {'was' if number == 1 else 'were'} left out."
        for number, why in parts
        if number
    )


def rejected(reason: str) -> Decision:
    """The decision for a picture that can't be inspected."""
    return Decision(Verdict.ERROR, True, 0, (reason,), f"No inspection took place: {reason}")


def recipients(subscribed: Mapping[str, Sequence[Verdict]], verdict: Verdict, told: Iterable[str]) -> list[str]:
    """Names of the targets to notify: those that asked for this verdict, and those that must hear of a correction.

    `subscribed` maps each target of the line to the verdicts it asked for; `told` were sent an earlier revision.
    """
    known = set(told)
    return [name for name, verdicts in subscribed.items() if verdict in verdicts or name in known]


def whereabouts(box: Box, width: int, height: int) -> str:
    """In which ninth of the picture the centre of a box lies: "upper left", "centre", "lower edge" …"""
    column = min(2, max(0, int(3 * box.x / max(1, width))))
    row = min(2, max(0, int(3 * box.y / max(1, height))))
    return (
        ("upper left", "upper edge", "upper right"),
        ("left edge", "centre", "right edge"),
        ("lower left", "lower edge", "lower right"),
    )[row][column]


def _what_and_where(detection: Detection, manifest: Manifest) -> str:
    return (
        f"{detection.class_name.replace('_', ' ')} at the {whereabouts(detection.box, manifest.width, manifest.height)}"
    )


def _summary(verdict: Verdict, manifest: Manifest, checks: tuple[Check, ...]) -> str:
    """One or two plain sentences that a quality report can carry."""
    pairs = list(zip(manifest.detections, checks, strict=True))

    def listed(result: Result) -> str:
        places = [
            f"{_what_and_where(detection, manifest)} ({check.reason.rstrip('.')})"
            for detection, check in pairs
            if check.result is result
        ]
        more = f" and {len(places) - 3} more" if len(places) > 3 else ""
        return "; ".join(places[:3]) + more

    failed = sum(check.result is Result.FAIL for check in checks)
    unsure = sum(check.result is Result.UNSURE for check in checks)
    if verdict is Verdict.FAIL:
        also = f" {_count(unsure, 'further finding')} could not be judged." if unsure else ""
        return f"{_count(failed, 'defect')} confirmed: {listed(Result.FAIL)}.{also}"
    if verdict is Verdict.REVIEW:
        causes = [doubt.rstrip(".") for doubt in manifest.doubts]
        causes += [f"{_count(unsure, 'finding')} could not be judged: {listed(Result.UNSURE)}"] if unsure else []
        return f"A person must look at this board. {'. '.join(causes)}."
    if pairs:
        return f"No defect: {_count(len(pairs), 'suspected place')} checked and cleared."
    return "No defect was found on this board."


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"

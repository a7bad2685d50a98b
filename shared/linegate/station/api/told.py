"""What is answered, as models that the OpenAPI file is made of. Times are in UTC; boxes in pixels of the upright picture."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from linegate.answers import Disposition
from linegate.inspection import OutboxState, Result, Verdict
from linegate.station.api.asked import ID

Id = Annotated[str, Field(pattern=ID)]
Count = Annotated[int, Field(ge=0)]
Part = Annotated[float, Field(ge=0, le=1)]


class Told(BaseModel):
    """New keys may come at any time: ignore what you do not know."""

    model_config = ConfigDict(frozen=True, populate_by_name=True)


class Box(Told):
    """x and y are the centre."""

    x: float
    y: float
    width: float
    height: float


class Measure(Told):
    name: str
    value: float
    unit: str
    low: float | None
    high: float | None


class Finding(Told):
    index: Count
    class_name: str = Field(alias="class")
    confidence: Part
    box: Box
    outline: list[tuple[float, float]]
    result: Result | None = Field(description="What verification said; null while it has said nothing.")
    reason: str
    model: str = Field(description="Of whoever checked it.")
    model_version: str
    latency_ms: float
    tokens: Count
    overruled: bool = Field(description="The verifier cleared it, and was not to: above `clear_below`.")
    clear_below: Part
    disposition: Disposition | None = Field(description="A person's word on it.")
    note: str
    measure: Measure | None
    found_by: list[str]
    heatmap: str | None = Field(description="Address of the picture.")


class Loss(Told):
    why: str
    part: Part


class Coverage(Told):
    """Which part of the picture could be judged, and what took the rest."""

    part: Part
    lost: list[Loss]


class DetectorTold(Told):
    name: str
    model: str
    model_version: str
    took_ms: float
    coverage: Coverage | None


class Seen(Told):
    """The manifest: what the detectors saw."""

    width: Count
    height: Count
    mm_per_px: float | None
    detectors: list[DetectorTold]
    detector_ms: float
    coverage: Coverage | None
    doubts: list[str]
    left_out: dict[str, int]
    setup: str


class RulingTold(Told):
    index: Count
    disposition: Disposition


class MissedTold(Told):
    class_name: str = Field(alias="class")
    box: Box | None


class ReviewTold(Told):
    review_id: Id
    author: str
    origin: str
    seen: Count
    at: datetime
    rulings: list[RulingTold]
    missed: list[MissedTold]
    looked: bool
    comment: str


class RevisionTold(Told):
    number: int
    verdict: Verdict
    decided_by: str
    decided_at: datetime
    complete: bool
    fail_count: Count
    summary: str
    reasons: list[str]
    annotated: str | None = Field(description="Address of the annotated picture.")
    annotated_why: str = Field(description="Why there is none.")
    review: ReviewTold | None


class RefusalTold(Told):
    review: ReviewTold
    reason: str
    refused_at: datetime
    standing: Count = Field(description="The revision that stood when it came.")
    first: str = Field(description="Whose decision its author had not seen.")


class Notified(Told):
    target: str
    revision: int
    state: OutboxState
    attempts: Count
    created_at: datetime
    attempted_at: datetime | None
    last_error: str


class InspectionTold(Told):
    """One picture of one product, as a list tells of it."""

    inspection_id: Id
    line: str
    station: str
    serial: str
    recipe: str
    verdict: Verdict | None = Field(description="null while it is not decided.")
    revision: Count
    decided_by: str | None = Field(description='"machine", or the name of a person.')
    complete: bool
    fail_count: Count
    summary: str
    fault: str = Field(description="What kept it from being inspected so far.")
    contradicted: list[int] = Field(
        description="Findings of a product that a person passed, which the machine called defects only afterwards."
    )
    uploaded_at: datetime
    received_at: datetime
    deadline: datetime
    decided_at: datetime | None
    page: str = Field(description="Address of its page for a person.")


class Pictures(Told):
    """Addresses; null where there is none. What is not kept any more answers 404."""

    upload: str
    annotated: str | None
    golden: str | None


class WholeInspection(InspectionTold):
    """All that is known of one inspection."""

    object_name: str
    generation: str
    manifest_ms: float | None
    decided_ms: float | None
    seen: Seen | None
    findings: list[Finding]
    revisions: list[RevisionTold]
    refusals: list[RefusalTold]
    notifications: list[Notified]
    pictures: Pictures


class InspectionPage(Told):
    items: list[InspectionTold]
    next: str = Field(
        description="The cursor of the next page; empty at the end. A page may be short and yet not the last."
    )
    unreadable: list[str] = Field(description="Ids of records that belong here and can't be read.")


class WaitingPage(InspectionPage):
    count: int | None = Field(description="How many wait, up to 10 000; null where nobody knows.")


class Slot(Told):
    """Counts of one hour or day; products count in the hour in which they were received."""

    start: datetime
    line: str
    recipe: str
    products: Count
    first: dict[Verdict, int] = Field(description="By their first verdict.")
    latest: dict[Verdict, int] = Field(description="By their latest verdict.")
    findings: dict[str, dict[Result, int]] = Field(description="By class, and by what the gate said last.")
    ruled: dict[str, dict[Disposition, int]] = Field(description="By class, and by what a person said last.")
    missed: dict[str, int] = Field(description="Defects that only a person found, by class.")
    latency_ms: float | None = Field(description="Mean, from receipt to the first verdict.")
    latency_p50_ms: float | None
    latency_p95_ms: float | None


class Counts(Told):
    slots: list[Slot]


class LineTold(Told):
    name: str
    recipe: str
    recipes: list[str]
    notifies: bool
    waiting: Count
    last: InspectionTold | None


class Lines(Told):
    lines: list[LineTold]


class Undelivered(Told):
    state: OutboxState
    count: Count
    attempts: Count
    oldest: datetime
    last_error: str


class TargetTold(Told):
    name: str
    type: str
    disabled: str | None = Field(description="Why nothing is sent to it; null where it is sent to.")
    undelivered: list[Undelivered]


class Targets(Told):
    targets: list[TargetTold]


class ReviewState(Told):
    """What became of a review."""

    review_id: Id
    state: str = Field(description="`waiting`, `counts` or `refused`.", pattern="^(waiting|counts|refused)$")
    revision: int | None = Field(description="The revision that it became.")
    verdict: Verdict | None = Field(description="Of that revision.")
    reason: str = Field(description="Why it was refused.")
    first: str = Field(description="Who was first, where that is why.")
    look: str = Field(description="Where to look for what becomes of it.")


class Uploaded(Told):
    """A picture that lies where a camera would have left it."""

    inspection_id: Id
    object_name: str
    generation: str
    sha256: str
    bytes: Count
    repeated: bool = Field(description="The same picture had come before: nothing was stored.")
    inspection: str = Field(description="Where its inspection is told of, as soon as it has begun.")
    page: str


class Health(Told):
    status: str = Field(pattern="^ok$")


class Fault(Told):
    at: str
    fault: str


class ProblemTold(Told):
    """RFC 9457."""

    model_config = ConfigDict(extra="allow", frozen=True)

    type: str = Field(pattern="^urn:linegate:problem:[a-z-]+$", description="What a program may tell it by.")
    title: str
    status: int
    detail: str = Field(description="What is wrong.")
    mend: str = Field(description="What to do about it.")
    faults: list[Fault] = Field([], description="Each fault of what was sent.")


def plain(value: Told) -> dict[str, Any]:
    """As JSON carries it."""
    return value.model_dump(mode="json", by_alias=True)

"""All that is known of one product, as its page tells it: findings, how it was looked at, and what happened when."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from linegate.answers import Disposition, Refusal
from linegate.exports.told import Finding, told
from linegate.inspection import (
    Check,
    Detection,
    Inspection,
    Manifest,
    OutboxEntry,
    OutboxState,
    Result,
    Revision,
    Verdict,
)
from linegate.station.desk import in_words, more
from linegate.texts import brief, visible
from linegate.wording import duration

# Whose shape and colour each word has
OF_RESULT: Final = {
    Result.FAIL: ("defect", Verdict.FAIL),
    Result.UNSURE: ("not judged", Verdict.REVIEW),
    Result.PASS: ("cleared", Verdict.PASS),
}
OF_DISPOSITION: Final = {
    Disposition.TRUE_DEFECT: Verdict.FAIL,
    Disposition.FALSE_CALL: Verdict.PASS,
    Disposition.ACCEPTED: Verdict.PASS,
    Disposition.REPAIRED: Verdict.PASS,
}
MISSED: Final = "missed by the gate"
NOTIFIED: Final = {
    OutboxState.PENDING: "is to be told",
    OutboxState.SENT: "was told",
    OutboxState.DEAD: "was given up on",
    OutboxState.SUPERSEDED: "was not told: it knows a later one",
    OutboxState.HELD: "is not told while it is disabled",
}
# What stands first is what counts most.
_ORDER: Final = (Verdict.FAIL, Verdict.REVIEW, None, Verdict.PASS)


@dataclass(frozen=True, slots=True)
class Row:
    """One finding: `word` is what holds of it now, `verdict` whose shape and colour that has; None while nothing is known."""

    mark: str
    """What its box in the picture goes by."""
    number: int
    name: str
    word: str
    verdict: Verdict | None
    finding: Finding
    said: str = ""
    """What the gate said of it, where a person said something else."""
    more: tuple[str, ...] = ()

    @property
    def detection(self) -> Detection | None:
        return self.finding.detection

    @property
    def confidence(self) -> str:
        return f"{100 * self.detection.confidence:.0f} %" if self.detection else ""

    @property
    def check(self) -> Check | None:
        return self.finding.check

    @property
    def reason(self) -> str:
        return brief(self.check.reason) if self.check else ""

    @property
    def verifier(self) -> str:
        """Which model said so, in which version, and how long it took."""
        check = self.check
        if check is None or not check.model:
            return ""
        took = f" in {duration(check.latency_ms)}" if check.latency_ms else ""
        return visible(" ".join(filter(None, (check.model, check.model_version)))) + took


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened at a time; `after` is how long after the upload was received, in words."""

    at: datetime
    what: str
    more: str = ""
    verdict: Verdict | None = None
    after: str = ""


def rows(inspection: Inspection, revisions: Sequence[Revision]) -> list[Row]:
    """The findings, what counts most first, each with its number in the picture."""
    manifest = inspection.manifest
    if not revisions:
        found = [
            Finding(index, each.class_name, each.box, each, each.settled)
            for index, each in enumerate(manifest.detections if manifest else ())
        ]
    else:
        found = list(told(inspection, revisions).findings)
    judged = [(*_word(each), each) for each in found]
    judged.sort(key=lambda one: (_ORDER.index(one[1]), -(one[2].detection.confidence if one[2].detection else 1)))
    return [_row(number, *one, manifest) for number, one in enumerate(judged, start=1)]


def _row(number: int, word: str, verdict: Verdict | None, finding: Finding, manifest: Manifest | None) -> Row:
    detection, check = finding.detection, finding.check
    said = OF_RESULT[check.result][0] if check and finding.disposition else ""
    return Row(
        f"{'missed' if finding.missed else 'finding'}-{finding.number}",
        number,
        in_words(finding.class_name),
        word,
        verdict,
        finding,
        f"the gate said: {said}" if said else "",
        tuple(visible(text) for text in more(detection, manifest)) if detection and manifest else (),
    )


def _word(finding: Finding) -> tuple[str, Verdict | None]:
    if finding.missed:
        return MISSED, Verdict.FAIL
    if finding.contradicted:
        return "called a defect after a person had passed the product", Verdict.FAIL
    if finding.disposition:
        return finding.disposition.words, OF_DISPOSITION[finding.disposition]
    if finding.check is None:
        return "in work", None
    return OF_RESULT[finding.check.result]


def events(
    inspection: Inspection,
    revisions: Sequence[Revision],
    refusals: Sequence[Refusal],
    notifications: Sequence[OutboxEntry],
) -> list[Event]:
    """What happened, in its order."""
    began = inspection.received_at
    happened = sorted(_happened(inspection, revisions, refusals, notifications), key=lambda event: event.at)
    return [Event(one.at, one.what, one.more, one.verdict, _after(one.at - began)) for one in happened]


def _happened(
    inspection: Inspection,
    revisions: Sequence[Revision],
    refusals: Sequence[Refusal],
    notifications: Sequence[OutboxEntry],
) -> Iterator[Event]:
    manifest, began = inspection.manifest, inspection.received_at
    yield Event(inspection.uploaded_at, "The picture was complete")
    yield Event(began, "The gate received it")
    if manifest is not None:
        found = len(manifest.detections)
        what = f"{found or 'Nothing'} {'finding was' if found == 1 else 'findings were' if found else 'was'} detected"
        took = "; ".join(
            visible(f"{each.detector} {duration(each.took_ms)}") for each in manifest.answers if each.took_ms
        )
        yield Event(began + timedelta(milliseconds=inspection.timings.manifest_ms), what, took)
    for each in revisions:
        yield Event(
            each.decided_at,
            f"{each.decision.verdict.value} is revision {each.number}, by {by(each)}",
            "" if each.decision.complete else "Not all answers had come.",
            each.decision.verdict,
        )
    for refused in refusals:
        yield Event(
            refused.refused_at, f"What {visible(refused.review.author)} decided was refused", brief(refused.reason)
        )
    for entry in notifications:
        yield Event(
            entry.attempted_at or entry.created_at,
            f"{visible(entry.target)} {NOTIFIED[entry.state]}: revision {entry.revision}",
            brief(entry.last_error),
        )


def by(revision: Revision) -> str:
    """Who decided."""
    decider = revision.decided_by
    if decider.is_person:
        return visible(decider.name)
    return "the gate" if revision.decision.complete else "the gate, at the deadline"


def _after(passed: timedelta) -> str:
    ms = passed / timedelta(milliseconds=1)
    if abs(ms) < 0.5:
        return ""
    return f"{'+' if ms > 0 else '-'}{duration(abs(ms))}" if abs(passed) < timedelta(hours=2) else ""

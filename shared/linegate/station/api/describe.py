"""Inspections and what hangs on them ▶ the models of `told`."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TypeVar

from linegate import links
from linegate.answers import MACHINE, Disposition, Refusal, Review
from linegate.inspection import Answer, Check, Detection, Inspection, Manifest, OutboxEntry, Revision
from linegate.inspection import Coverage as Covered
from linegate.rollups import Slot
from linegate.search import machine_checks, rulings
from linegate.shapes import Box
from linegate.station.api import told
from linegate.station.pages.pictures import golden_of
from linegate.station.site import Site
from linegate.texts import printable, visible

T = TypeVar("T")
LONGEST = 2000


def inspection(site: Site, known: Inspection) -> told.InspectionTold:
    return told.InspectionTold(**_common(site, known))


def whole(
    site: Site,
    known: Inspection,
    revisions: Sequence[Revision],
    refusals: Sequence[Refusal],
    notifications: Sequence[OutboxEntry],
) -> told.WholeInspection:
    identity, manifest, latest = known.inspection_id, known.manifest, known.revision
    pictures = f"{_address(site)}/pictures/{identity}"
    return told.WholeInspection(
        **_common(site, known),
        object_name=printable(known.image.name, 1024),
        generation=str(known.image.generation),
        manifest_ms=round(known.timings.manifest_ms, 1) if manifest else None,
        decided_ms=round(known.timings.decided_ms, 1) if latest else None,
        seen=_seen(manifest) if manifest else None,
        findings=_findings(manifest, revisions, pictures) if manifest else [],
        revisions=[_revision(site, identity, each) for each in revisions],
        refusals=[
            told.RefusalTold(
                review=_review(each.review),
                reason=printable(each.reason, LONGEST),
                refused_at=_utc(each.refused_at),
                standing=each.standing,
                first=visible(each.first),
            )
            for each in refusals
        ],
        notifications=[
            told.Notified(
                target=entry.target,
                revision=entry.revision,
                state=entry.state,
                attempts=entry.attempts,
                created_at=_utc(entry.created_at),
                attempted_at=_utc(entry.attempted_at) if entry.attempted_at else None,
                last_error=printable(entry.last_error, LONGEST),
            )
            for entry in notifications
        ],
        pictures=told.Pictures(
            upload=f"{pictures}/upload",
            annotated=f"{pictures}/annotated" if latest and latest.annotated else None,
            golden=f"{pictures}/golden" if golden_of(site, known) else None,
        ),
    )


def slot(counted: Slot) -> told.Slot:
    counts = counted.counts
    return told.Slot(
        start=counted.start,
        line=counted.line,
        recipe=counted.recipe,
        products=counts.products,
        first=counts.first,
        latest=counts.latest,
        findings=counts.findings,
        ruled=counts.ruled,
        missed=counts.missed,
        latency_ms=counts.latency_ms,
        latency_p50_ms=counts.latency_quantile_ms(0.5),
        latency_p95_ms=counts.latency_quantile_ms(0.95),
    )


def _common(site: Site, known: Inspection) -> dict[str, object]:
    place, latest = known.place, known.revision
    return {
        "inspection_id": known.inspection_id,
        "line": place.line,
        "station": place.station,
        "serial": place.serial,
        "recipe": known.recipe,
        "verdict": latest.decision.verdict if latest else None,
        "revision": latest.number if latest else 0,
        "decided_by": (visible(latest.decided_by.name) or MACHINE) if latest else None,
        "complete": known.complete,
        "fail_count": latest.decision.fail_count if latest else 0,
        "summary": printable(latest.decision.summary, LONGEST) if latest else "",
        "fault": printable(known.fault, LONGEST),
        "contradicted": list(known.contradicted),
        "uploaded_at": _utc(known.uploaded_at),
        "received_at": _utc(known.received_at),
        "deadline": _utc(known.deadline),
        "decided_at": _utc(latest.decided_at) if latest else None,
        "page": links.board_page(_address(site), known.inspection_id),
    }


def _seen(manifest: Manifest) -> told.Seen:
    return told.Seen(
        width=manifest.width,
        height=manifest.height,
        mm_per_px=manifest.mm_per_px,
        detectors=[_detector(answer) for answer in manifest.answers],
        detector_ms=round(manifest.detector_ms, 1),
        coverage=_coverage(manifest.coverage),
        doubts=[printable(doubt, LONGEST) for doubt in manifest.doubts],
        left_out=asdict(manifest.left_out),
        setup=manifest.setup,
    )


def _detector(answer: Answer) -> told.DetectorTold:
    return told.DetectorTold(
        name=answer.detector,
        model=printable(answer.model, LONGEST),
        model_version=printable(answer.model_version, LONGEST),
        took_ms=round(answer.took_ms, 1),
        coverage=_coverage(answer.coverage),
    )


def _coverage(covered: Covered | None) -> told.Coverage | None:
    if covered is None:
        return None
    lost = [told.Loss(why=printable(loss.why), part=_part(loss.part)) for loss in covered.lost]
    return told.Coverage(part=_part(covered.part), lost=lost)


def _findings(manifest: Manifest, revisions: Sequence[Revision], pictures: str) -> list[told.Finding]:
    checks = {check.index: check for check in machine_checks(revisions)}
    words = rulings(revisions)
    return [
        _finding(index, detection, checks.get(index) or detection.settled, words, pictures)
        for index, detection in enumerate(manifest.detections)
    ]


def _finding(
    index: int, detection: Detection, check: Check | None, words: Mapping[int, Disposition], pictures: str
) -> told.Finding:
    measure = detection.measure
    return told.Finding(
        index=index,
        class_name=visible(detection.class_name),
        confidence=_part(detection.confidence),
        box=_box(detection.box),
        outline=[(round(x, 1), round(y, 1)) for x, y in detection.outline],
        result=check.result if check else None,
        reason=printable(check.reason, LONGEST) if check else "",
        model=printable(check.model) if check else "",
        model_version=printable(check.model_version) if check else "",
        latency_ms=round(check.latency_ms, 1) if check else 0,
        tokens=check.tokens if check else 0,
        overruled=check is not None and check.overruled,
        clear_below=_part(detection.clear_below),
        disposition=words.get(index),
        note=printable(detection.note, LONGEST),
        measure=told.Measure(**asdict(measure)) if measure else None,
        found_by=list(detection.found_by),
        heatmap=f"{pictures}/heatmap/{index}" if detection.heatmap else None,
    )


def _revision(site: Site, identity: str, revision: Revision) -> told.RevisionTold:
    decision = revision.decision
    picture = links.annotated_picture(_address(site), identity, revision.number)
    return told.RevisionTold(
        number=revision.number,
        verdict=decision.verdict,
        decided_by=visible(revision.decided_by.name) or MACHINE,
        decided_at=_utc(revision.decided_at),
        complete=decision.complete,
        fail_count=decision.fail_count,
        summary=printable(decision.summary, LONGEST),
        reasons=[printable(reason, LONGEST) for reason in decision.reasons],
        annotated=picture if revision.annotated else None,
        annotated_why=printable(revision.annotated_why, LONGEST),
        review=_review(revision.review) if revision.review else None,
    )


def _review(review: Review) -> told.ReviewTold:
    return told.ReviewTold(
        review_id=review.review_id,
        author=review.author,
        origin=review.origin,
        seen=review.seen,
        at=_utc(review.at),
        rulings=[told.RulingTold(index=each.index, disposition=each.disposition) for each in review.rulings],
        missed=[
            told.MissedTold(class_name=each.class_name, box=_box(each.box) if each.box else None)
            for each in review.missed
        ],
        looked=review.looked,
        comment=visible(review.comment, keep="\n"),
    )


def _box(box: Box) -> told.Box:
    return told.Box(**{key: round(getattr(box, key), 1) for key in ("x", "y", "width", "height")})


def _part(part: float) -> float:
    return min(1.0, max(0.0, round(part, 6)))


def _address(site: Site) -> str:
    """Links begin with how people reach the station; without it they lead on from here."""
    return (site.station.address or "").rstrip("/")


def _utc(at: datetime) -> datetime:
    return at.astimezone(UTC)

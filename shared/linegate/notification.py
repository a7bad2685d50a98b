"""The body of a notification: what a target is told of one revision."""

import json
from dataclasses import asdict
from datetime import UTC
from typing import Any, Final

from linegate import __version__, links
from linegate.answers import MACHINE, Disposition, Review
from linegate.inspection import Answer, Check, Coverage, Detection, Inspection, Result, Revision, archived_name
from linegate.sections import Storage
from linegate.shapes import Box, area
from linegate.texts import printable

# Standard Webhooks asks for payloads below 20 kB; what does not fit is counted, not lost in silence.
MAX_BYTES: Final = 20_000
# Of the body. It grows when a key changes its meaning or goes; new keys may come at any time.
SCHEMA: Final = 1
LONGEST_NAME, LONGEST_SUMMARY = 1024, 2000
_ORDER: Final = {Result.FAIL: 0, Result.UNSURE: 1, Result.PASS: 2}


def notification_body(
    inspection: Inspection,
    revision: Revision,
    storage: Storage,
    corrected: Revision | None,
    station: str | None = None,
) -> str:
    """JSON of the event `inspection.decided`, under 20 kB in UTF-8. Defects first, then what is unsure, then what was cleared.

    `corrected` is the revision that this one takes the place of, if there is one; `station` how people reach the pages, if they
    do. shared/docs/webhook.schema.json describes it.
    """
    decision, image = revision.decision, inspection.image
    manifest = inspection.manifest
    review, scale = revision.review, manifest.mm_per_px if manifest else None
    pairs = sorted(
        zip(manifest.detections if manifest else (), decision.checks, strict=True),
        key=lambda pair: _weight(pair[0], pair[1], review.ruling(pair[1].index) if review else None),
    )
    data: dict[str, Any] = {
        "schema": SCHEMA,
        "software": f"linegate {__version__}",
        "inspection_id": inspection.inspection_id,
        "revision": revision.number,
        "recipe": inspection.recipe,
        "line": inspection.place.line,
        "station": inspection.place.station,
        "serial": inspection.place.serial,
        "verdict": decision.verdict.value,
        "inspection_result": decision.inspection_result,
        "fail_count": decision.fail_count,
        "complete": decision.complete,
        "coverage": covered(manifest.coverage if manifest else None),
        "detectors": [answered(answer) for answer in (manifest.answers if manifest else ())],
        "decided_by": revision.decided_by.name or MACHINE,
        "review": _told(review) if review else None,
        "corrects": {"revision": corrected.number, "verdict": corrected.decision.verdict.value} if corrected else None,
        "summary": printable(decision.summary, LONGEST_SUMMARY),
        "reasons": [printable(reason, LONGEST_SUMMARY) for reason in decision.reasons],
        "defects": [defect(detection, check, scale, review) for detection, check in pairs],
        "omitted": {"reasons": 0, "defects": 0, "outlines": 0} | ({"rulings": 0, "missed": 0} if review else {}),
        "image": {
            "bucket": image.bucket,
            "name": printable(image.name, LONGEST_NAME),
            "generation": str(image.generation),
            "archived": archived_name(image),
            "width": manifest.width if manifest else None,
            "height": manifest.height if manifest else None,
        },
        "left_out": asdict(manifest.left_out) if manifest else None,
        "annotated_image": _picture(storage, station, inspection, revision) if revision.annotated else None,
        "page": links.board_page(station, inspection.inspection_id) if station else None,
        "received_at": inspection.received_at.astimezone(UTC).isoformat(),
        "decided_at": revision.decided_at.astimezone(UTC).isoformat(),
        "latency_ms": round(1000 * (revision.decided_at - inspection.uploaded_at).total_seconds()),
    }
    event = {"type": "inspection.decided", "timestamp": data["decided_at"], "data": data}
    while True:
        body = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
        size = len(body.encode("utf-8", "replace"))
        if size < MAX_BYTES:
            return body
        outlined = [each for each in data["defects"] if "outline" in each]
        if outlined:  # the box says where as well
            for each in outlined:
                del each["outline"]
            data["omitted"]["outlines"] = len(outlined)
            continue
        lists = {"reasons": data["reasons"], "defects": data["defects"]}
        lists |= {key: data["review"][key] for key in ("rulings", "missed") if data["review"]}
        name, longest = max(lists.items(), key=lambda item: len(json.dumps(item[1])))
        keep = min(len(longest) - 1, len(longest) * MAX_BYTES * 9 // (size * 10))
        if keep < 0:  # nothing else in it is long: each text has a bound of its own
            return body
        data["omitted"][name] += len(longest) - keep
        del longest[keep:]


def picture_address(storage: Storage, station: str | None, inspection: Inspection, revision: Revision) -> str | None:
    """Where a browser finds the annotated picture of a revision: where the configuration says, else where the station serves it.

    `station` is how people reach the pages. None where there is no picture, or nobody said where.
    """
    if not revision.annotated:
        return None
    if storage.picture_url is not None:
        return storage.picture_url.replace("{bucket}", storage.results_bucket).replace("{name}", revision.annotated)
    return links.annotated_picture(station, inspection.inspection_id, revision.number) if station else None


def _picture(storage: Storage, station: str | None, inspection: Inspection, revision: Revision) -> dict[str, str]:
    url = picture_address(storage, station, inspection, revision)
    return {"bucket": storage.results_bucket, "name": revision.annotated} | ({"url": url} if url else {})


def _weight(detection: Detection, check: Check, ruling: Disposition | None) -> tuple[int, float]:
    """What counts comes first: a person's word counts more than the machine's."""
    order = _ORDER[check.result] if ruling is None else _ORDER[Result.FAIL if ruling.fails else Result.PASS]
    return order, -detection.confidence


def covered(coverage: Coverage | None) -> dict[str, Any] | None:
    """A coverage as plain data, in parts of the picture (0 … 1); None where no detector knows it."""
    if coverage is None:
        return None
    return {"part": round(coverage.part, 4), "lost": [asdict(loss) for loss in coverage.lost]}


def answered(answer: Answer) -> dict[str, Any]:
    """One detector's part in an inspection as plain data."""
    return {
        "name": answer.detector,
        "model": answer.model,
        "model_version": answer.model_version,
        "took_ms": round(answer.took_ms, 1),
        "coverage": covered(answer.coverage),
    }


def reviewed(review: Review) -> dict[str, Any]:
    """What a person decided as plain data."""
    return {
        "author": review.author,
        "origin": review.origin,
        "seen": review.seen,
        "at": review.at.astimezone(UTC).isoformat(),
        "rulings": [{"index": ruling.index, "disposition": ruling.disposition.value} for ruling in review.rulings],
        "missed": [
            {"class": missed.class_name, "box": _boxed(missed.box) if missed.box else None} for missed in review.missed
        ],
        "looked": review.looked,
        "comment": printable(review.comment, LONGEST_SUMMARY),
    }


def _told(review: Review) -> dict[str, Any]:
    """The same as targets hear of it: not from where. `decided_by` says who, and their word stands with each defect as well."""
    return {key: value for key, value in reviewed(review).items() if key not in ("author", "origin")}


def _boxed(box: Box) -> dict[str, float]:
    return {key: round(getattr(box, key), 1) for key in ("x", "y", "width", "height")}


def defect(
    detection: Detection, check: Check, mm_per_px: float | None = None, review: Review | None = None
) -> dict[str, Any]:
    """A detection with its check as plain data, as notifications, `inspect` and `show` tell of it; with the person's word on it.

    Box and outline are in pixels; with a scale its size is told in mm as well, and in mm² what its outline holds.
    """
    outline, ruling = detection.outline, review.ruling(check.index) if review else None
    return {
        "index": check.index,
        "class": detection.class_name,
        "confidence": round(detection.confidence, 4),
        "box": _boxed(detection.box),
        "result": check.result.value,
        "reason": check.reason,
        **({"disposition": ruling.value} if ruling else {}),
        **({"note": detection.note} if detection.note else {}),
        **({"measure": asdict(detection.measure)} if detection.measure else {}),
        **({"outline": [[round(x, 1), round(y, 1)] for x, y in outline]} if outline else {}),
        **({"size_mm": _size_mm(detection, mm_per_px)} if mm_per_px and detection.measure is None else {}),
        **({"heatmap": detection.heatmap} if detection.heatmap else {}),
        **({"found_by": list(detection.found_by)} if detection.found_by else {}),
    }


def _size_mm(detection: Detection, mm_per_px: float) -> dict[str, float]:
    box = detection.box
    size = {"width": round(box.width * mm_per_px, 3), "height": round(box.height * mm_per_px, 3)}
    if detection.outline:
        size["area"] = round(area(detection.outline) * mm_per_px**2, 4)
    return size

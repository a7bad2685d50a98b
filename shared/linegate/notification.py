"""The body of a notification: what a target is told of one revision."""

import json
from dataclasses import asdict
from datetime import UTC
from typing import Any, Final

from linegate import __version__
from linegate.inspection import Check, Detection, Inspection, Result, Revision, archived_name
from linegate.sections import Storage
from linegate.texts import printable

# Standard Webhooks asks for payloads below 20 kB; what does not fit is counted, not lost in silence.
MAX_BYTES: Final = 20_000
# Of the body. It grows when a key changes its meaning or goes; new keys may come at any time.
SCHEMA: Final = 1
LONGEST_NAME, LONGEST_SUMMARY = 1024, 2000
_ORDER: Final = {Result.FAIL: 0, Result.UNSURE: 1, Result.PASS: 2}


def notification_body(inspection: Inspection, revision: Revision, storage: Storage, corrected: Revision | None) -> str:
    """JSON of the event `inspection.decided`, under 20 kB in UTF-8. Defects first, then what is unsure, then what was cleared.

    `corrected` is the revision that this one takes the place of, if there is one. shared/docs/webhook.schema.json describes it.
    """
    decision, image = revision.decision, inspection.image
    manifest = inspection.manifest
    pairs = sorted(zip(manifest.detections if manifest else (), decision.checks, strict=True), key=_weight)
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
        "corrects": {"revision": corrected.number, "verdict": corrected.decision.verdict.value} if corrected else None,
        "summary": printable(decision.summary, LONGEST_SUMMARY),
        "reasons": [printable(reason, LONGEST_SUMMARY) for reason in decision.reasons],
        "defects": [defect(detection, check) for detection, check in pairs],
        "omitted": {"reasons": 0, "defects": 0},
        "image": {
            "bucket": image.bucket,
            "name": printable(image.name, LONGEST_NAME),
            "generation": str(image.generation),
            "archived": archived_name(image),
            "width": manifest.width if manifest else None,
            "height": manifest.height if manifest else None,
        },
        "left_out": asdict(manifest.left_out) if manifest else None,
        "annotated_image": _picture(storage, revision.annotated) if revision.annotated else None,
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
        longest = max(("reasons", "defects"), key=lambda key: len(json.dumps(data[key])))
        keep = min(len(data[longest]) - 1, len(data[longest]) * MAX_BYTES * 9 // (size * 10))
        if keep < 0:  # nothing else in it is long: each text has a bound of its own
            return body
        data["omitted"][longest] += len(data[longest]) - keep
        data[longest] = data[longest][:keep]


def _picture(storage: Storage, name: str) -> dict[str, str]:
    bucket = storage.results_bucket
    if storage.picture_url is None:
        return {"bucket": bucket, "name": name}
    return {
        "bucket": bucket,
        "name": name,
        "url": storage.picture_url.replace("{bucket}", bucket).replace("{name}", name),
    }


def _weight(pair: tuple[Detection, Check]) -> tuple[int, float]:
    detection, check = pair
    return _ORDER[check.result], -detection.confidence


def defect(detection: Detection, check: Check) -> dict[str, Any]:
    """A detection with its check as plain data, as notifications, `inspect` and `show` tell of it; the box in pixels."""
    box = detection.box
    return {
        "class": detection.class_name,
        "confidence": round(detection.confidence, 4),
        "box": {key: round(getattr(box, key), 1) for key in ("x", "y", "width", "height")},
        "result": check.result.value,
        "reason": check.reason,
        **({"note": detection.note} if detection.note else {}),
    }

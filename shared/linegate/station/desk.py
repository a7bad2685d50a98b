"""What an inspector is shown of one product: plain data for the review page, every text as anybody may see it.

An audit is shown blind: neither verdict nor findings, since who knows that a product passed looks less closely.
"""

from collections.abc import Iterable
from typing import Any, Final

from linegate.answers import Disposition
from linegate.inspection import Check, Detection, Inspection, Manifest, Result, Revision
from linegate.search import audited
from linegate.settings import Recipe
from linegate.station.pages.cuts import rectangle_of
from linegate.texts import visible
from linegate.verdict import open_findings, unseen_by_machine

# What stands first is what needs a person most.
_ORDER: Final = {Result.FAIL: 0, Result.UNSURE: 1, Result.PASS: 2}
SAID: Final = {Result.FAIL: "a defect", Result.UNSURE: "not sure", Result.PASS: "no defect"}


def is_blind(inspection: Inspection) -> bool:
    """Whether it is an audit that no person has answered yet."""
    revision = inspection.revision
    return revision is not None and not revision.decided_by.is_person and audited(inspection.manifest, revision)


def shown(inspection: Inspection, revision: Revision, recipe: Recipe | None) -> dict[str, Any]:
    """What the page's script works with. Boxes are (left, top, width, height), in pixels of the upright picture."""
    manifest, blind = inspection.manifest, is_blind(inspection)
    return {
        "id": inspection.inspection_id,
        "seen": revision.number,
        "blind": blind,
        "size": [manifest.width, manifest.height] if manifest else None,
        "look": unseen_by_machine(manifest, revision),
        "findings": [] if blind or manifest is None else _findings(manifest, revision),
        "classes": class_names(None if blind else manifest, recipe),
    }


def class_names(manifest: Manifest | None, recipe: Recipe | None) -> list[str]:
    """The classes that a missed defect may be of, as far as they are known here: the recipe's, its detectors', the product's."""
    known: list[str] = []
    if recipe is not None:
        known += recipe.classes
        known += (name for detector in recipe.detectors for name in detector.names)
    known += (detection.class_name for detection in (manifest.detections if manifest else ()))
    return sorted({visible(name) for name in known if name.strip()})[:60]


def _findings(manifest: Manifest, revision: Revision) -> list[dict[str, Any]]:
    checks = {check.index: check for check in revision.decision.checks}
    open_ones = set(open_findings(manifest, revision))
    pairs = [
        (detection, checks.get(index) or Check(index, Result.UNSURE, "No check when it was decided."))
        for index, detection in enumerate(manifest.detections)
    ]
    pairs.sort(key=lambda pair: (pair[1].index not in open_ones, _ORDER[pair[1].result], -pair[0].confidence))
    return [
        _finding(number, detection, check, manifest, revision) | {"open": check.index in open_ones}
        for number, (detection, check) in enumerate(pairs, start=1)
    ]


def _finding(number: int, detection: Detection, check: Check, manifest: Manifest, revision: Revision) -> dict[str, Any]:
    left, top, right, bottom = rectangle_of(detection, manifest)
    x, y, *_ = detection.box.corners
    ruled = revision.review.ruling(check.index) if revision.review else None
    return {
        "number": number,
        "index": check.index,
        "name": in_words(detection.class_name),
        "confidence": f"{100 * detection.confidence:.0f} %",
        "result": check.result.value,
        "said": SAID[check.result],
        "reason": visible(check.reason),
        "by": visible(" ".join(filter(None, (check.model, check.model_version)))),
        "more": [visible(text) for text in more(detection, manifest)],
        "cut": [left, top, right - left, bottom - top],
        "box": [round(side, 1) for side in (x, y, detection.box.width, detection.box.height)],
        "outline": [[round(x, 1), round(y, 1)] for x, y in detection.outline],
        "ruled": ruled.value if ruled else None,
    }


def more(detection: Detection, manifest: Manifest) -> Iterable[str]:
    """What else is known of a finding, as short texts."""
    if detection.measure is not None:
        yield str(detection.measure)
    elif manifest.mm_per_px:
        width, height = (side * manifest.mm_per_px for side in (detection.box.width, detection.box.height))
        yield f"{width:.2f} x {height:.2f} mm"
    if detection.note:
        yield detection.note
    if detection.found_by:
        yield f"found by {', '.join(detection.found_by)}"


def in_words(name: str) -> str:
    """A class as a person reads it."""
    return visible(name.replace("_", " "))


RULINGS: Final = (
    (Disposition.TRUE_DEFECT, "True defect", "The product fails for it."),
    (Disposition.FALSE_CALL, "False call", "Nothing is wrong here."),
    (Disposition.ACCEPTED, "Accepted as is", "It is there, and no defect: a process indicator."),
    (Disposition.REPAIRED, "Repaired", "It was a defect, and is mended."),
)

"""What a recipe makes of a detector's answer: which detections count, and which of them need a check."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace

from linegate.inspection import Box, Check, Detection, Result
from linegate.logs import log
from linegate.settings import Recipe, Zone


def apply(recipe: Recipe, detections: Iterable[Detection], width: int, height: int) -> list[Detection]:
    """The detections that count on a picture of `width` by `height`, those settled that no check is spent on.

    A detection counts unless its confidence is below its class's minimum or its box lies wholly inside an ignored zone.
    What was left out is logged.
    """
    kept, left_out = [], Counter[str]()
    for detection in detections:
        if detection.confidence < minimum_confidence(recipe, detection.class_name):
            left_out["confidence"] += 1
        elif any(_inside(detection.box, zone, width, height) for zone in recipe.ignore):
            left_out["ignored_zone"] += 1
        else:
            kept.append(_settled(recipe, _flagged(recipe, detection)))
    if left_out:
        log.info("detections.left_out", **left_out)
    return _affordable(recipe, kept)


def _affordable(recipe: Recipe, detections: list[Detection]) -> list[Detection]:
    """A picture with hundreds of findings shows something else than a board with defects: a person looks, not a model."""
    waiting = sum(detection.settled is None for detection in detections)
    if waiting <= recipe.max_checks:
        return detections
    log.warning("detections.too_many", detections=waiting, allowed=recipe.max_checks)
    reason = f"{waiting} findings on one picture, more than max_checks ({recipe.max_checks}): none was checked."
    unsure = Check(0, Result.UNSURE, reason, model="policy")
    return [replace(detection, settled=detection.settled or unsure) for detection in detections]


def minimum_confidence(recipe: Recipe, class_name: str) -> float:
    """From which confidence on a detection of this class counts."""
    policy = recipe.classes.get(class_name)
    return recipe.confidence if policy is None or policy.minimum_confidence is None else policy.minimum_confidence


def _inside(box: Box, zone: Zone, width: int, height: int) -> bool:
    left, top, right, bottom = box.corners
    return (
        zone.left * width <= left
        and right <= zone.right * width
        and zone.top * height <= top
        and bottom <= zone.bottom * height
    )


def _flagged(recipe: Recipe, detection: Detection) -> Detection:
    """A trained model may know classes that nobody wrote a policy for: they count like any other, and say so.

    The golden detector's classes are fixed; a recipe that names one of them need not name all.
    """
    if recipe.detector == "golden" or not recipe.classes or detection.class_name in recipe.classes:
        return detection
    log.warning("detection.unknown_class", class_name=detection.class_name)
    return replace(detection, note="this class is not in the recipe")


def _settled(recipe: Recipe, detection: Detection) -> Detection:
    policy = recipe.classes.get(detection.class_name)
    if recipe.verifier == "none":
        reason = "Every detection counts as a defect in this recipe."
    elif policy is not None and policy.verify == "never":
        reason = "Detections of this class count without a check."
    elif policy is not None and policy.auto_fail_above is not None and detection.confidence > policy.auto_fail_above:
        reason = f"Detected with confidence {detection.confidence:.2f}, above {policy.auto_fail_above:.2f}."
    else:
        return detection
    return replace(detection, settled=Check(0, Result.FAIL, reason, model="policy"))

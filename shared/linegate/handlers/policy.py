"""What a recipe makes of a detector's answer: which detections count, and which of them need a check."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Final

from linegate.inspection import Check, Detection, LeftOut, Result
from linegate.logs import log
from linegate.sections import Zone
from linegate.settings import Recipe
from linegate.shapes import Box

# A document of Firestore holds a mebibyte: a third of it for the manifest, the rest for the decision (see `decide`). What each
# detection takes there besides its texts, names of fields included.
MOST_BYTES: Final = 350_000
BYTES_EACH: Final = 290
BYTES_A_NUMBER: Final = 9  # of an outline; a measure has names of fields as well


@dataclass(frozen=True, slots=True)
class Kept:
    """The detections that count, how many were left out, and the doubts that raises."""

    detections: tuple[Detection, ...]
    left_out: LeftOut
    doubts: tuple[str, ...] = ()


def apply(recipe: Recipe, detections: Iterable[Detection], width: int, height: int) -> Kept:
    """The detections that count on a picture of `width` by `height`, those settled that no check is spent on.

    A detection counts unless its confidence is below its class's minimum or its box lies wholly inside an ignored zone; what
    a detector measured, or settled by itself, counts wherever that was.
    Of more than `max_findings` the surest are kept, and no more than a manifest can hold. What was left out is counted
    and logged.
    """
    counting: list[Detection] = []
    below = ignored = 0
    for detection in detections:
        if detection.confidence < recipe.minimum_confidence(detection.class_name):
            below += 1
        elif not _of_product(recipe, detection) and any(
            _inside(detection.box, zone, width, height) for zone in recipe.ignore
        ):
            ignored += 1
        else:
            counting.append(detection)
    if len(counting) > recipe.max_findings:
        # What speaks against the product first: a FAIL that is left out would make its verdict milder.
        counting.sort(key=lambda one: (not _cleared(one), one.confidence), reverse=True)
    kept = [_settled(recipe, _leashed(recipe, _flagged(recipe, one))) for one in counting[: recipe.max_findings]]
    kept = _outlined(_affordable(recipe, kept))
    kept = kept[: _holdable(kept)]
    left_out = LeftOut(below, ignored, len(counting) - len(kept))
    if left_out != LeftOut():
        log.info("detections.left_out", **asdict(left_out))
    if not left_out.surplus:
        return Kept(tuple(kept), left_out)
    doubt = (
        f"{len(counting)} findings on one picture, more than can be kept (max_findings is {recipe.max_findings}): the "
        f"{len(kept)} surest are told, {left_out.surplus} were left out."
    )
    return Kept(tuple(kept), left_out, (doubt,))


def _cleared(detection: Detection) -> bool:
    return detection.settled is not None and detection.settled.result is Result.PASS


def _outlined(detections: list[Detection]) -> list[Detection]:
    """Without outlines, where those would cost the manifest findings: a box says where as well."""
    # mutant `<= ▶ <` lives: what is estimated is not known to a byte
    if sum(_bytes(one) for one in detections) <= MOST_BYTES:
        return detections
    return [replace(one, outline=()) for one in detections]


def _bytes(detection: Detection) -> int:
    """What a detection takes in a store at most."""
    said, measure = detection.settled, detection.measure
    texts = [detection.class_name, detection.note, detection.heatmap, *detection.found_by]
    texts += [said.reason, said.model, said.model_version] if said else []
    texts += [measure.name, measure.unit] if measure else []
    # mutant `8 ▶ 9` lives: what is estimated is not known to a number
    numbers = 2 * len(detection.outline) + 8 * (measure is not None)
    return BYTES_EACH + BYTES_A_NUMBER * numbers + len("".join(texts).encode("utf-8", "replace"))


def _holdable(detections: Sequence[Detection]) -> int:
    """How many of them a manifest can hold, whatever was written about each."""
    room = MOST_BYTES
    for count, one in enumerate(detections):
        room -= _bytes(one)
        # mutant `< ▶ <=` lives: what is estimated is not known to a byte
        # mutant `0 ▶ 1` lives: nor here
        if room < 0:
            return count
    return len(detections)  # mutant `return ▶ return None` lives: up to none is all of them


def _affordable(recipe: Recipe, detections: list[Detection]) -> list[Detection]:
    """A picture with hundreds of findings shows something else than a product with defects: a person looks, not a model."""
    waiting = sum(detection.settled is None for detection in detections)
    if waiting <= recipe.max_checks:
        return detections
    log.warning("detections.too_many", detections=waiting, allowed=recipe.max_checks)
    reason = f"{waiting} findings on one picture, more than max_checks ({recipe.max_checks}): none was checked."
    unsure = Check(0, Result.UNSURE, reason, model="policy")  # mutant `0 ▶ 1` lives: the manifest numbers them
    return [replace(detection, settled=detection.settled or unsure) for detection in detections]


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

    Where a detector's classes are fixed, a recipe that names one of them need not name all.
    """
    fixed = {name for detector in recipe.detectors for name in detector.names}
    trained = any(not detector.names for detector in recipe.detectors)
    if not trained or not recipe.classes or detection.class_name in (recipe.classes.keys() | fixed):
        return detection
    log.warning("detection.unknown_class", class_name=detection.class_name)
    return replace(detection, note="this class is not in the recipe")


def _leashed(recipe: Recipe, detection: Detection) -> Detection:
    """With what a verifier may clear, for `decide`: of this manifest that stays, whatever the recipe says by then.

    What a detector has settled by itself is not on the leash: there is nobody to disagree with.
    """
    if detection.settled is not None and _of_product(recipe, detection):
        return detection
    return replace(detection, clear_below=recipe.clearable_below(detection.class_name))


def _of_product(recipe: Recipe, detection: Detection) -> bool:
    """Whether it is what a detector says of a part of the product, wherever that lies, and not a suspicion."""
    return detection.measure is not None or (detection.settled is not None and not by_verifier(recipe, detection))


def by_verifier(recipe: Recipe, detection: Detection) -> bool:
    """Whether a result that came with the detection is what the recipe takes for its verifier's."""
    judging = {detector.called for detector in recipe.detectors if detector.type == recipe.verifier.of_detector}
    return detection.measure is None and bool(judging & set(detection.found_by) if detection.found_by else judging)


def _settled(recipe: Recipe, detection: Detection) -> Detection:
    policy = recipe.classes.get(detection.class_name)
    said = detection.settled
    if said is not None and (detection.measure is not None or said.result is Result.FAIL):
        return detection  # a number is out of its limits or is not, and a defect stays one
    if recipe.verifier.settles and said is None:
        reason = recipe.verifier.settles
    elif policy is not None and policy.verify == "never":
        reason = "Detections of this class count without a check."
    elif policy is not None and policy.auto_fail_above is not None and detection.confidence > policy.auto_fail_above:
        reason = f"Detected with confidence {detection.confidence:.2f}, above {policy.auto_fail_above:.2f}."
    else:
        return detection
    # mutant `0 ▶ 1` lives: the manifest numbers them
    return replace(detection, settled=Check(0, Result.FAIL, reason, model="policy"))

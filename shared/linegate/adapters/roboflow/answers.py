"""What a workflow answered ▶ detections: boxes with masks and keypoints, or classes of the whole picture; read strictly.

Predictions of boxes are {"image": {"width", "height"}, "predictions": [{"x", "y", "width", "height", "confidence", "class", …}]},
in pixels of the picture that was sent, `x` and `y` the centre; without any prediction, width and height are null. Instance
segmentation adds `points` or `rle` (see `masks`), keypoint detection `keypoints`: [{"x", "y", "confidence", "class"}]. A
classification has {"class", "confidence"} in `predictions` and the likeliest class as `top`; one of several labels has
{NAME: {"confidence"}} there, and the names that hold in `predicted_classes`.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from linegate.adapters import strict
from linegate.adapters.exchange import ServiceError
from linegate.adapters.rle import MaskError
from linegate.adapters.roboflow.masks import outline_of
from linegate.adapters.roboflow.service import Workflow
from linegate.inspection import Check, Detection, Result
from linegate.kind import RecipeBase
from linegate.shapes import Box
from linegate.texts import brief, printable

SMALLEST: Final = 2.0  # pixels of the picture; what is narrower is made as wide
# By which names a prediction is known: one of the first, and one of the second or third.
_SURENESS: Final = frozenset({"confidence", "score"})
_CLASS: Final = frozenset({"class", "class_name", "label"})
_PLACE: Final = frozenset({"x", "box", "bbox"})
# How many times larger or smaller than the picture that was sent the one may be that the answer speaks of
LARGEST_STEP: Final = 8
# How far the sides of the picture that the answer speaks of may differ in proportion from the one that was sent
PROPORTION: Final = 0.02
DEEPEST: Final = 8  # how deep outputs may be nested
MOST_KEYPOINTS: Final = 8  # that a note tells
WHOLE: Final = "the whole picture was classified"


@dataclass(frozen=True, slots=True)
class Reading:
    """What was detected on the picture, and why there may be more."""

    detections: tuple[Detection, ...]
    doubts: tuple[str, ...] = ()


def read(
    outputs: Mapping[str, Any],
    workflow: Workflow,
    sent: tuple[int, int],
    size: tuple[int, int],
    recipe: RecipeBase,
    *,
    judged: bool = False,
) -> Reading:
    """The outputs for a picture of `sent` pixels as detections on one of `size`, with the workflow's own checks if it `judged`.

    Raises ServiceError for what holds no predictions, or more than one may read out of it.
    """
    name, predictions = _predictions(outputs, workflow.predictions)
    if workflow.good is not None:
        return _classes(predictions, name, frozenset(workflow.good), size, recipe)
    if not isinstance(predictions["predictions"], list):
        raise ServiceError(
            f"output {name!r} classifies the picture; say which classes are good in the recipe's workflow.good",
            again=False,
        )
    detections, doubts = _boxes(predictions, name, sent, size, recipe)
    if judged:
        results = outputs.get(workflow.results)
        detections = _judged(detections, len(predictions["predictions"]), results)
        if results and not predictions["predictions"]:
            doubts += ("The workflow judged crops although it predicted none.",)
    return Reading(tuple(detection for _, detection in detections), doubts)


def _predictions(outputs: Mapping[str, Any], wanted: str | None) -> tuple[str, Mapping[str, Any]]:
    """Name and content of the output that holds the predictions, whatever it is called.

    Raises ServiceError, also where another output holds predictions that are not the same: nobody has said which count.
    """
    alike = {name: value for name, value in outputs.items() if _holds_predictions(value)}
    name = wanted or ("predictions" if "predictions" in alike else next(iter(alike), ""))
    if name not in alike:
        what = f"no output named {wanted!r} holds predictions" if wanted else "no output holds predictions"
        raise ServiceError(f"{what}; its outputs are: {listed(outputs)}", again=False)
    if speaks_of_predictions(without(alike[name], "predictions")):
        raise ServiceError(f"output {name!r} speaks of predictions in two places", again=False)
    others = [
        other
        for other, value in outputs.items()
        if other != name and value != alike[name] and speaks_of_predictions(value)
    ]
    if others and not wanted:
        raise ServiceError(
            f"several outputs hold predictions ({listed([name, *others])}); name one in the recipe's workflow.predictions",
            again=False,
        )
    return name, alike[name]


def _holds_predictions(value: object) -> bool:
    return (
        isinstance(value, Mapping)
        and isinstance(value.get("predictions"), list | Mapping)
        and isinstance(value.get("image"), Mapping)
    )


def speaks_of_predictions(value: object, depth: int = 0) -> bool:
    """Whether something like a prediction is anywhere in an output."""
    if depth > DEEPEST:
        return True
    if isinstance(value, Mapping):
        names = {str(name).lower() for name in value}
        if sum(not names.isdisjoint(known) for known in (_SURENESS, _CLASS, _PLACE)) > 1:
            return True
        return any(speaks_of_predictions(part, depth + 1) for part in value.values())
    return isinstance(value, list) and any(speaks_of_predictions(part, depth + 1) for part in value)


def without(content: Mapping[str, Any], key: str) -> dict[str, Any]:
    return {name: value for name, value in content.items() if name != key}


def listed(outputs: Iterable[str]) -> str:
    return brief(", ".join(repr(name) for name in outputs)) or "none"


def _boxes(
    predictions: Mapping[str, Any], name: str, sent: tuple[int, int], size: tuple[int, int], recipe: RecipeBase
) -> tuple[list[tuple[int, Detection]], tuple[str, ...]]:
    """Predictions on a picture of `sent` pixels as detections on one of `size`, clipped to it; each with its index; and doubts.

    What can't be read or used is a doubt, never left out in silence; but for what lies below the recipe's confidence.
    """
    told, (across, down) = _scale(predictions, sent, size)
    detections: list[tuple[int, Detection]] = []
    unread = 0
    unusable: list[str] = []
    for index, entry in enumerate(predictions["predictions"]):
        detection = _detection(entry, told, across, down)
        if detection is None:
            unread += 1
            continue
        box = _usable(detection.box, *size)
        if box is not None:
            detections.append((index, replace(detection, box=box)))
        elif detection.confidence >= recipe.minimum_confidence(detection.class_name):
            unusable.append(f"{detection.class_name} {detection.confidence:.2f}")
    doubts: tuple[str, ...] = (f"{unread} of the predictions in output {name!r} can't be read",) if unread else ()
    if unusable:
        named = ", ".join(unusable[:3]) + (f" and {len(unusable) - 3} more" if len(unusable) > 3 else "")
        doubts += (f"Predictions that lie nowhere on the picture: {named}",)
    return detections, doubts


def _scale(
    predictions: Mapping[str, Any], sent: tuple[int, int], size: tuple[int, int]
) -> tuple[tuple[float, float], tuple[float, float]]:
    """The size that the predictions are about, and the factors from it to the picture's, across and down. Raises ServiceError."""
    image = predictions["image"]
    told = (image.get("width"), image.get("height"))
    if told == (None, None) and not predictions["predictions"]:  # as it is where nothing was found
        return sent, (size[0] / sent[0], size[1] / sent[1])
    width, height = (float(side) if strict.number(side) else 0.0 for side in told)
    if min(width, height) <= 0 or not 1 / LARGEST_STEP <= width / sent[0] <= LARGEST_STEP:
        raise ServiceError(f"its predictions do not say on a picture of which size: {brief(str(told))}")
    if abs((width / height) / (sent[0] / sent[1]) - 1) > PROPORTION:
        raise ServiceError(
            f"its predictions are about a picture of {width:g} by {height:g} pixels; {sent[0]} by {sent[1]} were sent"
        )
    return (width, height), (size[0] / width, size[1] / height)


def _detection(entry: object, told: tuple[float, float], across: float, down: float) -> Detection | None:
    """None for what is no prediction: all numbers must be numbers, the class a name, a mask the one of this box."""
    if not isinstance(entry, Mapping):
        return None
    numbers = [entry.get(key) for key in ("x", "y", "width", "height", "confidence")]
    name = entry.get("class")
    if not isinstance(name, str) or not printable(name, 100).strip() or not all(map(strict.number, numbers)):
        return None
    x, y, width, height, confidence = (float(number) for number in numbers)  # type: ignore[arg-type]
    if not 0 <= confidence <= 1 or width < 0 or height < 0:
        return None
    try:
        outline = outline_of(entry, Box(x, y, width, height), told)
        note = _keypoints(entry, across, down)
    except MaskError:
        return None
    return Detection(
        printable(name, 100),
        confidence,
        Box(x * across, y * down, width * across, height * down),
        note,
        outline=tuple((px * across, py * down) for px, py in outline),
    )


def _keypoints(entry: Mapping[str, Any], across: float, down: float) -> str:
    """The keypoints of a prediction, the surest first, for a person. Raises MaskError for what are none."""
    points = entry.get("keypoints")
    if points is None:
        return ""
    if not isinstance(points, list) or not all(isinstance(point, Mapping) for point in points):
        raise MaskError("keypoints are no list")
    seen: list[tuple[float, str]] = []
    for point in points:
        numbers = [point.get(key) for key in ("x", "y", "confidence")]
        name = point.get("class")
        if not isinstance(name, str) or not all(map(strict.number, numbers)) or not 0 <= float(numbers[2]) <= 1:
            raise MaskError("a keypoint is no place with a name")
        x, y, confidence = (float(number) for number in numbers)
        seen.append((confidence, f"{printable(name, 40)} at {x * across:.0f}, {y * down:.0f} ({confidence:.2f})"))
    seen.sort(key=lambda pair: -pair[0])
    more = f" and {len(seen) - MOST_KEYPOINTS} more" if len(seen) > MOST_KEYPOINTS else ""
    return ", ".join(words for _, words in seen[:MOST_KEYPOINTS]) + more


def _classes(
    predictions: Mapping[str, Any], name: str, good: frozenset[str], size: tuple[int, int], recipe: RecipeBase
) -> Reading:
    """A classification of the whole picture: every class that is not good is a detection.

    One that was decided for, though below the recipe's confidence, is a doubt, a good one too where no surer one holds; so is a
    picture that no class holds for, though there are good ones.
    Raises ServiceError.
    """
    given = predictions["predictions"]
    entries = given
    if isinstance(given, Mapping):  # its name is its key, whatever else is told of it
        entries = [{**value, "class": key} if isinstance(value, Mapping) else None for key, value in given.items()]
    sure: dict[str, float] = {}
    for entry in entries:
        called = entry.get("class") if isinstance(entry, Mapping) else None
        confidence: Any = entry.get("confidence") if isinstance(entry, Mapping) else None
        if not isinstance(called, str) or not strict.number(confidence) or not 0 <= confidence <= 1:
            raise ServiceError(f"a class in output {name!r} can't be read", again=False)
        if called in sure:
            raise ServiceError(f"output {name!r} tells the class {called!r} twice", again=False)
        sure[called] = float(confidence)
    holds = _holding(predictions, name, sure)
    box = Box(size[0] / 2, size[1] / 2, size[0], size[1])
    bad = sorted((called for called in sure if called not in good), key=lambda called: -sure[called])
    found = tuple(Detection(printable(called, 100), sure[called], box, WHOLE) for called in bad)
    faint = [called for called in sorted(holds - good) if sure[called] < recipe.minimum_confidence(called)]
    surest = max(holds & good, key=lambda called: sure[called], default=None)
    if surest is not None and sure[surest] < recipe.minimum_confidence(surest):
        faint.append(surest)
    doubts = tuple(
        f"The picture was classified as {brief(called)} with confidence {sure[called]:.2f}, below the recipe's."
        for called in faint
    )
    if good and not holds & good and not holds & set(bad):
        doubts += (f"No good class holds for the picture ({brief(', '.join(sorted(good)))}).",)
    return Reading(found, doubts)


def _holding(predictions: Mapping[str, Any], name: str, sure: Mapping[str, float]) -> frozenset[str]:
    """The classes that the classification decided for: the likeliest, or of several labels those that hold."""
    several = predictions.get("predicted_classes")
    top = predictions.get("top")
    told = several if several is not None else [top]
    known = isinstance(told, list) and all(isinstance(one, str) and one in sure for one in told)
    if not known or (several is None and isinstance(predictions["predictions"], Mapping)):
        raise ServiceError(f"output {name!r} does not say which class holds", again=False)
    if several is None and sure[top] < max(sure.values()):  # type: ignore[index]
        raise ServiceError(f"output {name!r} calls a class the likeliest that is not", again=False)
    return frozenset(told)


def _usable(box: Box, width: int, height: int) -> Box | None:
    """The box inside the picture, at least SMALLEST pixels each way; None for one that lies nowhere on it."""
    left, top, right, bottom = box.corners
    if not all(map(math.isfinite, box.corners)) or right < 0 or bottom < 0 or left > width or top > height:
        return None
    left, right = _grown(max(0.0, left), min(float(width), right), width)
    top, bottom = _grown(max(0.0, top), min(float(height), bottom), height)
    return Box((left + right) / 2, (top + bottom) / 2, right - left, bottom - top)


def _grown(start: float, end: float, side: int) -> tuple[float, float]:
    """A stretch of at least SMALLEST pixels around this one, within 0 … side."""
    if end - start >= SMALLEST:
        return start, end
    start = min(max(0.0, (start + end - SMALLEST) / 2), side - SMALLEST)
    return start, start + SMALLEST


# --- verifier `workflow`: what the complete workflow said of each crop


_REASONS: Final = {
    Result.PASS: "The workflow's own check of the crop answered PASS.",
    Result.FAIL: "The workflow's own check of the crop answered FAIL.",
}


def _judged(
    detections: Sequence[tuple[int, Detection]], predicted: int, results: object
) -> list[tuple[int, Detection]]:
    """The detections with the workflow's answer for their crops as their checks.

    Answers are matched by position, so a number that differs from that of the predictions makes all of them UNSURE.
    """
    answers: Sequence[object] = results if isinstance(results, list) else ()
    matched = isinstance(results, list) and len(results) == predicted

    def check(index: int) -> Check:
        if not matched:
            said = f"{len(answers)} answers for {predicted} crops" if isinstance(results, list) else "no answers"
            return Check(0, Result.UNSURE, f"The workflow gave {said}.", "workflow")
        result = strict.word(answers[index]) or Result.UNSURE
        said = "nothing" if answers[index] is None else brief(f"neither PASS nor FAIL: {str(answers[index])[:80]!r}")
        return Check(0, result, _REASONS.get(result, f"The workflow's check answered {said}."), "workflow")

    return [(index, replace(detection, settled=check(index))) for index, detection in detections]

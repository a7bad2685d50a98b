"""A detector's answer ▶ what of it can be meant. Kinds read strictly themselves; this holds for whatever they let through."""

from collections.abc import Iterable
from dataclasses import replace
from math import inf, isfinite
from typing import Final

from linegate.inspection import Coverage, Detection, Measure, Result
from linegate.ports import Found

ROUNDING: Final = 0.001  # of the parts of a coverage


def sound(found: Found, size: tuple[int, int]) -> Found:
    """The answer about a picture of `size` (width, height) without what nobody can mean, which is a doubt: it could be
    neither decided nor stored.

    These are numbers without end or that are none, a confidence or a part beyond 0 … 1, a place that is not on the picture, of
    which a verifier would be shown another, and a PASS for a measure outside of its limits.
    """
    kept = tuple(_drawable(one, size) for one in found.detections if _sound(one, size))
    doubts = found.doubts
    if left := len(found.detections) - len(kept):
        doubts += (f"{left} of its findings can't be meant: their numbers are none, or contradict their result.",)
    coverage = found.coverage
    if coverage is not None and not _covers(coverage):
        doubts += ("How much of the picture it could judge can't be meant.",)
        coverage = None
    return replace(found, detections=kept, doubts=doubts, coverage=coverage)


def _sound(detection: Detection, size: tuple[int, int]) -> bool:
    box, said = detection.box, detection.settled
    left, top, right, bottom = box.corners
    there = left <= size[0] and top <= size[1] and right >= 0 and bottom >= 0  # never true of NaN
    if not there or not _near([(left, top), (right, bottom)], size) or min(box.width, box.height) < 0:
        return False
    if not 0 <= detection.confidence <= 1:
        return False
    if detection.measure is None:
        return True
    passed = said is not None and said.result is Result.PASS
    return _number(detection.measure) and (not passed or _inside(detection.measure))


def _drawable(detection: Detection, size: tuple[int, int]) -> Detection:
    """Without an outline that leads far away: the box says where as well."""
    return detection if _near(detection.outline, size) else replace(detection, outline=())


def _near(points: Iterable[tuple[float, float]], size: tuple[int, int]) -> bool:
    """Whether all lie on the picture, or no further beyond it than it is long."""
    return all(-side <= value <= 2 * side for point in points for value, side in zip(point, size, strict=True))


def _number(measure: Measure) -> bool:
    return all(isfinite(one) for one in (measure.value, measure.low, measure.high) if one is not None)


def _inside(measure: Measure) -> bool:
    low, high = -inf if measure.low is None else measure.low, inf if measure.high is None else measure.high
    return low <= measure.value <= high


def _covers(coverage: Coverage) -> bool:
    parts = [loss.part for loss in coverage.lost]
    if not all(0 <= part <= 1 for part in (coverage.part, *parts)):
        return False
    return coverage.part <= max(0.0, 1 - sum(parts)) + ROUNDING

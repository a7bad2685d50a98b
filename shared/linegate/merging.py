"""Findings of several detectors ▶ one list, in which what two of them saw at one place and called the same stands once."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

from linegate.inspection import Check, Detection, Result
from linegate.shapes import Box

# Part of the smaller box that lies in the other one: detectors draw boxes with margins of their own.
SAME_PLACE: Final = 0.5
# Times the smaller one's area that the larger may have: on a crop of more, what the smaller is about would hardly show.
AT_MOST: Final = 9.0


def merged(found: Mapping[str, Sequence[Detection]]) -> tuple[Detection, ...]:
    """The findings of each detector, by its name; of one alone as they are.

    Findings of different detectors that share class and place are one: both names are kept, the surer one's confidence counts,
    the box is around both, since a check must see what either saw, and what either says besides is kept. Nothing that one of
    them holds against the product is lost: a FAIL stays a FAIL, and what one cleared and the other did not is not cleared.
    Measures are numbers of their own, and what one could not judge is no matter for a check of what another saw.
    """
    if len(found) < 2:
        return tuple(detection for detections in found.values() for detection in detections)
    kept: list[Detection] = []
    named = [replace(one, found_by=(name,)) for name, detections in found.items() for one in detections]
    for one in sorted(named, key=lambda detection: -detection.confidence):
        same = next((index for index, other in enumerate(kept) if _same(one, other)), None)
        if same is None:
            kept.append(one)
        else:
            kept[same] = _both(kept[same], one)
    return tuple(kept)


def _same(one: Detection, other: Detection) -> bool:
    apart = not set(one.found_by) & set(other.found_by)
    alike = one.class_name == other.class_name and one.measure is None and other.measure is None
    return apart and alike and not _unsure_of_one(one, other) and _shared(one.box, other.box) >= SAME_PLACE


def _unsure_of_one(one: Detection, other: Detection) -> bool:
    """Whether one of them is settled as UNSURE and the other still to be checked: neither may stand for both."""
    said = {check.result if check else None for check in (one.settled, other.settled)}
    return said == {None, Result.UNSURE}


def _shared(one: Box, other: Box) -> float:
    """Which part of the smaller box lies in the larger one; 0 where that is larger by far."""
    (left, top, right, bottom), corners = one.corners, other.corners
    width = min(right, corners[2]) - max(left, corners[0])
    height = min(bottom, corners[3]) - max(top, corners[1])
    smaller, larger = sorted((one.width * one.height, other.width * other.height))
    return max(0.0, width) * max(0.0, height) / smaller if 0 < larger <= AT_MOST * smaller else 0.0


def _around(one: Box, other: Box) -> Box:
    """The smallest box that holds both."""
    left, top = (min(pair) for pair in zip(one.corners[:2], other.corners[:2], strict=True))
    right, bottom = (max(pair) for pair in zip(one.corners[2:], other.corners[2:], strict=True))
    return Box((left + right) / 2, (top + bottom) / 2, right - left, bottom - top)


def _both(surer: Detection, other: Detection) -> Detection:
    return replace(
        surer,
        found_by=surer.found_by + other.found_by,
        box=_around(surer.box, other.box),
        settled=_graver(surer.settled, other.settled),
        outline=surer.outline or other.outline,
        heatmap=surer.heatmap or other.heatmap,
        note="; ".join(dict.fromkeys(filter(None, (surer.note, other.note)))),
    )


def _graver(one: Check | None, other: Check | None) -> Check | None:
    """A FAIL before what is still to be checked or a doubt, and those before what was cleared."""
    order = {Result.FAIL: 0, None: 1, Result.UNSURE: 1, Result.PASS: 2}
    return min((one, other), key=lambda check: order[check.result if check else None])

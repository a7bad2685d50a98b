"""The mask of a prediction ▶ an outline. Masks come as a polygon (`points`) or run-length encoded (`rle`), as COCO has it.

`points` is [{"x", "y"}, …] in pixels of the picture that the prediction is about. `rle` is {"size": [height, width], "counts"}:
the lengths of runs outside and inside the mask in turn, down the columns, as a list or in COCO's compressed text.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from linegate.adapters import strict
from linegate.adapters.outlines import largest, simplified
from linegate.inspection import Box, Outline

MOST_POINTS: Final = 100_000
# Pixels of a mask; the largest picture that is sent has a hundredth of it
MOST_PIXELS: Final = 300_000_000
# By how many pixels a mask may reach beyond its box, and by which part of the box
BEYOND: Final = (4.0, 0.25)
# Characters of COCO's compressed counts: five bits each, a sixth says that there are more
_FIRST, _LAST, _MORE, _SIGN = 48, 111, 0x20, 0x10


class MaskError(ValueError):
    """It is no mask, or not the one of this prediction."""


def outline_of(entry: Mapping[str, Any], box: Box, size: tuple[float, float]) -> Outline:
    """The outline of a prediction's mask, in pixels of a picture of `size`; empty where it has none. Raises MaskError.

    A mask that lies elsewhere than its `box` is somebody else's: an engine that leaves out an empty one moves the others up.
    """
    points, rle = entry.get("points"), entry.get("rle", entry.get("rle_mask"))
    if points is not None and rle is not None:
        raise MaskError("a mask is told twice")
    if points is None and rle is None:
        return ()
    outline = _polygon(points) if rle is None else _decoded(rle, size)
    allowed = max(BEYOND[0], BEYOND[1] * max(box.width, box.height))
    left, top, right, bottom = box.corners
    for x, y in outline:
        if not (left - allowed <= x <= right + allowed and top - allowed <= y <= bottom + allowed):
            raise MaskError("a mask lies elsewhere than its box")
    return outline


def _polygon(points: object) -> Outline:
    if not isinstance(points, list) or not 3 <= len(points) <= MOST_POINTS:
        raise MaskError("an outline needs three points")
    for point in points:
        if not isinstance(point, Mapping) or not strict.number(point.get("x")) or not strict.number(point.get("y")):
            raise MaskError("an outline's point is no place")
    return simplified([(float(point["x"]), float(point["y"])) for point in points])


def _decoded(rle: object, size: tuple[float, float]) -> Outline:
    if not isinstance(rle, Mapping) or not isinstance(rle.get("size"), list) or len(rle["size"]) != 2:
        raise MaskError("a mask has no size")
    height, width = rle["size"]
    if not all(type(side) is int and side > 0 for side in (height, width)) or height * width > MOST_PIXELS:
        raise MaskError("a mask's size is none")
    if (width, height) != (round(size[0]), round(size[1])):
        raise MaskError("a mask is of another picture")
    counts = rle.get("counts")
    runs = list(_unpacked(counts)) if isinstance(counts, str) else counts
    if not isinstance(runs, list) or not all(type(run) is int and run >= 0 for run in runs):
        raise MaskError("a mask's runs are no numbers")
    if sum(runs) != height * width:
        raise MaskError("a mask's runs do not fill it")
    outline = largest(runs, width, height)
    if not outline:
        raise MaskError("a mask is empty")
    return outline


def _unpacked(text: str) -> Iterator[int]:
    """The runs of COCO's compressed counts; from the third on each is told by how it differs from the last but one."""
    runs: list[int] = []
    value = shift = 0
    for letter in text:
        code = ord(letter)
        if not _FIRST <= code <= _LAST or shift > 60:
            raise MaskError("a mask's runs can't be read")
        bits = code - _FIRST
        value |= (bits & 0x1F) << shift
        shift += 5
        if bits & _MORE:
            continue
        if bits & _SIGN:
            value -= 1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
        yield runs[-1]
        value = shift = 0
    if shift:
        raise MaskError("a mask's runs are cut short")

"""The mask of a prediction ▶ an outline. Masks come as a polygon (`points`) or run-length encoded (`rle`), as COCO has it.

`points` is [{"x", "y"}, …] in pixels of the picture that the prediction is about; `linegate.adapters.rle` reads the other.
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from linegate.adapters import strict
from linegate.adapters.outlines import around, outlined, simplified
from linegate.adapters.rle import MaskError, runs_of
from linegate.shapes import Box, Outline

MOST_POINTS: Final = 100_000
# By how many pixels a mask may reach beyond its box, and by which part of the box
BEYOND: Final = (4.0, 0.25)


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
    return outlined(simplified([(float(point["x"]), float(point["y"])) for point in points]))


def _decoded(rle: object, size: tuple[float, float]) -> Outline:
    width, height = round(size[0]), round(size[1])
    runs = runs_of(rle, (width, height))
    flat = np.repeat((np.arange(len(runs)) % 2).astype(np.uint8), runs)
    border = around(flat.reshape(width, height).T)
    if border is None:
        raise MaskError("a mask is empty")
    return outlined(simplified(border))

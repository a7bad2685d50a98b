"""The logits of a mask ▶ the outline of what it covers, in pixels of the picture."""

import math
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from linegate.inspection import Outline

MOST_POINTS: Final = 64  # of an outline
# A mask that covers more of a picture is looked at in steps of several pixels.
MOST_PIXELS: Final = 1 << 20

Floats = NDArray[np.float32]


def outline(logits: Floats, width: int, height: int) -> Outline:
    """Around the largest region in which a mask, made as large as the picture, is positive; empty where it is nowhere.

    `logits` is height x width of the mask and covers a picture of `width` by `height`. Values between are linear, as `predict`
    has them. Corners lie on the edges of pixels, and are no more than `MOST_POINTS`.
    """
    inside = logits > 0
    if not inside.any():
        return ()
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    top, bottom = _span(rows, logits.shape[0], height)
    left, right = _span(columns, logits.shape[1], width)
    step = max(1, math.ceil(math.sqrt((bottom - top) * (right - left) / MOST_PIXELS)))
    covered = _enlarged(logits, (width, height), np.arange(left, right, step), np.arange(top, bottom, step)) > 0
    region = _largest(covered)
    if region is None:
        return ()
    corners = _simplified(region) * step + (left, top)
    return tuple((min(float(x), float(width)), min(float(y), float(height))) for x, y in corners)


def _span(cells: NDArray[np.intp], count: int, length: int) -> tuple[int, int]:
    """The pixels that cells of a mask can reach: linear values go to the middle of the next cell."""
    cell = length / count
    return max(0, math.floor((cells[0] - 0.5) * cell)), min(length, math.ceil((cells[-1] + 1.5) * cell))


def _enlarged(logits: Floats, size: tuple[int, int], xs: NDArray[np.intp], ys: NDArray[np.intp]) -> Floats:
    """The mask's values at these pixels of a picture of `size`, linear between the middles of its cells."""

    def between(at: NDArray[np.intp], count: int, length: int) -> tuple[NDArray[np.intp], NDArray[np.intp], Floats]:
        centres = np.clip((at + 0.5) * (count / length) - 0.5, 0, count - 1)
        first = np.floor(centres).astype(np.intp)
        return first, np.minimum(first + 1, count - 1), (centres - first).astype(np.float32)

    left, right, across = between(xs, logits.shape[1], size[0])
    top, bottom, down = between(ys, logits.shape[0], size[1])
    wide = logits[:, left] + across * (logits[:, right] - logits[:, left])
    return np.asarray(wide[top] + down[:, None] * (wide[bottom] - wide[top]), np.float32)


def _largest(covered: NDArray[np.bool_]) -> NDArray[np.float64] | None:
    """The corners of the largest region, on the edges of its pixels; None where there is none.

    OpenCV follows the middles of pixels, which makes a small region smaller: it is shown pixels, edges and corners at twice
    the size, so that the middles it follows are corners.
    """
    rows, columns = covered.shape
    twice = np.zeros((2 * rows + 1, 2 * columns + 1), np.uint8)
    twice[1::2, 1::2] = covered
    twice = np.asarray(cv2.dilate(twice, np.ones((3, 3), np.uint8)), np.uint8)
    found, _ = cv2.findContours(twice, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    if not found:
        return None
    return np.asarray(max(found, key=cv2.contourArea)[:, 0], np.float64) / 2


def _simplified(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """Off by half a pixel at first, and by twice as much until few enough are left."""
    line, off = corners.astype(np.float32)[:, None], 0.5
    kept = line
    while len(kept) > MOST_POINTS:
        kept = np.asarray(cv2.approxPolyDP(line, off, closed=True), np.float32)
        off *= 1.5
    return np.asarray(kept[:, 0], np.float64)

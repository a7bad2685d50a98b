"""The logits of a mask ▶ the outline of what it covers, in pixels of the picture."""

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from linegate.adapters.outlines import around, outlined, simplified
from linegate.shapes import Outline

# A mask that covers more of a picture is looked at in steps of several pixels.
MOST_PIXELS: Final = 1 << 20

Floats = NDArray[np.float32]


def outline(logits: Floats, width: int, height: int) -> Outline:
    """Around the largest region in which a mask, made as large as the picture, is positive; empty where it is nowhere.

    `logits` is height x width of the mask and covers a picture of `width` by `height`. Values between are linear, as `predict`
    has them. Corners lie on the edges of pixels, and are few (see `simplified`).
    """
    inside = logits > 0
    if not inside.any():
        return ()
    rows, columns = np.flatnonzero(inside.any(1)), np.flatnonzero(inside.any(0))
    top, bottom = _span(rows, logits.shape[0], height)
    left, right = _span(columns, logits.shape[1], width)
    step = max(1, math.ceil(math.sqrt((bottom - top) * (right - left) / MOST_PIXELS)))
    covered = _enlarged(logits, (width, height), np.arange(left, right, step), np.arange(top, bottom, step)) > 0
    region = around(covered)
    if region is None:
        return ()
    corners = simplified(region) * step + (left, top)
    return outlined(np.minimum(corners, (width, height)))


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

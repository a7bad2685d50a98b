"""The parts of a picture that are worth looking at closely: where it differs, with room around."""

from typing import Final

import cv2
import numpy as np

from linegate.adapters.golden.materials import Mask

Window = tuple[slice, slice]  # rows and columns

CELL: Final = 32  # pixels; what differs in neighbouring cells is looked at together
# More parts than this, or more of the picture, and the whole of it is looked at at once: that takes no longer.
MOST_WINDOWS, MOST_AREA = 200, 0.7


def where(differs: Mask, room: int) -> list[Window]:
    """Windows that hold all non-zero pixels of `differs` with `room` pixels around them; no two of them overlap."""
    points = cv2.findNonZero(differs)
    if points is None:
        return []
    height, width = differs.shape
    cells = np.zeros((-(-height // CELL), -(-width // CELL)), np.uint8)
    cells[points[:, 0, 1] // CELL, points[:, 0, 0] // CELL] = 1
    count, _, statistics, _ = cv2.connectedComponentsWithStats(cells, connectivity=8)
    whole = [(slice(0, height), slice(0, width))]
    if count > MOST_WINDOWS:
        return whole
    boxes: list[tuple[int, int, int, int]] = []  # left, top, right, bottom
    for left, top, wide, high, _ in statistics[1:].tolist():
        box = (
            max(0, left * CELL - room),
            max(0, top * CELL - room),
            min(width, (left + wide) * CELL + room),
            min(height, (top + high) * CELL + room),
        )
        while touched := [other for other in boxes if _overlap(box, other)]:
            boxes = [other for other in boxes if other not in touched]
            corners = np.array([box, *touched])
            (a, b), (c, d) = corners[:, :2].min(0).tolist(), corners[:, 2:].max(0).tolist()
            box = (a, b, c, d)
        boxes.append(box)
    if sum((right - left) * (bottom - top) for left, top, right, bottom in boxes) > MOST_AREA * height * width:
        return whole
    return [(slice(top, bottom), slice(left, right)) for left, top, right, bottom in boxes]


def _overlap(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]

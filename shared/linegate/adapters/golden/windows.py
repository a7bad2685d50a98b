"""The parts of a picture that are worth looking at closely: where it differs, with room around."""

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.uint8]  # height x width
Window = tuple[slice, slice]  # rows and columns

CELL: Final = 32  # pixels; what differs in neighbouring cells is looked at together
# More parts than this, or more of the picture, and the whole of it is looked at at once: that takes no longer.
MOST_WINDOWS, MOST_AREA = 200, 0.7


def where(differs: Mask, room: int) -> list[Window]:
    """Windows that hold all non-zero pixels of `differs` with `room` pixels around them; no two of them overlap."""
    height, width = differs.shape
    if not cv2.hasNonZero(differs):
        return []
    rows = [np.bitwise_or.reduce(differs[top : top + CELL], axis=0) for top in range(0, height, CELL)]
    cells = np.asarray(np.bitwise_or.reduceat(rows, range(0, width, CELL), axis=1) > 0, np.uint8)
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


def begins(labels: NDArray[Any], label: int, box: tuple[int, int, int, int], place: Window) -> tuple[int, int]:
    """What sorts connected parts of several windows as labelling all of them at once numbers them: one finding is first where
    two are as sure as each other.

    OpenCV numbers them as it comes upon them, by squares of two pixels a side. `labels` are those of the window `place`, in
    which `box` (left, top, width, height) holds the part.
    """
    left, top, width, _ = box
    down, across = (side.start for side in place)
    first = labels[top : top + 2 - (down + top) % 2, left : left + width] == label
    return (down + top) // 2, (across + left + int(first.any(axis=0).argmax())) // 2


def _overlap(one: tuple[int, int, int, int], other: tuple[int, int, int, int]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]

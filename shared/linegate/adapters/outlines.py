"""Masks ▶ outlines of few points, for pictures, stores and messages."""

import math
from collections.abc import Sequence
from typing import Final

from linegate.inspection import Outline

MOST: Final = 64  # points of an outline
MOST_GIVEN: Final = 4000  # of more, only every so many counts
TOLERANCE: Final = 0.5  # pixels by which an outline may be off, or more where it would have too many points

Points = Sequence[tuple[float, float]]


def simplified(points: Points, most: int = MOST) -> Outline:
    """The polygon with at most `most` points, off by as little as that takes (after Douglas and Peucker)."""
    points = points[:: 1 + len(points) // MOST_GIVEN]
    tolerance = TOLERANCE
    while True:
        kept = _fewer(points, tolerance)
        if len(kept) <= most:
            return kept
        tolerance *= 1.5


def _fewer(points: Points, tolerance: float) -> Outline:
    """Opened at its two ends that lie furthest apart, so that each half is a line to be followed."""
    if len(points) < 4:
        return tuple(points)
    far = max(range(len(points)), key=lambda index: math.dist(points[0], points[index]))
    ring = [*points, points[0]]
    keep = {0, far}
    halves = [(0, far), (far, len(points))]
    while halves:
        first, last = halves.pop()
        worst, off = first, tolerance
        for index in range(first + 1, last):
            distance = _off(ring[index], ring[first], ring[last])
            if distance > off:
                worst, off = index, distance
        if worst != first:
            keep.add(worst)
            halves += [(first, worst), (worst, last)]
    return tuple(points[index] for index in sorted(keep))


def _off(point: tuple[float, float], start: tuple[float, float], end: tuple[float, float]) -> float:
    """Distance of a point from a stretch, in pixels."""
    across, down = end[0] - start[0], end[1] - start[1]
    length = across * across + down * down
    if length == 0:
        return math.dist(point, start)
    along = ((point[0] - start[0]) * across + (point[1] - start[1]) * down) / length
    along = min(1.0, max(0.0, along))
    return math.dist(point, (start[0] + along * across, start[1] + along * down))


def largest(runs: Sequence[int], width: int, height: int) -> Outline:
    """The outline of the largest part of a mask, told as runs outside and inside it in turn, down the columns; empty if it is."""
    import cv2
    import numpy as np

    flat = np.repeat((np.arange(len(runs)) % 2).astype(np.uint8), runs)
    contours, _ = cv2.findContours(
        np.ascontiguousarray(flat.reshape(width, height).T), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE
    )
    if not contours:
        return ()
    contour = max(contours, key=cv2.contourArea)[:, 0, :]
    return simplified([(float(x), float(y)) for x, y in contour])

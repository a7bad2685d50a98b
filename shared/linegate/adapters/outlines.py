"""Masks ▶ outlines of few corners, for pictures, stores and messages."""

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from linegate.shapes import Outline

MOST: Final = 64  # corners of an outline
TOLERANCE: Final = 0.5  # pixels by which an outline may be off at first, and more where it would have too many corners

Corners = NDArray[np.float64]  # count x 2, across and down


def simplified(corners: Corners | Sequence[tuple[float, float]], most: int = MOST) -> Corners:
    """At most `most` of these corners of a polygon, off by as little as that takes (after Douglas and Peucker)."""
    given = np.asarray(corners, np.float32).reshape(-1, 1, 2)
    kept, off = given, TOLERANCE
    while len(kept) > most:
        kept = np.asarray(cv2.approxPolyDP(given, off, closed=True), np.float32)
        off *= 1.5
    return np.asarray(kept[:, 0], np.float64)


def around(covered: NDArray[np.bool_] | NDArray[np.uint8]) -> Corners | None:
    """The border of the largest region of a mask (height x width), along the edges of its pixels; None where it is empty.

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


def outlined(corners: Corners) -> Outline:
    return tuple((float(x), float(y)) for x, y in corners)

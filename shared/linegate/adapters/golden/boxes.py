"""Boxes that two looks at one picture drew: which are of the same difference, and the box that both make."""

from typing import Final

from linegate.shapes import Box

# Part of the smaller box. Boxes have a margin, so those of two differences side by side overlap as well.
SAME: Final = 0.5


def same(one: Box, other: Box) -> bool:
    """Whether both lie around the same difference: half of the smaller one lies in the other."""
    (left, top, right, bottom), (begins, above, ends, below) = one.corners, other.corners
    wide, high = min(right, ends) - max(left, begins), min(bottom, below) - max(top, above)
    smaller = min(one.width * one.height, other.width * other.height)
    return wide > 0 and high > 0 and wide * high >= SAME * smaller


def around(one: Box, other: Box) -> Box:
    """The smallest box around both."""
    (left, top, right, bottom), (begins, above, ends, below) = one.corners, other.corners
    left, top, right, bottom = min(left, begins), min(top, above), max(right, ends), max(bottom, below)
    return Box((left + right) / 2, (top + bottom) / 2, right - left, bottom - top)

"""What a labelled defect or a finding covers, pixel by pixel.

A pixel belongs to a polygon if its middle lies inside: corners are told in pixels of the picture, whose upper left pixel reaches
from 0 to 1 both ways.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from linegate.shapes import Box

FAR: Final = 1e9  # pixels: where numbers from outside still can be reckoned with

Points = Sequence[tuple[float, float]]
Pixels = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Mask:
    """The smallest window of a picture that holds all of it, and the window's pixels as bits, row after row."""

    left: int
    top: int
    width: int
    height: int
    bits: bytes

    @classmethod
    def of(cls, pixels: Pixels, left: int = 0, top: int = 0) -> "Mask | None":
        """From a window (rows x columns) of a picture that begins at `left`, `top`; None where nothing is covered."""
        rows, columns = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
        if not len(rows):
            return None
        inner = pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        height, width = inner.shape
        return cls(left + int(columns[0]), top + int(rows[0]), width, height, np.packbits(inner).tobytes())

    @property
    def pixels(self) -> Pixels:
        """Rows x columns of the window."""
        flat = np.unpackbits(np.frombuffer(self.bits, np.uint8), count=self.width * self.height)
        return flat.reshape(self.height, self.width).astype(bool)

    @property
    def area(self) -> int:
        """In pixels."""
        return int.from_bytes(self.bits).bit_count()

    @property
    def box(self) -> Box:
        return Box(self.left + self.width / 2, self.top + self.height / 2, self.width, self.height)

    def overlap(self, other: "Mask") -> float:
        """Intersection over union, 0 … 1."""
        left, top = max(self.left, other.left), max(self.top, other.top)
        right = min(self.left + self.width, other.left + other.width)
        bottom = min(self.top + self.height, other.top + other.height)
        if right <= left or bottom <= top:
            return 0.0
        one, two = (
            mask.pixels[top - mask.top : bottom - mask.top, left - mask.left : right - mask.left]
            for mask in (self, other)
        )
        shared = int(np.count_nonzero(one & two))
        return shared / (self.area + other.area - shared)

    def borders(self) -> list[Points]:
        """Lines around it, through the middles of its outermost pixels, to be drawn."""
        found, _ = cv2.findContours(self.pixels.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        corner = np.array((self.left + 0.5, self.top + 0.5))
        return [[(float(x), float(y)) for x, y in border[:, 0] + corner] for border in found]


def filled(polygons: Iterable[Points], size: tuple[int, int]) -> Mask | None:
    """What polygons cover together of a picture of `size` (width, height); None where that is no pixel's middle.

    Where a polygon crosses itself, it covers what lies inside it an odd number of times.
    """
    parts = [np.clip(np.asarray(polygon, np.float64), -FAR, FAR) for polygon in polygons]
    if not parts:
        return None
    points = np.concatenate(parts)
    (left, top), (right, bottom) = (
        [min(max(0, int(edge)), side) for edge, side in zip(edges, size, strict=True)]
        for edges in (np.floor(points.min(axis=0)), np.ceil(points.max(axis=0)))
    )
    covered = np.zeros((bottom - top, right - left), bool)
    for part in parts:
        covered |= _inside(part - (left, top), covered.shape)
    return Mask.of(covered, left, top)


def _inside(polygon: NDArray[np.float64], shape: tuple[int, ...]) -> Pixels:
    """By rows: from the first middle right of an edge on, what was outside is inside, until the next edge."""
    height, width = shape
    turns = np.zeros((height, width + 1), bool)
    for edge in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        (x, y), (next_x, next_y) = sorted(edge, key=lambda corner: float(corner[1]))
        first, last = (min(max(0, math.ceil(end - 0.5)), height) for end in (y, next_y))
        if first >= last:
            continue
        rows = np.arange(first, last)
        crossed = x + (rows + 0.5 - y) * (next_x - x) / (next_y - y)
        turns[rows, np.clip(np.ceil(crossed - 0.5), 0, width).astype(np.intp)] ^= True
    return np.logical_xor.accumulate(turns, axis=1)[:, :width]


def of_runs(runs: Sequence[int], size: tuple[int, int]) -> Mask | None:
    """From runs outside and inside in turn, down the columns, that fill a picture of `size` (width, height)."""
    width, height = size
    flat = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return Mask.of(flat.reshape(width, height).T)


def regions(pixels: Pixels) -> list[Mask]:
    """The connected parts of a picture's mask; pixels that meet at a corner are connected."""
    count, labels, stats, _ = cv2.connectedComponentsWithStats(pixels.astype(np.uint8), connectivity=8)
    found = []
    for label in range(1, count):
        left, top, width, height = (int(value) for value in stats[label][:4])
        part = Mask.of(labels[top : top + height, left : left + width] == label, left, top)
        found += [part] if part else []
    return found

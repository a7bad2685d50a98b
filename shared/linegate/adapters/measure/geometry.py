"""Points, lines and circles in pixels, and how parts of the golden picture get there.

Coordinates are counted from the corner of the picture: the middle of its first pixel is (0.5, 0.5).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from linegate.sections import Zone

Vector = NDArray[np.float64]  # (2,): x, y
Points = NDArray[np.float64]  # n x 2
Outline = tuple[tuple[float, float], ...]

ALONG: Final = {"right": (1.0, 0.0), "left": (-1.0, 0.0), "down": (0.0, 1.0), "up": (0.0, -1.0)}
STRAIGHT: Final = 1e-6  # below it a direction is taken for the picture's own, so that no pixel is interpolated


class UnmeasurableError(Exception):
    """Why there is no value, as the rest of a sentence; `outline` is where it was looked for."""

    def __init__(self, why: str, outline: Outline = ()) -> None:
        super().__init__(why)
        self.outline = outline


@dataclass(frozen=True, slots=True)
class Line:
    """A line through `point` along `direction` (unit), seen for `half` pixels to both sides.

    `offset_u` (pixels, across, at `point`) and `angle_u` (radians) are standard deviations by its points' scatter.
    """

    point: Vector
    direction: Vector
    half: float
    offset_u: float
    angle_u: float

    @property
    def ends(self) -> tuple[Vector, Vector]:
        return self.point - self.half * self.direction, self.point + self.half * self.direction

    @property
    def normal(self) -> Vector:
        return np.array([-self.direction[1], self.direction[0]])


@dataclass(frozen=True, slots=True)
class Ring:
    """A circle. `centre_u` and `radius_u` are standard deviations in pixels; `roundness` is farthest minus nearest radius, no
    number where parts of the rim were not seen.
    """

    centre: Vector
    radius: float
    centre_u: float
    radius_u: float
    roundness: float


Feature = Line | Ring


@dataclass(frozen=True, slots=True)
class Frame:
    """Where parts (0 … 1) of the golden picture's width and height lie in the picture: 2 x 3, to pixels."""

    matrix: NDArray[np.float64]

    @classmethod
    def of(cls, width: int, height: int, lies: Sequence[float] | None) -> "Frame":
        """By `lies` of a `ports.Reference`; without one, of the picture itself."""
        return cls(np.array([[width, 0, 0], [0, height, 0]] if lies is None else [lies[:3], lies[3:]], np.float64))

    def at(self, x: float, y: float) -> Vector:
        return np.asarray(self.matrix @ np.array([x, y, 1.0]), np.float64)

    def middle(self, zone: Zone) -> Vector:
        return self.at((zone.left + zone.right) / 2, (zone.top + zone.bottom) / 2)

    def following(self, moved: Sequence[tuple[Zone, Feature]]) -> "Frame":
        """The frame moved and turned as these features lie off the middle of their zones.

        A line tells of the shift across it and of the turn, a circle of its centre; two circles tell of the turn. What
        none of them tells stays as it is.
        """
        if not moved:
            return self
        middles = np.array([self.middle(zone) for zone, _ in moved])
        turn = self._turn(middles, [feature for _, feature in moved])
        turned = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        about = middles.mean(axis=0)
        rows, off = [], []
        for middle, (_, feature) in zip(middles, moved, strict=True):
            lies = turned @ (middle - about) + about
            ways = [feature.normal] if isinstance(feature, Line) else list(np.eye(2))
            found = feature.point if isinstance(feature, Line) else feature.centre
            rows += ways
            off += [float(way @ (found - lies)) for way in ways]
        shift = np.linalg.lstsq(np.array(rows), np.array(off), rcond=0.05)[0]
        matrix = np.hstack(
            [turned @ self.matrix[:, :2], (turned @ (self.matrix[:, 2] - about) + about + shift)[:, None]]
        )
        return Frame(matrix)

    def _turn(self, middles: Points, features: Sequence[Feature]) -> float:
        """Radians, clockwise as the picture shows it, by whichever tells it best."""
        told: list[tuple[float, float]] = []
        for feature in features:
            if isinstance(feature, Line):
                told.append((feature.angle_u, _between(self._axis(feature.direction), feature.direction)))
        rings = [(middle, one) for middle, one in zip(middles, features, strict=True) if isinstance(one, Ring)]
        if len(rings) > 1:
            (start, first), (end, last) = rings[0], rings[-1]
            wanted, found = end - start, last.centre - first.centre
            length = float(np.hypot(*wanted))
            if length > 0:
                told.append((float(np.hypot(first.centre_u, last.centre_u)) / length, _between(wanted, found)))
        return min(told)[1] if told else 0.0

    def _axis(self, direction: Vector) -> Vector:
        """The axis of the frame that a line lies along."""
        axes = [axis / np.hypot(*axis) for axis in self.matrix[:, :2].T]
        return max(axes, key=lambda axis: abs(float(axis @ direction)))


def _between(one: Vector, other: Vector) -> float:
    """Radians from one line's direction to another's, in -π/2 … π/2."""
    angle = float(np.arctan2(one[0] * other[1] - one[1] * other[0], one @ other))
    return (angle + np.pi / 2) % np.pi - np.pi / 2


@dataclass(frozen=True, slots=True)
class Band:
    """A rectangle that is looked through `along` (unit) for `length` pixels, `width` pixels wide."""

    centre: Vector
    along: Vector
    length: int
    width: int

    @classmethod
    def of(cls, frame: Frame, zone: Zone, look: str, turn: float = 0.0) -> "Band":
        direction = np.array(ALONG[look])
        extent = np.array([zone.right - zone.left, zone.bottom - zone.top])
        way = frame.matrix[:, :2] @ (direction * extent)
        across = frame.matrix[:, :2] @ (direction[::-1] * extent)
        radians = np.deg2rad(turn)
        turned = np.array([[np.cos(radians), -np.sin(radians)], [np.sin(radians), np.cos(radians)]])
        along = turned @ way / np.hypot(*way)
        along[np.abs(along) < STRAIGHT] = 0.0
        along /= np.hypot(*along)
        centre, length, width = frame.middle(zone), int(np.hypot(*way)), int(np.hypot(*across))
        if 0.0 in along:  # along the picture's own rows or columns: on whole pixels, so that none is interpolated
            size = np.array([length, width] if along[0] else [width, length])
            centre = np.round(centre - size / 2) + size / 2
        return cls(centre, along, length, width)

    @property
    def across(self) -> Vector:
        return np.array([-self.along[1], self.along[0]])

    @property
    def outline(self) -> Outline:
        way, side = self.along * self.length / 2, self.across * self.width / 2
        return outline([self.centre + a * way + b * side for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))])

    def at(self, along: float, across: float) -> Vector:
        return self.centre + along * self.along + across * self.across


def outline(points: Sequence[Vector]) -> Outline:
    """A polygon's corners as plain numbers."""
    return tuple((float(x), float(y)) for x, y in points)

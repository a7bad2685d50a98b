"""What each tool measures in a picture: a value in pixels, degrees, % or pieces, or why there is none."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from linegate.adapters.measure import edges
from linegate.adapters.measure.gauges import (
    AngleGauge,
    CaliperGauge,
    CircleGauge,
    CountGauge,
    DistanceGauge,
    EdgeGauge,
    FillLevelGauge,
    Gauge,
    Looking,
)
from linegate.adapters.measure.geometry import (
    ALONG,
    Band,
    Feature,
    Frame,
    Line,
    Outline,
    Ring,
    UnmeasurableError,
    Vector,
    outline,
)

Picture = NDArray[np.uint8]  # height x width x 3, RGB

# The direction in which a level is looked for, by where up is
DOWN: Final = {"top": "down", "bottom": "up", "left": "right", "right": "left"}
CORNERS: Final = 24  # of the polygon that stands for a circle
HAIR: Final = 1.5  # pixels: how far the outline of a line reaches to both sides of it
GREY: Final = (0.299, 0.587, 0.114)
CHANNELS: Final = {"red": 0, "green": 1, "blue": 2}


@dataclass(frozen=True, slots=True)
class Reading:
    """A value with its standard deviation by this picture alone, in px, degrees, % or pieces; where it was measured."""

    value: float
    u: float
    outline: Outline
    feature: Feature | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a gauge: its reading, or why there is none and where it was looked for."""

    gauge: Gauge
    reading: Reading | None
    why: str = ""
    outline: Outline = ()


class Scene:
    """A picture that is measured in: its channels as they are asked for, and what was found in it so far.

    `area_scale` is the area of a pixel in the recipe's unit.
    """

    def __init__(self, picture: Picture, lies: Sequence[float] | None, area_scale: float = 1.0) -> None:
        self._picture = picture
        self._planes: dict[str, edges.Plane] = {}
        self._frame = Frame.of(picture.shape[1], picture.shape[0], lies)
        self._zones = dict[str, Looking]()
        self._found = dict[str, Outcome]()
        self.area_scale = area_scale

    def measure(self, gauge: Gauge) -> Outcome:
        """Measure by one gauge; those that it refers to come before it."""
        try:
            reading = TOOLS[type(gauge)](self, gauge)
            if not np.isfinite([reading.value, reading.u]).all():
                raise UnmeasurableError("no number comes of what it shows", self._where(gauge))
            outcome = Outcome(gauge, reading, "", reading.outline)
        except UnmeasurableError as error:
            outcome = Outcome(gauge, None, str(error), error.outline or self._where(gauge))
        self._found[gauge.name] = outcome
        if isinstance(gauge, Looking):
            self._zones[gauge.name] = gauge
        return outcome

    def plane(self, channel: str) -> edges.Plane:
        if channel not in self._planes:
            weights = GREY if channel not in CHANNELS else np.eye(3)[CHANNELS[channel]]
            plane = np.zeros(self._picture.shape[:2], np.float32)
            for number, weight in enumerate(weights):  # one after the other: all at once takes three times the memory
                if weight:
                    plane += np.float32(weight) * self._picture[:, :, number]
            self._planes[channel] = plane
        return self._planes[channel]

    def frame(self, gauge: Looking) -> Frame:
        """Where its zone lies, as what it moves with was found. Raises UnmeasurableError."""
        return self._frame.following([(self._zones[name].zone, self.feature(name)) for name in gauge.moves_with])

    def feature(self, name: str) -> Feature:
        """What the gauge of this name found. Raises UnmeasurableError."""
        outcome = self._found[name]
        if outcome.reading is None or outcome.reading.feature is None:
            raise UnmeasurableError(f"it is measured by {name!r}, of which {outcome.why}")
        return outcome.reading.feature

    def line(self, name: str) -> Line:
        feature = self.feature(name)
        assert isinstance(feature, Line), "the section was checked for it"
        return feature

    def side(self, look: str) -> tuple[Vector, Vector]:
        """A point on the side of the golden picture at which looking begins, and the direction away from it (unit)."""
        way = self._frame.matrix[:, :2] @ np.array(ALONG[look])
        begins = {"right": (0, 0.5), "left": (1, 0.5), "down": (0.5, 0), "up": (0.5, 1)}[look]
        return self._frame.at(*begins), way / np.hypot(*way)

    def _where(self, gauge: Gauge) -> Outline:
        """Where it would look, or where those lie that it refers to."""
        if isinstance(gauge, Looking):
            return Band.of(self._frame, gauge.zone, "right").outline
        corners = [corner for name in gauge.refers_to for corner in self._found[name].outline]
        return _around(corners)


def measure(
    picture: Picture, gauges: Sequence[Gauge], lies: Sequence[float] | None, area_scale: float = 1.0
) -> list[Outcome]:
    """What became of each gauge, in their order. `lies` is where the golden picture lies (see `ports.Reference`)."""
    scene = Scene(picture, lies, area_scale)
    return [scene.measure(gauge) for gauge in gauges]


def _caliper(scene: Scene, gauge: CaliperGauge) -> Reading:
    band = Band.of(scene.frame(gauge), gauge.zone, gauge.look, gauge.turn)
    first, last = edges.find_pair(scene.plane(gauge.channel), band, gauge.between, gauge.contrast, gauge.scatter)
    middle = first.direction + last.direction
    centre = Line(
        (first.point + last.point) / 2,
        middle / np.hypot(*middle),
        (first.half + last.half) / 2,
        float(np.hypot(first.offset_u, last.offset_u)) / 2,
        float(np.hypot(first.angle_u, last.angle_u)) / 2,
    )
    return Reading(_apart(first, last), _apart_u(first, last), _quad(first, last), centre)


def _edge(scene: Scene, gauge: EdgeGauge) -> Reading:
    band = Band.of(scene.frame(gauge), gauge.zone, gauge.look, gauge.turn)
    plane = scene.plane(gauge.channel)
    line = edges.find(plane, band, gauge.polarity, gauge.take, gauge.contrast, gauge.scatter)
    start, way = scene.side(gauge.look)
    return Reading(float((line.point - start) @ way), line.offset_u, _hair(line), line)


def _circle(scene: Scene, gauge: CircleGauge) -> Reading:
    band = Band.of(scene.frame(gauge), gauge.zone, "right")
    plane = scene.plane(gauge.channel)
    ring = edges.find_ring(
        plane, band, gauge.inside, gauge.look, gauge.polarity, gauge.take, gauge.contrast, gauge.scatter
    )
    if gauge.gives == "roundness" and np.isnan(ring.roundness):
        raise UnmeasurableError("parts of the rim show no edge, and roundness is about all of it", band.outline)
    value, u = (ring.roundness, ring.radius_u) if gauge.gives == "roundness" else (2 * ring.radius, 2 * ring.radius_u)
    angles = 2 * np.pi * np.arange(CORNERS) / CORNERS
    rim = ring.centre + ring.radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return Reading(value, u, outline(list(rim)), ring)


def _fill_level(scene: Scene, gauge: FillLevelGauge) -> Reading:
    band = Band.of(scene.frame(gauge), gauge.zone, DOWN[gauge.up])
    plane = scene.plane(gauge.channel)
    line = edges.find(plane, band, gauge.polarity, gauge.take, gauge.contrast, gauge.scatter)
    if gauge.datum is None:
        below = band.length / 2 - float((line.point - band.centre) @ band.along)
        return Reading(100 * below / band.length, 100 * line.offset_u / band.length, _hair(line), line)
    datum = scene.line(gauge.datum)
    up = datum.normal if float(datum.normal @ band.along) < 0 else -datum.normal
    away = float((line.point - datum.point) @ up)
    return Reading(away, _from_u(line.point, line.offset_u, datum), _hair(line), line)


def _distance(scene: Scene, gauge: DistanceGauge) -> Reading:
    one, other = (scene.feature(name) for name in gauge.between)
    if isinstance(one, Line) and isinstance(other, Line):
        return Reading(_apart(one, other), _apart_u(one, other), _quad(one, other))
    if isinstance(one, Ring) and isinstance(other, Ring):
        corners = [one.centre, other.centre]
        away = float(np.hypot(*(one.centre - other.centre)))
        return Reading(away, float(np.hypot(one.centre_u, other.centre_u)), _around(outline(corners)))
    line, ring = (one, other) if isinstance(one, Line) else (other, one)
    assert isinstance(line, Line) and isinstance(ring, Ring)
    away = float((ring.centre - line.point) @ line.normal)
    foot = ring.centre - away * line.normal
    return Reading(abs(away), _from_u(ring.centre, ring.centre_u, line), _around(outline([ring.centre, foot])))


def _angle(scene: Scene, gauge: AngleGauge) -> Reading:
    one, other = (scene.line(name) for name in gauge.between)
    turned = np.arctan2(
        one.direction[0] * other.direction[1] - one.direction[1] * other.direction[0], one.direction @ other.direction
    )
    low, high = gauge.limits
    middle = (low + high) / 2 if low is not None and high is not None else 0.0
    # Lines are the same after half a turn: the angle is the one nearest to what it should be.
    value = middle + (float(np.rad2deg(turned)) - middle + 90) % 180 - 90
    return Reading(value, float(np.rad2deg(np.hypot(one.angle_u, other.angle_u))), _quad(one, other))


def _count(scene: Scene, gauge: CountGauge) -> Reading:
    """Blobs of pixels that touch, at a corner too. Raises UnmeasurableError where a little light or size would change it."""
    band = Band.of(scene.frame(gauge), gauge.zone, "right")
    corners = np.array(band.outline)
    plane = scene.plane(gauge.channel)
    (left, top), (right, bottom) = np.floor(corners.min(axis=0)).astype(int), np.ceil(corners.max(axis=0)).astype(int)
    if left < -1 or top < -1 or right > plane.shape[1] + 1 or bottom > plane.shape[0] + 1:
        raise UnmeasurableError("its zone reaches beyond the picture", band.outline)
    left, top = max(0, left), max(0, top)
    part = np.asarray(cv2.GaussianBlur(plane[top:bottom, left:right], (3, 3), 0), np.float32)
    inside = np.zeros(part.shape, np.uint8)
    cv2.fillConvexPoly(inside, np.round(corners - 0.5 - [left, top]).astype(np.int32), 1)
    counts = {
        _blobs(part, inside, gauge, light, size, scene.area_scale)
        for light, size in ((0.0, 1.0), (-gauge.margin, 1.0), (gauge.margin, 1.0), (0.0, 0.9), (0.0, 1.1))
    }
    if len(counts) > 1:
        raise UnmeasurableError(
            f"there are {min(counts)} or {max(counts)} of them, as one takes brightness and size", band.outline
        )
    return Reading(float(counts.pop()), 0.0, band.outline)


def _blobs(
    part: edges.Plane, inside: NDArray[np.uint8], gauge: CountGauge, light: float, size: float, scale: float
) -> int:
    """How many there are with both bounds of brightness wider by `light`, and those of size `size` times as large."""
    low = 0.0 if gauge.brighter_than is None else gauge.brighter_than - light
    high = 255.0 if gauge.darker_than is None else gauge.darker_than + light
    mask = ((part >= low) & (part <= high)).astype(np.uint8) & inside
    count, _, found, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    areas = found[1:count, cv2.CC_STAT_AREA] * scale
    largest = np.inf if gauge.largest is None else gauge.largest * size
    return int(((areas >= gauge.smallest * size) & (areas <= largest)).sum())


TOOLS: Final[Mapping[type[Gauge], Callable[[Scene, Any], Reading]]] = {
    CaliperGauge: _caliper,
    EdgeGauge: _edge,
    CircleGauge: _circle,
    DistanceGauge: _distance,
    AngleGauge: _angle,
    FillLevelGauge: _fill_level,
    CountGauge: _count,
}


def _apart(one: Line, other: Line) -> float:
    """Pixels between two lines: the mean of how far the middle of each lies from the other."""
    between = other.point - one.point
    return (abs(float(between @ one.normal)) + abs(float(between @ other.normal))) / 2


def _apart_u(one: Line, other: Line) -> float:
    return max(_from_u(one.point, one.offset_u, other), _from_u(other.point, other.offset_u, one))


def _from_u(point: Vector, u: float, line: Line) -> float:
    """Standard deviation of a point's distance from a line: the farther off its seen part, the more its angle counts."""
    aside = float((point - line.point) @ line.direction)
    return float(np.sqrt(u**2 + line.offset_u**2 + (aside * line.angle_u) ** 2))


def _hair(line: Line) -> Outline:
    start, end = line.ends
    side = HAIR * line.normal
    return outline([start - side, end - side, end + side, start + side])


def _quad(one: Line, other: Line) -> Outline:
    """The area between two lines."""
    (a, b), (c, d) = one.ends, other.ends
    if float((b - a) @ (d - c)) < 0:
        c, d = d, c
    return outline([a, b, d, c])


def _around(corners: Outline | list[tuple[float, float]]) -> Outline:
    """The upright rectangle around points, with a little room."""
    if not corners:
        return ()
    points = np.array(corners)
    (left, top), (right, bottom) = points.min(axis=0) - HAIR, points.max(axis=0) + HAIR
    return outline([np.array(corner) for corner in ((left, top), (right, top), (right, bottom), (left, bottom))])

"""Defects of a given size, planted on a golden picture along its own edges and in its own colours.

Sizes are in pixels of the golden picture: of a cut its length along the track, of a bridge its width, of a bite or a spur its
depth, of what is round its diameter, of a scratch its width, of lost print the side of what is gone.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from linegate.adapters.golden.layers import Layer, Layers
from linegate.adapters.golden.materials import Mask, Picture
from linegate.shapes import Box

Points = NDArray[np.float64]  # n x 2, across and down

# Part of the shorter side that a defect keeps away from the picture's edge, beyond which a board may lie; and how many places
# are looked at.
MARGIN, LOOKED_AT = 0.04, 4000
# Half the width of the widest track that is cut, in pixels at a side of 640; directions in which its ends are looked for.
WIDEST_TRACK, DIRECTIONS = 24.0, 16
# Around a defect, pixels from which the colours of its surroundings are taken, and how near they count.
AROUND, NEAR = 12, 4.0
SCRATCH: Final = 10  # times as long as it is wide
SUPERSAMPLED: Final = 3


@dataclass(frozen=True, slots=True)
class Place:
    """Where a defect can be: its middle, a direction in radians, and half the width of what it goes through."""

    x: float
    y: float
    direction: float = 0.0
    half: float = 0.0


@dataclass(frozen=True, slots=True)
class Planted:
    """A shape to be painted, as a polygon, and whose colour it gets."""

    box: Box
    outline: Points
    takes: Mask | None  # painted in the colour that this material has around there
    levels: float = 0.0  # or by how many grey levels it is lighter than what is there


Find = Callable[[Layer, float, np.random.Generator], list[Place]]
Shape = Callable[[Place, float], Points]


@dataclass(frozen=True, slots=True)
class Sort:
    """One sort of defect: where it can be on a layer, its outline, and whether it takes the figure's colour or the ground's."""

    find: Find
    shape: Shape
    adds: bool  # figure where ground was


def cut_places(layer: Layer, size: float, rng: np.random.Generator) -> list[Place]:
    """On the middle of tracks that go on at both ends of the cut and end at their sides."""
    inside = layer.inside
    widest = WIDEST_TRACK * max(1.0, min(inside.shape) / 640)
    ridge = (inside >= cv2.dilate(inside, np.ones((3, 3), np.uint8)) - 0.01) & (inside > 1.2) & (inside <= widest)
    points = _some(ridge, rng)
    if not len(points):
        return []
    half = inside[points[:, 1].astype(int), points[:, 0].astype(int)].astype(np.float64)
    best = np.full(len(points), np.nan)
    for direction in rng.permutation(np.arange(DIRECTIONS) * np.pi / DIRECTIONS):
        along, across = _unit(direction), _unit(direction + np.pi / 2)
        reach = size / 2 + half + 2
        ends = [
            _at(layer.figure, points + sign * part * reach[:, None] * along) for sign in (-1, 1) for part in (0.5, 1)
        ]
        sides = [
            _at(layer.ground, points + (sign * (half + 3))[:, None] * across + shift * (size / 2) * along)
            for sign in (-1, 1)
            for shift in (-1, 0, 1)
        ]
        fits = np.logical_and.reduce([*ends, *sides])
        best[fits & np.isnan(best)] = direction
    return [
        Place(float(points[i, 0]), float(points[i, 1]), float(best[i]), float(half[i]))
        for i in np.flatnonzero(~np.isnan(best))
    ]


def bite_places(layer: Layer, size: float, rng: np.random.Generator) -> list[Place]:
    """At edges behind which the figure is deep enough not to be cut through; the direction leads into it."""
    inside = cv2.GaussianBlur(layer.inside, (0, 0), 1.5) - cv2.GaussianBlur(layer.beside, (0, 0), 1.5)
    slopes = [cv2.Sobel(inside, cv2.CV_32F, *order) for order in ((1, 0), (0, 1))]
    points = _some((layer.inside > 0) & (layer.inside < 1.5), rng)
    if not len(points):
        return []
    rows, columns = points[:, 1].astype(int), points[:, 0].astype(int)
    direction = np.arctan2(slopes[1][rows, columns], slopes[0][rows, columns]).astype(np.float64)
    inward = np.stack([np.cos(direction), np.sin(direction)], axis=1)
    fits = _at(layer.ground, points - 3 * inward)
    for part in (0.5, 1.0):
        fits &= _at(layer.figure, points + part * (size + 3) * inward)
    side = np.stack([-inward[:, 1], inward[:, 0]], axis=1) * (size / 2 + 2)
    for sign in (-1, 1):  # straight enough, and no other edge beside it
        fits &= _at(layer.figure, points + inward * max(2.0, size / 2) + sign * side)
    return [Place(float(points[i, 0]), float(points[i, 1]), float(direction[i])) for i in np.flatnonzero(fits)]


def inner_places(layer: Layer, size: float, rng: np.random.Generator) -> list[Place]:
    """Inside the figure, away from its edges."""
    return [Place(*point) for point in _some(layer.inside >= size / 2 + 3, rng)]


def hole_places(layer: Layer, size: float, _: np.random.Generator) -> list[Place]:
    """Holes of this diameter, give or take a pixel."""
    return [Place(x, y, half=diameter / 2) for x, y, diameter in layer.holes if abs(diameter - size) <= 1]


def print_places(layer: Layer, _: float, rng: np.random.Generator) -> list[Place]:
    """On print."""
    return [Place(*point) for point in _some(layer.figure > 0, rng)]


def scratch_places(layer: Layer, _: float, rng: np.random.Generator) -> list[Place]:
    """On the ground, in any direction, whatever it runs across."""
    points = _some(layer.beside > 3, rng)
    return [Place(x, y, float(rng.uniform(0, np.pi))) for x, y in points]


def disc(place: Place, size: float) -> Points:
    turns = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    return np.array([place.x, place.y]) + size / 2 * np.stack([np.cos(turns), np.sin(turns)], axis=1)


def at_edge(place: Place, size: float) -> Points:
    """A disc that reaches `size` deep from the edge."""
    step = (size / 2 - 0.5) * _unit(place.direction)
    return disc(Place(place.x + step[0], place.y + step[1]), size)


def across(place: Place, size: float) -> Points:
    """All of a track's width, and a little more."""
    return _bar(place, size, 2 * place.half + 4)


def along(place: Place, size: float) -> Points:
    return _bar(place, SCRATCH * size, size)


def square(place: Place, size: float) -> Points:
    return _bar(place, size, size)


def filling(place: Place, _: float) -> Points:
    return disc(place, 2 * place.half + 3)


def swapped(find: Find) -> Find:
    """The same with figure and ground exchanged."""
    return lambda layer, size, rng: find(layer.swapped, size, rng)


SORTS: Final[Mapping[str, Sort]] = {
    "cut": Sort(cut_places, across, adds=False),
    "bridge": Sort(swapped(cut_places), across, adds=True),
    "bite": Sort(bite_places, at_edge, adds=False),
    "spur": Sort(swapped(bite_places), at_edge, adds=True),
    "island": Sort(swapped(inner_places), disc, adds=True),
    "void": Sort(inner_places, disc, adds=False),
    "filled hole": Sort(hole_places, filling, adds=False),
    "scratch": Sort(scratch_places, along, adds=True),
    "print lost": Sort(print_places, square, adds=False),
}


def plant(sort: Sort, layer: Layer, place: Place, size: float) -> Planted:
    outline = sort.shape(place, size)
    return Planted(_box(outline), outline, layer.figure if sort.adds else layer.ground)


def stain(place: Place, size: float, levels: float) -> Planted:
    """A disc that is lighter than what it lies on, or darker, by so many grey levels."""
    outline = disc(place, size)
    return Planted(_box(outline), outline, None, levels)


def paint(picture: Picture, golden: Picture, planted: Planted, softness: float) -> None:
    """Paint it on `picture`, its edges as soft as the picture's own (standard deviation in pixels)."""
    left, top, right, bottom = planted.box.corners
    height, width = picture.shape[:2]
    window = (
        slice(max(0, int(top) - AROUND), min(height, int(bottom) + AROUND + 1)),
        slice(max(0, int(left) - AROUND), min(width, int(right) + AROUND + 1)),
    )
    corner = np.array([window[1].start, window[0].start])
    shown = picture[window].astype(np.float32)
    fine = np.zeros((shown.shape[0] * SUPERSAMPLED, shown.shape[1] * SUPERSAMPLED), np.float32)
    points = ((planted.outline - corner + 0.5) * SUPERSAMPLED - 0.5) * 16
    cv2.fillPoly(fine, [np.round(points).astype(np.int32)], (1.0,), cv2.LINE_8, 4)
    fine = np.asarray(cv2.GaussianBlur(fine, (0, 0), max(0.3, softness) * SUPERSAMPLED), np.float32)
    covers = cv2.resize(fine, shown.shape[1::-1], interpolation=cv2.INTER_AREA)[..., None]
    if planted.takes is None:
        wanted = shown + planted.levels
    else:
        wanted = _colour_around(golden[window], planted.takes[window], golden, planted.takes)
    picture[window] = np.clip(shown + covers * (wanted - shown), 0, 255).round().astype(np.uint8)


def _colour_around(near: Picture, takes: Mask, golden: Picture, all_of_it: Mask) -> NDArray[np.float32]:
    """The colour that a material has around each pixel, away from its edges; its usual one where there is none near."""
    sure = cv2.erode(takes, np.ones((3, 3), np.uint8)).astype(np.float32)
    if not sure.any():
        sure = takes.astype(np.float32)
    weights = cv2.GaussianBlur(sure, (0, 0), NEAR)
    sums = cv2.GaussianBlur(near.astype(np.float32) * sure[..., None], (0, 0), NEAR)
    if (far := weights < 1e-3).any():
        pixels = golden[::7, ::7][all_of_it[::7, ::7] > 0]
        usual = np.median(pixels, axis=0) if len(pixels) else golden.reshape(-1, 3).mean(axis=0)
        sums[far], weights[far] = usual, 1.0
    return np.asarray(sums / weights[..., None], np.float32)


def _some(where: NDArray[Any], rng: np.random.Generator) -> Points:
    """Some of the pixels that are set, in any order, away from the picture's edge."""
    margin = round(MARGIN * min(where.shape))
    inner = np.asarray(where[margin:-margin, margin:-margin])
    found = np.flatnonzero(inner)
    if len(found) > LOOKED_AT:
        found = found[rng.integers(0, len(found), LOOKED_AT)]
    found = rng.permutation(found)
    wide = max(1, inner.shape[1])
    return np.asarray(np.stack([found % wide, found // wide], axis=1) + float(margin), np.float64)


def _at(mask: Mask, points: Points) -> NDArray[np.bool_]:
    columns, rows = np.round(points).astype(int).T
    height, width = mask.shape
    inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    return np.asarray(inside & (mask[rows.clip(0, height - 1), columns.clip(0, width - 1)] > 0), np.bool_)


def _bar(place: Place, length: float, width: float) -> Points:
    one, other = length / 2 * _unit(place.direction), width / 2 * _unit(place.direction + np.pi / 2)
    return np.array([place.x, place.y]) + np.stack([one + other, one - other, -one - other, other - one])


def _unit(direction: float) -> NDArray[np.float64]:
    return np.array([np.cos(direction), np.sin(direction)])


def _box(outline: Points) -> Box:
    low, high = outline.min(axis=0), outline.max(axis=0)
    return Box(*(float(value) for value in (*((low + high) / 2), *(high - low))))


def sorts_of(layers: Layers) -> dict[str, tuple[Layer, ...]]:
    """On which layers each sort is planted; on none where the golden picture shows no such thing."""
    tracks = dict.fromkeys(("cut", "bridge", "bite", "spur", "island", "void"), layers.conductors)
    holes = tuple(layer for layer in layers.holes if len(layer.holes))
    scratched = () if layers.scan else layers.conductors[:1]
    return {**tracks, "filled hole": holes, "scratch": scratched, "print lost": layers.prints}

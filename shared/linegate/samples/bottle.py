"""Drawn bottles: neck, cap and fill level before a lit screen, right or with what goes wrong at a filler and a capper.

Lengths are in millimetres of the product; a bottle is drawn larger than its picture and reduced by the camera's pose.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from linegate.samples.camera import Picture, seen
from linegate.samples.product import Drawn, Product
from linegate.shapes import Box

WIDTH, HEIGHT = 480, 720  # pixels of a picture
MM_PER_PX: Final = 0.1
FINE: Final = 3  # how much larger a bottle is drawn than photographed
PER_MM: Final = FINE / MM_PER_PX
MIDDLE, RING_TOP, LEVEL = 24.0, 29.5, 46.0  # where the bottle's axis lies, its support ring, its fill level
CAP_WIDTH, CAP_HEIGHT, GAP = 28.0, 16.0, 1.5

SCREEN, GLASS, RING, LIQUID, CAP = (212, 214, 210), (178, 190, 188), (112, 128, 130), (168, 116, 44), (30, 62, 150)
THREAD, FOAM = (146, 158, 158), (200, 190, 160)

FAULTS: Final = ("underfilled", "overfilled", "missing_cap", "crooked_cap", "loose_cap")
# Of each, one at most
ELSE: Final = (("underfilled", "overfilled"), ("missing_cap", "crooked_cap", "loose_cap"))

Points = NDArray[np.float64]  # n x 2

RECIPE: Final = """\
# What is measured, in mm: nothing else is looked at.
mm_per_px: 0.1
# Each value is settled by its limits; there is nothing to look at again. `repeatability` is what `linegate measure repeat`
# told of 25 pictures of one bottle.
verifier: none
detector: measure
gauges:
  # The support ring of the neck: all else is measured from it, and moves with it.
  - {tool: edge, name: ring, zone: {left: 0.30, top: 0.368, right: 0.70, bottom: 0.451}, look: down, polarity: to_dark}
  # One cap there is, dark before the bright screen.
  - tool: count
    name: caps
    zone: {left: 0.15, top: 0.07, right: 0.85, bottom: 0.40}
    moves_with: [ring]
    darker_than: 110
    smallest: 200                              # mm²; were it dark, all of the zone (800) would be a blob
    largest: 600
    low: 1
    high: 1
  # Screwed down: the gap between its lower edge and the ring.
  - tool: edge
    name: cap_bottom
    zone: {left: 0.30, top: 0.26, right: 0.70, bottom: 0.405}
    moves_with: [ring]
    look: up
    polarity: to_dark
  - {tool: distance, name: cap_gap, between: [ring, cap_bottom], nominal: 1.5, tolerance: 0.8, repeatability: 0.005}
  # Straight: its upper edge lies along the ring.
  - tool: edge
    name: cap_top
    zone: {left: 0.27, top: 0.04, right: 0.73, bottom: 0.29}
    moves_with: [ring]
    look: down
    polarity: to_dark
  - {tool: angle, name: cap_angle, between: [ring, cap_top], nominal: 0, tolerance: 2, repeatability: 0.012}
  # Full: how high the level stands above the ring, which is below it.
  - tool: fill_level
    name: fill_level
    zone: {left: 0.30, top: 0.53, right: 0.70, bottom: 0.78}
    moves_with: [ring]
    datum: ring
    polarity: to_dark
    nominal: -16.5
    tolerance: 2
    repeatability: 0.05
"""


@dataclass(frozen=True, slots=True)
class Bottle:
    """One bottle: how low its level stands (mm from the top), its cap's gap and turn (degrees), and whether it has one."""

    level: float = LEVEL
    gap: float = GAP
    turn: float = 0.0
    capped: bool = True


def bottle(rng: np.random.Generator, faults: Sequence[str]) -> Bottle:
    """A bottle with these faults, in all else inside its limits. Raises ValueError for faults that can't be together."""
    for name in faults:
        if name not in FAULTS:
            raise ValueError(f"there is no fault {name!r}; there is {', '.join(FAULTS)}")
    for group in ELSE:
        if len(both := [name for name in faults if name in group]) > 1:
            raise ValueError(f"a bottle can't be {' and '.join(both)}")
    made = Bottle(LEVEL + rng.uniform(-1.2, 1.2), GAP + rng.uniform(-0.3, 0.3), rng.uniform(-0.8, 0.8))
    side = rng.choice((-1.0, 1.0))
    for name in faults:
        match name:
            case "underfilled":
                made = replace(made, level=LEVEL + rng.uniform(2.8, 6.0))
            case "overfilled":
                made = replace(made, level=LEVEL - rng.uniform(2.8, 5.0))
            case "missing_cap":
                made = replace(made, capped=False)
            case "crooked_cap":
                turn = float(side * rng.uniform(3.5, 8.0))
                # Its lower corner sits on the thread just above the ring.
                made = replace(made, turn=turn, gap=0.4 + CAP_WIDTH / 2 * abs(np.sin(np.deg2rad(turn))))
            case "loose_cap":
                made = replace(made, gap=rng.uniform(2.8, 5.0))
    return made


def draw(rng: np.random.Generator, faults: Sequence[str]) -> Drawn:
    """Photograph a bottle with these faults.

    The camera adds shift (6 px), rotation (1°), scale (0.5 %), glare on the glass and the cap, uneven light and noise.
    """
    made = bottle(rng, faults)
    pose = _pose(rng)
    picture = _photograph(made, rng, pose)
    truth = tuple((name, seen(_where(name, made) * PER_MM, pose)) for name in faults)
    return Drawn(picture, tuple((name, _inside(box)) for name, box in truth))


def _pose(rng: np.random.Generator) -> NDArray[np.float64]:
    """2 x 3: from the drawing's pixels to the picture's."""
    centre = (WIDTH * FINE / 2, HEIGHT * FINE / 2)
    pose = cv2.getRotationMatrix2D(centre, rng.uniform(-1, 1), rng.uniform(0.995, 1.005) / FINE)
    pose[:, 2] = pose[:, 2] + np.array([WIDTH / 2 - centre[0], HEIGHT / 2 - centre[1]]) + rng.uniform(-6, 6, 2)
    return np.asarray(pose, np.float64)


def _photograph(made: Bottle, rng: np.random.Generator, pose: NDArray[np.float64]) -> Picture:
    surface = np.full((HEIGHT * FINE, WIDTH * FINE, 3), SCREEN, np.uint8)
    _glass(surface, made)
    _finish(surface)
    if made.capped:
        _fill(surface, cap(made), CAP)
    soft = cv2.GaussianBlur(surface, (0, 0), FINE * rng.uniform(0.5, 0.9))
    seen_by = cv2.warpAffine(soft, pose, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE)
    shine = _glare(rng, made)[:, :, None]
    shown = (1 - shine) * seen_by + 250 * shine
    corners = rng.uniform(0.86, 1.06, (2, 2)).astype(np.float32)
    light = cv2.resize(corners, (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR)
    noise = rng.standard_normal((HEIGHT, WIDTH, 3)) * 2.5
    return np.clip(shown * light[:, :, None] + noise, 0, 255).astype(np.uint8)


def _outline() -> Points:
    """The glass below the ring: neck, shoulder and body."""
    right = [(12, 32), (12, 36), (14, 40), (18, 45), (21, 50), (22, 55), (22, 80)]
    return np.array([(MIDDLE + x, y) for x, y in right] + [(MIDDLE - x, y) for x, y in right[::-1]])


def _glass(surface: Picture, made: Bottle) -> None:
    inside = np.zeros(surface.shape[:2], np.uint8)
    cv2.fillPoly(inside, [_pixels(_outline())], 1)
    surface[inside > 0] = GLASS
    level, foam = (round((made.level - above) * PER_MM) for above in (0.0, 0.3))
    for start, end, colour in ((foam, level, FOAM), (level, len(surface), LIQUID)):
        rows = surface[start:end]
        rows[inside[start:end] > 0] = colour


def _finish(surface: Picture) -> None:
    """What a cap sits on: the neck's end with its thread, and the ring below."""
    _fill(surface, _rectangle(MIDDLE - 12, 14.5, MIDDLE + 12, RING_TOP + 1), GLASS)
    for top in (17.0, 20.5, 24.0):
        thread = np.array([(12 * side + MIDDLE, top + y) for side, y in ((-1, 0), (1, 1.4), (1, 2.3), (-1, 0.9))])
        _fill(surface, thread, THREAD)
    _fill(surface, _rectangle(MIDDLE - 16, RING_TOP, MIDDLE + 16, 32), RING)


def _glare(rng: np.random.Generator, made: Bottle) -> NDArray[np.float32]:
    """How much of the light at each pixel of the picture is a reflection: streaks down the glass, a spot on the cap."""
    shine = np.zeros((HEIGHT, WIDTH), np.float32)
    for _ in range(int(rng.integers(1, 3))):
        x, wide = MIDDLE + rng.uniform(-9, 9), rng.uniform(0.6, 1.6)
        streak = _rectangle(x - wide, 33, x + wide, 80) / MM_PER_PX
        cv2.fillPoly(shine, [np.round(streak).astype(np.int32)], float(rng.uniform(0.3, 0.7)))
    if made.capped:
        x, y = (round(value) for value in (cap(made).mean(axis=0) + rng.uniform(-4, 4, 2)) / MM_PER_PX)
        axes = (round(rng.uniform(1, 2) / MM_PER_PX), round(rng.uniform(2, 4) / MM_PER_PX))
        cv2.ellipse(shine, (x, y), axes, 0, 0, 360, float(rng.uniform(0.3, 0.8)), -1)
    return np.asarray(cv2.GaussianBlur(shine, (0, 0), 2.0), np.float32)


def cap(made: Bottle) -> Points:
    """The corners of its cap, turned about the middle of its lower edge."""
    bottom = RING_TOP - made.gap
    corners = _rectangle(MIDDLE - CAP_WIDTH / 2, bottom - CAP_HEIGHT, MIDDLE + CAP_WIDTH / 2, bottom)
    radians = np.deg2rad(made.turn)
    turned = np.array([[np.cos(radians), -np.sin(radians)], [np.sin(radians), np.cos(radians)]])
    about = np.array([MIDDLE, bottom])
    return np.asarray((corners - about) @ turned.T + about, np.float64)


def _where(fault: str, made: Bottle) -> Points:
    """The corners of what a fault is about."""
    if fault in ELSE[0]:
        low, high = sorted((made.level, LEVEL))
        return _rectangle(MIDDLE - 16, low, MIDDLE + 16, high)
    return cap(made if made.capped else Bottle())


def _rectangle(left: float, top: float, right: float, bottom: float) -> Points:
    return np.array([(left, top), (right, top), (right, bottom), (left, bottom)], np.float64)


def _pixels(points: Points) -> NDArray[np.int32]:
    """Of the drawing. OpenCV fills a polygon's border too, half a pixel of it outside: a third of a pixel of the picture
    between two that face each other.
    """
    return np.round(points * PER_MM).astype(np.int32)


def _fill(surface: Picture, points: Points, colour: Sequence[int]) -> None:
    cv2.fillPoly(surface, [_pixels(points)], tuple(colour))


def _inside(box: Box) -> Box:
    """The part of a box that the picture shows."""
    left, top, right, bottom = box.corners
    left, right = max(0.0, left), min(float(WIDTH), right)
    top, bottom = max(0.0, top), min(float(HEIGHT), bottom)
    return Box((left + right) / 2, (top + bottom) / 2, right - left, bottom - top)


def _prepare(folder: Path) -> None:
    """Nothing: the recipe names no file."""


PRODUCT: Final = Product(
    name="bottle",
    title="a bottle: fill level and cap",
    faults=FAULTS,
    recipe=RECIPE,
    prepare=_prepare,
    draw=draw,
)

"""A blister pack: ten tablets in the pockets of a foil, or some pocket empty or with what does not belong there."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from linegate.samples.camera import OVERSAMPLING, Picture, any_pose, expose, photograph, pose_of, seen
from linegate.samples.components import Component, Pen, put, toned
from linegate.samples.golden import write_golden
from linegate.samples.product import Drawn, Product
from linegate.shapes import Box

SIZE: Final = 640
CONVEYOR: Final = (40, 42, 46)
FOIL: Final = (176, 180, 186)
TABLET, ANOTHER = (232, 206, 152), (150, 176, 216)
COLUMNS, ROWS = (230, 410), (88, 204, 320, 436, 552)
POCKET, RADIUS = 47, 36  # pixels
# Standard deviation of where a tablet lies in its pocket
SLACK: Final = 0.8
FAULTS: Final = ("empty", "broken", "other_colour", "foreign")
POCKETS: Final = tuple((x, y) for y in ROWS for x in COLUMNS)


def _ground() -> Picture:
    """The foil with its pockets, empty: each a clear dome with a rim."""
    side = SIZE * OVERSAMPLING
    ground = np.full((side, side, 3), CONVEYOR, np.uint8)
    cv2.rectangle(ground, (130 * 2, 24 * 2), (510 * 2, 616 * 2), FOIL, -1)
    # The knurled seal, all over the foil but the pockets
    for at in range(-side, side, 24):
        cv2.line(ground, (at, 0), (at + side, side), (166, 170, 177), 3, cv2.LINE_AA)
    frame = np.ones((side, side), bool)
    frame[24 * 2 : 616 * 2, 130 * 2 : 510 * 2] = False
    ground[frame] = CONVEYOR
    for y in (146, 262, 378, 494):
        cv2.line(ground, (140 * 2, y * 2), (500 * 2, y * 2), (120, 124, 130), 3)
    cv2.line(ground, (320 * 2, 34 * 2), (320 * 2, 606 * 2), (120, 124, 130), 3)
    for x, y in POCKETS:
        cv2.circle(ground, (x * 2, y * 2), POCKET * 2, (146, 150, 157), -1, cv2.LINE_AA)
        cv2.circle(ground, (x * 2, y * 2), (POCKET - 4) * 2, (190, 194, 199), -1, cv2.LINE_AA)
    cv2.putText(ground, "LG 500", (150 * 2, 600 * 2), cv2.FONT_HERSHEY_SIMPLEX, 0.8, (90, 94, 120), 2, cv2.LINE_AA)
    return ground


_GROUND: Final = _ground()


def _tablet(rng: np.random.Generator, colour: Sequence[int]) -> Component:
    """Round, with a bevel, and a score across that lies at any angle."""
    pen = Pen(2 * RADIUS + 4, 2 * RADIUS + 4)
    body = toned(colour, rng)
    pen.disc(0, 0, RADIUS, [round(value * 0.86) for value in body])
    pen.disc(0, 0, RADIUS - 5, body)
    angle = rng.uniform(0, np.pi)
    x, y = (RADIUS - 8) * np.cos(angle), (RADIUS - 8) * np.sin(angle)
    pen.line((-x, -y), (x, y), 3, [round(value * 0.72) for value in body])
    return pen.component


def _broken(rng: np.random.Generator) -> Component:
    """A tablet without what lies beyond a ragged line across it."""
    whole = _tablet(rng, TABLET)
    side = len(whole.shape)
    way, off = rng.uniform(0, 2 * np.pi), rng.uniform(0.05, 0.45) * RADIUS * OVERSAMPLING
    y, x = np.mgrid[:side, :side] - side / 2
    along = x * np.sin(way) - y * np.cos(way)
    ragged = off + 5 * np.sin(along / 9 + rng.uniform(0, 6)) + 3 * np.sin(along / 4)
    lost = x * np.cos(way) + y * np.sin(way) > ragged
    return Component(whole.patch, np.where(lost, 0, whole.shape).astype(np.uint8))


def _capsule() -> Component:
    pen = Pen(76, 30)
    for x, colour in ((-22, (176, 52, 48)), (22, (238, 236, 228))):
        pen.disc(x, 0, 14, colour)
        pen.box(x / 2, 0, 22, 28, colour)
    return pen.component


def _surface(rng: np.random.Generator, faults: dict[int, str]) -> tuple[Picture, list[tuple[str, NDArray[np.float64]]]]:
    """The pack without any optics, and the corners of the pockets that are not as they must be."""
    surface, corners = _GROUND.copy(), []
    for index, (x, y) in enumerate(POCKETS):
        fault = faults.get(index)
        at = x + rng.normal(0, SLACK), y + rng.normal(0, SLACK)
        if fault == "broken":
            put(surface, _broken(rng), *at)
        elif fault == "foreign":
            put(surface, _capsule(), *at, rng.uniform(0, 180))
        elif fault != "empty":
            put(surface, _tablet(rng, ANOTHER if fault == "other_colour" else TABLET), *at)
        # The dome glints, over a tablet as over an empty pocket.
        glint = (round((x - 18 + rng.normal(0, 1)) * 2), round((y - 20 + rng.normal(0, 1)) * 2))
        cv2.ellipse(surface, glint, (9, 5), -40, 0, 360, (250, 250, 250), -1, cv2.LINE_AA)
        if fault:
            sides = [(x + a * POCKET, y + b * POCKET) for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
            corners.append((fault, np.array(sides, np.float64) * OVERSAMPLING))
    return surface, corners


def draw(rng: np.random.Generator, faults: Sequence[str] = ()) -> Drawn:
    """Photograph a pack with these faults, each in a pocket of its own. Raises ValueError for others, or too many."""
    if unknown := [fault for fault in faults if fault not in FAULTS]:
        raise ValueError(f"there is no fault {unknown[0]!r}; there is {', '.join(FAULTS)}")
    if len(faults) > len(POCKETS):
        raise ValueError(f"a pack has {len(POCKETS)} pockets, not {len(faults)}")
    where = rng.permutation(len(POCKETS))
    surface, corners = _surface(rng, dict(zip(where.tolist(), faults, strict=False)))
    pose = any_pose(SIZE, rng)
    picture = expose(photograph(surface, pose, CONVEYOR), rng)
    return Drawn(picture, tuple((name, seen(points, pose)) for name, points in corners))


def _straight(rng: np.random.Generator) -> Picture:
    return photograph(_surface(rng, {})[0], pose_of(SIZE, 0, 0, 0, 1), CONVEYOR)


def prepare(folder: Path) -> None:
    """Write the golden picture, built of several good packs."""
    write_golden(folder / "golden.png", _straight)


def _zones() -> str:
    lines = []
    for number, (x, y) in enumerate(POCKETS, start=1):
        left, top, right, bottom = (round(side / SIZE, 4) for side in Box(x, y, 2 * POCKET, 2 * POCKET).corners)
        name = f"pocket {number}"
        lines.append(f"  - {{name: {name}, left: {left}, top: {top}, right: {right}, bottom: {bottom}, may_turn: any}}")
    return "\n".join(lines)


RECIPE: Final = f"""\
# Each pocket of the golden picture must hold what it holds there: a whole tablet of that colour.
detector: assembly
golden: golden.png
# How far a tablet may lie off the middle of its pocket, in pixels: `mm_per_px` is not known here.
within: 6
# A tablet may lie at any angle.
zones:
{_zones()}
"""

PRODUCT: Final = Product(
    name="blister",
    title="a blister pack: pockets empty, tablets broken or of another colour, foreign things",
    faults=FAULTS,
    recipe=RECIPE,
    prepare=prepare,
    draw=draw,
)

"""An assembled board: chips, capacitors, a connector, screws and a label, all as they must be or some with a fault."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from linegate.samples.camera import OVERSAMPLING, Picture, any_pose, expose, photograph, pose_of, seen
from linegate.samples.components import (
    Component,
    ceramic,
    chip,
    connector,
    diode,
    electrolytic,
    label,
    put,
    screw,
    small_chip,
)
from linegate.samples.golden import write_golden
from linegate.samples.product import Drawn, Product
from linegate.shapes import Box

SIZE: Final = 640
MARGIN: Final = 22
CONVEYOR: Final = (44, 45, 48)
MASK: Final = (18, 92, 50)
COPPER: Final = (50, 142, 82)
PAD: Final = (206, 198, 176)
SILK: Final = (222, 226, 216)
TAN: Final = (172, 138, 96)
# By how many pixels and degrees good ones lie off (standard deviation), and those that are shifted or askew
SLACK, TILT = 0.5, 0.4
SHIFTED, ASKEW = (7.0, 11.0), (7.0, 11.0)

Draw = Callable[[np.random.Generator], Component]


@dataclass(frozen=True, slots=True)
class Part:
    """One component of the board: where its middle lies, how large its zone is, and what it is drawn by."""

    name: str
    x: float
    y: float
    width: float
    height: float
    draw: Draw
    wrong: Draw  # what is put there by mistake
    may_turn: str = "never"
    askew: bool = False  # where it is shifted, it lies askew
    movable: bool = True


def _resistor(rng: np.random.Generator) -> Component:
    return ceramic(rng, 40, 22, (38, 40, 46))


def _capacitor(rng: np.random.Generator) -> Component:
    return ceramic(rng, 40, 22, TAN)


PARTS: Final = (
    Part("U1", 190, 200, 128, 128, lambda rng: chip(rng, 110, "LG32F", 9), lambda rng: chip(rng, 88, "LG32F", 7)),
    Part(
        "U2",
        410,
        150,
        106,
        70,
        lambda rng: small_chip(rng, 100, 50, "74A08", 7),
        lambda rng: small_chip(rng, 100, 36, "MX25", 4),
    ),
    Part(
        "U3",
        410,
        260,
        106,
        70,
        lambda rng: small_chip(rng, 100, 50, "L393", 7),
        lambda rng: ceramic(rng, 90, 44, (150, 62, 44)),
    ),
    Part("E1", 556, 150, 66, 66, lambda rng: electrolytic(rng, 27), lambda rng: ceramic(rng, 54, 30, TAN)),
    Part("D1", 550, 250, 66, 34, lambda rng: diode(rng, 44, 26), lambda rng: diode(rng, 44, 26, (176, 58, 40))),
    *(
        Part(f"C{number}", 110 + 62 * number, 342, 46, 28, _capacitor, _resistor, may_turn="half")
        for number in range(1, 5)
    ),
    *(
        Part(f"R{number}", 390 + 62 * number, 342, 46, 28, _resistor, _capacitor, may_turn="half")
        for number in range(1, 3)
    ),
    Part(
        "J1",
        200,
        430,
        194,
        46,
        lambda rng: connector(rng, 188, 40, 8),
        lambda rng: connector(rng, 188, 40, 5),
    ),
    Part(
        "label",
        440,
        450,
        176,
        76,
        lambda rng: label(rng, 160, 62),
        lambda rng: ceramic(rng, 150, 56, (120, 122, 126)),
        askew=True,
    ),
    *(
        Part(
            f"screw {number}",
            x,
            y,
            44,
            44,
            lambda rng: screw(rng, 19),
            lambda rng: ceramic(rng, 34, 24, TAN),
            may_turn="any",
            movable=False,
        )
        for number, (x, y) in enumerate(((62, 62), (578, 62), (62, 578), (578, 578)), start=1)
    ),
)
WAYS: Final = ("absent", "turned", "shifted", "wrong")


def _able(fault: str) -> list[Part]:
    """Which parts can have this fault."""
    if fault == "turned":
        return [part for part in PARTS if part.may_turn == "never" and not part.askew]
    return [part for part in PARTS if part.movable] if fault == "shifted" else list(PARTS)


def _ground() -> Picture:
    """The bare board: tracks, the pads below each component, holes below the screws, and its print."""
    side = SIZE * OVERSAMPLING
    ground = np.full((side, side, 3), CONVEYOR, np.uint8)
    edge = MARGIN * OVERSAMPLING
    ground[edge:-edge, edge:-edge] = MASK
    for y in (92, 300, 384, 498, 520, 542):
        cv2.line(ground, (100 * 2, y * 2), (540 * 2, y * 2), COPPER, 7 * 2)
    for column in (110, 300, 330, 486):
        cv2.line(ground, (column * 2, 92 * 2), (column * 2, 542 * 2), COPPER, 5 * 2)
    for part in PARTS:
        if part.name.startswith("screw"):
            cv2.circle(ground, (round(part.x * 2), round(part.y * 2)), 17 * 2, PAD, -1)
            cv2.circle(ground, (round(part.x * 2), round(part.y * 2)), 10 * 2, (20, 20, 22), -1)
        elif part.name != "label":
            for across in (-1, 1):
                x = part.x + across * (part.width / 2 - 11)
                low = round((x - 7) * 2), round((part.y - part.height / 3) * 2)
                high = round((x + 7) * 2), round((part.y + part.height / 3) * 2)
                cv2.rectangle(ground, low, high, PAD, -1)
            spot = (round((part.x - part.width / 2) * 2), round((part.y - part.height / 2 - 6) * 2))
            cv2.putText(ground, part.name, spot, cv2.FONT_HERSHEY_SIMPLEX, 0.8, SILK, 2, cv2.LINE_AA)
    cv2.putText(ground, "LINEGATE  ASSEMBLED", (380, 1210), cv2.FONT_HERSHEY_SIMPLEX, 1.0, SILK, 2, cv2.LINE_AA)
    return ground


_GROUND: Final = _ground()


def surface(
    rng: np.random.Generator, faults: Mapping[str, str]
) -> tuple[Picture, list[tuple[str, NDArray[np.float64]]]]:
    """The board as a camera would see it without any optics, and the corners of what is not as it must be.

    `faults` names the fault of each part that has one.
    """
    board, corners = _GROUND.copy(), []
    for part in PARTS:
        fault = faults.get(part.name)
        x, y = part.x + rng.normal(0, SLACK), part.y + rng.normal(0, SLACK)
        degrees = rng.normal(0, TILT)
        if fault == "turned":
            degrees += 180
        elif fault == "shifted" and part.askew:
            degrees += rng.choice([-1, 1]) * rng.uniform(*ASKEW)
        elif fault == "shifted":
            far, way = rng.uniform(*SHIFTED), rng.uniform(0, 2 * np.pi)
            x, y = x + far * np.cos(way), y + far * np.sin(way)
        if fault != "absent":
            put(board, (part.wrong if fault == "wrong" else part.draw)(rng), x, y, degrees)
        if fault:
            left, top = part.x - part.width / 2, part.y - part.height / 2
            sides = [(left, top), (left + part.width, top), (left + part.width, top + part.height)]
            sides.append((left, top + part.height))
            corners.append((fault, np.array(sides, np.float64) * OVERSAMPLING))
    return board, corners


def draw(rng: np.random.Generator, faults: Sequence[str] = ()) -> Drawn:
    """Photograph a board with these faults, each at a component of its own. Raises ValueError for others, or too many."""
    chosen: dict[str, str] = {}
    for fault in faults:
        if fault not in WAYS:
            raise ValueError(f"there is no fault {fault!r}; there is {', '.join(WAYS)}")
        free = [part.name for part in _able(fault) if part.name not in chosen]
        if not free:
            raise ValueError(f"there is no component left on this board that could be {fault}")
        chosen[free[int(rng.integers(len(free)))]] = fault
    board, corners = surface(rng, chosen)
    pose = any_pose(SIZE, rng)
    picture = expose(photograph(board, pose, CONVEYOR), rng)
    return Drawn(picture, tuple((name, seen(points, pose)) for name, points in corners))


def _straight(rng: np.random.Generator) -> Picture:
    """A good board, straight and evenly lit."""
    return photograph(surface(rng, {})[0], pose_of(SIZE, 0, 0, 0, 1), CONVEYOR)


def prepare(folder: Path) -> None:
    """Write the golden picture, built of several good boards."""
    write_golden(folder / "golden.png", _straight)


def zone(part: Part) -> Box:
    """Where a part must be, in pixels of the golden picture."""
    return Box(part.x, part.y, part.width, part.height)


def _zones() -> str:
    lines = []
    for part in PARTS:
        left, top, right, bottom = (round(side / SIZE, 4) for side in zone(part).corners)
        turn = f", may_turn: {part.may_turn}" if part.may_turn != "never" else ""
        lines.append(f"  - {{name: {part.name}, left: {left}, top: {top}, right: {right}, bottom: {bottom}{turn}}}")
    return "\n".join(lines)


RECIPE: Final = f"""\
# Each zone of the golden picture must hold what it holds there: present, the right way round, in its place.
detector: assembly
golden: golden.png
# Millimetres of the board for each pixel: `within` is in mm then, in pixels without it.
mm_per_px: 0.1
# How far a component may lie off, where its zone says nothing itself ({{..., within: 0.2}}). It may lie askew by 5° (askew),
# and must be like the golden picture by 0.75 (likeness).
within: 0.4
# may_turn: half is for what looks the same turned by 180°, any for what lies at any angle, as a screw's slot does.
zones:
{_zones()}
"""

PRODUCT: Final = Product(
    name="assembled",
    title="an assembled board: components absent, turned, shifted or wrong",
    faults=WAYS,
    recipe=RECIPE,
    prepare=prepare,
    draw=draw,
)

"""Drawn pictures of bare printed circuit boards, clean or with the six defect classes of the field.

A board is drawn twice as large as its picture and reduced by the camera's pose, which smooths its edges.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from linegate.samples.camera import OVERSAMPLING, Picture, any_pose, expose, jpeg, photograph, seen
from linegate.samples.defects import DEFECTS, LOST_PRINT, Placed, lose_print, place
from linegate.samples.design import CONVEYOR, FINISHES, MASKS, SIZE, Design, Mask, Palette, drilled_copper, golden_board
from linegate.samples.spread import Made, Spread, made
from linegate.shapes import Box

__all__ = [
    "DEFECTS",
    "FINISHES",
    "LOST_PRINT",
    "MASKS",
    "OVERSAMPLING",
    "SIZE",
    "Design",
    "Palette",
    "Photograph",
    "Spread",
    "golden_board",
    "jpeg",
    "sample",
]


@dataclass(frozen=True)
class Photograph:
    """One photographed board. `truth` names each defect and boxes it in pixels of `picture`."""

    picture: Picture  # size x size x 3
    truth: tuple[tuple[str, Box], ...]
    copper: Mask  # what is left of the design's copper, oversampled and without the camera's pose
    pose: NDArray[np.float64]  # 2 x 3: from oversampled pixels of the design to pixels of `picture`


def sample(
    design: Design, rng: np.random.Generator, defects: Sequence[str] = (), spread: Spread | None = None
) -> Photograph:
    """Photograph a board of this design with these defects, each really doing to the copper what its name says.

    With a `spread` the board itself is one of many that differ. The camera adds shift (6 px), rotation (0.8°), scale
    (0.5 %), uneven light, blur and noise. Raises ValueError for a class that is neither in DEFECTS nor LOST_PRINT, and
    where there is no place left for one.
    """
    board = (
        Made(design.conductors.copy(), design.ground, design.palette) if spread is None else made(design, spread, rng)
    )
    conductors, holes, ground = board.conductors, design.holes.copy(), board.ground.copy()
    placed: list[Placed] = []
    for name in defects:
        if name == LOST_PRINT:
            placed.append((name, lose_print(design, rng, ground)))
            continue
        if name not in DEFECTS:
            raise ValueError(f"there is no defect {name!r}; there is {', '.join((*DEFECTS, LOST_PRINT))}")
        placed.append((name, place(design, rng, name, conductors, holes, placed)))
    pose = any_pose(design.size, rng)
    surface = design.surface(conductors, holes, ground, board.palette)
    picture = expose(photograph(surface, pose, CONVEYOR), rng)
    truth = tuple((name, seen(corners, pose)) for name, corners in placed)
    return Photograph(picture, truth, drilled_copper(conductors, holes), pose)

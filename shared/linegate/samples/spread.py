"""By how much drawn boards of one design differ from each other, all of them good: etching, print and mask are never the same."""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from linegate.samples.design import Colour, Design, Mask, Palette


@dataclass(frozen=True, slots=True)
class Spread:
    """The most that one board may differ from its design, either way. Lengths are 1/640 of the picture's side."""

    etch: float = 0.4  # by which an edge of copper lies further out or in
    print_shift: float = 0.5  # of the print, across and down
    drift: float = 5.0  # of the mask's colour, in grey levels of each channel; copper below it goes along


@dataclass(frozen=True, slots=True)
class Made:
    """One board as it came out; masks are oversampled, as the design's are."""

    conductors: Mask
    ground: Mask
    palette: Palette


def made(design: Design, spread: Spread, rng: np.random.Generator) -> Made:
    """A board of this design that differs from it as much as the spread allows."""
    further = rng.uniform(-spread.etch, spread.etch) * design.unit
    across, down = rng.uniform(-spread.print_shift, spread.print_shift, 2)
    drift = rng.uniform(-spread.drift, spread.drift, 3).round().astype(int)
    palette = replace(
        design.palette, mask=_moved(design.palette.mask, drift), copper=_moved(design.palette.copper, drift)
    )
    return Made(_etched(design.conductors, float(further)), design.printed(float(across), float(down)), palette)


def _etched(conductors: Mask, further: float) -> Mask:
    """The copper with its edges moved outwards; `further` in oversampled pixels, below 0 inwards."""
    beside = conductors if further < 0 else cv2.bitwise_not(conductors)
    # Half a pixel less: the middle of a pixel at the edge lies half a pixel inside of it.
    depth = cv2.distanceTransform(beside, cv2.DIST_L2, 5) - 0.5
    within = np.asarray((depth > 0) & (depth <= abs(further)), np.uint8) * 255
    return np.asarray(cv2.subtract(conductors, within) if further < 0 else cv2.bitwise_or(conductors, within), np.uint8)


def _moved(colour: Colour, drift: np.ndarray) -> Colour:
    red, green, blue = (int(np.clip(level + step, 0, 255)) for level, step in zip(colour, drift, strict=True))
    return red, green, blue

"""What a learned model looks at: numbers for each cell of a picture, in light that was evened out.

Pictures are reduced by the whole number that the model names, and CELL x CELL pixels of the reduced one are a cell. Lengths
below are in reduced pixels.
"""

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]  # height x width x 3, RGB
Plane = NDArray[np.float32]  # height x width
Features = NDArray[np.float32]  # rows x columns x features

CELL: Final = 4
# Light changes over more than this; what is smaller is the product's.
SHADE: Final = 16.0
DARK: Final = 8.0  # grey levels added before a logarithm is taken: black tells nothing about light
ORIENTATIONS, OCTAVES, KERNEL, WAVE = 6, 3, 9, 1.5
SCALES: Final = (1.0, 2.0, 4.0, 8.0)
COLOUR_BLUR: Final = (2.0, 6.0)
# How many features each bank has
DEPTHS: Final = {"energies": ORIENTATIONS * OCTAVES, "derivatives": 6 * len(SCALES) + 2 * len(COLOUR_BLUR)}
# What the median deviation is of normal noise, in deviations
MEDIAN_DEVIATION: Final = 1.4826
# Of a feature over one picture, below which it tells nothing
LEAST_SPREAD: Final = 1e-3
# Grey levels of colour that noise and compression make on their own
COLOUR_NOISE: Final = 2.0


def reduced(picture: Picture, step: int) -> Picture:
    """The picture with means of `step` x `step` pixels."""
    if step == 1:
        return picture
    size = max(CELL, picture.shape[1] // step), max(CELL, picture.shape[0] // step)
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def grid(shape: tuple[int, ...]) -> tuple[int, int]:
    """Rows and columns of cells of a reduced picture."""
    return max(1, shape[0] // CELL), max(1, shape[1] // CELL)


def luminance(picture: Picture) -> Plane:
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.float32)


def colours(picture: Picture) -> list[Plane]:
    """Red against green, and both against blue, in grey levels: 0 on a grey picture."""
    red, green, blue = (np.asarray(picture[..., channel], np.float32) for channel in range(3))
    return [red - green, (red + green) / 2 - blue]


def texture(picture: Picture) -> tuple[Features, Features, NDArray[np.float32]]:
    """Of a reduced picture: oriented energies, signed derivatives, and what holds for the whole of it.

    The first two have the rows and columns of `grid` and are measured against the picture's own median and spread: surfaces
    differ from one another more than a defect does from its surroundings. What that takes away is in the third.
    """
    light = luminance(picture)
    flat, strength = _flat(light)
    rows, columns = grid(light.shape)
    banks = [_oriented(flat, rows, columns), _derivatives(flat, picture, rows, columns)]
    whole = [np.array([np.log(light.mean() + DARK), np.log(strength)], np.float32)]
    whole.append(np.array([plane.mean() / COLOUR_NOISE for plane in colours(picture)], np.float32))
    own = []
    for bank in banks:
        middle, spread = _own(bank)
        own.append(np.asarray((bank - middle) / spread, np.float32))
        whole += [middle, np.log(spread)]
    return own[0], own[1], np.concatenate(whole).astype(np.float32)


def _flat(light: Plane) -> tuple[Plane, float]:
    """Without light and shade, in units of what the picture does on its own; and that unit, a part of the brightness."""
    level = np.log(light + DARK)
    flat = level - cv2.GaussianBlur(level, (0, 0), SHADE, borderType=cv2.BORDER_REFLECT)
    strength = 1.5 * float(np.median(np.abs(flat - np.median(flat)))) + LEAST_SPREAD
    flat = flat / strength
    # A logarithm beyond: one glint does not outshine all else.
    return np.asarray(np.sign(flat) * np.log1p(np.abs(flat)) * 1.5, np.float32), strength


def _own(bank: Features) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The median of each feature over one picture, and how far it strays."""
    values = bank.reshape(-1, bank.shape[-1])
    middle = np.median(values, axis=0)
    spread = MEDIAN_DEVIATION * np.median(np.abs(values - middle), axis=0) + LEAST_SPREAD
    return np.asarray(middle, np.float32), np.asarray(spread, np.float32)


def _oriented(flat: Plane, rows: int, columns: int) -> Features:
    """Logarithms of the energy along ORIENTATIONS, octave by octave (a quadrature pair of Gabor filters each)."""
    planes: list[Plane] = []
    level = flat
    for octave in range(OCTAVES):
        for even, odd in _GABOR:
            answers = [cv2.filter2D(level, cv2.CV_32F, kernel, borderType=cv2.BORDER_REFLECT) for kernel in (even, odd)]
            energy = cv2.GaussianBlur(cv2.magnitude(*answers), (0, 0), 1.5)
            planes.append(np.log(_celled(energy, rows, columns, octave) + 0.05))
        level = np.asarray(cv2.pyrDown(level), np.float32)
    return np.stack(planes, axis=-1)


def _derivatives(flat: Plane, picture: Picture, rows: int, columns: int) -> Features:
    """Gaussian derivatives up to the second order at SCALES, at the middle of each cell; and colour."""
    planes: list[Any] = []
    for scale in SCALES:
        soft = cv2.GaussianBlur(flat, (0, 0), scale)
        planes.append(soft)
        for across, down in ((1, 0), (0, 1), (2, 0), (0, 2), (1, 1)):
            order = across + down
            planes.append(
                cv2.Sobel(soft, cv2.CV_32F, across, down, ksize=3) * (scale**order / (8 if order == 1 else 4))
            )
    planes += [
        cv2.GaussianBlur(plane / (10 * COLOUR_NOISE), (0, 0), blur)
        for plane in colours(picture)
        for blur in COLOUR_BLUR
    ]
    middles = np.stack(planes, axis=-1)[CELL // 2 :: CELL, CELL // 2 :: CELL]
    return np.asarray(middles[:rows, :columns], np.float32)


def _celled(plane: Any, rows: int, columns: int, octave: int) -> Plane:
    finer = CELL >> octave > 1
    how = cv2.INTER_AREA if finer else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(plane, (columns, rows), interpolation=how), np.float32)


def _gabor() -> list[tuple[Plane, Plane]]:
    pairs = []
    for turn in range(ORIENTATIONS):
        angle = np.pi * turn / ORIENTATIONS
        even, odd = (
            np.asarray(cv2.getGaborKernel((KERNEL, KERNEL), WAVE, angle, 4 * WAVE, 1.0, phase), np.float32)
            for phase in (0.0, np.pi / 2)
        )
        even -= even.mean()
        pairs.append((even / np.abs(even).sum(), odd / np.abs(odd).sum()))
    return pairs


_GABOR: Final = _gabor()
# --- products that lie still: where each cell lies is known, so it is measured against the same place of good pictures
PLACED: Final = 2  # reduced pixels from one place to the next


def places(picture: Picture) -> Features:
    """Of a reduced picture, every PLACED pixels: light, its slopes and curvature, and colour, in grey levels."""
    light = luminance(picture)
    fine, coarse = (np.asarray(cv2.GaussianBlur(light, (0, 0), blur), np.float32) for blur in (1.0, 2.5))
    planes: list[Any] = [fine, coarse, fine - coarse]
    planes += [cv2.Sobel(fine, cv2.CV_32F, *order, ksize=3, scale=0.25) for order in ((1, 0), (0, 1))]
    planes += [cv2.Sobel(coarse, cv2.CV_32F, *order, ksize=3, scale=0.5) for order in ((1, 0), (0, 1))]
    planes += [cv2.GaussianBlur(plane, (0, 0), 1.5) for plane in colours(picture)]
    return np.asarray(np.stack(planes, axis=-1)[::PLACED, ::PLACED], np.float32)

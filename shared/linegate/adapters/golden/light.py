"""A golden picture in the light of another one: exposure, tone and shade, which are no defects."""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from linegate.adapters.golden.materials import Grey, Mask, Picture, reduced
from linegate.adapters.golden.robust import fitted, places

Small = NDArray[np.float32]  # height / BLOCK x width / BLOCK

# Light is told block by block, each from its surroundings of so many blocks: a difference that fills less than half of
# them does not count as light.
BLOCK, SURROUNDINGS = 8, 11
# Grey levels that are added before a logarithm is taken: black tells nothing about light.
DARK: Final = 8
LOGARITHMS: Final = np.log(np.arange(256, dtype=np.float32) + DARK)
# Exponents of a camera's tone curve against another's, and the logarithm of a factor, up to which light may change.
FLATTEST, STEEPEST, STRONGEST = 0.7, 1.4, 0.7
# Logarithm of a factor by which it may change from place to place besides, and steps into which that is divided.
LOCAL, STEPS = 0.22, 380
# Every so many blocks across and down are enough for what changes slowly.
FEW: Final = 2


def in_the_light_of(have: Picture, want: Picture, beyond: Mask | None = None) -> tuple[Picture, Grey]:
    """`want` in the light of `have`, and by how many grey levels that light may be wrong at each pixel.

    `beyond` is 255 where `want` shows nothing of its own, which tells no light.

    A camera gives each channel its own factor and exponent on the whole picture. Light changes all channels alike: slowly
    over the picture, which a parabola tells, and besides from place to place. There the median of the surroundings tells
    it, which keeps the border of a shade and does not see a defect.
    """
    lit, wanted = (np.asarray(cv2.LUT(blocks(picture), LOGARITHMS), np.float32) for picture in (have, want))
    if beyond is not None:
        known = blocks(beyond) == 0
        lit, wanted = filled(lit, known), filled(wanted, known)
    across, few = places(lit.shape[:2]), np.s_[::FEW, ::FEW]
    slow = np.zeros(lit.shape[:2], np.float32)
    tones = [(0.0, 1.0)] * 3
    ratio = slow
    for _ in range(2):  # tone first, for the greater part is of it; then again, without the shade
        tones = [_tone((lit[..., channel] - slow)[few], wanted[..., channel][few]) for channel in range(3)]
        ratio = _middle([_less(lit[..., at], wanted[..., at], tone) for at, tone in enumerate(tones)])
        slow = np.asarray(across @ fitted(across[few].reshape(-1, 6), ratio[few].ravel()), np.float32)
    coded = (np.clip(ratio - slow, -LOCAL, LOCAL) * STEPS + 128).astype(np.uint8)
    local = np.asarray(cv2.medianBlur(coded, SURROUNDINGS), np.uint8)
    # The median follows what changes evenly. It rounds the corners of a shade off, by two blocks at most: there, more is
    # on the one side than on the other.
    kernel = np.ones((5, 5), np.uint8)
    above, below = cv2.subtract(cv2.dilate(local, kernel), local), cv2.subtract(local, cv2.erode(local, kernel))
    spread = np.asarray(cv2.dilate(cv2.absdiff(above, below), np.ones((3, 3), np.uint8)), np.float32)
    even = slow + cv2.GaussianBlur((local.astype(np.float32) - 128) / STEPS, (0, 0), 1.0)
    gain = np.exp(np.clip(even, -STRONGEST, STRONGEST))
    most = float(gain.max())
    strength = widened((gain * (255 / most)).round().astype(np.uint8), want)
    moved = cv2.multiply(cv2.LUT(want, _curves(tones)), cv2.merge([strength] * 3), scale=most / 255)
    doubt = np.clip(spread / STEPS * np.exp(lit.max(axis=2)), 0, 255).astype(np.uint8)
    return np.asarray(moved, np.uint8), widened(doubt, want)


def filled(values: Small, known: NDArray[np.bool_]) -> Small:
    """Blocks of three channels; where they are not known the mean of those that are, as far around as SURROUNDINGS reach."""
    around = (2 * SURROUNDINGS + 1,) * 2
    count = cv2.blur(known.astype(np.float32), around)
    means = cv2.blur(values * known[..., None], around) / np.maximum(count, 1e-6)[..., None]
    return np.asarray(np.where((known | (count < 1e-6))[..., None], values, means), np.float32)


def blocks(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The means of BLOCK x BLOCK pixels."""
    return reduced(picture, BLOCK)


def widened(small: NDArray[np.uint8], picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Blocks as large as `picture` again."""
    return np.asarray(cv2.resize(small, picture.shape[1::-1], interpolation=cv2.INTER_LINEAR), np.uint8)


def _tone(lit: Small, wanted: Small) -> tuple[float, float]:
    """Offset and slope that lead from the one logarithm to the other."""
    known = np.stack([np.ones(wanted.size), wanted.ravel()], axis=1)
    # As if some blocks more said that nothing changes: a board of one grey tells no slope.
    _, change = fitted(known, (lit - wanted).ravel(), (0.0, 0.01))
    slope = float(np.clip(1 + change, FLATTEST, STEEPEST))
    return float(np.median(lit - slope * wanted)), slope


def _less(lit: Small, wanted: Small, tone: tuple[float, float]) -> Small:
    """What is left of the change when that of the tone is taken off."""
    offset, slope = tone
    return np.asarray(lit - offset - slope * wanted, np.float32)


def _middle(three: list[Small]) -> Small:
    """The median of three, place by place."""
    one, other, third = three
    return np.asarray(np.maximum(np.minimum(one, other), np.minimum(np.maximum(one, other), third)), np.float32)


def _curves(tones: list[tuple[float, float]]) -> NDArray[np.uint8]:
    """A table for `cv2.LUT`: 1 x 256 x 3."""
    level = np.log(np.arange(256) + DARK)
    curves = [np.clip(np.exp(offset + slope * level) - DARK, 0, 255).round() for offset, slope in tones]
    return np.asarray(np.stack(curves, axis=1)[None], np.uint8)

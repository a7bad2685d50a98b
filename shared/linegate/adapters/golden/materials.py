"""What shows copper on a picture, and what shows bare metal."""

from typing import Any, Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

Picture = NDArray[np.uint8]  # height x width x 3, RGB
Grey = NDArray[np.uint8]  # height x width
Mask = NDArray[np.uint8]  # height x width, 0 or 1
Copper = Literal["auto", "bright", "dark"]

# Part of the pixels that are dark or bright on a black-and-white scan; where none is bright, they must be black.
BILEVEL_SHARE: Final = 0.9
DARK, BRIGHT, BLACK, WHITE = 40, 215, 16, 245
# Part of the pixels that are black or white on a picture that can have no third material.
TWO_LEVELS: Final = 0.8
# Glare brightens all channels by the same, give or take this part of it.
TINT: Final = 0.25
_WHITE: Final = np.ceil((1 - TINT) * np.arange(256)).astype(np.uint8)  # the least that the darkest channel is then
# Side to which the shorter side is reduced to look for glare, and the window there whose median is taken.
GLARE_SIDE, GLARE_WINDOW = 320, 15
# Bare metal is grey: its channels differ by less than this part of the brightest, which shadows are too dark to tell. It
# can be told from a board of which at least this part is coloured.
GREY, SHADOW, COLOURED = 0.4, 60, 0.5
# Part of the contrast of the two materials below which a difference of grey levels is no other material.
FAINT: Final = 0.25
# Times the learned deviation, and grey levels besides, that good boards may still differ.
DEVIATION_FACTOR, DEVIATION_MARGIN = 1.25, 8.0


def copper_masks(even: Picture, golden: Picture, copper: Copper, variation: Grey | None) -> tuple[Mask, Mask]:
    """Copper of the picture (without glare, see `evened`) and of the golden picture, by one threshold, in the same light.

    `variation` is by how many grey levels good boards differ from the golden one, at each pixel.
    """
    scan = bilevel(golden)
    want, have = lightness(golden), lightness(even)
    if scan:
        threshold, least = 127.0, 0.0  # also where the golden scan is all of one kind, which tells no threshold
    else:
        low, high = _materials(want)
        threshold, least = (low + high) / 2, FAINT * (high - low)
        # Light that differs between the two: the ratio of their wide surroundings.
        gain = np.asarray((_wide(want) + 8) / (_wide(have) + 8), np.float32)
        gain = np.clip(cv2.resize(gain, want.shape[::-1], interpolation=cv2.INTER_LINEAR), 0.5, 2.0)
        # In whole numbers: a third of the time, to within a grey level.
        brighter = (have.astype(np.uint16) * (gain * 128).astype(np.uint16)) >> 7
        have = np.minimum(brighter, 255).astype(np.uint8)
    dark = copper == "dark" or (copper == "auto" and scan)
    kind = cv2.THRESH_BINARY_INV if dark else cv2.THRESH_BINARY
    smooth_have, smooth_want = cv2.GaussianBlur(have, (3, 3), 0), cv2.GaussianBlur(want, (3, 3), 0)
    masks = (cv2.threshold(grey, threshold, 1, kind)[1] for grey in (smooth_have, smooth_want))
    have_mask, want_mask = (np.asarray(mask, np.uint8) for mask in masks)
    allowed = np.full_like(have_mask, round(least))
    if variation is not None:
        allowed = np.maximum(allowed, cv2.convertScaleAbs(variation, alpha=DEVIATION_FACTOR, beta=DEVIATION_MARGIN))
    # Where the two differ faintly, or by as much as good boards do, this one shows what the golden one shows; but what
    # borders on a true difference belongs to it, or a cut would not reach the soft edge of its track.
    usual = cv2.absdiff(smooth_have, smooth_want) <= allowed
    true = np.asarray((have_mask != want_mask) & ~usual, np.uint8)
    true = np.asarray(cv2.morphologyEx(true, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)), np.uint8)
    beside = np.asarray(cv2.dilate(true, np.ones((5, 5), np.uint8))) > 0
    return np.where(usual & ~beside, want_mask, have_mask), want_mask


def evened(picture: Picture, golden: Picture) -> Picture:
    """The picture without glare, where that can be told from copper: by its colour."""
    return picture if bilevel(golden) or not coloured(golden) else without_glare(picture, golden)


def without_glare(picture: Picture, golden: Picture) -> Picture:
    """The picture without the light that a shiny surface throws back: white, so it brightens all channels alike.

    Copper that is there too much brightens them unequally; on it, glare is what its surroundings have, so that a bridge
    below a spot of glare is seen. A bright spot with a sharp edge can't be told from solder, and stays.
    """
    red, green, blue = cv2.split(cv2.subtract(picture, golden))
    most = np.asarray(cv2.max(cv2.max(red, green), blue), np.uint8)
    least = np.asarray(cv2.min(cv2.min(red, green), blue), np.uint8)
    white = cv2.bitwise_and(least, cv2.compare(least, cv2.LUT(most, _WHITE), cv2.CMP_GE))
    if not cv2.hasNonZero(white):
        return picture
    height, width = white.shape
    side = GLARE_SIDE / min(height, width)
    reduced = cv2.resize(white, None, fx=side, fy=side, interpolation=cv2.INTER_AREA)
    around = cv2.GaussianBlur(cv2.medianBlur(reduced, GLARE_WINDOW), (0, 0), 1.0)
    glare = cv2.resize(around, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.asarray(cv2.subtract(picture, cv2.merge([glare] * 3)), np.uint8)


def bare_metal(picture: Picture) -> Mask:
    """Metal that no solder mask covers: grey, on a coloured board."""
    grey, brightest = _greyish(picture)
    return np.asarray(grey & (brightest > SHADOW), np.uint8)


def coloured(picture: Picture) -> bool:
    """Whether the board has a colour that bare metal can be told from."""
    return 1 - float(_greyish(picture[::4, ::4])[0].mean()) > COLOURED


def _greyish(picture: Picture) -> tuple[NDArray[np.bool_], Grey]:
    """Where the picture has no colour to speak of, and the brightest of its channels."""
    red, green, blue = cv2.split(picture)
    brightest = np.asarray(cv2.max(cv2.max(red, green), blue), np.uint8)
    darkest = np.asarray(cv2.min(cv2.min(red, green), blue), np.uint8)
    return brightest - darkest <= GREY * brightest, brightest


def _materials(grey: Grey) -> tuple[float, float]:
    """The mean levels of what Otsu's method takes for the two materials, the darker one first.

    The threshold belongs midway between them: on an even board Otsu's own value lies at the very edge.
    """
    grey = np.ascontiguousarray(grey[::2, ::2])
    otsu, _ = cv2.threshold(grey, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    histogram = np.bincount(grey.ravel(), minlength=256).astype(np.float64)
    values, split = np.arange(256), int(otsu) + 1
    low, high = (
        np.average(values[part], weights=histogram[part] + 1e-9) for part in (slice(0, split), slice(split, 256))
    )
    return float(low), float(high)


def lightness(picture: Picture) -> Grey:
    """The brightest of the three colours: copper, bare or below the mask, is brighter than the mask in at least one."""
    red, green, blue = cv2.split(picture)  # a tenth of the time of picture.max(axis=2)
    return np.asarray(cv2.max(cv2.max(red, green), blue), np.uint8)


def bilevel(picture: NDArray[Any]) -> bool:
    """Whether the picture (grey or RGB) is a black-and-white scan, or a part of one, and not merely dark or coloured."""
    sampled = picture[::4, ::4]
    if sampled.ndim == 3:
        sampled = sampled.max(axis=2)
    bright = float((sampled > BRIGHT).mean())
    dark = float((sampled < (DARK if bright > 0 else BLACK)).mean())
    return dark + bright > BILEVEL_SHARE


def two_levels(picture: Picture) -> bool:
    """Whether it is a black-and-white scan and nothing else: a photograph of a white board is bright, but not white."""
    light = lightness(np.ascontiguousarray(picture[::4, ::4]))
    return bilevel(picture) and float(((light < BLACK) | (light > WHITE)).mean()) > TWO_LEVELS


def _wide(grey: Grey) -> NDArray[np.float32]:
    """The picture's wide surroundings, reduced to an eighth."""
    small = cv2.resize(grey, (grey.shape[1] // 8, grey.shape[0] // 8), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.GaussianBlur(small.astype(np.float32), (0, 0), max(grey.shape) / 160), np.float32)

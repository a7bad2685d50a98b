"""Light that a shiny surface throws back, and places that it left too bright to be compared."""

from typing import Final

import cv2
import numpy as np

from linegate.adapters.golden.materials import Grey, Mask, Picture, above, darkest, extremes, reduced
from linegate.adapters.golden.robust import fitted, places

# Glare brightens all channels by the same, give or take this part of it.
TINT: Final = 0.25
_WHITE: Final = np.ceil((1 - TINT) * np.arange(256)).astype(np.uint8)  # the least that the darkest channel is then
# Side to which the shorter side is reduced to look for glare, and the window there whose median is taken.
GLARE_SIDE, GLARE_WINDOW = 320, 15
# Grey levels from which it is glare and no change of light, and pixels there within which that fades away.
GLARES, GLARE_FADES = 30, 16
FAINT_LEVELS: Final = 8  # that are looked for one by one
# Grey levels above which a channel is clipped, and pixels across of a white spot that may be solder.
CLIPPED, SPOT = 251, 13
# Pixels across of the blocks that tell in which light it is looked for, and grey levels added before a logarithm is taken.
LIT, DARK = 8, 8


def glare(picture: Picture, golden: Picture) -> Grey | None:
    """The light that a shiny surface throws back, in grey levels of all channels: white, so it brightens them alike.

    On a reduced picture, GLARE_SIDE pixels across. Copper that is there too much brightens them unequally; on it, glare is
    what its surroundings have, so that a bridge below a spot of glare is seen. A bright spot with a sharp edge can't be told
    from solder, and stays.
    """
    have, golden = _smaller(picture), _smaller(golden)
    brighter = np.asarray(cv2.subtract(have, _lit(have, golden)), np.uint8)
    most, least = extremes(brighter)
    clipped = np.asarray(cv2.threshold(have, CLIPPED, 255, cv2.THRESH_BINARY)[1], np.uint8)
    if clipped.any():  # by how much more those channels brightened nobody knows
        least = np.asarray(cv2.min(darkest(np.asarray(cv2.max(brighter, clipped), np.uint8)), most), np.uint8)
    white = cv2.bitwise_and(least, cv2.compare(least, cv2.LUT(most, _WHITE), cv2.CMP_GE))
    if not cv2.hasNonZero(white):
        return None
    known = _median(np.asarray(white, np.uint8))
    if not cv2.hasNonZero(known):
        return None
    # Where it is faint it can't be told from a change of light, but it does not end there.
    around = cv2.dilate(
        cv2.threshold(known, GLARES, 255, cv2.THRESH_BINARY)[1], np.ones((2 * GLARE_FADES + 1,) * 2, np.uint8)
    )
    fading = np.asarray(cv2.blur(around, (GLARE_FADES,) * 2), np.uint8)
    if cv2.hasNonZero(fading):
        known = np.asarray(cv2.max(known, cv2.multiply(_median(least, fading), fading, scale=1 / 255)), np.uint8)
    return np.asarray(cv2.GaussianBlur(known, (0, 0), 1.0), np.uint8)


def _smaller(picture: Picture) -> Picture:
    side = GLARE_SIDE / min(picture.shape[:2])
    less = reduced(picture, max(1, int(1 / side)))
    size = tuple(round(side * length) for length in picture.shape[1::-1])
    return np.asarray(cv2.resize(less, size, interpolation=cv2.INTER_AREA), np.uint8)


def _lit(have: Picture, golden: Picture) -> Picture:
    """The golden picture in the light of the picture, where that is brighter: exposure, and what changes slowly across it."""
    lit, wanted = (np.log(reduced(shown, LIT).astype(np.float32) + DARK) for shown in (have, golden))
    ratio = lit - wanted
    exposed = np.median(ratio, axis=(0, 1))
    across = places(ratio.shape[:2])
    slow = across @ fitted(across.reshape(-1, 6), np.median(ratio - exposed, axis=2).ravel())
    gain = np.exp(np.maximum(exposed + slow[..., None], 0)).astype(np.float32)
    wide = cv2.resize(gain, golden.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(np.clip((golden + np.float32(DARK)) * wide - DARK, 0, 255), np.uint8)


def _median(grey: Grey, wanted: Grey | None = None) -> Grey:
    """The median around each pixel, 0 where `wanted` is: nearly always it is next to nothing, nearly everywhere.

    It is above a level where more than half of the pixels around are, which takes less time to find out for a few levels.
    """
    window, found, room = (GLARE_WINDOW,) * 2, np.zeros_like(grey), GLARE_WINDOW // 2
    left = top = width = height = 0
    for level in range(FAINT_LEVELS):
        count = cv2.boxFilter(above(grey, level), cv2.CV_16U, window, normalize=False, borderType=cv2.BORDER_REPLICATE)
        more = np.asarray(count > GLARE_WINDOW**2 // 2, np.uint8)
        left, top, width, height = cv2.boundingRect(more if wanted is None else cv2.min(more, wanted))
        if not width:
            break
        found += more
    if width:
        rows, columns = slice(max(0, top - room), top + height + room), slice(max(0, left - room), left + width + room)
        part = cv2.medianBlur(np.ascontiguousarray(grey[rows, columns]), GLARE_WINDOW)
        top, left = top - rows.start, left - columns.start
        found[rows, columns][top : top + height, left : left + width] = part[top : top + height, left : left + width]
    return found


def drowned(picture: Grey, golden: Grey) -> Mask:
    """255 where all that the golden picture shows is white on the picture: glare or exposure left nothing to compare.

    Small white spots are no such places: they may be solder. Of both pictures it is given the `darkest`.
    """
    have, want = (cv2.threshold(least, CLIPPED, 255, cv2.THRESH_BINARY)[1] for least in (picture, golden))
    lost = cv2.subtract(have, want)
    if cv2.hasNonZero(lost):
        lost = cv2.morphologyEx(lost, cv2.MORPH_OPEN, np.ones((SPOT, SPOT), np.uint8))
        # What stands in it and is not quite as bright drowns as well.
        lost = cv2.morphologyEx(lost, cv2.MORPH_CLOSE, np.ones((2 * SPOT + 1,) * 2, np.uint8))
    return np.asarray(lost, np.uint8)

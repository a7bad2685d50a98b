"""What shows copper on a picture, and what shows bare metal."""

import math
from collections.abc import Callable, Sequence
from typing import Any, Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from linegate.adapters.golden.windows import where

Picture = NDArray[np.uint8]  # height x width x 3, RGB
Grey = NDArray[np.uint8]  # height x width
Mask = NDArray[np.uint8]  # height x width, 0 or 1
Copper = Literal["auto", "bright", "dark"]

# Pixels whose channels are taken apart at once: as many as stay near the processor.
BAND: Final = 2**17
# Where looks are compared, pictures are reduced by a whole number so that the shorter side comes nearest to this.
SIDE: Final = 800
# Part of the pixels that are dark or bright on a black-and-white scan; where none is bright, they must be black.
BILEVEL_SHARE: Final = 0.9
DARK, BRIGHT, BLACK, WHITE = 40, 215, 16, 245
# Part of the pixels that are black or white on a picture that can have no third material.
TWO_LEVELS: Final = 0.8
# Bare metal is grey: its channels differ by less than this part of the brightest, which shadows are too dark to tell. It
# can be told from a board of which at least this part is coloured.
GREY, SHADOW, COLOURED = 0.4, 60, 0.5
_GREYISH: Final = np.floor(GREY * np.arange(256)).astype(np.uint8)  # the most that the channels are apart then
# Part of the contrast of the two materials below which a difference of grey levels is no other material.
FAINT: Final = 0.25
# Times the learned deviation, and grey levels besides, that good boards may still differ.
DEVIATION_FACTOR, DEVIATION_MARGIN = 2.0, 8.0
# Pixels around a difference of materials that are looked at with it: twice as many as what borders on it can be away.
BESIDE: Final = 8


class Shown:
    """A picture, and what it is reduced by whole numbers: each is made once, whoever asks for it."""

    def __init__(self, pixels: Picture) -> None:
        self.pixels, self.shape = pixels, pixels.shape
        self._reduced: dict[int, Picture] = {}
        self._extremes: dict[int, tuple[Grey, Grey]] = {}

    @classmethod
    def of(cls, picture: "Picture | Shown") -> "Shown":
        return picture if isinstance(picture, Shown) else cls(picture)

    def by(self, step: int) -> Picture:
        """As `reduced` makes it."""
        if step not in self._reduced:
            self._reduced[step] = reduced(self.pixels, step)
        return self._reduced[step]

    def light(self, step: int) -> Grey:
        """The `lightness` of what `by` makes."""
        return self._told(step)[0]

    def dark(self, step: int) -> Grey:
        """The `darkest` of what `by` makes."""
        return self._told(step)[1]

    def lightness(self) -> Grey:
        """Of the picture as it is; alone, if nobody has asked for the darkest as well."""
        return self._extremes[1][0] if 1 in self._extremes else lightness(self.pixels)

    def _told(self, step: int) -> tuple[Grey, Grey]:
        if step not in self._extremes:
            self._extremes[step] = extremes(self.by(step))
        return self._extremes[step]


def step_of(picture: Picture) -> int:
    """By how many times it is reduced where looks are compared."""
    return max(1, round(float(min(picture.shape[:2])) / SIDE))


def resized(grey: Grey, shape: tuple[int, ...]) -> Grey:
    """The means of what makes each pixel of a picture of this shape; by a whole number first, which is quicker."""
    if grey.shape == shape:
        return grey
    step = max(1, min(grey.shape[0] // max(1, shape[0]), grey.shape[1] // max(1, shape[1])))
    return np.asarray(cv2.resize(reduced(grey, step), shape[::-1], interpolation=cv2.INTER_AREA), np.uint8)


def reduced(picture: Picture, step: int) -> Picture:
    """The means of step x step pixels, of a grey picture or an RGB one; at least one pixel a side is left."""
    step = min(step, *picture.shape[:2])
    if step == 1:
        return picture
    height, width = (side // step for side in picture.shape[:2])
    whole = picture[: height * step, : width * step]  # a whole factor takes a third of the time
    return np.asarray(cv2.resize(whole, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def copper_masks(
    picture: Picture | Shown,
    golden: Picture | Shown,
    copper: Copper,
    variation: Grey | None,
    glare: Grey | None = None,
) -> tuple[Mask, Mask]:
    """Copper of the picture and of the golden picture, by one threshold, in the same light.

    `glare` is taken out first, if there is any, `variation` by how many grey levels good boards differ from the golden
    one, at each pixel.
    """
    want, have = Shown.of(golden).lightness(), Shown.of(picture).lightness()
    scan, gain = bilevel(want), None
    # Copper on a grey board brightens as glare does.
    if glare is not None and not scan:
        have = np.asarray(cv2.subtract(have, enlarged(glare, have)), np.uint8)
    if scan:
        threshold, least = 127.0, 0.0  # also where the golden scan is all of one kind, which tells no threshold
    else:
        low, high = _materials(want)
        threshold, least = (low + high) / 2, FAINT * (high - low)
        # Light that differs between the two: the ratio of their wide surroundings; in whole numbers, to within a grey level.
        ratio = np.clip((_wide(want) + 8) / (_wide(have) + 8), 0.5, 255 / 128) * 128
        gain = enlarged(ratio.round().astype(np.uint8), have)
    dark = copper == "dark" or (copper == "auto" and scan)
    kind = cv2.THRESH_BINARY_INV if dark else cv2.THRESH_BINARY
    have_mask, want_mask, apart = (np.empty(want.shape, np.uint8) for _ in range(3))
    height, rows = len(want), max(1, BAND // want.shape[1])
    for top in range(0, height, rows):
        bottom = min(height, top + rows)
        first, last = max(0, top - 1), min(height, bottom + 1)  # with the neighbours
        lit = have[first:last] if gain is None else cv2.multiply(have[first:last], gain[first:last], scale=1 / 128)
        smooth = [cv2.GaussianBlur(grey, (3, 3), 0)[top - first : bottom - first] for grey in (lit, want[first:last])]
        for grey, mask in zip(smooth, (have_mask, want_mask), strict=True):
            cv2.threshold(grey, threshold, 1, kind, dst=mask[top:bottom])
        cv2.absdiff(smooth[0], smooth[1], dst=apart[top:bottom])
    if not round(least) and variation is None:
        return have_mask, want_mask  # whatever differs, differs by more
    differs = np.asarray(cv2.bitwise_xor(have_mask, want_mask), np.uint8)
    # Where the two differ faintly, or by as much as good boards do, this one shows what the golden one shows; but what
    # borders on a true difference belongs to it, or a cut would not reach the soft edge of its track.
    unusual = above(apart, round(least))
    have_mask[:] = want_mask
    for window in where(np.asarray(cv2.bitwise_and(differs, unusual), np.uint8), BESIDE):
        counts = unusual[window]
        if variation is not None:
            allowed = cv2.convertScaleAbs(
                cv2.dilate(variation[window], np.ones((3, 3), np.uint8)), alpha=DEVIATION_FACTOR, beta=DEVIATION_MARGIN
            )
            counts = counts & (apart[window] > allowed)
        true = cv2.morphologyEx(cv2.bitwise_and(differs[window], counts), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8))
        counts = counts | np.asarray(cv2.dilate(true, np.ones((5, 5), np.uint8)), np.uint8)
        have_mask[window] ^= differs[window] & counts
    return have_mask, want_mask


def enlarged(small: Grey, picture: NDArray[np.uint8]) -> Grey:
    """What changes slowly, as large as `picture`."""
    return np.asarray(cv2.resize(small, picture.shape[1::-1], interpolation=cv2.INTER_LINEAR), np.uint8)


def bare_metal(picture: Picture) -> Mask:
    """Metal that no solder mask covers: grey, on a coloured board."""
    grey, brightest = _greyish(picture)
    return np.asarray(cv2.bitwise_and(grey, cv2.threshold(brightest, SHADOW, 1, cv2.THRESH_BINARY)[1]), np.uint8)


def coloured(picture: Picture) -> bool:
    """Whether the board has a colour that bare metal can be told from."""
    grey = _greyish(np.ascontiguousarray(picture[::4, ::4]))[0]
    return 1 - cv2.countNonZero(grey) / grey.size > COLOURED


def _greyish(picture: Picture) -> tuple[Mask, Grey]:
    """255 where the picture has no colour to speak of, and the brightest of its channels."""
    brightest, least = extremes(picture)
    grey = cv2.compare(cv2.subtract(brightest, least), cv2.LUT(brightest, _GREYISH), cv2.CMP_LE)
    return np.asarray(grey, np.uint8), brightest


def _materials(grey: Grey) -> tuple[float, float]:
    """The mean levels of what Otsu's method takes for the two materials, the darker one first.

    The threshold belongs midway between them: on an even board Otsu's own value lies at the very edge.
    """
    grey = np.ascontiguousarray(grey[::2, ::2])
    otsu, _ = cv2.threshold(grey, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    histogram = counted(grey)
    values, split = np.arange(256), int(otsu) + 1
    low, high = (
        np.average(values[part], weights=histogram[part] + 1e-9) for part in (slice(0, split), slice(split, 256))
    )
    return float(low), float(high)


def lightness(picture: Picture) -> Grey:
    """The brightest of the three colours: copper, bare or below the mask, is brighter than the mask in at least one."""
    return _of_channels(picture, (cv2.max,))[0]


def darkest(picture: Picture) -> Grey:
    """The darkest of the three colours."""
    return _of_channels(picture, (cv2.min,))[0]


def extremes(picture: Picture) -> tuple[Grey, Grey]:
    """`lightness` and `darkest`, in less time than one after the other."""
    lightest, least = _of_channels(picture, (cv2.max, cv2.min))
    return lightest, least


def _of_channels(picture: Picture, choices: Sequence[Callable[..., Any]]) -> list[Grey]:
    """In bands of rows whose channels lie in the same place each time: a third of the time that it takes at once."""
    height, width = picture.shape[:2]
    chosen = [np.empty((height, width), np.uint8) for _ in choices]
    rows = min(height, max(1, BAND // max(1, width)))
    channels = np.empty((3, rows, width), np.uint8)
    for top in range(0, height, rows):
        band = picture[top : top + rows]
        red, green, blue = (channel[: len(band)] for channel in channels)
        cv2.split(band, (red, green, blue))
        for choose, all_chosen in zip(choices, chosen, strict=True):
            part = all_chosen[top : top + rows]
            choose(red, green, dst=part)
            choose(part, blue, dst=part)
    return chosen


def above(grey: Grey, level: float) -> Mask:
    """1 where it is more than `level`."""
    return np.asarray(cv2.threshold(grey, level, 1, cv2.THRESH_BINARY)[1], np.uint8)


def up_to(grey: Grey, level: float) -> Mask:
    """1 where it is no more than `level`."""
    return np.asarray(cv2.threshold(grey, level, 1, cv2.THRESH_BINARY_INV)[1], np.uint8)


def percentile(levels: Grey, part: float) -> float:
    """As `numpy.percentile` tells it, by counting how often each grey level is there: a tenth of the time."""
    at = part / 100 * (levels.size - 1)
    reached = np.cumsum(counted(levels))
    low, high = np.searchsorted(reached, (math.floor(at), math.ceil(at)), side="right").tolist()
    return float(low + (high - low) * (at - math.floor(at)))


def counted(levels: Grey) -> NDArray[np.float64]:
    """How often each of the 256 grey levels is there."""
    counts = cv2.calcHist([np.ascontiguousarray(levels)], [0], None, [256], [0, 256])
    return np.asarray(counts, np.float64).ravel()


def bilevel(picture: NDArray[Any]) -> bool:
    """Whether the picture (grey or RGB) is a black-and-white scan, or a part of one, and not merely dark or coloured."""
    sampled = np.ascontiguousarray(picture[::4, ::4])
    if sampled.ndim == 3:
        sampled = lightness(sampled)
    return _bilevel(sampled)


def _bilevel(sampled: Grey) -> bool:
    bright = float((sampled > BRIGHT).mean())
    dark = float((sampled < (DARK if bright > 0 else BLACK)).mean())
    return dark + bright > BILEVEL_SHARE


def two_levels(picture: Picture) -> bool:
    """Whether it is a black-and-white scan and nothing else: a photograph of a white board is bright, but not white."""
    light = lightness(np.ascontiguousarray(picture[::4, ::4]))
    return _bilevel(light) and float(((light < BLACK) | (light > WHITE)).mean()) > TWO_LEVELS


def _wide(grey: Grey) -> NDArray[np.float32]:
    """The picture's wide surroundings, reduced to an eighth."""
    small = reduced(grey, 8)
    return np.asarray(cv2.GaussianBlur(small.astype(np.float32), (0, 0), max(grey.shape) / 160), np.float32)

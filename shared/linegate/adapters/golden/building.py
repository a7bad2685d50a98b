"""One golden picture out of several pictures of good boards of one design.

The median of boards laid over each other keeps what they have in common. A scratch, a hair or a glint on one of them is
gone from it, and so is most of the noise. How far they differ from it at each pixel is kept with it: where good boards
differ, a difference is no defect.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np

from linegate.adapters.golden.appearance import blurred, luminance_and_colour
from linegate.adapters.golden.light import in_the_light_of
from linegate.adapters.golden.materials import Grey, Picture, lightness, step_of
from linegate.adapters.golden.picture import Golden
from linegate.adapters.golden.registration import beyond, lay, lies, pose

BAND: Final = 256  # rows whose median is taken at a time: fifty large pictures need not lie in memory twice
# Grey levels from the median from which a board stands out
DEVIANT: Final = 48


@dataclass(frozen=True, slots=True)
class Built:
    """The golden picture, and of each board the part (0 … 1) of its pixels that stand out from it."""

    golden: Golden
    deviant: tuple[float, ...]


def laid_over(first: Picture, other: Picture) -> Picture:
    """Another board in the pose and light of the first, which shows itself where the other ends.

    Raises RegistrationError for one that does not fit.
    """
    warp = pose(first, other)
    outside = beyond(lies(other.shape, warp), first.shape)
    lit = in_the_light_of(first, lay(other, first, warp), outside)[0]
    return np.asarray(cv2.copyTo(first, outside, lit), np.uint8)


def built(laid: Sequence[Picture]) -> Built:
    """The median of boards that were laid over the first of them."""
    first = laid[0]
    golden = np.empty_like(first)
    for band in _bands(first):
        golden[band] = np.median(np.stack([picture[band] for picture in laid]), axis=0).astype(np.uint8)
    deviant = tuple(float((cv2.absdiff(picture, golden).max(axis=2) > DEVIANT).mean()) for picture in laid)
    return Built(Golden(golden, _variation(golden, laid, _fine), _variation(golden, laid, _broad)), deviant)


def _variation(golden: Picture, laid: Sequence[Picture], look: Callable[[Picture], Picture]) -> Grey:
    """The second largest difference from the golden picture: the largest may be a defect of one board.

    Looked at as the comparison does.
    """
    middle = look(golden)
    variation = np.empty(golden.shape[:2], np.uint8)
    differences = [_most(np.asarray(cv2.absdiff(look(picture), middle), np.uint8)) for picture in laid]
    for band in _bands(golden):
        variation[band] = np.sort(np.stack([difference[band] for difference in differences]), axis=0)[-2]
    return variation


def _fine(picture: Picture) -> Grey:
    """Its lightness, a little blurred."""
    return np.asarray(cv2.GaussianBlur(lightness(picture), (3, 3), 0), np.uint8)


def _broad(picture: Picture) -> Picture:
    """So blurred that where thin strokes lie averages out."""
    return blurred(luminance_and_colour(picture), step_of(picture))


def _most(difference: Grey) -> Grey:
    return lightness(difference) if difference.ndim == 3 else difference


def _bands(picture: Picture) -> list[slice]:
    return [np.s_[top : top + BAND] for top in range(0, len(picture), BAND)]

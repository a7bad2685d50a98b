"""What a difference does to the copper: the class of a defect.

Copper that is gone splits a track, bites it or leaves a void in it; copper that is there too many joins conductors,
touches one, fills a hole, or stands alone.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from linegate.adapters.golden.classes import GoldenClass
from linegate.adapters.golden.materials import Mask

# Pixels up to which a part of a mask is noise.
CRUMB: Final = 6


@dataclass(frozen=True)
class Region:
    """One difference: its pixels inside a window of the picture, with room around it to see what it touches."""

    window: tuple[slice, slice]
    pixels: Mask
    bounds: tuple[int, int, int, int]  # left, top, right, bottom in the picture

    @cached_property
    def hull(self) -> Mask:
        """The pixels with all that lies between them."""
        hull = np.zeros_like(self.pixels)
        cv2.fillConvexPoly(hull, cv2.convexHull(cv2.findNonZero(self.pixels)), (1,))
        return dilated(hull, disc(1))


def class_of_missing(region: Region, want: Mask, have: Mask) -> GoldenClass:
    copper = want[region.window]
    lost = dilated(region.pixels, disc(1))
    labels = cv2.connectedComponents(copper, connectivity=4)[1]
    for label in set(np.unique(labels[(region.pixels > 0) & (copper > 0)])) - {0}:
        if _ways_out(np.asarray(labels == label, np.uint8) & (1 - lost), region) != 1:
            return "open_circuit"  # split in two, or gone altogether
    # The void as it is on the picture: does it open to what lies beside the conductor?
    gaps = cv2.connectedComponents(1 - have[region.window], connectivity=4)[1]
    voids = np.isin(gaps, np.setdiff1d(gaps[region.pixels > 0], [0]))
    return "mouse_bite" if _ways_out(np.asarray(voids, np.uint8), region) else "pin_hole"


def class_of_extra(region: Region, want: Mask) -> GoldenClass:
    copper = want[region.window]
    around = dilated(region.pixels, disc(2))
    labels = cv2.connectedComponents(copper, connectivity=4)[1]
    touched = set(np.unique(labels[around > 0])) - {0}
    if not touched:
        return "spurious_copper"
    if len(touched) > 1:
        return "short"
    if _fills_hole(region.pixels, copper):
        return "missing_hole"
    # A bridge between two places of one conductor parts the gap between them.
    gaps = cv2.connectedComponents(1 - copper, connectivity=4)[1]
    taken = dilated(region.pixels, disc(1))
    for label in set(np.unique(gaps[region.pixels > 0])) - {0}:
        if _ways_out(np.asarray(gaps == label, np.uint8) & (1 - taken), region) > 1:
            return "short"
    return "spur"


def hole_is_covered(region: Region, have: Mask, want: Mask) -> bool:
    """Whether bare metal has gone from the middle of a pad, where its hole is: photographs show a covered hole so.

    `have` and `want` tell where bare metal is inside the region's window.
    """
    inside, around = region.hull > 0, dilated(region.hull, disc(5)) > region.hull
    return bool(want[inside].mean() > 0.6 and have[inside].mean() < 0.4 and want[around].mean() > 0.6)


def _fills_hole(pixels: Mask, copper: Mask) -> bool:
    """Whether the pixels take up most of a void that copper encloses on the golden board."""
    voids, labels, statistics, _ = cv2.connectedComponentsWithStats(1 - copper, connectivity=4)
    height, width = copper.shape
    inside = np.bincount(labels[pixels > 0], minlength=voids)
    for label in np.nonzero(inside)[0]:
        left, top, wide, high, area = (int(value) for value in statistics[label])
        enclosed = left > 0 and top > 0 and left + wide < width and top + high < height
        if label and enclosed and inside[label] > 0.4 * area:
            return True
    return False


def _ways_out(mask: Mask, region: Region) -> int:
    """Parts of `mask` that lead out of the region; what the region surrounds and crumbs do not count."""
    count, labels, statistics, _ = cv2.connectedComponentsWithStats(mask, connectivity=4)
    outside = np.bincount(labels[region.hull == 0], minlength=count)
    return int(((outside > 0) & (statistics[:, cv2.CC_STAT_AREA] >= CRUMB))[1:].sum())


def dilated(mask: Mask, kernel: NDArray[np.uint8]) -> Mask:
    return np.asarray(cv2.dilate(mask, kernel), np.uint8)


def disc(radius: int) -> NDArray[np.uint8]:
    """A structuring element of this radius in pixels."""
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1)), np.uint8)

"""Where two registered pictures of a board differ in copper, and what the copper does there.

The classes follow from topology: copper that is gone splits a track, bites it or leaves a void in it; copper that is
there too many joins conductors, touches one, fills a hole, or stands alone.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from linegate.errors import RegistrationError
from linegate.inspection import Box, Detection

Picture = NDArray[np.uint8]  # height x width x 3, RGB
Mask = NDArray[np.uint8]  # height x width, 0 or 1
Copper = Literal["auto", "bright", "dark"]

# Pixels at a picture side of 640, scaled with the picture. Edges are ragged by about this much: thresholding to black
# and white adds to what etching leaves.
EDGE_TOLERANCE: Final = 1.0
SCAN_EDGE_TOLERANCE: Final = 2.0
# For what is too thin to be told by the edge tolerance: finer structures come and go with the sampling.
THIN_TOLERANCE: Final = 3.0
MINIMUM_AREA: Final = 6.0
MERGE_DISTANCE: Final = 4.0
BOX_MARGIN: Final = 8.0
# Seed area, in pixels, at which the confidence is 1 - 1/e.
SURE_AREA: Final = 16.0
# Pixels up to which a part of a mask is noise.
CRUMB: Final = 6
BILEVEL_SHARE: Final = 0.9
# Part of the picture's area. The worst of real boards stays below a hundredth.
MAXIMUM_DIFFERING: Final = 0.03


@dataclass(frozen=True, slots=True)
class _Scale:
    """Lengths of this picture, in its own pixels."""

    tolerance: int
    area: float
    sure: float
    thin: int
    merge: int
    margin: float
    factor: float

    @classmethod
    def of(cls, shape: tuple[int, ...], tolerance: float) -> "_Scale":
        factor = float(np.clip(min(shape[:2]) / 640, 0.75, 4))
        # The tolerance has grown already; along an edge, what lies beyond it grows with the edge's length only.
        growth = factor * min(factor, 1.0)
        return cls(
            tolerance=max(1, round(tolerance * factor)),
            area=MINIMUM_AREA * growth,
            sure=SURE_AREA * growth,
            thin=max(1, round(THIN_TOLERANCE * factor)),
            merge=max(1, round(MERGE_DISTANCE * factor)),
            margin=BOX_MARGIN * factor,
            factor=factor,
        )


def compare(picture: Picture, golden: Picture, copper: Copper = "auto") -> list[Detection]:
    """Defects of `picture` against the registered `golden` picture of the same size; the surest first.

    `copper` says whether copper is brighter or darker than what lies beside it; "auto" takes black-and-white scans as
    dark and everything else as bright. Raises RegistrationError where so much differs that it can't be defects.
    """
    scan = bilevel(golden)
    scale = _Scale.of(picture.shape, SCAN_EDGE_TOLERANCE if scan else EDGE_TOLERANCE)
    have, want = _copper_masks(picture, golden, scan=scan, dark=copper == "dark" or (copper == "auto" and scan))
    missing_seeds = _lacking(want, have, deep=scale.tolerance, far=scale.thin)
    extra_seeds = _lacking(have, want, deep=scale.thin, far=scale.tolerance)
    differing = float((missing_seeds | extra_seeds).mean())
    if differing > MAXIMUM_DIFFERING:
        raise RegistrationError(
            f"{differing:.0%} of the picture differ from the golden picture: they do not show the same board"
        )
    missing = _regions(missing_seeds, want & (1 - have), scale)
    extra = _regions(extra_seeds, have & (1 - want), scale)
    found = [_detection(region, _missing_class(region, want, have), scale, picture.shape) for region in missing]
    found += [_detection(region, _extra_class(region, want), scale, picture.shape) for region in extra]
    return sorted(found, key=lambda detection: -detection.confidence)


@dataclass(frozen=True)
class _Region:
    """One difference: its pixels inside a window of the picture, with room around it to see what it touches."""

    window: tuple[slice, slice]
    pixels: Mask
    seed_area: float
    bounds: tuple[int, int, int, int]  # left, top, right, bottom in the picture

    @cached_property
    def hull(self) -> Mask:
        """The pixels with all that lies between them."""
        hull = np.zeros_like(self.pixels)
        cv2.fillConvexPoly(hull, cv2.convexHull(cv2.findNonZero(self.pixels)), (1,))
        return _dilated(hull, disc(1))


def _lacking(mask: Mask, other: Mask, *, deep: int, far: int) -> Mask:
    """Pixels of `mask` that `other` lacks: `deep` pixels inside of `mask`, or `far` pixels from anything of `other`.

    Either alone allows for ragged edges. Only both see everything: a gap in a track too thin to have any depth is far
    from copper; a bridge over a gap too narrow to be far from copper lies deep in it. Beyond the picture anything may
    lie, so its outermost pixels tell nothing.
    """
    border = cv2.BORDER_CONSTANT
    core = np.asarray(cv2.erode(mask, disc(deep), borderType=border, borderValue=0), np.uint8)
    around = np.asarray(cv2.dilate(other, disc(far), borderType=border, borderValue=1), np.uint8)
    return (core & (1 - other)) | (mask & (1 - around))


def _copper_masks(picture: Picture, golden: Picture, *, scan: bool, dark: bool) -> tuple[Mask, Mask]:
    """Copper of the picture and of the golden picture, by one threshold, after light has been evened out."""
    want, have = lightness(golden), lightness(picture)
    if scan:
        threshold = 127.0  # also where the golden scan is all of one kind, which tells no threshold
    else:
        threshold = _threshold(want)
        # Light that differs between the two: the ratio of their wide surroundings.
        gain = np.asarray((_wide(want) + 8) / (_wide(have) + 8), np.float32)
        gain = np.clip(cv2.resize(gain, want.shape[::-1], interpolation=cv2.INTER_LINEAR), 0.5, 2.0)
        have = np.asarray(cv2.multiply(have, gain, dtype=cv2.CV_8U), np.uint8)
    kind = cv2.THRESH_BINARY_INV if dark else cv2.THRESH_BINARY
    smooth_have, smooth_want = cv2.GaussianBlur(have, (3, 3), 0), cv2.GaussianBlur(want, (3, 3), 0)
    masks = (cv2.threshold(grey, threshold, 1, kind)[1] for grey in (smooth_have, smooth_want))
    have_mask, want_mask = (np.asarray(mask, np.uint8) for mask in masks)
    return have_mask, want_mask


def _threshold(grey: NDArray[np.uint8]) -> float:
    """Midway between what Otsu's method takes for the two materials: on an even board its own value lies at the very edge."""
    otsu, _ = cv2.threshold(grey, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)
    histogram = np.bincount(grey.ravel(), minlength=256).astype(np.float64)
    values, split = np.arange(256), int(otsu) + 1
    low, high = (
        np.average(values[part], weights=histogram[part] + 1e-9) for part in (slice(0, split), slice(split, 256))
    )
    return float(low + high) / 2


def lightness(picture: Picture) -> NDArray[np.uint8]:
    """The brightest of the three colours: copper, bare or below the mask, is brighter than the mask in at least one."""
    red, green, blue = cv2.split(picture)  # a tenth of the time of picture.max(axis=2)
    return np.asarray(cv2.max(cv2.max(red, green), blue), np.uint8)


def bilevel(picture: NDArray[Any]) -> bool:
    """Whether the picture (grey or RGB) is a black-and-white scan."""
    sampled = picture[::4, ::4]
    return bool(((sampled < 40) | (sampled > 215)).mean() > BILEVEL_SHARE)


def _regions(seeds: Mask, difference: Mask, scale: _Scale) -> list[_Region]:
    """Seeds are differences beyond the tolerance; each is grown to the whole of the difference around it."""
    seeds = np.asarray(seeds, np.uint8)
    near = _dilated(seeds, disc(scale.tolerance + 1))
    grown = near & difference
    # Fragments of one defect lie closer together than two defects do.
    joined = cv2.dilate(grown, disc(scale.merge))
    count, labels, statistics, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
    seed_areas = np.bincount(labels[seeds > 0], minlength=count)
    height, width = seeds.shape
    room = scale.merge + 3 * scale.tolerance + round(6 * scale.factor)
    regions = []
    for label in np.nonzero(seed_areas >= scale.area)[0]:
        if label == 0:
            continue
        left, top, wide, high, _ = (int(value) for value in statistics[label])
        window = (
            slice(max(0, top - room), min(height, top + high + room)),
            slice(max(0, left - room), min(width, left + wide + room)),
        )
        pixels = np.asarray((labels[window] == label) & (grown[window] > 0), np.uint8)
        x, y, w, h = cv2.boundingRect(pixels)
        corner_x, corner_y = window[1].start + x, window[0].start + y
        regions.append(
            _Region(window, pixels, float(seed_areas[label]), (corner_x, corner_y, corner_x + w, corner_y + h))
        )
    return regions


def _missing_class(region: _Region, want: Mask, have: Mask) -> str:
    copper = want[region.window]
    lost = _dilated(region.pixels, disc(1))
    labels = cv2.connectedComponents(copper, connectivity=4)[1]
    for label in set(np.unique(labels[(region.pixels > 0) & (copper > 0)])) - {0}:
        if _ways_out(np.asarray(labels == label, np.uint8) & (1 - lost), region) != 1:
            return "open_circuit"  # split in two, or gone altogether
    # The void as it is on the picture: does it open to what lies beside the conductor?
    gaps = cv2.connectedComponents(1 - have[region.window], connectivity=4)[1]
    voids = np.isin(gaps, np.setdiff1d(gaps[region.pixels > 0], [0]))
    return "mouse_bite" if _ways_out(np.asarray(voids, np.uint8), region) else "pin_hole"


def _extra_class(region: _Region, want: Mask) -> str:
    copper = want[region.window]
    around = _dilated(region.pixels, disc(2))
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
    taken = _dilated(region.pixels, disc(1))
    for label in set(np.unique(gaps[region.pixels > 0])) - {0}:
        if _ways_out(np.asarray(gaps == label, np.uint8) & (1 - taken), region) > 1:
            return "short"
    return "spur"


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


def _ways_out(mask: Mask, region: _Region) -> int:
    """Parts of `mask` that lead out of the region; what the region surrounds and crumbs do not count."""
    count, labels, statistics, _ = cv2.connectedComponentsWithStats(mask, connectivity=4)
    outside = np.bincount(labels[region.hull == 0], minlength=count)
    return int(((outside > 0) & (statistics[:, cv2.CC_STAT_AREA] >= CRUMB))[1:].sum())


def _detection(region: _Region, class_name: str, scale: _Scale, shape: tuple[int, ...]) -> Detection:
    left, top, right, bottom = region.bounds
    left_in, top_in = max(0.0, left - scale.margin), max(0.0, top - scale.margin)
    right_in, bottom_in = min(float(shape[1]), right + scale.margin), min(float(shape[0]), bottom + scale.margin)
    # How far the difference exceeds what raggedness explains: saturating, never certain.
    confidence = 1 - float(np.exp(-region.seed_area / scale.sure))
    box = Box((left_in + right_in) / 2, (top_in + bottom_in) / 2, right_in - left_in, bottom_in - top_in)
    return Detection(class_name, round(min(0.99, confidence), 3), box)


def _wide(grey: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The picture's wide surroundings, reduced to an eighth."""
    small = cv2.resize(grey, (grey.shape[1] // 8, grey.shape[0] // 8), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.GaussianBlur(small.astype(np.float32), (0, 0), max(grey.shape) / 160), np.float32)


def _dilated(mask: Mask, kernel: NDArray[np.uint8]) -> Mask:
    return np.asarray(cv2.dilate(mask, kernel), np.uint8)


def disc(radius: int) -> NDArray[np.uint8]:
    """A structuring element of this radius in pixels."""
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1)), np.uint8)

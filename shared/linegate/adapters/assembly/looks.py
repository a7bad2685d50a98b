"""What stands in a zone, by its colours: like the golden picture, like what surrounds it, or like neither."""

from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from linegate.adapters.assembly.matching import Picture, Pose, View
from linegate.adapters.assembly.views import moved

# Longer side to which a zone is reduced to compare its colours with its surroundings, and how many colours stand for those
SIDE, COLOURS = 32, 96
# Grey levels by which a part differs from its surroundings at least, to be told from them
APART: Final = 24.0
# Grey levels up to which a colour is that of the surroundings, if it lies at most this part as far from it as from the golden one
SAME, NEARER = 28.0, 0.6
# Grey levels that count as nothing, and the part of the contrast at a place that is added: edges never fall on one another quite
LEAST, EDGES = 26.0, 0.55
NEAR: Final = np.ones((5, 5), np.uint8)
# Part of what good products differ by that is added to the mean of a ring
VARIED: Final = 0.35
# Every so many colours of a ring stand for it; how many pixels off rings are near; and the width of what is too thin to count,
# such as a score that lies at any angle
RING_STEP, RING_NEAR, THIN = 6, (-2, 0, 2), 5
# Grey levels of what is white, and of what may be
WHITE, LIT = 250, 235
# Width (pixels) of what is too small to count
SPECK: Final = 3


def unlike(view: View, pose: Pose) -> float:
    """Part (0 … 1) of the zone whose colour is none of the golden picture's there, from where the pose says that it lies."""
    allowed = LEAST + EDGES * _contrast(view) + cv2.dilate(view.varied[view.inside], NEAR)
    beyond = ((_apart(moved(view, pose), view.light[view.inside]) > allowed) & (view.counts > 0)).astype(np.uint8)
    beyond = np.asarray(cv2.morphologyEx(beyond, cv2.MORPH_OPEN, np.ones((SPECK, SPECK), np.uint8)), np.uint8)
    return float(beyond.sum() / max(1.0, float(view.counts.sum())))


def unlike_around(view: View, pose: Pose) -> float:
    """The same of what may lie at any angle: the greater part of two, by the mean colour of each ring around its middle, and
    by what is no colour of the golden picture near that ring.
    """
    have, want = moved(view, pose), view.light[view.inside]
    allowed = LEAST + _rings(EDGES * _contrast(view) + VARIED * view.varied[view.inside]).mean(axis=0)[:, 0]
    means = [_rings(picture).mean(axis=0) for picture in (have, want)]
    area = np.arange(len(allowed)) + 0.5
    rings = float(((np.abs(means[0] - means[1]).max(axis=1) > allowed) * area).sum() / area.sum())
    apart = _apart_from_rings(*(_rings(cv2.GaussianBlur(picture, (0, 0), 1.0)) for picture in (have, want))) > LEAST
    beyond = cv2.morphologyEx(apart.astype(np.uint8), cv2.MORPH_OPEN, np.ones((THIN, THIN), np.uint8))
    return max(rings, float((beyond * area).mean(axis=0).sum() / area.sum()))


def _apart_from_rings(have: NDArray[np.float32], want: NDArray[np.float32]) -> NDArray[np.float32]:
    """For each pixel of unrolled rings the grey levels, of the channel that differs most, to the nearest colour near its ring."""
    few = want[::RING_STEP]
    least = np.full(have.shape[:2], np.inf, np.float32)
    for off in RING_NEAR:
        near = few[:, np.clip(np.arange(few.shape[1]) + off, 0, few.shape[1] - 1)]
        for colours in near:
            red, green, blue = np.moveaxis(np.abs(have - colours[None]), 2, 0)
            least = np.minimum(least, np.maximum(np.maximum(red, green), blue))
    return least


def _apart(have: Picture, want: Picture) -> NDArray[np.float32]:
    """Grey levels, of the channel that differs most."""
    softened = [cv2.GaussianBlur(picture, (0, 0), 1.0) for picture in (have, want)]
    return np.asarray(cv2.absdiff(*softened).max(axis=2), np.float32)


def _contrast(view: View) -> NDArray[np.float32]:
    """Of the golden zone, within reach of each pixel."""
    want = view.light[view.inside]
    return np.asarray(cv2.subtract(cv2.dilate(want, NEAR), cv2.erode(want, NEAR)).max(axis=2), np.float32)


def _rings(picture: NDArray[Any]) -> NDArray[np.float32]:
    """Rings of one pixel around the middle, as far as they lie inside, unrolled: angles x rings x channels."""
    height, width = picture.shape[:2]
    radius = min(height, width) // 2
    middle = (width - 1) / 2, (height - 1) / 2
    size, flags = (radius, 4 * radius), cv2.INTER_LINEAR | cv2.WARP_POLAR_LINEAR
    polar = cv2.warpPolar(picture.astype(np.float32), size, middle, radius, flags)
    return np.asarray(polar.reshape(4 * radius, radius, -1), np.float32)


def bare(view: View) -> float:
    """Part (0 … 1) of what stands out from its surroundings in the golden zone that now looks as they do.

    0 where nothing stands out. Surroundings are the margin of the zone.
    """
    scale = min(1.0, SIDE / max(view.counts.shape))
    around = np.ones(view.have.shape[:2], bool)
    around[view.inside] = False
    have, want = (_points(picture[view.inside], scale) for picture in (view.have, view.light))
    counts = _points(view.counts, scale)[:, 0] > 0.5
    now, then = (_palette(picture[around]) for picture in (view.have, view.light))
    body = counts & (_nearest(want, then) > APART)
    if not body.any():
        return 0.0
    as_around, as_before = _nearest(have[body], now), np.linalg.norm(have[body] - want[body], axis=1)
    return float(((as_around < SAME) & (as_around < NEARER * as_before)).mean())


def _points(picture: NDArray[Any], scale: float) -> NDArray[np.float32]:
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA).astype(np.float32)
    return np.asarray(small.reshape(small.shape[0] * small.shape[1], -1), np.float32)


def _palette(colours: Picture) -> NDArray[np.float32]:
    return colours[:: max(1, len(colours) // COLOURS)].astype(np.float32)


def _nearest(colours: NDArray[np.float32], palette: NDArray[np.float32]) -> NDArray[np.float32]:
    """The distance of each colour to the nearest one of the palette, in grey levels."""
    return np.asarray(np.linalg.norm(colours[:, None] - palette[None], axis=2).min(axis=1), np.float32)


def blown(view: View) -> float:
    """Part (0 … 1) of the zone that is white by glare where the golden picture is not."""
    have, want = view.have[view.inside].min(axis=2), view.light[view.inside].min(axis=2)
    return float(((have >= WHITE) & (want < LIT) & (view.counts > 0)).sum() / max(1.0, float(view.counts.sum())))

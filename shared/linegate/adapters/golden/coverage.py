"""Which part of a picture the comparison could judge, and what the rest was lost to.

Where comparing is blind, that nothing is found says nothing. What a place shows is measured against what a defect would
show there: the two most alike materials of the golden picture tell how faint that may be. A plain stretch on which
something foreign would stand out is covered.
"""

from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from linegate.adapters.golden.light import in_the_light_of
from linegate.adapters.golden.materials import (
    Grey,
    Mask,
    Picture,
    Shown,
    above,
    darkest,
    lightness,
    percentile,
    reduced,
    two_levels,
    up_to,
)
from linegate.adapters.golden.slopes import slopes
from linegate.inspection import Coverage, Loss

Warp = NDArray[np.float32]  # 2 x 3, from picture to golden coordinates

# Shorter side at which it is measured; lengths below are in pixels there. Blocks tell focus and noise.
SIDE, BLOCK = 640, 16
# Times its median deviation, and grey levels at least and at most, by which a background may vary. Part of the shorter side
# that makes a border, and part of it that must be of one colour: then the whole product lies inside the golden picture, if
# it fills the third part of what it spans.
SPREAD, STEADY, PLAIN = 4.0, 6, 24
BORDER, ALL_AROUND, FILLED = 0.015, 0.97, 0.9
# Grey levels next to which a channel counts as clipped, and by which the golden picture must be clear of that.
CLIPPED, CLEAR = 1, 24
# Grey levels of white light from which it is glare, and the part of it that the comparison allows for.
GLARE, ALLOWED = 40, 0.25
# Part of the golden picture's slopes that edges must keep: half of them are left by a blur of three or four pixels. It is
# told where its edges have this part of the energy that they have on average. Those of a scan are never soft: less is left
# of them where they are ragged, or where something covers them.
KEPT, KEPT_OF_SCANS, TELLING = 0.5, 0.25, 0.25
# Times the mean difference of flat ground, and times what good boards differ by, that the comparison allows for.
NOISE, VARIATION = 5.0, 1.25
# Grey levels between which lies what a defect shows at least, whatever the materials are.
FAINTEST, PLAINEST = 12.0, 40.0
MATERIALS, SAMPLES, ROUNDS, LEAST_SHARE = 8, 2000, 6, 0.01
# Parts of the picture below which nothing is told.
NEGLIGIBLE: Final = 0.0005

OUTSIDE: Final = "outside the golden picture"
CUT_OFF: Final = "outside the picture"
SATURATED: Final = "saturated"
GLARING: Final = "glare"
UNFOCUSED: Final = "out of focus or covered"
DROWNED: Final = "noise hides what a defect would show"
VARYING: Final = "good boards differ too much"


@dataclass(frozen=True, slots=True)
class Ground:
    """What a golden picture lies on: where that is plain background all around the product, reduced to SIDE.

    `plain` is empty (no pixel set) where the product may reach beyond the golden picture.
    """

    plain: Mask
    size: tuple[int, int]  # width and height of the golden picture
    step: int  # pixels of the golden picture for one of `plain`


def ground_of(golden: Picture) -> Ground:
    """Told once for each golden picture."""
    step, size = _step(golden), (golden.shape[1], golden.shape[0])
    small = reduced(golden, step)
    wide = max(2, round(BORDER * min(small.shape[:2])))
    border = np.concatenate(
        [part.reshape(-1, 3) for part in (small[:wide], small[-wide:], small[:, :wide], small[:, -wide:])]
    )
    colour = np.median(border, axis=0).astype(np.int16)
    off = np.abs(border - colour).max(axis=1)
    plain = float(np.clip(SPREAD * np.median(off), STEADY, PLAIN))
    if float((off <= plain).mean()) < ALL_AROUND:
        return Ground(np.zeros(small.shape[:2], np.uint8), size, step)
    # Noise is no product.
    off_it = cv2.morphologyEx(
        np.asarray(np.abs(small - colour).max(axis=2) > plain, np.uint8), cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)
    )
    alike = np.asarray(1 - off_it, np.uint8)
    labels = cv2.connectedComponents(alike, connectivity=4)[1]
    outermost = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    around = np.asarray(np.isin(labels, outermost[outermost > 0]), np.uint8)
    product = cv2.findNonZero(1 - around)
    # What lies between tracks is no background, and neither is a stretch of a product that shows nothing else.
    if not cv2.hasNonZero(1 - around) or len(product) < FILLED * cv2.contourArea(cv2.convexHull(product)):
        around[:] = 0
    return Ground(around, size, step)


def unmatched(picture: Picture | Shown, ground: Ground, warp: Warp) -> tuple[Mask, float]:
    """Where the golden picture says nothing of the picture that `warp` leads from, and how much of it is cut off.

    The first is a mask of the picture reduced to SIDE, the second a part (0 … 1) of the golden picture that lies outside
    of the picture. Plain background counts for neither.
    """
    step = _step(picture)
    small = Shown.of(picture).by(step)
    back = cv2.invertAffineTransform(warp)
    outside = 1 - _filled(small.shape[:2], _corners(ground.size) @ back[:, :2].T + back[:, 2], step)
    plain = ground.plain
    seen = _filled(
        plain.shape, _corners((picture.shape[1], picture.shape[0])) @ warp[:, :2].T + warp[:, 2], ground.step
    )
    cut_off = (plain.size - cv2.countNonZero(cv2.bitwise_or(seen, plain))) / plain.size
    if cv2.hasNonZero(outside) and cv2.hasNonZero(plain):
        lies = warp * np.array([step, step, 1], np.float32) / ground.step  # between the reduced pictures
        flags = cv2.WARP_INVERSE_MAP | cv2.INTER_NEAREST
        there = cv2.warpAffine(plain, lies, small.shape[1::-1], flags=flags) > 0
        if there.any():
            colour = np.median(small[::4, ::4][there[::4, ::4]], axis=0)
            rows, columns = np.nonzero(outside)
            outside[rows, columns] = np.abs(small[rows, columns] - colour).max(axis=1) > PLAIN
            outside = np.asarray(cv2.morphologyEx(outside, cv2.MORPH_OPEN, np.ones((3, 3), np.uint8)), np.uint8)
    return outside, cut_off


def coverage(
    picture: Picture | Shown,
    golden: Picture | Shown,
    outside: Mask | None = None,
    cut_off: float = 0.0,
    variation: Grey | None = None,
) -> Coverage:
    """What of `picture` could be judged beside `golden`, laid over it.

    `outside` and `cut_off` as `unmatched` tells them, `variation` in grey levels at each pixel. Each place is lost once, to
    the first reason that holds.
    """
    step, seen, good = _step(picture), Shown.of(picture), Shown.of(golden)
    have, want = seen.by(step), good.by(step)
    if outside is None:
        outside = np.zeros(have.shape[:2], np.uint8)
    elif outside.shape != have.shape[:2]:
        outside = np.asarray(cv2.resize(outside, have.shape[1::-1], interpolation=cv2.INTER_NEAREST), np.uint8)
    shown, wanted = seen.light(step), good.light(step)
    reasons: list[tuple[str, Mask]] = [(OUTSIDE, outside)]
    scan = two_levels(want)
    if not scan:  # black and white are the colours of a scan
        shows = faintest_defect(want, wanted)
        reasons.append((SATURATED, _saturated(shown, wanted, seen.dark(step), good.dark(step))))
        reasons.append((GLARING, _glaring(have, want, shown, wanted, shows)))
    else:
        shows = 255.0
    reasons.append((UNFOCUSED, _unfocused(shown, wanted, KEPT_OF_SCANS if scan else KEPT)))
    if not scan:
        drowned = _drowned(shown, wanted, shows)
        if cv2.hasNonZero(drowned):  # light that changes each material otherwise is no noise, but takes its time
            drowned &= _drowned(shown, lightness(in_the_light_of(have, want)[0]), shows)
        reasons.append((DROWNED, drowned))
    if variation is not None:
        reasons.append((VARYING, _areas(above(reduced(variation, step), shows / VARIATION), 5)))
    left = np.ones(have.shape[:2], np.uint8)
    parts = [(CUT_OFF, cut_off)]
    for why, where in reasons:
        before = cv2.countNonZero(left)
        if cv2.hasNonZero(where):
            left[where > 0] = 0
        parts.append((why, (before - cv2.countNonZero(left)) / left.size))
    lost = tuple(Loss(why, round(part, 4)) for why, part in parts if part >= NEGLIGIBLE)
    return Coverage(max(0.0, round(1 - sum(loss.part for loss in lost), 4)), lost)


def faintest_defect(golden: Picture, light: Grey) -> float:
    """Grey levels that a defect shows at least: what the two most alike materials of the golden picture differ by.

    `light` is the lightness of the golden picture.
    """
    flat = np.flatnonzero(_flat(light))
    sampled = flat[:: max(1, flat.size // SAMPLES)]
    colours, shares = materials(golden.reshape(-1, 3)[sampled])
    common = colours[shares >= LEAST_SHARE]
    apart = np.abs(common[:, None] - common[None]).max(axis=2)
    apart = apart[apart > FAINTEST]  # shades of one material
    return float(np.clip(apart.min(), FAINTEST, PLAINEST)) if apart.size else PLAINEST


def materials(pixels: Picture, most: int = MATERIALS) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """The colours (n x 3) of `most` materials among pixels (any x 3), and the part that each has; the same every time.

    k-means, begun with the commonest colour and then, again and again, with what is farthest from all others.
    """
    sampled = pixels[:: max(1, len(pixels) // SAMPLES)].astype(np.float32)
    if not len(sampled):
        return np.zeros((0, 3), np.float32), np.zeros(0)
    colours = np.median(sampled, axis=0, keepdims=True)
    apart = np.abs(sampled - colours).max(axis=1)
    while len(colours) < most and apart.max() > FAINTEST:
        colours = np.concatenate([colours, sampled[[int(apart.argmax())]]])
        apart = np.minimum(apart, np.abs(sampled - colours[-1]).max(axis=1))
    counts = np.zeros(len(colours), np.int64)
    for _ in range(ROUNDS):
        whose = np.abs(sampled[:, None] - colours[None]).max(axis=2).argmin(axis=1)
        counts = np.bincount(whose, minlength=len(colours))
        sums = [np.bincount(whose, sampled[:, channel], len(colours)) for channel in range(3)]
        colours = np.asarray(np.where(counts > 0, sums / np.maximum(counts, 1), colours.T).T, np.float32)
    return colours, counts / len(sampled)


def _flat(light: Grey) -> Mask:
    """Where there is no edge."""
    contrast = _contrast(light, 3)
    return up_to(contrast, max(FAINTEST, _typical(contrast)))


def _contrast(light: Grey, side: int) -> Grey:
    """The largest difference within windows of that many pixels."""
    return np.asarray(cv2.morphologyEx(light, cv2.MORPH_GRADIENT, np.ones((side, side), np.uint8)), np.uint8)


def _typical(levels: Grey) -> float:
    return percentile(levels[::4, ::4], 50)


def _saturated(most: Grey, brightest: Grey, least: Grey, darkest: Grey) -> Mask:
    """Where all channels are clipped that are not so on the golden picture.

    `most` and `least` are the picture's lightness and its darkest channel, `brightest` and `darkest` the golden picture's.
    """
    white = cv2.bitwise_and(above(least, 254 - CLIPPED), up_to(darkest, 254 - CLEAR))
    black = cv2.bitwise_and(up_to(most, CLIPPED), above(brightest, CLEAR))
    return _areas(np.asarray(cv2.bitwise_or(white, black), np.uint8), 3)


def _glaring(have: Picture, want: Picture, most: Grey, brightest: Grey, shows: float) -> Mask:
    """Where white light hides what lies below. `most` and `brightest` are the lightness of the two."""
    # No channel can be brighter by more in all of them than the brightest are apart.
    may = _areas(above(np.asarray(cv2.subtract(most, brightest), np.uint8), GLARE), 5)
    if not cv2.hasNonZero(may):
        return may
    white = darkest(np.asarray(cv2.subtract(have, want), np.uint8))
    hides = cv2.bitwise_or(above(most, 254 - CLIPPED), above(white, shows / ALLOWED))
    return _areas(np.asarray(cv2.bitwise_and(hides, above(white, GLARE)), np.uint8), 5)


def _unfocused(shown: Grey, wanted: Grey, kept: float) -> Mask:
    """Where the picture's slopes follow the golden picture's by less than `kept` of them, as far as there are edges around."""
    followed, there = (np.empty(shown.shape, np.float32) for _ in range(2))
    soft = [np.asarray(cv2.GaussianBlur(grey, (5, 5), 1.0), np.uint8) for grey in (shown, wanted)]
    for rows, ((across, down), (golden_across, golden_down)) in slopes(soft):
        along = np.multiply(across, golden_across, out=followed[rows])
        along += np.multiply(down, golden_down, out=down)
        energy = np.multiply(golden_across, golden_across, out=there[rows])
        energy += np.multiply(golden_down, golden_down, out=golden_down)
    there = _blocks(there)
    follow, energy = _around(_blocks(followed)), _around(there)
    light = _blocks(shown) + 8, _blocks(wanted) + 8
    gain = np.clip(_around(light[0]) / _around(light[1]), 0.5, 1.0)
    lost = (energy > TELLING * there.mean()) & (follow < kept * gain * energy)
    return _as_large(np.asarray(lost, np.uint8), shown)


def _drowned(shown: Grey, wanted: Grey, shows: float) -> Mask:
    """Where flat ground differs by so much that a defect would not stand out. Light, which changes slowly, does not count."""
    have, want = (cv2.GaussianBlur(grey, (3, 3), 0) for grey in (shown, wanted))
    lit, apart = (
        np.asarray(cv2.boxFilter(grey, cv2.CV_32F, (2 * BLOCK - 1,) * 2), np.float32) for grey in (want, have)
    )
    # One after the other in place: pictures of 32 bits a pixel in between take more time than what is reckoned.
    apart /= np.maximum(lit, 1, out=lit)
    apart *= want
    apart -= have
    np.abs(apart, out=apart)
    contrast = _contrast(wanted, 5)
    flat = np.asarray(up_to(contrast, _typical(contrast)), np.float32)
    share = _blocks(flat)
    mean = np.where(share > 0.15, _blocks(np.multiply(apart, flat, out=apart)) / np.maximum(share, 0.15), 0.0)
    noisy = np.asarray(_around(mean.astype(np.float32)) * NOISE > shows, np.uint8)
    return _as_large(noisy, shown)


def _blocks(values: NDArray[Any]) -> NDArray[np.float32]:
    size = max(1, values.shape[1] // BLOCK), max(1, values.shape[0] // BLOCK)
    return np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_AREA), np.float32)


def _around(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """The mean of each block and its neighbours."""
    return np.asarray(cv2.blur(values, (3, 3)), np.float32)


def _as_large(small: Mask, picture: Grey) -> Mask:
    return np.asarray(cv2.resize(small, picture.shape[1::-1], interpolation=cv2.INTER_NEAREST), np.uint8)


def _areas(mask: Mask, side: int) -> Mask:
    """Without what is narrower than that many pixels."""
    if not cv2.hasNonZero(mask):
        return mask
    return np.asarray(cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((side, side), np.uint8)), np.uint8)


def _corners(size: tuple[int, int]) -> NDArray[np.float64]:
    width, height = size
    return np.array([[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]], np.float64)


def _filled(shape: tuple[int, ...], corners: NDArray[np.float64], step: int) -> Mask:
    """The polygon in a mask of this shape, which is reduced by `step`; to a sixteenth of a pixel."""
    mask = np.zeros(shape[:2], np.uint8)
    points = np.round(((corners + 0.5) / step - 0.5) * 16).astype(np.int32)
    cv2.fillConvexPoly(mask, points, (1,), cv2.LINE_8, 4)
    return mask


def _step(picture: Picture | Shown) -> int:
    """By how many times it is reduced so that its shorter side comes nearest to SIDE: by a whole number, which is fast."""
    return max(1, round(float(min(picture.shape[:2])) / SIDE))

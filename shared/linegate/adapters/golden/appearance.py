"""Where a picture looks unlike the golden one laid over it, whatever the materials are.

Nothing here knows copper. Each pixel may differ by what explains a difference at that place and in that colour: noise as
it is around there, a part of the contrast that lies within reach (edges never fall on one another quite), light that
changes, glare, and what good boards do. How much each of these
explains is taken from the two pictures themselves. A region beyond it is a candidate, and its confidence what drawn and
photographed boards with known defects taught (`WEIGHTS`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from linegate.adapters.golden import boxes
from linegate.adapters.golden.classes import GoldenClass
from linegate.adapters.golden.evidence import MOST_CERTAIN, probability
from linegate.adapters.golden.glare import CLIPPED
from linegate.adapters.golden.light import SURROUNDINGS, blocks, filled, in_the_light_of, widened
from linegate.adapters.golden.materials import Grey, Mask, Picture, enlarged, lightness, percentile
from linegate.adapters.golden.pair import Pair
from linegate.adapters.golden.windows import Window, begins, where
from linegate.shapes import Box

# Lengths are in pixels of the reduced picture (see `linegate.adapters.golden.pair.Pair`).
# Grey levels that count as nothing, and times the mean difference of flat ground that noise explains.
LEAST_TOLERANCE, NOISE_FACTOR = 6.0, 5.0
# How many times the picture's own noise may be at a place; and grey levels from which small differences drown in it.
NOISIEST, DROWNING = 3.0, 30.0
# Part of a block that must be flat to tell noise.
LEAST_FLAT: Final = 0.15
# Pixels with this contrast within reach, and more than this percentile has, are on an edge. This percentile of them tells
# by which part of that contrast they differ; times that part is explained, and at least this part within the first reach.
# A farther reach that explains less than NEGLIGIBLE is not looked at, and fewer pixels tell nothing.
REACHES: Final = (1, 2, 3)
EDGE_CONTRAST, EDGE_SHARE, EDGE_PERCENTILE, EDGE_FACTOR, LEAST_EDGE, NEGLIGIBLE = 30, 80, 95.0, 1.3, 0.2, 0.12
FEWEST_EDGES: Final = 200
# Compression rings this far around an edge: as much as this many times what that percentile of the pixels there differs by.
RINGING_REACH, RINGING_FACTOR = 7, 2.2
SAMPLED: Final = np.s_[::3, ::3]
# Part of the glare that was taken out, and of its change within a reach, by which it may be wrong.
GLARE, GLARE_REACH = 0.25, 9
COLOUR_BLUR: Final = (5, 5)
# Grey levels that may be left of a change of light, and steps into which a grey level is divided.
MOST_LEFT, LEFT_STEPS = 8, 8
# How much softer the one picture may be, and times what that takes away.
SOFTER, SOFT_FACTOR = (5, 5), 1.0
# Percentile of what a blur takes away by which one picture is told to be softer than the other.
SHARP_PERCENTILE: Final = 97.0
# Times what good boards differ by.
VARIATION: Final = 1.25
# Standard deviation of the blur at which pictures are compared once more: where thin strokes lie averages out, whether they
# are there does not. What only that shows must be this many times as much as is allowed.
BROAD, BROAD_LEAST = 2.0, 1.3
# Fragments closer than this are one difference; one of fewer pixels is none.
MERGE, LEAST_AREA = 4, 5
# Part of the picture beyond which nothing is told one by one.
MOST: Final = 0.03
BOX_MARGIN: Final = 6.0
# To name a difference: the width of its surroundings, and the part of them that must look like it did, or does.
AROUND, COMMON = 10, 0.25

# Logistic regression: what each piece of evidence (see `_evidence`) adds to the log-odds that a difference is a defect.
# `linegate.evaluation.appearance` fits them on drawn boards. The bias is one less: half of those have defects, few of a
# line's do.
WEIGHTS: Final[Mapping[str, float]] = {
    "bias": 7.0,
    "peak": 5.4,
    "edge": -5.0,
    "doubt": -4.7,
    "long": -2.9,
    "part": 4.3,
    "clear": -0.9,
}
LONGEST, PARTS = 4.0, (0.05, 4.0)


@dataclass(frozen=True, slots=True)
class Unlike:
    """A region that looks unlike the golden picture, and what speaks for a defect."""

    class_name: GoldenClass
    box: Box
    evidence: Mapping[str, float]

    @property
    def confidence(self) -> float:
        """The probability that this is a defect, as far as boards with known defects taught it; never certain."""
        return min(MOST_CERTAIN, probability(self.evidence, WEIGHTS))


def unlike(
    picture: Picture,
    golden: Picture,
    variation: Grey | None = None,
    reduced: Pair | None = None,
    broad: Grey | None = None,
    beyond: Mask | None = None,
) -> tuple[list[Unlike], tuple[str, ...]]:
    """Every region of `picture` that looks unlike `golden`, laid over it, and why there may be more.

    `variation` is by how many grey levels good boards differ from the golden one, at each pixel, `broad` by how many they do
    where both are blurred (see `blurred`); `reduced` are the two pictures, if they were reduced already. `beyond` is 255
    where the golden picture ends.
    """
    reduced = reduced or Pair.of(picture, golden)
    step = reduced.step
    pair = _Pair.of(reduced, None if beyond is None else _reduced_variation(beyond, step))
    noise = _noise(pair)
    doubts: tuple[str, ...] = ()
    if lost := cv2.countNonZero(pair.lost):
        doubts = (
            f"{max(0.01, lost / pair.lost.size):.0%} of the picture are so bright that nothing can be seen there.",
        )
    if (typical := float(np.median(noise))) > DROWNING:
        doubts += (
            f"The picture differs from the golden picture all over: differences under {typical:.0f} grey levels can't be seen.",
        )
    noise = widened(noise, pair.apart)
    allowed = _tolerance(pair, noise, _reduced_variation(variation, step))
    if broad is None and variation is not None:  # what they differ by on average is no more than that on average
        broad = np.asarray(cv2.GaussianBlur(variation, (0, 0), BROAD * step), np.uint8)
    looks = [(pair, allowed, noise)]
    if broad is not None:  # without, nothing that good boards do hides thin strokes from the first look
        wide = pair.broad()
        noise = widened(_noise(wide), wide.apart)
        looks.append((wide, _tolerance(wide, noise, _reduced_variation(broad, step), BROAD_LEAST), noise))
    found: list[Unlike] = []
    for seen, may, drowns in looks:
        seeds = _beyond(seen.apart, may)
        if not cv2.hasNonZero(seeds):
            continue
        if (part := cv2.countNonZero(seeds) / seeds.size) > MOST:
            return [], (
                *doubts,
                f"{part:.0%} of the picture look unlike the golden picture: too much to be told one by one.",
            )
        regions = [
            Unlike(
                _name(seen, window, pixels),
                _box(window, pixels, step, picture.shape),
                _evidence(seen, may, drowns, window, pixels),
            )
            for window, pixels in _regions(seeds)
        ]
        found = _joined(found, regions)
    return found, doubts


def _joined(fine: Sequence[Unlike], broad: Sequence[Unlike]) -> list[Unlike]:
    """Both, but what overlaps a fine one is the same difference: two have seen it, what the surer one saw counts."""
    kept = list(fine)
    for other in broad:
        same = [index for index, one in enumerate(fine) if boxes.same(one.box, other.box)]
        if not same:
            kept.append(other)
            continue
        best = max(same, key=lambda index: kept[index].confidence)
        one = kept[best]
        surer = max(one, other, key=lambda seen: seen.confidence)
        kept[best] = replace(one, evidence=surer.evidence, box=boxes.around(one.box, other.box))
    return kept


def blurred(picture: Picture, step: int = 1) -> Picture:
    """As the broad look sees it, which is at `step` times fewer pixels."""
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), BROAD * step), np.uint8)


@dataclass(frozen=True, slots=True)
class _Pair:
    """The two pictures, reduced, smoothed and in the same light."""

    have: Picture
    want: Picture
    apart: Grey  # the largest difference of a channel
    explained: Grey  # grey levels that edges explain, by the contrast within reach
    flat: Mask  # 255 where there is little contrast within reach
    doubtful: Grey  # grey levels by which light and glare may be wrong
    lost: Mask  # 255 where the picture is too bright to show anything

    @classmethod
    def of(cls, pair: Pair, beyond: Mask | None = None) -> "_Pair":
        glare = None if pair.glare is None else enlarged(pair.glare, pair.picture)
        even = pair.picture if glare is None else cv2.subtract(pair.picture, cv2.merge([glare] * 3))
        have, want = smooth(np.asarray(even, np.uint8)), smooth(pair.golden)
        want, doubtful = in_the_light_of(have, want, beyond)
        have, want = luminance_and_colour(have), luminance_and_colour(want)
        want = _evened(have, want, beyond)
        if glare is not None:
            around = np.ones((GLARE_REACH,) * 2, np.uint8)
            slope = cv2.subtract(cv2.dilate(glare, around), cv2.erode(glare, around))
            doubtful = np.asarray(cv2.add(doubtful, cv2.addWeighted(glare, GLARE, slope, GLARE, 0)), np.uint8)
            # What is clipped was brighter still: by how much glare there is, at most.
            clipped = cv2.threshold(pair.light, CLIPPED, 255, cv2.THRESH_BINARY)[1]
            doubtful = np.asarray(cv2.add(doubtful, cv2.bitwise_and(glare, clipped)), np.uint8)
        if cv2.hasNonZero(pair.lost):
            doubtful = np.asarray(
                cv2.max(doubtful, cv2.dilate(pair.lost, np.ones((GLARE_REACH,) * 2, np.uint8))), np.uint8
            )
        apart = lightness(np.asarray(cv2.absdiff(have, want), np.uint8))
        explained, flat = _edges(want, apart)
        explained = np.asarray(cv2.max(explained, _by_focus(have, want)), np.uint8)
        return cls(have, want, apart, explained, flat, doubtful, pair.lost)

    def broad(self) -> "_Pair":
        """Both blurred, so that where thin strokes lie hardly matters."""
        have, want = blurred(self.have), blurred(self.want)
        apart = lightness(np.asarray(cv2.absdiff(have, want), np.uint8))
        explained, flat = _edges(want, apart)
        return replace(self, have=have, want=want, apart=apart, explained=explained, flat=flat)


def _reduced_variation(variation: Grey | None, step: int) -> Grey | None:
    """The largest nearby: where good boards differ, they do so a little further on as well."""
    if variation is None:
        return None
    nearby = cv2.dilate(variation, np.ones((2 * step + 1,) * 2, np.uint8))
    height, width = (side // step * step for side in variation.shape)
    return np.asarray(nearby[:height:step, :width:step], np.uint8).copy()


def smooth(picture: Picture) -> Picture:
    return np.asarray(cv2.GaussianBlur(picture, (3, 3), 0), np.uint8)


def luminance_and_colour(picture: Picture) -> Picture:
    """Y, Cr and Cb, the last two smoothed: in a JPEG colour is so coarse that it bleeds over edges, in both pictures alike."""
    luminance, red, blue = cv2.split(cv2.cvtColor(picture, cv2.COLOR_RGB2YCrCb))
    return np.asarray(cv2.merge([luminance, cv2.blur(red, COLOUR_BLUR), cv2.blur(blue, COLOUR_BLUR)]), np.uint8)


def _evened(have: Picture, want: Picture, beyond: Mask | None) -> Picture:
    """`want` without what light left of a difference: clipped channels and the tones of dark ones make each place a little
    lighter or of another tint, which the median of wide surroundings tells for each channel.

    Beyond the golden picture it is `have`.
    """
    apart = cv2.addWeighted(have, LEFT_STEPS, want, -LEFT_STEPS, 128)  # an edge that lies aside is clipped
    small = blocks(np.asarray(apart, np.uint8))
    if beyond is not None:
        small = filled(small.astype(np.float32), blocks(beyond) == 0).astype(np.uint8)
    left = cv2.medianBlur(small, SURROUNDINGS)
    most = MOST_LEFT * LEFT_STEPS
    even = cv2.GaussianBlur(np.clip(left, 128 - most, 128 + most), (0, 0), 1.0)
    moved = cv2.addWeighted(want, 1, widened(np.asarray(even, np.uint8), want), 1 / LEFT_STEPS, -128 / LEFT_STEPS)
    return np.asarray(moved if beyond is None else cv2.copyTo(have, beyond, moved), np.uint8)


def _edges(want: Picture, apart: Grey) -> tuple[Grey, Mask]:
    """Grey levels that edges which lie a little aside explain at each pixel, and where there are none.

    Pixels on an edge tell which part of its contrast that is, those that only have one within a farther reach tell it
    for that: colour is softer than light in a JPEG, and another focus spreads an edge.
    """
    explained, differs, least = np.zeros_like(apart), np.ascontiguousarray(apart[SAMPLED]), 0.0
    flat, around, nearer = explained, explained, np.zeros_like(differs)
    for reach, contrast in zip(REACHES, _contrasts(want), strict=True):
        on = np.ascontiguousarray(contrast[SAMPLED])
        if reach == 1:
            least = max(EDGE_CONTRAST, percentile(on[::2, ::2], EDGE_SHARE))
            around = np.asarray(cv2.dilate(contrast, np.ones((2 * RINGING_REACH + 1,) * 2, np.uint8)), np.uint8)
            flat = np.asarray(cv2.threshold(contrast, percentile(on, 50), 255, cv2.THRESH_BINARY_INV)[1], np.uint8)
        edge = (on > least) & (nearer <= on >> 1)
        part = 0.0
        if int(edge.sum()) >= FEWEST_EDGES:
            part = float(np.percentile(differs[edge] / on[edge], EDGE_PERCENTILE))
        part = float(np.clip(EDGE_FACTOR * part, LEAST_EDGE if reach == 1 else 0.0, 1.0))
        if reach > 1 and part < NEGLIGIBLE:
            break
        explained = np.asarray(cv2.max(explained, cv2.convertScaleAbs(contrast, alpha=part)), np.uint8)
        nearer = on
    beside = (around[SAMPLED] > least) & (nearer <= least / 2)
    if int(beside.sum()) >= FEWEST_EDGES:
        ringing = RINGING_FACTOR * percentile(differs[beside], EDGE_PERCENTILE)
        explained = np.asarray(
            cv2.max(explained, cv2.threshold(around, least, ringing, cv2.THRESH_BINARY)[1]), np.uint8
        )
    return explained, flat


def _contrasts(want: Picture) -> Iterator[Grey]:
    """The contrast within each of REACHES, of the channel where it is the greatest.

    A window of three pixels passed over the last reach's result makes the next one: that takes less time than a larger one.
    """
    channels, kernel = cv2.split(want), np.ones((3, 3), np.uint8)
    highest, lowest = list(channels), list(channels)
    for _ in REACHES:
        highest = [cv2.dilate(channel, kernel) for channel in highest]
        lowest = [cv2.erode(channel, kernel) for channel in lowest]
        one, other, third = map(cv2.subtract, highest, lowest)
        yield np.asarray(cv2.max(cv2.max(one, other), third), np.uint8)


def blurred_away(want: Picture) -> Grey:
    """Grey levels that a softer picture lacks: the golden one became softer when it was laid over, which thin print shows."""
    luminance = cv2.extractChannel(want, 0)
    return np.asarray(
        cv2.convertScaleAbs(cv2.absdiff(luminance, cv2.GaussianBlur(luminance, SOFTER, 0)), alpha=SOFT_FACTOR), np.uint8
    )


def _by_focus(have: Picture, want: Picture) -> Grey:
    """Grey levels that a softer picture lacks, and those that one lacks which is softer than this one.

    How much softer the golden one is, strong edges tell: what is thin on the picture differs by that part of what a blur takes.
    """
    lacks, has = blurred_away(want), blurred_away(have)
    at_edges = (percentile(np.ascontiguousarray(lost[SAMPLED]), SHARP_PERCENTILE) for lost in (has, lacks))
    sharper = float(np.clip(next(at_edges) / max(1.0, next(at_edges)) - 1, 0, 1))
    return np.asarray(cv2.max(lacks, cv2.convertScaleAbs(has, alpha=sharper)), np.uint8)


def _tolerance(pair: _Pair, noise: Grey, variation: Grey | None, times: float = 1.0) -> Grey:
    """Grey levels by which each pixel may differ, and `times` that."""
    allowed = cv2.add(cv2.max(pair.explained, noise), pair.doubtful)
    if variation is not None:
        allowed = cv2.addWeighted(allowed, 1, variation, VARIATION, 0)
    return np.asarray(allowed if times == 1 else cv2.convertScaleAbs(allowed, alpha=times), np.uint8)


def _noise(pair: _Pair) -> NDArray[np.uint8]:
    """Grey levels that noise explains, block by block: as much as flat ground around differs by."""
    flat = blocks(pair.flat).astype(np.float32) / 255
    # In eighths of a grey level, for blocks are rounded to whole numbers.
    eighths = blocks(np.asarray(cv2.bitwise_and(cv2.convertScaleAbs(pair.apart, alpha=8), pair.flat), np.uint8))
    mean = np.where(flat > LEAST_FLAT, eighths / np.maximum(flat, LEAST_FLAT), np.nan)
    mean = np.where(np.isnan(mean), np.nanmedian(mean) if (flat > LEAST_FLAT).any() else 0.0, mean)
    local = cv2.medianBlur(np.clip(mean, 0, 255).astype(np.uint8), SURROUNDINGS).astype(np.float32) / 8
    # Something large and foreign fills all of its surroundings, but not all of the picture.
    local = np.minimum(local, max(float(np.median(mean)) / 8, LEAST_TOLERANCE / NOISE_FACTOR) * NOISIEST)
    return np.asarray(np.clip(NOISE_FACTOR * local, LEAST_TOLERANCE, 255).round(), np.uint8)


def _beyond(apart: Grey, allowed: Grey) -> Mask:
    """Where the pictures differ by more than is allowed, without single pixels and hairs."""
    beyond = cv2.threshold(cv2.subtract(apart, allowed), 0, 1, cv2.THRESH_BINARY)[1]
    return np.asarray(cv2.morphologyEx(beyond, cv2.MORPH_OPEN, np.ones((2, 2), np.uint8)), np.uint8)


def _regions(seeds: Mask) -> list[tuple[Window, Mask]]:
    """The windows of connected differences, with room around them, and their pixels in it."""
    found = []
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * MERGE + 1,) * 2)
    for place in where(seeds, AROUND + MERGE):
        near = np.asarray(seeds[place], np.uint8)
        down, across = (side.start for side in place)
        count, labels, statistics, _ = cv2.connectedComponentsWithStats(cv2.dilate(near, kernel), connectivity=8)
        height, width = near.shape
        for label in range(1, count):
            left, top, wide, high, _ = (int(value) for value in statistics[label])
            rows, columns = (
                slice(max(0, top - AROUND), min(height, top + high + AROUND)),
                slice(max(0, left - AROUND), min(width, left + wide + AROUND)),
            )
            pixels = np.asarray((labels[rows, columns] == label) & (near[rows, columns] > 0), np.uint8)
            if int(pixels.sum()) >= LEAST_AREA:
                window = (
                    slice(down + rows.start, down + rows.stop),
                    slice(across + columns.start, across + columns.stop),
                )
                found.append((begins(labels, label, (left, top, wide, high), place), window, pixels))
    return [(window, pixels) for _, window, pixels in sorted(found, key=itemgetter(0))]


def _evidence(pair: _Pair, allowed: Grey, noise: Grey, window: Window, pixels: Mask) -> dict[str, float]:
    """What speaks for a defect. Sizes and grey levels as logarithms: twice as much is as telling at any size.

    `peak` is how many times as much as is allowed it differs, `edge` and `doubt` the part of that which edges, and light
    and glare, explain, `long` how long it is for its thickness, `part` by which part of the contrast around it differs,
    `clear` how far it stands out of the noise, all of its pixels together.
    """
    inside = pixels > 0
    apart, may = pair.apart[window][inside].astype(np.float32), np.maximum(allowed[window][inside], 1.0)
    padded = cv2.copyMakeBorder(pixels, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=(0,))
    thickness = float(cv2.distanceTransform(padded, cv2.DIST_L2, 5).max())
    hull = cv2.contourArea(cv2.convexHull(cv2.findNonZero(pixels))) + 1
    *_, contrast = _contrasts(np.ascontiguousarray(pair.want[window]))
    common = max(1.0, float(np.average(contrast[inside], weights=apart)))
    drowns = float(noise[window][inside].mean())
    return {
        "bias": 1.0,
        "peak": float(np.log((apart / may).max())),
        "edge": float((pair.explained[window][inside] / may).mean()),
        "doubt": float((pair.doubtful[window][inside] / may).mean()),
        "long": min(LONGEST, float(np.log(hull / thickness**2))),
        "part": float(np.log(np.clip(float(apart.max()) / common, *PARTS))),
        "clear": float(np.log(float(apart.sum()) / (drowns * np.sqrt(apart.size)))),
    }


def _name(pair: _Pair, window: Window, pixels: Mask) -> GoldenClass:
    """Gone is what now looks as the surroundings do; too much is what looked as they do."""
    inside = pixels > 0
    have, want = (picture[window].astype(np.float32) for picture in (pair.have, pair.want))
    weights = pair.apart[window][inside].astype(np.float32)
    now, then = (np.average(picture[inside], axis=0, weights=weights) for picture in (have, want))
    around = cv2.dilate(pixels, np.ones((2 * AROUND + 1,) * 2, np.uint8)) > cv2.dilate(
        pixels, np.ones((5, 5), np.uint8)
    )
    near = 0.5 * float(np.linalg.norm(now - then))
    like_now, like_then = (
        float((np.linalg.norm(want[around] - colour, axis=1) < near).mean()) if around.any() else 0.0
        for colour in (now, then)
    )
    if max(like_now, like_then) < COMMON:
        return "changed"
    return "missing" if like_now > like_then else "foreign"


def _box(window: Window, pixels: Mask, step: int, shape: tuple[int, ...]) -> Box:
    """The region with a margin, in pixels of the picture."""
    left, top, width, height = cv2.boundingRect(pixels)
    left, top = left + window[1].start - BOX_MARGIN, top + window[0].start - BOX_MARGIN
    right, bottom = left + width + 2 * BOX_MARGIN, top + height + 2 * BOX_MARGIN
    left, right = max(0.0, left * step), min(float(shape[1]), right * step)
    top, bottom = max(0.0, top * step), min(float(shape[0]), bottom * step)
    return Box((left + right) / 2, (top + bottom) / 2, right - left, bottom - top)

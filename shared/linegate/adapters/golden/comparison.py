"""Where two registered pictures of a board differ by more than their own edges explain: in copper, or in how they look.

No fixed tolerance fits all boards: edges are as ragged as etching, light and thresholding make them. So each pair of
pictures tells its own raggedness, a difference is looked at where it leaves that behind, and its confidence is what
boards with known defects taught about differences of that size, measured in raggedness.

Copper is told by one threshold, which sees nothing of materials that lie on the same side of it. So photographs are
compared once more, in colour and without any notion of copper (`appearance`). What only that sees is `foreign`, `missing`
or `changed`; what both see has the copper's name and the greater of the two confidences.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from linegate.adapters.golden import boxes
from linegate.adapters.golden.appearance import unlike
from linegate.adapters.golden.classes import GoldenClass
from linegate.adapters.golden.evidence import MOST_CERTAIN, probability
from linegate.adapters.golden.materials import (
    Copper,
    Grey,
    Mask,
    Picture,
    Shown,
    bare_metal,
    copper_masks,
)
from linegate.adapters.golden.pair import Pair
from linegate.adapters.golden.topology import (
    Region,
    class_of_extra,
    class_of_missing,
    dilated,
    disc,
    hole_is_covered,
)
from linegate.adapters.golden.windows import Window, begins, where
from linegate.errors import RegistrationError
from linegate.inspection import Detection
from linegate.shapes import Box

Distance = NDArray[np.float32]  # height x width, in pixels

# Times less likely that copper differs by a defect where the two pictures look alike.
UNCONFIRMED: Final = 20.0
# Pixels. Black-and-white edges step by whole pixels, so half of one is as good as two edges agree.
LEAST_RAGGEDNESS: Final = 0.5
# Raggedness by which a difference must reach beyond an edge to be looked at.
REACH: Final = 3.0
# Pixels at a picture side of 640, scaled with the picture.
GROWTH: Final = 3.0
MERGE_DISTANCE: Final = 4.0
BOX_MARGIN: Final = 8.0
# Edges further apart belong to defects, not to one edge; they count as little as this many pixels of raggedness.
SAME_EDGE, OUTLIER = 6.0, 3.0
# Edges that lie further apart than this over the whole board are not edges of the same board.
MAXIMUM_RAGGEDNESS: Final = 2.0
# From here on small defects drown among the edges: what is found counts, that nothing is found does not. Plain scans stay
# below 1.15.
DROWNING: Final = 1.25
# Part of the picture's area. The worst of real boards stays below a hundredth.
MAXIMUM_DIFFERING: Final = 0.03
LARGE_DISC: Final = 8  # pixels
LEAST_CONFIDENCE: Final = 0.02
FARTHEST: Final = 20.0  # raggedness up to which distances tell more

# Logistic regression: what each piece of evidence (see `_evidence`) adds to the log-odds that a difference is a defect.
# `linegate.evaluation.confidence` fits them on labelled pairs of pictures, edges roughened and golden pictures displaced.
WEIGHTS: Final[Mapping[str, float]] = {
    "bias": -10.42,
    "depth": 0.72,
    "reach": 1.01,
    "length": -2.5,
    "width": 2.4,
    "thickness": 3.43,
    "volume": 2.41,
    "far_volume": -0.17,
    "ragged_nearby": -1.15,
    "splits": 3.5,
    "joins": -3.3,
    "stands_alone": -6.38,
}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A difference that may be a defect, and what speaks for it."""

    class_name: GoldenClass
    box: Box
    evidence: Mapping[str, float]

    @property
    def confidence(self) -> float:
        """The probability that this is a defect, as far as labelled boards taught it; never certain."""
        return min(MOST_CERTAIN, probability(self.evidence, WEIGHTS))


def compare(
    picture: Picture, golden: Picture, copper: Copper = "auto", variation: Grey | None = None
) -> list[Detection]:
    """What `examine` finds, without its doubts."""
    return examine(picture, golden, copper, variation)[0]


def examine(
    picture: Picture | Shown,
    golden: Picture | Shown,
    copper: Copper = "auto",
    variation: Grey | None = None,
    broad: Grey | None = None,
    beyond: Mask | None = None,
) -> tuple[list[Detection], tuple[str, ...]]:
    """Defects of `picture` against the registered `golden` picture of the same size, the surest first; and why there may be more.

    `copper` says whether copper is brighter or darker than what lies beside it; "auto" takes black-and-white scans as
    dark and everything else as bright. `variation` is by how many grey levels good boards differ from the golden one,
    `broad` by how many they do on average around each pixel; `beyond` is 255 where the golden picture ends. Raises
    RegistrationError where so much differs that it can't be defects.
    """
    seen, good = Shown.of(picture), Shown.of(golden)
    pair = Pair.of(seen, good)
    differences, doubts = _candidates(seen, good, pair, copper, variation)
    found = [Detection(one.class_name, round(one.confidence, 3), one.box) for one in differences]
    if not pair.scan:  # a scan is all copper and ground
        others, more = unlike(seen.pixels, good.pixels, variation, pair, broad, beyond)
        looks = [Detection(one.class_name, round(one.confidence, 3), one.box) for one in others]
        found = _merged(found, looks, told=bool(others) or not more)
        doubts += more
    sure = (detection for detection in found if detection.confidence >= LEAST_CONFIDENCE)
    return sorted(sure, key=lambda detection: -detection.confidence), doubts


def _merged(named: list[Detection], others: list[Detection], *, told: bool) -> list[Detection]:
    """Both, but what overlaps a named one is the same difference: two have seen it, the surer one counts.

    Its box is where either saw it, for what hardly overlaps it is a difference of its own. Where looks were `told`, what they
    do not show is less likely a defect: print that is as bright as copper lies a little aside on every board.
    """
    kept, alone = list(named), []
    confirmed: set[int] = set()
    for other in others:
        same = [index for index, one in enumerate(named) if boxes.same(one.box, other.box)]
        confirmed.update(same)
        if same:
            best = max(same, key=lambda index: kept[index].confidence)
            one = kept[best]
            kept[best] = replace(
                one, confidence=max(one.confidence, other.confidence), box=boxes.around(one.box, other.box)
            )
        else:
            alone.append(other)
    if told:
        kept = [one if index in confirmed else _unconfirmed(one) for index, one in enumerate(kept)]
    return kept + alone


def _unconfirmed(found: Detection) -> Detection:
    odds = found.confidence / (1 - found.confidence) / UNCONFIRMED
    return replace(found, confidence=round(odds / (1 + odds), 3))


def candidates(
    picture: Picture, golden: Picture, copper: Copper = "auto", variation: Grey | None = None
) -> tuple[list[Candidate], tuple[str, ...]]:
    """Every difference that reaches beyond the raggedness of the edges, and why there may be more.

    Raises RegistrationError as `examine` does.
    """
    seen, good = Shown(picture), Shown(golden)
    return _candidates(seen, good, Pair.of(seen, good), copper, variation)


def _candidates(
    seen: Shown, good: Shown, pair: Pair, copper: Copper, variation: Grey | None
) -> tuple[list[Candidate], tuple[str, ...]]:
    have, want = copper_masks(seen, good, copper, variation, pair.glare if pair.coloured else None)
    scale = float(np.clip(min(want.shape) / 640, 0.75, 4))
    differs = cv2.bitwise_xor(have, want)
    windows = where(np.asarray(differs, np.uint8), _room(scale) + round(SAME_EDGE * scale))
    depths = [_Depths.of(have, want, window) for window in windows]
    edges = _raggedness(have, want, windows, depths, scale)
    if edges.typical > MAXIMUM_RAGGEDNESS * scale:
        raise RegistrationError(
            f"edges lie {edges.typical:.1f} px from those of the golden picture: they do not show the same product, or "
            "one of them is out of focus"
        )
    sides = (
        (True, cv2.bitwise_and(want, differs), [(known.in_want, known.beside_have) for known in depths]),
        (False, cv2.bitwise_and(have, differs), [(known.beside_want, known.in_have) for known in depths]),
    )
    seeded = [
        (gone, window, part, _beyond(part, deep, far, edges), deep, far, apart)
        for gone, difference, known in sides
        for window, (deep, far), apart in zip(windows, known, edges.apart, strict=True)
        for part in (np.asarray(difference[window], np.uint8),)
    ]
    differing = sum(cv2.countNonZero(seeds) for _, _, _, seeds, *_ in seeded) / want.size
    if differing > MAXIMUM_DIFFERING:  # before a flood of regions is looked at one by one
        raise RegistrationError(
            f"{differing:.0%} of the picture differ from the golden picture: they do not show the same product"
        )
    found = []
    for gone, window, difference, seeds, deep, far, apart in seeded:
        for region in _regions(seeds, difference, window, scale):
            name: GoldenClass = class_of_missing(region, want, have) if gone else class_of_extra(region, want)
            if gone and pair.coloured and _hole_is_covered(region, seen.pixels, good.pixels):
                name = "missing_hole"
            at = _within(region.window, window)
            evidence = _evidence(region, name, deep[at], far[at], apart[at], edges.typical)
            found.append(Candidate(name, _box(region, scale, seen.shape), evidence))
    if edges.typical <= DROWNING * scale:
        return found, ()
    doubt = (
        f"Edges lie {edges.typical:.1f} px from those of the golden picture: defects under "
        f"{REACH * edges.typical:.0f} px can't be seen."
    )
    return found, (doubt,)


@dataclass(frozen=True, slots=True)
class _Edges:
    """How far the edges of the two pictures lie apart: everywhere, and on each pixel of an edge of the golden one."""

    typical: float
    apart: tuple[Distance, ...]  # window by window, and 1 more; 0 away from edges


@dataclass(frozen=True, slots=True)
class _Depths:
    """For each pixel of a window, how deep it lies in the copper of either picture, or in what lies beside the copper.

    True as far as the room around what differs there.
    """

    in_want: Distance
    beside_want: Distance
    in_have: Distance
    beside_have: Distance

    @classmethod
    def of(cls, have: Mask, want: Mask, window: Window) -> "_Depths":
        seen = ((mask[window], mask.shape) for mask in (want, have))
        kinds = ((kind, shape) for mask, shape in seen for kind in (mask, 1 - mask))
        # Without padding between the rows, with which all that follows takes longer.
        return cls(*(np.ascontiguousarray(_depth(kind, window, shape)) for kind, shape in kinds))


def _raggedness(have: Mask, want: Mask, windows: Sequence[Window], depths: Sequence[_Depths], scale: float) -> _Edges:
    """Root of the mean square distance of each picture's edges from the other's; defects hardly count.

    Outside of the windows the edges lie on one another.
    """
    count, squares = 0, 0.0
    on_golden: list[Distance] = []
    for mask, other in ((have, want), (want, have)):
        edge = cv2.subtract(mask, cv2.erode(mask, np.ones((3, 3), np.uint8)))
        edge[[0, -1]], edge[:, [0, -1]] = 0, 0  # the picture ends there, not the copper
        count += cv2.countNonZero(edge)
        for window, known in zip(windows, depths, strict=True):
            within, beside = (known.in_want, known.beside_want) if mask is have else (known.in_have, known.beside_have)
            on = np.flatnonzero(edge[window])
            # An edge pixel that lies on the other's edge too has a depth of 1 there.
            inside = other[window].ravel()[on] > 0
            apart = np.where(inside, within.ravel()[on] - 1, beside.ravel()[on])
            same = apart <= SAME_EDGE * scale
            count -= on.size - int(np.count_nonzero(same))
            near = np.minimum(apart[same], OUTLIER * scale)
            squares += float(np.square(near, dtype=np.float64).sum())
            if mask is want:
                told = np.zeros(within.shape, np.float32)
                told.ravel()[on[same]] = near + 1
                on_golden.append(told)
    typical = float(np.sqrt(squares / count)) if count else 0.0
    return _Edges(max(LEAST_RAGGEDNESS, typical), tuple(on_golden))


def _beyond(difference: Mask, deep: Distance, far: Distance, edges: _Edges) -> Mask:
    """The part of the difference that raggedness does not explain."""
    seeds = np.zeros(difference.shape, np.uint8)
    at = np.flatnonzero(difference)
    seeds.ravel()[at] = np.maximum(deep.ravel()[at], far.ravel()[at]) > REACH * edges.typical
    return seeds


def _within(part: Window, whole: Window) -> Window:
    """The part of the picture as a part of a window of it."""
    (top, left), (rows, columns) = (side.start for side in whole), part
    return slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left)


def _placed(part: Window, whole: Window) -> Window:
    """A part of a window as a part of the picture."""
    (rows, columns), (down, across) = part, (side.start for side in whole)
    return slice(down + rows.start, down + rows.stop), slice(across + columns.start, across + columns.stop)


def _evidence(
    region: Region, class_name: str, deep: Distance, far: Distance, apart: Distance, unit: float
) -> dict[str, float]:
    """What speaks for a defect, in units of the edges' raggedness: a shape that raggedness does not explain.

    Depths and distances are those of the region's window, `unit` is the raggedness in pixels.
    Lengths as logarithms: twice as deep is as telling at any depth.
    """
    pixels = region.pixels > 0
    depth, reach = np.minimum(deep[pixels] / unit, FARTHEST), far[pixels] / unit
    reach = np.minimum(reach, FARTHEST)
    left, top, right, bottom = region.bounds
    length = max(right - left, bottom - top) / unit
    area = float(pixels.sum()) / unit**2
    thickness = float(_depth(region.pixels).max()) / unit
    beside = dilated(region.pixels, disc(3)) == 0
    nearby = apart[beside]
    nearby = nearby[nearby > 0] - 1
    local = _rms(nearby) if nearby.size > 20 else unit
    return {
        "bias": 1.0,
        "depth": float(np.log(depth.max())),
        "reach": float(np.log(max(float(reach.max()), 0.5))),
        "length": float(np.log(length)),
        "width": float(np.log(area / length)),
        "thickness": float(np.log(min(thickness, FARTHEST))),
        "volume": float(np.log1p(np.maximum(depth - 2, 0).sum())),
        "far_volume": float(np.log1p(np.maximum(reach - 2, 0).sum())),
        "ragged_nearby": float(np.log(max(local, 0.3) / unit)),
        "splits": float(class_name == "open_circuit"),
        "joins": float(class_name == "short"),
        "stands_alone": float(class_name in {"pin_hole", "spurious_copper"}),
    }


def _hole_is_covered(region: Region, picture: Picture, golden: Picture) -> bool:
    have, want = (bare_metal(shown[region.window]) for shown in (picture, golden))
    return hole_is_covered(region, have, want)


def _room(scale: float) -> int:
    """Pixels around a region that are looked at to name it."""
    return max(1, round(MERGE_DISTANCE * scale)) + 2 * round(GROWTH * scale) + round(6 * scale)


def _regions(seeds: Mask, difference: Mask, window: Window, scale: float) -> list[Region]:
    """Seeds are differences beyond the raggedness; each is grown to the whole of the difference around it.

    Both are those of the window.
    """
    if not cv2.hasNonZero(seeds):
        return []
    growth, merge, room = round(GROWTH * scale), max(1, round(MERGE_DISTANCE * scale)), _room(scale)
    # With room for what grows, and for what is looked at around that.
    found = [
        (order, region)
        for place in where(seeds, growth + merge + room)
        for order, region in _joined(seeds[place], difference[place], place, window, growth, merge, room)
    ]
    return [region for _, region in sorted(found, key=itemgetter(0))]


def _joined(
    seeds: Mask, difference: Mask, place: Window, window: Window, growth: int, merge: int, room: int
) -> Iterator[tuple[tuple[int, int], Region]]:
    """The regions of a part of a window, and what sorts them: the seeds grown by so many pixels and those joined that are so
    close to each other.
    """
    grown = _grown(seeds, growth) & difference
    # Fragments of one defect lie closer together than two defects do.
    joined = _grown(grown, merge)
    count, labels, statistics, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
    height, width = seeds.shape
    for label in range(1, count):
        left, top, wide, high, _ = (int(value) for value in statistics[label])
        rows, columns = (
            slice(max(0, top - room), min(height, top + high + room)),
            slice(max(0, left - room), min(width, left + wide + room)),
        )
        pixels = np.asarray((labels[rows, columns] == label) & (grown[rows, columns] > 0), np.uint8)
        seen = _placed(_placed((rows, columns), place), window)
        x, y, w, h = cv2.boundingRect(pixels)
        x, y = seen[1].start + x, seen[0].start + y
        yield begins(labels, label, (left, top, wide, high), place), Region(seen, pixels, (x, y, x + w, y + h))


def _box(region: Region, scale: float, shape: tuple[int, ...]) -> Box:
    """The region with a margin, as people draw boxes around defects, inside the picture."""
    margin = BOX_MARGIN * scale
    left, top = (max(0.0, edge - margin) for edge in region.bounds[:2])
    right, bottom = min(float(shape[1]), region.bounds[2] + margin), min(float(shape[0]), region.bounds[3] + margin)
    return Box((left + right) / 2, (top + bottom) / 2, right - left, bottom - top)


def _depth(mask: Mask, window: Window | None = None, shape: tuple[int, ...] = ()) -> Distance:
    """How far each pixel of the mask lies from the next pixel outside of it: 1 at its edge, 0 outside.

    Beyond the picture anything may lie, so the picture's outermost pixels are edges too. Of a `window` of a picture of
    this `shape` that holds on those sides where the picture ends.
    """
    top, bottom, left, right = (
        (1, 1, 1, 1)
        if window is None
        else (
            int(window[0].start == 0),
            int(window[0].stop == shape[0]),
            int(window[1].start == 0),
            int(window[1].stop == shape[1]),
        )
    )
    padded = cv2.copyMakeBorder(mask, top, bottom, left, right, cv2.BORDER_CONSTANT, value=(0,))
    depth = cv2.distanceTransform(padded, cv2.DIST_L2, 5)
    if cv2.countNonZero(padded) == padded.size:  # nothing lies outside of the mask: the distance is endless
        depth = cv2.threshold(depth, float(sum(padded.shape)), 0, cv2.THRESH_TRUNC)[1]
    return np.asarray(depth[top : top + mask.shape[0], left : left + mask.shape[1]], np.float32)


def _grown(mask: Mask, by: int) -> Mask:
    """The mask and all within this many pixels. A large disc takes less time by distance than by dilation."""
    if by < LARGE_DISC:
        return dilated(mask, disc(by))
    return np.asarray(cv2.distanceTransform(1 - mask, cv2.DIST_L2, 5) <= by, np.uint8)


def _rms(values: NDArray[np.float32]) -> float:
    return float(np.sqrt(np.mean(np.square(values))))

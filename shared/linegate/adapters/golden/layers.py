"""The materials of a golden picture, and which of them lie on which: where a defect can be planted on it."""

import itertools
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from linegate.adapters.golden.coverage import FAINTEST, ground_of, materials
from linegate.adapters.golden.materials import Copper, Mask, Picture, copper_masks, lightness, two_levels

Distance = NDArray[np.float32]

# Materials are told on a picture whose shorter side is reduced to nearly this.
SIDE: Final = 800
# Colours that are told apart at first: what is left of edges takes some of them.
TOLD: Final = 24
# Part of the contrast around a pixel by which it may differ from the brightest or darkest there, or it is on an edge.
ON_EDGE: Final = 0.2
# Pixels of depth up to which a material may be the soft edge of two others, and grey levels from the line between these.
THIN, BETWEEN = 1.5, 20.0
# A border must be this long in pixels at a side of 640, and show this part of the two materials' difference.
SHORTEST, SHARP = 150, 0.35
MOST: Final = 5  # layers, those with the longest borders
# Print is grey: its channels differ by less than this. It consists of strokes, in pixels of depth at a side of 640.
GREY, STROKE = 36, 3.2
# Part of its border that it has with the one ground that it lies on
ALONE: Final = 0.8
# A hole is darker than what is around it by so many grey levels; on a scan it is what copper encloses. Its diameter in pixels
# at a side of 640, how much of its box a round one fills, and times its area that the pad around it may have.
DARKER, NARROWEST_HOLE, WIDEST_HOLE, ROUND, PAD = 24, 4, 40, 0.6, 60
FEWEST_HOLES: Final = 5
PIERCED: Final = 0.5  # part of the pads that have a hole: letters have fewer
COMMON: Final = 0.02  # part of the picture from which a material is a ground of its own


@dataclass(frozen=True, eq=False)
class Layer:
    """One material that lies on another: tracks on their ground, a hole in its pad, print on the mask."""

    figure: Mask
    ground: Mask
    figure_name: str
    ground_name: str
    scan: bool = False

    @cached_property
    def inside(self) -> Distance:
        """How deep each pixel lies in the figure."""
        return _depth(self.figure)

    @cached_property
    def beside(self) -> Distance:
        """How deep each pixel lies in the ground."""
        return _depth(self.ground)

    @property
    def swapped(self) -> "Layer":
        return Layer(self.ground, self.figure, self.ground_name, self.figure_name, self.scan)

    @property
    def name(self) -> str:
        return f"{self.figure_name} on {self.ground_name}"

    @cached_property
    def holes(self) -> NDArray[np.float64]:
        """Round parts of the figure that the ground encloses, n x 3: across, down and diameter in pixels."""
        count, labels, statistics, centres = cv2.connectedComponentsWithStats(self.figure, connectivity=4)
        _, pads, of_pads, _ = cv2.connectedComponentsWithStats(self.ground, connectivity=8)
        scale = max(1.0, min(self.figure.shape) / 640)
        found = []
        for label in range(1, count):
            left, top, wide, high, area = (int(value) for value in statistics[label])
            if not (NARROWEST_HOLE * scale <= min(wide, high) and max(wide, high) <= WIDEST_HOLE * scale):
                continue
            if min(wide, high) < 0.6 * max(wide, high) or area < ROUND * wide * high:
                continue
            window = np.s_[max(0, top - 3) : top + high + 3, max(0, left - 3) : left + wide + 3]
            inner = np.asarray(labels[window] == label, np.uint8)
            around = (cv2.dilate(inner, np.ones((5, 5), np.uint8)) > 0) & (inner == 0)
            pad = int(np.bincount(pads[window][around]).argmax()) if around.any() else 0
            if (
                pad
                and (pads[window][around] == pad).mean() > 0.9
                and (self.scan or of_pads[pad, cv2.CC_STAT_AREA] <= PAD * area)
            ):
                found.append((*centres[label], 2 * np.sqrt(area / np.pi)))
        return np.array(found, np.float64).reshape(-1, 3)


@dataclass(frozen=True, eq=False)
class Layers:
    """What can be planted on. `conductors` are figures with a ground, `holes` are holes in their pads, `prints` print."""

    conductors: tuple[Layer, ...]
    holes: tuple[Layer, ...]
    prints: tuple[Layer, ...]
    grounds: tuple[tuple[str, Mask], ...]  # every material, the commonest first
    scan: bool


def layers_of(golden: Picture, copper: Copper = "auto") -> Layers:
    """What lies on what. On a scan that is copper on its ground, on a photograph each pair of materials that share edges."""
    if two_levels(golden):
        mask = copper_masks(golden, golden, copper, None)[1]
        layer = Layer(mask, np.asarray(1 - mask, np.uint8), "copper", "ground", scan=True)
        return Layers((layer,), (layer.swapped,), (), (), scan=True)
    small = _reduced(golden)
    shown = np.asarray(1 - _enlarged(ground_of(golden).plain, small.shape), np.uint8)
    labels, colours = labelled(small, shown)
    contrast = _contrast(lightness(small))[0]
    areas = [np.asarray((labels == index) & (shown > 0), np.uint8) for index in range(len(colours))]
    grown = [np.asarray(cv2.dilate(area, np.ones((3, 3), np.uint8)), np.uint8) for area in areas]
    borders = {
        pair: np.asarray((areas[pair[0]] & grown[pair[1]]) | (areas[pair[1]] & grown[pair[0]]), np.uint8)
        for pair in itertools.combinations(range(len(colours)), 2)
    }
    lengths = {pair: cv2.countNonZero(border) // 2 for pair, border in borders.items()}
    scale = max(1.0, min(labels.shape) / 640)
    real = [
        pair
        for pair, border in borders.items()
        if lengths[pair] >= SHORTEST * scale
        and float(np.median(contrast[border > 0])) >= SHARP * float(np.abs(colours[pair[0]] - colours[pair[1]]).max())
    ]
    large = [_as_large(area, golden) for area in areas]
    names = ["#{:02x}{:02x}{:02x}".format(*np.round(colour).astype(int)) for colour in colours]
    conductors: list[Layer] = []
    holes: list[Layer] = []
    prints: list[Layer] = []
    for pair in sorted(real, key=lambda pair: -lengths[pair])[:MOST]:
        depths = [float(np.median(_depth(areas[index])[areas[index] > 0])) for index in pair]
        figure, ground = pair if depths[0] <= depths[1] else pair[::-1]
        layer = Layer(large[figure], large[ground], names[figure], names[ground])
        alone = lengths[pair] / sum(length for other, length in lengths.items() if figure in other)
        dark = layer if colours[figure].max() < colours[ground].max() else layer.swapped
        apart = abs(float(colours[figure].max() - colours[ground].max()))
        pierced = apart > DARKER and len(dark.holes) >= max(FEWEST_HOLES, PIERCED * _parts(dark.ground))
        if pierced:
            holes.append(dark)
        elif alone > ALONE and min(depths) <= STROKE * scale and _prints(colours[figure], colours):
            prints.append(layer)
        if not (layer in prints or (pierced and dark is layer)):
            conductors.append(layer)
    drilled = {layer.figure_name for layer in holes}
    conductors = [layer for layer in conductors if layer.figure_name not in drilled]
    order = sorted(range(len(colours)), key=lambda index: -float(areas[index].mean()))
    grounds = tuple((names[index], large[index]) for index in order if areas[index].mean() > COMMON)
    return Layers(tuple(conductors), tuple(holes), tuple(prints), grounds, scan=False)


def labelled(golden: Picture, shown: Mask) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """The number of the material at each pixel, and the colours of the materials (n x 3) among what is `shown`.

    What lies on an edge between two is neither: it gets that of the next pixel which is not.
    """
    light = lightness(golden)
    contrast, high, low = _contrast(light)
    certain = (contrast <= FAINTEST) | (high - light <= ON_EDGE * contrast) | (light - low <= ON_EDGE * contrast)
    colours = _merged(*materials(golden[certain & (shown > 0)], TOLD))
    labels = _nearest(golden, colours, certain)
    kept = [index for index in range(len(colours)) if not _blend(index, colours, labels)]
    if len(kept) < len(colours):
        lost = ~np.isin(labels, kept)
        colours = colours[kept]
        labels = _nearest(golden, colours, certain & ~lost)
    return labels, colours


def _contrast(light: NDArray[np.uint8]) -> tuple[Distance, NDArray[np.uint8], NDArray[np.uint8]]:
    """Of all within two pixels; the brightest and the darkest there."""
    five = np.ones((5, 5), np.uint8)
    high, low = np.asarray(cv2.dilate(light, five), np.uint8), np.asarray(cv2.erode(light, five), np.uint8)
    return high.astype(np.float32) - low, high, low


def _nearest(picture: Picture, colours: NDArray[np.float32], certain: NDArray[np.bool_]) -> NDArray[np.uint8]:
    nearest = np.zeros(picture.shape[:2], np.uint8)
    least = np.full(picture.shape[:2], np.inf, np.float32)
    for index, colour in enumerate(colours):
        apart = np.abs(picture - colour).max(axis=2)
        nearest[apart < least], least = index, np.minimum(least, apart)
    if not certain.any():
        return nearest
    uncertain = np.asarray(~certain, np.uint8)
    _, whose = cv2.distanceTransformWithLabels(uncertain, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    by_place = np.zeros(int(whose.max()) + 1, np.uint8)
    by_place[whose[certain]] = nearest[certain]
    return np.asarray(by_place[whose], np.uint8)


def _blend(index: int, colours: NDArray[np.float32], labels: NDArray[np.uint8]) -> bool:
    """Whether it is the soft edge between two others: thin, and of a colour between theirs."""
    area = np.asarray(labels == index, np.uint8)
    if not area.any() or float(np.median(_depth(area)[area > 0])) > THIN:
        return not area.any()
    others = [other for other in range(len(colours)) if other != index]
    for one, other in itertools.combinations(others, 2):
        along = colours[other] - colours[one]
        part = float(np.clip((colours[index] - colours[one]) @ along / max(float(along @ along), 1.0), 0, 1))
        if 0.1 < part < 0.9 and float(np.abs(colours[one] + part * along - colours[index]).max()) < BETWEEN:
            return True
    return False


def _merged(centres: NDArray[np.float32], shares: NDArray[np.float64]) -> NDArray[np.float32]:
    """Without shades of one material, and without what is hardly there."""
    colours = [(centre, share) for centre, share in zip(centres, shares, strict=True) if share > 0.003]
    while len(colours) > 1:
        apart = {
            (i, j): float(np.abs(colours[i][0] - colours[j][0]).max())
            for i, j in itertools.combinations(range(len(colours)), 2)
        }
        closest = min(apart, key=lambda pair: apart[pair])
        if apart[closest] > FAINTEST:
            break
        (one, much), (other, more) = (colours[index] for index in closest)
        rest = [colour for index, colour in enumerate(colours) if index not in closest]
        colours = [*rest, ((one * much + other * more) / (much + more), much + more)]
    return np.array([colour for colour, _ in colours], np.float32)


def _prints(colour: NDArray[np.float32], colours: NDArray[np.float32]) -> bool:
    """Grey, and the brightest or darkest of all."""
    light = colours.max(axis=1)
    return bool(np.ptp(colour) < GREY and float(colour.max()) in (float(light.max()), float(light.min())))


def _reduced(golden: Picture) -> Picture:
    """As the comparison by looks sees it: with sharp edges."""
    step = max(1, round(float(min(golden.shape[:2])) / SIDE))
    size = golden.shape[1] // step, golden.shape[0] // step
    return golden if step == 1 else np.asarray(cv2.resize(golden, size, interpolation=cv2.INTER_AREA), np.uint8)


def _as_large(mask: Mask, golden: Picture) -> Mask:
    return np.asarray(cv2.resize(mask, golden.shape[1::-1], interpolation=cv2.INTER_NEAREST), np.uint8)


def _parts(mask: Mask) -> int:
    return cv2.connectedComponents(mask, connectivity=8)[0] - 1


def _enlarged(mask: Mask, shape: tuple[int, ...]) -> Mask:
    """With some room around it: the edge of the product is no place for a defect."""
    large = cv2.resize(mask, shape[1::-1], interpolation=cv2.INTER_NEAREST)
    side = 2 * round(min(shape) / 100) + 1
    return np.asarray(cv2.dilate(large, np.ones((side, side), np.uint8)), np.uint8)


def _depth(mask: Mask) -> Distance:
    padded = cv2.copyMakeBorder(mask, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=(0,))
    return np.asarray(cv2.distanceTransform(padded, cv2.DIST_L2, 5)[1:-1, 1:-1], np.float32)

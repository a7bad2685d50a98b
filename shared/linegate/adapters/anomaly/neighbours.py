"""Surfaces that do not lie still: how far each cell is from its nearest neighbour among the cells of good pictures.

Cells at a picture's edges are compared with cells at the same edges, for there the product ends.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from linegate.adapters.anomaly.features import Features

Floats = NDArray[np.float32]

# Cells from a picture's edge that belong to it; edges and corners make nine parts of a picture.
EDGE: Final = 3
PARTS: Final = 9
INNER: Final = 4  # the part without an edge
# Cells that are remembered of the inner part, and of each edge.
REMEMBERED, AT_EDGE = 2000, 500
# Cells that tell mean and covariance, and part of them that is remembered: the others tell how far good cells are.
TELLING: Final = 20_000
KEPT_BACK: Final = 0.3
# A good cell in a hundred is farther than the unit of distance.
UNIT: Final = 0.99
FEWEST: Final = 20  # cells of a part
SOFT: Final = 1.0  # cells over which distances are smoothed: a defect fills more than one
MOST_KEPT_BACK: Final = 2000


@dataclass(frozen=True, slots=True)
class Memory:
    """Cells of good pictures, whitened, by the part of the picture that they are of.

    `mean` is PARTS x d, `whiten` PARTS x d x d, `unit` PARTS; `cells` is n x d, `part` n.
    """

    mean: Floats
    whiten: Floats
    unit: Floats
    cells: Floats
    part: NDArray[np.uint8]

    def distances(self, features: Features) -> Floats:
        """Rows x columns: of each cell to the nearest remembered one, in units of what good cells reach."""
        parts = parts_of(features.shape[:2])
        distances = np.zeros(features.shape[:2], np.float32)
        for part in np.unique(parts):
            here = parts == part
            whitened = (features[here] - self.mean[part]) @ self.whiten[part]
            distances[here] = _nearest(whitened, self.cells[self.part == part]) / self.unit[part]
        return distances


def remember(pictures: Sequence[Features], rng: np.random.Generator) -> Memory:
    """The memory of several good pictures' cells. Raises ValueError where an edge has too few of them to tell."""
    parts = [parts_of(features.shape[:2]) for features in pictures]
    depth = pictures[0].shape[-1]
    mean, whiten = np.zeros((PARTS, depth), np.float32), np.zeros((PARTS, depth, depth), np.float32)
    unit = np.ones(PARTS, np.float32)
    cells, of_part = [], []
    for part in range(PARTS):
        known = np.concatenate([features[at == part] for features, at in zip(pictures, parts, strict=True)])
        if len(known) < FEWEST:
            raise ValueError("the pictures are too small to tell their edges from the rest")
        known = known[rng.permutation(len(known))[:TELLING]]
        mean[part] = known.mean(axis=0)
        strengths, directions = np.linalg.eigh(np.cov(known.T.astype(np.float64)))
        # What hardly ever changes would outweigh all else.
        whiten[part] = directions / np.sqrt(np.maximum(strengths, 1e-3 * strengths.mean()))
        whitened = (known - mean[part]) @ whiten[part]
        count = min(REMEMBERED if part == INNER else AT_EDGE, round((1 - KEPT_BACK) * len(known)))
        kept, others = whitened[:count], whitened[count : count + MOST_KEPT_BACK]
        unit[part] = max(1e-3, float(np.quantile(_nearest(others, kept), UNIT)))
        cells.append(kept)
        of_part.append(np.full(count, part, np.uint8))
    return Memory(mean, whiten, unit, np.concatenate(cells).astype(np.float32), np.concatenate(of_part))


def soft(distances: Floats) -> Floats:
    """Distances, smoothed over neighbouring cells."""
    return np.asarray(cv2.GaussianBlur(distances, (0, 0), SOFT, borderType=cv2.BORDER_REFLECT), np.float32)


def parts_of(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """Rows x columns: which of the nine parts each cell lies in, row by row; narrow pictures have no inner one."""

    def along(count: int) -> NDArray[np.uint8]:
        where = np.ones(count, np.uint8)
        edge = min(EDGE, count // 2)
        where[:edge], where[count - edge :] = 0, 2
        return where

    return np.asarray(3 * along(shape[0])[:, None] + along(shape[1])[None], np.uint8)


def _nearest(cells: Floats, known: Floats) -> Floats:
    """The distance of each cell to the nearest known one. By OpenCV: a matrix product would take all cores, and much memory."""
    if not len(cells):
        return np.zeros(0, np.float32)
    whitened, remembered = (np.ascontiguousarray(some, np.float32) for some in (cells, known))
    return np.asarray(cv2.batchDistance(whitened, remembered, cv2.CV_32F, normType=cv2.NORM_L2, K=1)[0], np.float32)[
        :, 0
    ]

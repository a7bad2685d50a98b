"""Simple defects planted on the picture of a good product: known-bad pictures where nobody has any.

Each takes the look of one material across an edge into another one, as bridged or cut copper does: plain to see, for a gate that
works. It says nothing about how small a defect may be.
"""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from linegate.samples.camera import Picture

PART: Final = 0.025  # of the picture's shorter side: the radius of what is planted
LEAST: Final = 6  # pixels of it
NOISE: Final = 2.0  # grey levels, so that no picture is the golden one itself
EDGES: Final = 97.0  # percentile of what counts as an edge
MARGIN: Final = 4  # radii between a defect and the picture's border


def planted(golden: Picture, count: int, seed: int) -> list[Picture]:
    """`count` pictures of the product (H x W x 3, RGB, uint8), each with one defect. Raises ValueError for one without edges."""
    rng = np.random.default_rng(seed)
    radius = max(LEAST, round(PART * min(golden.shape[:2])))
    spots = _edges(golden, MARGIN * radius)
    if not len(spots):
        raise ValueError("the golden picture shows nothing across which a defect could be planted")
    return [_with_defect(golden, spots[int(rng.integers(len(spots)))], radius, rng) for _ in range(count)]


def _edges(golden: Picture, margin: int) -> NDArray[np.int64]:
    """N x 2: row and column of the picture's strongest edges, off its border."""
    grey = cv2.GaussianBlur(cv2.cvtColor(golden, cv2.COLOR_RGB2GRAY), (0, 0), 1.5).astype(np.float32)
    strength = np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1))
    inside = np.zeros(grey.shape, bool)
    inside[margin:-margin, margin:-margin] = True
    strong = inside & (strength > max(20.0, float(np.percentile(strength, EDGES))))
    return np.argwhere(strong)


def _with_defect(golden: Picture, spot: NDArray[np.int64], radius: int, rng: np.random.Generator) -> Picture:
    """A round spot on the edge in the colour of one of the two sides, the brighter or the darker."""
    row, column = (int(value) for value in spot)
    around = golden[row - radius : row + radius + 1, column - radius : column + radius + 1].reshape(-1, 3)
    light = around.max(1)
    low, high = np.percentile(light, (15, 85))
    side = around[light >= high] if rng.random() < 0.5 else around[light <= low]
    colour = np.median(side, axis=0)
    marked = np.zeros(golden.shape[:2], np.float32)
    cv2.circle(marked, (column, row), radius, 1.0, -1)
    soft = cv2.GaussianBlur(marked, (0, 0), 1.0)[..., None]
    picture = golden * (1 - soft) + colour * soft + rng.normal(0, NOISE, golden.shape)
    bounded: Picture = np.clip(np.round(picture), 0, 255).astype(np.uint8)
    return bounded

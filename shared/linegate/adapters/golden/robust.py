"""Least squares by which outliers hardly count."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

# The logarithm of a factor from which a value counts half, and rounds of weighing.
HALF_WEIGHT, ROUNDS = 0.06, 4


def fitted(known: NDArray[Any], value: NDArray[Any], ridge: tuple[float, ...] | None = None) -> NDArray[np.float64]:
    """What leads from `known` (n x m) to `value` (n), with Cauchy's weights; `ridge` as parts of n."""
    held = np.diag(ridge or (0.0001,) * known.shape[1]) * len(value)
    weights = 1 / (1 + ((value - np.median(value)) / HALF_WEIGHT) ** 2)
    found = np.zeros(known.shape[1])
    for _ in range(ROUNDS):
        weighted = known * weights[:, None]
        found = np.linalg.solve(weighted.T @ known + held, weighted.T @ value)
        weights = 1 / (1 + ((value - known @ found) / HALF_WEIGHT) ** 2)
    return np.asarray(found, np.float64)


def places(shape: tuple[int, ...]) -> NDArray[np.float64]:
    """For each block 1, x, y and their products, -1 … 1 across and down; rows x columns x 6."""
    y, x = np.meshgrid(*(np.linspace(-1, 1, side) for side in shape), indexing="ij")
    return np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=-1)

"""Lines and circles through points that may hold a few strays, with how sure they are.

Nothing is drawn by chance: a start that strays can't pull (medians) and least squares in which each point counts less the
farther it lies off (Tukey's biweight; Huber and Ronchetti, *Robust Statistics*, chapter 7). The same points always give the
same fit.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from linegate.adapters.measure.geometry import Points

Numbers = NDArray[np.float64]

ITERATIONS: Final = 12
TUKEY: Final = 4.685  # deviations at which a point counts nothing; 95 % efficient where there are no strays
LEAST_SCALE: Final = 0.02  # pixels: points of a picture without noise are not each other's strays
COUNTS: Final = 0.1  # a point of this weight belongs to the fit


@dataclass(frozen=True, slots=True)
class Fit:
    """`values` with their standard deviations `u`, the weight of each point, and how the points scatter (pixels)."""

    values: Numbers
    u: Numbers
    weights: Numbers
    scatter: float

    @property
    def counting(self) -> int:
        return int((self.weights > COUNTS).sum())


def line(across: Numbers, along: Numbers) -> Fit:
    """`along` = values[0] + values[1] · `across`, through three points or more.

    It starts with the median of the slopes of all pairs of points (Theil 1950, Sen 1968).
    """
    i, j = np.triu_indices(across.size, 1)
    apart = across[j] - across[i]
    slope = float(np.median((along[j] - along[i])[apart != 0] / apart[apart != 0]))
    values = np.array([float(np.median(along - slope * across)), slope])
    rows = np.stack([np.ones_like(across), across], axis=1)
    for _ in range(ITERATIONS):
        off = along - rows @ values
        weights = _weights(off)
        change = _solve(rows, off, weights)
        values = values + change
        if float(np.abs(change).max()) < 1e-7:
            break
    return _fit(rows, along - rows @ values, values)


def circle(points: Points) -> Fit:
    """Values x, y and radius of the circle through eight points or more, in order around it; by distances across the circle.

    It starts with the median of the circles through three points each, a third of the way apart.
    """
    third = len(points) // 3
    throughs = [_through(*points[[k, k + third, k + 2 * third]]) for k in range(len(points) - 2 * third)]
    known = [each for each in throughs if each is not None]
    if not known:
        return Fit(np.array([*points.mean(axis=0), 0.0]), np.full(3, np.inf), np.zeros(len(points)), np.inf)
    values = np.median(np.array(known), axis=0)
    rows, off = _around(points, values)
    for _ in range(ITERATIONS):
        change = _solve(rows, off, _weights(off))
        values = values + change
        rows, off = _around(points, values)
        if float(np.abs(change).max()) < 1e-7:
            break
    return _fit(rows, off, values)


def _around(points: Points, values: Numbers) -> tuple[Numbers, Numbers]:
    """How the distances of points from a circle change with it, and these distances."""
    away = points - values[:2]
    radii = np.maximum(np.hypot(away[:, 0], away[:, 1]), 1e-9)
    return np.column_stack([away / radii[:, None], np.ones(len(points))]), radii - values[2]


def _through(a: Numbers, b: Numbers, c: Numbers) -> Numbers | None:
    """Centre and radius of the circle through three points; None where they lie on a line."""
    sides = 2 * np.array([b - a, c - a])
    if abs(float(np.linalg.det(sides))) < 1e-9:
        return None
    centre = np.linalg.solve(sides, np.array([b @ b - a @ a, c @ c - a @ a]))
    return np.array([*centre, float(np.hypot(*(a - centre)))])


def _weights(off: Numbers) -> Numbers:
    scale = max(LEAST_SCALE, 1.4826 * float(np.median(np.abs(off))))
    return np.asarray(np.maximum(0.0, 1 - (off / (TUKEY * scale)) ** 2) ** 2)


def _solve(rows: Numbers, off: Numbers, weights: Numbers) -> Numbers:
    weighted = rows * weights[:, None]
    return np.asarray(np.linalg.lstsq(weighted.T @ rows, weighted.T @ off, rcond=None)[0])


def _fit(rows: Numbers, off: Numbers, values: Numbers) -> Fit:
    weights = _weights(off)
    free = max(1.0, float(weights.sum()) - rows.shape[1])
    variance = float((weights * off**2).sum()) / free
    spread = variance * np.linalg.pinv((rows * weights[:, None]).T @ rows)
    scatter = 1.4826 * float(np.median(np.abs(off)))
    return Fit(values, np.sqrt(np.maximum(0.0, np.diag(spread))), weights, scatter)

"""Whether a gauge is fit for its tolerance: many values of one and the same part (a type-1 study; VDA 5, Minitab).

Cg  = 0.2 · T / (6 · s)                  a fifth of the tolerance T against the spread of the values
Cgk = (0.1 · T - |mean - reference|) / (3 · s)      the same with the bias, where the part's true value is known

1.33 and more is fit.
"""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf
from typing import Final

FIT: Final = 1.33
FEWEST: Final = 10  # values; 25 and more are usual, below 10 the spread itself is a guess
USUAL: Final = 25
FORMULAS: Final = ("Cg = 0.2 T / (6 s)", "Cgk = (0.1 T - |mean - reference|) / (3 s)")


@dataclass(frozen=True, slots=True)
class Capability:
    """Of `count` values: mean, standard deviation and range; the indices where there is a tolerance, and a reference."""

    count: int
    mean: float
    s: float
    range: float
    bias: float | None
    cg: float | None
    cgk: float | None


def capability(values: Sequence[float], tolerance: float | None, reference: float | None) -> Capability:
    """Of two values or more; `tolerance` is the whole width of what is allowed."""
    mean, s = statistics.fmean(values), statistics.stdev(values)
    bias = None if reference is None else mean - reference
    cg = None if tolerance is None else _per(0.2 * tolerance, 6 * s)
    cgk = None if tolerance is None or bias is None else _per(0.1 * tolerance - abs(bias), 3 * s)
    return Capability(len(values), mean, s, max(values) - min(values), bias, cg, cgk)


def _per(room: float, spread: float) -> float:
    if spread > 0:
        return room / spread
    return inf if room > 0 else -inf

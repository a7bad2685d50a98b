"""The threshold that good pictures tell, and what it promises: at most so many false calls, with so much certainty."""

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass

# Of a threshold's confidence: exactly at it, and the most that a score can tell.
AT_THRESHOLD, MOST_CERTAIN = 0.5, 0.99


@dataclass(frozen=True, slots=True)
class Threshold:
    """Above `value` a score is a finding; `typical` is the median of good pictures, and what tells how far is far."""

    value: float
    typical: float

    def exceeded(self, score: float) -> bool:
        return score > self.value

    def confidence(self, score: float) -> float:
        """0.5 at the threshold, towards 0.99 far beyond it; grows with the score.

        In units of what lies between a typical good picture and the threshold: one of these beyond it is 0.81.
        """
        unit = max(self.value - self.typical, 1e-9)
        return MOST_CERTAIN - (MOST_CERTAIN - AT_THRESHOLD) * math.exp(-max(0.0, score - self.value) / unit)


@dataclass(frozen=True, slots=True)
class Promise:
    """How good a threshold is: of `pictures` good ones `called` were above it, so that with `certainty` at most the part
    `rate` of further good pictures is; `needed` good pictures would have been enough for what was wanted."""

    pictures: int
    called: int
    certainty: float
    rate: float
    needed: int

    @property
    def kept(self) -> bool:
        return self.pictures >= self.needed


def threshold(scores: Sequence[float], rate: float, certainty: float) -> tuple[Threshold, Promise]:
    """The lowest threshold that keeps false calls of good products at or below `rate`, told with `certainty`.

    `scores` are of good pictures that nothing was learned from. As many of the highest are let go as the promise allows. Where
    they are too few for any promise, it is the highest score, with the rate that it does promise. Raises ValueError without
    scores.
    """
    count = len(scores)
    if not count:
        raise ValueError("a threshold needs scores")
    ordered = sorted(scores)
    # Of a distribution that nothing is known of, the part above the (n-k)th of n is Beta(k+1, n-k): the exact upper bound
    # after Clopper and Pearson (1934) of k in n.
    # The bound grows with what is let go.
    called = max(0, bisect_right(range(count), rate, key=lambda some: upper_bound(some, count, certainty)) - 1)
    value = ordered[count - 1 - called]
    above = sum(score > value for score in ordered)
    return Threshold(value, ordered[count // 2]), Promise(
        count, above, certainty, upper_bound(above, count, certainty), enough(rate, certainty)
    )


def enough(rate: float, certainty: float) -> int:
    """How many good pictures, none of them called, promise `rate` with `certainty`."""
    return math.ceil(math.log(1 - certainty) / math.log(1 - rate))


def upper_bound(called: int, count: int, certainty: float) -> float:
    """The exact upper bound of a rate of which `called` in `count` were seen (Clopper and Pearson 1934), one-sided."""
    if called >= count:
        return 1.0
    return _root(lambda rate: _at_most(called, count, rate) - (1 - certainty))


def _at_most(called: int, count: int, rate: float) -> float:
    """The probability of at most `called` in `count`; falls with the rate."""
    if rate <= 0:
        return 1.0
    logs = (
        math.lgamma(count + 1)
        - math.lgamma(some + 1)
        - math.lgamma(count - some + 1)
        + some * math.log(rate)
        + (count - some) * math.log1p(-rate)
        for some in range(called + 1)
    )
    return math.fsum(map(math.exp, logs))


def _root(falling: Callable[[float], float]) -> float:
    low, high = 0.0, 1.0 - 1e-12
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if falling(middle) > 0 else (low, middle)
    return high

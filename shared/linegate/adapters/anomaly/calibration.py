"""The threshold that good pictures tell, and what it promises: at most so many false calls, with so much certainty."""

import math
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

from linegate.bounds import boards_needed, upper

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
    called = max(0, bisect_right(range(count), rate, key=lambda some: upper(some, count, certainty)) - 1)
    value = ordered[count - 1 - called]
    above = sum(score > value for score in ordered)
    return Threshold(value, ordered[count // 2]), Promise(
        count, above, certainty, upper(above, count, certainty), boards_needed(rate, certainty) or 0
    )

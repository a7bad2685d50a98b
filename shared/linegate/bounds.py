"""Exact binomial bounds: what a count of boards says of all boards like them, and how many it takes to say it.

Clopper and Pearson, "The use of confidence or fiducial limits illustrated in the case of the binomial" (Biometrika, 1934).
They hold for any number of boards, however few, as long as those were drawn independently of each other.
"""

import math
from collections.abc import Callable, Sequence
from typing import Final

HALVINGS: Final = 60  # of an interval within 0 … 1: down to what a float can hold
MOST_BOARDS: Final = 100_000_000


def at_most(count: int, total: int, rate: float) -> float:
    """P(X ≤ count) of `total` independent draws at `rate`."""
    if count >= total or rate <= 0:
        return 1.0
    if count < 0 or rate >= 1:
        return 0.0
    if count > total * rate:  # the shorter tail is the more exact one
        return 1.0 - _sum(range(count + 1, total + 1), total, rate)
    return _sum(range(count, -1, -1), total, rate)


def _sum(counts: Sequence[int], total: int, rate: float) -> float:
    """Of the probabilities of these counts, the greatest first; what is too small to change the sum ends it."""
    whole = 0.0
    ways, hit, miss = math.lgamma(total + 1), math.log(rate), math.log1p(-rate)
    for count in counts:
        chance = math.exp(
            ways - math.lgamma(count + 1) - math.lgamma(total - count + 1) + count * hit + (total - count) * miss
        )
        whole += chance
        if chance < 1e-18 * whole:
            break
    return min(1.0, whole)


def upper(count: int, total: int, certainty: float) -> float:
    """The rate that is not exceeded with this certainty, where `count` of `total` were seen. 1 where there were none."""
    if count >= total:
        return 1.0
    return _root(lambda rate: at_most(count, total, rate) > 1 - certainty)


def lower(count: int, total: int, certainty: float) -> float:
    """The rate that is reached at least, likewise."""
    return 1 - upper(total - count, total, certainty)


def interval(count: int, total: int, certainty: float) -> tuple[float, float]:
    """The rates between which the true one lies with this certainty."""
    each = (1 + certainty) / 2
    return lower(count, total, each), upper(count, total, each)


def _root(below: Callable[[float], bool]) -> float:
    """Where `below` turns from true to false in 0 … 1, rounded up: a bound may be too wide, never too narrow."""
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if below(middle) else (low, middle)
    return high


def p_value(count: int, total: int, rate: float) -> float:
    """How likely so few of `total` are, or fewer, where the true rate is above `rate`: at most this."""
    return at_most(count, total, rate)


def boards_needed(rate: float, certainty: float, misses: int = 0) -> int | None:
    """How many boards show a rate of at most `rate` with this certainty, though `misses` of them are seen.

    None for what no number of boards shows.
    """
    if rate <= 0 or certainty >= 1:
        return None
    if rate >= 1:
        return misses + 1
    few, many = misses, max(1, 2 * misses)
    while at_most(misses, many, rate) > 1 - certainty:
        few, many = many, 2 * many
        if many > MOST_BOARDS:
            return None
    while many - few > 1:
        middle = (few + many) // 2
        few, many = (middle, many) if at_most(misses, middle, rate) > 1 - certainty else (few, middle)
    return many


def fixed_sequence(escapes: Sequence[int], boards: int, rate: float, certainty: float) -> int | None:
    """The last of a sequence of settings for which an escape rate of at most `rate` is shown with this certainty.

    `escapes` are those of each setting on the same `boards`, the safest setting first. The sequence must have been fixed
    without these boards. Each is tested by its exact p-value as long as all before it have passed, so that the certainty
    holds for the one that is taken, however many there are. None where the first one fails.

    Angelopoulos, Bates, Candès, Jordan, Lei, "Learn then Test: Calibrating Predictive Algorithms to Achieve Risk Control"
    (2021), with fixed-sequence testing.
    """
    passed = None
    for number, count in enumerate(escapes):
        if p_value(count, boards, rate) > 1 - certainty:
            break
        passed = number
    return passed


def percent(rate: float, *, least: bool = False) -> str:
    """A bound in percent, with two figures of what is small: rounded up, or down for what is reached at `least`.

    A bound may be told too wide, never too narrow.
    """
    if least:
        return f"{_percent(1 - rate, lambda value: 100 - value)} %"
    return f"{_percent(rate, lambda value: value)} %"


def _percent(rate: float, told: Callable[[float], float]) -> str:
    if rate <= 0 or rate >= 1:
        return f"{told(100 * min(1.0, max(0.0, rate))):.0f}"
    digits = max(0, 1 - math.floor(math.log10(100 * rate) + 1e-9))
    scale: float = 10**digits
    return f"{told(math.ceil(100 * rate * scale - 1e-6) / scale):.{digits}f}"

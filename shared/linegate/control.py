"""The p-chart: whether a share of products moves by more than chance does.

Shewhart's chart with exact binomial limits in the place of three sigma around the mean: each side is passed by chance as often
as three sigma of a normal distribution are (0.135 %), however few products a point stands for. The centre is the share over all
points shown.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from statistics import NormalDist
from typing import Final

from linegate.bounds import at_most

SIDE: Final = 0.00135
# A run on one side, after the fourth of the Western Electric rules (1956), where chance makes such a run this rarely.
RUN: Final = 8
RARE: Final = 0.01


class Signal(StrEnum):
    """What a point tells; what it says for people."""

    ABOVE = "above the upper limit"
    BELOW = "below the lower limit"
    RUN_ABOVE = "run above the centre"
    RUN_BELOW = "run below the centre"


RULES: Final = (
    "A point beyond a limit: by chance once in 740 points, on each side.",
    f"{RUN} points in a row, or more, on one side of the centre, where chance makes such a row once in 100 at most.",
)


@dataclass(frozen=True, slots=True)
class Group:
    """Products that belong together: of an hour, a shift, a day. `count` of `total` are what is charted."""

    label: str
    count: int
    total: int


@dataclass(frozen=True, slots=True)
class Point:
    """A group on the chart; shares in 0 … 1."""

    label: str
    count: int
    total: int
    low: float
    high: float
    signals: tuple[Signal, ...] = ()

    @property
    def rate(self) -> float:
        return self.count / self.total


@dataclass(frozen=True, slots=True)
class Chart:
    """`centre` is the share over all points; None where there are none."""

    centre: float | None
    points: tuple[Point, ...] = ()

    @property
    def alarms(self) -> tuple[Point, ...]:
        return tuple(point for point in self.points if point.signals)


def p_chart(groups: Iterable[Group]) -> Chart:
    """The groups in their order; those without products are left out."""
    full = [group for group in groups if group.total]
    if not full:
        return Chart(None)
    centre = sum(group.count for group in full) / sum(group.total for group in full)
    runs = _runs(full, centre)
    points = []
    for group, run in zip(full, runs, strict=True):
        low, high = limits(group.total, centre)
        beyond = Signal.ABOVE if group.count > high else Signal.BELOW if group.count < low else None
        signals = tuple(signal for signal in (beyond, run) if signal is not None)
        points.append(Point(group.label, group.count, group.total, low / group.total, high / group.total, signals))
    return Chart(centre, tuple(points))


@lru_cache(maxsize=4096)
def limits(total: int, rate: float) -> tuple[int, int]:
    """The least and the greatest count of `total` that chance makes at this rate: below and above lies SIDE at most."""
    return _quantile(total, rate, SIDE), _quantile(total, rate, 1 - SIDE)


def _quantile(total: int, rate: float, part: float) -> int:
    """The least count with P(X ≤ count) > part, looked for around where a normal distribution has it."""
    guess = round(total * rate + NormalDist().inv_cdf(part) * math.sqrt(total * rate * (1 - rate)))
    low, high, step = guess - 1, guess + 1, 2
    while low > -1 and at_most(low, total, rate) > part:
        low, high, step = low - step, low, 2 * step
    while high < total and at_most(high, total, rate) <= part:
        low, high, step = high, high + step, 2 * step
    low, high = max(low, -1), min(high, total)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if at_most(middle, total, rate) > part else (middle, high)
    return high


def _runs(groups: Sequence[Group], centre: float) -> list[Signal | None]:
    """For each group, whether it ends a run that is no chance."""
    found: list[Signal | None] = []
    side, length, chance = 0, 0, 1.0
    for group in groups:
        middle = group.total * centre
        now = (group.count > middle) - (group.count < middle)
        if now == 0 or now != side:
            side, length, chance = now, 0, 1.0
        length += 1
        chance *= _chance(now, group.total, centre)
        news = now != 0 and length >= RUN and chance <= RARE
        found.append((Signal.RUN_ABOVE if now > 0 else Signal.RUN_BELOW) if news else None)
    return found


@lru_cache(maxsize=4096)
def _chance(side: int, total: int, rate: float) -> float:
    """That a group of so many lies on this side of the centre."""
    if side > 0:
        return 1 - at_most(math.floor(total * rate), total, rate)
    return at_most(math.ceil(total * rate) - 1, total, rate)

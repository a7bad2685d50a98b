"""The figures of some days, or of one shift: which products are meant, and all that pages, reports and tables tell of them."""

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo
from enum import StrEnum
from typing import Final

from linegate import control
from linegate.control import Chart, Group
from linegate.numbers import (
    FIRST_PASS,
    SHARES,
    Defects,
    Measured,
    Rate,
    defect_rate,
    grouped,
    pareto,
    total,
)
from linegate.ports import Queries
from linegate.rollups import Counts, Slot
from linegate.settings import Settings
from linegate.shifts import Shift, shifts_between

# Of counts that are kept by the hour, more would take a page longer than a person waits.
MOST_DAYS: Final = 92
MOST_POINTS: Final = 400

_Part = tuple[str, str, Shift]  # line, recipe, shift


class Per(StrEnum):
    """What one point of the chart stands for."""

    HOUR = "hour"
    SHIFT = "shift"
    DAY = "day"


@dataclass(frozen=True, slots=True)
class Period:
    """Days from `first` to `last`, both included, by the plant's clocks; None is any line, recipe, shift.

    Where a plant has shifts its day is that of its shifts: it begins with the first of them. Raises ValueError for more
    than MOST_DAYS.
    """

    first: date
    last: date
    line: str | None = None
    recipe: str | None = None
    shift: str | None = None

    def __post_init__(self) -> None:
        if not 0 <= (self.last - self.first).days < MOST_DAYS:
            raise ValueError(f"a period has 1 to {MOST_DAYS} days, the first of them first")

    @property
    def days(self) -> int:
        return (self.last - self.first).days + 1

    @property
    def per(self) -> Per:
        """What a point of the chart stands for, where nobody says."""
        if self.days <= 2:
            return Per.HOUR
        return Per.DAY if self.days > 14 or self.shift else Per.SHIFT


@dataclass(frozen=True, slots=True)
class Row:
    """The figures of one line, recipe, shift or day; or of all together."""

    name: str
    counts: Counts
    rate: Rate

    @property
    def shares(self) -> tuple[Measured, ...]:
        """In the order of SHARES."""
        return tuple(share.measured(self.counts) for share in SHARES)


@dataclass(frozen=True, slots=True)
class Figures:
    """All that is told of a period. `tables` are its rows by line, recipe, shift and day."""

    period: Period
    shifts: tuple[Shift, ...]
    whole: Row
    tables: Mapping[str, tuple[Row, ...]]
    defects: tuple[Defects, ...]
    chart: Chart
    per: Per
    left_out: tuple[str, ...] = ()  # lines that are not for products

    @property
    def since(self) -> datetime:
        return self.shifts[0].start

    @property
    def until(self) -> datetime:
        return self.shifts[-1].end

    @property
    def uneven(self) -> tuple[Shift, ...]:
        """Shifts that count from the next full hour of UTC on; of each name the first."""
        return tuple({shift.name: shift for shift in reversed(self.shifts) if not shift.even}.values())[::-1]


def figures(queries: Queries, settings: Settings, period: Period, per: Per | None = None) -> Figures:
    """What was counted in a period. Lines for challenges, and those that notify nobody, count only where they are asked for.

    Raises ValueError for a shift that there is none of, or more points than a chart can hold; TransientError.
    """
    zone, per = settings.station.zone, per or period.per
    shifts = [
        shift
        for shift in shifts_between(period.first, period.last, settings.station.starts, zone)
        if period.shift in (None, shift.name)
    ]
    if not shifts:
        raise ValueError(f"there is no shift {period.shift!r}")
    found = queries.counts(period.line, period.recipe, shifts[0].start, shifts[-1].end)
    trials = [] if period.line else [slot.line for slot in found if _is_trial(settings, slot.line)]
    shift_of = _placed({slot.start for slot in found}, shifts)
    slots = [slot for slot in found if slot.line not in trials and slot.start in shift_of]
    opportunities = {name: recipe.opportunities for name, recipe in settings.recipes.items() if recipe.opportunities}
    # Once from hours to shifts: whatever else is told adds those up.
    parts = grouped(slots, lambda slot: (slot.line, slot.recipe, shift_of[slot.start]))

    def row(name: str, of: Iterable[_Part]) -> Row:
        recipes: dict[str, list[Counts]] = {}
        for part in of:
            recipes.setdefault(part[1], []).append(parts[part])
        by_recipe = {recipe: total(each) for recipe, each in recipes.items()}
        return Row(name, total(by_recipe.values()), defect_rate(by_recipe, opportunities))

    def rows(key: Callable[[str, str, Shift], str], order: Sequence[str] | None = None) -> tuple[Row, ...]:
        groups: dict[str, list[_Part]] = {}
        for line, recipe, shift in parts:
            groups.setdefault(key(line, recipe, shift), []).append((line, recipe, shift))
        names = sorted(groups) if order is None else [name for name in order if name in groups]
        return tuple(row(name, groups[name]) for name in names)

    tables = {
        "line": rows(lambda line, *_: line),
        "recipe": rows(lambda _, recipe, __: recipe),
        "shift": rows(lambda *part: part[2].name, list(dict.fromkeys(shift.name for shift in shifts))),
        "day": rows(lambda *part: part[2].day.isoformat()),
    }
    named: dict[Per, Callable[[Slot], str]] = {
        Per.HOUR: lambda slot: _hour(slot.start, zone),
        Per.SHIFT: lambda slot: shift_of[slot.start].key.replace("/", " "),
        Per.DAY: lambda slot: shift_of[slot.start].day.isoformat(),
    }
    points = grouped(slots, named[per])
    if len(points) > MOST_POINTS:
        raise ValueError(f"the chart would have {len(points)} points; ask for shifts, days, or fewer of them")
    whole = row("all", parts)
    return Figures(
        period,
        tuple(shifts),
        whole,
        tables,
        tuple(pareto(whole.counts)),
        control.p_chart(_group(name, counts) for name, counts in points.items()),
        per,
        tuple(sorted(set(trials))),
    )


def of_shift(shift: Shift, line: str | None = None) -> Period:
    """The one shift of its day."""
    return Period(shift.day, shift.day, line, None, shift.name)


def _group(name: str, counts: Counts) -> Group:
    passed = FIRST_PASS.measured(counts)
    return Group(name, passed.total - passed.count, passed.total)


def _placed(hours: Iterable[datetime], shifts: Sequence[Shift]) -> dict[datetime, Shift]:
    """The shift of each hour that begins in one."""
    starts = [shift.start.astimezone(UTC) for shift in shifts]
    found = {}
    for hour in hours:
        number = bisect_right(starts, hour) - 1
        if number >= 0 and hour < shifts[number].end.astimezone(UTC):
            found[hour] = shifts[number]
    return found


def _hour(start: datetime, zone: tzinfo) -> str:
    """2026-03-02 14:00; with its offset where the clocks show it twice."""
    local = start.astimezone(zone)
    near = ((start + timedelta(hours=step)).astimezone(zone) for step in (-1, 1))
    twice = any(f"{other:%H}" == f"{local:%H}" for other in near)
    return f"{local:%Y-%m-%d %H:%M%z}" if twice else f"{local:%Y-%m-%d %H:%M}"


def _is_trial(settings: Settings, line: str) -> bool:
    known = settings.lines.get(line)
    return line in settings.challenge_lines or (known is not None and not known.notifies)

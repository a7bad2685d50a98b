"""Shifts of a plant: when each begins and ends, by the clocks on its wall.

A shift ends where the next one begins; it belongs to the day on which it begins. Where clocks change it is an hour longer or
shorter. Counts are kept by hours of UTC: those that begin within a shift are its own. One that begins at half past an hour of
UTC counts from the next full one on (`Shift.counted_from`), and the shift before it until then.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Final

DAY: Final = "day"  # the one shift of a plant that names none
NO_SHIFTS: Final[Mapping[str, time]] = {DAY: time(0)}


@dataclass(frozen=True, slots=True)
class Shift:
    """One shift of one day: start ≤ t < end, aware, in the plant's zone."""

    name: str
    day: date
    start: datetime
    end: datetime

    @property
    def key(self) -> str:
        """Of this shift and no other."""
        return f"{self.day.isoformat()}/{self.name}"

    @property
    def counted_from(self) -> datetime:
        """When the first hour begins that counts for it."""
        return _full(self.start)

    @property
    def counted_until(self) -> datetime:
        """When the last hour ends that counts for it."""
        return _full(self.end)

    @property
    def even(self) -> bool:
        """Whether it begins and ends with an hour that is counted, so that its figures are exactly its own."""
        return self.counted_from == self.start and self.counted_until == self.end


def shifts_of(day: date, shifts: Mapping[str, time], zone: tzinfo) -> list[Shift]:
    """Those that begin on this day, the earliest first."""
    named = sorted((shifts or NO_SHIFTS).items(), key=lambda item: item[1])
    starts = [_on_the_wall(day, at, zone) for _, at in named]
    ends = [*starts[1:], _on_the_wall(day + timedelta(days=1), named[0][1], zone)]
    return [Shift(name, day, start, end) for (name, _), start, end in zip(named, starts, ends, strict=True)]


def shifts_between(first: date, last: date, shifts: Mapping[str, time], zone: tzinfo) -> list[Shift]:
    """Those that begin on these days, both included."""
    days = (first + timedelta(days=number) for number in range((last - first).days + 1))
    return [shift for day in days for shift in shifts_of(day, shifts, zone)]


def shift_at(moment: datetime, shifts: Mapping[str, time], zone: tzinfo) -> Shift:
    """In which this moment lies."""
    day = moment.astimezone(zone).date()
    near = shifts_between(day - timedelta(days=1), day + timedelta(days=1), shifts, zone)
    return next(shift for shift in near if _utc(shift.start) <= _utc(moment) < _utc(shift.end))


def ended(moment: datetime, within: timedelta, shifts: Mapping[str, time], zone: tzinfo) -> list[Shift]:
    """Whose last counted hour ended at this moment or no longer before it than `within`, the earliest first."""
    first, last = ((moment - within).astimezone(zone).date(), moment.astimezone(zone).date())
    near = shifts_between(first - timedelta(days=1), last, shifts, zone)
    return [shift for shift in near if moment - within < _utc(shift.counted_until) <= moment]


def _on_the_wall(day: date, at: time, zone: tzinfo) -> datetime:
    """A time that the clocks skip is told by the clock that follows them: 02:30 is 03:30 then."""
    return datetime.combine(day, at, tzinfo=zone).astimezone(UTC).astimezone(zone)


def _full(moment: datetime) -> datetime:
    """The next full hour of UTC, or the moment itself."""
    utc = _utc(moment)
    hour = utc.replace(minute=0, second=0, microsecond=0)
    return (hour if hour == utc else hour + timedelta(hours=1)).astimezone(moment.tzinfo)


def _utc(moment: datetime) -> datetime:
    """Moments of one zone compare by their clocks, whatever those do between them; those of UTC by time."""
    return moment.astimezone(UTC)

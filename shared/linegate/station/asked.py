"""Which products a page of figures is asked for, out of its address."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Final
from urllib.parse import urlencode

from starlette.exceptions import HTTPException

from linegate.period import Per, Period
from linegate.shifts import shift_at
from linegate.station_section import Station

USUAL_DAYS: Final = 7


@dataclass(frozen=True, slots=True)
class Asked:
    """A period, and what a point of its chart stands for if somebody said so."""

    period: Period
    per: Per | None = None

    def query(self, **changes: object) -> str:
        """As it stands in an address, with these changed."""
        period = self.period
        kept = {
            "from": period.first.isoformat(),
            "to": period.last.isoformat(),
            "line": period.line,
            "recipe": period.recipe,
            "shift": period.shift,
            "per": self.per.value if self.per else None,
        } | changes
        return urlencode({name: value for name, value in kept.items() if value not in (None, "")})

    def products(self, **changes: str) -> str:
        """The address of the list that they stand in, with these changed; empty for a shift, by which none is found."""
        if self.period.shift:
            return ""
        return f"/boards?{self.query(per=None, **changes)}"


def asked(params: Mapping[str, str], station: Station, now: datetime) -> Asked:
    """What the address says; the last USUAL_DAYS where it says no days. Refuses what makes no sense with 400."""
    today = today_of(station, now)
    last = day_of(params, "to") or today
    first = day_of(params, "from") or min(last, today) - timedelta(days=USUAL_DAYS - 1)
    shift = params.get("shift") or None
    if shift is not None and shift not in station.shifts:
        raise HTTPException(400, f"There is no shift {shift!r}.")
    try:
        per = Per(params["per"]) if params.get("per") else None
        return Asked(Period(first, last, params.get("line") or None, params.get("recipe") or None, shift), per)
    except ValueError as error:
        raise HTTPException(400, f"This can't be shown: {error}.") from error


def today_of(station: Station, now: datetime) -> date:
    """The day of the shift that is on."""
    return shift_at(now, station.starts, station.zone).day


def day_of(params: Mapping[str, str], name: str) -> date | None:
    """None where the address says none. Refuses what is no day with 400."""
    text = params.get(name, "")
    if not text:
        return None
    try:
        found = date.fromisoformat(text)
    except ValueError as error:
        raise HTTPException(400, f"A day is written as 2026-03-02, not {text[:40]!r}.") from error
    if not 1990 <= found.year <= 2200:
        raise HTTPException(400, f"Nothing was inspected in {found.year}.")
    return found

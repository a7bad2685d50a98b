"""The report of one shift: which one is meant, its short text, the same as plain data, and as targets are told it."""

import json
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final
from urllib.parse import urlencode

from linegate import __version__
from linegate.inspection import Verdict
from linegate.notification import MAX_BYTES
from linegate.numbers import CERTAINTY, Measured, waiting
from linegate.period import Figures, Per, figures, of_shift
from linegate.ports import Queries
from linegate.settings import Settings
from linegate.shifts import NO_SHIFTS, Shift, ended, shifts_of
from linegate.station_section import Station
from linegate.texts import printable
from linegate.wording import between, duration, number, share

# Of the plain data. It grows when a key changes its meaning or goes; new keys may come at any time.
SCHEMA: Final = 1
CLASSES: Final = 10
LINES: Final = 50
LONGEST: Final = 200
# How ids of reports begin, which no inspection's does. No name of a shift or a line holds a colon.
REPORT: Final = "report:"


def report_id(shift: Shift, line: str | None = None) -> str:
    """What entries of the outbox are told by that report this shift: of one line, or of all together."""
    return ":".join(filter(None, (f"{REPORT}{shift.day.isoformat()}", shift.name, line)))


def last_ended(station: Station, now: datetime, name: str | None = None) -> Shift:
    """The latest shift that is over, of those of this name if one is given. Raises ValueError for one that there is none of."""
    over = [
        shift for shift in ended(now, timedelta(days=3), station.starts, station.zone) if name in (None, shift.name)
    ]
    return over[-1] if over else shift_named(station, now.astimezone(station.zone).date(), name)


def shift_named(station: Station, day: date, name: str | None) -> Shift:
    """A shift of this day, the last of them where none is named. Raises ValueError for one that there is none of."""
    those = shifts_of(day, station.starts, station.zone)
    found = [shift for shift in those if name in (None, shift.name)]
    if not found:
        known = ", ".join(station.starts or NO_SHIFTS)
        raise ValueError(f"there is no shift {printable(name or '')!r}; there are {known}")
    return found[-1]


def report(queries: Queries, settings: Settings, shift: Shift, line: str | None = None) -> Figures:
    """The figures of a shift, hour by hour. Raises TransientError."""
    return figures(queries, settings, of_shift(shift, line), Per.HOUR)


def title(told: Figures) -> str:
    """early, 2026-03-02 06:00 to 14:00, line smt-1"""
    shift = told.shifts[0]
    named = "" if shift.name in NO_SHIFTS else f"{shift.name}, "
    where = f", line {printable(told.period.line, LONGEST)}" if told.period.line else ""
    return f"{named}{shift.start:%Y-%m-%d %H:%M} to {shift.end:%H:%M}{where}"


def text(told: Figures) -> str:
    """A few lines for a chat or a terminal."""
    counts = told.whole.counts
    said = [f"Shift report: {title(told)}"]
    if not counts.products:
        return f"{said[0]}\nNo product was inspected."
    verdicts = ", ".join(f"{number(counts.first.get(verdict, 0))} {verdict.value}" for verdict in Verdict)
    open_ = waiting(counts)
    said.append(f"{number(counts.products)} products: {verdicts}; {number(open_)} wait for a person")
    said += [f"{one.share.name}: {_said(one)}" for one in told.whole.shares]
    rate = told.whole.rate
    if rate.dpmo is not None:
        said.append(f"DPMO: {number(rate.dpmo)} ({number(rate.known_defects)} defects)")
    else:
        said.append(f"Defects per unit: {number(rate.dpu)} ({number(rate.defects)} defects)")
    median, most = counts.latency_quantile_ms(0.5), counts.latency_quantile_ms(0.95)
    said.append(f"Latency: {duration(median)} in the median, 95 % within {duration(most)}")
    defects = [one for one in told.defects if one.defects][:5]
    if defects:
        said.append("Defects: " + ", ".join(f"{printable(one.class_name, 60)} {one.defects}" for one in defects))
    said += [
        f"Alarm: {point.label}: {point.count} of {point.total} did not pass ({share(point.rate)}), "
        + ", ".join(signal.value for signal in point.signals)
        for point in told.chart.alarms[:5]
    ]
    return "\n".join(said)


def _said(one: Measured) -> str:
    if not one.total:
        return share(None)
    return f"{share(one.rate)} ({number(one.count)} of {number(one.total)}; 95 %: {between(one)})"


def data(told: Figures, time_zone: str) -> dict[str, Any]:
    """The same as plain data; times are in UTC, shares from 0 to 1, None is unknown."""
    shift, counts, rate = told.shifts[0], told.whole.counts, told.whole.rate
    return {
        "schema": SCHEMA,
        "software": f"linegate {__version__}",
        "message": text(told),
        "shift": shift.name,
        "day": shift.day.isoformat(),
        "time_zone": time_zone,
        "start": _utc(shift.start),
        "end": _utc(shift.end),
        "counted_from": _utc(shift.counted_from),
        "counted_until": _utc(shift.counted_until),
        "line": told.period.line,
        "products": counts.products,
        "first_verdicts": {verdict.value: counts.first.get(verdict, 0) for verdict in Verdict},
        "waiting": waiting(counts),
        "certainty": CERTAINTY,
        "shares": {one.share.key: _measured(one) for one in told.whole.shares},
        "defects": rate.defects,
        "dpu": _rounded(rate.dpu),
        "dpmo": _rounded(rate.dpmo),
        "latency_ms": {
            "median": _rounded(counts.latency_quantile_ms(0.5)),
            "p95": _rounded(counts.latency_quantile_ms(0.95)),
        },
        "classes": [
            {
                "class": printable(one.class_name, LONGEST),
                "defects": one.defects,
                "confirmed": one.confirmed,
                "missed": one.missed,
                "claimed": one.claimed,
                "false_calls": one.false_calls,
            }
            for one in told.defects[:CLASSES]
        ],
        "lines": [
            {
                "line": printable(row.name, LONGEST),
                "products": row.counts.products,
                "passed_at_first": row.shares[0].count,
            }
            for row in told.tables["line"][:LINES]
        ],
        "alarms": [
            {
                "at": point.label,
                "not_passed": point.count,
                "products": point.total,
                "signals": [signal.value for signal in point.signals],
            }
            for point in told.chart.alarms
        ],
    }


def body(told: Figures, settings: Settings, now: datetime) -> str:
    """JSON of the event `shift.ended`, under 20 kB in UTF-8; what does not fit is counted.

    shared/docs/report.schema.json describes it.
    """
    shift, station = told.shifts[0], settings.station
    asked = {"day": shift.day.isoformat(), "shift": shift.name} | (
        {"line": told.period.line} if told.period.line else {}
    )
    page = {"page": f"{station.address.rstrip('/')}/report?{urlencode(asked)}"} if station.address else {}
    content = data(told, station.time_zone)
    lists = {key: content[key] for key in ("classes", "lines", "alarms")}
    all_ = {"classes": len(told.defects), "lines": len(told.tables["line"]), "alarms": len(told.chart.alarms)}
    while True:
        omitted = {key: all_[key] - len(each) for key, each in lists.items()}
        told_of = {**content, "made_at": _utc(now), "omitted": omitted, **page}
        event = {"type": "shift.ended", "timestamp": content["counted_until"], "data": told_of}
        text_ = json.dumps(event, ensure_ascii=False, separators=(",", ":"))
        longest = max(lists.values(), key=lambda each: len(json.dumps(each)))
        if len(text_.encode("utf-8", "replace")) < MAX_BYTES or not longest:
            return text_
        del longest[len(longest) * 3 // 4 :]


def _measured(one: Measured) -> dict[str, Any]:
    low, high = one.interval
    return {
        "share": _rounded(one.rate),
        "low": _rounded(low),
        "high": _rounded(high),
        "count": one.count,
        "of": one.total,
        "unanswered": one.open,
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.6g}")


def _utc(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()

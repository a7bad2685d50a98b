"""`/report`: one shift on a sheet that prints on A4."""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from linegate.inspection import Verdict
from linegate.period import Figures
from linegate.shift_report import last_ended, report, shift_named, title
from linegate.shifts import Shift, shift_at
from linegate.station import render
from linegate.station.asked import day_of
from linegate.station.pages.numbers import shown
from linegate.station.site import site_of
from linegate.station_section import Station


def shift_report(request: Request) -> Response:
    """Of the shift that the address names; of the last one that is over where it names none."""
    site = site_of(request)
    station, now, params = site.station, site.context.clock.now(), request.query_params
    day, line = day_of(params, "day"), params.get("line") or None
    try:
        shift = shift_named(station, day, params.get("shift") or None) if day else last_ended(station, now)
    except ValueError as error:
        raise HTTPException(400, f"This can't be shown: {error}.") from error
    return render.page(
        request,
        "report.html",
        lines=sorted(site.settings.lines),
        shifts=list(station.shifts),
        before=_address(
            shift_at(shift.start.astimezone(UTC) - timedelta(minutes=1), station.starts, station.zone), line
        ),
        after=_address(shift_at(shift.end, station.starts, station.zone), line) if shift.end <= now else "",
        **values(report(site.context.queries, site.settings, shift, line), station, now),
    )


def file(told: Figures, station: Station, now: datetime) -> str:
    """The same sheet as HTML that needs nothing else: for a file, or to be sent."""
    sheets = "\n".join((render.HERE / "static" / name).read_text() for name in ("station.css", "numbers.css"))
    template = render.templates().get_template("report_file.html")
    return template.render(values(told, station, now), sheets=render.as_it_is(sheets), zone=station.zone)


def values(told: Figures, station: Station, now: datetime) -> dict[str, Any]:
    """What the sheet shows."""
    first = told.whole.counts.first
    return {
        "title": title(told),
        "made_at": now,
        "time_zone": station.time_zone,
        "unfinished": told.until > now,
        "first": [(verdict.value, first.get(verdict, 0)) for verdict in Verdict],
        **shown(told),
    }


def _address(shift: Shift, line: str | None) -> str:
    named = {"day": shift.day.isoformat(), "shift": shift.name}
    return urlencode(named | ({"line": line} if line else {}))


ROUTES = [Route("/report", shift_report)]

"""`/numbers`: what the counts tell of lines, recipes, shifts and days; each table as CSV beside it."""

from datetime import timedelta
from itertools import accumulate
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from linegate import cells
from linegate.control import RULES
from linegate.numbers import ESCAPES, SHARES, Rate, escaped, waiting
from linegate.period import MOST_DAYS, Figures, Per, figures
from linegate.station import charts
from linegate.station.asked import Asked, asked, today_of
from linegate.station.render import page
from linegate.station.site import Site, site_of
from linegate.station.tables import TABLES

WHAT: Final = "share of products that did not pass at first"
SHORT: Final = 12  # classes that are shown at once


def numbers(request: Request) -> Response:
    site = site_of(request)
    about = _asked(request)
    told = _figures(site, about)
    return page(
        request,
        "numbers.html",
        about=about,
        choices=_choices(site),
        quick=_quick(site),
        most_days=MOST_DAYS,
        **shown(told),
    )


def csv(request: Request) -> Response:
    """One table of the same period. Numbers are plain, shares from 0 to 1."""
    name = request.path_params["table"]
    if name not in TABLES:
        raise HTTPException(404)
    about = _asked(request)
    data = cells.table(*TABLES[name](_figures(site_of(request), about)))
    file = f"linegate-{name}-{about.period.first}-{about.period.last}.csv"
    headers = {"Content-Disposition": f'attachment; filename="{file}"', "Cache-Control": "no-store"}
    return Response(data, media_type="text/csv; charset=utf-8", headers=headers)


def shown(told: Figures) -> dict[str, Any]:
    """What templates need of a period, besides itself."""
    defects = [one for one in told.defects if one.defects]
    total = sum(one.defects for one in defects)
    most = defects[0].defects if defects else 0
    rows = [
        (one, charts.bar(one, most), up_to / total if total else None)
        for one, up_to in zip(told.defects, accumulate(one.defects for one in told.defects), strict=True)
    ]
    return {
        "told": told,
        "classes": rows[:SHORT],
        "more_classes": rows[SHORT:],
        "chart": charts.p_chart(told.chart, WHAT, told.per.value),
        "alarms": [charts.in_words(point) for point in told.chart.alarms],
        "rules": RULES,
        "escaped": escaped(told.whole.counts),
        "waiting_count": waiting(told.whole.counts),
        "SHARES": SHARES,
        "ESCAPES": ESCAPES,
        "Rate": Rate,
    }


def _asked(request: Request) -> Asked:
    site = site_of(request)
    return asked(request.query_params, site.station, site.context.clock.now())


def _figures(site: Site, about: Asked) -> Figures:
    try:
        return figures(site.context.queries, site.settings, about.period, about.per)
    except ValueError as error:
        raise HTTPException(400, f"This can't be shown: {error}.") from error


def _choices(site: Site) -> dict[str, list[str]]:
    settings = site.settings
    return {
        "line": sorted((*settings.lines, *settings.challenge_lines)),
        "recipe": sorted(settings.recipes),
        "shift": list(site.station.shifts),
        "per": [per.value for per in Per if per is not Per.SHIFT or site.station.shifts],
    }


def _quick(site: Site) -> list[tuple[str, str, str]]:
    """Days that people ask for often: their name, the first and the last of them."""
    today = today_of(site.station, site.context.clock.now())
    return [
        (name, (today - timedelta(days=back)).isoformat(), (today - timedelta(days=until)).isoformat())
        for name, back, until in (("Today", 0, 0), ("Yesterday", 1, 1), ("7 days", 6, 0), ("30 days", 29, 0))
    ]


ROUTES = [Route("/numbers", numbers), Route("/numbers/{table}.csv", csv)]

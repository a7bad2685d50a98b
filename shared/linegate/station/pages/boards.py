"""`/boards`: the products that were inspected, found by line, verdict, serial, class, disposition and day; in pages by cursor."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date
from typing import Final
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from linegate.answers import Disposition
from linegate.errors import CursorError
from linegate.inspection import Inspection, Verdict
from linegate.ports import Queries, begins_an_id
from linegate.search import Page, Wanted
from linegate.shifts import Shift, shifts_of
from linegate.station.asked import day_of
from linegate.station.desk import class_names
from linegate.station.render import page
from linegate.station.site import Site, site_of
from linegate.station_section import Station

SHOWN: Final = 50
LONGEST: Final = 200  # of what is looked for


@dataclass(frozen=True, slots=True)
class Sought:
    """What the address asks for, as the form shows it and as the store is asked."""

    said: Mapping[str, str]
    wanted: Wanted

    def address(self, **changes: str) -> str:
        """Of the same list with these changed."""
        said = {name: value for name, value in {**self.said, **changes}.items() if value}
        return f"/boards?{urlencode(said)}" if said else "/boards"


def boards(request: Request) -> Response:
    site, params = site_of(request), request.query_params
    sought = _sought(params, site.station)
    cursor = params.get("cursor", "")
    try:
        found = _found(site.context.queries, sought.wanted, cursor)
    except CursorError as error:
        raise HTTPException(400, f"This list can't go on: {error}.") from error
    return page(
        request,
        "boards.html",
        sought=sought,
        found=found,
        cursor=cursor,
        lines=_with(sorted(site.settings.lines), sought.said["line"]),
        verdicts=[verdict.value for verdict in Verdict],
        dispositions=[disposition.value for disposition in Disposition],
        classes=_classes(site),
    )


def _found(queries: Queries, wanted: Wanted, cursor: str) -> Page[Inspection]:
    """A page of them; where nothing has a serial, what an inspection's id begins with is looked for as well."""
    found = queries.search(wanted, cursor, SHOWN)
    serial = wanted.serial or ""
    if found.items or found.next or found.unreadable or not begins_an_id(serial):
        return found
    return Page(tuple(queries.find(serial, SHOWN)))


def _sought(params: Mapping[str, str], station: Station) -> Sought:
    """Refuses what makes no sense with 400."""
    names = ("line", "recipe", "serial", "verdict", "class", "disposition", "from", "to")
    said = {name: params.get(name, "").strip()[:LONGEST] for name in names}
    first, last = day_of(said, "from"), day_of(said, "to")
    if first and last and last < first:
        raise HTTPException(400, "The last day lies before the first.")
    try:
        wanted = Wanted(
            line=said["line"] or None,
            recipe=said["recipe"] or None,
            serial=said["serial"] or None,
            verdict=Verdict(said["verdict"]) if said["verdict"] else None,
            class_name=said["class"] or None,
            disposition=Disposition(said["disposition"]) if said["disposition"] else None,
            since=_shifts(first, station)[0].start.astimezone(UTC) if first else None,
            until=_shifts(last, station)[-1].end.astimezone(UTC) if last else None,
        )
    except ValueError as error:
        raise HTTPException(400, f"This can't be looked for: {error}.") from error
    return Sought(said, wanted)


def _shifts(day: date, station: Station) -> list[Shift]:
    return shifts_of(day, station.starts, station.zone)


def _classes(site: Site) -> list[str]:
    """The classes that the recipes know, to choose from."""
    return sorted({name for recipe in site.settings.recipes.values() for name in class_names(None, recipe)})


def _with(known: list[str], asked: str) -> list[str]:
    """What may be chosen, and what is: a line that is gone has its products still."""
    return known if not asked or asked in known else [*known, asked]


ROUTES = [Route("/boards", boards)]

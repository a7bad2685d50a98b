"""`/`: the lines of the gate, each with what it saw last, and what waits for a person."""

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from linegate.inspection import Inspection
from linegate.search import Wanted
from linegate.station.render import page
from linegate.station.site import Site, site_of


@dataclass(frozen=True, slots=True)
class _Line:
    name: str
    recipe: str
    last: Inspection | None
    waiting: int


def home(request: Request) -> Response:
    site = site_of(request)
    lines = [_told(site, name) for name in sorted(site.settings.lines)]
    return page(request, "home.html", lines=lines, waiting=site.context.queries.waiting(limit=1).count)


def _told(site: Site, name: str) -> _Line:
    queries = site.context.queries
    newest = queries.search(Wanted(line=name), limit=1).items
    return _Line(
        name,
        site.settings.lines[name].recipe,
        newest[0] if newest else None,
        queries.waiting([name], limit=1).count or 0,
    )


ROUTES = [Route("/", home)]

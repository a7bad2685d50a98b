"""`/`: the lines of the gate, each with what it saw last, and what waits for a person; live, as a wall's overview."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from linegate.inspection import Inspection
from linegate.line.controllers import Controller
from linegate.search import Wanted
from linegate.station.live import Stream
from linegate.station.pages.line import Line, last, marker
from linegate.station.render import fragment, page
from linegate.station.rhythm import silent_after
from linegate.station.site import Site, site_of

MOST_LINES: Final = 60  # each costs a question
LAST: Final = 6  # enough to know a rhythm


@dataclass(frozen=True, slots=True)
class _Told:
    """One line's tile."""

    name: str
    recipe: str
    last: Inspection | None
    waiting: int
    silent: bool
    unreadable: int
    controllers: list[Controller]


@dataclass(frozen=True, slots=True)
class Overview:
    """What the store holds of all lines."""

    lines: dict[str, Line]
    waiting: dict[str, int]
    total: int
    controllers: list[Controller]


class WatchedHome:
    """All lines as pages watch them: see `live.Watched`."""

    key: Final = "home"

    def load(self, site: Site) -> Overview:
        queries = site.context.queries
        names = sorted(site.settings.lines)[:MOST_LINES]
        return Overview(
            {name: last(queries, name, LAST) for name in names},
            {name: queries.waiting([name], limit=1).count or 0 for name in names},
            queries.waiting(limit=1).count or 0,
            site.controllers(),
        )

    def probe(self, site: Site) -> object:
        found = site.context.queries.search(Wanted(), limit=1)
        return [marker(item) for item in found.items], found.unreadable, site.controllers()

    def restless(self, records: Overview) -> bool:
        return any(item.revision is None for line in records.lines.values() for item in line.items)

    def show(self, site: Site, records: Overview, now: datetime) -> dict[str, Any]:
        told = [_told(site, name, records, now) for name in records.lines]
        return {"parts": {"lines": fragment(site, "home_lines.html", lines=told, waiting=records.total)}}


def _told(site: Site, name: str, records: Overview, now: datetime) -> _Told:
    line, known = records.lines[name], site.settings.lines[name]
    limit = silent_after(known, [item.received_at for item in line.items])
    return _Told(
        name,
        known.recipe,
        line.lead(now),
        records.waiting[name],
        bool(line.items) and now - line.items[0].received_at > limit,
        line.unreadable,
        [
            standing
            for standing in records.controllers
            if standing.line == name and standing.target in site.settings.targets
        ],
    )


def home(request: Request) -> Response:
    site, watched = site_of(request), WatchedHome()
    return page(request, "home.html", shown=watched.show(site, watched.load(site), site.context.clock.now()))


async def live(request: Request) -> Response:
    return Stream(request.app.state.hub, WatchedHome())


ROUTES = [Route("/", home), Route("/live", live)]

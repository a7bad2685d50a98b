"""What every page works with."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta

from starlette.requests import Request

from linegate import bootstrap
from linegate.bootstrap import App
from linegate.handlers.context import Context
from linegate.line.controllers import Controller
from linegate.ports import Clock
from linegate.settings import Settings
from linegate.station.doors import Door, Everybody, Members, Proxied
from linegate.station.sessions import Sessions, hash_of
from linegate.station.who import Role
from linegate.station_section import LOOPBACK, Station


@dataclass(frozen=True, slots=True)
class Site:
    """The gate as its pages know it. Pages ask `context.queries`, and write by publishing what a person decided."""

    context: Context
    golden: Callable[[str], bytes]
    """The file of a golden picture. Raises TransientError."""
    doors: tuple[Door, ...]
    """Who knows those that ask, in the order in which they are asked."""
    pulse: Callable[[], int] | None = None
    """Another number whenever the store has changed, where that is cheap to know. Raises TransientError."""
    controllers: Callable[[], list[Controller]] = list
    """How targets that speak to lines stand. Raises TransientError."""

    @property
    def settings(self) -> Settings:
        return self.context.settings

    @property
    def enters(self) -> bool:
        """Whether people say here who they are."""
        return any(isinstance(door, Members) for door in self.doors)

    @property
    def station(self) -> Station:
        return self.context.settings.station


def site_for(app: App) -> Site:
    """The station of a gate. Raises TransientError."""
    return Site(
        app.context, app.golden_picture, tuple(_doors(app.settings, app.context.clock)), app.pulse, app.controllers
    )


def _doors(settings: Settings, clock: Clock) -> Iterator[Door]:
    station = settings.station
    if settings.cloud:
        audience = station.iap_audience
        if audience:
            yield Proxied(station, bootstrap.proxy_identities(audience))
        return
    if any(hash_of(member) for member in station.people.values()):
        lasts = timedelta(hours=station.session_h)
        yield Members(station, Sessions(bootstrap.session_key(settings), station.people, lasts), clock)
    if station.anybody == "look" or (not station.people and station.listen_at[0] in LOOPBACK):
        yield Everybody(Role.LOOK)


def site_of(request: Request) -> Site:
    """The site that a request came to."""
    site = request.app.state.site
    assert isinstance(site, Site)
    return site

"""What every page works with."""

from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request

from linegate.bootstrap import App
from linegate.handlers.context import Context
from linegate.sections import Station
from linegate.settings import Settings


@dataclass(frozen=True, slots=True)
class Site:
    """The gate as its pages know it. Pages ask `context.queries`, and write by publishing what a person decided."""

    context: Context
    golden: Callable[[str], bytes]
    """The file of a golden picture. Raises TransientError."""

    @property
    def settings(self) -> Settings:
        return self.context.settings

    @property
    def station(self) -> Station:
        return self.context.settings.station


def site_for(app: App) -> Site:
    return Site(app.context, app.golden_picture)


def site_of(request: Request) -> Site:
    """The site that a request came to."""
    site = request.app.state.site
    assert isinstance(site, Site)
    return site

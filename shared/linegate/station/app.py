"""The station as one ASGI application, wherever it runs."""

import asyncio
from collections.abc import Iterator
from functools import cache
from typing import Any, Final

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Mount
from starlette.staticfiles import StaticFiles

from linegate import bootstrap
from linegate.errors import TransientError
from linegate.logs import log
from linegate.station import render
from linegate.station.addresses import hosts
from linegate.station.api import routes
from linegate.station.api.operation import ROOT
from linegate.station.doors import Entrance
from linegate.station.ending import end_streams_at_sigterm
from linegate.station.live import Hub
from linegate.station.opened import Opened
from linegate.station.pages import board, boards, cuts, enter, home, line, numbers, pictures, report, review
from linegate.station.presence import Presence
from linegate.station.problems import ProblemError, refusal
from linegate.station.shield import HEALTH, Shield
from linegate.station.site import Site, site_for
from linegate.station.tokens import Bearer

PAGES: Final = (home, line, review, boards, board, numbers, report, pictures, cuts, enter, routes)


def asgi(site: Site) -> Starlette:
    """Pages, pictures and streams of one gate."""
    app = Starlette(
        routes=list(_routes()),
        middleware=[
            Middleware(Shield, hosts=hosts(site.settings)),
            Middleware(Bearer, tokens=site.station.tokens),
            Middleware(Entrance, doors=site.doors),
        ],
        exception_handlers={HTTPException: _refused, TransientError: _unavailable, Exception: _broken},
    )
    app.state.site = site
    app.state.opened, app.state.presence = Opened(), Presence()
    app.state.closing = asyncio.Event()  # set when the process is asked to stop: streams end at once
    app.state.hub = Hub(site, app.state.closing)
    return app


@cache
def instance() -> Starlette:
    """The application of the gate that LINEGATE_CONFIG names, built once for each instance of the function; its loop runs."""
    app = asgi(site_for(bootstrap.app()))
    end_streams_at_sigterm(app)
    return app


def _routes() -> Iterator[BaseRoute]:
    for each in PAGES:
        yield from each.ROUTES
    yield Mount("/static", _Files(directory=render.HERE / "static"))


class _Files(StaticFiles):
    """A browser asks each time whether they are still the same: a page of this release must not run on the files of the last."""

    def file_response(self, *arguments: Any, **named: Any) -> Response:
        response = super().file_response(*arguments, **named)
        response.headers["Cache-Control"] = "no-cache"
        return response


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if request.url.path.startswith(f"{ROOT}/") or request.url.path == HEALTH:
        return refusal(error)
    told = {404: "There is nothing here."}
    said = told.get(error.status_code, error.detail) if error.detail in ("", "Not Found") else error.detail
    return render.page(request, "told.html", error.status_code, said=said)


def _unavailable(request: Request, error: Exception) -> Response:
    """The store does not answer: the page says so, and that it is no verdict."""
    log.warning("station.unavailable", path=request.url.path, reason=str(error))
    return render.page(request, "told.html", 503, said=f"The gate's store can't answer: {error}")


def _broken(request: Request, error: Exception) -> Response:
    log.error("station.failed", path=request.url.path, exc_info=error)
    if request.url.path.startswith(f"{ROOT}/"):
        return ProblemError.of(500, "fault", "This is a fault of Linegate.", "Its log says where.").response()
    return render.page(request, "told.html", 500, said="This is a fault of Linegate; its log says where.")

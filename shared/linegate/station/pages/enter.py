"""`/enter` and `/leave`: people say who they are, with a PIN or a password."""

from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from linegate.logs import log
from linegate.station.doors import Members, origin
from linegate.station.forms import with_form
from linegate.station.render import page
from linegate.station.site import site_of
from linegate.station.who import person_of
from linegate.texts import printable


def enter(request: Request) -> Response:
    """The names first, then the PIN or password of the one that was chosen."""
    return _page(request, request.query_params.get("name", ""), request.query_params.get("next", ""))


def entered(request: Request, fields: Mapping[str, str]) -> Response:
    name, onward = fields.get("name", ""), fields.get("next", "")
    cookie, why = _members(request).enter(name, fields.get("secret", ""), origin(request))
    if why:
        log.warning("station.refused", person=printable(name), origin=origin(request))
        return _page(request, name, onward, why, 403)
    log.info("station.entered", person=name, origin=origin(request))
    return RedirectResponse(_inside(onward), 303, {"Set-Cookie": cookie})


def leave(request: Request, _: Mapping[str, str]) -> Response:
    return RedirectResponse("/enter", 303, {"Set-Cookie": _members(request).leave()})


def _page(request: Request, name: str, onward: str, why: str = "", status: int = 200) -> Response:
    members = _members(request)
    return page(
        request,
        "enter.html",
        status,
        names=members.names,
        chosen=name if name in members.names else "",
        member=members.member(name),
        onward=_inside(onward),
        why=why,
        known=person_of(request).name,
    )


def _members(request: Request) -> Members:
    for door in site_of(request).doors:
        if isinstance(door, Members):
            return door
    raise HTTPException(404, "Nobody enters here: name people in the configuration, under station.people.")


def _inside(onward: str) -> str:
    """An address of this station: a link can't lead to another one by way of the entrance."""
    plain = onward.startswith("/") and not onward.startswith(("//", "/\\")) and onward.isprintable()
    return onward if plain and len(onward) < 2000 else "/"


ROUTES = [
    Route("/enter", enter),
    Route("/enter", with_form(entered), methods=["POST"]),
    Route("/leave", with_form(leave), methods=["POST"]),
]

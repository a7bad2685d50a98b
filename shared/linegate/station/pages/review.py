"""`/review`: what waits for a person, and the product that they look at; their decision is given to the gate from here.

GET  /review                                   the product that waits longest, of all lines or of `?line=`
GET  /review/find?serial=                      the product of a serial, as a scanner reads it
GET  /review/{inspection_id}                   one product
POST /review/{inspection_id}                   what a person decided, as JSON ▶ what became of it
GET  /review/{inspection_id}/outcome/{id}      the same, asked for again
"""

import json
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import quote, urlencode

from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from linegate.answers import Refusal, Review
from linegate.codec import codec
from linegate.handlers.giving import give, outcome, wait_for
from linegate.inspection import Inspection, Revision
from linegate.search import Page, awaits_answer
from linegate.station.desk import RULINGS, is_blind, shown
from linegate.station.forms import body
from linegate.station.pages.cuts import golden_file
from linegate.station.presence import Presence
from linegate.station.render import page
from linegate.station.site import Site, site_of
from linegate.station.who import Role, person_of
from linegate.texts import visible

SHOWN: Final = 60  # of those that wait
MOST_LINES: Final = 30  # that the store can be asked for at once
PATIENCE_S: Final = 4.0
FIELDS: Final = {"seen", "rulings", "missed", "looked", "comment"}


def review(request: Request) -> Response:
    """The product that waits longest, or that nothing waits."""
    site, line = site_of(request), _line(request)
    waiting = _waiting(site, line)
    return _desk(request, site, line, waiting, waiting.items[0] if waiting.items else None)


def product(request: Request) -> Response:
    site, line = site_of(request), _line(request)
    inspection = site.context.inspections.get(request.path_params["inspection_id"])
    if inspection is None:
        raise HTTPException(404, "This product is not known here.")
    return _desk(request, site, line, _waiting(site, line), inspection)


def find(request: Request) -> Response:
    """By serial, or by the first digits of the inspection's id: of several the one that waits, else the newest."""
    site, line, wanted = site_of(request), _line(request), request.query_params.get("serial", "").strip()
    found = site.context.queries.find(wanted[:200], 20) if wanted else []
    if not found:
        return _desk(request, site, line, _waiting(site, line), None, missing=wanted)
    waiting = [one for one in found if one.revision and awaits_answer(one.manifest, one.revision)]
    return RedirectResponse(_address((waiting or found)[0].inspection_id, line), 303)


def _desk(
    request: Request,
    site: Site,
    line: str,
    waiting: Page[Inspection],
    inspection: Inspection | None,
    missing: str | None = None,
) -> Response:
    person = person_of(request)
    desk: dict[str, Any] | None = None
    others: list[Any] = []
    fault = ""
    if inspection is not None:
        manifest, revision = inspection.manifest, inspection.revision
        known = site.settings.recipes.get(inspection.recipe)
        laid = manifest.laid if manifest else None
        fault = golden_file(site, laid)[1] if manifest else ""
        if revision is not None:
            desk = shown(inspection, revision, known) | {
                "golden": laid.digest[:16] if laid and not fault else "",
                "person": person.name,
                "may": bool(person.name) and person.may(Role.REVIEW),
                "line": line,
            }
            others = _presence(request).come(inspection.inspection_id, person.name, site.context.clock.now())
    return page(
        request,
        "review.html",
        404 if missing else 200,
        waiting=waiting,
        line=line,
        lines=sorted(site.settings.lines),
        inspection=inspection,
        blind=inspection is not None and is_blind(inspection),
        desk=desk,
        fault=fault,
        others=others,
        missing=missing,
        rulings=RULINGS,
        may=bool(person.name) and person.may(Role.REVIEW),
        now=site.context.clock.now(),
        address=lambda identity: _address(identity, line),
    )


async def given(request: Request) -> Response:
    """Takes a decision as JSON: `seen`, `rulings`, `missed`, `looked`, `comment`."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/json":
        return _said(415, "A decision is sent as JSON.")
    return await run_in_threadpool(_given, request, await body(request))


def _given(request: Request, sent: bytes) -> Response:
    site, person = site_of(request), person_of(request)
    if not person.name or not person.may(Role.REVIEW):
        return _said(403, "To decide, you must have entered with a name that has the role review.")
    inspection = site.context.inspections.get(request.path_params["inspection_id"])
    if inspection is None:
        return _said(404, "This product is not known here.")
    try:
        fields = json.loads(sent)
        if not isinstance(fields, dict) or not fields.keys() <= FIELDS:
            raise ValueError(f"it has other fields than {', '.join(sorted(FIELDS))}")
        fields |= {
            "inspection_id": inspection.inspection_id,
            "author": person.name,
            "origin": person.origin,
            "at": site.context.clock.now(),
        }
        decided = codec(Review).validate_python(fields)
    except ValidationError as error:
        return _said(422, f"This is no decision: {error.errors()[0]['msg'].removeprefix('Value error, ')}.")
    except ValueError as error:
        return _said(422, f"This is no decision: {error}.")
    give(site.context, decided, inspection.place.line)
    found = wait_for(site.context.queries, decided, PATIENCE_S)
    if isinstance(found, Revision):
        _presence(request).go(inspection.inspection_id, person.name)
    return _became(site, found, decided.review_id, _line(request), inspection.inspection_id)


def became(request: Request) -> Response:
    """What became of a decision that was taken earlier."""
    site, identity = site_of(request), request.path_params["inspection_id"]
    review_id = request.path_params["review_id"]
    return _became(site, outcome(site.context.queries, identity, review_id), review_id, _line(request), identity)


def _became(site: Site, found: Revision | Refusal | None, review_id: str, line: str, identity: str) -> Response:
    if isinstance(found, Refusal):
        return JSONResponse({"outcome": "refused", "detail": visible(found.reason)}, 409)
    if found is None:
        told = f"/review/{quote(identity)}/outcome/{review_id}"
        return JSONResponse({"outcome": "taken", "ask": told}, 202, {"Location": told})
    others = [one for one in _waiting(site, line, 2).items if one.inspection_id != identity]
    return JSONResponse(
        {
            "outcome": "counts",
            "verdict": found.decision.verdict.value,
            "revision": found.number,
            "summary": visible(found.decision.summary),
            "next": _address(others[0].inspection_id, line) if others else _address("", line),
        }
    )


def _said(status: int, detail: str) -> Response:
    return JSONResponse(
        {"title": "Not taken", "status": status, "detail": detail}, status, media_type="application/problem+json"
    )


def _waiting(site: Site, line: str, limit: int = SHOWN) -> Page[Inspection]:
    """What waits on a line, or on all; not the known-bad products of challenges."""
    lines: Sequence[str] = [line] if line else []
    if not line and site.settings.challenge_lines and len(site.settings.lines) <= MOST_LINES:
        lines = sorted(site.settings.lines)
    return site.context.queries.waiting(lines, limit=limit)


def _line(request: Request) -> str:
    """The line that was asked for; empty for all."""
    asked = request.query_params.get("line", "")
    return asked if asked in site_of(request).settings.lines else ""


def _address(identity: str, line: str) -> str:
    query = f"?{urlencode({'line': line})}" if line else ""
    return f"/review/{quote(identity)}{query}" if identity else f"/review{query}"


def _presence(request: Request) -> Presence:
    presence = request.app.state.presence
    assert isinstance(presence, Presence)
    return presence


ROUTES = [
    Route("/review", review),
    Route("/review/find", find),
    Route("/review/{inspection_id}", product),
    Route("/review/{inspection_id}", given, methods=["POST"]),
    Route("/review/{inspection_id}/outcome/{review_id}", became),
]

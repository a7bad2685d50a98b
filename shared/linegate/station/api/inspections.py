"""Inspections, those that wait, and counts."""

from datetime import timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from starlette.requests import Request
from starlette.responses import Response

from linegate.errors import CursorError
from linegate.inspection import Inspection
from linegate.search import Page, Wanted
from linegate.station.api import asked, describe, told
from linegate.station.api.operation import INSPECTION, ROOT, Operation, given, only
from linegate.station.problems import ProblemError
from linegate.station.site import Site, site_of
from linegate.station.tokens import machine_of, sees
from linegate.station_section import May

# What may be asked of counts at once
MOST_DAYS: Final = {"hour": 31, "day": 400}
# What `Queries.waiting` takes
MOST_LINES: Final = 30


def inspections(request: Request, which: asked.Which, _: None) -> Response:
    site = site_of(request)
    wanted = Wanted(
        line=only(request, which.line),
        recipe=which.recipe,
        serial=which.serial,
        verdict=which.verdict,
        decided_by=which.decided_by,
        class_name=which.class_name,
        disposition=which.disposition,
        since=which.since,
        until=which.until,
        oldest_first=which.order == "oldest",
    )
    try:
        page = site.context.queries.search(wanted, which.cursor, which.limit)
    except CursorError as error:
        raise bad_cursor(error) from error
    return given(told.InspectionPage(**_page(site, page)))


def waiting(request: Request, which: asked.Waiting, _: None) -> Response:
    site, machine = site_of(request), machine_of(request)
    lines = [which.line] if which.line else []
    if machine is not None and machine.lines is not None:
        lines = [only(request, which.line) or ""] if which.line else sorted(machine.lines)[:MOST_LINES]
    try:
        page = site.context.queries.waiting(lines, which.cursor, which.limit)
    except CursorError as error:
        raise bad_cursor(error) from error
    return given(told.WaitingPage(**_page(site, page), count=page.count))


def inspection(request: Request, _: asked.Nothing, __: None) -> Response:
    site, known = site_of(request), found(request)
    queries, identity = site.context.queries, known.inspection_id
    revisions = queries.revisions(identity)
    return given(describe.whole(site, known, revisions, queries.refusals(identity), queries.notifications(identity)))


def counts(request: Request, which: asked.Counted, _: None) -> Response:
    site = site_of(request)
    asked.spans(which.since, which.until, MOST_DAYS[which.by])
    line = only(request, which.line)
    since = which.since - timedelta(microseconds=which.since.microsecond)
    slots = site.context.queries.counts(line, which.recipe, since, which.until, which.by, ZoneInfo(which.zone))
    return given(told.Counts(slots=[describe.slot(slot) for slot in slots]))


def found(request: Request) -> Inspection:
    """The inspection that the address names. Raises ProblemError."""
    site, identity = site_of(request), request.path_params["inspection_id"]
    known = site.context.inspections.get(identity) if asked_id(identity) else None
    if known is None or not sees(request, known.place.line):
        kept = site.settings.cloud.retention_days if site.settings.cloud else site.settings.edge.retention_days
        raise ProblemError.of(
            404,
            "no-inspection",
            f"Nothing is known of inspection {identity[:40]}.",
            f"Look whether its id is right; what was inspected is kept for {kept:g} days. Right after an upload, ask again.",
        )
    return known


def asked_id(text: str) -> bool:
    return len(text) == 32 and not text.strip("0123456789abcdef")


def _page(site: Site, page: Page[Inspection]) -> dict[str, Any]:
    return {
        "items": [describe.inspection(site, each) for each in page.items],
        "next": page.next,
        "unreadable": list(page.unreadable),
    }


def bad_cursor(error: CursorError) -> ProblemError:
    return ProblemError.of(400, "bad-cursor", f"{error}.", "Ask for the first page, without a cursor.")


OPERATIONS: Final = (
    Operation(
        "inspections",
        "GET",
        f"{ROOT}/inspections",
        "Inspections by line, verdict, serial, class, disposition and time, in pages.",
        May.LOOK,
        {200: (told.InspectionPage, "A page of them.")},
        inspections,
        query=asked.Which,
    ),
    Operation(
        "inspection",
        "GET",
        f"{ROOT}/inspections/{{inspection_id}}",
        "All that is known of one inspection.",
        May.LOOK,
        {200: (told.WholeInspection, "All of it.")},
        inspection,
        parts=(INSPECTION,),
        problems={404: "Nothing is known of it, any more or yet."},
    ),
    Operation(
        "waiting",
        "GET",
        f"{ROOT}/waiting",
        "FAIL and REVIEW that no person has answered, the oldest first.",
        May.LOOK,
        {200: (told.WaitingPage, "A page of them.")},
        waiting,
        query=asked.Waiting,
    ),
    Operation(
        "counts",
        "GET",
        f"{ROOT}/counts",
        "Counts by hour or day, line and recipe.",
        May.LOOK,
        {200: (told.Counts, "One slot for each hour or day, line and recipe in which anything was counted.")},
        counts,
        query=asked.Counted,
    ),
)

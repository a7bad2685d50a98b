"""`/boards/{inspection_id}`: everything about one product; the link to it can be pasted into a chat."""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from linegate.inspection import Detection, archived_name
from linegate.search import Wanted, awaits_answer
from linegate.station import record
from linegate.station.desk import is_blind
from linegate.station.pages.cuts import golden_file
from linegate.station.pages.line import doubts
from linegate.station.render import page
from linegate.station.site import site_of
from linegate.station.who import Role, person_of

MOST_FINDINGS = 300
OTHERS = 8


def board(request: Request) -> Response:
    site, identity = site_of(request), request.path_params["inspection_id"]
    context = site.context
    inspection = context.inspections.get(identity)
    if inspection is None:
        raise HTTPException(
            404, "Nothing is known of this product: it was never inspected here, or is not kept any more."
        )
    queries, manifest, latest = context.queries, inspection.manifest, inspection.revision
    revisions = queries.revisions(identity) if latest else []
    refusals, notifications = queries.refusals(identity), queries.notifications(identity)
    serial = inspection.place.serial
    others = queries.search(Wanted(serial=serial), limit=OTHERS + 1).items if serial else ()
    rows = record.rows(inspection, revisions)
    laid = manifest.laid if manifest else None
    person = person_of(request)
    return page(
        request,
        "board.html",
        item=inspection,
        latest=latest,
        rows=rows[:MOST_FINDINGS],
        left_out=len(rows) - MOST_FINDINGS,
        doubts=doubts(inspection),
        # Who is to look at it with fresh eyes is not told here that it waits for them.
        waits=latest is not None and awaits_answer(manifest, latest) and not is_blind(inspection),
        may=person.may(Role.REVIEW),
        revisions=revisions[::-1],
        refusals=refusals[::-1],
        notifications=notifications,
        events=record.events(inspection, revisions, refusals, notifications),
        others=[one for one in others if one.inspection_id != identity][:OTHERS],
        laid=laid,
        golden_fault=golden_file(site, laid)[1] if manifest else "",
        archived=archived_name(inspection.image),
        by=record.by,
        now=context.clock.now(),
        numbers={row.finding.number: row.number for row in rows if row.detection},
        points=_points,
    )


def _points(detection: Detection) -> str:
    """An outline as SVG has it."""
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in detection.outline)


ROUTES = [Route("/boards/{inspection_id}", board)]

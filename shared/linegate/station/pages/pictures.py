"""`/pictures/{inspection_id}/upload|annotated`: the upload as it came, and the annotated picture of a revision or the latest."""

from collections.abc import Callable
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from linegate.errors import ObjectMissingError
from linegate.inspection import Inspection
from linegate.station.site import Site, site_of

KEPT: Final = "private, max-age=86400, immutable"
# What a browser shows, by how it begins
TYPES: Final = ((b"\xff\xd8\xff", "image/jpeg"), (b"\x89PNG\r\n\x1a\n", "image/png"), (b"RIFF", "image/webp"))


def picture(request: Request) -> Response:
    site, identity = site_of(request), request.path_params["inspection_id"]
    inspection = site.context.inspections.get(identity)
    which = WHICH.get(request.path_params["which"])
    if inspection is None or which is None:
        raise HTTPException(404)
    revision = request.query_params.get("revision", "")
    try:
        data = which(site, inspection, revision)
    except ObjectMissingError as error:
        raise HTTPException(404, "This picture is not kept any more.") from error
    kind = next((kind for begins, kind in TYPES if data.startswith(begins)), None)
    if kind is None:
        raise HTTPException(415, "A browser can't show a picture of this format.")
    # The latest revision is another one tomorrow.
    kept = KEPT if revision or which is _upload else "no-store"
    return Response(data, media_type=kind, headers={"Cache-Control": kept})


def _upload(site: Site, inspection: Inspection, _: str) -> bytes:
    if inspection.manifest is None:  # nobody has opened it yet, or nobody could
        raise HTTPException(404, "This picture was not inspected.")
    return site.context.images.read(inspection.image)


def _annotated(site: Site, inspection: Inspection, asked: str) -> bytes:
    revisions = site.context.queries.revisions(inspection.inspection_id)
    found = [each for each in revisions if asked in ("", str(each.number))]
    if not found or not found[-1].annotated:
        raise HTTPException(404, found[-1].annotated_why if found else "")
    return site.context.images.latest(site.settings.storage.results_bucket, found[-1].annotated)


WHICH: Final[dict[str, Callable[[Site, Inspection, str], bytes]]] = {"upload": _upload, "annotated": _annotated}
ROUTES = [Route("/pictures/{inspection_id}/{which}", picture)]

"""`/pictures/{inspection_id}/…`: the upload, the annotated picture of a revision, the golden picture, a finding's heatmap.

What is sent was a picture when its first bytes were looked at, or is made anew of what the image guard let through; whatever else
it may be, the browser is told to take it for nothing else and to run nothing of it.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from threading import BoundedSemaphore
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from linegate import imaging
from linegate.errors import ImageRejectedError, ObjectMissingError
from linegate.handlers.shot import fetch, golden_name
from linegate.inspection import Inspection, ObjectRef, Revision
from linegate.ports import ImageStore
from linegate.station import ranges
from linegate.station.site import Site, site_of
from linegate.station.tokens import sees
from linegate.station.who import Role, person_of

# What a browser shows, by what stands where
TYPES: Final = (
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (8, b"WEBP", "image/webp"),
)
START: Final = 16
# Of a picture that is being sent, so much is in memory.
PART_BYTES: Final = 1 << 20
# A picture that nothing changes any more, and one that may still be drawn anew
FOR_GOOD: Final = "private, max-age=31536000, immutable"
ASK_AGAIN: Final = "private, no-cache"
# Who lost a race may have drawn first; whoever won writes over it at once.
SETTLED: Final = timedelta(minutes=1)
# Pictures that are made anew at the same time: each takes several bytes a pixel.
CONVERTED_AT_ONCE: Final = 2
CONVERTED_QUALITY: Final = 92
# Over everything else that the shield says: it is no page.
SANDBOX: Final = {"Content-Security-Policy": "default-src 'none'; sandbox", "X-Content-Type-Options": "nosniff"}

_converting = BoundedSemaphore(CONVERTED_AT_ONCE)


@dataclass(frozen=True, slots=True)
class Stored:
    """A picture as it lies in a bucket; sent part by part."""

    images: ImageStore
    ref: ObjectRef

    @property
    def tag(self) -> str:
        return str(self.ref.generation)

    def size(self) -> int:
        return self.images.size(self.ref)

    def part(self, start: int, count: int) -> bytes:
        return self.images.part(self.ref, start, count)


@dataclass(frozen=True, slots=True)
class Held:
    """A picture that is in memory as a whole."""

    data: bytes

    @property
    def tag(self) -> str:
        return hashlib.sha256(self.data).hexdigest()[:32]

    def size(self) -> int:
        return len(self.data)

    def part(self, start: int, count: int) -> bytes:
        return self.data[start : start + count]


def inspection_of(request: Request) -> tuple[Site, Inspection]:
    """The inspection whose picture is asked for. Refuses who may not look with 403, and what they know nothing of with 404."""
    if not person_of(request).may(Role.LOOK):
        raise HTTPException(403, "This needs the role look.")
    site = site_of(request)
    inspection = site.context.inspections.get(request.path_params["inspection_id"])
    if inspection is None or not sees(request, inspection.place.line):
        raise HTTPException(404, "No such picture: nothing is known of this inspection, or it is not kept any more.")
    return site, inspection


def picture(request: Request) -> Response:
    site, inspection = inspection_of(request)
    try:
        return _WHICH[request.path_params["which"]](request, site, inspection)
    except KeyError as error:
        raise HTTPException(404) from error
    except ObjectMissingError as error:
        raise HTTPException(404, "This picture is not kept any more.") from error


def _upload(request: Request, site: Site, inspection: Inspection) -> Response:
    """As it came, where a browser can show it; made anew where it can't, or where nobody has opened it before."""
    found = Stored(site.context.images, inspection.image)
    kind = _type(found)
    if kind and inspection.manifest is not None:
        return _sent(request, found, kind, FOR_GOOD)
    etag = f'"{found.tag}-anew"'
    if ranges.held(request.headers, etag):
        return _unchanged(etag, FOR_GOOD)
    try:
        with _converting:
            upright = imaging.decode(fetch(site.context, inspection.image), site.settings.images.max_pixels)
            data = imaging.jpeg(upright, CONVERTED_QUALITY)
    except ImageRejectedError as error:
        raise HTTPException(415, f"This upload can't be shown: {error}.") from error
    return _whole(request, data, "image/jpeg", etag, FOR_GOOD)


def _annotated(request: Request, site: Site, inspection: Inspection) -> Response:
    asked = request.query_params.get("revision", "")
    revision = _revision(site, inspection, asked)
    if revision is None:
        raise HTTPException(404, f"There is no revision {asked[:20]}." if asked else "There is no verdict yet.")
    if not revision.annotated:
        raise HTTPException(404, f"There is no annotated picture: {revision.annotated_why}.")
    images = site.context.images
    found = Stored(images, images.newest(site.settings.storage.results_bucket, revision.annotated))
    settled = asked and site.context.clock.now() - revision.decided_at > SETTLED
    return _sent(request, found, "image/jpeg", FOR_GOOD if settled else ASK_AGAIN)


def _revision(site: Site, inspection: Inspection, asked: str) -> Revision | None:
    latest = inspection.revision
    if latest is None or asked in ("", str(latest.number)):
        return latest
    revisions = site.context.queries.revisions(inspection.inspection_id)
    return next((each for each in revisions if str(each.number) == asked), None)


def _golden(request: Request, site: Site, inspection: Inspection) -> Response:
    """As it is now: it may have been replaced since."""
    name = golden_of(site, inspection)
    if not name:
        raise HTTPException(404, "There is no golden picture for this product.")
    found = Held(site.golden(name))
    kind = _type(found)
    if kind:
        return _sent(request, found, kind, ASK_AGAIN)
    etag = f'"{found.tag}-anew"'
    if ranges.held(request.headers, etag):
        return _unchanged(etag, ASK_AGAIN)
    try:
        with _converting:
            data = imaging.jpeg(imaging.decode(found.data, site.settings.images.max_pixels), CONVERTED_QUALITY)
    except ImageRejectedError as error:
        raise HTTPException(415, f"The golden picture can't be shown: {error}.") from error
    return _whole(request, data, "image/jpeg", etag, ASK_AGAIN)


def golden_of(site: Site, inspection: Inspection) -> str:
    """The name of the golden picture of a product, by its recipe as it is now; empty where there is none."""
    recipe = site.settings.recipes.get(inspection.recipe)
    if recipe is None:
        return ""
    place = inspection.place
    return golden_name(recipe, type(place)(site.settings.product_line(place.line), place.station, place.serial))


def heatmap(request: Request) -> Response:
    (site, inspection), index = inspection_of(request), int(request.path_params["index"])
    detections = inspection.manifest.detections if inspection.manifest else ()
    name = detections[index].heatmap if index < len(detections) else ""
    if not name:
        raise HTTPException(404, f"Finding {index} has no heatmap.")
    images = site.context.images
    try:
        found = Stored(images, images.newest(site.settings.storage.results_bucket, name))
        return _sent(request, found, _type(found) or "image/png", FOR_GOOD)
    except ObjectMissingError as error:
        raise HTTPException(404, "This picture is not kept any more.") from error


def _type(found: Stored | Held) -> str:
    """What a browser is to take it for; empty where it can't show it."""
    begins = found.part(0, START)
    return next((kind for at, mark, kind in TYPES if begins.startswith(mark, at)), "")


def _sent(request: Request, found: Stored | Held, kind: str, caching: str) -> Response:
    """The picture or the part that is asked for, never all of it in memory at once."""
    etag = f'"{found.tag}"'
    if ranges.held(request.headers, etag):
        return _unchanged(etag, caching)
    size = found.size()
    asked = ranges.part(request.headers, size, etag)
    headers = {"ETag": etag, "Cache-Control": caching, "Accept-Ranges": "bytes", **SANDBOX}
    if asked is None:
        return Response(status_code=416, headers={**headers, "Content-Range": f"bytes */{size}"})
    headers["Content-Length"] = str(asked.count)
    if not asked.whole:
        headers["Content-Range"] = f"bytes {asked.start}-{asked.start + asked.count - 1}/{size}"
    status = 200 if asked.whole else 206
    if request.method == "HEAD":
        return Response(status_code=status, media_type=kind, headers=headers)
    return StreamingResponse(_parts(found, asked), status, media_type=kind, headers=headers)


def _parts(found: Stored | Held, asked: ranges.Part) -> Iterator[bytes]:
    for start in range(asked.start, asked.start + asked.count, PART_BYTES):
        yield found.part(start, min(PART_BYTES, asked.start + asked.count - start))


def _whole(request: Request, data: bytes, kind: str, etag: str, caching: str) -> Response:
    """A picture that was made anew: in one piece, for it is made anew for each part as well."""
    headers = {"ETag": etag, "Cache-Control": caching, "Accept-Ranges": "none", **SANDBOX}
    return Response(b"" if request.method == "HEAD" else data, media_type=kind, headers=headers)


def _unchanged(etag: str, caching: str) -> Response:
    return Response(status_code=304, headers={"ETag": etag, "Cache-Control": caching, **SANDBOX})


_WHICH: Final = {"upload": _upload, "annotated": _annotated, "golden": _golden}
ROUTES = [
    Route("/pictures/{inspection_id}/heatmap/{index:int}", heatmap),
    Route("/pictures/{inspection_id}/{which}", picture),
]

"""Parts of a product's picture, each beside the same part of the golden picture as it lay over the product.

    /pictures/{inspection_id}/findings/{index}/crop|golden     a finding with what lies around it
    /pictures/{inspection_id}/whole/crop|golden                the whole product, reduced for a screen

What was inspected never changes, so browsers keep all of it; links to golden pictures carry their digest.
"""

import hashlib
from collections.abc import Callable
from typing import Final

from PIL import Image
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from linegate import imaging
from linegate.errors import ImageRejectedError, ObjectMissingError, TransientError
from linegate.inspection import Detection, Inspection, Laid, Manifest
from linegate.station.laying import laid_over
from linegate.station.opened import Opened
from linegate.station.pages.pictures import inspection_of
from linegate.station.site import Site

# Around a finding, in parts of its longer side and in pixels: a person wants to see more around it than a verifier.
PADDING: Final = 0.75
MARGIN: Final = 40
LONGEST_CUT, LONGEST_WHOLE = 1400, 2400
QUALITY: Final = 90
KEPT: Final = {"Cache-Control": "private, max-age=86400, immutable"}
Rectangle = tuple[int, int, int, int]


def rectangle_of(detection: Detection, manifest: Manifest) -> Rectangle:
    """The pixels (left, top, right, bottom) that the cut of a finding shows."""
    return imaging.padded(detection.box, manifest.width, manifest.height, PADDING, MARGIN)


def golden_file(site: Site, laid: Laid | None) -> tuple[bytes, str]:
    """The file of the golden picture that lay over a product, or why it can't be shown, as a sentence."""
    if laid is None:
        return b"", "No golden picture lay over this product."
    try:
        file = site.golden(laid.golden)
    except TransientError as error:
        return b"", f"{str(error)[:1].upper()}{str(error)[1:]}."
    if hashlib.sha256(file).hexdigest() != laid.digest:
        return b"", "The golden picture was replaced after this product was inspected: another one is not shown."
    return file, ""


def cut_of_finding(request: Request) -> Response:
    site, inspection, manifest = _inspected(request)
    index = request.path_params["index"]
    if index >= len(manifest.detections):
        raise HTTPException(404)
    return _cut(request, site, inspection, rectangle_of(manifest.detections[index], manifest), LONGEST_CUT)


def whole(request: Request) -> Response:
    site, inspection, manifest = _inspected(request)
    return _cut(request, site, inspection, (0, 0, manifest.width, manifest.height), LONGEST_WHOLE)


def _inspected(request: Request) -> tuple[Site, Inspection, Manifest]:
    site, inspection = inspection_of(request)
    if inspection.manifest is None:  # nobody has opened it yet, or nobody could
        raise HTTPException(404, "This picture was not inspected.")
    return site, inspection, inspection.manifest


def _cut(request: Request, site: Site, inspection: Inspection, rectangle: Rectangle, longest: int) -> Response:
    show = SHOWN.get(request.path_params["which"])
    if show is None:
        raise HTTPException(404)
    opened = request.app.state.opened
    assert isinstance(opened, Opened)
    left, top, right, bottom = rectangle
    scale = min(1.0, longest / max(right - left, bottom - top))
    size = max(1, round(scale * (right - left))), max(1, round(scale * (bottom - top)))
    picture = show(site, opened, inspection, rectangle, size)
    return Response(imaging.jpeg(picture, QUALITY), media_type="image/jpeg", headers=KEPT)


def _product(
    site: Site, opened: Opened, inspection: Inspection, rectangle: Rectangle, size: tuple[int, int]
) -> Image.Image:
    def open_() -> Image.Image:
        return imaging.decode(site.context.images.read(inspection.image), site.settings.images.max_pixels)

    try:
        picture = opened.get(inspection.image, open_)
    except (ObjectMissingError, ImageRejectedError) as error:
        raise HTTPException(404, "This picture is not kept any more.") from error
    return picture.resize(size, Image.Resampling.LANCZOS, rectangle)


def _golden(
    site: Site, opened: Opened, inspection: Inspection, rectangle: Rectangle, size: tuple[int, int]
) -> Image.Image:
    laid = inspection.manifest.laid if inspection.manifest else None

    def open_() -> Image.Image:
        file, fault = golden_file(site, laid)
        if fault:
            raise HTTPException(404, fault)
        return imaging.decode(file)

    picture = opened.get(laid and laid.digest, open_)
    assert laid is not None
    return laid_over(picture, laid, rectangle, size)


SHOWN: Final[dict[str, Callable[[Site, Opened, Inspection, Rectangle, tuple[int, int]], Image.Image]]] = {
    "crop": _product,
    "golden": _golden,
}
ROUTES = [
    Route("/pictures/{inspection_id}/findings/{index:int}/{which}", cut_of_finding),
    Route("/pictures/{inspection_id}/whole/{which}", whole),
]

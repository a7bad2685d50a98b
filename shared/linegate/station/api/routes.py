"""All operations of the API, and the file that describes them."""

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from linegate.station.api import exports, gate, inspections, openapi, reviews, uploads
from linegate.station.api.operation import ROOT, Operation

OPERATIONS: Final[tuple[Operation, ...]] = (
    *inspections.OPERATIONS,
    *exports.OPERATIONS,
    *reviews.OPERATIONS,
    *uploads.OPERATIONS,
    *gate.OPERATIONS,
)


@cache
def document() -> Mapping[str, Any]:
    """The OpenAPI file."""
    return openapi.document(OPERATIONS)


def described(_: Request) -> Response:
    return JSONResponse(document(), headers={"Cache-Control": "no-cache"})


ROUTES: Final[list[BaseRoute]] = [
    *(operation.route for operation in OPERATIONS),
    Route(f"{ROOT}/openapi.json", described),
]

"""What a page is sent: a small form, read whole before the page's own function sees it."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final
from urllib.parse import parse_qsl

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

MOST_BYTES: Final = 64_000
MOST_FIELDS: Final = 200


async def body(request: Request, most: int = MOST_BYTES) -> bytes:
    """What was sent, refused with 413 as soon as it is more than `most` bytes."""
    found = bytearray()
    async for part in request.stream():
        found += part
        if len(found) > most:
            raise HTTPException(413, f"This is more than {most:,} bytes.")
    return bytes(found)


def with_form(page: Callable[[Request, Mapping[str, str]], Response]) -> Callable[[Request], Awaitable[Response]]:
    """An endpoint that gives a page the fields it was sent, the last of each name."""

    async def endpoint(request: Request) -> Response:
        try:
            fields = dict(parse_qsl((await body(request)).decode(), keep_blank_values=True, max_num_fields=MOST_FIELDS))
        except ValueError as error:
            raise HTTPException(400, "This form can't be read.") from error
        return await run_in_threadpool(page, request, fields)

    return endpoint

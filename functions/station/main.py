"""The pages for people at the line. Not a stage: nothing is delivered to it, people ask."""

from typing import Any

from functions_framework import aio
from starlette.requests import Request

from linegate.station.app import instance


@aio.http
async def station(_: Request) -> Any:
    """The application itself, which answers in the place of a response: streams are streams then."""
    return instance()

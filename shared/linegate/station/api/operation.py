"""One operation of the API: how it is reached, what it may be asked, who may, and what it answers. Routes and the OpenAPI file
are made of it.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from linegate.errors import TransientError
from linegate.station.api import asked
from linegate.station.api.told import Told, plain
from linegate.station.problems import ProblemError
from linegate.station.tokens import machine_of
from linegate.station.who import Role, person_of
from linegate.station_section import May

MOST_BODY_BYTES: Final = 1_000_000
ROOT: Final = "/api/v1"
NEEDED: Final = {May.LOOK: Role.LOOK, May.REVIEW: Role.REVIEW}


@dataclass(frozen=True, slots=True)
class Path:
    """A part of an address that stands for something."""

    name: str
    about: str
    pattern: str = ""
    most: int = 200


INSPECTION: Final = Path("inspection_id", "Of the inspection.", asked.ID, 32)


@dataclass(frozen=True, slots=True)
class File:
    """What is answered with 200 and is no model: its media type, its schema, what it holds, and what its headers say."""

    media_type: str
    schema: Mapping[str, Any]
    about: str
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Operation:
    """`handler` gets the request, its parameters and its body as models; `stream` gets the request and reads the body itself."""

    name: str
    method: str
    path: str
    about: str
    may: May | None  # None: anybody
    answers: Mapping[int, tuple[type[Told] | None, str]]
    handler: Callable[[Request, Any, Any], Response] | None = None
    stream: Callable[[Request], Awaitable[Response]] | None = None
    parts: tuple[Path, ...] = ()
    query: type[BaseModel] = asked.Nothing
    body: type[BaseModel] | None = None
    problems: Mapping[int, str] = field(default_factory=dict)
    file: File | None = None
    headers: tuple[tuple[str, str, str], ...] = ()  # that it may be sent: name, what of it, pattern

    @property
    def route(self) -> Route:
        return Route(self.path, self._answer, methods=[self.method], name=f"api.{self.name}")

    async def _answer(self, request: Request) -> Response:
        try:
            allowed(request, self.may)
            parameters = asked.parameters(request, self.query)
            if self.stream is not None:
                return await self.stream(request)
            said = asked.body(await _body(request), self.body) if self.body else None
            assert self.handler is not None
            return await run_in_threadpool(self.handler, request, parameters, said)
        except ProblemError as problem:
            return problem.response()
        except TransientError as error:
            return ProblemError.of(
                503, "unavailable", f"The gate's store can't answer: {error}.", "Ask again.", {"Retry-After": "2"}
            ).response()


def allowed(request: Request, may: May | None) -> None:
    """Raises ProblemError where whoever asks may not."""
    if may is None:
        return
    machine, person = machine_of(request), person_of(request)
    known = machine is not None or bool(person.name)
    if may is May.UPLOAD:
        if machine is not None and May.UPLOAD in machine.may:
            return
    elif person.may(NEEDED[may]):
        return
    if known:
        raise ProblemError.of(
            403, "not-allowed", f"This needs a token that may {may}.", f"Let it {may} in station.tokens."
        )
    raise ProblemError.of(
        401, "no-token", f"This needs a token that may {may}.", "Send `Authorization: Bearer TOKEN` of station.tokens."
    )


def only(request: Request, line: str | None) -> str | None:
    """The line to ask about, for a machine that may not know of all. Raises ProblemError."""
    machine = machine_of(request)
    if machine is None or machine.lines is None:
        return line
    if line is None and len(machine.lines) == 1:
        return next(iter(machine.lines))
    if line is None or line not in machine.lines:
        lines = ", ".join(sorted(machine.lines))
        raise ProblemError.of(403, "not-this-line", "This token is for some lines only.", f"Name one: line={lines}.")
    return line


def given(told: Told, status: int = 200, headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse(plain(told), status, {"Cache-Control": "no-store", **(headers or {})})


async def _body(request: Request) -> bytes:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise ProblemError.of(415, "no-json", "The body is no JSON.", "Send JSON as Content-Type: application/json.")
    held = bytearray()
    async for chunk in request.stream():
        held += chunk
        if len(held) > MOST_BODY_BYTES:
            raise ProblemError.of(413, "too-large", f"The body holds more than {MOST_BODY_BYTES:,} bytes.", "Say less.")
    return bytes(held)

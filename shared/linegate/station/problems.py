"""What went wrong, as machines read it: RFC 9457, each with what is wrong and what mends it."""

from dataclasses import dataclass, field
from typing import Any, Self

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from linegate.texts import printable

MEDIA_TYPE = "application/problem+json"
LONGEST = 1000


@dataclass(frozen=True, slots=True)
class _Said:
    status: int
    kind: str
    detail: str
    mend: str
    more: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)


class ProblemError(Exception):
    """Ends a request of the API."""

    def __init__(self, said: _Said) -> None:
        super().__init__(said.detail)
        self.said = said

    @classmethod
    def of(
        cls, status: int, kind: str, detail: str, mend: str, headers: dict[str, str] | None = None, **more: Any
    ) -> Self:
        """`kind` is what a program may tell it by; `detail` says what is wrong, `mend` what to do; `more` are further members."""
        given = dict(headers or {})
        if status == 401:
            given.setdefault("WWW-Authenticate", 'Bearer realm="linegate"')
        return cls(_Said(status, kind, printable(detail, LONGEST), printable(mend, LONGEST), more, given))

    def response(self) -> JSONResponse:
        said = self.said
        body = {
            "type": f"urn:linegate:problem:{said.kind}",
            "title": said.kind.replace("-", " ").capitalize(),
            "status": said.status,
            "detail": said.detail,
            "mend": said.mend,
            **said.more,
        }
        return JSONResponse(body, said.status, {"Cache-Control": "no-store", **said.headers}, MEDIA_TYPE)


def refusal(error: HTTPException) -> JSONResponse:
    """What the server itself refuses, as the API tells it: an address or a method that is not there."""
    kinds = {404: ("nothing-here", "There is nothing here."), 405: ("no-such-method", "This can't be done here.")}
    kind, detail = kinds.get(error.status_code, ("refused", str(error.detail)))
    headers = dict(error.headers or {})
    return ProblemError.of(error.status_code, kind, detail, "See /api/v1/openapi.json.", headers).response()

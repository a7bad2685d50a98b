"""Machines that ask: the tokens of `station.tokens`, sent as `Authorization: Bearer …` (RFC 6750)."""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from linegate.station.problems import ProblemError
from linegate.station.shield import HEALTH
from linegate.station.who import Person, Role
from linegate.station_section import May, Token

# Where tokens count: pages do not know of lines that a machine may not see.
OPEN: Final = ("/api/", "/pictures/", HEALTH)
# Which role each word brings; who may upload may not look for that.
ROLES: Final[Mapping[May, Role]] = {May.LOOK: Role.LOOK, May.REVIEW: Role.REVIEW, May.UPLOAD: Role.NOBODY}


@dataclass(frozen=True, slots=True)
class Machine:
    """Who sent a token: its name, what it may, and for which lines; None is any."""

    name: str
    may: frozenset[May]
    lines: frozenset[str] | None

    @property
    def role(self) -> Role:
        return max((ROLES[each] for each in self.may), default=Role.NOBODY)

    def serves(self, line: str) -> bool:
        return self.lines is None or line in self.lines


@dataclass(frozen=True, slots=True)
class Known:
    """The tokens of the configuration, each by its digest."""

    tokens: Mapping[str, Token]
    _digests: dict[str, bytes] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        for name, token in self.tokens.items():
            self._digests[name] = _digest(token.token.get_secret_value())

    def machine(self, sent: str) -> Machine | None:
        """Whose token it is. Compared with all of them, in a time that tells nothing of any."""
        digest, found = _digest(sent), None
        for name, known in self._digests.items():
            if hmac.compare_digest(digest, known):
                found = name
        if found is None:
            return None
        token = self.tokens[found]
        return Machine(found, frozenset(token.may), None if token.lines is None else frozenset(token.lines))


class Bearer:
    """ASGI: who sends a token is that machine; with one that nobody gave, nothing is answered."""

    def __init__(self, app: ASGIApp, tokens: Mapping[str, Token]) -> None:
        self._app = app
        self._known = Known(tokens)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        sent = Headers(scope=scope).get("authorization", "") if scope["type"] == "http" else ""
        scheme, _, value = sent.partition(" ")
        if scheme.lower() != "bearer":
            await self._app(scope, receive, send)
            return
        machine = self._known.machine(value.strip())
        if machine is None:
            problem = ProblemError.of(401, "unknown-token", "This token is not known.", "Send one of station.tokens.")
            await problem.response()(scope, receive, send)
            return
        if not scope["path"].startswith(OPEN):
            problem = ProblemError.of(403, "a-page", "Pages are for people.", "Ask /api/v1, or without a token.")
            await problem.response()(scope, receive, send)
            return
        client = scope.get("client")
        state = scope.setdefault("state", {})
        state["machine"] = machine
        state["person"] = Person(machine.name, machine.role, client[0] if client else "")
        await self._app(scope, receive, send)


def machine_of(request: Request) -> Machine | None:
    """The machine that sent a request; None where a person did."""
    found = getattr(request.state, "machine", None)
    return found if isinstance(found, Machine) else None


def sees(request: Request, line: str) -> bool:
    """Whether whoever asks may know of this line: machines of theirs only."""
    machine = machine_of(request)
    return machine is None or machine.serves(line)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()

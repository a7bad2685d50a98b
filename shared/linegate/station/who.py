"""Who asks, and what they may do."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from functools import wraps

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response


class Role(IntEnum):
    """Each may do what those before it may."""

    NOBODY = 0
    LOOK = 1
    REVIEW = 2
    CONFIGURE = 3


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who asks. `name` is the author of what they decide, empty where nobody knows it; `origin` is their address."""

    name: str
    role: Role
    origin: str

    def may(self, role: Role) -> bool:
        return self.role >= role


def person_of(request: Request) -> Person:
    """Whoever sent a request, as a door found out; nobody where none stands before the page."""
    known = getattr(request.state, "person", None)
    return known if isinstance(known, Person) else Person("", Role.NOBODY, "")


def needs(role: Role) -> Callable[[Callable[[Request], Response]], Callable[[Request], Response]]:
    """Of a page that only people with this role may ask for; all others are refused with 403."""

    def guard(page: Callable[[Request], Response]) -> Callable[[Request], Response]:
        @wraps(page)
        def guarded(request: Request) -> Response:
            if not person_of(request).may(role):
                raise HTTPException(403, f"This needs the role {role.name.lower()}.")
            return page(request)

        return guarded

    return guard

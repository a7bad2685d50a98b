"""Doors: each knows some of those who ask. What none of them knows is nobody, and is shown the way in."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final, Protocol
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from linegate.logs import log
from linegate.ports import Clock
from linegate.station.problems import ProblemError
from linegate.station.sessions import COOKIE, Sessions, hash_of
from linegate.station.throttle import Throttle
from linegate.station.tokens import machine_of
from linegate.station.who import Person, Role
from linegate.station_section import Member, Station

# Where nobody has to be known
OPEN: Final = ("/enter", "/static/", "/healthz")


@dataclass(frozen=True, slots=True)
class Known:
    """Whom a door knows, and the cookie that they are to keep from now on, if there is a new one."""

    person: Person
    cookie: str = ""


class Door(Protocol):
    def known(self, request: Request) -> Known | None:
        """Whoever sent a request; None if this door does not know them. Raises TransientError."""
        ...


class Everybody:
    """The last door: lets everybody in, without a name."""

    def __init__(self, role: Role) -> None:
        self._role = role

    def known(self, request: Request) -> Known:
        return Known(Person("", self._role, origin(request)))


class Members:
    """People of the configuration, by a session that they began with their PIN or password."""

    def __init__(self, station: Station, sessions: Sessions, clock: Clock) -> None:
        self._station = station
        self._sessions = sessions
        self._clock = clock
        self._throttle = Throttle()
        self._one_at_a_time = threading.Lock()  # a try takes 64 MiB and a core: that is the point of it

    @property
    def names(self) -> list[str]:
        """Of those who can enter here."""
        return [name for name, member in self._station.people.items() if hash_of(member)]

    def member(self, name: str) -> Member | None:
        return self._station.people.get(name)

    def known(self, request: Request) -> Known | None:
        now = self._clock.now()
        found = self._sessions.read(request.cookies.get(COOKIE, ""), now)
        if found is None:
            return None
        name, old = found
        person = Person(name, Role[self._station.people[name].role.upper()], origin(request))
        return Known(person, self._cookie(self._sessions.begin(name, now)) if old else "")

    def enter(self, name: str, secret: str, whence: str) -> tuple[str, str]:
        """(cookie, "") for the right PIN or password of a person; ("", why) for anything else."""
        from argon2 import PasswordHasher
        from argon2.exceptions import Argon2Error, InvalidHashError

        now, keys = self._clock.now(), (f"name {name[:200]}", f"from {whence}")
        with self._one_at_a_time:
            if wait := max(self._throttle.wait(key, now) for key in keys):
                return "", f"Too many wrong tries. Try again in {wait // timedelta(seconds=1) + 1} s."
            member = self._station.people.get(name)
            try:
                if member is not None and hash_of(member):
                    PasswordHasher().verify(hash_of(member), secret[:1000])
                    for key in keys:
                        self._throttle.right(key)
                    return self._cookie(self._sessions.begin(name, now)), ""
            except (Argon2Error, InvalidHashError):
                pass
            for key in keys:
                self._throttle.wrong(key, now)
            return "", "That was not right."

    def leave(self) -> str:
        """The cookie that ends a session."""
        return self._cookie("", 0)

    def _cookie(self, text: str, seconds: float | None = None) -> str:
        lasts = 3600 * self._station.session_h if seconds is None else seconds
        secure = "; Secure" * (self._station.address or "").startswith("https:")
        return f"{COOKIE}={text}; Path=/; Max-Age={lasts:.0f}; HttpOnly; SameSite=Lax{secure}"


class Identities(Protocol):
    """Whom a proxy before the station has let in."""

    def name(self, assertion: str) -> tuple[str, str]:
        """(their e-mail address, "") by the proxy's signed word; ("", why) where it is not to be trusted.

        Raises TransientError if the proxy's keys can't be had.
        """
        ...


class Proxied:
    """People whom Google's Identity-Aware Proxy has let in: it says who, the configuration says what they may."""

    HEADER: Final = "x-goog-iap-jwt-assertion"

    def __init__(self, station: Station, identities: Identities) -> None:
        self._anybody = station.anybody
        self._people = {email.lower(): member for email, member in station.people.items()}
        self._identities = identities

    def known(self, request: Request) -> Known | None:
        assertion = request.headers.get(self.HEADER, "")
        if not assertion:
            return None
        email, why = self._identities.name(assertion)
        if why:
            log.warning("station.refused", reason=why)
            return None
        member = self._people.get(email)
        role = (member.role if member else self._anybody).upper()
        return Known(Person(email, Role[role], origin(request)))


def origin(request: Request) -> str:
    """The address that a request came from."""
    return request.client.host if request.client else ""


class Entrance:
    """ASGI: finds out who asks, door by door, and keeps out whom none of them knows."""

    def __init__(self, app: ASGIApp, doors: Sequence[Door]) -> None:
        self._app = app
        self._doors = doors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope)
        if machine_of(request) is not None:  # its token has said who it is
            await self._app(scope, receive, send)
            return
        known = await run_in_threadpool(self._known, request)
        request.state.person = known.person

        async def renewing(message: Message) -> None:
            if known.cookie and message["type"] == "http.response.start":
                MutableHeaders(scope=message).append("Set-Cookie", known.cookie)
            await send(message)

        shut = known.person.role is Role.NOBODY and not request.url.path.startswith(OPEN)
        await (self._the_way_in(request) if shut else self._app)(scope, receive, renewing)

    def _known(self, request: Request) -> Known:
        for door in self._doors:
            if (found := door.known(request)) is not None:
                return found
        return Known(Person("", Role.NOBODY, origin(request)))

    def _the_way_in(self, request: Request) -> Response:
        if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
            asked = request.url.path + (f"?{request.url.query}" if request.url.query else "")
            return RedirectResponse(f"/enter?next={quote(asked)}", 303)
        return ProblemError.of(
            401, "no-token", "Nobody knows who you are.", "Enter at /enter, or send a token of station.tokens."
        ).response()

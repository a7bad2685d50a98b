"""What keeps a browser from being turned against the station: who may be spoken to, from where, and what a page may load."""

from collections.abc import Collection
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# A page loads nothing from elsewhere and runs nothing that stands in it: https://www.w3.org/TR/CSP3/
POLICY: Final = (
    "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; connect-src 'self'; media-src 'self'; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HEADERS: Final = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
# What a browser says of a request by this site's own page, or by the person at the keyboard
FROM_HERE: Final = frozenset({"same-origin", "none"})
SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
HEALTH: Final = "/healthz"


class Shield:
    """ASGI: refuses hosts that nobody configured (DNS rebinding) and writes that come from another site's page."""

    def __init__(self, app: ASGIApp, hosts: Collection[str]) -> None:
        self._app = app
        self._hosts = frozenset(host.lower() for host in hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)

        async def shielded(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    given.setdefault(name, value)
            await send(message)

        # Load balancers ask by address, and hear nothing that anybody may not know.
        open_to_all = scope["path"] == HEALTH and scope["method"] in SAFE
        refusal = None if open_to_all else self._refusal(scope["method"], headers)
        await (refusal or self._app)(scope, receive, shielded)

    def _refusal(self, method: str, headers: Headers) -> PlainTextResponse | None:
        host = headers.get("host", "")
        if _name(host) not in self._hosts:
            return PlainTextResponse(
                f"The station is not known as {_name(host)[:200]!r}. Name it in station.address or station.hosts.\n",
                421,
            )
        if method in SAFE:
            return None
        # Browsers say where a request comes from: https://www.w3.org/TR/fetch-metadata/. One that says nothing may come from
        # anywhere, and what is no browser holds no cookie.
        origin, site = headers.get("origin"), headers.get("sec-fetch-site")
        same = (site is None or site in FROM_HERE) and (origin is None or _netloc(origin) == host.lower())
        said = origin is not None or site is not None or "cookie" not in headers
        return None if same and said else PlainTextResponse("A page of another site may change nothing here.\n", 403)


def _name(host: str) -> str:
    """Without the port, in lower case."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def _netloc(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""

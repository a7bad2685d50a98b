"""One HTTP exchange, bounded in every direction: connecting, silence, total time and size.

The clients below the vendors' SDKs bound a read at most, so a service that sends a byte now and then holds its caller for
ever. Here a timer cuts the connection when the total is up, wherever the exchange has got to.
"""

import random
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from time import monotonic, sleep
from typing import Any, Final, TypeVar

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    NameResolutionError,
    NewConnectionError,
    ReadTimeoutError,
    SSLError,
)

from linegate.errors import TransientError

T = TypeVar("T")
CONNECTIONS: Final = 64  # kept alive per host
MAX_ANSWER: Final = 64 * 1024 * 1024
# Statuses of answers that another attempt may better: the service is slow, busy, broken or away.
RETRYABLE: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
SHORTEST_ATTEMPT_S: Final = 1.0  # less than that is no chance, and its failure would say nothing
# Whatever a service asks for: an answer of a moment must not silence it for longer.
LONGEST_WAIT_S: Final = 3600.0
_CHUNK: Final = 65_536


class ServiceError(TransientError):
    """A service gave no usable answer. `status` is 0 without one; `retry_after_s` is what it asked for, if it did."""

    def __init__(self, text: str, *, status: int = 0, retry_after_s: float | None = None, again: bool = True) -> None:
        super().__init__(text, retry_after_s=retry_after_s)
        self.status = status
        self.again = again  # whether the same request may succeed within seconds


@dataclass(frozen=True, slots=True)
class Answer:
    """`headers` have lower-case names."""

    status: int
    headers: Mapping[str, str]
    body: bytes


# IP address and scheme of a new connection ▶ why nothing may be sent there; empty if it may
Refusal = Callable[[str, bool], str]


class _Watched:
    """What the connections of both schemes do beside connecting: know their exchange, and ask whether they may go on."""

    def request(self, *args: Any, **kwargs: Any) -> None:
        super().request(*args, **kwargs)  # type: ignore[misc]
        _current.get().sock = self.sock  # type: ignore[attr-defined]

    def _new_conn(self) -> socket.socket:
        reached: socket.socket = super()._new_conn()  # type: ignore[misc]
        # Looked at where the name has led, not before: a name may lead elsewhere the next time it is resolved.
        why = _current.get().refusal(reached.getpeername()[0], isinstance(self, HTTPSConnection))
        if why:
            reached.close()
            raise ServiceError(f"nothing was sent: {why}", again=False)
        return reached


class _Plain(_Watched, HTTPConnection):
    pass


class _Encrypted(_Watched, HTTPSConnection):
    pass


class _PlainPool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Plain


class _EncryptedPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _Encrypted


@dataclass(slots=True)
class _Exchange:
    refusal: Refusal
    sock: socket.socket | None = None
    cut: bool = False

    def stop(self) -> None:
        self.cut = True
        if self.sock is not None:
            with suppress(OSError):
                # The descriptor alone: a TLS wrapper must not be touched by two threads.
                socket.socket.shutdown(self.sock, socket.SHUT_RDWR)


_current: ContextVar[_Exchange] = ContextVar("linegate_exchange")


class Http:
    """Connections that are kept and shared by threads. Redirects are not followed, nothing is repeated.

    `refusal` is asked about each new connection's IP address, and whether it is encrypted; `proxy_for` names the proxy for an
    address, if any.
    """

    def __init__(
        self,
        *,
        connect_s: float = 5.0,
        read_s: float = 30.0,
        refusal: Refusal = lambda _, __: "",
        proxy_for: Callable[[str], str | None] = lambda _: None,
    ) -> None:
        self._connect_s = connect_s
        self._read_s = read_s
        self._refusal = refusal
        self._proxy_for = proxy_for
        self._pools: dict[str | None, urllib3.PoolManager] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        """Hang up. Whoever asks again is connected anew."""
        with self._lock:
            for pool in self._pools.values():
                pool.clear()

    def exchange(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes = b"",
        total_s: float,
        max_answer: int = MAX_ANSWER,
        whole: bool = True,
    ) -> Answer:
        """One request and its answer, whatever its status. Raises ServiceError where there is none.

        `total_s` bounds everything but resolving the name. An answer that breaks off or is longer than `max_answer` bytes
        is none; with `whole` false the status makes the answer, with as much of its body as came.
        """
        exchange = _Exchange(self._refusal)
        until = monotonic() + total_s
        timer = threading.Timer(total_s, exchange.stop)
        timer.daemon = True
        timer.start()
        token = _current.set(exchange)
        try:
            response = self._pool(url).request(
                method,
                url,
                headers=dict(headers),
                body=body,
                redirect=False,
                retries=False,
                preload_content=False,
                timeout=urllib3.Timeout(connect=min(self._connect_s, total_s), read=min(self._read_s, total_s)),
            )
            with _given_back(response):
                if exchange.cut:  # a head that is cut off looks like one that ends
                    raise _late(total_s)
                content = _body(response, max_answer, whole=whole)
            if whole and exchange.cut:  # so does a body of no stated length
                raise _late(total_s)
            return Answer(response.status, {k.lower(): v for k, v in response.headers.items()}, content)
        except (HTTPError, OSError, ValueError) as error:  # ValueError: a chunk's size that is no number, say
            if exchange.cut or monotonic() >= until:
                raise _late(total_s) from error
            raise ServiceError(_why(error)) from error
        finally:
            _current.reset(token)
            timer.cancel()

    def _pool(self, url: str) -> urllib3.PoolManager:
        proxy = self._proxy_for(url)
        with self._lock:
            if proxy not in self._pools:
                pool = (
                    urllib3.ProxyManager(proxy, maxsize=CONNECTIONS)
                    if proxy
                    else urllib3.PoolManager(maxsize=CONNECTIONS)
                )
                pool.pool_classes_by_scheme = {"http": _PlainPool, "https": _EncryptedPool}
                self._pools[proxy] = pool
            return self._pools[proxy]


@contextmanager
def _given_back(response: urllib3.BaseHTTPResponse) -> Iterator[None]:
    """The connection goes back to its pool, or is closed where the answer was not read to its end."""
    try:
        yield
    except BaseException:
        response.close()
        raise
    response.release_conn()


def _body(response: urllib3.BaseHTTPResponse, limit: int, *, whole: bool) -> bytes:
    content = bytearray()
    try:
        for chunk in response.stream(_CHUNK, decode_content=True):
            content += chunk
            if len(content) > limit:
                raise ServiceError(f"the answer is longer than {limit:,} bytes", status=response.status)
    except (HTTPError, ServiceError, OSError, ValueError):
        if whole:
            raise
        response.close()
    return bytes(content)


def _late(total_s: float) -> ServiceError:
    return ServiceError(f"no whole answer within {total_s:.3g} s")


# What went wrong on the wire, in words that tell a person where to look; the first kind that fits
_WHY: Final[tuple[tuple[type[Exception], str], ...]] = (
    (NameResolutionError, "its host name is not known here"),
    (NewConnectionError, "no connection: {cause}"),
    (ConnectTimeoutError, "no connection in time"),
    (ReadTimeoutError, "no answer in time"),
    (SSLError, "no encrypted connection: {error}"),
    (ValueError, "its answer can't be read: {error}"),
    (Exception, "the connection broke: {error}"),
)


def _why(error: Exception) -> str:
    words = next(words for kind, words in _WHY if isinstance(error, kind))
    inner = next((part for part in reversed(error.args) if isinstance(part, Exception)), error)  # of a ProtocolError
    cause = error.__cause__ or error.__context__
    return words.format(
        error=getattr(inner, "strerror", None) or inner, cause=getattr(cause, "strerror", None) or cause or error
    )


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """Seconds that a header Retry-After asks to wait, given in seconds or as a date, LONGEST_WAIT_S at most.

    None without a readable one.
    """
    value = headers.get("retry-after", "").strip()
    if value.isascii() and value.isdigit():
        return min(float(value[:20]), LONGEST_WAIT_S)
    try:
        until = parsedate_to_datetime(value)
    except (TypeError, ValueError, OverflowError):
        return None
    until = until if until.tzinfo else until.replace(tzinfo=UTC)
    return min(max(0.0, (until - (now or datetime.now(UTC))).total_seconds()), LONGEST_WAIT_S)


def persist(attempt: Callable[[float], T], budget_s: float, *, attempt_s: float, first_wait_s: float = 0.25) -> T:
    """Call `attempt(seconds it may take)` until it answers or `budget_s` is over: the one owner of retries of a call.

    Between attempts it waits as long as the service asked for, else up to twice as long each time, at random, so that
    callers that failed together do not come again together. Raises the last ServiceError when the next attempt would not
    fit, and at once one that says that trying `again` is no use.
    """
    until, wait = monotonic() + budget_s, first_wait_s
    while True:
        try:
            return attempt(min(attempt_s, until - monotonic()))
        except ServiceError as error:
            asked = error.retry_after_s
            pause = wait * random.uniform(0.5, 1.5) if asked is None else asked + random.uniform(0, first_wait_s)
            if not error.again or monotonic() + pause + min(attempt_s, SHORTEST_ATTEMPT_S) > until:
                raise
        sleep(pause)
        wait = min(2 * wait, 8.0)


@contextmanager
def named(service: str) -> Iterator[None]:
    """Say in every ServiceError of the block which service it was."""
    try:
        yield
    except ServiceError as error:
        raise ServiceError(
            f"{service}: {error}", status=error.status, retry_after_s=error.retry_after_s, again=error.again
        ) from error

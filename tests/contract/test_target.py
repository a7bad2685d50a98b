"""The port Target: only a clear yes counts as delivered; everything else is a TransientError, and soon."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

import pytest

from linegate.adapters.exchange import Http
from linegate.adapters.targets.endpoint import Endpoint
from linegate.adapters.targets.slack import SlackTarget
from linegate.adapters.targets.webhook import WebhookTarget
from linegate.errors import TargetGoneError, TransientError
from linegate.ports import Target

SECRET = "whsec_" + "A" * 43 + "="
TIMEOUT_S = 0.5
BODY = '{"type": "linegate.test", "data": {"message": "ü"}}'
NOW = datetime(2026, 3, 1, tzinfo=UTC)

Answer = Callable[[socket.socket], None]


@contextmanager
def receiver(answer: Answer) -> Iterator[str]:
    """A server that reads a request and then does as `answer` says."""
    server = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(5)
                connection.recv(65536)
                with suppress(OSError):  # the target may have hung up
                    answer(connection)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join(10)


def says(text: str) -> Answer:
    return lambda connection: connection.sendall(text.encode())


def hangs(connection: socket.socket) -> None:
    time.sleep(2 * TIMEOUT_S)


def trickles(connection: socket.socket) -> None:
    """Never silent for long, and never done."""
    connection.sendall(b"HTTP/1.1 200 OK\r\nx-slow: ")
    for _ in range(200):
        connection.sendall(b"x")
        time.sleep(0.05)


@pytest.fixture(params=["webhook", "slack"])
def target(request: pytest.FixtureRequest) -> Callable[[str], Target]:
    def make(url: str) -> Target:
        http = Http(connect_s=TIMEOUT_S, read_s=TIMEOUT_S)
        return (
            WebhookTarget(Endpoint(url, http, TIMEOUT_S), [SECRET])
            if request.param == "webhook"
            else SlackTarget(Endpoint(url, http, TIMEOUT_S))
        )

    return make


@pytest.mark.parametrize(
    "answer",
    [
        says("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"),
        says("HTTP/1.1 204 No Content\r\n\r\n"),
        says("HTTP/1.1 201 Created\r\ncontent-length: 900000\r\n\r\nonly the beginning of it"),
        says("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nnot a chunk"),
    ],
    ids=["200", "204", "cut off after the status", "broken chunks"],
)
def test_2xx_is_delivered_whatever_follows(target: Callable[[str], Target], answer: Answer) -> None:
    with receiver(answer) as url:
        target(url).send("id", BODY, NOW)


@pytest.mark.parametrize(
    "answer",
    [
        says("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"),
        says("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n"),
        says("HTTP/1.1 429 Too Many Requests\r\nretry-after: 5\r\ncontent-length: 0\r\n\r\n"),
        says("HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n"),
        says("this is not HTTP\r\n\r\n"),
        says(""),
        hangs,
        trickles,
    ],
    ids=["redirect", "400", "429", "500", "no HTTP", "hung up", "hangs", "trickles"],
)
def test_everything_else_is_tried_again_later(target: Callable[[str], Target], answer: Answer) -> None:
    started = time.monotonic()
    with receiver(answer) as url, pytest.raises(TransientError):
        target(url).send("id", BODY, NOW)
    assert time.monotonic() - started < 5


def test_an_address_that_does_not_exist_is_tried_again_later(target: Callable[[str], Target]) -> None:
    with pytest.raises(TransientError):
        target("http://does-not-exist.invalid/").send("id", BODY, NOW)


def test_a_target_that_is_gone_says_so_and_is_not_tried_again(target: Callable[[str], Target]) -> None:
    gone = says("HTTP/1.1 410 Gone\r\ncontent-length: 7\r\n\r\nmoved..")
    with receiver(gone) as url, pytest.raises(TargetGoneError, match="410"):
        target(url).send("id", BODY, NOW)


def test_a_target_that_asks_to_wait_is_left_alone_until_then(target: Callable[[str], Target]) -> None:
    asked: list[float] = []

    def throttle(connection: socket.socket) -> None:
        asked.append(time.monotonic())
        connection.sendall(b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 30\r\ncontent-length: 0\r\n\r\n")

    with receiver(throttle) as url:
        sender = target(url)
        for _ in range(3):
            with pytest.raises(TransientError) as caught:
                sender.send("id", BODY, NOW)
            assert 25 < (caught.value.retry_after_s or 0) <= 31
    assert len(asked) == 1

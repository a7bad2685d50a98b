"""The port Target: only a clear yes counts as delivered; everything else is a TransientError, and soon."""

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

import pytest

from linegate.adapters.webhook import WebhookTarget
from linegate.errors import TransientError
from linegate.ports import Target

SECRET = "whsec_" + "A" * 43 + "="
TIMEOUT_S = 0.5
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


@pytest.fixture(params=["webhook"])
def target(request: pytest.FixtureRequest) -> Callable[[str], Target]:
    return lambda url: WebhookTarget(url, [SECRET], TIMEOUT_S)


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
        target(url).send("id", "{}", NOW)


@pytest.mark.parametrize(
    "answer",
    [
        says("HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\n\r\n"),
        says("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n"),
        says("HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n"),
        says("HTTP/1.1 429 Too Many Requests\r\nretry-after: 5\r\ncontent-length: 0\r\n\r\n"),
        says("HTTP/1.1 500 Oops\r\ncontent-length: 0\r\n\r\n"),
        says("this is not HTTP\r\n\r\n"),
        says(""),
        hangs,
    ],
    ids=["redirect", "400", "410", "429", "500", "no HTTP", "hung up", "hangs"],
)
def test_everything_else_is_tried_again_later(target: Callable[[str], Target], answer: Answer) -> None:
    started = time.monotonic()
    with receiver(answer) as url, pytest.raises(TransientError):
        target(url).send("id", "{}", NOW)
    assert time.monotonic() - started < 5


def test_an_address_that_does_not_exist_is_tried_again_later(target: Callable[[str], Target]) -> None:
    with pytest.raises(TransientError):
        target("http://does-not-exist.invalid/").send("id", "{}", NOW)

"""The station as the platform starts it: the function in its own process, under its production server."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress

import pytest

from linegate.config import CONFIG_VARIABLE
from linegate.edge.functions import functions_folder
from linegate.stages import STATION
from tests.boards import clean_board
from tests.e2e.line import Line
from tests.emulators import free_port
from tests.waiting import until

PAGES = 30


@pytest.fixture
def function(make_line: Callable[..., Line]) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Its process, and the port where it listens."""
    line, port, command = make_line(clean_board()), free_port(), shutil.which("functions-framework")
    assert command
    source = functions_folder() / STATION / "main.py"
    environment = os.environ | {CONFIG_VARIABLE: str(line.config), "FUNCTION_USE_ASGI": "true"}
    arguments = ["--target", STATION, "--source", str(source), "--host", "127.0.0.1", "--port", str(port)]
    with (line.folder / "station.log").open("wb") as log:
        process = subprocess.Popen([command, *arguments], env=environment, stdout=log, stderr=log)
    try:
        until(lambda: answers(port), 60)
        yield process, port
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(15)
        process.kill()
        process.wait()


def answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 10) as asked:
        asked.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        return asked.recv(100).startswith(b"HTTP/1.1 200")
    return False


def test_an_instance_that_is_stopped_ends_its_open_pages_at_once(
    function: tuple[subprocess.Popen[bytes], int],
) -> None:
    process, port = function
    with ExitStack() as stack:
        pages = [stack.enter_context(socket.create_connection(("127.0.0.1", port), 20)) for _ in range(PAGES)]
        for page in pages:
            page.sendall(b"GET /lines/smt-1/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        for page in pages:
            told = b""
            while b"event: state" not in told:
                told += page.recv(65536)
        began = time.monotonic()
        process.terminate()
        for page in pages:
            told = b""
            while part := page.recv(65536):
                told += part
            assert told.endswith(b"0\r\n\r\n"), "the stream came to its end, and was not cut off"
        assert time.monotonic() - began < 5
        process.wait(10)
        assert time.monotonic() - began < 8, "Cloud Run gives ten seconds"

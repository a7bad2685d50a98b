"""The station beside `linegate edge`, as real processes: whatever happens to the one, the other does what is right."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from linegate.config import load
from tests.boards import clean_board, defective_board
from tests.e2e.line import Hmi, Line
from tests.emulators import free_port
from tests.waiting import until


@pytest.fixture
def line(make_line: Callable[..., Line]) -> Line:
    made = make_line(clean_board())
    content = yaml.safe_load(made.config.read_text()) | {"station": {"listen": f"127.0.0.1:{free_port()}"}}
    made.config.write_text(yaml.safe_dump(content))
    return replace(made, settings=load(made.config))


@contextmanager
def edge(line: Line) -> Iterator[subprocess.Popen[bytes]]:
    command = "from linegate.commands.main import main; raise SystemExit(main())"
    with (line.folder / "edge.log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", command, "edge", "--config", str(line.config)], stdout=log, stderr=log
        )
    try:
        yield process
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(15)
        process.kill()
        process.wait()


def answers(line: Line) -> bool:
    """Whether the station shows its pages."""
    with suppress(OSError), socket.create_connection(line.settings.station.listen_at, 2) as asked:
        asked.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
        return asked.recv(100).startswith(b"HTTP/1.1 200")
    return False


def station_of(gate: int) -> list[int]:
    """The process beside a gate that serves its pages."""
    found = []
    for task in Path(f"/proc/{gate}/task").iterdir():
        for child in (task / "children").read_text().split():
            if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                found.append(int(child))
    return found


def is_there(process: int) -> bool:
    with suppress(OSError):
        return b"spawn_main" in Path(f"/proc/{process}/cmdline").read_bytes()
    return False


def test_where_the_port_is_taken_the_gate_goes_on_and_the_station_comes_once_it_is_free(line: Line, hmi: Hmi) -> None:
    with ExitStack() as stack, edge(line):
        taken = stack.enter_context(socket.create_server(line.settings.station.listen_at))
        assert hmi.wait_for(line.upload("smt-1/aoi/A1.png", defective_board()))["verdict"] == "FAIL"
        until(lambda: "nobody can listen" in (line.folder / "edge.log").read_text())
        taken.close()
        until(lambda: answers(line), 20)


def test_a_station_that_is_killed_comes_again_and_the_gate_works_meanwhile(line: Line, hmi: Hmi) -> None:
    with edge(line) as gate:
        until(lambda: answers(line), 20)
        (first,) = station_of(gate.pid)
        os.kill(first, signal.SIGKILL)
        assert hmi.wait_for(line.upload("smt-1/aoi/A1.png", defective_board()))["verdict"] == "FAIL"
        until(lambda: answers(line), 20)
        (second,) = station_of(gate.pid)
        assert second != first


def test_a_gate_that_is_killed_takes_its_station_with_it(line: Line) -> None:
    with edge(line) as gate:
        until(lambda: answers(line), 20)
        (station,) = station_of(gate.pid)
        gate.kill()
        gate.wait()
        until(lambda: not is_there(station), 10)
        assert not answers(line)


def test_thirty_open_pages_do_not_keep_the_gate_from_stopping(line: Line) -> None:
    with ExitStack() as stack, edge(line) as gate:
        until(lambda: answers(line), 20)
        pages = [stack.enter_context(socket.create_connection(line.settings.station.listen_at, 10)) for _ in range(30)]
        for page in pages:
            page.sendall(b"GET /lines/smt-1/live HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        for page in pages:
            told = b""
            while b"event: state" not in told:
                told += page.recv(65536)
        began = time.monotonic()
        gate.terminate()
        for page in pages:
            page.settimeout(2)
            while page.recv(65536):
                pass
        assert time.monotonic() - began < 1
        assert gate.wait(10) == 0
        assert time.monotonic() - began < 2

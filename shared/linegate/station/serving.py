"""The station on one machine: a process of its own, so that whatever happens to its pages, the gate goes on."""

import os
import signal
import socket
import threading
import time
from contextlib import nullcontext, suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path
from types import FrameType
from typing import Final

import uvicorn
from starlette.applications import Starlette

from linegate import bootstrap, config, logs
from linegate.errors import ConfigError
from linegate.logs import log
from linegate.settings import Settings
from linegate.station.app import asgi
from linegate.station.site import site_for

# What a page that is being sent may take when the station is asked to stop.
GRACE_S: Final = 2
BACKLOG: Final = 128
# Whoever takes nothing for so long is cut off by the kernel: else a page whose machine is gone stays open for many minutes.
GONE_MS: Final = 20_000
# Where there are too few cores for both, the gate goes first.
NICER: Final = 5
# Before one that died is started again; twice as long each time, for as long as it lives no longer than that.
FIRST_WAIT_S, LONGEST_WAIT_S = 0.5, 30.0


def listening(settings: Settings) -> socket.socket:
    """A socket at `station.listen`. Raises ConfigError."""
    where = settings.station.listen
    host, port = settings.station.listen_at
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        opened = socket.socket(family, kind, protocol)
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # inherited by the connections that are accepted
            opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, GONE_MS)
        opened.bind(address)
        opened.listen(BACKLOG)
    except OSError as error:
        raise ConfigError(
            [f"station.listen: nobody can listen at {where}: {error.strerror}; name another port"]
        ) from error
    return opened


def url_of(listener: socket.socket) -> str:
    """Where a browser on this machine finds it."""
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class StationServer(uvicorn.Server):
    """Ends streams first: a page that listens to the line would keep it from stopping."""

    def __init__(self, app: Starlette) -> None:
        # Nobody stands between: what says that it was forwarded for somebody else is not believed.
        quiet = {"log_config": None, "access_log": False, "server_header": False, "proxy_headers": False}
        super().__init__(uvicorn.Config(app, timeout_graceful_shutdown=GRACE_S, **quiet))  # type: ignore[arg-type]
        self._app = app

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._app.state.closing.set()
        await super().shutdown(sockets)


def serve(settings: Settings, listener: socket.socket, ends: Connection | None = None) -> None:
    """Serve the pages of a gate until SIGTERM or Ctrl-C, or until whoever holds the other end of `ends` is gone."""
    server = StationServer(asgi(site_for(bootstrap.local(settings))))
    if ends is not None:
        threading.Thread(target=_end_with, args=(ends, server), name="linegate-station-end", daemon=True).start()
    log.info("station.started", url=url_of(listener))
    server.run(sockets=[listener])


def _end_with(ends: Connection, server: uvicorn.Server) -> None:
    with suppress(EOFError, OSError):
        ends.recv()
    server.should_exit = True


class StationProcess:
    """The station beside a gate that runs, at `station.listen` or at an open `listener`; `start` it, at last `stop` it. Its log
    goes to standard error, or into a file.

    One that dies is started again, and where nobody can listen it is tried again: the gate goes on without.
    """

    def __init__(self, settings: Settings, listener: socket.socket | None = None, log_file: Path | None = None) -> None:
        self._settings = settings
        self._listener = listener
        self._log_file = log_file
        self._ends, self._theirs = get_context("spawn").Pipe()
        self._stopping = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="linegate-station", daemon=True)

    def start(self) -> None:
        self._keeper.start()

    def stop(self) -> None:
        """Its streams end at once, what it sends within a moment; it is ended if it takes longer."""
        self._stopping.set()
        self._ends.close()
        self._keeper.join()
        if self._listener is not None:
            self._listener.close()

    def _keep(self) -> None:
        wait_s, told = FIRST_WAIT_S, ""
        while not self._stopping.is_set():
            began = time.monotonic()
            try:
                self._listener = self._listener or listening(self._settings)
                reason = self._run(self._listener)
            except ConfigError as error:
                reason = error.faults[0]
            except OSError as error:  # no process can be had now
                reason = str(error)
            if self._stopping.is_set():
                return
            wait_s = FIRST_WAIT_S if time.monotonic() - began > LONGEST_WAIT_S else min(2 * wait_s, LONGEST_WAIT_S)
            if reason != told:
                log.error("station.unreachable", reason=reason)
            told = reason
            self._stopping.wait(wait_s)

    def _run(self, listener: socket.socket) -> str:
        """Until it ends; why it did."""
        process = get_context("spawn").Process(
            target=_serve_beside,
            args=(self._settings, listener, self._theirs, self._ends, self._log_file),
            name="linegate-station",
            daemon=True,
        )
        process.start()
        while process.is_alive() and not self._stopping.is_set():
            process.join(0.2)
        if self._stopping.is_set():
            process.join(GRACE_S + 1)
            if process.is_alive():
                process.kill()
                process.join()
        return f"its process ended with {process.exitcode}"


def _serve_beside(
    settings: Settings, listener: socket.socket, ends: Connection, gates: Connection, log_file: Path | None
) -> None:
    gates.close()  # the gate's own end: while it is open here as well, nobody would hear that the gate is gone
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group: the gate stops it
    os.nice(NICER)
    with log_file.open("a", encoding="utf-8") if log_file else nullcontext() as stream:
        logs.configure(config.log_level(), stream)
        serve(settings, listener, ends)

"""A station for tests: the real application on a real server, at an address of its own."""

import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from linegate.bootstrap import App
from linegate.station.app import asgi
from linegate.station.serving import StationServer, url_of
from linegate.station.site import site_for


@contextmanager
def station(app: App, port: int = 0) -> Iterator[str]:
    """The pages of a gate; its address, while it serves."""
    listener = socket.create_server(("127.0.0.1", port))
    # As `linegate.station.serving.listening` has it: asyncio sees to it only where the socket says that it is TCP.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    server = StationServer(asgi(site_for(app)))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive(), "the station did not start"
        time.sleep(0.01)
    try:
        yield url_of(listener)
    finally:
        server.should_exit = True
        thread.join(10)
        listener.close()
        assert not thread.is_alive(), "the station did not stop"


class Cable:
    """Between a browser and a server. `pull` it, and nothing is refused or closed: there is only silence. `plug` it in again.

    `swapped` are bytes that arrive as others of the same length.
    """

    def __init__(self, url: str) -> None:
        host, _, port = url.removeprefix("http://").rpartition(":")
        self._there = host, int(port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._whole = threading.Event()
        self._whole.set()
        self.swapped: dict[bytes, bytes] = {}
        self._ends: list[socket.socket] = []
        self.url = url_of(self._listener)
        threading.Thread(target=self._accept, daemon=True).start()

    def pull(self) -> None:
        self._whole.clear()

    def plug(self) -> None:
        self._whole.set()

    def close(self) -> None:
        self._whole.set()
        for end in (self._listener, *self._ends):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                here, _ = self._listener.accept()
                there = socket.create_connection(self._there, 5)
                there.settimeout(None)
                self._ends += [here, there]
                for pair in ((here, there), (there, here)):
                    threading.Thread(target=self._carry, args=pair, daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                self._whole.wait()
                for sent, arrives in self.swapped.items():
                    data = data.replace(sent, arrives)
                sink.sendall(data)
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)


@contextmanager
def cable(url: str) -> Iterator[Cable]:
    laid = Cable(url)
    try:
        yield laid
    finally:
        laid.close()


def ask(url: str, method: str = "GET", **headers: str) -> tuple[int, bytes]:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=sent, method=method), timeout=10) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, refusal.read()

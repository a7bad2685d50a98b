"""A station for tests: the real application on a real server, at an address of its own."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from linegate.bootstrap import App
from linegate.station.app import asgi
from linegate.station.serving import StationServer, url_of
from linegate.station.site import site_for


@contextmanager
def station(app: App) -> Iterator[str]:
    """The pages of a gate; its address, while it serves."""
    listener = socket.create_server(("127.0.0.1", 0))
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

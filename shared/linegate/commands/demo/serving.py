"""`linegate demo --serve`: the station's pages of the demo, while it runs and until Ctrl-C."""

import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from linegate.commands.interrupt import on_interrupt
from linegate.errors import ConfigError
from linegate.settings import Settings
from linegate.station.serving import StationProcess, listening, url_of


@contextmanager
def served(settings: Settings, log_file: Path) -> Iterator[str]:
    """The station of a demo, inside the block; its address. Its log goes into a file. Raises ConfigError."""
    listener = _listener(settings)
    station = StationProcess(settings, listener, log_file)
    station.start()
    try:
        yield url_of(listener)
    finally:
        station.stop()


def until_interrupted() -> None:
    """Wait for Ctrl-C or SIGTERM, which end the wait and not the process."""
    interrupted = threading.Event()

    def end(_: int, __: FrameType | None) -> None:
        interrupted.set()

    before = on_interrupt(end)
    terminated = signal.signal(signal.SIGTERM, end)
    interrupted.wait()
    on_interrupt(before)
    signal.signal(signal.SIGTERM, terminated)


def _listener(settings: Settings) -> socket.socket:
    """At the usual port, or at any where that is taken."""
    try:
        return listening(settings)
    except ConfigError:
        anywhere = settings.station.model_copy(update={"listen": "127.0.0.1:0"})
        return listening(settings.model_copy(update={"station": anywhere}))

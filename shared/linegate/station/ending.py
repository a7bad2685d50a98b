"""How open pages are told that the process is asked to stop, where its server is not ours to tell them."""

import asyncio
import signal
import threading
from types import FrameType

from starlette.applications import Starlette


def end_streams_at_sigterm(app: Starlette) -> None:
    """Set `closing` at SIGTERM, and let the server do what it would have done. Called where its loop runs.

    Cloud Run gives an instance ten seconds; a server waits for its streams, which have no end of their own, and so cuts off
    whatever else it still sends. Pages that are told come again at once, to another instance.
    """
    if threading.current_thread() is not threading.main_thread():  # nobody else may listen to signals
        return
    loop, server = asyncio.get_running_loop(), signal.getsignal(signal.SIGTERM)

    def stop(number: int, frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(app.state.closing.set)
        if callable(server):
            server(number, frame)

    signal.signal(signal.SIGTERM, stop)

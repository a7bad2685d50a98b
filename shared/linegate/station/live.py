"""What open pages are told, by server-sent events: https://html.spec.whatwg.org/multipage/server-sent-events.html

However many pages are open, one watcher of the process asks the store for all of them: beside a line it listens to the pulse of
the database, which costs microseconds, and asks one question for each thing that is watched when something was committed. In
the cloud it probes what is watched once a second, and only while somebody watches.

Each event `state` is whole: who comes late, or comes again, has missed nothing. Between them `beat` says that the page is still
in touch, and with what trouble.
"""

import asyncio
import json
import time
from collections.abc import AsyncGenerator
from contextlib import suppress
from datetime import datetime
from typing import Any, Final, Generic, Protocol, TypeVar

from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from linegate import __version__
from linegate.errors import LinegateError
from linegate.logs import log
from linegate.station.site import Site

R = TypeVar("R")

TICK_S: Final = 0.2
# The store is not asked more often for one thing, however much happens on a line.
LOAD_S: Final = 0.4
# Where there is no pulse: how often is probed.
PROBE_S: Final = 1.0
# Whatever pulse and probe say, all is asked anew.
RENEW_S: Final = 30.0
# What a page shows is made anew without asking the store: time passes, and a line falls silent.
SHOW_S: Final = 1.0
BEAT_S: Final = 1.5
# A store that has not answered for so long: the page must not look as if all were well.
STALE_S: Final = 4.0
# Who takes nothing for so long is let go; a page that is alive comes again by itself.
SLOW_S: Final = 10.0
# One process serves so many; beyond, a page is told to come again.
MOST_STREAMS: Final = 200


class Watched(Protocol[R]):
    """One thing that pages show live. It is asked in a thread."""

    @property
    def key(self) -> str:
        """Pages of one key share what is loaded."""
        ...

    def load(self, site: Site) -> R:
        """What the store holds of it. Raises TransientError."""
        ...

    def probe(self, site: Site) -> object:
        """Another value when there is something new, in as few reads as can be. Raises TransientError."""
        ...

    def restless(self, records: R) -> bool:
        """Whether it may change without that a probe would tell."""
        ...

    def show(self, site: Site, records: R, now: datetime) -> dict[str, Any]:
        """What a page shows of that, as JSON."""
        ...


class _Channel(Generic[R]):
    """One thing that somebody watches."""

    def __init__(self, watched: Watched[R]) -> None:
        self.watched = watched
        self.readers = 0
        self.state = ""
        self.number = 0  # of the state; 0 is none yet
        self.trouble = ""
        self.changed = asyncio.Event()
        self.answered_at = time.monotonic()
        self._records: R | None = None
        self._probed: object = None
        self._loaded_at = self._probed_at = self._shown_at = -1e9
        self._stale = True

    def look(self, site: Site, *, moved: bool | None) -> str:
        """The state as it is now; in a thread. `moved` is whether the store has changed, None where nobody knows."""
        now = time.monotonic()
        self._stale |= bool(moved) or now - self._loaded_at >= RENEW_S
        if moved is None and not self._stale and now - self._probed_at >= PROBE_S:
            self._probed_at = now
            probed = self.watched.probe(site)
            assert self._records is not None
            self._stale = probed != self._probed or self.watched.restless(self._records)
            self._probed = probed
        if self._stale and now - self._loaded_at >= (PROBE_S if moved is None else LOAD_S):
            self._loaded_at = now
            self._records, self._stale = self.watched.load(site), False
            self._shown_at = -1e9
        if self._records is not None and now - self._shown_at >= SHOW_S:
            self._shown_at = now
            shown = self.watched.show(site, self._records, site.context.clock.now())
            return json.dumps({"version": __version__, **shown}, separators=(",", ":"))
        return self.state

    def tell(self, state: str) -> None:
        if state != self.state:
            self.state = state
            self.number += 1
            self.wake()

    def wake(self) -> None:
        woken, self.changed = self.changed, asyncio.Event()
        woken.set()


class Hub:
    """The watcher of one process, and all streams that it feeds. `closing` ends them at once; who takes nothing for `slow_s`
    is let go.
    """

    def __init__(self, site: Site, closing: asyncio.Event, slow_s: float = SLOW_S) -> None:
        self.slow_s = slow_s
        self._site = site
        self._closing = closing
        self._channels: dict[str, _Channel[Any]] = {}
        self._watcher: asyncio.Task[None] | None = None
        self._pulse: int | None = None

    @property
    def streams(self) -> int:
        return sum(channel.readers for channel in self._channels.values())

    async def events(self, watched: Watched[Any]) -> AsyncGenerator[bytes, None]:
        """What a page that watches this is told, until the process is asked to stop."""
        channel = self._channels.setdefault(watched.key, _Channel(watched))
        channel.readers += 1
        if self._watcher is None or self._watcher.done():
            self._watcher = asyncio.create_task(self._watch())
        sent = 0
        try:
            yield b"retry: 1000\n\n"
            while not self._closing.is_set():
                changed = channel.changed
                yield event("beat", self._beat(channel))
                if channel.number != sent:
                    sent = channel.number
                    yield event("state", channel.state)
                with suppress(TimeoutError):
                    await asyncio.wait_for(changed.wait(), BEAT_S)
        finally:
            channel.readers -= 1
            if not channel.readers:
                self._channels.pop(watched.key, None)

    def _beat(self, channel: _Channel[Any]) -> str:
        trouble = channel.trouble
        since = time.monotonic() - channel.answered_at
        if not trouble and since > STALE_S:
            trouble = f"the store has not answered for {since:.0f} s"
        return json.dumps({"now": self._site.context.clock.now().isoformat(), "trouble": trouble})

    async def _watch(self) -> None:
        """For all channels, as long as there are any."""
        try:
            while self._channels and not self._closing.is_set():
                moved, fault = None, None
                try:
                    moved = await self._moved()
                except LinegateError as error:
                    fault = error
                for channel in list(self._channels.values()):
                    await self._look(channel, moved, fault)
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._closing.wait(), TICK_S)
        finally:
            for channel in self._channels.values():
                channel.wake()

    async def _moved(self) -> bool | None:
        """Whether anything was committed since the last time, None where nobody knows."""
        if self._site.pulse is None:
            return None
        pulse = await asyncio.to_thread(self._site.pulse)
        moved, self._pulse = pulse != self._pulse, pulse
        return moved

    async def _look(self, channel: _Channel[Any], moved: bool | None, fault: LinegateError | None) -> None:
        try:
            if fault:
                raise fault
            state = await asyncio.to_thread(channel.look, self._site, moved=moved)
        except Exception as error:  # whatever it is, the page must say so, and the others go on
            told = str(error) if isinstance(error, LinegateError) else "this is a fault of Linegate"
            if told != channel.trouble:
                log.warning("station.live_failed", watched=channel.watched.key, reason=str(error))
                channel.trouble = told
                channel.wake()
            return
        channel.answered_at = time.monotonic()
        if channel.trouble:
            channel.trouble = ""
            channel.wake()
        channel.tell(state)


def event(name: str, data: str) -> bytes:
    """One event. The data is JSON, in one line."""
    return f"event: {name}\ndata: {data}\n\n".encode()


class Stream(Response):
    """The events of one page. Who does not take them is let go."""

    def __init__(self, hub: Hub, watched: Watched[Any]) -> None:
        if hub.streams >= MOST_STREAMS:
            raise HTTPException(503, "Too many pages are open.")
        # Whatever stands between must hold nothing back: X-Accel-Buffering is nginx's word for it
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(headers=headers, media_type="text/event-stream")
        del self.headers["Content-Length"]
        self._hub = hub
        self._watched = watched

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        if scope["method"] == "HEAD":  # who asks for the headers alone gets no stream
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            return
        gone = asyncio.create_task(_gone(receive))
        events = self._hub.events(self._watched)
        try:
            async for data in events:
                if gone.done():
                    return
                async with asyncio.timeout(self._hub.slow_s):
                    await send({"type": "http.response.body", "body": data, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except TimeoutError:
            log.info("station.page_dropped", watched=self._watched.key)
        finally:
            gone.cancel()
            await events.aclose()


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass

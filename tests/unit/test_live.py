"""What open pages are told: one watcher asks for all of them, says when it can't, and holds nobody's stop up."""

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from linegate import bootstrap
from linegate.config import parse
from linegate.errors import TransientError
from linegate.station.live import Hub, Stream
from linegate.station.site import Site, site_for

TEXT = "recipes: {pcb: {golden: golden.png}}\nlines: {smt-1: {recipe: pcb}}\n"


@dataclass
class Counter:
    """Something to watch: a number, how often it was asked for, and what it answers instead."""

    value: int = 1
    loads: int = 0
    probes: int = 0
    fault: Exception | None = None
    hangs: threading.Event = field(default_factory=threading.Event)
    key: str = "counter"

    def load(self, site: Site) -> int:
        self.loads += 1
        if self.fault:
            raise self.fault
        if self.hangs.is_set():
            time.sleep(6)
        return self.value

    def probe(self, site: Site) -> object:
        self.probes += 1
        return self.value

    def restless(self, records: int) -> bool:
        return False

    def show(self, site: Site, records: int, now: datetime) -> dict[str, Any]:
        return {"value": records}


@dataclass
class Pulse:
    """Of a store that nothing happens in, unless it is said to."""

    value: int = 0

    def __call__(self) -> int:
        return self.value


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return site_for(bootstrap.local(parse(f"{TEXT}edge: {{data: {tmp_path}}}", tmp_path, {})))


Told = tuple[str, dict[str, Any]]


def play(site: Site, script: Callable[[Hub, asyncio.Event], Coroutine[Any, Any, None]], **options: Any) -> None:
    async def run() -> None:
        closing = asyncio.Event()
        hub = Hub(site, closing, **options)
        async with asyncio.timeout(20):
            await script(hub, closing)
        closing.set()

    asyncio.run(run())


async def told(events: AsyncIterator[bytes], name: str) -> dict[str, Any]:
    """The data of the next event of this name."""
    async for chunk in events:
        if chunk.startswith(f"event: {name}\n".encode()):
            data = json.loads(chunk.split(b"data: ")[1])
            assert isinstance(data, dict)
            return data
    raise AssertionError("the stream ended")


def test_however_many_watch_the_store_is_asked_once(site: Site) -> None:
    counter, pulse = Counter(), Pulse()

    async def script(hub: Hub, closing: asyncio.Event) -> None:
        streams = [hub.events(counter) for _ in range(30)]
        assert {(await told(stream, "state"))["value"] for stream in streams} == {1}
        await asyncio.sleep(0.5)
        assert counter.loads == 1, "nothing has happened"
        counter.value = 2
        pulse.value += 1
        began = time.monotonic()
        assert {(await told(stream, "state"))["value"] for stream in streams} == {2}
        assert time.monotonic() - began < 1
        assert counter.loads == 2

    play(replace(site, pulse=pulse), script)


@pytest.mark.slow
def test_without_a_pulse_it_is_probed_once_a_second_and_only_while_somebody_watches(site: Site) -> None:
    counter = Counter()

    async def script(hub: Hub, closing: asyncio.Event) -> None:
        stream = hub.events(counter)
        await told(stream, "state")
        await asyncio.sleep(0.8)
        counter.value = 2
        assert (await told(stream, "state"))["value"] == 2
        await stream.aclose()
        await asyncio.sleep(0.5)
        asked = counter.loads, counter.probes
        assert asked <= (3, 3)
        await asyncio.sleep(1.2)
        assert (counter.loads, counter.probes) == asked

    play(replace(site, pulse=None), script)


def test_a_store_that_fails_is_told_and_so_is_that_it_answers_again(site: Site) -> None:
    counter, pulse = Counter(), Pulse()

    async def script(hub: Hub, closing: asyncio.Event) -> None:
        stream = hub.events(counter)
        await told(stream, "state")
        counter.fault, pulse.value = TransientError("the disk is gone"), 1
        while not (trouble := (await told(stream, "beat"))["trouble"]):
            pass
        assert trouble == "the disk is gone"
        counter.fault = None
        while (await told(stream, "beat"))["trouble"]:
            pass

    play(replace(site, pulse=pulse), script)


@pytest.mark.slow
def test_a_store_that_hangs_is_told(site: Site) -> None:
    counter, pulse = Counter(), Pulse()

    async def script(hub: Hub, closing: asyncio.Event) -> None:
        stream = hub.events(counter)
        await told(stream, "state")
        counter.hangs.set()
        pulse.value = 1
        while "has not answered" not in (await told(stream, "beat"))["trouble"]:
            pass

    play(replace(site, pulse=pulse), script)


def test_all_streams_end_at_once_when_the_process_is_asked_to_stop(site: Site) -> None:
    async def script(hub: Hub, closing: asyncio.Event) -> None:
        streams = [hub.events(Counter(key=str(number % 3))) for number in range(30)]
        for stream in streams:
            await told(stream, "state")
        began = time.monotonic()
        closing.set()
        for stream in streams:
            assert [chunk async for chunk in stream if b"state" in chunk] == []
        assert time.monotonic() - began < 0.5
        assert hub.streams == 0

    play(replace(site, pulse=Pulse()), script)


def test_who_takes_nothing_is_let_go(site: Site) -> None:
    async def script(hub: Hub, closing: asyncio.Event) -> None:
        async def receive() -> dict[str, Any]:
            await asyncio.sleep(60)
            return {}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.body":
                await asyncio.sleep(60)

        await Stream(hub, Counter())({"type": "http", "method": "GET"}, receive, send)
        assert hub.streams == 0

    play(replace(site, pulse=Pulse()), script, slow_s=0.2)

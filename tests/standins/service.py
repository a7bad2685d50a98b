"""An HTTP/1.1 server whose every answer can be delayed or spoilt, down to single bytes on the wire."""

import asyncio
import json
import random
import socket
import struct
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Any


@dataclass(frozen=True, slots=True)
class Request:
    """`headers` with lower-case names; `number` counts the service's requests from 1, `on_connection` the connection's."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    number: int
    on_connection: int
    at: float

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    content: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def body(self) -> bytes:
        return self.content if isinstance(self.content, bytes) else json.dumps(self.content).encode()

    def head(self, length: int) -> bytes:
        lines = {
            "content-type": "application/json",
            "date": formatdate(usegmt=True),
            **self.headers,
            "content-length": str(length),
        }
        text = "".join(f"{key}: {value}\r\n" for key, value in lines.items())
        return f"HTTP/1.1 {self.status} Stand-in\r\n{text}\r\n".encode()


# What happens instead of the reply. Writes to the connection, and says whether it may be used again.
Fault = Callable[[asyncio.StreamWriter, Reply], Awaitable[bool]]
Faults = Callable[[Request], Fault | None]


# --- faults: each leaves the wire as its name says


def status(code: int, content: Any = None, **headers: str) -> Fault:
    async def fault(writer: asyncio.StreamWriter, _: Reply) -> bool:
        reply = Reply(
            code, content or {"message": f"scripted {code}"}, {k.replace("_", "-"): v for k, v in headers.items()}
        )
        return await _write(writer, reply)

    return fault


def body(content: bytes) -> Fault:
    """A 200 with another body."""

    async def fault(writer: asyncio.StreamWriter, _: Reply) -> bool:
        return await _write(writer, Reply(200, content))

    return fault


async def hang(writer: asyncio.StreamWriter, _: Reply) -> bool:
    await asyncio.sleep(3600)
    return False


async def trickle_head(writer: asyncio.StreamWriter, _: Reply) -> bool:
    """A byte of a never-ending header every 50 ms."""
    writer.write(b"HTTP/1.1 200 OK\r\nx-slow: ")
    return await _drip(writer)


async def trickle(writer: asyncio.StreamWriter, reply: Reply) -> bool:
    """A byte of a never-ending body every 50 ms."""
    writer.write(reply.head(1 << 20))
    return await _drip(writer)


async def reset(writer: asyncio.StreamWriter, _: Reply) -> bool:
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
    return False


async def close(writer: asyncio.StreamWriter, _: Reply) -> bool:
    """The connection ends without an answer: what a client sees of a kept one that the server has let go."""
    return False


async def truncated(writer: asyncio.StreamWriter, reply: Reply) -> bool:
    content = reply.body()
    writer.write(reply.head(len(content)) + content[: len(content) // 2])
    await writer.drain()
    return False


def garbage() -> dict[str, Fault]:
    """200s that are no answer."""
    return {
        "non-JSON": body(b"<html>It works!</html>"),
        "empty": body(b""),
        "a list": body(b"[]"),
        "null": body(b"null"),
        "another object": body(b'{"hello": "world"}'),
        "invalid UTF-8": body(b'{"outputs": [{"predictions": "\xff\xfe"}], "candidates": "\xff"}'),
        "a megabyte of text": body(b'{"text": "' + b"x" * 1_000_000 + b'"}'),
        "deep nesting": body(b"[" * 100_000),
    }


def all_faults() -> dict[str, Fault]:
    """Every way in which a service may fail to answer once."""
    return {
        **{f"status {code}": status(code) for code in (400, 401, 403, 404, 408, 413, 418, 500, 502, 503, 504)},
        "429 with Retry-After": status(429, retry_after="1"),
        "redirect": status(302, location="http://127.0.0.1:9/elsewhere"),
        "hang": hang,
        "trickling head": trickle_head,
        "trickling body": trickle,
        "reset": reset,
        "closed connection": close,
        "truncated body": truncated,
        **garbage(),
    }


async def _drip(writer: asyncio.StreamWriter) -> bool:
    while True:
        writer.write(b"x")
        await writer.drain()
        await asyncio.sleep(0.05)


async def _write(writer: asyncio.StreamWriter, reply: Reply) -> bool:
    content = reply.body()
    writer.write(reply.head(len(content)) + content)
    await writer.drain()
    return True


async def _turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


# --- when they happen


def never(_: Request) -> Fault | None:
    return None


def always(fault: Fault) -> Faults:
    return lambda _: fault


def first(count: int, fault: Fault) -> Faults:
    return lambda request: fault if request.number <= count else None


def every(nth: int, fault: Fault) -> Faults:
    return lambda request: fault if request.number % nth == 0 else None


def on_reuse(fault: Fault) -> Faults:
    """Whenever a connection is used again."""
    return lambda request: fault if request.on_connection > 1 else None


def at_random(share: float, faults: Mapping[str, Fault], seed: int) -> Faults:
    rng = random.Random(seed)
    choices = list(faults.values())
    return lambda _: rng.choice(choices) if rng.random() < share else None


class Service:
    """Serves `answer` on 127.0.0.1 from a thread of its own. `delay_s()` is slept before each answer."""

    def __init__(
        self,
        answer: Callable[[Request], Reply],
        *,
        delay_s: Callable[[], float] = lambda: 0.0,
        faults: Faults = never,
        port: int = 0,
    ) -> None:
        self.answer = answer
        self.delay_s = delay_s
        self.faults = faults
        self.requests: list[Request] = []
        self.connections = 0
        self.in_flight = self.most_in_flight = 0
        self._port = port
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="stand-in", daemon=True)
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def __enter__(self) -> "Service":
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._server = self._loop.run_until_complete(
            asyncio.start_server(self._serve, "127.0.0.1", self._port, backlog=256)
        )
        self._port = self._server.sockets[0].getsockname()[1]
        self._ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(self._wind_down(self._server))
        self._loop.close()

    async def _wind_down(self, server: asyncio.Server) -> None:
        """Leaves no socket open. Counted in turns of the loop: on a busy machine any length of time may be one turn."""
        server.close()
        await _turns()  # a connection that is being accepted can be let go only by a task that has begun
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await _turns()  # an aborted transport closes its socket a turn later

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        used = 0
        try:
            while True:
                used += 1
                request = await self._read(reader, used)
                if request is None or not await self._respond(request, writer):
                    return
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        except asyncio.CancelledError:
            writer.transport.abort()  # close would wait for a client that reads no more
        finally:
            with suppress(ConnectionError, RuntimeError):
                writer.close()

    async def _read(self, reader: asyncio.StreamReader, used: int) -> Request | None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        except asyncio.IncompleteReadError:
            return None
        start, *lines = head.strip().split("\r\n")
        method, path, _ = start.split(" ", 2)
        headers = {key.lower(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
        content = await reader.readexactly(int(headers.get("content-length", 0)))
        request = Request(method, path, headers, content, len(self.requests) + 1, used, time.time())
        self.requests.append(request)
        return request

    async def _respond(self, request: Request, writer: asyncio.StreamWriter) -> bool:
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            fault = self.faults(request)
            reply = self.answer(request)
            delay = self.delay_s()
            if delay and fault is None:
                await asyncio.sleep(delay)
            return await (fault(writer, reply) if fault else _write(writer, reply))
        finally:
            self.in_flight -= 1

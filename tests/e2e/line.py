"""A line as `linegate edge` serves it, and its HMI."""

import base64
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from linegate.commands.listener import Received
from linegate.edge.runtime import Runtime
from linegate.settings import Settings

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()


@dataclass
class Hmi:
    """What the line's HMI has heard, by object name."""

    url: str = ""
    received: list[Received] = field(default_factory=list)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def receive(self, webhook: Received) -> None:
        with self._changed:
            self.received.append(webhook)
            self._changed.notify_all()

    def wait_for(self, name: str, seconds: float = 30) -> dict[str, Any]:
        """The data of the first notification about an object. Fails the test if none comes."""
        end = time.monotonic() + seconds
        with self._changed:
            while True:
                for data in self.data():
                    if data["image"]["name"] == name:
                        return data
                left = end - time.monotonic()
                assert left > 0, (
                    f"nobody told the HMI about {name}; it heard of {[d['image']['name'] for d in self.data()]}"
                )
                self._changed.wait(left)

    def data(self) -> list[dict[str, Any]]:
        return [received.event["data"] for received in self.received if received.event]


@dataclass
class Line:
    """A folder as `linegate edge` serves it."""

    folder: Path
    settings: Settings

    @property
    def data(self) -> Path:
        return self.settings.data

    @property
    def config(self) -> Path:
        return self.folder / "linegate.yaml"

    def upload(self, name: str, content: bytes) -> str:
        """Leave a file as a camera does, written beside and renamed into place; returns its object name."""
        path = self.data / "uploads" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name("incoming.part")
        part.write_bytes(content)
        part.rename(path)
        return f"uploads/{name}"


@contextmanager
def running(line: Line) -> Iterator[Runtime]:
    runtime = Runtime(line.settings)
    runtime.start()
    try:
        yield runtime
    finally:
        runtime.stop()


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())

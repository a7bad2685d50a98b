"""A line's folder with its configuration, its golden picture, and an HMI that listens."""

import base64
import multiprocessing.forkserver
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from linegate.commands.listener import Listener, Received
from linegate.config import load
from linegate.edge.runtime import Runtime
from linegate.edge.workers import forkserver
from linegate.settings import Settings

SECRET = "whsec_" + base64.b64encode(bytes(range(32))).decode()


@pytest.fixture(scope="session", autouse=True)
def quick_workers() -> None:
    """The tests share one process to fork workers from: it has the detectors of all of them loaded."""
    forkserver(("linegate.adapters.roboflow.detector",))
    multiprocessing.forkserver.ensure_running()


@dataclass
class Hmi:
    """What the line's HMI has heard, by object name."""

    url: str = ""
    received: list[Received] = field(default_factory=list)
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def hear(self, webhook: Received) -> None:
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


@pytest.fixture
def hmi() -> Iterator[Hmi]:
    heard = Hmi()
    with Listener([SECRET], heard.hear) as listener:
        heard.url = listener.url
        yield heard


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


@pytest.fixture
def make_line(tmp_path: Path, hmi: Hmi) -> Callable[..., Line]:
    def make(golden: bytes, **edge: Any) -> Line:
        folder = tmp_path / "line"
        folder.mkdir()
        (folder / "golden.png").write_bytes(golden)
        content = {
            "edge": {
                "data": "data",
                "settle_ms": 50,
                "scan_ms": 100,
                "retry": {"minimum_s": 0.1, "maximum_s": 1},
                "workers": {"processes": 1},
            }
            | edge,
            "recipes": {"pcb": {"golden": "golden.png", "deadline_s": 60}},
            "lines": {"smt-1": {"recipe": "pcb"}},
            "targets": {"hmi": {"url": hmi.url, "secrets": [SECRET]}},
            "network": {"private_addresses": ["127.0.0.0/8"]},
            "images": {"max_bytes": 5_000_000, "max_pixels": 20_000_000},
        }
        (folder / "linegate.yaml").write_text(yaml.safe_dump(content))
        return Line(folder, load(folder / "linegate.yaml"))

    return make


@contextmanager
def running(line: Line) -> Iterator[Runtime]:
    runtime = Runtime(line.settings)
    runtime.start()
    try:
        yield runtime
    finally:
        runtime.stop()

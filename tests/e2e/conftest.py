"""A line's folder with its configuration, its golden picture, and an HMI that listens."""

import multiprocessing.forkserver
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from linegate.commands.listener import Listener
from linegate.config import load
from linegate.edge.workers import forkserver
from tests.e2e.line import SECRET, Hmi, Line


@pytest.fixture(scope="session", autouse=True)
def quick_workers() -> None:
    """The tests share one process to fork workers from: it has the detectors of all of them loaded."""
    forkserver(("linegate.adapters.roboflow.detector",))
    multiprocessing.forkserver.ensure_running()


@pytest.fixture
def hmi() -> Iterator[Hmi]:
    heard = Hmi()
    with Listener([SECRET], heard.receive) as listener:
        heard.url = listener.url
        yield heard


@pytest.fixture
def make_line(tmp_path: Path, hmi: Hmi) -> Callable[..., Line]:
    def make(golden: bytes, *, station: dict[str, Any] | None = None, **edge: Any) -> Line:
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
            "station": station or {},
        }
        (folder / "linegate.yaml").write_text(yaml.safe_dump(content))
        return Line(folder, load(folder / "linegate.yaml"))

    return make

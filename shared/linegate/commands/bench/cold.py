"""From the start of an instance to its first verdict, and what the first board waits beside the next.

`detect` is served as the platform serves it, by functions-framework's own command in a process of its own, on a local store.
Boards are clean, so that `detect` decides them. Once with K_SERVICE, by which an instance gets ready at its start, and once
without.
"""

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import urllib3
import yaml
from rich.table import Table

from linegate import bootstrap, config
from linegate.commands.bench.setup import LINE, SEED
from linegate.edge.functions import functions_folder
from linegate.errors import TransientError
from linegate.evaluation.percentiles import percentile
from linegate.events import push_body, to_message
from linegate.inspection import ObjectRef
from linegate.messages import ImageUploaded
from linegate.samples import golden_board, jpeg

STAGE: Final = "detect"
ROUNDS: Final = 5
NEXT: Final = 3  # boards after the first one
PATIENCE_S: Final = 60.0
PUSH_SECRET: Final = "of this bench alone"
# Mode ▶ what the platform sets there
MODES: Final = {"ready at start": {"K_SERVICE": STAGE}, "without": {}}
ROWS: Final = {
    "serves_ms": "process start to serving",
    "first_board_ms": "the first board",
    "next_board_ms": "the next board",
    "first_verdict_ms": "process start to first verdict",
}


@dataclass(frozen=True, slots=True)
class Start:
    """One instance, in milliseconds."""

    serves_ms: float
    first_board_ms: float
    next_board_ms: float
    first_verdict_ms: float


def measure() -> dict[str, dict[str, Any]]:
    """Medians over a few instances in each mode, in turns. Raises TransientError."""
    started: dict[str, list[Start]] = {mode: [] for mode in MODES}
    with tempfile.TemporaryDirectory(prefix="linegate-bench-") as name:
        folder = Path(name)
        picture = jpeg(golden_board(SEED).picture, 97)
        (folder / "golden.jpg").write_bytes(picture)
        file = folder / "linegate.yaml"
        file.write_text(
            yaml.safe_dump({"recipes": {LINE: {"golden": "golden.jpg"}}, "lines": {LINE: {"recipe": LINE}}})
        )
        app = bootstrap.local(config.load(file))
        for _ in range(ROUNDS):
            for mode, environment in MODES.items():
                started[mode].append(_start(app, picture, file, environment))
    return {mode: _summary(starts) for mode, starts in started.items()}


def _start(app: bootstrap.App, picture: bytes, file: Path, environment: dict[str, str]) -> Start:
    before = time.monotonic()
    with _instance(file, environment) as url:
        served = time.monotonic()
        boards = [_board(app, picture, url) for _ in range(1 + NEXT)]
    return Start(
        serves_ms=1000 * (served - before),
        first_board_ms=boards[0],
        next_board_ms=percentile(boards[1:], 50),
        first_verdict_ms=1000 * (served - before) + boards[0],
    )


@contextmanager
def _instance(file: Path, environment: dict[str, str]) -> Iterator[str]:
    """A process that serves the stage; its address as soon as it answers anything."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    source = functions_folder() / STAGE / "main.py"
    code = "import functions_framework._cli as cli; cli._cli()"
    command = [sys.executable, "-c", code, "--target", STAGE, "--source", str(source)]
    outside = {key: value for key, value in os.environ.items() if key != "K_SERVICE"}
    told = {config.CONFIG_VARIABLE: str(file), config.PUSH_SECRET_VARIABLE: PUSH_SECRET}
    process = subprocess.Popen(
        [*command, "--host", "127.0.0.1", "--port", str(port)],
        env=outside | told | {config.LOG_LEVEL_VARIABLE: "CRITICAL"} | environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    try:
        _until_served(f"{url}/robots.txt", process)
        yield url
    finally:
        process.terminate()
        process.wait()


def _until_served(url: str, process: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            urllib3.request("GET", url, retries=False, timeout=PATIENCE_S)
            return
        except urllib3.exceptions.HTTPError as error:
            if process.poll() is not None or time.monotonic() > until:
                raise TransientError("the function does not start") from error
            time.sleep(0.005)


def _board(app: bootstrap.App, picture: bytes, url: str) -> float:
    """Milliseconds from the push of a board's upload to its verdict."""
    context = app.context
    name = f"uploads/{LINE}/bench/{time.time_ns()}.jpg"
    image = ObjectRef("uploads", name, context.images.write("uploads", name, picture, "image/jpeg"))
    message = to_message(ImageUploaded(image, len(picture), datetime.now(UTC)))
    body = push_body(message, message_id="1", publish_time="", subscription=STAGE, attempt=1)
    headers = {"content-type": "application/json", "authorization": f"Bearer {PUSH_SECRET}"}
    started = time.monotonic()
    answer = urllib3.request("POST", url, body=json.dumps(body), headers=headers, retries=False, timeout=PATIENCE_S)
    took_ms = 1000 * (time.monotonic() - started)
    inspection = context.inspections.get(image.inspection_id)
    if answer.status >= 300 or inspection is None or inspection.revision is None:
        raise TransientError(f"the function answered {answer.status} and gave no verdict")
    return took_ms


def _summary(starts: Sequence[Start]) -> dict[str, Any]:
    medians = {
        each.name: round(percentile((getattr(start, each.name) for start in starts), 50), 1) for each in fields(Start)
    }
    return {"starts": len(starts), **medians, "ratio": round(medians["first_board_ms"] / medians["next_board_ms"], 2)}


def table(report: dict[str, dict[str, Any]]) -> Table:
    """The same for a person."""
    told = Table("median, ms", *report, box=None, header_style="bold")
    for key, words in ROWS.items():
        told.add_row(words, *(str(summary[key]) for summary in report.values()))
    told.add_section()
    told.add_row("the first board / the next", *(str(summary["ratio"]) for summary in report.values()))
    return told

"""What open pages cost the gate: its own time a board with so many pages open, and with none, in turns of one run.

    uv run python -m tests.walls [--pages 50] [--rate 10] [--turns 6] [--pictures]

A real `linegate edge` inspects small boards, that many a second. The pages are real streams of `/lines/smt-1/live`; with
`--pictures` each also loads the annotated picture of each product that it is told of, as a browser does. The gate's own time is
that from the upload's arrival to the decision, without the detector and the slowest check.
"""

import argparse
import http.client
import json
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

import yaml

from linegate import bootstrap
from linegate.config import load
from linegate.search import Wanted, pages
from tests.boards import clean_board, defective_board
from tests.emulators import free_port

TURN_S: Final = 6.0
SETTLE_S: Final = 1.5


class Wall(threading.Thread):
    """One open page: takes its stream until it is closed, and the pictures it is told of."""

    def __init__(self, port: int, *, pictures: bool) -> None:
        super().__init__(daemon=True)
        self._port = port
        self._pictures = pictures
        self._open = True
        self.states = 0
        self.start()

    def run(self) -> None:
        with suppress(OSError, http.client.HTTPException):
            stream = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
            stream.request("GET", "/lines/smt-1/live")
            answer = stream.getresponse()
            beside, shown, name = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10), "", ""
            while self._open and (line := answer.readline()):
                if line.startswith(b"event:"):
                    name = line[7:].strip().decode()
                elif line.startswith(b"data:") and name == "state":
                    self.states += 1
                    state = json.loads(line[6:])
                    if self._pictures and state["verdict"] and state["marker"] != shown:
                        shown = state["marker"]
                        beside.request("GET", f"/pictures/{state['lead']}/annotated?revision=1")
                        beside.getresponse().read()
            stream.close()
            beside.close()

    def close(self) -> None:
        self._open = False


def measure(count: int, rate: float, turns: int, *, pictures: bool) -> dict[str, object]:
    """Turns without and with `count` pages; the gate's own time a board, in ms, and their ratio."""
    with tempfile.TemporaryDirectory(prefix="linegate-walls-") as name:
        folder, port = Path(name), free_port()
        (folder / "golden.png").write_bytes(clean_board())
        content = {
            "edge": {"data": "data"},
            "recipes": {"pcb": {"golden": "golden.png", "deadline_s": 60}},
            "lines": {"smt-1": {"recipe": "pcb"}},
            "station": {"listen": f"127.0.0.1:{port}"},
        }
        (folder / "linegate.yaml").write_text(yaml.safe_dump(content))
        command = "from linegate.commands.main import main; raise SystemExit(main())"
        with (folder / "log").open("wb") as log:
            gate = subprocess.Popen(
                [sys.executable, "-c", command, "edge", "--config", str(folder / "linegate.yaml")],
                stdout=log,
                stderr=log,
            )
        try:
            _wait_for(port)
            serials = _turns(folder / "data" / "uploads" / "smt-1" / "aoi", port, count, rate, turns, pictures)
        finally:
            gate.send_signal(signal.SIGTERM)
            gate.wait(20)
        return _told(folder, serials)


def _turns(
    uploads: Path, port: int, count: int, rate: float, turns: int, pictures: bool
) -> dict[str, tuple[str, int, int]]:
    """Upload in turns; of each serial whether pages were open, in which turn, and how many states one was told."""
    boards = [defective_board(), clean_board(noise=1)]
    uploads.mkdir(parents=True, exist_ok=True)
    serials: dict[str, tuple[str, int, int]] = {}
    for turn in range(-1, 2 * turns):  # the first one warms up
        with_pages = turn % 2 == 1
        walls = [Wall(port, pictures=pictures) for _ in range(count)] if with_pages else []
        time.sleep(SETTLE_S)
        began = time.monotonic()
        for number in range(round(rate * TURN_S)):
            time.sleep(max(0.0, began + number / rate - time.monotonic()))
            serial = f"T{turn:+}-{number:04}"
            part = uploads / "next.part"
            part.write_bytes(boards[number % 2])
            part.rename(uploads / f"{serial}.png")
            if turn >= 0:
                serials[serial] = ("pages" if with_pages else "none", turn, number)
        time.sleep(SETTLE_S)
        if walls:
            assert min(wall.states for wall in walls) > TURN_S, "a page was told too little"
        for wall in walls:
            wall.close()
    return serials


def _told(folder: Path, serials: dict[str, tuple[str, int, int]]) -> dict[str, object]:
    app = bootstrap.local(load(folder / "linegate.yaml"))
    own: dict[tuple[str, int], list[float]] = {}
    for page in pages(lambda cursor: app.context.queries.search(Wanted(), cursor, 200)):
        for item in page.items:
            if item.place.serial in serials and item.revision and item.manifest:
                slowest = max((check.latency_ms for check in item.revision.decision.checks), default=0.0)
                mine = item.timings.decided_ms - item.manifest.detector_ms - slowest
                own.setdefault(serials[item.place.serial][:2], []).append(mine)
    counted = sum(map(len, own.values()))
    assert counted == len(serials), f"{len(serials) - counted} boards have no verdict"
    medians = {
        name: [statistics.median(values) for (which, _), values in sorted(own.items()) if which == name]
        for name in ("none", "pages")
    }
    told = {name: round(statistics.median(values), 1) for name, values in medians.items()}
    ratios = [with_ / without for without, with_ in zip(medians["none"], medians["pages"], strict=True)]
    return {
        "boards": counted,
        "own_ms": told,
        "turns_ms": {name: [round(value, 1) for value in values] for name, values in medians.items()},
        "ratio": round(statistics.median(ratios), 3),
    }


def _wait_for(port: int) -> None:
    end = time.monotonic() + 30
    while time.monotonic() < end:
        with suppress(OSError):
            asked = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            asked.request("GET", "/healthz")
            asked.getresponse().read()
            asked.close()
            return
        time.sleep(0.1)
    raise SystemExit("the station does not answer")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--pages", type=int, default=50)
    parser.add_argument("--rate", type=float, default=10.0, help="boards a second")
    parser.add_argument("--turns", type=int, default=6, help="with pages, and as many without")
    parser.add_argument("--pictures", action="store_true", help="pages load pictures too")
    given = parser.parse_args()
    print(json.dumps(measure(given.pages, given.rate, given.turns, pictures=given.pictures), indent=2))


if __name__ == "__main__":
    main()

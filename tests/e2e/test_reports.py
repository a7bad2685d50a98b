"""Shift reports over real HTTP by the real process: what ended while the gate was off comes late, and once in effect however
often it is killed.
"""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from linegate.adapters.local.database import DATABASE, Database
from linegate.adapters.local.store import SqliteOutbox
from linegate.commands.listener import Listener, Received
from linegate.config import load
from tests.boards import clean_board, defective_board
from tests.e2e.line import SECRET, Hmi, Line
from tests.waiting import until

COMMAND = "from linegate.commands.main import main; raise SystemExit(main())"


@dataclass
class Slow(Hmi):
    """Takes its time, so that whoever sends to it can die meanwhile."""

    def receive(self, webhook: Received) -> None:
        super().receive(webhook)
        time.sleep(0.3)


@pytest.fixture
def office() -> Iterator[Slow]:
    heard = Slow()
    with Listener([SECRET], heard.receive) as listener:
        heard.url = listener.url
        yield heard


def start(line: Line) -> subprocess.Popen[bytes]:
    with (line.folder / "edge.log").open("ab") as log:
        command = [sys.executable, "-c", COMMAND, "edge", "--config", str(line.config)]
        return subprocess.Popen(command, stdout=log, stderr=log)


def kill(process: subprocess.Popen[bytes]) -> None:
    os.kill(process.pid, signal.SIGKILL)
    process.wait()


def states(data: Path) -> list[str]:
    with closing(sqlite3.connect(data / DATABASE, 30)) as connection:
        return [state for (state,) in connection.execute("SELECT state FROM outbox WHERE target = 'office'")]


def told(office: Slow) -> dict[str, list[dict[str, Any]]]:
    """What it heard, by webhook-id."""
    heard: dict[str, list[dict[str, Any]]] = {}
    for received in office.received:
        assert received.event is not None
        heard.setdefault(received.entry_id, []).append(received.event)
    return heard


def test_what_ended_while_the_gate_was_off_is_told_late_and_once_though_it_is_killed(
    make_line: Callable[..., Line], hmi: Hmi, office: Slow
) -> None:
    line = make_line(clean_board(), sweep_s=0.5, lease_s=3)
    hour = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    begins = {"one": hour - timedelta(hours=5), "two": hour - timedelta(hours=3), "three": hour - timedelta(hours=1)}
    content = yaml.safe_load(line.config.read_text())
    content["targets"]["office"] = {"url": office.url, "secrets": [SECRET], "verdicts": [], "reports": True}
    content["station"] = {"listen": "127.0.0.1:0", "shifts": {name: f"{at:%H:%M}" for name, at in begins.items()}}
    line.config.write_text(yaml.safe_dump(content))
    line = Line(line.folder, load(line.config))
    with closing(Database(line.data / DATABASE)) as database:  # it heard of shifts last four hours ago
        SqliteOutbox(database).note_reported("office", hour - timedelta(hours=4))

    process = start(line)
    try:
        until(lambda: len(office.received) >= 1, 60)
        kill(process)  # while they are being sent
        process = start(line)
        assert hmi.wait_for(line.upload("smt-1/aoi/A1.png", defective_board()))["verdict"] == "FAIL"
        until(lambda: states(line.data) == ["SENT", "SENT"], 60)
        process.terminate()
        assert process.wait(15) == 0
    finally:
        process.kill()
        process.wait()
    heard = told(office)
    expected = [f"report:{begins[name]:%Y-%m-%d}:{name}_r1_office" for name in ("one", "two")]
    assert sorted(heard) == sorted(expected)
    assert all(each == events[0] for events in heard.values() for each in events), "one id, the same bytes"
    assert {events[0]["type"] for events in heard.values()} == {"shift.ended"}
    assert all(received.event and received.event["type"] == "inspection.decided" for received in hmi.received)

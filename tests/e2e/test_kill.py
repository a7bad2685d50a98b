"""`kill -9` of the real process at random moments: every upload gets exactly one first verdict, and nobody is left untold."""

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

from tests.boards import clean_board, defective_board
from tests.e2e.line import Hmi, Line

UPLOADS = 100
KILLS = 8
SEED = 20260301


def start(line: Line) -> subprocess.Popen[bytes]:
    with (line.folder / "edge.log").open("ab") as log:
        return subprocess.Popen(
            [
                sys.executable,
                "-c",
                "from linegate.commands.main import main; raise SystemExit(main())",
                "edge",
                "--config",
                str(line.config),
            ],
            stderr=log,
            stdout=log,
        )


def rows(line: Line, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(line.data / "linegate.db", 30)) as connection:
        return connection.execute(query).fetchall()


def decided(line: Line) -> int:
    try:
        return int(str(rows(line, "SELECT count(*) FROM inspections WHERE revision > 0")[0][0]))
    except sqlite3.Error:
        return 0


def test_kill_at_random_moments_loses_nothing(make_line: Callable[..., Line], hmi: Hmi) -> None:
    rng = random.Random(SEED)
    line = make_line(clean_board())
    good, bad = clean_board(noise=3), defective_board()

    def upload(count: int) -> None:
        for number in range(len(names), min(UPLOADS, len(names) + count)):
            names.append(line.upload(f"smt-1/aoi/{number:03}.png", bad if number % 3 else good))

    names: list[str] = []
    upload(UPLOADS // 2)
    moments: list[int] = []  # how many boards were decided when the process was killed
    process = start(line)
    try:
        for _ in range(KILLS):
            before, patience = decided(line), time.monotonic() + 20
            wanted = before + rng.randint(0, 12)
            while decided(line) < wanted and time.monotonic() < patience:
                time.sleep(0.005)
            time.sleep(rng.uniform(0, 0.1))
            os.kill(process.pid, signal.SIGKILL)
            process.wait()
            moments.append(decided(line))
            upload(10)  # cameras go on while the gate is down
            process = start(line)
        end = time.monotonic() + 90
        while time.monotonic() < end and (
            decided(line) < UPLOADS or rows(line, "SELECT 1 FROM messages WHERE topic <> 'sweeps' LIMIT 1")
        ):
            time.sleep(0.1)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    finally:
        process.kill()
    log = (line.folder / "edge.log").read_text()
    under_way = [moment for moment in moments if 0 < moment < UPLOADS]
    assert len(under_way) >= KILLS // 2, f"killed before or after the work, not during it: {moments}\n{log[-2000:]}"

    assert len(names) == UPLOADS
    documents = [json.loads(str(text)) for (text,) in rows(line, "SELECT document FROM inspections")]
    assert Counter(document["image"]["name"] for document in documents) == Counter(names), (
        "each upload has one inspection"
    )
    firsts = Counter(identity for (identity,) in rows(line, "SELECT inspection_id FROM revisions WHERE number = 1"))
    assert set(firsts) == {document["inspection_id"] for document in documents}
    assert set(firsts.values()) == {1}
    for document in documents:
        number = int(Path(document["image"]["name"]).stem)
        verdict = document["revision"]["decision"]["verdict"]
        assert verdict == ("FAIL" if number % 3 else "PASS"), document["revision"]
        assert (line.data / document["revision"]["annotated"]).stat().st_size > 0
    assert {data["image"]["name"] for data in hmi.data()} == set(names), "the HMI heard of each at least once"
    bodies: dict[str, set[str]] = {}
    for received in hmi.received:
        bodies.setdefault(received.entry_id, set()).add(json.dumps(received.event))
    assert all(len(told) == 1 for told in bodies.values()), "one webhook-id always carries the same body"
    assert rows(line, "SELECT * FROM messages WHERE topic LIKE '%-dead'") == []
    assert rows(line, "SELECT * FROM outbox WHERE state <> 'SENT'") == []

"""What pages and counts cost in a database with so many inspections, in ms; and what bringing up an earlier one takes:

    uv run python -m tests.history 1000000

The inspections are written by SQL, as a gate would have left them in a year: three lines, 3 % FAIL, 2 % REVIEW, each with three
findings. `tests/unit/test_catalogue.py` builds smaller ones.
"""

import json
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Final

from linegate.adapters.local import catalogue
from linegate.adapters.local.database import DATABASE, Database
from linegate.adapters.local.queries import SqliteQueries
from linegate.answers import Disposition
from linegate.deciders import Decider
from linegate.inspection import Check, Inspection, Manifest, Result, Revision, Verdict
from linegate.search import By, Wanted, marks
from linegate.stored import dump_json
from linegate.verdict import decide
from tests.contract.examples import board
from tests.fakes import START, detection

YEAR_S: Final = 365 * 86_400
RESULTS: Final = {Verdict.PASS: Result.PASS, Verdict.FAIL: Result.FAIL, Verdict.REVIEW: Result.UNSURE}
WEIGHTS: Final = (95, 3, 2)
LINES: Final = ("smt-1", "smt-2", "smt-3")
# A page's question ▶ what is asked; the last ones have next to nothing that fits.
QUESTIONS: Final = {
    "newest": Wanted(),
    "a line's newest": Wanted(line="smt-2"),
    "a line's FAIL": Wanted(line="smt-2", verdict=Verdict.FAIL),
    "a class": Wanted(class_name="short"),
    "a serial": Wanted(serial="S77"),
    "a day, oldest first": Wanted(
        since=START + timedelta(days=100), until=START + timedelta(days=101), oldest_first=True
    ),
    "a class on a line": Wanted(class_name="short", line="smt-3"),
    "persons'": Wanted(decided_by=By.PERSON),
    "false calls": Wanted(disposition=Disposition.FALSE_CALL),
    "a recipe's ERROR (none)": Wanted(recipe="pcb", verdict=Verdict.ERROR),
    "a class that PASSED (none)": Wanted(class_name="short", verdict=Verdict.PASS),
}


def decided(verdict: Verdict) -> tuple[Inspection, Revision]:
    """A product as any of these is."""
    manifest = Manifest.of([detection(name) for name in ("short", "spur", "open")], width=2000, height=1500)
    checks = {
        index: Check(index, RESULTS[verdict], "What the verifier saw there, in a sentence.") for index in range(3)
    }
    revision = Revision(1, Decider.check(2), START, decide(manifest, checks), "results/x/r1.jpg")
    return replace(board(), manifest=manifest, revision=revision), revision


def build(path: Path, size: int, *, catalogued: bool = True) -> None:
    """A database with `size` decided inspections; `catalogued`, or as an earlier release would have left it."""
    rng = random.Random(1)
    templates = {}
    for verdict in RESULTS:
        one, revision = decided(verdict)
        templates[verdict] = (dump_json(one), dump_json(revision), marks(one.manifest, [revision]))
    Database(path).close()
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("BEGIN")
        for number in range(size):
            (verdict,) = rng.choices(tuple(RESULTS), WEIGHTS)
            line, identity = rng.choice(LINES), f"{rng.getrandbits(128):032x}"
            at = START + timedelta(seconds=YEAR_S * number / size)
            document, revision_, marked = templates[verdict]
            place = json.dumps({"line": line, "station": "s", "serial": f"S{number // 3}"})
            document = document.replace(f'"{"0" * 32}"', f'"{identity}"').replace(
                '{"line":"l","station":"s","serial":"ü"}', place
            )
            document = document.replace(
                f'"received_at":"{START:%Y-%m-%dT%H:%M:%SZ}"', f'"received_at":"{at.isoformat()}"'
            )
            connection.execute(
                "INSERT INTO inspections VALUES (?, ?, ?, 1, ?)",
                (identity, at.timestamp(), at.timestamp(), document),
            )
            connection.execute("INSERT INTO revisions VALUES (?, 1, ?)", (identity, revision_))
            if catalogued:
                waiting = verdict is not Verdict.PASS
                connection.execute(
                    "INSERT INTO catalogue VALUES (?, ?, ?, ?, 'pcb', ?, ?, 'machine', ?, 1)",
                    (number + 1, identity, at.timestamp(), line, f"S{number // 3}", verdict.value, waiting),
                )
                connection.executemany(
                    "INSERT INTO marks VALUES (?, ?, ?)", [(mark, at.timestamp(), number + 1) for mark in marked]
                )
        if catalogued:
            _counts(connection)
        else:
            connection.execute(catalogue.REMEMBER)
        connection.execute("COMMIT")


def _counts(connection: sqlite3.Connection) -> None:
    """Of a year in which each hour of each line has thirty counters."""
    connection.execute(
        """WITH RECURSIVE hours (n) AS (SELECT 0 UNION ALL SELECT n + 1 FROM hours WHERE n < 8759),
        counters (c) AS (SELECT 0 UNION ALL SELECT c + 1 FROM counters WHERE c < 29),
        lines (line) AS (VALUES ('smt-1'), ('smt-2'), ('smt-3'))
        INSERT INTO rollups SELECT line, ? + 3600 * n, 'pcb', 'latency|' || c, 40 FROM lines, hours, counters""",
        (int(START.timestamp()),),
    )


def took_ms(work: Callable[[], object]) -> float:
    before = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - before)


def measure(queries: SqliteQueries) -> dict[str, float]:
    """The median of five runs of each question: its first page, and the page behind."""
    told: dict[str, float] = {}

    def put(name: str, work: Callable[[], object]) -> None:
        told[name] = round(statistics.median(took_ms(work) for _ in range(5)), 1)

    for name, wanted in QUESTIONS.items():
        first = queries.search(wanted)
        put(name, lambda wanted=wanted: queries.search(wanted))  # type: ignore[misc]
        if first.next:
            put(
                f"{name}, next page",
                lambda wanted=wanted, cursor=first.next: queries.search(wanted, cursor),  # type: ignore[misc]
            )
    put("what waits", queries.waiting)
    put("what waits on two lines", lambda: queries.waiting(LINES[:2]))
    put("found by serial", lambda: queries.find("S77", 20))
    end = START + timedelta(days=365)
    put("counts of a day by hour", lambda: queries.counts("smt-1", None, end - timedelta(days=1), end))
    put("counts of a month by day", lambda: queries.counts("smt-1", None, end - timedelta(days=30), end, "day"))
    return told


def added_ms(path: Path) -> float:
    """What opening and deciding a product takes more, in the transaction that does so."""
    times = []
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        for number in range(500):
            one, first = decided((Verdict.PASS, Verdict.FAIL)[number % 2])
            one = replace(one, inspection_id=f"{number:032x}", received_at=START + timedelta(seconds=YEAR_S + number))
            enter, revise = partial(catalogue.enter, connection, one), partial(catalogue.revise, connection, one, first)
            times.append(took_ms(enter) + took_ms(revise))
        connection.execute("ROLLBACK")
    return statistics.median(times)


def main(size: int, earlier: int = 5000) -> None:
    with tempfile.TemporaryDirectory(prefix="linegate-history-") as name:
        path = Path(name) / DATABASE
        build(path, size)
        Database(path).close()  # what was written goes to the disk
        opening = took_ms(lambda: Database(path).close())
        with closing(Database(path)) as database:
            told = measure(SqliteQueries(database))
        mib = path.stat().st_size / (1 << 20)
        old = Path(name) / "earlier.db"
        build(old, earlier, catalogued=False)
        filled = took_ms(lambda: Database(old).close()) / earlier
        written = added_ms(path)
    told = {"MiB": round(mib), "opened": round(opening, 1), **told, "brought up, each": round(filled, 2)}
    print(json.dumps(told | {"written with each product": round(written, 2)}, indent=2))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))

"""The data folder of an earlier release, opened by this one: everything in it is as it was, and goes on.

tests/fixtures/release-* are folders as those releases left them: boards of all verdicts (LATE was corrected), one that is
undecided (WAITING), dead letters of an upload (LOST) and of notifications, a target that was disabled by its answer; and what
they told of it. Of the pictures only those are kept that are still to be read.
"""

import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import structlog
import yaml

from linegate import logs
from linegate.commands.main import main
from linegate.config import load
from linegate.edge.housekeeping import DAY_S, Housekeeper
from linegate.edge.runtime import open_database
from tests.boards import clean_board
from tests.e2e.line import SECRET, Hmi, Line, files, running
from tests.waiting import until

RELEASES = sorted((Path(__file__).parents[1] / "fixtures").glob("release-*"))
THERE = "/srv/linegate/data"  # where the folder lay


@dataclass
class Former:
    """A line as an earlier release left it, and what that release told of it."""

    line: Line
    told: dict[str, Any]

    def ids(self) -> dict[str, str]:
        """Serial ▶ id"""
        return {board["serial"]: board["inspection_id"] for board in self.told["list"]}


@pytest.fixture(params=RELEASES, ids=lambda path: path.name)
def former(request: pytest.FixtureRequest, tmp_path: Path, hmi: Hmi) -> Iterator[Former]:
    folder = tmp_path / "line"
    shutil.copytree(request.param, folder / "data")
    told = json.loads((folder / "data" / "told.json").read_text())
    (folder / "data" / "told.json").unlink()
    _moved_here(folder / "data")
    for golden in ("golden", "lost", "waiting"):
        (folder / f"{golden}.png").write_bytes(clean_board())
    target = {"url": hmi.url, "secrets": [SECRET]}
    content = {
        "edge": {"data": "data", "retry": {"minimum_s": 0.1, "maximum_s": 1}, "workers": {"processes": 1}},
        "recipes": {name: {"golden": f"{name}.png"} for name in ("golden", "lost", "waiting")},
        "lines": {"smt-1": {"recipe": "golden"}, "smt-3": {"recipe": "lost"}, "smt-4": {"recipe": "waiting"}},
        "targets": {"hmi": target, "mes": target, "board": target},
        "network": {"private_addresses": ["127.0.0.0/8"]},
    }
    (folder / "linegate.yaml").write_text(yaml.safe_dump(content))
    logs.configure("CRITICAL")
    yield Former(Line(folder, load(folder / "linegate.yaml")), told)
    structlog.reset_defaults()


def _moved_here(data: Path) -> None:
    """Let the index say of the files what is true of them here; what is under way is due, whatever this machine's clock says."""
    with closing(sqlite3.connect(data / "linegate.db")) as connection, connection:
        for generation, raw in connection.execute("SELECT generation, path FROM objects").fetchall():
            path = data / Path(os.fsdecode(raw)).relative_to(THERE)
            update = "UPDATE objects SET path = ? WHERE generation = ?"
            connection.execute(update, (os.fsencode(path), generation))
            if path.is_file():
                found = path.stat()
                update = "UPDATE objects SET inode = ?, mtime_ns = ? WHERE generation = ?"
                connection.execute(update, (found.st_ino, found.st_mtime_ns, generation))
        connection.execute("UPDATE messages SET due_at = 0 WHERE topic = 'uploads'")


def _holds(before: Any, now: Any) -> bool:
    """Whether all that was told before is told now; there may be more."""
    if isinstance(before, dict):
        return all(key in now and _holds(value, now[key]) for key, value in before.items())
    if isinstance(before, list):
        return len(before) == len(now) and all(map(_holds, before, now))
    return bool(before == now)


def _said(former: Former, capsys: pytest.CaptureFixture[str], *arguments: str) -> Any:
    capsys.readouterr()
    assert main([*arguments, "--json", "--config", str(former.line.config)]) == 0
    return json.loads(capsys.readouterr().out)


def test_all_that_was_known_is_told_as_it_was(former: Former, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in ("as it was left", "brought up to date, by `status`"):
        assert _holds(former.told["list"], _said(former, capsys, "list"))
        for board in former.told["show"]:
            (now,) = _said(former, capsys, "show", board["inspection_id"])
            for revision in now["revisions"]:
                revision["annotated"] = (revision["annotated"] or "").removeprefix(f"{former.line.data}/")
            assert _holds(board, now)
        status = _said(former, capsys, "status")
        status["inspections"]["overdue"] = 0  # which depends on the day
        assert _holds(former.told["status"], status)


def test_what_was_under_way_goes_on_and_what_lay_dead_is_replayed(
    former: Former, hmi: Hmi, capsys: pytest.CaptureFixture[str]
) -> None:
    ids, config = former.ids(), str(former.line.config)
    assert main(["replay", "--config", config]) == 0
    assert "5 dead letters" in capsys.readouterr().out
    assert main(["enable", "board", "--config", config]) == 0
    undelivered = {f"{ids[serial]}_r1_mes" for serial in ("GOOD", "BAD", "ODD", "BROKEN")} | {f"{ids['BAD']}_r1_board"}
    with running(former.line) as runtime:
        inspections = runtime.app.context.inspections

        def verdict(serial: str) -> tuple[str, bool] | None:
            inspection = inspections.get(ids[serial])
            assert inspection is not None
            decision = inspection.revision.decision if inspection.revision else None
            return (decision.verdict.value, decision.complete) if decision else None

        until(lambda: verdict("WAITING") == verdict("LOST") == ("PASS", True), 30)
        until(lambda: undelivered <= {received.entry_id for received in hmi.received if received.event}, 30)
        until(lambda: runtime.app.context.queries.undelivered() == [])
        assert [revision.number for revision in runtime.app.context.queries.revisions(ids["LOST"])] == [1, 2]
        assert verdict("LATE") == ("PASS", True)


def test_what_is_old_is_removed_and_what_is_undecided_stays(former: Former) -> None:
    ids, line = former.ids(), former.line
    with closing(open_database(line.settings)) as database:
        ((newest,),) = database.read("SELECT max(received_at) FROM inspections")
        passed = [3600.0]
        keeper = Housekeeper(database, line.settings, lambda: newest + passed[0], lambda: passed[0])
        removed = 0
        for _ in range(round(line.settings.edge.retention_days) + 3):
            removed += keeper.run()
            passed[0] += DAY_S
        assert removed == len(ids) - 1
        for table, kept in {"inspections": 1, "objects": 1, "checks": 0, "revisions": 0, "outbox": 0}.items():
            assert database.read(f"SELECT count(*) FROM {table}") == [(kept,)], table
        assert database.read("SELECT id FROM inspections") == [(ids["WAITING"],)]
    assert [path.name for path in files(line.data / "archive")] == []
    assert [path.name for path in files(line.data / "uploads")] == ["WAITING.png"]

"""A line's controller and the whole gate: from trigger to acknowledgement, without a picture, and with dead workers."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from linegate.adapters.targets.controller import HandshakeTarget, LineSide
from linegate.bootstrap import local
from linegate.commands.main import main
from linegate.commands.status import collect
from linegate.config import load
from linegate.edge.runtime import Runtime
from linegate.errors import TransientError
from linegate.inspection import Verdict
from linegate.line.handshake import Code, Signals
from linegate.line.peer import Decision, Peer, ask, hear, says
from tests.boards import clean_board, defective_board
from tests.controllers import eventually, free_port
from tests.e2e.line import Hmi, Line, running
from tests.stations import ask as ask_page
from tests.stations import station
from tests.waiting import until


@pytest.fixture
def line(make_line: Callable[..., Line]) -> Line:
    line = make_line(clean_board())
    content = yaml.safe_load(line.config.read_text())
    plc = {"type": "modbus", "listen": f"127.0.0.1:{free_port()}", "lines": ["smt-1"], "limit_s": 60, "picture_s": 60}
    content["targets"]["plc"] = plc
    line.config.write_text(yaml.safe_dump(content))
    return Line(line.folder, load(line.config))


@dataclass
class Plc:
    side: LineSide
    peer: Peer = field(default_factory=Peer)
    shown: Signals | None = None
    decisions: list[Decision] = field(default_factory=list)

    def turn(self) -> bool:
        try:
            self.shown = self.side.exchange(says(self.peer))
        except TransientError:
            return False
        assert self.shown is not None
        self.peer, decision = hear(self.peer, self.shown, datetime.now(UTC))
        self.decisions += [decision] if decision else []
        return True

    def until(self, condition: Callable[[], bool], seconds: float = 60) -> None:
        eventually(lambda: self.turn() and condition(), seconds)

    def ready(self) -> bool:
        return self.shown is not None and self.shown.ready and self.peer.beat_at is not None

    def ask(self, part: str) -> None:
        self.until(self.ready)
        self.peer = ask(self.peer, part, datetime.now(UTC) + timedelta(seconds=60))
        self.until(lambda: self.peer.asking is None)


@pytest.fixture
def plc(line: Line) -> Iterator[Plc]:
    kind = line.settings.targets["plc"]
    assert isinstance(kind, HandshakeTarget)
    with closing(kind.line_side("smt-1", local(line.settings).around(kind))) as side:
        yield Plc(side)


def test_from_trigger_to_acknowledgement_through_the_whole_gate(
    line: Line, plc: Plc, hmi: Hmi, capsys: pytest.CaptureFixture[str]
) -> None:
    with running(line) as runtime:
        for part, board in (("GOOD", clean_board(noise=3)), ("BAD", defective_board())):
            plc.ask(part)
            line.upload(f"smt-1/aoi/{part}.png", board)
            plc.until(lambda: not plc.peer.waiting)
        assert [(each.part, each.accept) for each in plc.decisions] == [("GOOD", True), ("BAD", False)]
        plc.until(lambda: plc.shown is not None and not plc.shown.available)
        until(lambda: collect(runtime.database)["controllers"][0]["connected"])  # what is said of it waits for no disk
        (told,) = collect(runtime.database)["controllers"]
        assert (told["target"], told["line"], told["connected"]) == ("plc", "smt-1", True)
        assert (told["acknowledged"], told["waiting"]) == (2, 0)
        assert [entry for entry in runtime.app.context.queries.undelivered() if entry.target == "plc"] == []
        with station(runtime.app) as url:
            page = " ".join(ask_page(url + "/")[1].decode().split())
        assert "plc connected · took its last result" in page
    (told,) = json.loads(status_of(line, capsys))["controllers"]
    assert (told["connected"], told["acknowledged"]) == (False, 2)  # whatever it said last: the gate runs no more
    assert {data["serial"] for data in hmi.data()} == {"GOOD", "BAD"}


def status_of(line: Line, capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert main(["status", "--json", "--config", str(line.config)]) == 0
    return capsys.readouterr().out


def dead_workers(runtime: Runtime) -> None:
    assert runtime.workers is not None
    for worker in runtime.workers._workers:
        assert worker.pid is not None
        os.kill(worker.pid, signal.SIGKILL)


def test_a_gate_whose_workers_are_dead_has_no_heartbeat_within_a_second_and_finds_others(line: Line, plc: Plc) -> None:
    with running(line) as runtime:
        plc.until(plc.ready)
        dead_workers(runtime)
        began = time.monotonic()
        plc.until(lambda: plc.shown is not None and plc.shown.code is Code.CAN_NOT_DECIDE)
        assert time.monotonic() - began < 5  # a second, and what the machine that tests takes
        plc.until(plc.ready)


def test_a_part_whose_picture_never_comes_is_an_error_for_everybody(line: Line, plc: Plc, hmi: Hmi) -> None:
    target = line.settings.targets["plc"].model_copy(update={"picture_s": 0.5})
    settings = line.settings.model_copy(update={"targets": {**line.settings.targets, "plc": target}})
    with running(Line(line.folder, settings)):
        plc.ask("GONE")
        plc.until(lambda: not plc.peer.waiting)
        (decision,) = plc.decisions
        assert decision.result and (decision.accept, decision.result.verdict) == (False, Verdict.ERROR)
        assert decision.result.code is Code.NO_PICTURE
        data = hmi.wait_for("no-picture/smt-1/GONE")
        assert (data["serial"], data["verdict"]) == ("GONE", "ERROR")


def test_listen_plays_the_line(line: Line, hmi: Hmi, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with running(line) as runtime:
        plc = runtime.app.conversations["plc", "smt-1"]

        def take_picture() -> None:
            if plc.waiting:
                line.upload("smt-1/aoi/A1.png", clean_board(noise=3))

        plc.on_change(take_picture)
        assert main(["listen", "modbus", "--part", "A1", "--json", "--config", str(line.config)]) == 0
    heard = [json.loads(text) for text in capsys.readouterr().out.splitlines() if text.startswith("{")]
    results = [each for each in heard if "verdict" in each]
    assert [(each["part"], each["verdict"], each["accept"]) for each in results] == [("A1", "PASS", True)]
    assert main(["listen", "hmi", "--config", str(line.config)]) == 64

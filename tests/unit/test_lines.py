"""The runtime's part in conversations with lines: pictures that came, parts without one, and looks for the heartbeat."""

import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from linegate import bootstrap
from linegate.adapters.local.bus import LocalBus
from linegate.adapters.local.database import DATABASE, Database
from linegate.adapters.targets.controller import decided_of
from linegate.config import parse
from linegate.edge.ability import Ability
from linegate.edge.dispatcher import Dispatcher
from linegate.edge.functions import Response
from linegate.edge.intake import Intake
from linegate.edge.lines import Lines
from linegate.errors import TransientError
from linegate.handlers.arrivals import catch_up
from linegate.inspection import Verdict
from linegate.line.conversation import KeptConversation
from linegate.line.handshake import Code, Phase, Rules, State
from linegate.line.keeper import Keeper
from linegate.ports import Message
from tests.fakes import MemoryBus
from tests.harness import Gate


@dataclass
class Disk:
    """What survives a kill; a write fails while it is `full`."""

    state: State | None = None
    full: bool = False

    def read(self) -> State | None:
        return self.state

    def write(self, state: State) -> None:
        if self.full:
            raise TransientError("the disk is full")
        self.state = state


@dataclass
class World:
    """A gate in memory, and its conversation with a line."""

    gate: Gate = field(default_factory=Gate)
    disk: Disk = field(default_factory=Disk)
    line: str = "smt-1"

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        """As a process does that finds only what was stored."""
        self.app = bootstrap.App(self.gate.settings, self.gate.context, lambda _: b"")
        self.conversation = KeptConversation(self.line, Keeper(Rules(), self.disk), self.gate.clock.now)
        catch_up(self.gate.context, self.conversation)
        self.app.conversations["plc", self.line] = self.conversation
        self.lines = Lines(self.app)

    def upload(self, part: str) -> None:
        self.gate.upload(f"uploads/{self.line}/aoi/{part}.png")
        self.gate.run("uploads")

    @property
    def phases(self) -> dict[str, Phase]:
        return {job.part: job.phase for job in self.conversation.waiting}


@pytest.fixture
def world() -> World:
    return World()


def told(gate: Gate) -> list[tuple[str, str, str]]:
    return [(data["serial"], data["line"], data["verdict"]) for data in gate.told("hmi")]


def test_a_part_without_a_picture_is_an_error_of_which_everybody_is_told(world: World) -> None:
    world.conversation.trigger(1, "A1")
    world.gate.clock.advance(4.9)
    world.lines.tell_missing()
    world.gate.run()
    assert told(world.gate) == []
    world.gate.clock.advance(0.2)
    world.lines.tell_missing()
    world.gate.run()
    assert told(world.gate) == [("A1", "smt-1", "ERROR")]
    assert [data["verdict"] for data in world.gate.told("alarm")] == ["ERROR"]
    (data,) = world.gate.told("hmi")
    assert data["reasons"] == ["no picture of this part came within 5 s of its trigger (job 1)"]
    (board,) = world.gate.context.queries.find("A1", 1)
    assert board.revision and board.revision.decision.verdict is Verdict.ERROR
    shown = world.conversation.signals()
    assert shown.result and (shown.result.verdict, shown.result.code) == (Verdict.ERROR, Code.NO_PICTURE)


def test_they_are_told_once_however_often_the_gate_is_killed_over_it(world: World) -> None:
    """Killed before it is committed, between commit and publication, and before the conversation knows."""
    world.conversation.trigger(1, "A1")
    world.gate.clock.advance(6)

    class Refusing(MemoryBus):
        def publish(self, topic: str, messages: Sequence[Message]) -> None:
            raise TransientError("killed here")

    sound = world.gate.bus
    for cut in ("publish", "told", "nowhere", "nowhere"):
        world.gate.bus = Refusing() if cut == "publish" else sound
        world.start()
        world.conversation.signals()
        world.disk.full = cut == "told"
        world.lines.tell_missing()
        world.disk.full = False
        world.gate.bus = sound
        world.gate.run()
        world.gate.clock.advance(1)
    assert told(world.gate) == [("A1", "smt-1", "ERROR")]
    assert world.conversation.untold() == ()


def test_the_same_part_without_a_picture_again_is_told_again(world: World) -> None:
    for job in (1, 2):
        world.conversation.trigger(job, "A1")
        world.gate.clock.advance(6)
        world.lines.tell_missing()
        world.gate.run()
        world.conversation.acknowledge(job)
    assert told(world.gate) == [("A1", "smt-1", "ERROR")] * 2


def test_its_own_error_is_no_verdict_of_the_next_job_for_the_part(world: World) -> None:
    world.conversation.trigger(1, "A1")
    world.gate.clock.advance(6)
    world.lines.tell_missing()
    world.gate.run()
    world.conversation.trigger(2, "A1")
    body = world.gate.targets["hmi"].sent[0][1]
    decided = decided_of(body)
    assert decided is not None
    world.conversation.decided(decided)
    assert world.conversation.waiting[1].phase is Phase.TRIGGERED


def test_a_picture_makes_its_job_busy(world: World) -> None:
    world.conversation.trigger(1, "A1")
    world.gate.clock.advance(1)
    world.upload("A1")
    (board,) = world.gate.context.queries.find("A1", 1)
    world.lines.pictured(board)
    assert world.phases == {"A1": Phase.BUSY}
    world.lines.pictured(replace(board, place=replace(board.place, line="smt-2")))
    assert world.conversation.waiting[0].picture == board.inspection_id


def test_a_picture_that_can_not_be_told_now_is_told_later(world: World) -> None:
    world.conversation.trigger(1, "A1")
    world.gate.clock.advance(1)
    world.upload("A1")
    (board,) = world.gate.context.queries.find("A1", 1)
    world.disk.full = True
    world.lines.pictured(board)
    assert world.phases == {"A1": Phase.TRIGGERED}
    world.disk.full = False
    world.gate.clock.advance(8)
    world.lines.tell_missing()
    assert world.phases == {"A1": Phase.BUSY}
    assert told(world.gate) == []


def test_a_gate_that_was_killed_over_a_picture_finds_it_when_it_starts(world: World) -> None:
    world.conversation.trigger(1, "A1")
    world.gate.clock.advance(1)
    world.upload("A1")
    world.gate.clock.advance(8)
    world.start()
    world.lines.tell_missing()
    assert world.phases == {"A1": Phase.BUSY}
    assert told(world.gate) == []


def test_a_part_that_can_not_be_told_of_keeps_no_other_waiting(world: World) -> None:
    world.conversation.trigger(1, "\ud800" * 300)
    world.conversation.trigger(2, "A/../2\x00")
    world.gate.clock.advance(6)
    world.lines.tell_missing()
    world.gate.run()
    assert [serial for serial, *_ in told(world.gate)] == ["?" * 200, "A/../2?"]


# --- looks


def test_a_store_that_can_be_written_costs_the_disk_nothing_to_look_at(tmp_path: Path) -> None:
    with closing(Database(tmp_path / DATABASE)) as database:
        before = database.pulse()
        assert [database.look(1) for _ in range(5)] == [""] * 5
        assert database.pulse() == before


def test_a_store_that_somebody_else_holds_does_not_answer(tmp_path: Path) -> None:
    with (
        closing(Database(tmp_path / DATABASE)) as database,
        closing(sqlite3.connect(database.path, isolation_level=None)) as other,
    ):
        other.execute("BEGIN IMMEDIATE")
        assert database.look(0.05) == "the store does not answer"
        assert database.look(0.05) == "the store does not answer"
        other.execute("ROLLBACK")
        wait_for(lambda: database.look(0.5) == "")


def test_after_a_write_that_failed_a_look_writes(tmp_path: Path) -> None:
    def fail(connection: sqlite3.Connection) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with closing(Database(tmp_path / DATABASE)) as database:
        with pytest.raises(TransientError):
            database.write(fail)
        before = database.pulse()
        assert database.look(1) == ""
        assert database.pulse() != before


def test_a_gate_can_decide_while_pictures_are_taken_up_messages_move_and_its_recipe_is_there(tmp_path: Path) -> None:
    settings = parse("recipes: {pcb: {golden: g.png}}\nlines: {smt-1: {recipe: pcb}}", tmp_path, {})
    lacks: dict[str, str] = {}
    with closing(Database(settings.data / DATABASE)) as database:
        bus = LocalBus(database)
        dispatcher, intake = Dispatcher(bus, settings, lambda *_: Response(200)), Intake(database, bus, settings)
        ability = Ability(settings, database, dispatcher, intake, lambda recipe: lacks.get(recipe, ""))
        assert ability.gate() == "no picture is taken up"
        intake.start()
        dispatcher.start()
        wait_for(lambda: ability.gate() == "")
        assert ability.line("smt-1") == ""
        lacks["pcb"] = "its golden picture is gone"
        assert ability.line("smt-1") == "its golden picture is gone"
        dispatcher.stop()
        wait_for(lambda: ability.gate() == "no message is delivered")
        intake.stop(5)
        assert ability.gate() == "no picture is taken up"


def test_a_look_that_hangs_or_breaks_gives_no_heartbeat(world: World) -> None:
    class Broken(Ability):
        def __init__(self) -> None:
            pass

        def gate(self) -> str:
            raise OSError("the disk is gone")

    world.lines.start(Broken())
    threading.Event().wait(0.5)
    assert world.lines.stop(5)
    assert world.conversation.signals().code is Code.CAN_NOT_DECIDE


def wait_for(condition: Callable[[], bool]) -> None:
    event = threading.Event()
    for _ in range(500):
        if condition():
            return
        event.wait(0.02)
    raise AssertionError("it never came")

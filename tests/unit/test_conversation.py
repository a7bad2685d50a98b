"""The line's conversation with the gate, as a protocol has it: stored in the gate's own file, one for each target and line."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

import pytest

from linegate import bootstrap
from linegate.adapters.local.bus import LocalBus
from linegate.adapters.local.database import DATABASE, Database
from linegate.adapters.local.handshakes import SqliteHandshake, controllers, forget_links, links
from linegate.adapters.targets.controller import HandshakeTarget, decided_of, tell
from linegate.config import parse
from linegate.errors import DeferredError, TransientError
from linegate.inspection import Verdict
from linegate.kind import Surroundings
from linegate.line.conversation import Conversation, KeptConversation
from linegate.line.handshake import Code, Decided, Picture, Rules
from linegate.line.keeper import Keeper
from linegate.ports import Target
from tests.fakes import START, ManualClock
from tests.harness import Gate

CONFIG = "recipes: {pcb: {golden: golden.png}}\nlines: {smt-1: {recipe: pcb}, smt-2: {recipe: pcb}}"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


Start = Callable[..., KeptConversation]


@pytest.fixture
def start(tmp_path: Path, clock: ManualClock) -> Iterator[Start]:
    """A conversation as a process finds it that starts now: with nothing but what the file holds."""
    with closing(Database(tmp_path / DATABASE)) as database:

        def started(target: str = "plc", line: str = "smt-1", rules: Rules = Rules()) -> KeptConversation:
            return KeptConversation(line, Keeper(rules, SqliteHandshake(database, target, line)), clock.now)

        yield started


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def test_whoever_starts_again_goes_on_where_the_line_was_left(start: Start, clock: ManualClock) -> None:
    start().trigger(5, "A1")
    clock.advance(1)
    start().pictured(Picture("one", "A1", clock.now()))
    assert start().signals().busy
    start().decided(Decided("one", "A1", clock.now(), Verdict.FAIL))
    shown = start().signals()
    assert shown.result and (shown.result.job, shown.result.part, shown.result.verdict) == (5, "A1", Verdict.FAIL)
    start().acknowledge(shown.counter)
    after = start().signals()
    assert (after.available, after.counter, after.job, after.part) == (False, shown.counter, 5, "A1")


def test_each_target_and_each_line_has_its_own(start: Start) -> None:
    start().trigger(5, "A1")
    assert start().signals().job == 5
    assert start("other").signals().job == start(line="smt-2").signals().job == 0


def test_a_picture_counts_as_of_when_it_came_however_late_it_is_told(start: Start, clock: ManualClock) -> None:
    """Killed between a picture and its conversation, the gate hears of it only when it starts again."""
    start().trigger(5, "A1")
    clock.advance(8)
    start().pictured(Picture("one", "A1", at(2)))
    assert start().untold() == ()
    assert start().signals().busy


def test_a_part_without_a_picture_is_to_be_told_until_it_was(start: Start, clock: ManualClock) -> None:
    start().trigger(5, "A1")
    clock.advance(6)
    (job,) = start().untold()
    assert (job.part, job.code) == ("A1", Code.NO_PICTURE)
    assert start().untold() == (job,)
    start().told(job)
    assert start().untold() == ()


def test_a_protocol_is_called_when_something_changed(start: Start) -> None:
    called = []
    conversation = start()
    conversation.on_change(lambda: called.append(conversation.signals()))
    conversation.look(able=True)
    conversation.trigger(5, "A1")
    conversation.trigger(5, "A1")
    assert [(shown.ready, shown.job) for shown in called] == [(True, 0), (True, 5)]


def test_what_cannot_be_stored_is_not_taken(tmp_path: Path, clock: ManualClock) -> None:
    database = Database(tmp_path / DATABASE)
    conversation = KeptConversation("smt-1", Keeper(Rules(), SqliteHandshake(database, "plc", "smt-1")), clock.now)
    database.write(lambda connection: connection.execute("DROP TABLE handshakes"))
    with pytest.raises(TransientError):
        conversation.trigger(5, "A1")
    assert conversation.signals().job == 0
    database.close()


def test_a_page_is_told_what_the_line_took_last_and_what_waits(tmp_path: Path, clock: ManualClock) -> None:
    with closing(Database(tmp_path / DATABASE)) as database:
        store = SqliteHandshake(database, "plc", "smt-1")
        conversation = KeptConversation("smt-1", Keeper(Rules(triggered=False), store), clock.now)
        for name in ("one", "two"):
            conversation.decided(Decided(name, name, START, Verdict.PASS))
        (standing,) = controllers(database)
        assert (standing.target, standing.line, standing.acknowledged, standing.waiting) == ("plc", "smt-1", 0, 2)
        assert standing.acknowledged_at is None
        conversation.acknowledge(1)
        (standing,) = controllers(database)
        assert (standing.acknowledged, standing.waiting) == (1, 1)
        assert standing.acknowledged_at is not None


# --- as a kind of target has it


class Plc(HandshakeTarget):
    """A controller that is only there."""

    type: Literal["plc"] = "plc"

    def build(self, around: Surroundings) -> Target:
        around.link(True, "10.0.0.7")
        return PlcTarget(self.conversations(around))


@dataclass
class PlcTarget:
    conversations: dict[str, Conversation]
    sent: list[str] = field(default_factory=list)

    def send(self, entry_id: str, body: str, now: datetime) -> None:
        tell(self.conversations, body)
        self.sent.append(entry_id)


def app_with(target: Plc, folder: Path, database: Database) -> bootstrap.App:
    settings = parse(CONFIG, folder, {}).model_copy(update={"targets": {"plc": target}})
    return bootstrap.local(settings, database, LocalBus(database))


def body_of(line: str, **fields: Any) -> str:
    gate = Gate()
    event = gate.upload(f"uploads/{line}/aoi/A1.png")
    gate.run()
    entry = next(entry for entry in gate.outbox.held.values() if entry.inspection_id == event.image.inspection_id)
    told = json.loads(entry.body)
    return json.dumps({**told, "data": told["data"] | fields})


def test_a_target_holds_one_conversation_for_each_line_that_it_serves(tmp_path: Path) -> None:
    with closing(Database(tmp_path / DATABASE)) as database:
        app = app_with(Plc(triggered=False), tmp_path, database)
        target = app.target("plc")
        assert isinstance(target, PlcTarget)
        assert set(app.conversations) == {("plc", "smt-1"), ("plc", "smt-2")}
        received = datetime.now().astimezone().isoformat()
        target.send("one", body_of("smt-2", received_at=received), START)
        shown = app.conversations["plc", "smt-2"].signals()
        assert shown.result and (shown.result.part, shown.result.verdict) == ("A1", Verdict.PASS)
        assert not app.conversations["plc", "smt-1"].signals().available
        (link,) = links(database)
        assert (link.target, link.connected, link.said) == ("plc", True, "10.0.0.7")
        forget_links(database)
        assert links(database) == []


def test_it_is_built_once_whatever_thread_asks(tmp_path: Path) -> None:
    with closing(Database(tmp_path / DATABASE)) as database:
        app = app_with(Plc(lines=["smt-1"]), tmp_path, database)
        found: list[Target] = []
        threads = [threading.Thread(target=lambda: found.append(app.target("plc"))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len({id(target) for target in found}) == 1
        assert list(app.conversations) == [("plc", "smt-1")]


def test_nobody_but_the_runtime_speaks_to_a_line(tmp_path: Path) -> None:
    settings = parse(CONFIG, tmp_path, {}).model_copy(update={"targets": {"plc": Plc()}})
    with pytest.raises(TransientError, match="linegate edge"):
        bootstrap.local(settings).target("plc")


def test_a_verdict_without_a_place_comes_again(tmp_path: Path) -> None:
    with closing(Database(tmp_path / DATABASE)) as database:
        target = app_with(Plc(triggered=False, depth=1), tmp_path, database).target("plc")
        received = datetime.now().astimezone().isoformat()
        target.send("one", body_of("smt-1", received_at=received), START)
        with pytest.raises(DeferredError):
            target.send("two", body_of("smt-1", received_at=received, inspection_id="other", serial="A2"), START)


def test_a_notification_says_which_part_of_which_picture_was_decided() -> None:
    decided = decided_of(body_of("smt-1"))
    assert decided and (decided.part, decided.verdict, decided.at) == ("A1", Verdict.PASS, START)
    assert len(decided.picture) == 32
    assert decided_of('{"type": "linegate.test", "timestamp": "", "data": {"message": "This is a test."}}') is None


def test_a_line_hears_of_each_part_and_has_its_gate_beside_it() -> None:
    assert [fault.partition(":")[0] for fault in Plc.lacks({"verdicts": ["FAIL"]}, {"cloud": {"project": "p"}})] == [
        "type",
        "verdicts",
    ]
    assert not list(Plc.lacks({"verdicts": ["PASS", "FAIL", "REVIEW", "ERROR"]}, {}))

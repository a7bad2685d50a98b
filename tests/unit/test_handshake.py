"""The handshake with a line's controller: what the gate shows, when, and what no history of the two sides can break."""

import json
import random
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from linegate.codec import codec
from linegate.errors import DeferredError
from linegate.inspection import Verdict
from linegate.line import peer as plc
from linegate.line.handshake import (
    LAST_NUMBER,
    TABLE,
    Acknowledge,
    Code,
    Decided,
    Event,
    NotTaken,
    Phase,
    Picture,
    Pulse,
    Rules,
    Signals,
    State,
    Told,
    Trigger,
    is_after,
    signals,
    step,
)
from linegate.line.keeper import Keeper
from linegate.line.peer import Decision, Peer
from tests.fakes import START
from tests.line_world import Disk, LawBrokenError, Sides, play

RULES = Rules(depth=2, limit_s=10.0, picture_s=5.0)
UNTRIGGERED = replace(RULES, triggered=False)


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def after(*events: tuple[float, Event], rules: Rules = RULES) -> State:
    state = State()
    for seconds, event in events:
        state = step(state, event, at(seconds), rules)
    return state


def shown(state: State, seconds: float, *, rules: Rules = RULES) -> Signals:
    """By a gate that has just looked."""
    return signals(step(state, None, at(seconds), rules), Pulse(1, at(seconds), able=True), at(seconds), rules)


def passed(part: str, seconds: float, verdict: Verdict = Verdict.PASS, look: str = "") -> Decided:
    return Decided(f"picture of {part}{look}", part, at(seconds), verdict)


def test_one_part_from_ready_to_acknowledged() -> None:
    state = State()
    assert (shown(state, 0).ready, shown(state, 0).busy, shown(state, 0).available) == (True, False, False)
    state = step(state, Trigger(7, "A"), at(0), RULES)
    told = shown(state, 0)
    assert (told.job, told.part, told.busy, told.available, told.counter) == (7, "A", True, False, 0)
    state = step(state, Picture("picture of A", "A", at(1)), at(1), RULES)
    state = step(state, passed("A", 1), at(2), RULES)
    told = shown(state, 2)
    assert told.result is not None
    assert (told.result.counter, told.result.job, told.result.part, told.result.accept) == (1, 7, "A", True)
    assert (told.counter, told.busy, told.error) == (1, False, False)
    state = step(state, Acknowledge(1), at(3), RULES)
    told = shown(state, 3)
    assert (told.available, told.counter, told.waiting) == (False, 1, 0)


def test_every_phase_has_its_row_and_leads_on() -> None:
    assert set(TABLE) == set(Phase)
    assert all(phase not in row.values() for phase, row in TABLE.items())
    assert not TABLE[Phase.ACKNOWLEDGED]


@pytest.mark.parametrize("verdict", Verdict)
def test_nothing_but_pass_is_accepted(verdict: Verdict) -> None:
    told = shown(after((0, Trigger(1, "A")), (1, passed("A", 1, verdict))), 1)
    assert told.result is not None
    assert told.result.accept == (verdict is Verdict.PASS)


def test_results_stand_in_the_order_of_triggers_until_each_is_acknowledged() -> None:
    state = after((0, Trigger(1, "A")), (0, Trigger(2, "B")), (1, passed("B", 1)), (2, Acknowledge(2)))
    assert not shown(state, 2).available, "B is decided, A comes before it"
    state = step(state, passed("A", 1, Verdict.FAIL), at(3), RULES)
    first = shown(state, 3).result
    assert (first.part, first.verdict) == ("A", Verdict.FAIL) if first else None
    for counter in (0, 2, 99):  # another one's
        state = step(state, Acknowledge(counter), at(3), RULES)
    assert shown(state, 3).result == first
    second = shown(step(state, Acknowledge(1), at(3), RULES), 3).result
    assert second is not None
    assert (second.counter, second.part) == (2, "B")


def test_without_a_free_place_it_is_not_ready_and_nothing_is_overwritten() -> None:
    state = after((0, Trigger(1, "A")), (0, Trigger(2, "B")), (0, Trigger(3, "C")))
    told = shown(state, 0)
    assert (told.ready, told.job, told.waiting, told.not_taken) == (False, 2, 2, NotTaken(3, Code.FULL))
    state = step(state, passed("A", 1), at(1), RULES)
    state = step(state, Acknowledge(1), at(1), RULES)
    told = shown(step(state, Trigger(3, "C"), at(2), RULES), 2)  # it stands until it is taken
    assert (told.job, told.part, told.not_taken, told.error) == (3, "C", None, False)


@pytest.mark.parametrize(
    ("trigger", "code"),
    [
        (Trigger(5, "A"), None),  # said twice
        (Trigger(4, "B"), None),  # late: the line has gone on
        (Trigger(0, "B"), None),
        (Trigger(LAST_NUMBER + 1, "B"), None),
        (Trigger(6, ""), None),
        (Trigger(5, "B"), Code.JOB_USED),
        (Trigger(6, "A"), Code.PART_OPEN),
    ],
    ids=str,
)
def test_a_trigger_that_is_not_taken_changes_nothing_and_is_answered_where_the_line_must_know(
    trigger: Trigger, code: Code | None
) -> None:
    before = after((0, Trigger(5, "A")))
    state = step(before, trigger, at(0), RULES)
    assert replace(state, not_taken=None) == before
    assert (state.not_taken.code if state.not_taken else None) == code


def test_a_job_without_a_verdict_in_time_is_rejected_and_stays_so() -> None:
    state = after((0, Trigger(1, "A")), (1, Picture("picture of A", "A", at(1))))
    assert not shown(state, 9.9).available
    result = shown(state, 10).result
    assert result is not None
    assert (result.verdict, result.code, result.accept) == (None, Code.TIME_LIMIT, False)
    assert shown(step(state, passed("A", 1), at(10), RULES), 10).result == result


def test_a_trigger_without_its_picture_is_error_of_which_everybody_is_told() -> None:
    state = step(after((0, Trigger(1, "A"))), None, at(5), RULES)
    result = shown(state, 5).result
    assert result is not None
    assert (result.verdict, result.code, result.accept) == (Verdict.ERROR, Code.NO_PICTURE, False)
    assert [(job.counter, job.part) for job in state.untold] == [(1, "A")]
    state = step(state, Acknowledge(1), at(6), RULES)
    assert state.untold, "not before it was told"
    assert not step(state, Told(1), at(6), RULES).untold


@pytest.mark.parametrize("received", [0.9, 1.0])
def test_a_picture_from_before_the_trigger_is_another_look(received: float) -> None:
    assert not shown(after((1, Trigger(1, "A")), (2, passed("A", received))), 2).available


def test_a_verdict_that_comes_again_is_not_the_next_looks() -> None:
    first = (0, Trigger(1, "A")), (2, passed("A", 1)), (2, Acknowledge(1))
    state = after(*first, (0.5, Trigger(2, "A")), (3, passed("A", 1)))  # the clock was set back meanwhile
    assert not shown(state, 3).available
    assert shown(step(state, passed("A", 3, look=" again"), at(3), RULES), 3).available


def test_without_triggers_each_picture_is_a_job_and_a_verdict_waits_for_its_place() -> None:
    state = after((0, passed("A", 0)), (0, Picture("b", "B", at(0))), (0, Picture("c", "C", at(0))), rules=UNTRIGGERED)
    told = shown(state, 0, rules=UNTRIGGERED)
    assert told.result is not None
    assert (told.result.job, told.result.part, told.waiting, told.ready) == (0, "A", 2, False)
    with pytest.raises(DeferredError):
        step(state, Decided("c", "C", at(0), Verdict.PASS), at(1), UNTRIGGERED)
    state = step(state, Acknowledge(1), at(1), UNTRIGGERED)
    state = step(state, Decided("c", "C", at(0), Verdict.PASS), at(1), UNTRIGGERED)
    assert [job.part for job in state.queue] == ["B", "C"]
    assert step(state, passed("A", 0), at(2), UNTRIGGERED) == state, "A had its job"


def test_the_heartbeat_moves_with_looks_and_stops_within_a_second() -> None:
    keeper = Keeper(RULES, Disk(random.Random(0)))
    assert (keeper.signals(at(0)).ready, keeper.signals(at(0)).code) == (False, Code.CAN_NOT_DECIDE)
    keeper.look(at(0), able=True)
    first = keeper.signals(at(0.9))
    assert (first.ready, first.error) == (True, False)
    assert keeper.signals(at(0.95)).heartbeat == first.heartbeat, "to show it is no look"
    late = keeper.signals(at(1.1))
    assert (late.ready, late.code, late.heartbeat) == (False, Code.CAN_NOT_DECIDE, first.heartbeat)
    keeper.look(at(1.2), able=True)
    assert keeper.signals(at(1.2)).heartbeat != first.heartbeat
    keeper.look(at(1.3), able=False)
    assert not keeper.signals(at(1.3)).ready


def test_numbers_begin_anew_after_the_last() -> None:
    assert is_after(1, LAST_NUMBER)
    assert is_after(LAST_NUMBER, 0)
    assert not is_after(LAST_NUMBER, 1)
    assert not is_after(4, 4)
    state = step(State(counter=LAST_NUMBER, job=LAST_NUMBER), Trigger(1, "A"), at(0), RULES)
    told = shown(step(state, passed("A", 1), at(1), RULES), 1)
    assert (told.job, told.counter) == (1, 1)


def test_a_state_is_a_plain_value_that_a_store_can_keep() -> None:
    state = after((0, Trigger(1, "A")), (0, Trigger(2, "B")), (0, Trigger(3, "C")), (1, passed("A", 1)))
    kept = codec(State).dump_json(state)
    assert codec(State).validate_json(kept) == state
    assert isinstance(json.loads(kept), dict)


# Random histories; `uv run python -m tests.line_world 50000` plays more of them.


@pytest.mark.slow
def test_no_history_breaks_a_law_and_histories_have_it_all() -> None:
    happened: Counter[str] = Counter()
    for seed in range(800):
        happened += play(seed).happened
    wanted = {code.name for code in Code} - {Code.JOB_USED.name} | {
        "accepted",
        "rejected",
        "the gate was killed",
        "the line was killed",
    }
    # By its rules this line never uses a number twice.
    assert wanted | {"a verdict had no place"} <= set(happened), happened


class Unchecked(Keeper):
    """Takes any acknowledgement for that of what it shows."""

    def _step(self, event: Event | None, now: datetime) -> None:
        if isinstance(event, Acknowledge) and self.state.queue:
            event = Acknowledge(self.state.queue[0].counter)
        super()._step(event, now)


def heard_unchecked(peer: Peer, shown: Signals, now: datetime) -> tuple[Peer, Decision | None]:
    """Takes any new result for that of the part which waits the longest."""
    waits = (*peer.waiting, peer.asking) if peer.asking else peer.waiting
    if shown.result and shown.result.counter != peer.counter and waits:
        shown = replace(shown, result=replace(shown.result, job=waits[0].job, part=waits[0].part))
    return plc.hear(peer, shown, now)


class TakenBeforeStored(Keeper):
    """Says that it took an event, and stores it when it next has something to show."""

    def take(self, event: Event, now: datetime) -> None:
        self._state = step(self._state, event, now, self.rules)

    def signals(self, now: datetime) -> Signals:
        self._store.write(self._state)
        return super().signals(now)


class ShownBeforeStored(Keeper):
    """Shows what it is about to store."""

    def signals(self, now: datetime) -> Signals:
        told = super().signals(now)
        self._store.write(self._state)
        return told

    def _step(self, event: Event | None, now: datetime) -> None:
        self._state = step(self._state, event, now, self.rules)


class WithoutCounter(Disk):
    """Keeps the queue, and counts from the start again."""

    def write(self, state: State) -> None:
        super().write(replace(state, counter=0))


class ByTimer(Keeper):
    """Its heartbeat moves whenever it shows something."""

    def signals(self, now: datetime) -> Signals:
        self.look(now, able=True)
        return super().signals(now)


class Overwriting(Keeper):
    """Makes room for a new job where there is none."""

    def _step(self, event: Event | None, now: datetime) -> None:
        if isinstance(event, Trigger | Decided) and len(self._state.queue) >= self.rules.depth:
            self._state = replace(self._state, queue=self._state.queue[1:])
        super()._step(event, now)


class Forgetful(Keeper):
    """Does not remember which pictures had their job."""

    def _step(self, event: Event | None, now: datetime) -> None:
        self._state = replace(self._state, used=())
        super()._step(event, now)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("sides", "law"),
    [
        (Sides(hear=heard_unchecked), "accepted without a PASS of its own"),
        (Sides(gate=Unchecked), "never heard|had no result"),
        (Sides(gate=TakenBeforeStored), "the line never heard it"),
        (Sides(gate=ShownBeforeStored), "after it was shown|two parts|never heard|had no result"),
        (Sides(disk=WithoutCounter), "its counter came again|never heard"),
        (Sides(gate=ByTimer), "the heartbeat moved|ready, and nobody"),
        (Sides(gate=Overwriting), "never heard|had no result"),
        (Sides(gate=Forgetful), "a picture had two results"),
    ],
    ids=[
        "no echo check on the line",
        "no echo check at the gate",
        "acknowledged before it is stored",
        "shown before it is stored",
        "the counter is not stored",
        "a heartbeat from a timer that does not look",
        "the queue is overwritten",
        "pictures that had their job are forgotten",
    ],
)
def test_a_planted_fault_breaks_a_law(sides: Sides, law: str) -> None:
    def histories() -> None:
        for seed in range(3000):
            play(seed, sides)

    with pytest.raises(LawBrokenError, match=law):
        histories()

"""Random histories of the handshake: a gate, a line, and all that can happen between them; and the laws that hold after each.

    uv run python -m tests.line_world 50000 [FIRST_SEED]

Messages are lost, doubled, late and crossed; either side is killed, the gate also in the midst of storing; the gate can't decide
for a while, or nobody looks; pictures and verdicts stay away. Then the world calms down, and what was promised must be true.
"""

import random
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from linegate.codec import codec
from linegate.errors import DeferredError
from linegate.inspection import Verdict
from linegate.line import peer as plc
from linegate.line.handshake import (
    FRESH,
    Acknowledge,
    Code,
    Decided,
    LineResult,
    Picture,
    Rules,
    Signals,
    State,
    Told,
    Trigger,
)
from linegate.line.keeper import HandshakeStore, Keeper
from linegate.line.peer import Decision, Peer
from tests.fakes import START, Crash

VERDICTS: Final = (*Verdict, Verdict.PASS, Verdict.PASS)
CALM_TURNS: Final = 400


class LawBrokenError(AssertionError):
    """A history did what must never be."""


def law(holds: object, what: str) -> None:
    if not holds:
        raise LawBrokenError(what)


class Disk:
    """Keeps a state; whoever writes may die before or after it."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.rate = 0.0
        self.kept: State | None = None

    def read(self) -> State | None:
        return self.kept

    def write(self, state: State) -> None:
        roll = self.rng.random()
        if roll < self.rate / 2:
            raise Crash
        self.kept = state
        if roll < self.rate:
            raise Crash


@dataclass(frozen=True)
class Sides:
    """Who plays: the real two, unless a test plants a fault."""

    gate: Callable[[Rules, HandshakeStore], Keeper] = Keeper
    hear: Callable[[Peer, Signals, datetime], tuple[Peer, Decision | None]] = plc.hear
    disk: Callable[[random.Random], Disk] = Disk


@dataclass(eq=False)
class Look:
    """One part before the camera, from the wish for a decision to what the line did with it. The truth of this world."""

    part: str
    asked: datetime
    echoed: bool = False  # the gate has shown that it took the trigger
    picture: str = ""
    at: datetime | None = None  # when the picture was received
    verdict: Verdict | None = None
    after_echo: bool = False  # it was received after the gate had taken the trigger
    decision: Decision | None = None


@dataclass
class World:
    seed: int
    sides: Sides = field(default_factory=Sides)

    def __post_init__(self) -> None:
        self.rng = rng = random.Random(self.seed)
        self.now = START
        self.rules = Rules(rng.choice([1, 2, 4]), limit_s=6.0, picture_s=3.0, triggered=rng.random() < 0.7)
        self.disk = self.sides.disk(rng)
        self.gate: Keeper | None = None
        self.line = Peer()
        self.line_runs = True
        self.to_gate: list[Trigger | Acknowledge | Picture] = []
        self.to_line: list[Signals] = []
        self.able = self.watched = True
        self.looks: list[Look] = []
        self.open: dict[str, Look] = {}  # by part
        self.outbox: list[Look] = []  # verdicts that were not taken yet
        self.ready = False  # as the line sees it
        self.looked_at = START - timedelta(days=1)  # when somebody found last that the gate can decide
        self.beat = 0  # the last heartbeat that was shown since the gate started
        self.shown: dict[int, LineResult] = {}
        self.heard: dict[int, LineResult] = {}
        self.echoes: dict[int, str] = {}
        self.promised: dict[str, tuple[Look, Verdict]] = {}  # by picture
        self.told: set[int] = set()
        self.happened: Counter[str] = Counter()

    def play(self) -> None:
        """A history from the start to the calm. Raises LawBrokenError."""
        rng = self.rng
        trouble = rng.choice([0.0, 0.02, 0.1])
        turns: tuple[Callable[[], None], ...] = (
            self._gate_turn, self._gate_turn, self._line_turn, self._line_turn, self._to_gate, self._to_gate, self._to_line,
            self._to_line, self._shoot, self._shoot, self._decide, self._decide, self._hand_over, self._hand_over, self._wait,
        )  # fmt: skip
        for _ in range(rng.randint(40, 240)):
            self.disk.rate = trouble / 2
            if rng.random() < trouble:
                rng.choice(
                    [
                        self._kill_gate,
                        self._kill_line,
                        self._replace_line,
                        self._faint,
                        self._look_away,
                        self._long_wait,
                    ]
                )()
            self._guarded(rng.choice(turns))
        self._calm()
        self._reckon()

    def _guarded(self, turn: Callable[[], None]) -> None:
        try:
            turn()
        except Crash:
            self._kill_gate()

    # What happens to the two

    def _kill_gate(self) -> None:
        self.happened["the gate was killed"] += self.gate is not None
        self.gate = None
        self.beat = 0

    def _kill_line(self) -> None:
        self.happened["the line was killed"] += 1
        self.line_runs = False
        for wait in (*self.line.waiting, *([self.line.asking] if self.line.asking else [])):
            self._settle(Decision(wait.job, wait.part, accept=False))  # nobody waits for it any more: the default
        self.line = plc.restarted(self.line)
        self.ready = False

    def _replace_line(self) -> None:
        """Another controller, which knows nothing; nothing of the old connection is under way any more."""
        self._kill_line()
        self.line = Peer()
        self.to_gate.clear()
        self.to_line.clear()

    def _faint(self) -> None:
        self.able = not self.able

    def _look_away(self) -> None:
        self.watched = not self.watched

    def _wait(self) -> None:
        self.now += timedelta(seconds=self.rng.choice([0.02, 0.1, 0.3]))

    def _long_wait(self) -> None:
        self.now += timedelta(seconds=self.rng.choice([1.0, 3.0, 8.0]))

    # What the two do

    def _gate_turn(self) -> None:
        """The gate looks at itself and shows what stands."""
        if self.gate is None:
            self.gate = self.sides.gate(self.rules, self.disk)
        gate = self.gate
        if self.watched:
            if self.able:
                self.looked_at = self.now
            gate.look(self.now, able=self.able)
        shown = gate.signals(self.now)
        self._witness(shown, gate)
        self.to_line.append(shown)
        for job in gate.state.untold:
            self.told.add(job.counter)
            gate.take(Told(job.counter), self.now)

    def _witness(self, shown: Signals, gate: Keeper) -> None:
        """What the gate may show at this moment."""
        fresh = self.now - self.looked_at <= FRESH
        law(fresh or shown.heartbeat == self.beat, "the heartbeat moved, and nobody had found that the gate can decide")
        law(fresh or not shown.ready, "ready, and nobody had found that the gate can decide")
        self.beat = shown.heartbeat
        law(len(gate.state.queue) <= self.rules.depth, "more jobs than places")
        self.happened[shown.code.name] += 1
        if shown.not_taken:
            self.happened[shown.not_taken.code.name] += 1
        if shown.job:
            law(self.echoes.setdefault(shown.job, shown.part) == shown.part, "one job for two parts")
        look = self.open.get(shown.part)
        if look is not None and self.line.asking is not None and shown.job == self.line.asking.job:
            look.echoed = True
        if shown.result is not None:
            first = self.shown.setdefault(shown.result.counter, shown.result)
            law(first == shown.result, "a result changed after it was shown, or its counter came again")

    def _line_turn(self) -> None:
        """The line decides what is late, lets the next part in, and says what it has to say."""
        self.line_runs = True
        self.line, over = plc.late(self.line, self.now)
        for decision in over:
            self._settle(decision)
        if self.line.asking is None and self.ready and plc.alive(self.line, self.now) and self.rng.random() < 0.8:
            self._next_part()
        self.to_gate += [said for said in plc.says(self.line) if self.rng.random() < 0.8]

    def _next_part(self) -> None:
        # A part may come back, but serials are unique where there is no trigger to tell one look from the next
        again = [look.part for look in self.looks if look.decision and look.part not in self.open]
        part = self.rng.choice(again) if again and self.rules.triggered and self.rng.random() < 0.4 else ""
        part = part or f"P{len(self.looks)}"
        look = Look(part, self.now)
        self.looks.append(look)
        self.open[part] = look
        until = self.now + timedelta(seconds=self.rng.choice([4.0, 12.0]))
        self.line = plc.ask(self.line, part, until) if self.rules.triggered else plc.expect(self.line, part, until)

    def _settle(self, decision: Decision) -> None:
        look = self.open.pop(decision.part, None)
        law(look is not None, f"two decisions for one look: {decision}")
        assert look is not None
        look.decision = decision
        self.happened["accepted" if decision.accept else "rejected"] += 1
        if decision.accept:
            law(look.picture and look.verdict is Verdict.PASS, f"accepted without a PASS of its own: {decision}")

    # What happens between them

    def _next(self, channel: list[object]) -> object | None:
        """Any message that is under way: lost, delivered, or delivered and still under way."""
        if not channel:
            return None
        at = 0 if self.rng.random() < 0.6 else self.rng.randrange(len(channel))
        fate = self.rng.random()
        message = channel[at] if fate < 0.1 else channel.pop(at)
        return message if fate < 0.9 else None

    def _to_gate(self) -> None:
        event = self._next(self.to_gate)  # type: ignore[arg-type]
        if event is not None and self.gate is not None:
            self._take(event)  # type: ignore[arg-type]

    def _take(self, event: Trigger | Acknowledge | Picture) -> None:
        assert self.gate is not None
        self.gate.take(event, self.now)

    def _to_line(self) -> None:
        shown = self._next(self.to_line)  # type: ignore[arg-type]
        if shown is not None and self.line_runs:
            self._hear(shown)  # type: ignore[arg-type]

    def _hear(self, shown: Signals) -> None:
        before = self.line.counter
        self.line, decision = self.sides.hear(self.line, shown, self.now)
        self.ready = shown.ready
        if shown.result is not None and self.line.counter != before:
            self.heard[shown.result.counter] = shown.result
        if decision is not None:
            self._settle(decision)

    def _shoot(self) -> None:
        """The camera takes what stands before it; sometimes before the gate knows of it, sometimes never."""
        waiting = [look for look in self.open.values() if not look.picture]
        if waiting and self.rng.random() < 0.7:
            look = self.rng.choice(waiting)
            look.after_echo = look.echoed
            self.now += timedelta(milliseconds=1)  # no picture comes in the moment of its trigger
            look.picture, look.at = f"{self.seed}-{len(self.looks)}-{look.part}-{self.now.timestamp()}", self.now
            self.to_gate.append(Picture(look.picture, look.part, self.now))

    def _decide(self) -> None:
        undecided = [look for look in self.looks if look.picture and look.verdict is None]
        if undecided:
            look = self.rng.choice(undecided)
            look.verdict = self.rng.choice(VERDICTS)
            self.outbox.append(look)

    def _hand_over(self) -> None:
        """An outbox entry is sent: kept until the gate has said that it took it, and sometimes said twice."""
        if self.gate is None or not self.outbox:
            return
        look = self.rng.choice(self.outbox)
        assert look.verdict is not None
        assert look.at is not None
        try:
            self.gate.take(Decided(look.picture, look.part, look.at, look.verdict), self.now)
        except DeferredError:
            self.happened["a verdict had no place"] += 1
            return
        early = self.now < look.asked + timedelta(seconds=self.rules.picture_s)
        # Its job was there before its picture, and could not have been given up before this moment.
        if early and (not self.rules.triggered or look.after_echo):
            self.promised.setdefault(look.picture, (look, look.verdict))
        if self.rng.random() < 0.8:
            self.outbox.remove(look)

    # The end

    def _calm(self) -> None:
        """Nothing more fails, and everything is delivered."""
        self.disk.rate = 0.0
        self.able = self.watched = True
        for _ in range(CALM_TURNS):
            self._gate_turn()
            while self.to_line:
                self._hear(self.to_line.pop(0))
            self.line, over = plc.late(self.line, self.now)
            for decision in over:
                self._settle(decision)
            self.to_gate += plc.says(self.line)
            while self.to_gate:
                self._take(self.to_gate.pop(0))
            while len(self.outbox) > 0 and not self._stuck():
                pass
            self.now += timedelta(seconds=0.1)
            assert self.gate is not None
            if not (self.open or self.outbox or self.gate.state.queue or self.gate.state.untold):
                return
        law(not self.open, "a part waits for ever")
        assert self.gate is not None
        law(not self.gate.state.queue, "a result waits for ever")
        raise LawBrokenError("a verdict is never taken")

    def _stuck(self) -> bool:
        before = len(self.outbox)
        self._hand_over()
        return len(self.outbox) == before

    def _reckon(self) -> None:
        """What holds of a history as a whole."""
        assert self.gate is not None
        law(set(self.heard) == set(range(1, self.gate.state.counter + 1)), "a result was never heard")
        jobs = {result.job: result for result in self.heard.values()}
        law(set(self.echoes) <= set(jobs), "a trigger was taken, and had no result")
        for result in self.heard.values():
            law(self.shown[result.counter] == result, "what was heard was never shown")
            if result.code is Code.NO_PICTURE:
                law(result.counter in self.told, "nobody was told of a picture that did not come")
        if not self.rules.triggered:
            law(len({result.part for result in self.heard.values()}) == len(self.heard), "a picture had two results")
        for look, verdict in self.promised.values():
            said = [one.verdict for one in self.heard.values() if one.part == look.part]
            law(verdict in said, f"a verdict was taken, and the line never heard it: {look}")
        kept = self.disk.kept
        if kept is not None:  # a store may keep it as JSON
            law(codec(State).validate_json(codec(State).dump_json(kept)) == kept, "a state that can't be kept")


def play(seed: int, sides: Sides | None = None) -> World:
    """One history. Raises LawBrokenError, naming the seed."""
    world = World(seed, sides or Sides())
    try:
        world.play()
    except LawBrokenError as error:
        raise LawBrokenError(f"seed {seed}: {error}") from None
    return world


def main(arguments: list[str]) -> None:
    count, first = int(arguments[0]), int(arguments[1]) if len(arguments) > 1 else 0
    started = time.perf_counter()
    parts, happened = 0, Counter[str]()
    for seed in range(first, first + count):
        world = play(seed)
        parts += len(world.looks)
        happened += world.happened
    took = time.perf_counter() - started
    print(f"{count} histories, {parts} parts: no law broken ({took:.0f} s)")
    print(", ".join(f"{what} {times}" for what, times in happened.most_common()))


if __name__ == "__main__":
    main(sys.argv[1:])

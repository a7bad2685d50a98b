"""The handshake with a line's controller (PLC): one small state machine without any I/O. Every protocol carries this one.

**Levels, not edges.** Both sides only show values that stand until they are answered. What is lost is shown again; what comes
twice, late or crossed says nothing new. Three numbers make that so:

- *job*: the line counts it up with each trigger. The gate echoes the last one that it took, with its part.
- *counter*: the gate counts it up with each job that it takes. It stands beside the result, and the line answers with it.
- *heartbeat*: it moves each time that somebody looked and found that the gate can decide. No timer moves it.

**A job's life** is `TABLE`: what is not in it does nothing. Jobs wait in one queue, in the order in which they were taken, and
the line sees the first one. Whoever is taken has a place in the queue until the line has acknowledged its result. So a result
always finds its place, none is overwritten, and a queue without a free place is *not ready*. A job without a verdict in time gets
a result without PASS.

**The law**: without a fresh, matching result the line's default is reject. It accepts a part only by a result with PASS that
carries this very job and part (see `linegate.line.peer`). A late verdict changes nothing: by then the part is gone.

**Stored before said.** `State` must survive a kill. It is stored before any `Signals` made of it are shown, and before whoever
brought the event is told that it was taken (`linegate.line.keeper`). `Pulse` must not survive: a dead gate has none.

**Pictures.** On a triggered line the trigger comes first: its part is the serial that the picture then carries, and a picture
received before its trigger is another look. On a line without triggers each picture is a job, with the number 0. A verdict comes
again and again until it is taken, so pictures that had their job are remembered for as long as they could find another one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum
from typing import Final

from linegate.errors import DeferredError
from linegate.inspection import Verdict

# Numbers are those of a PLC's DINT that are positive. After the last comes 1 again; 0 is none.
LAST_NUMBER: Final = 2**31 - 1
# After this long without a look the heartbeat stands for nothing.
FRESH: Final = timedelta(seconds=1)
# As numbers, where a protocol has no texts; 0 is none.
VERDICT_NUMBERS: Final = {Verdict.PASS: 1, Verdict.FAIL: 2, Verdict.REVIEW: 3, Verdict.ERROR: 4}


class Phase(StrEnum):
    TRIGGERED = "triggered"  # waits for its picture
    BUSY = "busy"  # waits for its verdict
    AVAILABLE = "result available"  # waits for the line
    ACKNOWLEDGED = "acknowledged"  # and out of the queue


class Happens(StrEnum):
    PICTURE = "its picture came"
    VERDICT = "it was decided"
    NO_PICTURE = "its picture did not come in time"
    TIME_UP = "its verdict did not come in time"
    ACKNOWLEDGED = "the line has its result"


TABLE: Final[Mapping[Phase, Mapping[Happens, Phase]]] = {
    Phase.TRIGGERED: {
        Happens.PICTURE: Phase.BUSY,
        Happens.VERDICT: Phase.AVAILABLE,
        Happens.NO_PICTURE: Phase.AVAILABLE,
        Happens.TIME_UP: Phase.AVAILABLE,
    },
    Phase.BUSY: {
        Happens.VERDICT: Phase.AVAILABLE,
        Happens.TIME_UP: Phase.AVAILABLE,
    },
    Phase.AVAILABLE: {
        Happens.ACKNOWLEDGED: Phase.ACKNOWLEDGED,
    },
    Phase.ACKNOWLEDGED: {},
}


class Code(IntEnum):
    """Why the error bit is set."""

    NONE = 0
    TIME_LIMIT = 1  # no verdict in time
    NO_PICTURE = 2  # no picture in time
    FULL = 11  # trigger not taken: no free place; take results first
    PART_OPEN = 12  # trigger not taken: there is a job for this part
    JOB_USED = 13  # trigger not taken: the last job has this number, and another part
    CAN_NOT_DECIDE = 21  # nobody looked within a second, or who looked found that the gate can't


@dataclass(frozen=True, slots=True)
class Rules:
    """What a line agreed on with its gate."""

    depth: int = 16  # places in the queue
    limit_s: float = 10.0  # from trigger to result
    picture_s: float = 5.0  # from trigger to picture
    triggered: bool = True  # False: each picture is a job


@dataclass(frozen=True, slots=True)
class Trigger:
    """The line wants an answer for this part."""

    job: int
    part: str


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture came; `picture` names it and no other, `part` is the serial that it carries, `at` when it was received."""

    picture: str
    part: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Decided:
    """A picture has its verdict; the picture itself need not have been told."""

    picture: str
    part: str
    at: datetime  # when the picture was received
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """The line has the result with this counter."""

    counter: int


@dataclass(frozen=True, slots=True)
class Told:
    """Everybody was told that this part's picture did not come: see `State.untold`."""

    counter: int


Event = Trigger | Picture | Decided | Acknowledge | Told


@dataclass(frozen=True, slots=True)
class Job:
    """One place in the queue."""

    counter: int
    number: int  # the line's; 0 on a line without triggers
    part: str
    since: datetime
    phase: Phase
    picture: str = ""
    verdict: Verdict | None = None
    code: Code = Code.NONE


@dataclass(frozen=True, slots=True)
class Used:
    """A picture that had its job."""

    picture: str
    at: datetime


@dataclass(frozen=True, slots=True)
class NotTaken:
    """A trigger that is answered, but was not taken."""

    job: int
    code: Code


@dataclass(frozen=True, slots=True)
class State:
    """What must survive a kill; a plain value."""

    counter: int = 0  # of the last job that was taken
    job: int = 0  # its number
    part: str = ""  # its part
    acknowledged: int = 0  # the counter of the last result that the line took
    queue: tuple[Job, ...] = ()
    not_taken: NotTaken | None = None
    untold: tuple[Job, ...] = ()  # parts without a picture: ERROR, of which everybody is to be told
    used: tuple[Used, ...] = ()


@dataclass(frozen=True, slots=True)
class Pulse:
    """What must not survive a kill: when somebody looked whether the gate can decide, and what they found."""

    beats: int = 0
    at: datetime | None = None
    able: bool = False


@dataclass(frozen=True, slots=True)
class LineResult:
    """What a line is told of one part. Without a verdict there was none in time, and `code` says why."""

    counter: int
    job: int
    part: str
    verdict: Verdict | None
    code: Code
    picture: str = ""  # of which it is, for whoever tells the line more than the verdict

    @property
    def accept(self) -> bool:
        return self.verdict is Verdict.PASS and self.code is Code.NONE


@dataclass(frozen=True, slots=True)
class Signals:
    """All that the gate shows the line, at one moment."""

    ready: bool  # a trigger would be taken
    busy: bool  # some job waits for its picture or its verdict
    heartbeat: int
    job: int  # the last one that was taken, and its part
    part: str
    counter: int  # of the last result that was made available
    result: LineResult | None  # None: no result is available
    waiting: int  # jobs in the queue
    code: Code
    not_taken: NotTaken | None

    @property
    def available(self) -> bool:
        return self.result is not None

    @property
    def error(self) -> bool:
        return self.code is not Code.NONE


def following(number: int) -> int:
    return number % LAST_NUMBER + 1


def is_after(number: int, other: int) -> bool:
    """Whether a number was counted after another one, also where it began anew between them; all are after 0.

    Source: RFC 1982, serial number arithmetic.
    """
    return other == 0 or 0 < (number - other) % LAST_NUMBER < LAST_NUMBER // 2


def step(state: State, event: Event | None, now: datetime, rules: Rules) -> State:
    """The state after an event, or after time alone; the very same object where nothing changes.

    Raises DeferredError for a verdict that has no place in the queue yet, on a line without triggers: it must come again.
    """
    state = _aged(state, now, rules)
    match event:
        case Trigger():
            return _triggered(state, event, now, rules)
        case Picture() | Decided():
            return _pictured(state, event, now, rules)
        case Acknowledge():
            return _acknowledged(state, event)
        case Told():
            left = tuple(job for job in state.untold if job.counter != event.counter)
            return state if left == state.untold else replace(state, untold=left)
        case None:
            return state


def looked(pulse: Pulse, now: datetime, *, able: bool) -> Pulse:
    """The pulse after a look at whether the gate can decide."""
    return Pulse(following(pulse.beats), now, able=True) if able else replace(pulse, able=False)


def signals(state: State, pulse: Pulse, now: datetime, rules: Rules) -> Signals:
    """What to show, of a state that was stored."""
    able = pulse.able and pulse.at is not None and abs(now - pulse.at) <= FRESH
    first = state.queue[0] if state.queue else None
    result = None
    if first is not None and first.phase is Phase.AVAILABLE:
        result = LineResult(first.counter, first.number, first.part, first.verdict, first.code, first.picture)
    faults = (
        Code.NONE if able else Code.CAN_NOT_DECIDE,
        result.code if result else Code.NONE,
        state.not_taken.code if state.not_taken else Code.NONE,
    )
    return Signals(
        ready=able and len(state.queue) < rules.depth,
        busy=any(job.phase is not Phase.AVAILABLE for job in state.queue),
        heartbeat=pulse.beats,
        job=state.job,
        part=state.part,
        counter=result.counter if result else state.acknowledged,
        result=result,
        waiting=len(state.queue),
        code=next((code for code in faults if code), Code.NONE),
        not_taken=state.not_taken,
    )


def _moved(job: Job, happens: Happens, code: Code = Code.NONE) -> Job:
    """The job after this; as it was where the table has nothing for it."""
    phase = TABLE[job.phase].get(happens)
    return job if phase is None else replace(job, phase=phase, code=code)


def _aged(state: State, now: datetime, rules: Rules) -> State:
    """What time does: jobs whose time is up get their result, without a verdict or with ERROR; old pictures are forgotten."""

    def aged(job: Job) -> Job:
        if now - job.since >= timedelta(seconds=rules.picture_s) and Happens.NO_PICTURE in TABLE[job.phase]:
            return replace(_moved(job, Happens.NO_PICTURE, Code.NO_PICTURE), verdict=Verdict.ERROR)
        if now - job.since >= timedelta(seconds=rules.limit_s):
            return _moved(job, Happens.TIME_UP, Code.TIME_LIMIT)
        return job

    queue = tuple(map(aged, state.queue))
    missing = tuple(
        job for job, before in zip(queue, state.queue, strict=True) if job is not before and job.code is Code.NO_PICTURE
    )
    used = tuple(each for each in state.used if now - each.at <= timedelta(seconds=rules.limit_s))
    if queue == state.queue and used == state.used:
        return state
    return replace(state, queue=queue, untold=state.untold + missing, used=used)


def _triggered(state: State, trigger: Trigger, now: datetime, rules: Rules) -> State:
    if not (rules.triggered and 0 < trigger.job <= LAST_NUMBER and trigger.part):
        return state
    if trigger.job == state.job and trigger.part != state.part:
        code = Code.JOB_USED
    elif not is_after(trigger.job, state.job):
        return state  # it was taken, or the line has gone on meanwhile
    elif any(job.part == trigger.part and job.phase is not Phase.AVAILABLE for job in state.queue):
        code = Code.PART_OPEN
    elif len(state.queue) >= rules.depth:
        code = Code.FULL
    else:
        return replace(
            _queued(state, trigger.job, trigger.part, now, Phase.TRIGGERED), job=trigger.job, part=trigger.part
        )
    answer = NotTaken(trigger.job, code)
    return state if state.not_taken == answer else replace(state, not_taken=answer)


def _queued(state: State, number: int, part: str, now: datetime, phase: Phase) -> State:
    job = Job(following(state.counter), number, part, now, phase)
    return replace(state, counter=job.counter, queue=(*state.queue, job), not_taken=None)


def _pictured(state: State, event: Picture | Decided, now: datetime, rules: Rules) -> State:
    """A picture, or its verdict, goes to its job: the one that it was given to, else one that waits for it."""
    jobs = state.queue
    place = next((at for at, job in enumerate(jobs) if job.picture == event.picture), None)
    if place is None:
        late = now - event.at > timedelta(seconds=rules.limit_s)
        if late or any(used.picture == event.picture for used in state.used):
            return state
        if not rules.triggered:
            if len(jobs) >= rules.depth:
                if isinstance(event, Decided):
                    raise DeferredError("the line has not taken the results before it", retry_after_s=FRESH.seconds)
                return state
            state = _queued(state, 0, event.part, event.at, Phase.TRIGGERED)
            jobs, place = state.queue, len(jobs)
        else:
            place = next((at for at, job in enumerate(jobs) if _waits_for(job, event)), None)
        if place is None:
            return state
        state = replace(state, used=(*state.used, Used(event.picture, event.at)))
    job = jobs[place]
    if isinstance(event, Picture):
        after = _moved(job, Happens.PICTURE)
    else:
        after = _moved(job, Happens.VERDICT)
        after = after if after is job else replace(after, verdict=event.verdict)
    if after is job:
        return state
    after = replace(after, picture=event.picture)
    return replace(state, queue=(*jobs[:place], after, *jobs[place + 1 :]))


def _waits_for(job: Job, event: Picture | Decided) -> bool:
    return job.phase is Phase.TRIGGERED and job.part == event.part and job.since < event.at


def _acknowledged(state: State, event: Acknowledge) -> State:
    """Only the result that is shown can be acknowledged, and only by its counter."""
    if not state.queue or state.queue[0].counter != event.counter:
        return state
    if _moved(state.queue[0], Happens.ACKNOWLEDGED).phase is not Phase.ACKNOWLEDGED:
        return state
    return replace(state, queue=state.queue[1:], acknowledged=event.counter)

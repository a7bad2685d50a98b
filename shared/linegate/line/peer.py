"""The line's side of the handshake, as a PLC has it: for trying out, and to hold the gate's side to its law.

A part is accepted only by a result with PASS that carries its very job and part, in time, from a gate whose heartbeat moved
within the last second. All else is reject.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from linegate.line.handshake import FRESH, Acknowledge, LineResult, Signals, Trigger, following, is_after


@dataclass(frozen=True, slots=True)
class Wait:
    """A part that needs a decision until then."""

    job: int  # 0 on a line without triggers
    part: str
    until: datetime
    after: int  # the last result that was taken when it began to wait


@dataclass(frozen=True, slots=True)
class Decision:
    """What the line does with a part."""

    job: int
    part: str
    accept: bool
    result: LineResult | None = None


@dataclass(frozen=True, slots=True)
class Peer:
    """What a line knows. `job` and `counter` must survive its restart (RETAIN), and be kept before they are sent."""

    job: int = 0  # the last trigger's
    counter: int = 0  # of the last result that was taken
    asking: Wait | None = None  # a trigger that the gate has not taken yet
    waiting: tuple[Wait, ...] = ()
    heartbeat: int | None = None
    beat_at: datetime | None = None


def restarted(peer: Peer) -> Peer:
    """What is left of it after its power was off."""
    return Peer(job=peer.job, counter=peer.counter)


def alive(peer: Peer, now: datetime) -> bool:
    """Whether the gate's heartbeat moved within the last second."""
    return peer.beat_at is not None and now - peer.beat_at <= FRESH


def ask(peer: Peer, part: str, until: datetime) -> Peer:
    """Trigger for a part: only where no other trigger waits to be taken, and the gate was heard."""
    number = following(peer.job)
    return replace(peer, job=number, asking=Wait(number, part, until, peer.counter))


def expect(peer: Peer, part: str, until: datetime) -> Peer:
    """Wait for a part's result on a line without triggers."""
    return replace(peer, waiting=(*peer.waiting, Wait(0, part, until, peer.counter)))


def says(peer: Peer) -> tuple[Trigger | Acknowledge, ...]:
    """What it shows the gate, again and again."""
    trigger = (Trigger(peer.asking.job, peer.asking.part),) if peer.asking else ()
    return (*trigger, Acknowledge(peer.counter)) if peer.counter else trigger


def hear(peer: Peer, shown: Signals, now: datetime) -> tuple[Peer, Decision | None]:
    """What follows of what the gate shows."""
    if shown.heartbeat != peer.heartbeat:
        # The first one that is seen may stand since yesterday.
        peer = replace(peer, heartbeat=shown.heartbeat, beat_at=now if peer.heartbeat is not None else None)
    peer = _answered(peer, shown)
    result = shown.result
    if result is None or result.counter == peer.counter:
        return peer, None
    peer = replace(peer, counter=result.counter)
    waits = (*peer.waiting, peer.asking) if peer.asking else peer.waiting
    meant = next((wait for wait in waits if _fits(result, wait)), None)
    if meant is None:  # of a part that is gone: taken, and nothing done
        return peer, None
    accept = result.accept and now < meant.until and alive(peer, now)
    return _without(peer, meant), Decision(meant.job, meant.part, accept, result)


def late(peer: Peer, now: datetime) -> tuple[Peer, tuple[Decision, ...]]:
    """Whoever has waited long enough is rejected."""
    waits = (*peer.waiting, peer.asking) if peer.asking else peer.waiting
    over = tuple(wait for wait in waits if now >= wait.until)
    for wait in over:
        peer = _without(peer, wait)
    return peer, tuple(Decision(wait.job, wait.part, accept=False) for wait in over)


def _answered(peer: Peer, shown: Signals) -> Peer:
    """A trigger that was taken is asked no more. Who knows less than the gate goes on from its echo: no number comes twice."""
    asking = peer.asking
    if asking is None:
        return replace(peer, job=shown.job) if shown.job and is_after(shown.job, peer.job) else peer
    if (shown.job, shown.part) == (asking.job, asking.part):
        return replace(peer, asking=None, waiting=(*peer.waiting, asking))
    return peer


def _fits(result: LineResult, wait: Wait) -> bool:
    fresh = wait.job != 0 or is_after(result.counter, wait.after)
    return (result.job, result.part) == (wait.job, wait.part) and fresh


def _without(peer: Peer, wait: Wait) -> Peer:
    return replace(
        peer,
        asking=None if peer.asking == wait else peer.asking,
        waiting=tuple(other for other in peer.waiting if other != wait),
    )

"""The short form of `python -m tests.torture`, and that the laws see what is wrong."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pytest

from linegate import logs
from linegate.inspection import Check, Inspection, Manifest, OutboxEntry, OutboxState, Revision
from tests.fakes import MemoryImages, MemoryInspections
from tests.torture import histories
from tests.torture.histories import History, StaleOutbox, replayed
from tests.torture.laws import violations
from tests.torture.remembered import pictures_are_remembered

HISTORIES = 1200
# Within so many histories a fault must show
SOON = 1200


@pytest.fixture(autouse=True)
def quick() -> Iterator[None]:
    logs.configure("CRITICAL")
    with pictures_are_remembered():
        yield


@pytest.mark.slow
@pytest.mark.parametrize(
    "seeds", [range(start, start + HISTORIES // 4) for start in range(0, HISTORIES, HISTORIES // 4)]
)
def test_no_history_breaks_a_law(seeds: range) -> None:
    assert [found for seed in seeds for found in violations(replayed(seed))] == []


def test_a_seed_is_a_history() -> None:
    first, second = replayed(11), replayed(11)
    assert first.scheduler.trace == second.scheduler.trace
    assert first.inspections.recorded.keys() == second.inspections.recorded.keys()


class NoLatch(MemoryInspections):
    """Whoever decides last has decided."""

    def commit(self, inspection: Inspection, revision: Revision, outbox: Sequence[OutboxEntry]) -> bool:
        history = self.history.setdefault(inspection.inspection_id, [])
        history[:] = [known for known in history if known.number != revision.number]
        return super().commit(inspection, revision, outbox)


class LastManifest(MemoryInspections):
    def store_manifest(self, inspection_id: str, manifest: Manifest, manifest_ms: float) -> Manifest:
        self._change(inspection_id, manifest=manifest)
        return manifest


class LastCheck(MemoryInspections):
    def record_check(self, inspection_id: str, check: Check) -> int:
        checks = self.recorded.setdefault(inspection_id, {})
        checks[check.index] = check
        return len(checks)


class Forgetful(MemoryInspections):
    """The outbox is written a moment after the verdict, or not at all."""

    def commit(self, inspection: Inspection, revision: Revision, outbox: Sequence[OutboxEntry]) -> bool:
        return super().commit(inspection, revision, outbox[:-1])


class Blind(StaleOutbox):
    """No compare before the set."""

    def update(self, entry: OutboxEntry) -> bool:
        return super().update(replace(entry, version=self.held[entry.entry_id].version))


class Lazy(StaleOutbox):
    def stranded(self, *_: Any) -> list[OutboxEntry]:
        return []

    def pending(self, *_: Any) -> list[OutboxEntry]:
        return []


class Overwriting(MemoryImages):
    """Whoever draws is told that no other had drawn before."""

    def create(self, bucket: str, name: str, data: bytes, content_type: str) -> bool:
        super().create(bucket, name, data, content_type)
        return True


@dataclass
class Planted:
    """A history in which something is wrong."""

    name: str
    plant: Callable[[History], None]


def _store(kind: type[MemoryInspections]) -> Callable[[History], None]:
    def plant(history: History) -> None:
        history.inspections = kind(outbox=history.inspections.outbox)

    return plant


def _outbox(kind: type[StaleOutbox]) -> Callable[[History], None]:
    def plant(history: History) -> None:
        history.inspections.outbox = kind(rng=history.rng)

    return plant


def _images(history: History) -> None:
    history.images = Overwriting()


def _unsaid(history: History) -> None:
    """A target that takes what it is sent for a joke: it is marked SENT, and was not heard."""
    for target in history.targets.values():
        target.send = lambda *_: None  # type: ignore[method-assign]


FAULTS = [
    Planted("no latch", _store(NoLatch)),
    Planted("the last manifest wins", _store(LastManifest)),
    Planted("the last check wins", _store(LastCheck)),
    Planted("the outbox is not in the batch", _store(Forgetful)),
    Planted("no compare before the set", _outbox(Blind)),
    Planted("nothing stranded is looked for", _outbox(Lazy)),
    Planted("the loser's picture stays", _images),
    Planted("sent and not heard", _unsaid),
]


@pytest.mark.slow
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_the_laws_see_what_is_wrong(fault: Planted) -> None:
    for seed in range(SOON):
        history = histories.History(seed)
        fault.plant(history)
        try:
            history.play()
        except (AssertionError, RuntimeError):  # it never came to rest
            return
        if violations(history):
            return
    pytest.fail(f"{SOON} histories, and no law says anything")


def test_histories_are_as_wild_as_they_should_be() -> None:
    """A guard on the test itself: crashes, doubles, late answers, persons who collide, and verdicts of all four kinds."""
    verdicts, refusals, corrected, held = set(), 0, 0, 0
    trace = ""
    for seed in range(150):
        history = replayed(seed)
        trace += "\n".join(history.scheduler.trace)
        for revisions in history.inspections.history.values():
            verdicts |= {revision.decision.verdict.value for revision in revisions}
            corrected += len(revisions) > 1
        refusals += sum(map(len, history.inspections.refused.values()))
        held += any(entry.state is OutboxState.SUPERSEDED for entry in history.inspections.outbox.held.values())
    assert verdicts == {"PASS", "FAIL", "REVIEW", "ERROR"}
    assert min(refusals, corrected, held) > 0
    for what in ("Crash", "TransientError", "disable_target", "sweep", "reviews"):
        assert what in trace, what

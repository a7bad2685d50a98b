"""Sweep looks at each product and each notification by itself: what fails keeps nobody else waiting."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from linegate.errors import TransientError
from linegate.inspection import Check, Inspection, OutboxEntry, OutboxState
from linegate.messages import ImageUploaded
from linegate.ports import Message
from linegate.stages import CROPS, NOTIFICATIONS, UPLOADS
from tests.fakes import MemoryBus, MemoryInspections, MemoryOutbox
from tests.harness import Gate


@dataclass
class Unreadable(MemoryInspections):
    """The checks of these inspections can't be read."""

    broken: set[str] = field(default_factory=set)
    postponed: list[str] = field(default_factory=list)
    stuck: bool = False  # nor can they be postponed

    def checks(self, inspection_id: str, expected: int) -> dict[int, Check]:
        if inspection_id in self.broken:
            raise TransientError("it can't be read")
        return super().checks(inspection_id, expected)

    def postpone(self, inspection_id: str, deadline: object) -> None:
        self.postponed.append(inspection_id)
        if self.stuck:
            raise TransientError("it can't be written")
        super().postpone(inspection_id, deadline)  # type: ignore[arg-type]


@dataclass
class Unwritable(MemoryOutbox):
    broken: set[str] = field(default_factory=set)
    taken: set[str] = field(default_factory=set)  # by somebody else, in the same moment

    def update(self, entry: OutboxEntry) -> bool:
        if entry.entry_id in self.broken:
            raise TransientError("it can't be written")
        return entry.entry_id not in self.taken and super().update(entry)


@dataclass
class Away(MemoryBus):
    away: bool = False

    def publish(self, topic: str, messages: Sequence[Message]) -> None:
        if self.away:
            raise TransientError("the bus is away")
        super().publish(topic, messages)


def overdue(gate: Gate, count: int) -> list[ImageUploaded]:
    """Products that have their manifest and never a check."""
    gate.finds("short")
    uploads = [gate.upload(f"uploads/smt-1/aoi/{number}.png") for number in range(count)]
    gate.run(UPLOADS)
    assert len(gate.bus.take(CROPS)) == count
    gate.clock.advance(61)
    return uploads


def undecided(gate: Gate, uploads: list[ImageUploaded]) -> list[Inspection]:
    return [board for board in map(gate.board, uploads) if board.revision is None]


def test_a_product_that_can_not_be_decided_goes_to_the_end_of_the_queue() -> None:
    store = Unreadable()
    gate = Gate(inspections=store)
    uploads = overdue(gate, 3)
    store.broken = {uploads[0].image.inspection_id}
    gate.sweep()
    (left,) = undecided(gate, uploads)
    assert left.inspection_id == uploads[0].image.inspection_id
    assert left.deadline == gate.clock.now() + timedelta(seconds=50)
    store.broken = set()
    gate.sweep()
    assert undecided(gate, uploads), "not before then"
    gate.clock.advance(51)
    gate.sweep()
    assert not undecided(gate, uploads)


def test_nor_does_one_that_can_not_even_be_postponed_keep_others_waiting() -> None:
    store = Unreadable(stuck=True)
    gate = Gate(inspections=store)
    uploads = overdue(gate, 3)
    store.broken = {uploads[0].image.inspection_id}
    gate.sweep()
    assert len(undecided(gate, uploads)) == 1
    assert store.postponed == [uploads[0].image.inspection_id]


def stranded(gate: Gate, count: int) -> list[str]:
    """Notifications whose messages got lost long ago, by their ids."""
    for number in range(count):
        gate.upload(f"uploads/smt-1/aoi/{number}.png")
    gate.run(UPLOADS)
    gate.bus.messages.clear()
    gate.clock.advance(gate.settings.retry.patience_s + 1)
    return sorted(gate.outbox.held)


def test_a_lost_notification_is_published_once_however_often_sweep_looks() -> None:
    gate = Gate()
    (entry,) = stranded(gate, 1)
    gate.sweep()
    gate.sweep()
    assert len(gate.bus.messages) == 1
    assert gate.outbox.held[entry].published == 2, "so that a message of the first time is known for stale"
    gate.run(NOTIFICATIONS)
    assert len(gate.told("hmi")) == 1


def test_notifications_that_fail_or_that_others_have_taken_keep_none_from_going_out() -> None:
    store = MemoryInspections(outbox=Unwritable())
    gate = Gate(inspections=store)
    failing, taken, fine = stranded(gate, 3)
    assert isinstance(store.outbox, Unwritable)
    store.outbox.broken, store.outbox.taken = {failing}, {taken}
    gate.sweep()
    gate.run(NOTIFICATIONS)
    assert [entry for entry, _ in gate.targets["hmi"].sent] == [fine]


def test_a_notification_that_could_not_be_published_again_is_tried_later() -> None:
    bus = Away()
    gate = Gate(bus=bus)
    stranded(gate, 2)
    bus.away = True
    gate.sweep()
    bus.away = False
    gate.clock.advance(gate.settings.retry.patience_s + 1)
    gate.sweep()
    gate.run(NOTIFICATIONS)
    assert len(gate.told("hmi")) == 2


def test_one_for_a_target_that_is_gone_is_closed_though_another_one_fails() -> None:
    store = MemoryInspections(outbox=Unwritable())
    gate = Gate(inspections=store)
    failing, fine = stranded(gate, 2)
    assert isinstance(store.outbox, Unwritable)
    store.outbox.broken = {failing}
    gate.settings = gate.settings.model_copy(update={"targets": {}})
    gate.sweep()
    closed = gate.outbox.held[fine]
    assert (closed.state, closed.attempted_at) == (OutboxState.DEAD, gate.clock.now())
    assert gate.outbox.held[failing].state is OutboxState.PENDING
    assert gate.bus.messages == []

"""The durable bus: leases, attempts, backoff, dead letter, replay; nothing is lost and nobody is crowded out."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from linegate.adapters.local.bus import Delivery, LocalBus
from linegate.adapters.local.database import Database
from linegate.adapters.local.store import SqliteInspections
from linegate.inspection import Inspection, ObjectRef, Place
from linegate.ports import Message

LEASE_S = 60.0


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with closing(Database(tmp_path / "linegate.db")) as database:
        yield database


@pytest.fixture
def bus(database: Database) -> LocalBus:
    return LocalBus(database)


def message(text: str, target: str = "") -> Message:
    return Message(text.encode(), {"target": target} if target else {})


def lease(bus: LocalBus, topic: str = "crops", limit: int = 100, lease_s: float = LEASE_S) -> list[Delivery]:
    return bus.lease(topic, limit, lease_s, {}, 4)


def texts(deliveries: list[Delivery]) -> list[str]:
    return [delivery.message.data.decode() for delivery in deliveries]


def test_messages_come_oldest_first_with_data_and_attributes_as_published(bus: LocalBus) -> None:
    bus.publish("crops", [Message(b"\xff\x00", {"line": "ü"}), message("two")])
    first, second = lease(bus)
    assert first.message == Message(b"\xff\x00", {"line": "ü"})
    assert (second.message.data, second.attempt) == (b"two", 1)


def test_a_leased_message_is_nobody_elses_until_its_lease_ends(bus: LocalBus) -> None:
    bus.publish("crops", [message("one")])
    assert texts(lease(bus, lease_s=0.05)) == ["one"]
    assert lease(bus) == []
    time.sleep(0.06)
    assert [delivery.attempt for delivery in lease(bus)] == [2]


def test_no_message_is_leased_twice_however_many_ask(bus: LocalBus) -> None:
    bus.publish("crops", [message(str(number)) for number in range(200)])
    with ThreadPoolExecutor(8) as pool:
        rounds = list(pool.map(lambda _: lease(bus, limit=10), range(40)))
    taken = [text for deliveries in rounds for text in texts(deliveries)]
    assert sorted(taken, key=int) == [str(number) for number in range(200)]


def test_an_acknowledged_message_is_gone(bus: LocalBus) -> None:
    bus.publish("crops", [message("one")])
    bus.acknowledge(lease(bus)[0])
    bus.release_leases()
    assert lease(bus) == []


def test_a_failed_message_comes_again_after_its_delay(bus: LocalBus) -> None:
    bus.publish("crops", [message("one")])
    bus.retry(lease(bus)[0], 0.05, "answered 503")
    bus.release_leases()
    assert lease(bus) == []
    due = bus.next_due()
    assert due is not None
    assert 0 < due - time.time() < 0.06
    time.sleep(0.06)
    assert [delivery.attempt for delivery in lease(bus)] == [2]


def test_a_dead_letter_tells_why_and_goes_back_when_replayed(bus: LocalBus) -> None:
    bus.publish("crops", [message("one")])
    bus.publish("checks", [message("two")])
    bus.bury(lease(bus)[0], "answered 500: boom")
    bus.bury(lease(bus, "checks")[0], "answered 503")
    assert lease(bus) == []
    assert [(letter.topic, letter.attempts, letter.reason) for letter in bus.dead_letters()] == [
        ("crops", 1, "answered 500: boom"),
        ("checks", 1, "answered 503"),
    ]
    assert bus.replay("crops") == (1, 0)
    assert [(delivery.message.data, delivery.attempt) for delivery in lease(bus)] == [(b"one", 1)]
    assert bus.replay() == (1, 0)
    assert texts(lease(bus, "checks")) == ["two"]


def test_what_was_published_survives_the_process(tmp_path: Path) -> None:
    with closing(Database(tmp_path / "again.db")) as database:
        bus = LocalBus(database)
        bus.publish("crops", [message("one"), message("two")])
        lease(bus)
    with closing(Database(tmp_path / "again.db")) as database:
        bus = LocalBus(database)
        assert lease(bus) == [], "still leased by the one that died"
        bus.release_leases()
        assert texts(lease(bus)) == ["one", "two"]


def test_the_messages_of_one_publication_come_together_or_not_at_all(database: Database, bus: LocalBus) -> None:
    broken = Message("no bytes", {"line": object()})  # type: ignore[arg-type, dict-item]
    with pytest.raises(TypeError):
        bus.publish("crops", [message("one"), broken])
    assert lease(bus) == []


def test_one_dead_target_does_not_crowd_out_the_others(bus: LocalBus) -> None:
    bus.publish("notifications", [message(f"dead-{number}", "dead") for number in range(50)])
    bus.publish("notifications", [message("alive", "alive")])
    first = bus.lease("notifications", 8, LEASE_S, {}, 2)
    assert sorted(texts(first)) == ["alive", "dead-0", "dead-1"]
    bus.publish("notifications", [message("alive again", "alive")])
    second = bus.lease("notifications", 8, LEASE_S, {"dead": 2, "alive": 1}, 2)
    assert texts(second) == ["alive again"]


def test_who_hears_in_order_hears_of_a_line_one_after_the_other(database: Database) -> None:
    bus = LocalBus(database, in_order=["plc"])

    def told(text: str, line: str, target: str = "plc") -> Message:
        return Message(text.encode(), {"target": target, "line": line}, key=f"{target} {text}")

    bus.publish("notifications", [told("a1", "a"), told("a2", "a"), told("b1", "b"), told("c1", "a", "hmi")])
    first = {delivery.message.data.decode(): delivery for delivery in lease(bus, "notifications")}
    assert sorted(first) == ["a1", "b1", "c1"]
    assert lease(bus, "notifications") == [], "the first of line a is in work"
    bus.retry(first["a1"], 0.05, "answered 503")
    assert lease(bus, "notifications") == [], "the first of line a waits for its next attempt"
    bus.publish("notifications", [told("a1", "a"), told("a3", "a")])  # it waits, and keeps its place
    for text in ("a1", "a2", "a3"):
        (delivery,) = lease(bus, "notifications")
        assert texts([delivery]) == [text]
        bus.acknowledge(delivery)


def test_one_target_has_no_more_in_work_for_having_many_lines(bus: LocalBus) -> None:
    bus.publish("notifications", [Message(b"", {"target": "hmi", "line": f"line-{number}"}) for number in range(9)])
    assert len(bus.lease("notifications", 100, LEASE_S, {"hmi/line-0": 1}, 4)) == 3


def test_publishing_wakes_who_waits(bus: LocalBus) -> None:
    started = time.monotonic()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(bus.bell.wait, 10)
        bus.publish("crops", [message("one")])
        waiting.result()
    assert time.monotonic() - started < 5


def test_backlog_counts_what_waits_what_is_in_work_and_what_failed(bus: LocalBus) -> None:
    bus.publish("crops", [message(str(number)) for number in range(3)])
    first, _ = lease(bus, limit=2)
    bus.retry(first, 60, "answered 503")
    bus.bury(lease(bus)[0], "answered 503")
    bus.publish("crops", [message("new")])
    backlog = bus.backlog()["crops"]
    assert (backlog.waiting, backlog.in_work, backlog.retrying) == (1, 1, 1)


def upload(line: str, number: int) -> Message:
    return Message(str(number).encode(), {"objectId": f"uploads/{line}/aoi/{number}.jpg"})


def test_lines_take_turns_however_much_one_of_them_has_sent(bus: LocalBus) -> None:
    bus.publish("uploads", [upload("busy", number) for number in range(50)])
    bus.publish("uploads", [upload("quiet", 50)])
    first, second = bus.lease("uploads", 1, 60, {}, 1), bus.lease("uploads", 1, 60, {}, 1)
    assert {delivery.lane for delivery in (*first, *second)} == {"/busy", "/quiet"}
    assert len(bus.lease("uploads", 20, 60, {}, 1)) == 20, "what nobody else wants, the busy one gets"


def test_a_letter_that_no_function_could_read_goes_back_by_force_only(bus: LocalBus) -> None:
    bus.publish("crops-dead", [Message(b"%%%", {"type": "crop.ready", "reason": "not base64"}), message("one")])
    assert bus.replay() == (1, 1)
    assert [letter.reason for letter in bus.dead_letters()] == ["not base64"]
    assert texts(lease(bus)) == ["one"]
    assert bus.replay("crops", force=True) == (1, 0)
    assert [delivery.message for delivery in lease(bus)] == [Message(b"%%%", {"type": "crop.ready"})]


def test_a_message_takes_the_place_of_the_one_with_its_key(bus: LocalBus) -> None:
    for number in range(5):
        bus.publish("notifications", [Message(str(number).encode(), {"target": "hmi"}, key="entry")])
    bus.publish("notifications", [Message(b"other", {"target": "hmi"}, key="another")])
    assert [delivery.message.data for delivery in bus.lease("notifications", 10, 60, {}, 10)] == [b"4", b"other"]


def test_a_clock_that_is_set_back_freezes_nothing(bus: LocalBus) -> None:
    bus.publish("checks", [Message(b"one")])
    (delivery,) = bus.lease("checks", 1, 60, {}, 1)
    bus.retry(delivery, 3600, "away")
    bus.publish("crops", [Message(b"two")])  # written before the clock was set back by an hour
    bus.move_times(3600)
    assert bus.lease("crops", 1, 60, {}, 1) == []
    bus.move_times(-7200)
    assert [one.message.data for one in bus.lease("checks", 1, 60, {}, 1)] == [b"one"]
    assert [one.message.data for one in bus.lease("crops", 1, 60, {}, 1)] == [b"two"]


def test_a_clock_that_was_set_back_while_the_gate_stood_still_freezes_nothing(bus: LocalBus) -> None:
    for topic in ("crops", "checks"):
        bus.publish(topic, [message(topic)])
    bus.retry(lease(bus, "checks")[0], 10, "away")
    bus.move_times(3600)  # as they stand when the clock was an hour ahead
    bus.release_leases(0.05)
    assert texts(lease(bus, "crops")) == ["crops"]
    time.sleep(0.06)
    assert texts(lease(bus, "checks")) == ["checks"]


def test_deadlines_follow_a_clock_that_is_set(database: Database, bus: LocalBus) -> None:
    store = SqliteInspections(database)
    begun = datetime.now(UTC)
    image = ObjectRef("uploads", "uploads/l/s/1.jpg", 1)
    store.open(Inspection(image.inspection_id, image, Place("l", "s", "1"), "pcb", begun, begun, begun))
    bus.move_times(-3600)  # the clock has been set back
    assert [late.image for late in store.overdue(begun - timedelta(hours=1), 10)] == [image]
    bus.move_times(3600)
    assert store.overdue(begun - timedelta(hours=1), 10) == []

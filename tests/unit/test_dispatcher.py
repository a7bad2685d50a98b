"""The dispatcher: what becomes of a message is said by the status code of its function, and nothing holds up the rest."""

import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linegate.adapters.local.bus import LocalBus
from linegate.adapters.local.database import Database
from linegate.adapters.targets.webhook import Webhook
from linegate.edge.dispatcher import Dispatcher, backoff
from linegate.edge.functions import Deliver, Response
from linegate.ports import Message
from linegate.sections import Concurrency, Edge, Line, Retry
from linegate.settings import Recipe, Settings
from tests.waiting import until

RETRY = Retry(minimum_s=0.02, maximum_s=0.05, attempts=5)


@pytest.fixture
def bus(tmp_path: Path) -> Iterator[LocalBus]:
    with closing(Database(tmp_path / "linegate.db")) as database:
        yield LocalBus(database)


@contextmanager
def dispatching(bus: LocalBus, deliver: Deliver, **concurrency: int) -> Iterator[Dispatcher]:
    settings = Settings(
        recipes={"pcb": Recipe(golden="golden.png")},
        lines={"smt-1": Line(recipe="pcb")},
        targets={name: Webhook(url="https://hmi/") for name in ("dead", "alive")},
        edge=Edge(retry=RETRY, concurrency=Concurrency(**concurrency)),
    )
    dispatcher = Dispatcher(bus, settings, deliver)
    dispatcher.start()
    try:
        yield dispatcher
    finally:
        dispatcher.stop()


@pytest.mark.parametrize("status", [102, 200, 201, 202, 204])
def test_an_acknowledged_message_is_delivered_once(bus: LocalBus, status: int) -> None:
    bodies: list[dict[str, Any]] = []

    def deliver(stage: str, body: dict[str, Any]) -> Response:
        bodies.append(body)
        return Response(status)

    with dispatching(bus, deliver) as dispatcher:
        bus.publish("crops", [Message(b"one", {"line": "smt-1"})])
        until(lambda: bodies and dispatcher.idle)
        time.sleep(0.1)
    assert len(bodies) == 1
    message = bodies[0]["message"]
    assert (message["data"], message["attributes"], bodies[0]["deliveryAttempt"]) == ("b25l", {"line": "smt-1"}, 1)
    assert message["messageId"] == message["message_id"]
    assert message["publishTime"].endswith("+00:00")


@pytest.mark.slow
@pytest.mark.parametrize("status", [203, 302, 400, 404, 500, 503])
def test_everything_else_is_tried_again_and_at_last_a_dead_letter_with_what_the_function_said(
    bus: LocalBus, status: int
) -> None:
    attempts: list[int] = []

    def deliver(stage: str, body: dict[str, Any]) -> Response:
        attempts.append(body["deliveryAttempt"])
        return Response(status, "the service is away")

    with dispatching(bus, deliver):
        bus.publish("crops", [Message(b"one")])
        until(bus.dead_letters)
    assert attempts == [1, 2, 3, 4, 5]
    (letter,) = bus.dead_letters()
    assert (letter.topic, letter.attempts, letter.reason) == ("crops", 5, f"answered {status}: the service is away")


def test_no_new_board_is_taken_while_crops_wait(bus: LocalBus) -> None:
    order: list[str] = []
    gate = threading.Semaphore(0)

    def deliver(stage: str, body: dict[str, Any]) -> Response:
        if stage == "verify":
            gate.acquire()
        order.append(stage)
        return Response(200, "")

    bus.publish("uploads", [Message(b"board")])
    bus.publish("crops", [Message(b"crop") for _ in range(3)])
    with dispatching(bus, deliver, verify=1) as dispatcher:
        time.sleep(0.2)
        assert order == [], "the only place for a crop is taken, and two more wait"
        gate.release(3)
        until(lambda: len(order) == 4 and dispatcher.idle)
    assert order[:2] == ["verify", "verify"]


def test_a_target_that_hangs_does_not_keep_the_others_waiting(bus: LocalBus) -> None:
    heard: list[str] = []
    hanging = threading.Event()

    def deliver(stage: str, body: dict[str, Any]) -> Response:
        target = body["message"]["attributes"]["target"]
        if target == "dead":
            hanging.wait(10)
        heard.append(target)
        return Response(200, "")

    bus.publish("notifications", [Message(b"", {"target": "dead"}) for _ in range(50)])
    bus.publish("notifications", [Message(b"", {"target": "alive"}) for _ in range(20)])
    with dispatching(bus, deliver, notify_per_target=2):
        until(lambda: len(heard) == 20)
        assert set(heard) == {"alive"}
        hanging.set()


@pytest.mark.slow
def test_what_was_refused_by_ourselves_is_no_attempt(bus: LocalBus) -> None:
    attempts: list[int] = []

    def deliver(stage: str, body: dict[str, Any]) -> Response:
        attempts.append(body["deliveryAttempt"])
        return Response(429 if len(attempts) <= 7 else 200, "the lane is full")

    with dispatching(bus, deliver) as dispatcher:
        bus.publish("notifications", [Message(b"one", {"target": "alive"})])
        until(lambda: len(attempts) == 8 and dispatcher.idle)
    assert attempts == [1] * 8, "more often than a message is tried"
    assert bus.dead_letters() == []


def test_a_message_over_which_workers_die_is_a_dead_letter_after_the_third(bus: LocalBus) -> None:
    attempts: list[int] = []

    def deliver(stage: str, body: dict[str, Any]) -> Response:
        attempts.append(body["deliveryAttempt"])
        return Response(500, "its worker process was ended by SIGKILL", killed=True)

    with dispatching(bus, deliver) as dispatcher:
        bus.publish("uploads", [Message(b"one")])
        until(lambda: bus.dead_letters() and dispatcher.idle)
    assert attempts == [1, 2, 3]
    assert "SIGKILL" in bus.dead_letters()[0].reason


def test_all_crops_of_a_board_are_checked_at_the_same_time(bus: LocalBus) -> None:
    together = threading.Barrier(64, timeout=10)

    def deliver(stage: str, body: dict[str, Any]) -> Response:
        together.wait()
        return Response(200, "")

    with dispatching(bus, deliver, verify=64) as dispatcher:
        bus.publish("crops", [Message(b"crop") for _ in range(64)])
        until(lambda: dispatcher.idle)
    assert not together.broken


def test_stopping_finishes_what_is_under_way_and_leaves_the_rest_on_the_bus(bus: LocalBus) -> None:
    started = threading.Event()
    done: list[str] = []

    def deliver(stage: str, body: dict[str, Any]) -> Response:
        started.set()
        time.sleep(0.2)
        done.append(stage)
        return Response(200, "")

    bus.publish("uploads", [Message(b"one"), Message(b"two")])
    with dispatching(bus, deliver, detect=1):
        started.wait(10)
    assert done == ["detect"]
    bus.release_leases()
    assert bus.backlog()["uploads"].waiting == 1


def test_a_delivery_that_blows_up_does_not_stop_the_others(bus: LocalBus) -> None:
    delivered: list[str] = []

    def deliver(stage: str, body: dict[str, Any]) -> Response:
        if stage == "verify":
            raise RuntimeError("boom")
        delivered.append(stage)
        return Response(200, "")

    with dispatching(bus, deliver):
        bus.publish("crops", [Message(b"")])
        bus.publish("checks", [Message(b"")])
        until(lambda: delivered == ["aggregate"])


@given(st.integers(1, 100))
def test_backoff_grows_to_its_bound_and_never_hurries(attempt: int) -> None:
    retry = Retry(minimum_s=1, maximum_s=60)
    full = min(60, 2 ** (attempt - 1))
    assert 0.75 * full <= backoff(retry, attempt) <= full


def test_a_function_that_names_a_time_is_not_asked_before_it(bus: LocalBus) -> None:
    asked: list[float] = []

    def deliver(stage: str, body: dict[str, Any]) -> Response:
        asked.append(time.monotonic())
        return Response(503, "later", 0.6) if len(asked) == 1 else Response(200)

    with dispatching(bus, deliver) as dispatcher:
        bus.publish("notifications", [Message(b"", {"target": "hmi"})])
        until(lambda: len(asked) == 2 and dispatcher.idle)
    assert asked[1] - asked[0] >= 0.6

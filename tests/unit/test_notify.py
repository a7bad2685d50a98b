"""What becomes of one notification: sent, tried again, given up, or held for a target that wants to hear nothing."""

from datetime import timedelta

import pytest

from linegate.errors import TransientError
from linegate.handlers.outbox import publish_outbox
from linegate.inspection import OutboxState
from linegate.sections import CLOUD_RETRY, Cloud
from linegate.stages import CHECKS, CROPS, NOTIFICATIONS, UPLOADS
from tests.harness import Gate


def decided(gate: Gate) -> str:
    """A board decided as FAIL whose notifications wait; its inspection id."""
    gate.finds("short")
    upload = gate.upload()
    gate.run(UPLOADS, CROPS, CHECKS)
    return upload.image.inspection_id


def test_a_failure_is_counted_on_the_entry_and_delivered_again(gate: Gate) -> None:
    inspection_id = decided(gate)
    gate.targets["hmi"].down = True
    message = next(m for m in gate.bus.take(NOTIFICATIONS) if m.attributes["target"] == "hmi")
    for attempt in (1, 2):
        with pytest.raises(TransientError, match="hmi"):
            gate.handle(NOTIFICATIONS, message)
        entry = gate.outbox.held[f"{inspection_id}_r1_hmi"]
        assert (entry.attempts, entry.state, entry.last_error) == (attempt, OutboxState.PENDING, "it answered 503")
    gate.targets["hmi"].down = False
    gate.handle(NOTIFICATIONS, message)
    assert gate.outbox.held[f"{inspection_id}_r1_hmi"].state is OutboxState.SENT


def test_a_sent_entry_is_not_sent_again(gate: Gate) -> None:
    decided(gate)
    messages = gate.bus.take(NOTIFICATIONS)
    for message in (*messages, *messages):
        gate.handle(NOTIFICATIONS, message)
    assert len(gate.told("hmi")) == 1


def test_a_target_that_never_answers_is_given_up(gate: Gate) -> None:
    inspection_id = decided(gate)
    gate.targets["alarm"].down = True
    message = next(m for m in gate.bus.take(NOTIFICATIONS) if m.attributes["target"] == "alarm")
    gate.clock.advance(3601)
    gate.handle(NOTIFICATIONS, message)
    entry = gate.outbox.held[f"{inspection_id}_r1_alarm"]
    assert (entry.state, entry.last_error) == (OutboxState.DEAD, "it answered 503")


def test_a_target_that_left_the_configuration_is_closed_with_that_reason(gate: Gate) -> None:
    inspection_id = decided(gate)
    kept = {"hmi": gate.settings.targets["hmi"]}
    gate.settings = gate.settings.model_copy(update={"targets": kept})
    gate.run()
    entry = gate.outbox.held[f"{inspection_id}_r1_alarm"]
    assert entry.state is OutboxState.DEAD
    assert "no longer in the configuration" in entry.last_error


def test_what_no_subscription_takes_any_more_is_closed_by_sweep(gate: Gate) -> None:
    """On Google Cloud each target has a subscription of its own, which goes with it."""
    inspection_id = decided(gate)
    gate.bus.take(NOTIFICATIONS)
    kept = {"hmi": gate.settings.targets["hmi"]}
    gate.settings = gate.settings.model_copy(update={"targets": kept})
    gate.clock.advance(gate.settings.retry.patience_s + 1)
    gate.sweep()
    entry = gate.outbox.held[f"{inspection_id}_r1_alarm"]
    assert entry.state is OutboxState.DEAD
    assert "no longer in the configuration" in entry.last_error
    assert [message.attributes["target"] for message in gate.bus.take(NOTIFICATIONS)] == ["hmi"]


def test_what_got_lost_on_the_way_is_published_again_but_not_what_is_on_its_way(gate: Gate) -> None:
    decided(gate)
    gate.bus.take(NOTIFICATIONS)
    gate.sweep()
    assert gate.bus.take(NOTIFICATIONS) == []
    gate.clock.time += timedelta(minutes=3)
    gate.sweep()
    gate.run()
    assert len(gate.told("hmi")) == len(gate.told("alarm")) == 1


def test_in_the_cloud_a_message_that_waits_out_its_longest_backoff_is_not_taken_for_lost(gate: Gate) -> None:
    gate.settings = gate.settings.model_copy(update={"cloud": Cloud(project="my-plant")})
    decided(gate)
    gate.bus.take(NOTIFICATIONS)
    gate.clock.advance(CLOUD_RETRY.maximum_s + 60)
    gate.sweep()
    assert gate.bus.take(NOTIFICATIONS) == []
    gate.clock.advance(CLOUD_RETRY.maximum_s)
    gate.sweep()
    assert len(gate.bus.take(NOTIFICATIONS)) == 2


def test_a_target_that_is_gone_is_sent_nothing_until_it_is_enabled(gate: Gate) -> None:
    gate.targets["hmi"].gone = True
    gate.upload()
    gate.run()
    gate.targets["hmi"].gone = False
    gate.upload("uploads/smt-1/aoi/B.png")
    gate.run()
    assert gate.told("hmi") == []
    assert set(gate.outbox.disabled) == {"hmi"}
    assert [entry.state.value for entry in gate.outbox.held.values() if entry.target == "hmi"] == ["HELD"] * 2
    gate.clock.advance(3600)
    gate.sweep()
    gate.run()
    assert gate.told("hmi") == [], "what is held is not lost, and nobody sends it meanwhile"
    publish_outbox(gate.context, gate.outbox.enable_target("hmi"))
    gate.run()
    assert len(gate.told("hmi")) == 2


def test_an_entry_that_was_held_while_its_target_was_being_enabled_is_not_forgotten(gate: Gate) -> None:
    """Enabled after the handler had looked, before it held the entry: nobody else would ever send it."""
    gate.upload()
    gate.run(UPLOADS, CROPS, CHECKS)
    gate.outbox.disabled["hmi"] = "it answered 410"
    looked: list[str] = []

    def disabled(*, fresh: bool = False) -> dict[str, str]:
        looked.append("")
        return {"hmi": "it answered 410"} if len(looked) == 1 else {}

    gate.outbox.disabled_targets = disabled  # type: ignore[method-assign]
    (message,) = [m for m in gate.bus.take(NOTIFICATIONS) if m.attributes["target"] == "hmi"]
    with pytest.raises(TransientError, match="enabled just now"):
        gate.handle(NOTIFICATIONS, message)
    gate.handle(NOTIFICATIONS, message)
    assert len(gate.told("hmi")) == 1


def test_how_long_a_target_wants_to_be_left_alone_reaches_the_bus(gate: Gate) -> None:
    gate.upload()
    gate.run(UPLOADS, CROPS, CHECKS)
    gate.targets["hmi"].down, gate.targets["hmi"].retry_after_s = True, 42.0
    (message,) = [m for m in gate.bus.take(NOTIFICATIONS) if m.attributes["target"] == "hmi"]
    with pytest.raises(TransientError) as caught:
        gate.handle(NOTIFICATIONS, message)
    assert caught.value.retry_after_s == 42.0

"""What each stage does with a message that comes again, late, or after the deadline."""

from dataclasses import replace

import pytest
from PIL import Image

from linegate.codec import codec
from linegate.deciders import Decider
from linegate.errors import ObjectMissingError, PermanentError, TransientError
from linegate.events import to_message
from linegate.inspection import Check, Decision, Result, Revision, Verdict
from linegate.messages import CheckMade, CropReady
from linegate.ports import Reference
from linegate.sight import Sight
from linegate.stages import CHECKS, CROPS, NOTIFICATIONS, UPLOADS
from tests.harness import REMOTE, Gate

# --- repeats


def test_a_decided_board_is_not_inspected_again(gate: Gate) -> None:
    upload = gate.upload()
    gate.run()
    gate.bus.publish(UPLOADS, [to_message(upload)])
    gate.run()
    assert gate.detector.calls == 1
    assert len(gate.told("hmi")) == 1


def test_a_decided_board_whose_picture_has_gone_asks_for_nothing_more(gate: Gate) -> None:
    """Decided uploads are archived or expire: a message that comes once more is no fault, and costs no check."""
    gate.finds("short")
    upload = gate.upload()
    gate.run()
    del gate.images.objects["uploads", upload.image.name]
    gate.bus.publish(UPLOADS, [to_message(upload)])
    gate.run(UPLOADS)
    assert gate.bus.messages == []
    assert gate.images.names("results") == {f"results/{upload.image.inspection_id}/r1.jpg"}


def test_a_picture_that_goes_after_its_manifest_was_made_makes_the_board_no_error(gate: Gate) -> None:
    """It was sound then: what is known of its findings decides."""
    gate.finds("short")
    upload = gate.upload()
    gate.run(UPLOADS)
    del gate.images.objects["uploads", upload.image.name]
    gate.bus.publish(UPLOADS, [to_message(upload)])
    with pytest.raises(ObjectMissingError):
        gate.run(UPLOADS)
    assert gate.board(upload).revision is None
    gate.run(CROPS, CHECKS)
    assert gate.verdict(upload) == "FAIL"
    revision = gate.board(upload).revision
    assert revision is not None and revision.annotated == ""


def test_a_stored_manifest_is_published_again_without_asking_the_detector(gate: Gate) -> None:
    gate.finds("short", "spur")
    upload = gate.upload()
    gate.run(UPLOADS)
    first = gate.bus.take(CROPS)
    gate.bus.publish(UPLOADS, [to_message(upload)])
    gate.run(UPLOADS)
    assert gate.detector.calls == 1
    again = [codec(CropReady).validate_json(message.data) for message in gate.bus.take(CROPS)]
    assert again == [replace(codec(CropReady).validate_json(message.data), again=True) for message in first]


def test_a_crop_that_comes_again_costs_no_second_check(gate: Gate) -> None:
    gate.finds("short", "spur")
    gate.upload()
    gate.run(UPLOADS)
    crops = [codec(CropReady).validate_json(message.data) for message in gate.bus.take(CROPS)]
    gate.bus.publish(CROPS, [to_message(crops[0])])
    gate.run(CROPS, CHECKS)
    gate.bus.publish(CROPS, [to_message(replace(crop, again=True)) for crop in crops])
    gate.run()
    assert gate.verifier.calls == 2


@pytest.mark.parametrize("topic", [UPLOADS, CHECKS])
def test_who_died_between_deciding_and_publishing_publishes_when_it_comes_again(gate: Gate, topic: str) -> None:
    gate.finds(*(["short"] if topic == CHECKS else []))
    gate.upload()
    gate.run(*{UPLOADS, CROPS} - {topic})
    (message,) = gate.bus.take(topic)
    gate.handle(topic, message)
    lost = gate.bus.take(NOTIFICATIONS)
    gate.handle(topic, message)
    assert gate.bus.take(NOTIFICATIONS) == lost != []


def test_however_much_a_service_says_the_notification_goes_out(gate: Gate) -> None:
    gate.finds("short", doubts=("hm " * 100_000,))
    gate.verifier.fault = TransientError("x" * 1_000_000)
    gate.upload()
    gate.run()
    (told,) = gate.told("hmi")
    assert told["verdict"] == "REVIEW"
    assert len(told["summary"]) < 1500


def test_a_second_check_of_the_same_crop_does_not_change_the_verdict(gate: Gate) -> None:
    gate.finds("short")
    upload = gate.upload()
    gate.run()
    late = CheckMade(upload.image.inspection_id, "smt-1", 1, Check(0, Result.PASS, "changed my mind"))
    gate.bus.publish(CHECKS, [to_message(late)])
    gate.run()
    assert gate.verdict(upload) == "FAIL"
    assert len(gate.inspections.history[upload.image.inspection_id]) == 1


def test_what_a_person_decided_stands_whatever_machines_say_later(gate: Gate) -> None:
    gate.finds("short", "spur")
    upload = gate.upload()
    gate.run(UPLOADS, CROPS)
    board = gate.board(upload)
    cleared = Decision(Verdict.PASS, True, 0, (), "Ada looked at it.")
    revision = Revision(1, Decider.person("Ada"), gate.clock.now(), cleared)
    assert gate.inspections.commit(replace(board, revision=revision), revision, [])
    gate.bus.publish(UPLOADS, [to_message(upload)])
    gate.run()
    gate.clock.advance(61)
    gate.sweep()
    assert gate.inspections.history[upload.image.inspection_id] == [revision]
    assert len(gate.inspections.recorded[upload.image.inspection_id]) == 2, "its checks are recorded all the same"


# --- deadlines


def test_a_board_without_all_its_checks_is_decided_at_the_deadline_and_corrected_when_they_come(gate: Gate) -> None:
    gate.finds("short", "spur")
    gate.verifier.answers = {"short": Result.PASS, "spur": Result.PASS}
    upload = gate.upload()
    gate.run(UPLOADS, CROPS)
    first, second = gate.bus.take(CHECKS)
    gate.handle(CHECKS, first)
    gate.sweep()
    assert gate.board(upload).revision is None, "the deadline has not passed"
    gate.clock.advance(61)
    gate.sweep()
    gate.run()
    assert gate.told("hmi")[-1]["verdict"] == "REVIEW"
    assert gate.told("hmi")[-1]["complete"] is False
    gate.handle(CHECKS, second)
    gate.run()
    assert [(told["revision"], told["verdict"]) for told in gate.told("hmi")] == [(1, "REVIEW"), (2, "PASS")]


def test_a_detector_that_is_away_past_the_deadline_is_review_with_its_fault_and_still_counts_later(gate: Gate) -> None:
    gate.finds("short")
    gate.detector.fault = TransientError("401: the key is wrong")
    upload = gate.upload()
    with pytest.raises(TransientError):
        gate.run()
    gate.clock.advance(61)
    gate.sweep()
    gate.run(NOTIFICATIONS)
    assert gate.told("hmi")[0]["verdict"] == "REVIEW"
    assert "the key is wrong" in gate.told("hmi")[0]["summary"]
    gate.bus.publish(UPLOADS, [to_message(upload)])  # somebody mended the key and replayed
    gate.run()
    assert gate.told("alarm")[-1]["verdict"] == "FAIL"


class Missing:
    """A registrar whose golden picture somebody took away."""

    def sight(self, golden: str) -> Sight:
        raise TransientError(f"there is no {golden}")

    def register(self, picture: Image.Image, golden: str) -> Reference:
        raise TransientError(f"there is no {golden}")


@pytest.mark.parametrize("name", ["uploads/smt-1/aoi/A1.png", REMOTE])
@pytest.mark.parametrize("detected", [False, True])
def test_a_missing_golden_picture_is_told_at_the_deadline_whether_or_not_the_detector_looks_at_it(
    gate: Gate, name: str, *, detected: bool
) -> None:
    gate.finds("short")
    upload = gate.upload(name)
    if detected:  # the manifest is stored, and its crops get lost
        gate.run(UPLOADS)
        gate.bus.take(CROPS)
        gate.bus.publish(UPLOADS, [to_message(upload)])
    gate.registrar = Missing()
    with pytest.raises(TransientError):
        gate.run(UPLOADS)
    gate.clock.advance(61)
    gate.sweep()
    gate.run(NOTIFICATIONS)
    (told,) = gate.told("hmi")
    assert told["verdict"] == "REVIEW"
    assert "there is no golden.png" in told["summary"]
    assert "there is no golden.png" in told["reasons"][0]


def test_a_fault_that_was_mended_is_no_reason_for_what_came_late_afterwards(gate: Gate) -> None:
    gate.finds("short")
    gate.detector.fault = TransientError("401: the key is wrong")
    upload = gate.upload()
    with pytest.raises(TransientError):
        gate.run(UPLOADS)
    gate.bus.publish(UPLOADS, [to_message(upload)])
    gate.run(UPLOADS)
    gate.clock.advance(61)
    gate.sweep()
    assert gate.verdict(upload) == "REVIEW"
    revision = gate.board(upload).revision
    assert revision is not None
    assert revision.decision.reasons == ("short at the upper left: No check before the deadline.",)


def test_who_heard_of_a_failure_hears_of_its_correction_even_without_asking_for_pass(gate: Gate) -> None:
    gate.finds("short", "spur")
    gate.verifier.answers = {"short": Result.FAIL, "spur": Result.PASS}
    upload = gate.upload()
    gate.run(UPLOADS, CROPS)
    first, second = gate.bus.take(CHECKS)
    gate.handle(CHECKS, first)
    gate.clock.advance(61)
    gate.sweep()
    gate.run()
    gate.handle(CHECKS, second)
    gate.run()
    assert [told["revision"] for told in gate.told("alarm")] == [1, 2]
    assert gate.board(upload).told == ("hmi", "alarm")


def test_messages_without_their_records_are_refused_for_good(gate: Gate) -> None:
    with pytest.raises(PermanentError):
        gate.handle(CHECKS, to_message(CheckMade("f" * 32, "smt-1", 1, Check(0, Result.PASS, "fine"))))

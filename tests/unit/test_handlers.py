"""What each stage does with one message: the cases a user would miss."""

import json
from dataclasses import replace
from datetime import timedelta
from threading import Event

import numpy as np
import pytest
from PIL import Image

from linegate.codec import codec
from linegate.errors import DeferredError, PermanentError, RegistrationError, TransientError
from linegate.events import to_message
from linegate.imaging import decode
from linegate.inspection import Detection, Result
from linegate.messages import CropReady
from linegate.ports import Found, Judgement, Reference
from linegate.sight import Sight, measure
from linegate.stages import CROPS, UPLOADS
from tests.boards import SIDE, draw
from tests.fakes import StaticDetector, StaticVerifier
from tests.harness import REMOTE, Gate, SameBoard, picture

# --- the whole way


def test_a_clean_board_passes_and_the_hmi_hears_of_it(gate: Gate) -> None:
    upload = gate.upload()
    gate.run()
    assert gate.verdict(upload) == "PASS"
    (told,) = gate.told("hmi")
    assert (told["verdict"], told["inspection_result"], told["fail_count"]) == ("PASS", "PASS", 0)
    assert (told["line"], told["station"], told["serial"]) == ("smt-1", "aoi", "A1")
    assert gate.told("alarm") == [], "the alarm asked for FAIL and ERROR only"


def test_a_defect_fails_the_board_and_everybody_who_asked_hears_where_and_why(gate: Gate) -> None:
    gate.finds("short", "spur")
    gate.verifier.answers = {"spur": Result.PASS}
    upload = gate.upload()
    gate.run()
    (told,) = gate.told("alarm")
    assert (told["verdict"], told["fail_count"], told["revision"]) == ("FAIL", 1, 1)
    assert [(d["class"], d["result"], d["reason"]) for d in told["defects"]] == [
        ("short", "FAIL", "It is fail."),
        ("spur", "PASS", "It is pass."),
    ]
    assert told["defects"][0]["box"] == {"x": 20, "y": 20, "width": 8, "height": 8}
    assert told["annotated_image"]["name"] == f"results/{upload.image.inspection_id}/r1.jpg"
    assert ("results", told["annotated_image"]["name"]) in gate.images.objects


def test_no_answer_that_can_be_relied_on_is_review(gate: Gate) -> None:
    gate.finds("short")
    gate.verifier.answers = {"short": Result.UNSURE}
    upload = gate.upload()
    gate.run()
    assert gate.verdict(upload) == "REVIEW"
    assert gate.told("hmi")[0]["inspection_result"] == "FAIL", "not cleared is never PASS"


def test_a_verifier_that_fails_is_unsure_and_is_not_asked_again(gate: Gate) -> None:
    gate.finds("short")
    gate.verifier.fault = TransientError("the service is away")
    upload = gate.upload()
    gate.run()
    assert gate.verdict(upload) == "REVIEW"
    assert "the service is away" in gate.told("hmi")[0]["summary"]
    assert gate.verifier.calls == 1


def test_every_detection_counts_in_a_recipe_without_verifier(gate: Gate) -> None:
    gate.finds("short")
    upload = gate.upload("uploads/smt-2/aoi/A1.png")
    gate.run()
    assert (gate.verdict(upload), gate.verifier.calls) == ("FAIL", 0)


def test_a_detector_in_doubt_sends_the_board_to_review(gate: Gate) -> None:
    gate.finds(doubts=("The picture can't be laid over its golden picture.",))
    upload = gate.upload()
    gate.run()
    assert gate.verdict(upload) == "REVIEW"
    assert "golden picture" in gate.told("hmi")[0]["summary"]


def test_a_detector_that_can_never_answer_sends_the_board_to_review(gate: Gate) -> None:
    gate.detector.fault = PermanentError("no such workflow output")
    upload = gate.upload()
    gate.run()
    assert gate.verdict(upload) == "REVIEW"
    assert "no such workflow output" in gate.told("hmi")[0]["reasons"][0]


class Unlike:
    def sight(self, golden: str) -> Sight:
        return measure(draw())

    def register(self, image: Image.Image, golden: str) -> Reference:
        raise RegistrationError("nothing alike")


def test_the_verifier_is_given_the_crop_and_beside_it_the_same_cut_of_the_golden_picture(gate: Gate) -> None:
    gate.finds("short")
    gate.upload()
    given: list[tuple[bytes, bytes | None]] = []
    answer = gate.verifier.verify

    class Looking(StaticVerifier):
        def verify(self, crop: bytes, reference: bytes | None, detection: Detection) -> Judgement:
            given.append((crop, reference))
            return answer(crop, reference, detection)

    gate.verifier = Looking()
    gate.run()
    ((crop, reference),) = given
    assert reference is not None
    green = [np.asarray(decode(file, 10**6)).mean((0, 1)) for file in (crop, reference)]
    assert green[1][1] > green[1][0] + 100, "the golden picture of these tests is green"
    assert green[0][1] < green[0][0] + 100


def test_a_picture_that_is_wider_than_high_is_told_so(gate: Gate) -> None:
    gate.finds("short")
    upload = gate.upload(data=picture((240, 100)))
    gate.run()
    manifest = gate.board(upload).manifest
    assert manifest is not None and (manifest.width, manifest.height) == (240, 100)


@pytest.mark.parametrize(("ahead_s", "left_s"), [(0, 60), (-20, 40), (3600, 60)])
def test_the_deadline_counts_from_the_upload_and_a_clock_that_runs_ahead_gains_nothing(
    gate: Gate, ahead_s: float, left_s: float
) -> None:
    gate.finds("short")
    upload = gate.upload()
    gate.bus.messages.clear()
    gate.bus.publish(UPLOADS, [to_message(replace(upload, uploaded_at=gate.clock.now() + timedelta(seconds=ahead_s)))])
    gate.run(UPLOADS)
    assert gate.board(upload).deadline == gate.clock.now() + timedelta(seconds=left_s)


def test_the_milliseconds_to_the_verdict_are_told(gate: Gate) -> None:
    gate.finds("short")
    gate.upload()
    gate.run(UPLOADS)
    gate.clock.advance(1.5)
    gate.run()
    assert gate.told("hmi")[0]["latency_ms"] == 1500


def test_crops_go_without_a_reference_where_none_can_be_laid_over(gate: Gate) -> None:
    gate.registrar = Unlike()
    gate.finds("short")
    gate.upload(REMOTE)
    gate.run(UPLOADS)
    (message,) = gate.bus.take(CROPS)
    crop = codec(CropReady).validate_json(message.data)
    assert crop.reference is None
    assert crop.crop[:2] == b"\xff\xd8"


@pytest.mark.parametrize(("name", "asked"), [("uploads/smt-1/aoi/A1.png", 0), (REMOTE, 1)])
def test_a_board_unlike_its_golden_picture_does_not_pass_whether_or_not_its_detector_looks_at_it(
    gate: Gate, name: str, asked: int
) -> None:
    gate.registrar = Unlike()
    upload = gate.upload(name)
    gate.run()
    revision = gate.board(upload).revision
    assert (gate.verdict(upload), gate.detector.calls) == ("REVIEW", asked)
    assert revision is not None
    assert revision.decision.reasons == ("Not compared: nothing alike.",)


def test_a_detector_that_compares_gets_the_golden_picture(gate: Gate) -> None:
    gate.upload()
    gate.run()
    assert gate.detector.golden is not None
    assert gate.detector.golden.picture.size == (SIDE, SIDE)


class Slow(SameBoard):
    """A registrar that has not laid the golden picture over before the detector was asked, or a while has passed."""

    def __init__(self) -> None:
        self.asked = Event()
        self.side_by_side = False

    def register(self, image: Image.Image, golden: str) -> Reference:
        self.side_by_side = self.asked.wait(5)
        return super().register(image, golden)


def test_a_detector_that_does_not_compare_is_asked_while_the_golden_picture_is_laid_over(gate: Gate) -> None:
    registrar = gate.registrar = Slow()

    class Remote(StaticDetector):
        def detect(self, picture: Image.Image, file: bytes, golden: Reference | None) -> Found:
            registrar.asked.set()
            return super().detect(picture, file, golden)

    gate.detector = Remote()
    gate.finds("short")
    gate.upload(REMOTE)
    gate.run(UPLOADS)
    assert registrar.side_by_side
    (crop,) = [codec(CropReady).validate_json(message.data) for message in gate.bus.take(CROPS)]
    assert crop.reference is not None, "the golden picture's cut goes along all the same"


# --- what can't be inspected


@pytest.mark.parametrize(
    ("name", "data", "reason"),
    [
        ("uploads/smt-1/aoi/A.jpg", b"", "empty"),
        ("uploads/smt-1/aoi/A.jpg", b"no picture", ""),
        ("uploads/smt-9/aoi/A.jpg", None, "'smt-9' is not in the configuration"),
        ("uploads/A.jpg", None, "tells no line"),
        ("uploads/../etc/passwd", None, "'..' is not in the configuration"),
        ("uploads/" + "😀" * 254, None, "tells no line"),
        ("uploads/\0/\n/x.jpg", None, "not in the configuration"),
    ],
)
def test_what_can_not_be_inspected_is_an_error_with_a_copy_and_its_reason(
    gate: Gate, name: str, data: bytes | None, reason: str
) -> None:
    upload = gate.upload(name, data)
    gate.run()
    assert gate.verdict(upload) == "ERROR"
    assert reason in gate.told("alarm")[0]["summary"]
    inspection_id = upload.image.inspection_id
    _, copy = gate.images.objects["results", f"quarantine/{inspection_id}"]
    _, note = gate.images.objects["results", f"quarantine/{inspection_id}.json"]
    assert copy == (picture() if data is None else data)
    assert json.loads(note)["reason"] in gate.told("alarm")[0]["summary"]
    assert json.loads(note) == {
        "inspection_id": inspection_id,
        "bucket": "uploads",
        "object": name,
        "generation": upload.image.generation,
        "received_at": gate.clock.now().isoformat(),
        "reason": json.loads(note)["reason"],
    }
    assert gate.told("alarm")[0]["annotated_image"] is None


def test_a_file_that_is_too_large_is_neither_read_nor_copied(gate: Gate) -> None:
    """It may be as large as the disk: a sparse one is made in a moment."""
    upload = gate.upload(data=b"x" * 1_000_001)
    gate.run()
    assert gate.verdict(upload) == "ERROR"
    assert gate.images.reads == 0
    assert "1,000,000 are allowed" in gate.told("alarm")[0]["summary"]
    copy = f"quarantine/{upload.image.inspection_id}"
    assert gate.images.names("results") == {f"{copy}.json"}
    assert "too large to be copied" in json.loads(gate.images.objects["results", f"{copy}.json"][1])["reason"]


def test_a_picture_that_was_replaced_before_it_was_read_is_an_error_and_the_new_one_is_inspected(gate: Gate) -> None:
    first = gate.upload(data=picture())
    second = gate.upload(data=picture((SIDE + 8, SIDE + 8)))
    gate.run()
    assert (gate.verdict(first), gate.verdict(second)) == ("ERROR", "PASS")
    assert f"quarantine/{first.image.inspection_id}.json" in gate.images.names("results")


def test_objects_elsewhere_in_the_bucket_are_ignored(gate: Gate) -> None:
    gate.upload("golden/pcb.png")
    gate.run()
    assert gate.inspections.inspections == {}


def test_metadata_may_ask_for_a_recipe_that_its_line_allows(gate: Gate) -> None:
    gate.finds("short")
    trusting = gate.upload("uploads/smt-1/aoi/A.png", metadata={"recipe": "trusting"})
    own = gate.upload("uploads/smt-2/aoi/A.png", metadata={"recipe": "trusting"})
    gate.run()
    for board in (trusting, own):
        assert (gate.board(board).recipe, gate.verdict(board)) == ("trusting", "FAIL")
    assert gate.verifier.calls == 0


@pytest.mark.parametrize("asked", ["nowhere", "pcb", "remote", ""])
def test_a_recipe_that_its_line_does_not_allow_is_an_error_that_says_which_it_does(gate: Gate, asked: str) -> None:
    """Whoever uploads writes the metadata, and may prefer another line's laxer recipe."""
    board = gate.upload("uploads/smt-2/aoi/B.png", metadata={"recipe": asked})
    gate.run()
    assert gate.verdict(board) == "ERROR"
    said = gate.told("hmi")[0]["summary"]
    assert f"asks for recipe '{asked}', which line 'smt-2' does not allow; it allows trusting" in said


# --- a verifier that is asked too much


def test_a_check_waits_for_its_turn_until_the_deadline_and_then_a_person_looks(gate: Gate) -> None:
    gate.finds("short")
    upload = gate.upload()
    gate.run(UPLOADS)
    (crop,) = gate.bus.take(CROPS)
    gate.verifier.fault = DeferredError("the quota is used up", retry_after_s=20)
    for _ in range(4):  # the deadline is 60 s after the upload
        with pytest.raises(DeferredError):
            gate.handle(CROPS, crop)
        gate.clock.advance(13)
    gate.handle(CROPS, crop)  # 8 s are left, and it is to come in 20
    gate.run()
    assert gate.verdict(upload) == "REVIEW"
    (defect,) = gate.told("hmi")[0]["defects"]
    assert "had no time for it before the deadline: the quota is used up" in defect["reason"]


def test_a_check_whose_turn_comes_counts_as_if_it_had_not_waited(gate: Gate) -> None:
    gate.finds("short")
    upload = gate.upload()
    gate.run(UPLOADS)
    (crop,) = gate.bus.take(CROPS)
    gate.verifier.fault = DeferredError("the quota is used up")
    with pytest.raises(DeferredError):
        gate.handle(CROPS, crop)
    gate.verifier.fault = None
    gate.handle(CROPS, crop)
    gate.run()
    assert gate.verdict(upload) == "FAIL"
    assert len(gate.told("hmi")) == 1


def test_a_crop_of_a_release_that_told_no_deadline_does_not_wait(gate: Gate) -> None:
    gate.finds("short")
    upload = gate.upload()
    gate.run(UPLOADS)
    crop = replace(codec(CropReady).validate_json(gate.bus.take(CROPS)[0].data), deadline=None)
    gate.verifier.fault = DeferredError("the quota is used up")
    gate.handle(CROPS, to_message(crop))
    gate.run()
    assert gate.verdict(upload) == "REVIEW"

"""The Roboflow adapter with the real SDK, against a stand-in of the service."""

import base64
import io
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw
from PIL.ExifTags import Base

from linegate import imaging
from linegate.adapters.roboflow.detector import RoboflowDetector
from linegate.adapters.roboflow.kind import RoboflowDetection
from linegate.adapters.roboflow.service import Roboflow, Workflow
from linegate.config import parse
from linegate.errors import ConfigError, TransientError
from linegate.inspection import Result
from linegate.ports import Found
from linegate.sections import ClassPolicy
from linegate.settings import Recipe
from linegate.shapes import Box
from tests.standins.roboflow import KEY, MARKS, WORKFLOW, WORKSPACE, Workflows, fixed, prediction
from tests.standins.service import Service, all_faults, always, body, first, status

FAST = {"timeout_s": 0.5, "budget_s": 0.6}  # one attempt, and no time for another


@pytest.fixture
def workflows() -> Workflows:
    return Workflows()


@pytest.fixture
def service(workflows: Workflows) -> Iterator[Service]:
    with Service(workflows) as running:
        yield running


Make = Callable[..., RoboflowDetector]


@pytest.fixture
def make(service: Service) -> Make:
    def detector(
        recipe: dict[str, Any] | None = None, workflow: dict[str, Any] | None = None, **more: Any
    ) -> RoboflowDetector:
        parts = {"id": WORKFLOW} | (workflow or {})
        asks = RoboflowDetection(workflow=Workflow(**parts))
        chosen = Recipe(detectors=[asks], verifier="none").changed(**recipe or {})
        where = {"api_url": service.url, "api_key": KEY, "workspace": WORKSPACE, "budget_s": 5.0} | more
        return RoboflowDetector(
            Roboflow(**where), chosen, asks.workflow, lambda _: None, judged=chosen.verifier.of_detector != ""
        )

    return detector


@pytest.fixture
def hasty(make: Make) -> RoboflowDetector:
    return make(**FAST)


def board(width: int, height: int, *boxes: tuple[str, int, int, int, int]) -> Image.Image:
    """A dark board with marks that the stand-in finds: class, left, top, right, bottom."""
    picture = Image.new("RGB", (width, height), (16, 60, 40))
    pen = ImageDraw.Draw(picture)
    for name, left, top, right, bottom in boxes:
        pen.rectangle((left, top, right - 1, bottom - 1), MARKS[name])
    return picture


def encoded(picture: Image.Image, image_format: str = "JPEG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, image_format, **options)
    return buffer.getvalue()


def detect(detector: RoboflowDetector, file: bytes) -> Found:
    return detector.detect(imaging.decode(file), file, None)


def near(box: Box, left: int, top: int, right: int, bottom: int, tolerance: float) -> bool:
    return all(abs(a - b) <= tolerance for a, b in zip(box.corners, (left, top, right, bottom), strict=True))


# --- what is sent


@pytest.mark.parametrize(
    ("size", "tolerance"),
    [((640, 640), 1.5), ((1024, 300), 1.5), ((4000, 2250), 5), ((2250, 4000), 5), ((1025, 1025), 2)],
)
def test_boxes_come_back_where_they_belong(
    make: Make, workflows: Workflows, size: tuple[int, int], tolerance: float
) -> None:
    width, height = size
    mark = (width // 2, height // 3, width // 2 + width // 10, height // 3 + height // 8)
    found = detect(make(), encoded(board(*size, ("short", *mark)), quality=95))
    (seen,) = found.detections
    assert near(seen.box, *mark, tolerance=tolerance)
    assert max(workflows.seen[0].size) == min(1024, max(size))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(600, 400), (3000, 2000)])
def test_a_picture_that_the_camera_stored_turned_is_boxed_upright(
    make: Make, workflows: Workflows, size: tuple[int, int], orientation: int
) -> None:
    """The stand-in looks at pixels alone, as a service may that ignores EXIF."""
    width, height = size
    mark = (width // 10, height // 10, width // 4, height // 5)
    stored = board(width, height, ("spur", *mark))
    exif = Image.Exif()
    exif[Base.Orientation] = orientation
    file = encoded(stored, quality=70, exif=exif)  # smaller than any new encoding: tempting to send as it is
    upright = imaging.decode(file)
    (seen,) = detect(make(), file).detections
    assert workflows.seen[0].size == tuple(round(side * min(1, 1024 / max(size))) for side in upright.size)
    left, top, right, bottom = (int(edge) for edge in seen.box.corners)
    darkest = np.asarray(upright.crop((left + 8, top + 8, right - 8, bottom - 8)), int).min(axis=(0, 1))
    assert np.abs(darkest - MARKS["spur"]).max() < 60, "the box lies on the mark"
    assert abs(seen.box.width * seen.box.height - (mark[2] - mark[0]) * (mark[3] - mark[1])) < 0.1 * width * height / 60


def test_the_upload_itself_is_sent_where_encoding_it_again_would_not_shrink_it(make: Make, service: Service) -> None:
    small = encoded(board(640, 480, ("short", 100, 100, 200, 200)), quality=60)
    detect(make(), small)
    large = encoded(board(640, 480, ("short", 100, 100, 200, 200)), "BMP")
    detect(make(), large)
    sent = [base64.b64decode(request.json()["inputs"]["image"]["value"]) for request in service.requests]
    assert sent[0] == small
    assert sent[1][:2] == b"\xff\xd8"
    assert len(sent[1]) < len(large) / 10


def test_the_bound_is_twice_the_models_input_unless_it_is_set(make: Make, workflows: Workflows) -> None:
    file = encoded(board(3000, 1500))
    detect(make(), file)
    detect(make(input_side=640), file)
    detect(make(send_side=2000), file)
    assert [picture.size for picture in workflows.seen] == [(1024, 512), (1280, 640), (2000, 1000)]


def test_the_key_travels_in_a_header_and_nowhere_else(make: Make, service: Service) -> None:
    detect(make(), encoded(board(64, 64)))
    (request,) = service.requests
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert KEY not in request.path
    assert KEY.encode() not in request.body


def test_a_server_of_ones_own_needs_no_key(make: Make, service: Service, workflows: Workflows) -> None:
    workflows.key = None
    assert detect(make(api_key=None), encoded(board(64, 64))).detections == ()
    assert "authorization" not in service.requests[0].headers


def test_a_recipe_chooses_version_threshold_and_parameters(make: Make, service: Service) -> None:
    recipe = {"confidence": 0.4, "classes": {"short": ClassPolicy(minimum_confidence=0.2), "spur": ClassPolicy()}}
    workflow = {"version": "v7", "parameters": {"iou": 0.5}, "exclude": ["overlay"]}
    detect(make(recipe, workflow, use_cache=False), encoded(board(64, 64)))
    content = service.requests[0].json()
    assert content["workflow_version_id"] == "v7"
    assert content["use_cache"] is False
    assert content["excluded_fields"] == ["overlay"]
    assert content["inputs"]["confidence"] == 0.2, "the lowest of all thresholds; the class's own ones are applied here"
    assert content["inputs"]["iou"] == 0.5


def test_a_recipe_may_ask_a_workflow_for_more_than_it_wants_and_not_for_less(make: Make, service: Service) -> None:
    workflow = {"parameters": {"confidence": 0.05}}
    detect(make({"confidence": 0.4}, workflow), encoded(board(64, 64)))
    assert service.requests[0].json()["inputs"]["confidence"] == 0.05
    text = """
        recipes:
          pcb: {confidence: 0.5, detector: roboflow, verifier: none, workflow: {id: b, parameters: {confidence: 0.6}}}
        lines: {smt-1: {recipe: pcb}}
        roboflow: {workspace: plant, api_key: key}
        """
    with pytest.raises(ConfigError, match=r"0\.6 hides what the recipe wants to see"):
        parse(text, Path(), {})
    parse(text.replace("0.6", "0.5"), Path(), {})


def test_connections_are_kept(make: Make, service: Service) -> None:
    detector = make()
    for _ in range(3):
        detect(detector, encoded(board(64, 64)))
    assert service.connections == 1


# --- what comes back


def finds(workflows: Workflows, *predictions: Any) -> None:
    workflows.find = fixed(*predictions)


def test_a_clean_board_has_no_detections_and_no_doubts(make: Make) -> None:
    found = detect(make(), encoded(board(64, 64)))
    assert (found.detections, found.doubts) == ((), ())
    assert (found.model, found.model_version) == ("roboflow:plant/pcb", "stand-in/1")


def test_boxes_are_clipped_and_narrow_ones_widened(make: Make, workflows: Workflows) -> None:
    finds(
        workflows,
        prediction(5, 50, 40, 20),  # hangs over the left edge
        prediction(50, 50, 0, 20),
        prediction(50, 50, 20, 0.5),
        prediction(100, 50, 0.8, 20),
        prediction(50, 50, 500, 500),
        prediction(50, 50, 1e308, 20),
    )
    found = detect(make(), encoded(board(100, 100)))
    assert [detection.box.corners for detection in found.detections] == [
        (0, 40, 25, 60),
        (49, 40, 51, 60),
        (40, 49, 60, 51),
        (98, 40, 100, 60),
        (0, 0, 100, 100),
        (0, 40, 100, 60),
    ]
    assert found.doubts == ()


@pytest.mark.parametrize(
    "nowhere",
    [prediction(-50, 50, 20, 20), prediction(50, 150, 20, 20), prediction(1e308, 50, 20, 20)],
    ids=["left of it", "below it", "far away"],
)
def test_a_prediction_that_lies_nowhere_on_the_picture_is_a_doubt(
    make: Make, workflows: Workflows, nowhere: Any
) -> None:
    finds(workflows, nowhere)
    found = detect(make(), encoded(board(100, 100)))
    assert found.detections == ()
    assert found.doubts == ("Predictions that lie nowhere on the picture: short 0.90",)
    finds(workflows, nowhere | {"confidence": 0.1})
    assert detect(make(), encoded(board(100, 100))).doubts == (), "it would not have counted anyway"


@pytest.mark.parametrize(
    "spoilt",
    [
        "no object",
        {},
        prediction(1, 1, 1, 1) | {"x": None},
        prediction(1, 1, 1, 1) | {"x": "12"},
        prediction(1, 1, 1, 1) | {"confidence": 1.7},
        prediction(1, 1, 1, 1) | {"confidence": True},
        prediction(10, 10, -5, 5),
        prediction(float("nan"), 1, 1, 1),
        prediction(1, float("inf"), 1, 1),
        prediction(1, 1, 1, 1) | {"class": None},
    ],
    ids=str,
)
def test_a_prediction_that_can_not_be_read_is_a_doubt_never_left_out_in_silence(
    make: Make, workflows: Workflows, spoilt: Any
) -> None:
    finds(workflows, prediction(50, 50, 20, 20), spoilt)
    found = detect(make(), encoded(board(100, 100)))
    assert len(found.detections) == 1
    assert found.doubts == ("1 of the predictions in output 'predictions' can't be read",)


def test_predictions_are_found_under_any_name(make: Make, workflows: Workflows) -> None:
    workflows.name = "rf_detr_output"
    finds(workflows, prediction(50, 50, 20, 20))
    assert len(detect(make(), encoded(board(100, 100))).detections) == 1


def test_several_outputs_with_predictions_must_be_told_apart(make: Make, workflows: Workflows) -> None:
    workflows.name = "pcb"
    workflows.outputs = lambda found: {
        "parts": {"image": {"width": 100, "height": 100}, "predictions": [prediction(9, 9, 9, 9)] * 2}
    }
    finds(workflows, prediction(50, 50, 20, 20))
    file = encoded(board(100, 100))
    with pytest.raises(TransientError, match=r"several outputs hold predictions \('pcb', 'parts'\); name one"):
        detect(make(), file)
    assert len(detect(make(workflow={"predictions": "parts"}), file).detections) == 2
    with pytest.raises(
        TransientError, match="no output named 'boards' holds predictions; its outputs are: 'pcb', 'parts'"
    ):
        detect(make(workflow={"predictions": "boards"}), file)
    workflows.name = "predictions"
    with pytest.raises(TransientError, match=r"several outputs hold predictions \('predictions', 'parts'\)"):
        detect(make(), file)
    finds(workflows)
    with pytest.raises(TransientError, match="several outputs hold predictions"):
        detect(make(), file)


def test_predictions_about_another_picture_are_refused(make: Make, workflows: Workflows) -> None:
    workflows.name, workflows.outputs = (
        "unused",
        lambda _: {
            "predictions": {"image": {"width": 512, "height": 512}, "predictions": [prediction(256, 256, 128, 64)]}
        },
    )
    with pytest.raises(TransientError, match="about a picture of 512 by 512 pixels; 640 by 320 were sent"):
        detect(make(**FAST), encoded(board(640, 320)))
    (seen,) = detect(make(), encoded(board(640, 640))).detections
    assert seen.box == Box(320, 320, 160, 80), "the same picture in another size is mapped"


KEYS = st.sampled_from(["predictions", "image", "x", "class", "width", "outputs"])
JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda parts: st.lists(parts, max_size=3) | st.dictionaries(KEYS, parts, max_size=4),
    max_leaves=12,
)


@given(JSON)
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_answer_of_any_shape_is_understood_doubted_or_refused(
    hasty: RoboflowDetector, service: Service, content: Any
) -> None:
    service.faults = always(body(json.dumps({"outputs": [content]}).encode()))
    try:
        found = detect(hasty, encoded(board(64, 64)))
    except TransientError:
        return
    held = [value["predictions"] for value in content.values() if isinstance(value, dict) and "predictions" in value]
    assert found.detections or found.doubts or not any(held), "something was predicted, and nothing is left of it"


# --- faults


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(all_faults()))
def test_every_fault_is_a_transient_error_and_soon(make: Make, service: Service, name: str) -> None:
    service.faults = always(all_faults()[name])
    started = time.monotonic()
    with pytest.raises(TransientError, match="Roboflow workflow plant/pcb: "):
        detect(make(**FAST), encoded(board(64, 64)))
    assert time.monotonic() - started < 3


# Faults after which the very same request may succeed
PASSING = [
    *sorted(name for name in all_faults() if not name.startswith(("status 4", "redirect", "invalid"))),
    "status 408",
]


@pytest.mark.slow
@pytest.mark.parametrize("name", PASSING)
def test_a_fault_that_passes_is_outlasted(make: Make, service: Service, name: str) -> None:
    service.faults = first(1, all_faults()[name])
    assert detect(make(timeout_s=1.0, budget_s=8.0), encoded(board(64, 64))).doubts == ()
    assert len(service.requests) == 2


@pytest.mark.parametrize(
    ("change", "mend"),
    [
        ({"api_key": "wrong"}, r"401: it refused the key; check roboflow\.api_key"),
        ({"workspace": "elsewhere"}, r"404: it knows no such workflow; check roboflow\.workspace"),
    ],
)
def test_what_a_person_must_mend_is_named_and_not_asked_twice(
    make: Make, service: Service, change: dict[str, str], mend: str
) -> None:
    with pytest.raises(TransientError, match=mend):
        detect(make(**change), encoded(board(64, 64)))
    assert len(service.requests) == 1


def test_a_fault_never_tells_the_key(make: Make, service: Service) -> None:
    service.faults = always(status(500, {"message": "no"}))
    with pytest.raises(TransientError) as caught:
        detect(make(**FAST), encoded(board(64, 64)))
    assert KEY not in str(caught.value)
    assert KEY not in repr(Roboflow(api_key=KEY, workspace="w"))


# --- the complete workflow's own checks


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        (["PASS", "FAIL"], ["PASS", "FAIL"]),
        ([" pass\n", "Fail"], ["PASS", "FAIL"]),
        (["PASS", None], ["PASS", "UNSURE"]),
        (["PASS", "PASSED"], ["PASS", "UNSURE"]),
        (["PASS", ["FAIL"]], ["PASS", "UNSURE"]),
        (["PASS", ""], ["PASS", "UNSURE"]),
        (["PASS"], ["UNSURE", "UNSURE"]),
        (["PASS", "PASS", "PASS"], ["UNSURE", "UNSURE"]),
        ([], ["UNSURE", "UNSURE"]),
        ("PASS", ["UNSURE", "UNSURE"]),
        (None, ["UNSURE", "UNSURE"]),
        ({"0": "PASS"}, ["UNSURE", "UNSURE"]),
    ],
    ids=str,
)
def test_the_workflows_own_results_are_strictly_read(
    make: Make, workflows: Workflows, results: Any, expected: list[str]
) -> None:
    finds(workflows, prediction(20, 20, 10, 10), prediction(60, 60, 10, 10))
    workflows.outputs = lambda _: {"crop_results": results, "inspection_result": "PASS", "fail_count": 0}
    found = detect(make({"verifier": "workflow"}), encoded(board(100, 100)))
    assert [detection.settled.result for detection in found.detections if detection.settled] == [
        Result(word) for word in expected
    ]


def test_results_belong_to_predictions_by_position_even_where_one_can_not_be_used(
    make: Make, workflows: Workflows
) -> None:
    finds(workflows, prediction(-90, 20, 10, 10), prediction(60, 60, 10, 10, "spur"))
    workflows.outputs = lambda _: {"crop_results": [None, "FAIL"]}
    (seen,) = detect(make({"verifier": "workflow"}), encoded(board(100, 100))).detections
    assert seen.class_name == "spur"
    assert seen.settled is not None
    assert seen.settled.result is Result.FAIL


def test_results_without_predictions_are_a_doubt(make: Make, workflows: Workflows) -> None:
    workflows.outputs = lambda _: {"crop_results": ["FAIL"]}
    assert detect(make({"verifier": "workflow"}), encoded(board(100, 100))).doubts

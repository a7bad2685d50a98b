"""What else a Roboflow workflow may answer: masks, keypoints, and classes of the whole picture."""

import json
import math
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linegate.adapters.exchange import ServiceError
from linegate.adapters.outlines import outlined, simplified
from linegate.adapters.roboflow.answers import Reading, read
from linegate.adapters.roboflow.kind import RoboflowDetection
from linegate.adapters.roboflow.service import Workflow
from linegate.commands.main import main
from linegate.commands.workflow import NAMES
from linegate.settings import Recipe
from linegate.shapes import Box, area

SENT, SIZE = (100, 80), (400, 320)  # the picture was reduced to a quarter


def reading(predictions: Any, image: Mapping[str, Any] | None = None, **workflow: Any) -> Reading:
    asked = Workflow(id="pcb", **workflow)
    recipe = Recipe(detectors=[RoboflowDetection(workflow=asked)], verifier="none")
    given = {"image": image or {"width": SENT[0], "height": SENT[1]}, **predictions}
    return read({"predictions": given}, asked, SENT, SIZE, recipe)


@pytest.mark.parametrize(("size", "corner"), [((1000, 605), (500, 302.5)), ((990, 600), (495, 300))])
def test_across_and_down_have_a_scale_each(size: tuple[int, int], corner: tuple[float, float]) -> None:
    """Whole pixels make proportions differ a little: on a large picture that is more than a defect's width."""
    asked = Workflow(id="pcb")
    whole = {"x": 50, "y": 30, "width": 100, "height": 60, "confidence": 0.9, "class": "scratch"}
    edge = {**whole, "x": 96, "y": 58, "width": 8, "height": 4}
    given = {"image": {"width": 100, "height": 60}, "predictions": [whole, edge]}
    recipe = Recipe(detectors=[RoboflowDetection(workflow=asked)], verifier="none")
    told, last = read({"predictions": given}, asked, (100, 60), size, recipe).detections
    assert (told.box.x, told.box.y) == pytest.approx(corner)
    assert last.box.corners[2:] == pytest.approx(size)


def one(**more: Any) -> dict[str, Any]:
    """A prediction of the box from 20, 30 to 50, 50."""
    box = {"x": 35.0, "y": 40.0, "width": 30.0, "height": 20.0}
    return {**box, "confidence": 0.9, "class": "scratch", "class_id": 0, "detection_id": "a", **more}


def points(*corners: tuple[float, float]) -> list[dict[str, float]]:
    return [{"x": x, "y": y} for x, y in corners]


RECTANGLE = points((20, 30), (50, 30), (50, 50), (20, 50))


def counts(left: int, top: int, right: int, bottom: int) -> list[int]:
    """Runs down the columns of a rectangle on a picture of SENT."""
    column = [top, bottom - top, SENT[1] - bottom]
    runs = [left * SENT[1] + column[0], column[1]]
    for _ in range(right - left - 1):
        runs += [column[2] + column[0], column[1]]
    return [*runs, column[2] + (SENT[0] - right) * SENT[1]]


def packed(runs: list[int]) -> str:
    """COCO's compressed text of runs."""
    text = ""
    for index, run in enumerate(runs):
        value = run - (runs[index - 2] if index > 2 else 0)
        more = True
        while more:
            bits = value & 0x1F
            value >>= 5
            more = value != (-1 if bits & 0x10 else 0)
            text += chr((bits | (0x20 if more else 0)) + 48)
    return text


def test_a_polygon_comes_back_in_pixels_of_the_picture() -> None:
    (found,) = reading({"predictions": [one(points=RECTANGLE)]}).detections
    assert found.outline == ((80, 120), (200, 120), (200, 200), (80, 200))
    assert area(found.outline) == 120 * 80
    assert found.box == Box(140, 160, 120, 80)


@pytest.mark.parametrize("key", ["rle", "rle_mask"])
@pytest.mark.parametrize("write", [packed, list])
def test_a_run_length_encoded_mask_is_the_same(key: str, write: Callable[[list[int]], Any]) -> None:
    rle = {"size": [80, 100], "counts": write(counts(20, 30, 50, 50))}
    (found,) = reading({"predictions": [one(**{key: rle})]}).detections
    assert set(found.outline) == {(80, 120), (200, 120), (200, 200), (80, 200)}
    assert area(found.outline) == 120 * 80


def test_cocos_own_text_is_read() -> None:
    """Made by pycocotools 2.0.11 of a disc of radius 9 around 35, 40."""
    rle = {"size": [80, 100], "counts": COCO_DISC}
    (found,) = reading({"predictions": [one(rle=rle)]}).detections
    corners = [(x / 4, y / 4) for x, y in found.outline]
    assert all(8.5 <= math.dist(corner, (35.5, 40.5)) <= 10 for corner in corners), "pixels have edges"
    assert area(found.outline) / 16 == pytest.approx(253, rel=0.06), "as many pixels as the disc has"


COCO_DISC = r"XR21[28K2N2N2N2O00000O20N1000001N2N2N2N5H\X4"

FULL = {"size": [80, 100], "counts": packed(counts(20, 30, 50, 50))}


@pytest.mark.parametrize(
    "mask",
    [
        {"points": RECTANGLE[:2]},
        {"points": "20 30 50 30"},
        {"points": [*RECTANGLE, {"x": "20", "y": 30}]},
        {"points": [*RECTANGLE, {"x": 1e999, "y": 30}]},
        {"points": points((70, 60), (99, 60), (99, 79))},  # elsewhere than the box
        {"points": RECTANGLE, "rle": FULL},
        {"rle": "ab"},
        {"rle": {"counts": FULL["counts"]}},
        {"rle": {**FULL, "size": [100, 80]}},
        {"rle": {**FULL, "size": [80.0, 100]}},
        {"rle": {**FULL, "size": [0, 0], "counts": []}},
        {"rle": {**FULL, "counts": FULL["counts"][:-1]}},
        {"rle": {**FULL, "counts": "~~~"}},
        {"rle": {**FULL, "counts": "o" * 40}},
        {"rle": {**FULL, "counts": [8000, -1, 1]}},
        {"rle": {**FULL, "counts": [8000]}},  # nothing is in it
        {"rle": {**FULL, "counts": counts(60, 60, 90, 75)}},  # somebody else's
        {"keypoints": {"x": 1}},
        {"keypoints": [{"x": 1, "y": 2, "confidence": 2, "class": "pin"}]},
        {"keypoints": [{"x": 1, "y": None, "confidence": 0.5, "class": "pin"}]},
    ],
)
def test_a_mask_that_is_none_makes_the_prediction_a_doubt(mask: dict[str, Any]) -> None:
    read = reading({"predictions": [one(**mask), one()]})
    assert len(read.detections) == 1
    assert read.doubts == ("1 of the predictions in output 'predictions' can't be read",)


def test_keypoints_are_told_in_the_note() -> None:
    keypoints = [
        {"x": 21, "y": 31, "confidence": 0.5, "class": "pin 1", "class_id": 0},
        {"x": 49, "y": 49, "confidence": 0.8, "class": "pin 2", "class_id": 1},
    ]
    (found,) = reading({"predictions": [one(keypoints=keypoints)]}).detections
    assert found.note == "pin 2 at 196, 196 (0.80), pin 1 at 84, 124 (0.50)"


def classes(top: str | None, **sure: float) -> dict[str, Any]:
    entries = [
        {"class": name, "class_id": index, "confidence": value} for index, (name, value) in enumerate(sure.items())
    ]
    return {"predictions": entries, "top": top, "confidence": sure.get(str(top))}


def labels(*holding: str, **sure: float) -> dict[str, Any]:
    return {
        "predictions": {name: {"confidence": value, "class_id": 0} for name, value in sure.items()},
        "predicted_classes": list(holding),
    }


@pytest.mark.parametrize("answer", [classes("ok", ok=0.9, scratched=0.1), labels("ok", ok=0.9, scratched=0.1)])
def test_a_picture_classified_as_good_has_nothing_that_counts(answer: dict[str, Any]) -> None:
    read = reading(answer, good=["ok"])
    assert not read.doubts
    assert [(one.class_name, one.confidence) for one in read.detections] == [("scratched", 0.1)]  # policy drops it


@pytest.mark.parametrize(
    "answer", [classes("scratched", ok=0.3, scratched=0.7), labels("ok", "scratched", ok=0.9, scratched=0.7)]
)
def test_any_other_class_is_a_finding_over_the_whole_picture(answer: dict[str, Any]) -> None:
    read = reading(answer, good=["ok"])
    (found,) = read.detections
    assert (found.class_name, found.box, found.note) == (
        "scratched",
        Box(200, 160, 400, 320),
        "the whole picture was classified",
    )
    assert not read.doubts


@pytest.mark.parametrize(
    ("answer", "doubt"),
    [
        (classes("scratched", ok=0.2, scratched=0.25, dented=0.25), "classified as scratched with confidence 0.25"),
        (labels(ok=0.2, scratched=0.1), "No good class holds"),
        (classes("fine", fine=0.29), "below the recipe's"),
        (classes("ok", ok=0.2, scratched=0.19, dented=0.18), "classified as ok with confidence 0.20"),
        (labels("ok", ok=0.2), "classified as ok with confidence 0.20"),
    ],
)
def test_a_picture_that_nothing_speaks_for_is_a_doubt(answer: dict[str, Any], doubt: str) -> None:
    assert any(doubt in said for said in reading(answer, good=["ok"]).doubts)


@pytest.mark.parametrize(
    "answer",
    [
        {"predictions": []},
        classes(None, ok=0.9),
        classes("gone", ok=0.9),
        classes("ok", ok=0.3, scratched=0.7),  # not the likeliest
        classes("ok", ok=1.5),
        {"predictions": [{"class": "ok", "confidence": 0.9}, {"class": "ok", "confidence": 0.1}], "top": "ok"},
        {"predictions": {"ok": {"confidence": 0.9}}},
        labels("gone", ok=0.9),
        {"predictions": {"ok": {"confidence": "0.9"}}, "predicted_classes": ["ok"]},
        {"predictions": [one()], "top": "ok"},
        {"predictions": {"ok": {"confidence": 0.9}, "scratched": 0.8}, "predicted_classes": ["ok"]},
        {"predictions": {"scratched": {"class": "ok", "confidence": 0.8}}, "predicted_classes": ["ok"]},
    ],
)
def test_a_classification_that_does_not_say_what_holds_is_no_answer(answer: dict[str, Any]) -> None:
    with pytest.raises(ServiceError):
        reading(answer, good=["ok"])


def test_a_classification_that_nobody_expects_says_what_to_write() -> None:
    with pytest.raises(ServiceError, match=r"workflow\.good"):
        reading(labels("ok", ok=0.9))
    read = reading(classes("ok", ok=0.9))
    assert read.doubts, "classes are no boxes"


@given(st.lists(st.tuples(st.integers(0, 500), st.integers(0, 500)), min_size=3, max_size=400))
def test_an_outline_is_made_of_few_of_its_own_points(corners: list[tuple[int, int]]) -> None:
    given = [(float(x), float(y)) for x, y in corners]
    fewer = outlined(simplified(given))
    assert len(fewer) <= 64
    assert set(fewer) <= set(given)


# By which key each block takes the least confidence, as read in the engine's blocks (inference 1.8.3). Any other key is
# ignored there in silence, and the block cuts off what it pleases.
BY_KEY = {
    "roboflow_core/roboflow_object_detection_model@v2": {"confidence": "$inputs.confidence"},
    "roboflow_core/sam3@v3": {"confidence": "$inputs.confidence"},
} | {
    f"roboflow_core/roboflow_{name}": {"confidence_mode": "custom", "custom_confidence": "$inputs.confidence"}
    for name in (
        "instance_segmentation_model@v4",
        "keypoint_detection_model@v3",
        "classification_model@v3",
        "multi_label_classification_model@v3",
    )
}


@pytest.mark.parametrize("name", NAMES)
def test_every_workflow_that_is_shown_finds_what_the_recipe_asks_for(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ["--classes", "scratch, dent"] if name == "prompt" else ["--model-id", "my-pcb/3"]
    assert main(["workflow", "show", name, *given]) == 0
    definition = json.loads(capsys.readouterr().out)
    first, *_ = definition["steps"]
    asked = BY_KEY[first["type"]]
    assert {key: first.get(key) for key in asked} == asked
    assert first.get("model_id") == "my-pcb/3" or first["class_names"] == ["scratch", "dent"]
    assert "predictions" in {output["name"] for output in definition["outputs"]}


@pytest.mark.parametrize(
    "given", [["prompt"], ["prompt", "--classes", "a,,b"], ["segment"], ["segment", "--model-id", "x"]]
)
def test_a_workflow_without_what_it_needs_is_not_shown(given: list[str]) -> None:
    assert main(["workflow", "show", *given]) == 64

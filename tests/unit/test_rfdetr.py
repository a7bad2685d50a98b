"""The kind `rfdetr`: what a model says is what the gate finds, and a model or an answer that does not fit clears nothing.

The graphs have the inputs and outputs of an RF-DETR and are none. What `expected.json` holds was made by rfdetr's own functions
(`.ci/rfdetr_parity.py --fixture`), which is also what compares whole models with the library.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from linegate import bootstrap
from linegate.adapters.onnx import opened
from linegate.adapters.outlines import MOST
from linegate.adapters.rfdetr.detector import RfdetrDetector
from linegate.adapters.rfdetr.kind import RfdetrDetection
from linegate.adapters.rfdetr.model import DEVIATION, MEAN, RfdetrModel, prepared
from linegate.adapters.rfdetr.outlines import outline
from linegate.commands.main import main
from linegate.config import load, parse
from linegate.errors import ConfigError, PermanentError, TransientError
from linegate.handlers.detect import detect
from linegate.shapes import area
from tests.boards import encoded
from tests.harness import Gate
from tests.rfdetr_graphs import CLASSES, SIDE, answering, tiny

FIXTURE = Path(__file__).parents[1] / "fixtures" / "rfdetr"
EXPECTED: dict[str, list[dict[str, Any]]] = json.loads((FIXTURE / "expected.json").read_text())
NAMES = ("scratch", "dent", "stain")
NEVER = -20.0


def model_of(path: Path) -> RfdetrModel:
    return RfdetrModel.of(opened(path))


def detector_of(path: Path, confidence: float = 0.5, names: tuple[str, ...] = NAMES) -> RfdetrDetector:
    return RfdetrDetector(model_of(path), names, confidence)


def told(
    *findings: tuple[float, float, float, float, dict[int, float]],
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Boxes and logits of four queries; each finding is a box in parts of the picture and the logits of some columns."""
    boxes = np.full((4, 4), 0.5, np.float32)
    logits = np.full((4, CLASSES + 1), NEVER, np.float32)
    for query, (*box, columns) in enumerate(findings):
        boxes[query] = box
        for column, logit in columns.items():
            logits[query, column] = logit
    return boxes, logits


MIDDLE = (0.5, 0.5, 0.2, 0.4)
NOTHING = told()


# --- parity


@pytest.mark.parametrize("name", EXPECTED)
def test_findings_are_those_of_the_library(name: str) -> None:
    picture = Image.open(FIXTURE / name).convert("RGB")
    found = detector_of(FIXTURE / "tiny.onnx").detect(picture, b"", None)
    assert [one.class_name for one in found.detections] == [NAMES[each["class"]] for each in EXPECTED[name]]
    for one, each in zip(found.detections, EXPECTED[name], strict=True):
        assert one.confidence == pytest.approx(each["confidence"], abs=1e-4)
        assert one.box.corners == pytest.approx(each["box"], abs=0.01)
        assert area(one.outline) == pytest.approx(each["covered"], rel=0.05)


def test_a_picture_that_was_smoothed_before_would_be_told_from_it() -> None:
    """Else the test above would not see the difference that it is there for."""
    picture = Image.open(FIXTURE / "picture-0.png").convert("RGB")
    reduced = np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BILINEAR), np.float32) / 255
    smoothed = ((reduced - MEAN) / DEVIATION).transpose(2, 0, 1)[None].astype(np.float32)
    model = model_of(FIXTURE / "tiny.onnx")
    assert np.abs(model.run(smoothed)["labels"] - model.run(prepared(picture, SIDE))["labels"]).max() > 0.1


@pytest.mark.parametrize("size", [(33, 65), (31, 64), (500, 700), (20, 3000), (1, 1)])
def test_a_picture_of_any_size_is_looked_at_between_its_pixels(size: tuple[int, int]) -> None:
    """OpenCV's linear resizing of floats does not smooth either, and has the same corners."""
    pixels = np.random.default_rng(3).integers(0, 256, (size[1], size[0], 3), np.uint8)
    resized = cv2.resize(pixels.astype(np.float32) / 255, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
    wanted = ((resized - MEAN) / DEVIATION).transpose(2, 0, 1)[None]
    assert np.abs(prepared(Image.fromarray(pixels), SIDE) - wanted).max() < 1e-3


def test_the_fixture_is_what_its_seed_makes(tmp_path: Path) -> None:
    picture = Image.open(FIXTURE / "picture-1.png").convert("RGB")
    kept, made = (
        detector_of(path).detect(picture, b"", None) for path in (FIXTURE / "tiny.onnx", tiny(tmp_path / "t"))
    )
    assert [one.box for one in kept.detections] == [one.box for one in made.detections]


# --- what an answer says


def test_boxes_are_in_pixels_of_the_picture_whatever_its_shape(tmp_path: Path) -> None:
    path = answering(tmp_path / "m.onnx", *told((*MIDDLE, {1: 2.0})))
    (one,) = detector_of(path).detect(Image.new("RGB", (200, 50)), b"", None).detections
    assert one.class_name == "dent"
    assert one.box.corners == pytest.approx((80, 15, 120, 35))
    assert one.confidence == pytest.approx(1 / (1 + np.exp(-2)))
    assert one.outline == ()


def test_one_place_may_be_two_things_and_the_surest_comes_first(tmp_path: Path) -> None:
    path = answering(tmp_path / "m.onnx", *told((*MIDDLE, {0: 1.0, 2: 3.0}), (0.1, 0.1, 0.1, 0.1, {0: 2.0})))
    found = detector_of(path).detect(Image.new("RGB", (100, 100)), b"", None)
    assert [one.class_name for one in found.detections] == ["stain", "scratch", "scratch"]


def test_no_object_is_no_class(tmp_path: Path) -> None:
    path = answering(tmp_path / "m.onnx", *told((*MIDDLE, {CLASSES: 9.0})))
    assert detector_of(path).detect(Image.new("RGB", (100, 100)), b"", None).detections == ()


def test_what_is_said_to_lie_outside_still_counts_at_the_edge(tmp_path: Path) -> None:
    outside = ((1.5, 0.5, 0.2, 0.2), (0.5, 0.5, -0.3, 0.2), (-0.05, 0.5, 0.3, 2.0))
    path = answering(tmp_path / "m.onnx", *told(*((*box, {0: 3.0 - at}) for at, box in enumerate(outside))))
    boxes = [one.box.corners for one in detector_of(path).detect(Image.new("RGB", (100, 60)), b"", None).detections]
    assert [tuple(round(side, 3) for side in corners) for corners in boxes] == [
        (99, 24, 100, 36),
        (49.5, 24, 50.5, 36),
        (0, 0, 10, 60),
    ]


def test_a_model_that_names_as_much_as_it_can_leaves_a_doubt(tmp_path: Path) -> None:
    path = answering(tmp_path / "m.onnx", *told(*[(*MIDDLE, {0: 2.0})] * 4))
    (doubt,) = detector_of(path).detect(Image.new("RGB", (100, 100)), b"", None).doubts
    assert doubt == "The model named 4 findings, as many as it can: there may be more."


# --- outlines


def test_an_outline_goes_around_what_the_mask_covers(tmp_path: Path) -> None:
    masks = np.full((4, 8, 8), -1.0, np.float32)
    masks[0, 2:4, 1:5] = 1.0
    path = answering(tmp_path / "m.onnx", *told((*MIDDLE, {0: 2.0})), masks)
    (one,) = detector_of(path).detect(Image.new("RGB", (160, 80)), b"", None).detections
    across, down = zip(*one.outline, strict=True)
    # Cells are 20 x 10 pixels; between +1 and -1 the edge lies in the middle.
    assert (min(across), max(across), min(down), max(down)) == pytest.approx((20, 100, 20, 40), abs=1)
    assert area(one.outline) == pytest.approx(80 * 20, rel=0.05)


@pytest.mark.parametrize("size", [(5000, 4000), (31, 17), (8, 8), (3, 2)])
def test_an_outline_of_a_torn_mask_has_few_corners_inside_the_picture(size: tuple[int, int]) -> None:
    logits = np.random.default_rng(1).normal(0.3, 1, (24, 24)).astype(np.float32)
    corners = outline(logits, *size)
    assert 3 <= len(corners) <= MOST
    assert all(0 <= x <= size[0] and 0 <= y <= size[1] for x, y in corners)


def test_a_single_pixel_has_its_area() -> None:
    logits = np.full((5, 5), -9.0, np.float32)
    logits[2, 3] = 1.0
    assert (area(outline(logits, 5, 5)), outline(np.full((5, 5), -1.0, np.float32), 5, 5)) == (1.0, ())


# --- a model that does not fit


ODD: dict[str, Callable[[Path], Path]] = {
    "no output 'dets'": lambda path: answering(path, *NOTHING, names=("boxes", "labels")),
    "no output 'labels'": lambda path: answering(path, *NOTHING, names=("dets", "logits")),
    "an output 'keypoints'": lambda path: answering(
        path, *NOTHING, np.zeros((4, 51), np.float32), names=("dets", "labels", "keypoints")
    ),
    "not one RGB picture of a fixed square": lambda path: answering(path, *NOTHING, takes=(1, 1, SIDE, SIDE)),
    "not one RGB picture": lambda path: answering(path, *NOTHING, takes=(1, 3, SIDE, 2 * SIDE)),
    "not one RGB": lambda path: answering(path, *NOTHING, takes=(1, 3, "side", "side")),
    "it takes 2 pictures at a time": lambda path: answering(path, *NOTHING, takes=(2, 3, SIDE, SIDE)),
    "its outputs are dets 1 x 4 x 4, labels 1 x 4,": lambda path: answering(
        path, NOTHING[0], np.zeros(4, np.float32), np.zeros((4, 8, 8), np.float32)
    ),
    "answered with labels of 1 x 3 x 4, not of 1 x 4 x 4": lambda path: answering(path, NOTHING[0], NOTHING[1][:3]),
    "answered with dets of 1 x 4 x 5": lambda path: answering(path, np.zeros((4, 5), np.float32), NOTHING[1]),
    "answered with masks of 1 x 4 x 6 x 8": lambda path: answering(path, *NOTHING, np.zeros((4, 6, 8), np.float32)),
    "no number in its output 'dets'": lambda path: answering(path, NOTHING[0] * np.float32(np.nan), NOTHING[1]),
}


@pytest.mark.parametrize("why", ODD)
def test_a_file_with_another_contract_is_refused_when_it_is_opened(tmp_path: Path, why: str) -> None:
    with pytest.raises(TransientError) as raised:
        model_of(ODD[why](tmp_path / "m.onnx"))
    assert why in str(raised.value)


@pytest.mark.parametrize("names", [("scratch",), tuple(f"class {number}" for number in range(90))])
def test_classes_that_are_not_the_models_are_refused(names: tuple[str, ...]) -> None:
    with pytest.raises(TransientError, match=rf"tells 3 classes apart, and class_names has {len(names)}"):
        detector_of(FIXTURE / "tiny.onnx", names=names)


def test_a_batch_that_is_not_fixed_is_one_picture(tmp_path: Path) -> None:
    assert model_of(answering(tmp_path / "m.onnx", *NOTHING, takes=("batch", 3, SIDE, SIDE))).queries == 4


# --- in a gate

RECIPE = "detector: rfdetr, model: m.onnx, class_names: [scratch, dent, stain], verifier: none"
TEXT = f"""
recipes: {{panel: {{{RECIPE}}}, other: {{{RECIPE}, confidence: 0.9}}}}
lines: {{smt-1: {{recipe: panel}}}}
"""


DARK, LIGHT = 20, 140


def verdict_of(folder: Path, grey: int = DARK) -> tuple[str, str]:
    """Of a picture with stripes of this grey level and a lighter one, and why."""
    settings = parse(TEXT, folder, {})
    gate = Gate(settings=settings)
    app = bootstrap.App(settings, gate.context, lambda _: b"")
    stripes = grey + 90 * (np.arange(200)[:, None] // 20 % 2) + np.zeros((200, 200, 3), int)
    upload = gate.upload(data=encoded(Image.fromarray(stripes.swapaxes(0, 1).astype(np.uint8))))
    detect(gate.context, upload, app.registrar, app.detectors)
    decided = gate.board(upload).revision
    assert decided is not None
    return decided.decision.verdict.value, " ".join(decided.decision.reasons)


def test_what_the_model_names_fails_a_board_and_what_it_does_not_passes(tmp_path: Path) -> None:
    answering(tmp_path / "m.onnx", *told((*MIDDLE, {1: 3.0})))
    assert verdict_of(tmp_path)[0] == "FAIL"
    answering(tmp_path / "m.onnx", *NOTHING)
    assert verdict_of(tmp_path)[0] == "PASS"


def test_an_answer_that_is_no_number_is_for_a_person(tmp_path: Path) -> None:
    answering(tmp_path / "m.onnx", *NOTHING, dark_is="NaN")
    verdict, why = verdict_of(tmp_path)
    assert (verdict, "what is no number in its output 'labels'" in why) == ("REVIEW", True)
    assert verdict_of(tmp_path, grey=LIGHT)[0] == "PASS"


def test_a_model_that_is_not_there_leaves_the_upload_to_come_again(tmp_path: Path) -> None:
    with pytest.raises(TransientError, match="there is no model"):
        verdict_of(tmp_path)


def test_recipes_share_a_model(tmp_path: Path) -> None:
    answering(tmp_path / "m.onnx", *NOTHING)
    settings = parse(TEXT, tmp_path, {})
    app = bootstrap.App(settings, Gate(settings=settings).context, lambda _: b"")
    (one,), (other,) = (app.detectors(settings.recipes[name]) for name in ("panel", "other"))
    assert isinstance(one, RfdetrDetector) and isinstance(other, RfdetrDetector)
    assert one is not other and one.model is other.model


@pytest.mark.parametrize(
    ("written", "fault"),
    [
        ("detector: rfdetr, class_names: [a], verifier: none", "model: is required by detector 'rfdetr'"),
        ("detector: rfdetr, model: m.onnx, verifier: none", "class_names: is required by detector 'rfdetr'"),
        ("detector: rfdetr, model: m.onnx, class_names: [a, b, a], verifier: none", "names 'a' twice"),
        ("detector: rfdetr, model: m.onnx, class_names: [a], providers: [npu], verifier: none", "providers"),
        (f"{RECIPE}, classes: {{scracth: {{verify: never}}}}", "classes.scracth: the model names no such class"),
    ],
)
def test_a_recipe_that_could_not_work_is_refused(written: str, fault: str) -> None:
    with pytest.raises(ConfigError) as raised:
        parse(f"recipes: {{panel: {{{written}}}}}\nlines: {{smt-1: {{recipe: panel}}}}", Path(), {})
    assert fault in str(raised.value)


def test_functions_on_google_cloud_hold_no_model() -> None:
    text = f"{TEXT}\ncloud: {{project: my-plant, region: europe-west1}}\n"
    with pytest.raises(ConfigError, match="reads a model's file, which functions on Google Cloud do not hold"):
        parse(text, Path(), {})


def test_a_broken_answer_is_an_error_that_comes_every_time(tmp_path: Path) -> None:
    detector = detector_of(answering(tmp_path / "m.onnx", *NOTHING, dark_is="NaN"))
    with pytest.raises(PermanentError):
        detector.detect(Image.new("RGB", (64, 64)), b"", None)


def test_init_writes_a_recipe_that_only_lacks_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "linegate.yaml"
    assert main(["init", str(path), "--kind", "rfdetr"]) == 0
    assert "doctor" in capsys.readouterr().out
    (recipe,) = load(path).recipes.values()
    assert [type(detector) for detector in recipe.detectors] == [RfdetrDetection]
    assert main(["doctor", "--config", str(path)]) == 1
    assert f"there is no model {tmp_path / 'rfdetr.onnx'}" in capsys.readouterr().out

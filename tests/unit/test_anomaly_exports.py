"""ONNX files with the contract of anomalib's exports: outputs by name, strict shapes, what a centre crop leaves unseen.

The graphs are stand-ins: their map is how far each place is from grey, their score the greatest of these. Nothing in them is
anomalib's, and no model was trained.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from onnx import helper
from PIL import Image

from linegate.adapters.anomaly.detector import AnomalyDetector
from linegate.adapters.anomaly.models import Wanted, described, detector
from linegate.commands.main import main
from linegate.errors import TransientError
from tests.onnx_graphs import saved

Shape = list[int | str]
GREY = 0.5


def far_from_grey(
    path: Path,
    *,
    side: int | str = 64,
    maps: str = "anomaly_map",
    score: str = "pred_score",
    cut: int = 0,
    grey: float = GREY,
) -> Path:
    """An ONNX file whose map is |mean of RGB - grey|; with `cut` only of the middle of the input."""
    nodes = [
        helper.make_node("ReduceMean", ["input"], ["light"], axes=[1], keepdims=1),
        helper.make_node("Sub", ["light", "grey"], ["off"]),
        helper.make_node("Abs", ["off"], ["far"]),
        helper.make_node("Slice", ["far", "from", "to", "axes"], [maps or "map"]),
        helper.make_node("ReduceMax", [maps or "map"], [score or "score"], axes=[1, 2, 3], keepdims=0),
    ]
    size = cut or side
    outputs: dict[str, Shape] = {}
    if maps:
        outputs[maps] = ["batch", 1, size, size]
    if score:
        outputs[score] = ["batch"]
    start = (side - cut) // 2 if cut and isinstance(side, int) else 0
    end = start + cut if cut else 1 << 30
    constants = {
        "grey": np.array(grey, np.float32),
        "from": np.array([start, start]),
        "to": np.array([end, end]),
        "axes": np.array([2, 3]),
    }
    return saved(path / "stand-in.onnx", nodes, {"input": ["batch", 3, side, side]}, outputs, constants)


def wanted(path: Path, **keys: object) -> Wanted:
    levels = Wanted(path, threshold=0.2, typical=0.05, picture_threshold=0.3, picture_typical=0.05)
    return replace(levels, **keys)  # type: ignore[arg-type]


def made(path: Path, **keys: object) -> AnomalyDetector:
    return detector(wanted(path, **keys))


def picture(*, spot: int = 128) -> Image.Image:
    light = np.full((128, 256, 3), 128, np.uint8)
    light[32:64, 64:96] = spot
    return Image.fromarray(light)


def test_the_map_is_laid_over_the_picture_as_it_was(tmp_path: Path) -> None:
    found = made(far_from_grey(tmp_path)).detect(picture(spot=255), b"", None)
    (spot,) = found.detections
    assert spot.box.corners == pytest.approx((64, 32, 96, 64), abs=4)
    assert spot.outline
    assert found.heatmap
    assert (found.model, len(found.model_version)) == ("anomaly-stand-in", 12)
    assert not made(tmp_path / "stand-in.onnx").detect(picture(), b"", None).detections


def test_a_score_alone_is_a_finding_of_the_whole_picture(tmp_path: Path) -> None:
    asked = made(far_from_grey(tmp_path, maps=""))
    (found,) = asked.detect(picture(spot=255), b"", None).detections
    assert found.box.corners == (0, 0, 256, 128)
    assert not asked.detect(picture(), b"", None).detections


def test_exports_before_2_call_their_map_output(tmp_path: Path) -> None:
    asked = made(far_from_grey(tmp_path, maps="output", score=""))
    assert len(asked.detect(picture(spot=255), b"", None).detections) == 1


def test_a_model_of_any_size_takes_the_picture_as_it_is_or_as_the_recipe_says(tmp_path: Path) -> None:
    path = far_from_grey(tmp_path, side="side")
    for keys in ({}, {"input_side": 48}):
        (found,) = made(path, **keys).detect(picture(spot=255), b"", None).detections
        assert found.box.corners == pytest.approx((64, 32, 96, 64), abs=6)


def test_what_the_export_cuts_off_is_not_judged(tmp_path: Path) -> None:
    path = far_from_grey(tmp_path, cut=48)
    (doubt,) = made(path).detect(picture(), b"", None).doubts
    assert "say so with center_crop" in doubt
    found = made(path, center_crop=48).detect(picture(spot=255), b"", None)
    assert found.coverage is not None
    assert found.coverage.part == pytest.approx((48 / 64) ** 2)
    assert found.detections[0].box.corners == pytest.approx((64, 32, 96, 64), abs=4)


def test_a_model_without_a_threshold_is_not_used(tmp_path: Path) -> None:
    path = far_from_grey(tmp_path)
    with pytest.raises(TransientError, match=r"picture_threshold.*linegate anomaly calibrate"):
        made(path, picture_threshold=None)


def test_another_sort_of_model_is_refused(tmp_path: Path) -> None:
    path = far_from_grey(tmp_path, maps="dets", score="labels")
    with pytest.raises(TransientError, match="no export of anomalib: its outputs are dets"):
        made(path)


def test_doctor_hears_what_a_model_is(tmp_path: Path) -> None:
    said = described(wanted(far_from_grey(tmp_path)))
    assert "64 by 64 px, gives anomaly_map and pred_score" in said
    assert "0.2 for places, 0.3 for the whole picture" in said


def good(folder: Path, count: int, level: int) -> Path:
    (folder / "good").mkdir()
    rng = np.random.default_rng(1)
    for at in range(count):
        light = np.clip(rng.normal(level, 4, (64, 64, 1)), 0, 255).repeat(3, axis=2)
        Image.fromarray(light.astype(np.uint8)).save(folder / "good" / f"{at:02}.png")
    return folder / "good"


def test_the_lines_for_the_recipe_are_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["anomaly", "calibrate", str(good(tmp_path, 30, 128)), "--model", str(far_from_grey(tmp_path))]
    assert main([*command, "--false-call-rate", "0.3", "--certainty", "0.8"]) == 0
    told = capsys.readouterr().out
    lines = dict(line.strip().split(": ") for line in told.splitlines() if line.startswith("  "))
    assert list(lines) == ["threshold", "typical", "picture_threshold", "picture_typical"]
    levels = {key: float(value) for key, value in lines.items()}
    assert not made(tmp_path / "stand-in.onnx", **levels).detect(picture(), b"", None).detections
    assert made(tmp_path / "stand-in.onnx", **levels).detect(picture(spot=255), b"", None).detections


def test_where_good_pictures_reach_the_end_of_the_scores_there_is_no_threshold(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["anomaly", "calibrate", str(good(tmp_path, 12, 255)), "--model", str(far_from_grey(tmp_path, grey=0.0))]
    assert main(command) == 64
    assert "normalisation switched off" in capsys.readouterr().err

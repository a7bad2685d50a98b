"""`linegate model check`: what a file is told to be, and with which exit code."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from linegate.commands.main import main
from tests.rfdetr_graphs import CLASSES, answering, tiny

QUICK = ["--runs", "1"]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tiny(tmp_path / "m.onnx")


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    noise = np.random.default_rng(2).integers(0, 256, (80, 120, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "picture.png")
    return tmp_path / "picture.png"


def test_it_tells_what_the_file_is_and_how_fast(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["model", "check", str(file), *QUICK]) == 0
    said = capsys.readouterr().out
    for told in ("segmentation, 32 x 32 pixels, 3 classes", "opset 17", "SHA-256", "installed here: cpu", "ratio"):
        assert told in said
    assert "its classes are numbered" in said


def test_a_picture_is_tried_and_drawn_without_a_verdict(
    file: Path, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--classes", "scratch, dent,stain", "--picture", str(picture), "--annotated", str(tmp_path / "out.jpg")]
    assert main(["model", "check", str(file), *options, "--confidence", "0.6", *QUICK]) == 0
    said = capsys.readouterr().out
    assert "findings from confidence 0.6 on" in said and "scratch 0." in said and "outline with" in said
    with Image.open(tmp_path / "out.jpg") as drawn:
        assert drawn.width >= 120


def test_classes_that_do_not_fit_are_a_fault(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["model", "check", str(file), "--classes", "scratch", *QUICK]) == 1
    assert f"FAULT: m.onnx tells {CLASSES} classes apart, and class_names has 1" in capsys.readouterr().out


def test_a_file_that_is_something_else_is_a_fault(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "m.onnx").write_bytes(b"no model")
    assert main(["model", "check", str(tmp_path / "m.onnx")]) == 1
    assert "is no ONNX file" in capsys.readouterr().out
    answering(tmp_path / "m.onnx", np.zeros((4, 4), np.float32), np.zeros((4, 4), np.float32), names=("a", "b"))
    assert main(["model", "check", str(tmp_path / "m.onnx")]) == 1
    assert "FAULT: m.onnx is no RF-DETR" in capsys.readouterr().out


def test_a_recipe_that_names_the_file_says_how_it_is_asked(
    file: Path, picture: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configuration = tmp_path / "linegate.yaml"
    recipe = (
        "{detector: rfdetr, model: m.onnx, class_names: [hole, hair, hue], threads: 1, confidence: 0.7, verifier: none}"
    )
    configuration.write_text(f"recipes: {{panel: {recipe}}}\nlines: {{smt-1: {{recipe: panel}}}}\n")
    options = ["--config", str(configuration), "--picture", str(picture), *QUICK]
    assert main(["model", "check", str(file), *options]) == 0
    said = capsys.readouterr().out
    assert "with 1 thread;" in said and "from confidence 0.7 on" in said and "hole 0." in said
    other = tiny(tmp_path / "other.onnx")
    assert main(["model", "check", str(other), *options]) == 64
    assert "no recipe in" in capsys.readouterr().err


def test_what_is_not_there_is_wrong_usage(tmp_path: Path) -> None:
    assert main(["model", "check", str(tmp_path / "m.onnx")]) == 64

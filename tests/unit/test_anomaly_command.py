"""`linegate anomaly`: a model from a folder of good pictures, its threshold from others, and what is said on the way."""

import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from linegate.adapters.anomaly import file
from linegate.commands.main import main


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`good` has twelve pictures to learn from, `other` twenty to calibrate with; and `model.npz`, learned from the first."""
    folder = tmp_path_factory.mktemp("line")
    rng = np.random.default_rng(1)
    for name, count in (("good", 12), ("other", 20)):
        (folder / name).mkdir()
        for at in range(count):
            light = rng.normal(120, 25, (64, 80, 1)).repeat(3, axis=2)
            Image.fromarray(np.clip(light, 0, 255).astype(np.uint8)).save(folder / name / f"{at:02}.png")
    assert main(["anomaly", "learn", str(folder / "good"), "-o", str(folder / "model.npz")]) == 0
    return folder


def test_learning_says_what_comes_next(folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["anomaly", "learn", str(folders / "good"), "-o", str(tmp_path / "a.npz")]) == 0
    assert "linegate anomaly calibrate" in capsys.readouterr().out


def test_a_promise_that_the_pictures_keep_is_written_into_the_model(
    folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = shutil.copy(folders / "model.npz", tmp_path)
    command = ["anomaly", "calibrate", str(folders / "other"), "--model", str(model)]
    assert main([*command, "--false-call-rate", "0.4", "--certainty", "0.8"]) == 0
    assert "with 80% certainty" in capsys.readouterr().out
    assert file.read(Path(model).read_bytes()).calibrated


def test_too_few_pictures_for_a_promise_are_told_with_how_many_would_do(
    folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = shutil.copy(folders / "model.npz", tmp_path)
    assert main(["anomaly", "calibrate", str(folders / "other"), "--model", str(model)]) == 1
    told = capsys.readouterr().out
    assert "20 good pictures are too few" in told
    assert "1474 would do" in told
    assert file.read(Path(model).read_bytes()).calibrated, "what they do promise holds"


def test_pictures_that_taught_the_model_do_not_calibrate_it(
    folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(folders / "other", tmp_path / "other")
    with Image.open(folders / "good" / "03.png") as known:  # in another file, under another name
        known.save(tmp_path / "other" / "new.bmp")
    assert main(["anomaly", "calibrate", str(tmp_path / "other"), "--model", str(folders / "model.npz")]) == 64
    assert "new.bmp: calibrate with other good pictures" in capsys.readouterr().err
    shutil.copy(tmp_path / "other" / "01.png", tmp_path / "other" / "again.png")
    (tmp_path / "other" / "new.bmp").unlink()
    assert main(["anomaly", "calibrate", str(tmp_path / "other"), "--model", str(folders / "model.npz")]) == 64
    assert "there twice" in capsys.readouterr().err


def test_what_can_not_be_learned_from_is_named(
    folders: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = tmp_path / "good"
    shutil.copytree(folders / "good", good)
    (good / "05.png").write_bytes(b"no picture")
    command = ["anomaly", "learn", str(good), "-o", str(tmp_path / "m.npz")]
    assert main(command) == 64
    assert "05.png: the file is no picture" in capsys.readouterr().err
    assert not (tmp_path / "m.npz").exists()
    assert main([*command, "--skip-unreadable"]) == 0
    assert "left out" in capsys.readouterr().err
    shutil.copy(good / "03.png", good / "again.png")
    assert main(["anomaly", "learn", str(good), "-o", str(tmp_path / "n.npz"), "--skip-unreadable"]) == 64
    assert "there twice" in capsys.readouterr().err
    (good / "again.png").unlink()
    for name in ("00.png", "01.png"):
        (good / name).unlink()
    assert main(["anomaly", "learn", str(good), "-o", str(tmp_path / "n.npz"), "--skip-unreadable"]) == 64
    assert "9 pictures; 10 or more are needed" in capsys.readouterr().err

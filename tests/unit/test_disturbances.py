"""Looks at one board: drawn, the same for a seed, and no further from the picture than they say."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from linegate import imaging
from linegate.evaluation.disturbances import Disturbance, generator, seen_again


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    pixels = np.full((200, 240, 3), 120, np.uint8)
    pixels[80:120, 100:140] = (200, 60, 60)
    file = tmp_path / "board.png"
    Image.fromarray(pixels).save(file)
    return file


def look(picture: Path, how: Disturbance, name: str = "board", number: int = 1, seed: int = 1) -> np.ndarray:
    return np.asarray(imaging.decode(seen_again(picture, how, generator(seed, name, number), 10**8)), np.float64)


def test_the_same_seed_draws_the_same_look_and_every_look_is_another(picture: Path) -> None:
    how = Disturbance()
    assert np.array_equal(look(picture, how), look(picture, how))
    for other in (look(picture, how, number=2), look(picture, how, seed=2), look(picture, how, name="other")):
        assert not np.array_equal(look(picture, how), other)


def test_without_any_disturbance_the_picture_is_as_it_was(picture: Path) -> None:
    assert np.array_equal(look(picture, Disturbance(0, 0, 0, 0)), np.asarray(Image.open(picture)))


def test_light_pose_and_noise_stay_within_what_was_said(picture: Path) -> None:
    before = np.asarray(Image.open(picture), np.float64)
    moved = look(picture, Disturbance(light=0, shift=5, turn=0, noise=0))
    rows, columns = np.nonzero(moved[:, :, 0] > 160)
    assert abs(rows.mean() - 99.5) <= 5
    assert abs(columns.mean() - 119.5) <= 5
    lit = look(picture, Disturbance(light=0.1, shift=0, turn=0, noise=0)) / before
    assert 0.84 < lit.min() < lit.max() < 1.16
    noisy = look(picture, Disturbance(light=0, shift=0, turn=0, noise=3)) - before
    assert 2.5 < noisy.std() < 3.5


def test_what_is_no_picture_is_left_for_the_gate_to_refuse(tmp_path: Path) -> None:
    file = tmp_path / "torn.jpg"
    file.write_bytes(b"no picture")
    assert seen_again(file, Disturbance(), generator(1, "torn", 1), 10**8) == b"no picture"

"""Fitting the golden detector's confidence: drawn pairs in DeepPCB's layout stand for the real ones."""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from linegate.adapters.golden.evidence import probability
from linegate.adapters.golden.materials import Picture
from linegate.errors import UsageError
from linegate.evaluation.confidence import (
    DEGRADATIONS,
    Degradation,
    Measured,
    degraded,
    fit,
    lines,
    matches,
    measure,
)
from linegate.evaluation.datasets import read
from linegate.evaluation.labels import Sample

PLAIN = Degradation()
HELD_OUT = 99999000


def pair(folder: Path, number: int, defects: int) -> None:
    """A scan of stripes, copper in black, some of them cut, with its golden picture and its labels."""
    golden = np.full((320, 320, 3), 255, np.uint8)
    for x in range(40, 300, 40):
        golden[10:310, x : x + 12] = 0
    picture, labels = golden.copy(), []
    for row in range(defects):
        x, y = 40 + 40 * row, 60 + 30 * row + number % 7
        picture[y : y + 8, x - 2 : x + 14] = 255
        labels.append(f"{x - 4} {y - 4} {x + 16} {y + 12} 1\n")
    for name, content in (("test", picture), ("temp", golden)):
        Image.fromarray(content).save(folder / f"{number:08}_{name}.png")
    (folder / f"{number:08}.txt").write_text("".join(labels))


@pytest.fixture
def samples(tmp_path: Path) -> list[Sample]:
    for number in (41000, 41001, HELD_OUT):
        pair(tmp_path, number, 3)
    return read(tmp_path, "deeppcb").samples


def test_fitted_weights_tell_defects_from_ragged_edges(samples: list[Sample]) -> None:
    rough = Degradation(roughness=35)
    measured = [measure(sample, degradation) for sample in samples for degradation in (PLAIN, rough)]
    tuned = [one for one in measured if one.tuned]
    assert {one.sample.name for one in tuned} == {"00041000", "00041001"}
    weights = fit(tuned)
    for one in measured:
        found = matches(one, weights, 0.5, class_aware=True)
        assert sum(each.detection is not None and each.truth is not None for each in found) == 3
    for one in tuned:
        for candidate in one.candidates:
            assert (probability(candidate.evidence, weights) > 0.5) == one.defect(candidate)


def test_the_report_has_a_line_for_each_degradation(samples: list[Sample]) -> None:
    measured = [measure(samples[0], PLAIN)]
    first, *rest = lines(measured, fit(measured), 0.3)
    assert "F1 1.000 class-aware, 1.000 boxes alone; precision 1.000, recall 1.000" in first
    assert len(rest) == len(DEGRADATIONS) - 1
    assert all("F1 none" in line for line in rest), "nothing was measured so"


def test_without_a_candidate_there_is_nothing_to_fit(samples: list[Sample]) -> None:
    with pytest.raises(UsageError, match="no pair of the board types"):
        fit([Measured(samples[0], PLAIN, [])])


def test_a_pair_that_can_not_be_registered_is_named_and_has_no_candidates(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pair(tmp_path, HELD_OUT, 1)
    noise = np.random.default_rng(1).integers(0, 2, (320, 320), np.uint8) * 255
    Image.fromarray(noise).save(tmp_path / f"{HELD_OUT}_test.png")
    assert measure(read(tmp_path, "deeppcb").samples[0], PLAIN).candidates == []
    assert capsys.readouterr().err.startswith(f"{HELD_OUT} (")


@pytest.mark.parametrize("degradation", DEGRADATIONS, ids=str)
def test_a_degraded_pair_is_still_black_and_white_and_of_its_size(degradation: Degradation) -> None:
    scan: Picture = np.full((200, 300, 3), 255, np.uint8)
    cv2.circle(scan, (150, 100), 50, (0, 0, 0), -1)
    rng = np.random.default_rng(1)
    picture, golden = degraded(scan, scan, degradation, rng)
    assert picture.shape == golden.shape == scan.shape
    assert set(np.unique(picture)) == {0, 255}
    assert (picture == scan).all() == (degradation.roughness == 0)
    assert (golden == scan).all() == (degradation == PLAIN)


@pytest.mark.slow
def test_the_command_prints_weights_to_paste(samples: list[Sample]) -> None:
    folder = samples[0].picture.parent
    command = [sys.executable, "-m", "linegate.evaluation.confidence"]
    outcome = subprocess.run([*command, str(folder)], capture_output=True, text=True, check=False, timeout=60)
    assert outcome.returncode == 0, outcome.stderr
    assert "WEIGHTS = {'bias': " in outcome.stdout
    assert "held out, confidence 0.3" in outcome.stdout
    outcome = subprocess.run([*command, "/nowhere"], capture_output=True, text=True, check=False, timeout=60)
    assert outcome.returncode == 2
    assert "there is no dataset /nowhere" in outcome.stderr

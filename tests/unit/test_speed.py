"""What a product costs of a core is told for each stage, from its file to its annotated picture."""

from pathlib import Path

import numpy as np
import pytest

from linegate.evaluation.speed import STAGES, main, measure
from linegate.samples import golden_board, jpeg, sample

BOARD = golden_board(11)
GOLDEN, PICTURE = jpeg(BOARD.picture), jpeg(sample(BOARD, np.random.default_rng(1), ("short",)).picture)


def test_no_stage_is_left_out() -> None:
    stages, megapixels = measure(GOLDEN, PICTURE, rounds=1)
    assert tuple(stages) == STAGES
    assert all(ms > 0 for ms in stages.values())
    assert megapixels == pytest.approx(BOARD.picture.shape[0] * BOARD.picture.shape[1] / 1e6)


def test_the_command_tells_each_stage_and_the_whole(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, file in (("golden.jpg", GOLDEN), ("picture.jpg", PICTURE)):
        (tmp_path / name).write_bytes(file)
    main(tmp_path / "golden.jpg", tmp_path / "picture.jpg")
    said = capsys.readouterr().out
    assert all(stage in said for stage in STAGES)
    assert "all of it" in said

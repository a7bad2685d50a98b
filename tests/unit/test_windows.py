"""What differs is looked at closely, wherever it is, and nowhere else."""

import numpy as np
import pytest

from linegate.adapters.golden.windows import where


@pytest.mark.parametrize("seed", range(5))
def test_windows_hold_all_that_differs_with_room_around_it_and_do_not_overlap(seed: int) -> None:
    rng = np.random.default_rng(seed)
    differs, covered = np.zeros((500, 700), np.uint8), np.zeros((500, 700), np.uint8)
    rows, columns = rng.integers(0, 500, 6), rng.integers(0, 700, 6)
    differs[rows, columns] = 1
    for window in where(differs, 20):
        covered[window] += 1
    assert covered.max() == 1
    for row, column in zip(rows, columns, strict=True):
        assert covered[max(0, row - 20) : row + 21, max(0, column - 20) : column + 21].all()


def test_pictures_that_differ_nowhere_have_nothing_to_look_at_and_those_that_differ_all_over_are_looked_at_whole() -> (
    None
):
    assert where(np.zeros((300, 300), np.uint8), 20) == []
    assert where(np.ones((300, 300), np.uint8), 20) == [np.s_[0:300, 0:300]]

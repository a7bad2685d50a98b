"""Drawn boards: each defect does to the copper what its name says."""

import cv2
import numpy as np
import pytest

from linegate.edge.samples import DEFECTS, OVERSAMPLING, SIZE, Board, Sample, golden_board, jpeg, sample

SEEDS = range(4)


@pytest.fixture(scope="module", params=[3, 7])
def board(request: pytest.FixtureRequest) -> Board:
    return golden_board(request.param)


def samples(board: Board, name: str) -> list[Sample]:
    return [sample(board, np.random.default_rng(seed), (name,)) for seed in SEEDS]


def conductors(copper: np.ndarray) -> int:
    return cv2.connectedComponents(copper)[0] - 1


def voids(copper: np.ndarray) -> int:
    return cv2.connectedComponents(255 - copper, connectivity=4)[0] - 1


@pytest.mark.parametrize(
    ("name", "more_conductors", "more_voids", "copper"),
    [
        ("open_circuit", 1, 0, -1),
        ("short", -1, None, 1),
        ("spur", 0, 0, 1),
        ("mouse_bite", 0, 0, -1),
        ("spurious_copper", 1, 0, 1),
        ("missing_hole", 0, -1, 1),
    ],
)
def test_each_class_does_to_the_copper_what_it_says(
    board: Board, name: str, more_conductors: int, more_voids: int | None, copper: int
) -> None:
    for drawn in samples(board, name):
        assert conductors(drawn.copper) - conductors(board.copper) == more_conductors
        if more_voids is not None:
            assert voids(drawn.copper) - voids(board.copper) == more_voids
        change = int((drawn.copper > 0).sum()) - int((board.copper > 0).sum())
        assert np.sign(change) == copper


def test_the_same_seed_draws_the_same_pixels() -> None:
    first, second = (sample(golden_board(5), np.random.default_rng(9), DEFECTS) for _ in range(2))
    assert first.truth == second.truth
    assert np.array_equal(first.picture, second.picture)
    assert not np.array_equal(golden_board(5).picture, golden_board(6).picture)


@pytest.mark.parametrize("name", DEFECTS)
def test_the_truth_boxes_what_was_changed(board: Board, name: str) -> None:
    """Without the camera's noise, what differs from a clean photograph of the same pose lies in the box."""
    for drawn in samples(board, name):
        ((found, box),) = drawn.truth
        left, top, right, bottom = box.corners
        assert found == name
        assert 0 <= left < right <= SIZE
        assert 0 <= top < bottom <= SIZE
        changed = cv2.boundingRect(np.asarray(drawn.copper != board.copper, np.uint8))
        assert abs(changed[2] / OVERSAMPLING - box.width) < 4
        assert abs(changed[3] / OVERSAMPLING - box.height) < 4


def test_a_clean_photograph_differs_from_the_golden_picture_but_not_in_copper(board: Board) -> None:
    clean = sample(board, np.random.default_rng(1))
    assert clean.truth == ()
    assert np.array_equal(clean.copper, board.copper)
    assert np.abs(clean.picture.astype(int) - board.picture).mean() > 2


def test_what_can_not_be_drawn_is_said(board: Board) -> None:
    with pytest.raises(ValueError, match="there is no defect 'scratch'"):
        sample(board, np.random.default_rng(1), ("scratch",))
    with pytest.raises(ValueError, match="no place left"):
        sample(board, np.random.default_rng(1), ("missing_hole",) * 60)


def test_a_jpeg_shows_the_picture() -> None:
    picture = golden_board(1).picture
    decoded = cv2.cvtColor(cv2.imdecode(np.frombuffer(jpeg(picture), np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
    assert np.abs(decoded.astype(int) - picture).mean() < 3

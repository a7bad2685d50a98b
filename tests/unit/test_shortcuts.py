"""What the golden comparison reckons in less time says the same as what it stands in for."""

import cv2
import numpy as np
import pytest

from linegate.adapters.golden import appearance, glare, materials
from linegate.adapters.golden.slopes import slopes
from linegate.adapters.golden.windows import Window, begins, where

RNG = np.random.default_rng(7)
PICTURE = np.asarray(cv2.GaussianBlur(RNG.integers(0, 256, (401, 533, 3), np.uint8), (0, 0), 2), np.uint8)
GREY = np.ascontiguousarray(PICTURE[..., 1])
SPOTTED = np.asarray(np.where(cv2.GaussianBlur(GREY, (0, 0), 6) > 128, GREY, GREY // 60), np.uint8)


@pytest.mark.parametrize("levels", [GREY, GREY[:1, :2], GREY[::7, ::5], SPOTTED])
@pytest.mark.parametrize("part", [0, 33.3, 50, 80, 95, 100])
def test_grey_levels_are_counted_for_a_percentile(levels: materials.Grey, part: float) -> None:
    assert materials.percentile(levels, part) == pytest.approx(float(np.percentile(levels, part)))


def test_the_lightest_and_the_darkest_channel_are_told_together() -> None:
    lightest, least = materials.extremes(PICTURE)
    assert np.array_equal(lightest, PICTURE.max(axis=2))
    assert np.array_equal(least, PICTURE.min(axis=2))


@pytest.mark.parametrize("grey", [SPOTTED, np.minimum(SPOTTED, 3), np.zeros_like(GREY), GREY])
def test_a_median_is_looked_for_level_by_level(grey: materials.Grey) -> None:
    assert np.array_equal(glare._median(grey), cv2.medianBlur(grey, glare.GLARE_WINDOW))


def test_contrasts_grow_from_reach_to_reach() -> None:
    for reach, contrast in zip(appearance.REACHES, appearance._contrasts(PICTURE), strict=True):
        kernel = np.ones((2 * reach + 1,) * 2, np.uint8)
        apart = cv2.subtract(cv2.dilate(PICTURE, kernel), cv2.erode(PICTURE, kernel))
        assert np.array_equal(contrast, apart.max(axis=2))


@pytest.mark.parametrize("rows", [0, 1, 25])
def test_slopes_are_the_same_band_by_band(rows: int) -> None:
    across, down = np.zeros(GREY.shape, np.float32), np.zeros(GREY.shape, np.float32)
    for band, ((here_across, here_down),) in slopes([GREY], rows):
        across[band], down[band] = here_across, here_down
    assert np.array_equal(across, cv2.Sobel(GREY, cv2.CV_32F, 1, 0))
    assert np.array_equal(down, cv2.Sobel(GREY, cv2.CV_32F, 0, 1))


def test_windows_hold_all_that_differs() -> None:
    differs = np.zeros((700, 900), np.uint8)
    differs[5, 880], differs[300:304, 310:420], differs[699, 0] = 1, 1, 1
    held = np.zeros_like(differs)
    for window in where(differs, 20):
        held[window] += 1
    assert held.max() == 1
    assert not (differs & (1 - held)).any()
    assert where(np.zeros_like(differs), 20) == []


@pytest.mark.parametrize("place", [np.s_[0:200, 0:300], np.s_[33:180, 41:260]])
def test_what_is_found_window_by_window_comes_in_the_order_of_the_whole(place: Window) -> None:
    """Of two findings as sure as each other, the first one is told first."""
    seen = np.zeros((200, 300), np.uint8)
    spots = RNG.integers((35, 45), (175, 255), (60, 2))
    for row, column in spots:
        seen[row : row + RNG.integers(1, 5), column : column + RNG.integers(1, 5)] = 1
    count, _, statistics, _ = cv2.connectedComponentsWithStats(seen, connectivity=8)
    ordered = [tuple(box) for box in statistics[1:, :4].tolist()]
    there, (down, across) = seen[place], (side.start for side in place)
    _, labels, statistics, _ = cv2.connectedComponentsWithStats(there, connectivity=8)
    boxes = [tuple(box) for box in statistics[1:, :4].tolist()]
    ranks = [begins(labels, label, box, place) for label, box in enumerate(boxes, 1)]
    found = [
        (left + across, top + down, wide, high) for _, (left, top, wide, high) in sorted(zip(ranks, boxes, strict=True))
    ]
    assert count > 20
    assert found == ordered

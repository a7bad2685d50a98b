"""Light is no defect, and leaves no more doubt than it must; where a golden picture ends, nothing is told."""

import cv2
import numpy as np
import pytest

from linegate.adapters.golden import boxes
from linegate.adapters.golden.light import in_the_light_of
from linegate.adapters.golden.materials import Picture
from linegate.adapters.golden.registration import beyond, lies
from linegate.samples import golden_board
from linegate.shapes import Box

GOLDEN = golden_board(71, mask="white").picture
INSIDE = np.s_[80:-80, 80:-80]


def under(light: np.ndarray) -> Picture:
    return np.asarray(np.clip(GOLDEN * light[..., None], 0, 255), np.uint8)


def test_light_that_changes_evenly_leaves_no_doubt_of_what_it_falls_on() -> None:
    side = GOLDEN.shape[1]
    rises = np.linspace(0.7, 1.0, side // 4)
    picture = under(np.tile(np.concatenate([rises, rises[::-1]] * 2), (GOLDEN.shape[0], 1)))
    want, doubt = in_the_light_of(picture, GOLDEN)
    evenly = np.abs(np.arange(side) % (side // 4) - side // 8) < side // 8 - 50  # away from where it bends
    assert np.median(doubt[:, evenly]) <= 2
    assert np.percentile(doubt[:, evenly], 90) <= 5
    assert np.percentile(cv2.absdiff(picture, want)[:, evenly], 90) <= 4


def test_beside_the_border_of_a_shade_light_is_in_doubt() -> None:
    light = np.ones(GOLDEN.shape[:2])
    light[200:420, 150:400] = 0.8
    _, doubt = in_the_light_of(under(light), GOLDEN)
    assert doubt[405:435, 385:415].max() >= 6
    assert np.median(doubt[INSIDE]) <= 1


@pytest.mark.parametrize("aside", [0, 20])
def test_beyond_the_golden_picture_and_along_its_border_nothing_of_it_shows(aside: int) -> None:
    warp = np.array([[1, 0, -aside], [0, 1, 0]], np.float32)
    mask = beyond(lies(GOLDEN.shape, warp), GOLDEN.shape)
    assert (mask[:, : aside + 2] == 255).all()
    assert (mask[10:-10, aside + 6 : -10] == 0).all()


def test_boxes_around_the_same_difference_overlap_by_half_and_neighbours_by_less() -> None:
    one, within, beside = Box(50, 50, 40, 40), Box(60, 55, 20, 20), Box(80, 50, 30, 30)
    assert boxes.same(one, within)
    assert not boxes.same(one, beside)
    assert boxes.around(one, beside).corners == (30, 30, 95, 70)

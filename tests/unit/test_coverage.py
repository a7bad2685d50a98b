"""What the comparison could not judge is told, by reason and by about as much as it is; a sound picture is covered whole."""

import cv2
import numpy as np
import pytest
from PIL import Image

from linegate.adapters.golden.adapters import GoldenDetector, GoldenRegistrar
from linegate.adapters.golden.coverage import (
    CUT_OFF,
    DROWNED,
    GLARING,
    OUTSIDE,
    SATURATED,
    UNFOCUSED,
    VARYING,
    coverage,
    ground_of,
    unmatched,
)
from linegate.adapters.golden.materials import Picture
from linegate.adapters.golden.registration import lay, lay_variation, pose
from linegate.evaluation.appearance import faint
from linegate.inspection import Coverage
from linegate.samples import FINISHES, MASKS, Design, golden_board, jpeg, sample

BOARD = golden_board(11)
LEAST = 0.98


def covered(picture: Picture, golden: Picture = BOARD.picture, variation: np.ndarray | None = None) -> Coverage:
    warp = pose(picture, golden)
    outside, cut_off = unmatched(picture, ground_of(golden), warp)
    if variation is not None:
        variation = lay_variation(variation, picture.shape, warp)
    return coverage(picture, lay(golden, picture, warp), outside, cut_off, variation)


def lost(found: Coverage) -> dict[str, float]:
    assert found.part == pytest.approx(1 - sum(loss.part for loss in found.lost), abs=1e-3)
    return {loss.why: loss.part for loss in found.lost}


def clean(seed: int, board: Design = BOARD) -> Picture:
    return sample(board, np.random.default_rng(seed)).picture


@pytest.mark.slow
@pytest.mark.parametrize("mask", MASKS)
def test_a_sound_picture_is_covered_whatever_its_colours_pose_light_and_noise(mask: str) -> None:
    for seed, finish in enumerate(FINISHES):
        board = golden_board(20 + seed, mask=mask, finish=finish)
        assert covered(clean(seed, board), board.picture).part >= LEAST


def crowded() -> Picture:
    """A board larger than its picture: tracks run out of it on all sides."""
    picture = np.full((640, 640, 3), (16, 88, 46), np.uint8)
    rng = np.random.default_rng(4)
    for index in range(16):
        at = 20 + 40 * index
        picture[at : at + 10, : int(rng.integers(200, 600))] = (52, 148, 84)
        picture[int(rng.integers(300, 600)) :, at + 20 : at + 26] = (214, 178, 104)
    return cv2.GaussianBlur(picture, (3, 3), 0).astype(np.uint8)


def test_what_moved_out_of_the_picture_and_what_came_in_are_lost() -> None:
    golden = crowded()
    wide = cv2.copyMakeBorder(golden, 0, 0, 0, 48, cv2.BORDER_REFLECT)
    moved = wide[:, 48:].astype(np.uint8)  # 7.5 % of the board are gone on the left, as much is new on the right
    told = lost(covered(moved, golden))
    assert told[CUT_OFF] == pytest.approx(0.075, abs=0.01)
    assert told[OUTSIDE] == pytest.approx(0.075, abs=0.01)


def test_a_board_that_moved_on_the_conveyor_loses_what_is_cut_off_of_it_and_no_background() -> None:
    moved = np.full_like(BOARD.picture, (44, 45, 48))
    moved[:, :-60] = BOARD.picture[:, 60:]
    told = lost(covered(moved))
    assert OUTSIDE not in told
    # the board begins 22 pixels inside of the picture
    assert told[CUT_OFF] == pytest.approx((60 - 22) * 596 / 640**2, abs=0.01)


def spot(at: tuple[int, int], axes: tuple[int, int]) -> np.ndarray:
    shape = np.zeros(BOARD.picture.shape[:2], np.float32)
    cv2.ellipse(shape, at, axes, 0, 0, 360, (1,), -1)
    return shape


def test_a_golden_picture_that_is_plain_all_over_has_no_background() -> None:
    plain = np.full((640, 640, 3), 255, np.uint8)
    assert not ground_of(plain).plain.any()


def test_glare_that_leaves_nothing_to_see_is_lost() -> None:
    shape = spot((300, 300), (45, 30))
    strong = cv2.GaussianBlur(shape, (0, 0), 8)[..., None] * np.array((230, 210, 220), np.float32)
    told = lost(covered(np.clip(clean(1) + strong, 0, 255).astype(np.uint8)))
    assert told[GLARING] + told.get(SATURATED, 0) == pytest.approx(float(shape.mean()), rel=0.4)
    faint = cv2.GaussianBlur(shape, (0, 0), 20)[..., None] * 60
    assert covered(np.clip(clean(1) + faint, 0, 255).astype(np.uint8)).part >= LEAST


def test_a_corner_without_any_grey_levels_is_lost() -> None:
    for level in (0, 255):
        picture = clean(2)
        picture[570:, 560:] = level
        assert lost(covered(picture))[SATURATED] == pytest.approx(80 * 70 / 640**2, rel=0.25)


def test_a_patch_out_of_focus_is_lost() -> None:
    picture = clean(3)
    picture[200:440, 80:400] = cv2.GaussianBlur(picture, (0, 0), 6)[200:440, 80:400]
    assert lost(covered(picture))[UNFOCUSED] == pytest.approx(240 * 320 / 640**2, rel=0.3)
    slightly = clean(3)
    slightly[200:440, 80:400] = cv2.GaussianBlur(slightly, (0, 0), 1)[200:440, 80:400]
    assert covered(slightly).part >= LEAST


def test_where_noise_is_stronger_than_a_defect_nothing_is_judged() -> None:
    board = golden_board(11, mask="black")
    picture = clean(4, board).astype(np.float32)
    picture[320:, :] += np.random.default_rng(1).normal(0, 25, picture[320:].shape)
    told = lost(covered(np.clip(picture, 0, 255).astype(np.uint8), board.picture))
    assert told[DROWNED] == pytest.approx(0.5, rel=0.25)


@pytest.mark.parametrize("gamma", [0.9, 1.1])
def test_a_tone_that_changes_each_material_otherwise_is_no_noise(gamma: float) -> None:
    board = golden_board(313, mask="white", finish="tin")
    board = faint(board, "white", 16)
    picture = (255 * (clean(4, board) / 255) ** gamma).astype(np.uint8)
    assert covered(picture, board.picture).part >= LEAST


def test_specks_of_noise_on_the_conveyor_are_no_product() -> None:
    golden = BOARD.picture.copy()
    rng = np.random.default_rng(3)
    golden[rng.integers(0, 640, 150), rng.integers(0, 12, 150)] += 30
    assert ground_of(golden).plain.mean() == pytest.approx(ground_of(BOARD.picture).plain.mean(), rel=0.02)


def test_where_good_boards_differ_as_defects_do_nothing_is_judged() -> None:
    variation = np.full(BOARD.picture.shape[:2], 4, np.uint8)
    variation[100:300, 100:500] = 90
    told = lost(covered(clean(5), variation=variation))
    assert told[VARYING] == pytest.approx(200 * 400 / 640**2, rel=0.1)


def test_a_defect_is_found_and_is_no_place_that_could_not_be_judged() -> None:
    drawn = sample(BOARD, np.random.default_rng(6), ("short", "open_circuit", "missing_hole"))
    assert covered(drawn.picture).part >= LEAST


def test_the_detector_tells_it_with_what_it_found() -> None:
    registrar = GoldenRegistrar({"golden": jpeg(BOARD.picture)}.__getitem__)

    def told(picture: Picture) -> Coverage | None:
        image = Image.fromarray(picture)
        return GoldenDetector().detect(image, b"", registrar.register(image, "golden")).coverage

    sound, spoiled = told(clean(7)), clean(7)
    spoiled[570:, 560:] = 255
    assert sound == Coverage()
    assert lost(told(spoiled) or Coverage())[SATURATED] > 0.005

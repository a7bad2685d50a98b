"""Comparison by looks: differences count whatever the materials, and what light, focus and files do is no difference."""

import io
from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest
from PIL import Image

from linegate import imaging
from linegate.adapters.golden.appearance import unlike
from linegate.adapters.golden.comparison import examine
from linegate.adapters.golden.registration import register
from linegate.adapters.golden.verifier import GoldenVerifier
from linegate.inspection import Detection, Result
from linegate.samples import DEFECTS, MASKS, Design, golden_board, sample
from linegate.settings import Recipe
from linegate.shapes import Box


def faint(mask: str, levels: int, seed: int = 61) -> Design:
    """A board whose covered tracks differ from the mask beside them by so many grey levels."""
    board = golden_board(seed, mask=mask, finish="tin")
    step = -levels if mask == "white" else levels
    red, green, blue = board.palette.mask
    return replace(board, palette=replace(board.palette, copper=(red + step, green + step, blue + step)))


def found(picture: np.ndarray, golden: np.ndarray) -> list[Detection]:
    """What counts in a recipe that does not say otherwise; nothing may be in doubt."""
    detections, doubts = examine(picture, register(picture, golden))
    assert doubts == ()
    return [detection for detection in detections if detection.confidence >= Recipe().confidence]


@pytest.mark.slow
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("levels", [20, 30])
def test_tracks_below_a_mask_of_any_colour_are_compared_however_faint(mask: str, levels: int) -> None:
    board = faint(mask, levels)
    assert found(sample(board, np.random.default_rng(1)).picture, board.picture) == []
    drawn = sample(board, np.random.default_rng(2), DEFECTS)
    boxes = [detection.box for detection in found(drawn.picture, board.picture)]
    for name, truth in drawn.truth:
        assert any(abs(box.x - truth.x) < box.width / 2 and abs(box.y - truth.y) < box.height / 2 for box in boxes), (
            name
        )
    assert len(boxes) == len(drawn.truth)


GROUND, TRACK, TIN, PRINT = (20, 60, 30), (45, 90, 55), (196, 198, 200), (222, 226, 216)


def three_materials() -> np.ndarray:
    """Covered tracks 30 grey levels from their ground, beside so much tin and print that one threshold parts these."""
    picture = np.full((640, 640, 3), GROUND, np.uint8)
    for y in range(60, 600, 60):
        picture[y : y + 12, 40:600] = TRACK
        for x in range(60, 600, 90):
            cv2.circle(picture, (x, y + 6), 18, TIN, -1)
        cv2.putText(picture, "R12 C47 U3", (100, y + 40), cv2.FONT_HERSHEY_SIMPLEX, 0.7, PRINT, 2)
    return cv2.GaussianBlur(picture, (3, 3), 0)


def cut_track(picture: np.ndarray) -> None:
    picture[175:197, 190:202] = GROUND


def spilled(picture: np.ndarray) -> None:
    picture[215:230, 560:575] = TRACK


def flooded(picture: np.ndarray) -> None:
    """Larger than the surroundings that tell light and noise."""
    picture[570:635, 320:520] = (70, 60, 75)


def lost_print(picture: np.ndarray) -> None:
    picture[258:290, 95:300] = GROUND


def tarnished(picture: np.ndarray) -> None:
    cv2.circle(picture, (330, 246), 17, (150, 130, 90), -1)


@pytest.mark.parametrize(
    ("spoil", "name"),
    [
        (cut_track, "missing"),
        (spilled, "foreign"),
        (flooded, "foreign"),
        (tarnished, "changed"),
        (lost_print, "open_circuit"),  # print as bright as copper passes for copper
    ],
    ids=["cut", "spilled", "flooded", "tarnished", "print"],
)
def test_what_a_threshold_between_two_materials_does_not_see_is_told_by_what_it_is(
    spoil: Callable[[np.ndarray], None], name: str
) -> None:
    golden = three_materials()
    tested = golden.copy()
    spoil(tested)
    rng = np.random.default_rng(3)
    tested = np.clip(tested + rng.normal(0, 2, tested.shape), 0, 255).astype(np.uint8)
    detections = found(tested, golden)
    assert detections, "a bad board passes in silence"
    assert name in {detection.class_name for detection in detections}
    for detection in detections:
        crop, reference = (imaging.cut(Image.fromarray(shown), detection.box) for shown in (tested, golden))
        assert GoldenVerifier().verify(crop, reference, detection).result is not Result.PASS
    assert found(np.clip(golden + rng.normal(0, 2, golden.shape), 0, 255).astype(np.uint8), golden) == []


def test_the_verifier_clears_nothing_that_is_faint_beside_something_bright() -> None:
    golden = three_materials()
    tested = golden.copy()
    cut_track(tested)
    box = Detection("open_circuit", 0.5, Box(196, 186, 60, 60))
    crop, reference = (imaging.cut(Image.fromarray(shown), box.box) for shown in (tested, golden))
    for name in ("open_circuit", "missing"):
        assert GoldenVerifier().verify(crop, reference, replace(box, class_name=name)).result is not Result.PASS
        assert GoldenVerifier().verify(reference, reference, replace(box, class_name=name)).result is Result.PASS


def jpeg(picture: np.ndarray, quality: int) -> np.ndarray:
    """As cameras compress: colour at half the resolution."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=quality, subsampling=2)
    return np.asarray(Image.open(buffer).convert("RGB"))


NO_DEFECT: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "compressed": lambda picture: jpeg(picture, 75),
    "softer": lambda picture: cv2.GaussianBlur(picture, (0, 0), 0.9),
    "noisy": lambda picture: np.clip(picture + np.random.default_rng(9).normal(0, 6, picture.shape), 0, 255),
    "of another tint": lambda picture: np.clip(picture * (1.1, 0.95, 0.9), 0, 255),
    "of another gamma": lambda picture: 255 * (picture / 255) ** 0.9,
}


@pytest.mark.slow
@pytest.mark.parametrize("change", NO_DEFECT.values(), ids=NO_DEFECT)
@pytest.mark.parametrize("mask", ["blue", "white"])
def test_what_cameras_and_files_do_is_no_defect(change: Callable[[np.ndarray], np.ndarray], mask: str) -> None:
    board = golden_board(62, mask=mask, finish="copper")
    golden = jpeg(board.picture, 80)
    clean, bad = (sample(board, np.random.default_rng(4), names).picture for names in ((), ("short",)))
    assert unlike_at(change(clean).astype(np.uint8), golden) == []
    assert len(unlike_at(change(bad).astype(np.uint8), golden)) == 1


def unlike_at(picture: np.ndarray, golden: np.ndarray) -> list[str]:
    candidates, doubts = unlike(picture, register(picture, golden))
    assert doubts == ()
    return [one.class_name for one in candidates if one.confidence >= Recipe().confidence]


def test_where_good_boards_differ_in_looks_a_difference_is_none() -> None:
    golden = three_materials()
    tested = golden.copy()
    spilled(tested)
    variation = np.zeros(golden.shape[:2], np.uint8)
    variation[205:240, 550:585] = 60
    assert unlike(tested, golden)[0] != []
    assert unlike(tested, golden, variation)[0] == []


def test_a_picture_that_looks_otherwise_all_over_is_a_doubt_not_a_flood_of_boxes() -> None:
    golden = three_materials()
    tested = golden.copy()
    for y in range(30, 620, 30):
        tested[y : y + 9, 40:600] = (150, 60, 120)
    detections, doubts = unlike(tested, golden)
    assert detections == []
    assert "look unlike the golden picture" in doubts[0]


@pytest.mark.parametrize("drowns", [False, True])
def test_where_a_white_board_is_too_bright_to_show_anything_it_does_not_pass(drowns: bool) -> None:
    board = golden_board(63, mask="white", finish="tin")
    picture = sample(board, np.random.default_rng(5)).picture.astype(np.float32)
    if drowns:
        cv2.ellipse(picture, (320, 400), (70, 50), 0, 0, 360, (255, 255, 255), -1)
    tested = np.clip(picture, 0, 255).astype(np.uint8)
    detections, doubts = examine(tested, register(tested, board.picture))
    sure = [detection for detection in detections if detection.confidence >= Recipe().confidence]
    assert bool(doubts) == drowns
    assert drowns or sure == []
    if drowns:
        assert "so bright that nothing can be seen" in doubts[0]


@pytest.mark.parametrize("mask", ["black", "white"])
def test_glare_on_a_board_without_colour_is_no_defect(mask: str) -> None:
    board = golden_board(64, mask=mask, finish="copper")
    picture = sample(board, np.random.default_rng(6)).picture.astype(np.float32)
    spot = np.zeros(picture.shape[:2], np.float32)
    cv2.ellipse(spot, (300, 250), (60, 25), 20, 0, 360, (1,), -1)
    soft = cv2.GaussianBlur(spot, (0, 0), 25)
    lit = np.clip(picture + 80 * (soft / soft.max())[..., None], 0, 255).astype(np.uint8)
    detections, _ = examine(lit, register(lit, board.picture))
    assert [one for one in detections if one.confidence >= Recipe().confidence] == []


@pytest.mark.slow
@pytest.mark.parametrize("mask", ["green", "blue"])
def test_a_spot_of_glare_that_fades_quickly_is_no_defect(mask: str) -> None:
    board = faint(mask, 16, 314)
    picture = sample(board, np.random.default_rng(6)).picture.astype(np.float32)
    spot = np.zeros(picture.shape[:2], np.float32)
    cv2.ellipse(spot, (400, 170), (60, 25), 150, 0, 360, (1,), -1)
    soft = cv2.GaussianBlur(spot, (0, 0), 14)
    glaring = np.clip(picture + 90 * (soft / soft.max())[..., None], 0, 255).astype(np.uint8)
    assert unlike_at(glaring, board.picture) == []

"""Comparison with the golden board, on drawn boards: every class found and named, clean boards left alone."""

import io
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from linegate import imaging, sight
from linegate.adapters.golden.adapters import GoldenDetector, GoldenRegistrar
from linegate.adapters.golden.comparison import compare, examine
from linegate.adapters.golden.materials import Picture
from linegate.adapters.golden.picture import Golden, encode
from linegate.adapters.golden.registration import register
from linegate.adapters.golden.verifier import GoldenVerifier
from linegate.errors import PermanentError, RegistrationError, TransientError
from linegate.evaluation.confidence import roughened
from linegate.inspection import Detection, Result
from linegate.ports import Found
from linegate.samples import DEFECTS, Design, golden_board, jpeg, sample
from linegate.sections import Limits
from linegate.settings import Recipe
from linegate.shapes import Box
from tests.boards import encoded

BOARD = golden_board(11)


def posed(picture: Picture, degrees: float = 0, scale: float = 1, shift: tuple[float, float] = (0, 0)) -> Picture:
    height, width = picture.shape[:2]
    pose = np.asarray(cv2.getRotationMatrix2D((width / 2, height / 2), degrees, scale), np.float64)
    pose[:, 2] += shift
    return cv2.warpAffine(picture, pose, (width, height), borderValue=(44, 45, 48)).astype(np.uint8)


def inspect(picture: Picture, board: Design = BOARD) -> list[Detection]:
    return sure(compare(picture, register(picture, board.picture)))


def sure(found: list[Detection]) -> list[Detection]:
    """What counts in a recipe that does not say otherwise."""
    return [detection for detection in found if detection.confidence >= Recipe().confidence]


def covers(detection: Detection, box: Box) -> bool:
    left, top, right, bottom = detection.box.corners
    return left <= box.x <= right and top <= box.y <= bottom


@pytest.mark.slow
@pytest.mark.parametrize("name", DEFECTS)
@pytest.mark.parametrize("seed", range(4))
def test_every_class_is_found_where_it_is_and_called_by_its_name(name: str, seed: int) -> None:
    drawn = sample(BOARD, np.random.default_rng(seed), (name,))
    found = inspect(drawn.picture)
    assert [detection.class_name for detection in found] == [name]
    assert covers(found[0], drawn.truth[0][1])
    assert 0 < found[0].confidence < 1


@pytest.mark.slow
@pytest.mark.parametrize("design", range(5))
def test_clean_boards_give_nothing_whatever_their_pose_light_and_noise(design: int) -> None:
    board = golden_board(100 + design)
    called = [seed for seed in range(40) if inspect(sample(board, np.random.default_rng(seed)).picture, board)]
    assert called == [], f"{len(called)} of 40 clean boards"


@pytest.mark.parametrize(
    ("degrees", "scale", "shift"),
    [(0, 1, (14, -12)), (3, 1, (0, 0)), (-3, 1, (5, 5)), (0, 1.02, (0, 0)), (0, 0.98, (0, 0)), (2, 1.02, (-12, 9))],
)
def test_a_board_that_lies_differently_is_laid_over(degrees: float, scale: float, shift: tuple[float, float]) -> None:
    clean = sample(BOARD, np.random.default_rng(1)).picture
    broken = sample(BOARD, np.random.default_rng(2), ("open_circuit",)).picture
    assert inspect(posed(clean, degrees, scale, shift)) == []
    assert [d.class_name for d in inspect(posed(broken, degrees, scale, shift))] == ["open_circuit"]


def test_a_void_in_the_copper_is_a_pin_hole() -> None:
    picture = BOARD.picture.copy()
    track = max(BOARD.tracks, key=lambda track: track.width)
    (left, y), (right, _) = track.points[:2]
    cv2.circle(picture, ((left + right) // 2, y), 4, (16, 88, 46), -1)
    assert [detection.class_name for detection in inspect(picture)] == ["pin_hole"]


def test_black_and_white_scans_show_copper_in_black() -> None:
    golden = cv2.threshold(cv2.cvtColor(BOARD.picture, cv2.COLOR_RGB2GRAY), 100, 255, cv2.THRESH_BINARY_INV)[1]
    scan = cv2.cvtColor(golden, cv2.COLOR_GRAY2RGB).astype(np.uint8)
    tested = scan.copy()
    track = next(track for track in BOARD.tracks if len(track.points) == 2 and track.points[0][1] == track.points[1][1])
    (left, y), (right, _) = track.points
    cv2.rectangle(tested, ((left + right) // 2, y - 14), ((left + right) // 2 + 6, y + 14), (255, 255, 255), -1)
    assert [detection.class_name for detection in compare(tested, register(tested, scan))] == ["open_circuit"]


def scan(*strokes: tuple[int, int, int, int]) -> Picture:
    """A scan of 320 x 320, copper in black; strokes are left, top, right, bottom, right and bottom included."""
    picture = np.full((320, 320, 3), 255, np.uint8)
    for left, top, right, bottom in strokes:
        picture[top : bottom + 1, left : right + 1] = 0
    return picture


def classes(tested: Picture, golden: Picture) -> list[str]:
    return [detection.class_name for detection in compare(tested, golden)]


# A wide conductor and, below it, a track of 4 px: thinner than twice the tolerance.
THIN = ((20, 40, 300, 90), (20, 200, 300, 203))


def test_a_gap_in_a_track_too_thin_to_have_any_depth_is_an_open_circuit() -> None:
    golden, tested = scan(*THIN), scan(*THIN)
    tested[198:206, 150:162] = 255
    (found,) = compare(tested, golden)
    assert found.class_name == "open_circuit"
    image, reference = (imaging.cut(Image.fromarray(picture), found.box) for picture in (tested, golden))
    judgement = GoldenVerifier().verify(image, reference, found)
    assert (judgement.result, "interrupted" in judgement.reason) == (Result.FAIL, True)


def test_a_bridge_over_a_gap_too_narrow_to_be_far_from_copper_is_a_short() -> None:
    golden = scan((20, 40, 300, 98), (20, 103, 300, 160))
    tested = golden.copy()
    tested[96:106, 150:162] = 0
    (found,) = compare(tested, golden)
    assert found.class_name == "short"
    image, reference = (imaging.cut(Image.fromarray(picture), found.box) for picture in (tested, golden))
    assert GoldenVerifier().verify(image, reference, found).result is Result.FAIL


def test_copper_left_inside_a_void_does_not_make_it_an_open_circuit() -> None:
    tested = scan(*THIN)
    tested[55:76, 150:171] = 255
    tested[62:69, 157:164] = 0
    assert classes(tested, scan(*THIN)) == ["pin_hole"]


def test_a_void_behind_a_wall_of_copper_is_no_mouse_bite_until_the_wall_is_gone() -> None:
    tested = scan(*THIN)
    tested[42:60, 150:166] = 255
    assert classes(tested, scan(*THIN)) == ["pin_hole"]
    tested[40:42, 150:166] = 255
    assert classes(tested, scan(*THIN)) == ["mouse_bite"]


def test_a_bridge_within_one_conductor_is_a_short_too_and_a_spur_beside_it_is_none() -> None:
    bend = scan((60, 60, 80, 160), (110, 60, 130, 160), (60, 60, 130, 80))
    bridged, spurred = bend.copy(), bend.copy()
    bridged[92:100, 80:112] = 0
    spurred[92:100, 80:98] = 0
    assert classes(bridged, bend) == ["short"]
    assert classes(spurred, bend) == ["spur"]


def test_the_outermost_pixels_of_a_picture_tell_nothing_what_reaches_further_in_does() -> None:
    golden = scan(*THIN)
    cut_differently, spoiled = golden.copy(), golden.copy()
    cut_differently[:, :2] = 0
    cut_differently[-2:, :] = 0
    spoiled[120:140, :9] = 0
    assert classes(cut_differently, golden) == []
    assert classes(spoiled, golden) == ["spurious_copper"]


def test_a_bite_of_a_few_pixels_is_found_on_a_large_photograph_too() -> None:
    golden = np.full((1600, 1600, 3), (16, 88, 46), np.uint8)
    golden[300:330] = golden[800:820] = golden[1200:1260] = (52, 148, 84)
    tested = golden.copy()
    cv2.circle(tested, (700, 799), 5, (16, 88, 46), -1)
    (found,) = compare(tested, golden)
    assert found.class_name == "mouse_bite"
    assert found.confidence >= Recipe().confidence  # or the recipe would leave it out


def glared(picture: Picture, at: tuple[int, int], level: float, softness: float) -> Picture:
    """With light thrown back by the mask: a spot of 120 x 50 px, `level` grey levels brighter in its middle."""
    sharp = np.zeros(picture.shape[:2], np.float32)
    cv2.ellipse(sharp, at, (60, 25), 20, 0, 360, (1,), -1)
    spot = cv2.GaussianBlur(sharp, (0, 0), softness)
    lit: NDArray[np.float32] = picture + level * (spot / spot.max())[..., None]
    return np.clip(lit, 0, 255).astype(np.uint8)


@pytest.mark.parametrize(("level", "softness"), [(90, 25), (120, 10)], ids=["soft", "brighter"])
@pytest.mark.parametrize("seed", range(3))
def test_glare_is_no_defect_and_hides_none(level: float, softness: float, seed: int) -> None:
    clean, bad = (sample(BOARD, np.random.default_rng(seed), which) for which in ((), ("short",)))
    box = bad.truth[0][1]
    at = (round(box.x), round(box.y))
    assert inspect(glared(clean.picture, at, level, softness)) == []
    assert [detection.class_name for detection in inspect(glared(bad.picture, at, level, softness))] == ["short"]


@pytest.mark.parametrize("shade", [0.85, 1.2])
def test_a_mask_of_another_shade_is_no_defect(shade: float) -> None:
    picture = sample(BOARD, np.random.default_rng(2)).picture.astype(np.float32)
    picture[200:420, 150:400] *= shade
    assert inspect(np.clip(picture, 0, 255).astype(np.uint8)) == []


def test_dark_copper_on_a_photograph_is_told_by_the_recipe() -> None:
    golden = np.full((400, 400, 3), (170, 150, 120), np.uint8)
    golden[100:130, 40:360] = (90, 60, 40)
    tested = golden.copy()
    tested[95:135, 200:212] = (170, 150, 120)
    assert [d.class_name for d in compare(tested, golden, "dark")] == ["open_circuit"]
    assert [d.class_name for d in compare(tested, golden)] == ["short"]


@pytest.mark.parametrize("roughness", [0, 15, 30, 40])
def test_the_boards_own_edges_tell_how_ragged_they_may_be(roughness: float) -> None:
    golden = scan(*((20, top, 300, top + 12) for top in range(20, 300, 30)))
    tested = golden.copy()
    tested[20:26, 100:112] = 255  # a bite of half the width
    tested[63:74, 200:206] = 0  # a spur across half the gap
    rough_tested = roughened(tested, roughness, np.random.default_rng(1))
    rough_golden = roughened(golden, roughness, np.random.default_rng(2))
    found = sure(compare(rough_tested, rough_golden))
    assert sorted(detection.class_name for detection in found) == ["mouse_bite", "spur"]


def test_a_covered_hole_is_told_from_a_bite_by_the_bare_metal_around_it() -> None:
    mask, copper, solder = (16, 88, 46), (52, 148, 84), (190, 185, 180)
    golden = np.full((400, 400, 3), mask, np.uint8)
    golden[190:210, 40:360] = copper
    for x in (80, 320):
        cv2.circle(golden, (x, 200), 30, solder, -1)
    tested = golden.copy()
    cv2.circle(tested, (80, 200), 12, mask, -1)
    cv2.circle(tested, (200, 190), 8, mask, -1)
    assert {d.class_name: round(d.box.x, -1) for d in compare(tested, golden)} == {
        "missing_hole": 80,
        "mouse_bite": 200,
    }


def test_parallel_stripes_do_not_say_where_they_lie_and_are_compared_all_the_same() -> None:
    golden = np.zeros((320, 320, 3), np.uint8)
    golden[:, 40:80] = golden[:, 120:180] = golden[:, 230:250] = 255
    tested = np.roll(golden, 2, axis=1)
    tested[150:158, 40:84] = 0
    found = compare(tested, register(tested, golden), "bright")
    assert [detection.class_name for detection in found] == ["open_circuit"]


@pytest.mark.parametrize(
    "picture",
    [
        np.random.default_rng(1).integers(0, 255, (640, 640, 3), np.uint8),
        cv2.rotate(BOARD.picture, cv2.ROTATE_90_CLOCKWISE),
        posed(BOARD.picture, degrees=70),
        np.full((640, 640, 3), 90, np.uint8),
    ],
    ids=["noise", "turned", "twisted", "blank"],
)
def test_what_can_not_be_laid_over_goes_to_a_person_not_into_a_flood_of_boxes(picture: Picture) -> None:
    with pytest.raises(RegistrationError):
        register(picture, BOARD.picture)


@pytest.mark.parametrize("shape", [(1, 1), (7, 7), (640, 20)])
def test_what_is_too_small_to_be_compared_goes_to_a_person(shape: tuple[int, int]) -> None:
    with pytest.raises(RegistrationError, match=rf"the picture of {shape[1]} x {shape[0]} pixels is too small"):
        register(np.zeros((*shape, 3), np.uint8), BOARD.picture)


def test_a_board_that_lies_half_outside_is_not_passed_by_what_can_be_seen_of_it() -> None:
    clean = sample(BOARD, np.random.default_rng(1)).picture
    register(posed(clean, degrees=3, scale=0.98, shift=(-15, 15)), BOARD.picture)
    with pytest.raises(RegistrationError, match="in common"):
        register(posed(clean, shift=(70, 60)), BOARD.picture)


def test_a_golden_picture_of_another_size_fits_too() -> None:
    golden = cv2.resize(BOARD.picture, None, fx=1.5, fy=1.5).astype(np.uint8)
    drawn = sample(BOARD, np.random.default_rng(3), ("short",))
    assert [d.class_name for d in compare(drawn.picture, register(drawn.picture, golden))] == ["short"]


# --- the ports


def detect(picture: Picture, load: Callable[[str], bytes]) -> Found:
    image = Image.fromarray(picture)
    return GoldenDetector().detect(image, b"", GoldenRegistrar(load).register(image, "golden.png"))


def test_a_golden_picture_that_is_no_picture_can_be_mended_so_the_upload_stays_replayable() -> None:
    with pytest.raises(TransientError, match=r"golden picture 'golden\.png' can't be used"):
        detect(BOARD.picture, lambda _: b"no picture")


def test_a_golden_picture_that_is_kept_fits_pictures_of_any_size() -> None:
    registrar = GoldenRegistrar(lambda _: encode(Golden(BOARD.picture)))
    for size in (640, 800, 700, 640):
        picture = cv2.resize(sample(BOARD, np.random.default_rng(size)).picture, (size, size))
        laid = np.asarray(registrar.register(Image.fromarray(picture), "golden.png").picture)
        assert laid.shape == picture.shape
        assert np.abs(laid.astype(float) - picture).mean() < 12


def test_without_a_golden_picture_there_is_nothing_to_compare_with() -> None:
    with pytest.raises(PermanentError, match="golden"):
        GoldenDetector().detect(Image.fromarray(BOARD.picture), b"", None)


def test_a_new_golden_picture_under_the_same_name_counts_at_once() -> None:
    files = {"golden.png": jpeg(BOARD.picture)}
    registrar = GoldenRegistrar(files.__getitem__)
    image = Image.fromarray(BOARD.picture)
    registrar.register(image, "golden.png")
    files["golden.png"] = jpeg(np.asarray(cv2.rotate(BOARD.picture, cv2.ROTATE_180)))
    with pytest.raises(RegistrationError):
        registrar.register(image, "golden.png")


def crops(picture: Picture, golden: Picture, box: Box) -> tuple[bytes, bytes]:
    laid = register(picture, golden)
    return imaging.cut(Image.fromarray(picture), box), imaging.cut(Image.fromarray(laid), box)


@pytest.mark.slow
@pytest.mark.parametrize("name", DEFECTS)
@pytest.mark.parametrize("seed", range(3))
def test_the_verifier_confirms_a_defect_and_says_what_it_is(name: str, seed: int) -> None:
    drawn = sample(BOARD, np.random.default_rng(seed), (name,))
    (detection,) = inspect(drawn.picture)
    judgement = GoldenVerifier().verify(*crops(drawn.picture, BOARD.picture, detection.box), detection)
    assert judgement.result is Result.FAIL
    assert "px" in judgement.reason


@pytest.mark.parametrize("spot", [(150, 100), (300, 318), (320, 500), (48, 48)])
def test_the_verifier_clears_a_place_that_is_as_it_should_be(spot: tuple[int, int]) -> None:
    clean = sample(BOARD, np.random.default_rng(5)).picture
    detection = Detection("spur", 0.5, Box(*spot, 20, 20))
    judgement = GoldenVerifier().verify(*crops(clean, BOARD.picture, detection.box), detection)
    assert judgement.result is Result.PASS


def test_the_verifier_says_when_it_can_not_tell() -> None:
    detection = Detection("spur", 0.5, Box(100, 100, 20, 20))
    crop, reference = crops(BOARD.picture, BOARD.picture, detection.box)
    buffer = io.BytesIO()
    Image.open(io.BytesIO(reference)).resize((40, 20)).save(buffer, "JPEG")
    assert GoldenVerifier().verify(crop, None, detection).result is Result.UNSURE
    assert GoldenVerifier().verify(crop, buffer.getvalue(), detection).result is Result.UNSURE
    with pytest.raises(PermanentError):
        GoldenVerifier().verify(b"no picture", reference, detection)


def crop_of(*voids: tuple[int, int, int], ragged: bool = False) -> bytes:
    """A crop of black copper with voids (x, y, radius), its edge ragged by three pixels here and there."""
    picture = np.full((72, 72, 3), 255, np.uint8)
    picture[:, 18:56] = 0
    for x, y, radius in voids:
        cv2.circle(picture, (x, y), radius, (255, 255, 255), -1)
    if ragged:
        for y in range(4, 68, 8):
            picture[y : y + 4, 15:18] = picture[y + 2 : y + 6, 56:59] = 0
    return imaging.cut(Image.fromarray(picture), Box(36, 36, 72, 72), 0)


@pytest.mark.parametrize(
    ("seen", "result"),
    [
        (crop_of(), Result.PASS),
        (crop_of((36, 36, 4)), Result.FAIL),
        (crop_of((30, 20, 3), (42, 50, 3)), Result.FAIL),
        (crop_of(ragged=True), Result.PASS),
        (crop_of((36, 36, 5), ragged=True), Result.FAIL),
    ],
    ids=["clean", "a void", "two small voids", "ragged", "a void and ragged"],
)
def test_the_verifier_asks_whether_a_difference_stands_out_from_what_the_edges_do(seen: bytes, result: Result) -> None:
    suspected = Detection("pin_hole", 0.5, Box(36, 36, 20, 20))
    assert GoldenVerifier().verify(seen, crop_of(), suspected).result is result


@pytest.mark.parametrize(
    "change", [lambda p: p * 0.4, lambda p: p * 0.3, lambda p: p - 60.0], ids=["40 %", "30 %", "-60"]
)
def test_dark_photographs_are_not_taken_for_black_and_white_scans(change: Callable[[Picture], Picture]) -> None:
    dark = [
        np.clip(change(picture.astype(np.float32)), 0, 255).astype(np.uint8)
        for picture in (sample(BOARD, np.random.default_rng(2), ("open_circuit",)).picture, BOARD.picture)
    ]
    found = sure(compare(dark[0], register(dark[0], dark[1])))
    assert [detection.class_name for detection in found] == ["open_circuit"]


def test_a_torn_picture_is_not_taken_for_one_with_ragged_edges() -> None:
    """Bytes were lost, so that a part of it lies beside the rest: so ragged, edges would explain a thin short."""
    golden = np.full((640, 640, 3), 255, np.uint8)
    for x in range(40, 620, 36):
        cv2.line(golden, (x, 10), (x, 630), (0, 0, 0), 8)
    bad = golden.copy()
    cv2.line(bad, (400, 500), (436, 500), (0, 0, 0), 4)
    assert [found.class_name for found in sure(compare(bad, golden))] == ["short"]
    bad[:240] = np.roll(bad[:240], 4, axis=1)
    _, doubts = examine(bad, golden)
    assert len(doubts) == 1
    assert "can't be seen" in doubts[0]


# --- what the golden picture shows and the picture does not


def changed_on(
    picture: np.ndarray, place: tuple[slice, slice], change: Callable[[np.ndarray], np.ndarray]
) -> np.ndarray:
    made = picture.copy()
    made[place] = change(picture)[place]
    return made


UNSEEN: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "covered": lambda picture: np.full_like(picture, 60),
    "in a haze": lambda picture: (picture * 0.2 + 60).astype(np.uint8),
    "out of focus": lambda picture: cv2.GaussianBlur(picture, (0, 0), 6),
    "shaken": lambda picture: np.roll(picture, 25, axis=0),
    "mirrored": lambda picture: picture[:, ::-1],
    "pixelated": lambda picture: np.repeat(np.repeat(picture[::16, ::16], 16, 0), 16, 1),
}


@pytest.mark.parametrize("change", UNSEEN.values(), ids=UNSEEN)
def test_a_part_that_shows_nothing_of_the_golden_picture_is_told_to_whatever_detector(
    change: Callable[[np.ndarray], np.ndarray],
) -> None:
    clean = sample(BOARD, np.random.default_rng(3)).picture
    picture = Image.fromarray(changed_on(clean, np.s_[200:440, 120:360], change))
    registrar = GoldenRegistrar(lambda name: encoded(Image.fromarray(BOARD.picture)))
    (doubt,) = sight.unseen(registrar.register(picture, "golden.png").unseen, Limits())
    assert "can be made out in" in doubt
    assert sight.unseen(registrar.register(Image.fromarray(clean), "golden.png").unseen, Limits()) == ()


def test_where_edges_are_so_ragged_that_defects_drown_nothing_found_is_a_doubt() -> None:
    coarse = sample(BOARD, np.random.default_rng(1)).picture[::8, ::8]
    coarse = np.repeat(np.repeat(coarse, 8, 0), 8, 1)
    _, doubts = examine(coarse, register(coarse, BOARD.picture))
    assert len(doubts) == 1
    assert "can't be seen" in doubts[0]


def test_a_board_that_lies_a_tenth_outside_the_picture_is_not_compared() -> None:
    clean = sample(BOARD, np.random.default_rng(3)).picture
    with pytest.raises(RegistrationError, match="in common"):
        register(posed(clean, shift=(66, 0)), BOARD.picture)

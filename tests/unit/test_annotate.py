"""The annotated picture: what an operator must be able to see on it."""

import io
from itertools import pairwise

import pytest
from PIL import Image, ImageChops

from linegate.annotate import annotate
from linegate.inspection import Box, Check, Detection, Result, Verdict

GREY = (90, 90, 90)


def board(size: tuple[int, int] = (640, 480)) -> Image.Image:
    return Image.new("RGB", size, GREY)


def shown(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data)).convert("RGB")


def one(result: Result | None, box: Box = Box(300, 200, 60, 40), size: tuple[int, int] = (640, 480)) -> Image.Image:
    checks = [Check(0, result, "because")] if result else []
    return shown(annotate(board(size), [Detection("open_circuit", 0.93, box)], checks, Verdict.FAIL, 1))


def banner(picture: Image.Image) -> int:
    """Height of the banner: the board has its own height left below it."""
    return picture.height - 480


def below(picture: Image.Image) -> Image.Image:
    return picture.crop((0, banner(picture), picture.width, picture.height))


@pytest.mark.parametrize("verdict", Verdict)
def test_the_banner_says_the_verdict_and_hides_nothing_of_the_board(verdict: Verdict) -> None:
    picture = shown(annotate(board(), [], [], verdict, 0))
    # Eight rows belong to the JPEG block that the banner ends in.
    untouched = below(picture).crop((0, 8, 640, 480)).getextrema()
    assert all(high - low <= 2 for low, high in untouched)  # type: ignore[misc]
    other = shown(annotate(board(), [], [], Verdict.FAIL if verdict is Verdict.PASS else Verdict.PASS, 0))
    assert ImageChops.difference(picture, other).getbbox() is not None


def test_the_number_of_defects_stands_in_the_banner() -> None:
    two, three = (shown(annotate(board(), [], [], Verdict.FAIL, count)) for count in (2, 3))
    changed = ImageChops.difference(two, three).convert("L").point(lambda value: 255 if value > 80 else 0).getbbox()
    assert changed is not None
    assert changed[3] <= banner(two)
    assert changed[1] > banner(two) // 3, "in the second line"


def test_a_box_is_drawn_around_the_defect_and_leaves_it_visible() -> None:
    picture = below(one(Result.FAIL))
    inside = picture.crop((274, 184, 326, 216))
    assert all(high - low < 12 for low, high in inside.getextrema())  # type: ignore[misc]
    for spot in ((268, 200), (332, 200), (300, 178), (300, 222)):
        assert max(abs(a - b) for a, b in zip(picture.getpixel(spot), GREY, strict=True)) > 40, spot  # type: ignore[arg-type]


def test_results_can_be_told_apart_without_colour() -> None:
    lines = {}
    for result in Result:
        # How often light and dark change along the lower line of the box, where no label stands.
        grey = below(one(result)).convert("L")
        row = [grey.getpixel((x, 221)) for x in range(275, 326)]
        lines[result] = sum(abs(int(a) - int(b)) > 30 for a, b in pairwise(row))  # type: ignore[arg-type]
    assert lines[Result.FAIL] == 0, "a defect has a solid line"
    assert lines[Result.UNSURE] > 3
    assert lines[Result.PASS] > lines[Result.UNSURE], "shorter dashes for what was cleared"


def test_a_detection_without_a_check_is_shown_as_unsure() -> None:
    assert ImageChops.difference(one(None), one(Result.UNSURE)).getbbox() is None


@pytest.mark.parametrize(
    ("size", "box"),
    [
        ((16, 16), Box(8, 8, 4, 4)),
        ((64, 64), Box(20, 20, 10, 10)),
        ((6000, 4000), Box(3000, 2000, 40, 40)),
        ((3000, 40), Box(1500, 20, 30, 30)),
        ((40, 3000), Box(20, 1500, 30, 30)),
        ((640, 480), Box(0, 0, 50, 50)),
        ((640, 480), Box(640, 480, 50, 50)),
        ((640, 480), Box(320, 240, 5000, 5000)),
        ((640, 480), Box(-50, -50, 10, 10)),
        ((640, 480), Box(320, 240, 0, 0)),
    ],
)
def test_any_picture_and_any_box_can_be_annotated(size: tuple[int, int], box: Box) -> None:
    picture = one(Result.FAIL, box, size)
    assert max(picture.size) <= 2048 + 400
    assert picture.width >= 400 or size[1] > 4 * size[0], "wide enough for its banner"


def test_every_box_is_drawn_however_many_there_are() -> None:
    found = [Detection("short", 0.9, Box(20 + 30 * (n % 20), 20 + 30 * (n // 20), 16, 16)) for n in range(300)]
    checks = [Check(n, Result.FAIL, "") for n in range(300)]
    picture = below(shown(annotate(board(), found, checks, Verdict.FAIL, 300)))
    for detection in found:
        left, top, right, _ = (int(value) for value in detection.box.corners)
        edge = picture.crop((left, top - 3, right, top)).getextrema()
        assert any(high - GREY[0] > 40 or GREY[0] - low > 40 for low, high in edge)  # type: ignore[misc]

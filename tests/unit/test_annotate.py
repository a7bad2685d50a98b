"""The annotated picture: what an operator must be able to see on it."""

import io
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageDraw

from linegate.annotate import BANNERS, STYLES, _font, _write, annotate
from linegate.inspection import Check, Coverage, Detection, Loss, Measure, Result, Verdict
from linegate.shapes import Box

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


def test_the_banner_says_which_board_it_is_and_why_a_person_must_look() -> None:
    def height(verdict: Verdict = Verdict.REVIEW, heading: str = "", *reasons: str) -> int:
        return banner(shown(annotate(board(), [], [], verdict, 0, heading=heading, reasons=reasons)))

    plain, named = height(), height(Verdict.REVIEW, "smt-1/aoi-1/B6   2026-11-24 22:13:11 UTC")
    explained = height(Verdict.REVIEW, "smt-1/aoi-1/B6", "the picture is too dark")
    assert plain < named < explained
    assert height(Verdict.ERROR, "", "why") == height(Verdict.REVIEW, "", "why") == named
    assert height(Verdict.FAIL, "", "why") == plain, "a defect has its label"
    # A reason is wrapped, a serial without spaces too; and however long they are, the board keeps the most of the picture.
    assert height(Verdict.REVIEW, "", "a reason " * 20) > named
    assert height(Verdict.REVIEW, "", "x" * 250) > named
    assert height(Verdict.REVIEW, "y" * 700, *["a reason " * 90] * 1000) < 200


def test_no_word_of_the_banner_is_cut_at_its_side() -> None:
    picture = shown(annotate(board(), [], [], Verdict.REVIEW, 0, heading="W" * 70, reasons=["W" * 150, "W " * 100]))
    side = picture.crop((picture.width - 6, 0, picture.width, banner(picture) - 8)).convert("L")
    assert np.asarray(side).min() > 150


def test_a_box_is_drawn_around_the_defect_and_leaves_it_visible() -> None:
    picture = below(one(Result.FAIL))
    inside = picture.crop((274, 184, 326, 216))
    assert all(high - low < 12 for low, high in inside.getextrema())  # type: ignore[misc]
    for spot in ((268, 200), (332, 200), (300, 178), (300, 222)):
        assert max(abs(a - b) for a, b in zip(picture.getpixel(spot), GREY, strict=True)) > 40, spot  # type: ignore[arg-type]


def untouched(picture: Image.Image, box: Box) -> bool:
    """Whether the board is as it was inside a box, but for what JPEG lets its lines bleed into (8 pixels, one block)."""
    left, top, right, bottom = (round(value) for value in box.corners)
    inside = picture.crop((left + 8, top + 8, right - 8, bottom - 8)).getextrema()
    return all(high - low <= 12 for low, high in inside)  # type: ignore[misc]


@given(st.integers(30, 610), st.integers(20, 460), st.sampled_from(Result))
def test_no_label_covers_its_defect_wherever_that_lies(x: int, y: int, result: Result) -> None:
    assert untouched(below(one(result, Box(x, y, 60, 40))), Box(x, y, 60, 40))


def test_no_label_covers_another_defect() -> None:
    # So close above each other that a label in the usual place would cover the next box.
    boxes = [Box(60 + 90 * (n % 6), 60 + 46 * (n // 6), 40, 40) for n in range(48)]
    found = [Detection("open_circuit", 0.93, box) for box in boxes]
    picture = below(shown(annotate(board(), found, [], Verdict.REVIEW, 0)))
    assert all(untouched(picture, box) for box in boxes)


def amount(picture: Image.Image, result: Result) -> int:
    """How many pixels below the banner have the colour of a result."""
    return sum(
        near(pixel, STYLES[result].colour)
        for pixel in (picture.getpixel((x, y)) for y in range(picture.height) for x in range(picture.width))
    )


@pytest.mark.slow
def test_no_label_covers_another_one() -> None:
    # Side by side, and narrower than their labels.
    found = [Detection("open_circuit", 0.93, Box(x, 200, 30, 30)) for x in (300, 350)]
    checks = [Check(0, Result.FAIL, ""), Check(1, Result.UNSURE, "")]
    both = below(shown(annotate(board(), found, checks, Verdict.REVIEW, 1)))
    for detection, check in zip(found, checks, strict=True):
        alone = below(shown(annotate(board(), [detection], [check], Verdict.REVIEW, 1)))
        assert amount(both, check.result) > 0.97 * amount(alone, check.result)


@pytest.mark.parametrize(
    ("size", "boxes"),
    [
        ((640, 480), [Box(300, 200, 60, 40)] * 6),
        ((640, 480), [Box(300 + 9 * n, 200 + 6 * n, 60, 40) for n in range(10)]),
        ((640, 480), [Box(320, 240, 640, 480)] * 3),
        ((640, 480), [Box(320, 240, 640 - 20 * n, 480 - 16 * n) for n in range(4)]),
        ((640, 480), [Box(600, 460, 70, 40), Box(605, 462, 70, 36), Box(610, 464, 60, 32), Box(320, 240, 630, 470)]),
        ((3000, 200), [Box(1500 + 25 * n, 100, 100, 200) for n in range(4)]),
        ((3000, 200), [Box(30, 20, 60, 40), Box(2970, 20, 60, 40), Box(30, 180, 60, 40), Box(2970, 180, 60, 40)]),
        ((3000, 200), [Box(1500, 100, 3000, 200), Box(1500, 100, 100, 200)]),
        ((200, 3000), [Box(100, 1500, 200, 100 + 10 * n) for n in range(4)]),
    ],
)
def test_overlapping_boxes_have_a_label_each(size: tuple[int, int], boxes: list[Box]) -> None:
    """A label is there if the picture changes with what it says."""

    def drawn(other: int | None) -> Image.Image:
        found = [Detection("short", 0.9, box) for box in boxes]
        checks = [Check(index, Result.FAIL, "") for index in range(len(boxes))]
        if other is not None:
            found[other] = Detection("spurt", 0.9, boxes[other])
        return shown(annotate(board(size), found, checks, Verdict.FAIL, len(boxes)))

    for index in range(len(boxes)):
        assert ImageChops.difference(drawn(None), drawn(index)).getbbox() is not None, boxes[index]


def near(colour: object, expected: tuple[int, int, int]) -> bool:
    assert isinstance(colour, tuple)
    return all(abs(a - b) < 40 for a, b in zip(colour, expected, strict=True))


def test_each_box_has_its_label_and_a_box_around_everything_too() -> None:
    picture = below(one(Result.FAIL))
    label = picture.crop((268, 150, 400, 176))
    pixels = [label.getpixel((x, y)) for x in range(label.width) for y in range(label.height)]
    assert sum(near(pixel, STYLES[Result.FAIL].colour) for pixel in pixels) > 1000
    # There is no place outside this box.
    picture = below(one(Result.FAIL, Box(320, 240, 640, 480)))
    corner = picture.crop((8, 8, 100, 20))
    pixels = [corner.getpixel((x, y)) for x in range(corner.width) for y in range(corner.height)]
    assert sum(near(pixel, STYLES[Result.FAIL].colour) for pixel in pixels) > 500


def test_a_defect_is_drawn_over_what_was_cleared_at_the_same_place() -> None:
    for results in ((Result.FAIL, Result.PASS), (Result.PASS, Result.FAIL)):
        found = [Detection("short", 0.9, Box(300, 200, 60, 40))] * 2
        checks = [Check(index, result, "") for index, result in enumerate(results)]
        picture = below(shown(annotate(board(), found, checks, Verdict.FAIL, 1)))
        line = [picture.getpixel((x, 222)) for x in range(280, 320)]
        assert all(near(pixel, STYLES[Result.FAIL].colour) for pixel in line)


@pytest.mark.parametrize(
    "colours", [(style.colour, style.text) for style in STYLES.values()] + list(BANNERS.values()), ids=str
)
def test_words_have_the_contrast_that_wcag_asks_for(colours: tuple[tuple[int, int, int], tuple[int, int, int]]) -> None:
    def luminance(colour: tuple[int, int, int]) -> float:
        linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in (c / 255 for c in colour)]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    darker, brighter = sorted(luminance(colour) for colour in colours)
    assert (brighter + 0.05) / (darker + 0.05) >= 4.5


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


def test_dashes_are_dashes_on_the_smallest_box_of_a_large_picture() -> None:
    picture = one(Result.UNSURE, Box(1000, 1000, 40, 40), (2048, 1536)).convert("L")
    top = picture.height - 1536
    row = [picture.getpixel((x, top + 1000 + 22)) for x in range(976, 1025)]
    assert sum(abs(int(a) - int(b)) > 60 for a, b in pairwise(row)) >= 4, row  # type: ignore[arg-type]


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
    assert picture.width >= 360, "wide enough for its banner"
    assert picture.height >= 120, "and high enough for a label"


def test_a_narrow_board_stands_between_margins_for_its_labels() -> None:
    narrow = board((200, 2048))
    narrow.paste((255, 255, 255), (60, 970, 141, 1031))
    found = [Detection("W" * 40, 0.93, Box(100, 1000, 80, 60))]
    picture = shown(annotate(narrow, found, [Check(0, Result.FAIL, "")], Verdict.FAIL, 1))
    left, top = (picture.width - 200) // 2, picture.height - 2048
    middle = picture.crop((left, top, left + 200, top + 2048))
    assert untouched(middle, Box(100, 1000, 80, 60))
    assert near(middle.getpixel((100, 1000)), (255, 255, 255)), "the board is in the middle"
    for spot in ((57, 1000), (143, 1000), (100, 967), (100, 1033)):
        assert near(middle.getpixel(spot), STYLES[Result.FAIL].colour), "and its box with it"
    first = [picture.getpixel((0, y)) for y in range(top, picture.height)]
    assert not any(near(pixel, STYLES[Result.FAIL].colour) for pixel in first), "no label begins outside"


def test_the_longer_side_of_the_board_is_bounded() -> None:
    picture = shown(annotate(board((3000, 2000)), [], [], Verdict.PASS, 0, max_side=900))
    assert (picture.width, picture.height > 600) == (900, True)
    assert picture.height < 720


def test_a_label_is_one_line() -> None:
    two, one_line = (
        annotate(board(), [Detection(name, 0.5, Box(300, 200, 60, 40))], [], Verdict.REVIEW, 0)
        for name in ("two\n lines", "two lines")
    )
    assert two == one_line


@pytest.mark.parametrize("name", ["", "two\nlines", "a very long name " * 20, "短路", "\ud800\x00"])
def test_any_class_name_can_be_drawn(name: str) -> None:
    picture = below(shown(annotate(board(), [Detection(name, 0.5, Box(500, 200, 60, 40))], [], Verdict.REVIEW, 0)))
    label = picture.crop((300, 150, 640, 176))
    pixels = [label.getpixel((x, y)) for x in range(label.width) for y in range(label.height)]
    assert sum(near(pixel, STYLES[Result.UNSURE].colour) for pixel in pixels) > 200


def test_every_box_is_drawn_however_many_there_are() -> None:
    found = [Detection("short", 0.9, Box(20 + 30 * (n % 20), 20 + 30 * (n // 20), 16, 16)) for n in range(300)]
    checks = [Check(n, Result.FAIL, "") for n in range(300)]
    picture = below(shown(annotate(board(), found, checks, Verdict.FAIL, 300)))
    for detection in found:
        left, top, right, _ = (int(value) for value in detection.box.corners)
        edge = picture.crop((left, top - 3, right, top)).getextrema()
        assert any(high - GREY[0] > 40 or GREY[0] - low > 40 for low, high in edge)  # type: ignore[misc]


def test_an_outline_is_drawn_inside_its_box() -> None:
    box, triangle = Box(300, 200, 120, 120), ((250.0, 150.0), (350.0, 150.0), (350.0, 250.0))
    plain = Detection("scratch", 0.9, box)
    drawn = [
        shown(annotate(board(), [one], [Check(0, Result.FAIL, "why")], Verdict.FAIL, 1))
        for one in (plain, replace(plain, outline=triangle))
    ]
    changed = ImageChops.difference(*(below(picture) for picture in drawn)).convert("L")
    left, top, right, bottom = changed.point(lambda value: 255 if value > 60 else 0).getbbox() or (0, 0, 0, 0)
    assert all(abs(a - b) <= 6 for a, b in zip((left, top, right, bottom), (250, 150, 350, 250), strict=True))


def test_coverage_is_told_in_the_banner() -> None:
    covered = Coverage(0.951, (Loss("outside the golden picture", 0.049),))
    plain, told = (shown(annotate(board(), [], [], Verdict.PASS, 0, coverage=known)) for known in (None, covered))
    assert banner(told) > banner(plain)
    assert str(covered) == "95.1 % (4.9 % outside the golden picture)"
    assert str(Coverage(0.99999)) == "99.9 %", "what is not all is never told as all"


def test_a_measure_reads_as_a_person_writes_it() -> None:
    told = [Measure("m", value, unit).figure for value, unit in ((1.0, ""), (180, "°"), (0.31, "mm"), (49.3, "%"))]
    assert told == ["1", "180.00°", "0.31 mm", "49.30 %"]


def test_a_measure_is_labelled_with_its_number() -> None:
    box = Box(300, 200, 60, 40)
    gap = Detection("gap", 1.0, box, measure=Measure("gap", 0.31, "mm", 0.2, 0.4))
    other = replace(gap, measure=Measure("gap", 0.37, "mm", 0.2, 0.4))
    first, second = (
        shown(annotate(board(), [each], [Check(0, Result.PASS, "")], Verdict.PASS, 0)) for each in (gap, other)
    )
    assert ImageChops.difference(first, second).getbbox() is not None


@pytest.mark.parametrize("words", ["FAIL jagged j 0.98", "? Äußerst", "f"])
@pytest.mark.parametrize("y", [10.0, 11.12])
def test_words_that_are_kept_look_as_they_were_drawn(words: str, y: float) -> None:
    font = _font(13)
    drawn = Image.new("RGB", (200, 40), (10, 60, 120))
    ImageDraw.Draw(drawn).text((20, y), words, (240, 228, 66), font)
    for _ in range(2):
        kept = Image.new("RGB", (200, 40), (10, 60, 120))
        _write(kept, (20, y), words, (240, 228, 66), font)
        assert kept.tobytes() == drawn.tobytes()

"""The input gate: what can't be seen on is told, what can be is left alone."""

import io
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageFilter, ImageOps

from linegate.errors import TransientError
from linegate.ports import Reference
from linegate.samples import golden_board, sample
from linegate.sections import Limits
from linegate.sight import Sight, doubts, measure
from linegate.stages import UPLOADS
from tests.boards import SIDE, draw, encoded
from tests.harness import Gate, SameBoard

BOARD = golden_board(11)
GOLDEN = Image.fromarray(BOARD.picture)
BAD = Image.fromarray(sample(BOARD, np.random.default_rng(2), ("open_circuit",)).picture)
Change = Callable[[Image.Image], Image.Image]


def told(picture: Image.Image, golden: Image.Image | None = GOLDEN, limits: Limits | None = None) -> str:
    return " ".join(doubts(measure(picture), measure(golden) if golden else None, limits or Limits()))


def brighter(factor: float) -> Change:
    return lambda picture: ImageEnhance.Brightness(picture).enhance(factor)


def sized(width: int, height: int) -> Change:
    return lambda picture: picture.resize((width, height), Image.Resampling.BOX)


def enlarged(side: int) -> Change:
    return lambda picture: picture.resize((side, side), Image.Resampling.BOX).resize(picture.size)


def noisy(deviation: float) -> Change:
    def change(picture: Image.Image) -> Image.Image:
        noise = np.random.default_rng(1).normal(0, deviation, (picture.height, picture.width, 3))
        return Image.fromarray(np.clip(np.asarray(picture) + noise, 0, 255).astype(np.uint8))

    return change


def covered(box: tuple[float, float, float, float], colour: str = "black") -> Change:
    def change(picture: Image.Image) -> Image.Image:
        cover = picture.copy()
        width, height = picture.size
        left, top, right, bottom = box
        cover.paste(colour, (round(left * width), round(top * height), round(right * width), round(bottom * height)))
        return cover

    return change


def partly(change: Change, part: float) -> Change:
    def changed(picture: Image.Image) -> Image.Image:
        mixed = picture.copy()
        mixed.paste(change(picture).crop((0, 0, round(part * picture.width), picture.height)), (0, 0))
        return mixed

    return changed


def without(channel: int) -> Change:
    def change(picture: Image.Image) -> Image.Image:
        bands = list(picture.split())
        bands[channel] = Image.new("L", picture.size)
        return Image.merge("RGB", bands)

    return change


UNSEEN: dict[str, tuple[Change, str]] = {
    "at an eighth of its brightness": (brighter(0.125), "nearly black"),
    "at half of its brightness": (brighter(0.5), "contrast is"),
    "three times as bright": (brighter(3), "white over"),
    "all black": (covered((0, 0, 1, 1)), "nearly black"),
    "all white": (covered((0, 0, 1, 1), "white"), "nearly white"),
    "all grey": (covered((0, 0, 1, 1), "grey"), "nearly of one grey"),
    "in a haze": (lambda picture: ImageEnhance.Contrast(picture).enhance(0.4), "contrast is"),
    "of 64 px": (sized(64, 64), "64 px wide, the golden one 640: defects under 10 px of the golden picture can't be seen"),
    "of 200 px": (sized(200, 200), "200 px wide, the golden one 640"),
    "of 400 px": (sized(400, 400), "400 px wide, the golden one 640"),
    "of three times the size": (sized(1920, 1920), "golden picture does not show what the picture does"),
    "squeezed": (sized(640, 560), "can't show the same product"),
    "of 64 px, enlarged": (enlarged(64), "out of focus"),
    "of 128 px, enlarged": (enlarged(128), "out of focus"),
    "out of focus": (lambda picture: picture.filter(ImageFilter.GaussianBlur(2)), "out of focus"),
    "moved while exposed": (lambda picture: picture.filter(ImageFilter.BoxBlur((5, 0))), "out of focus"),
    "moved the other way": (lambda picture: picture.filter(ImageFilter.BoxBlur((0, 5))), "out of focus"),
    "out of focus on one side": (partly(lambda p: p.filter(ImageFilter.GaussianBlur(5)), 0.4), "out of focus in"),
    "full of noise": (noisy(25), "noisy"),
    "half under a cap": (covered((0, 0, 0.5, 1)), "(left edge)"),
    "a quarter under a cap": (covered((0.5, 0.5, 1, 1)), "(lower right)"),
    "a quarter behind paper": (covered((0, 0, 0.5, 0.5), "grey"), "(upper left)"),
    "half in a shadow": (partly(brighter(0.2), 0.5), "(left edge)"),
    "without green": (without(1), "green"),
    "in grey": (lambda picture: Image.merge("RGB", [picture.getchannel("G")] * 3), "next to no colour"),
    "as a negative": (ImageOps.invert, "contrast is"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "word"), UNSEEN.values(), ids=UNSEEN)
def test_a_picture_that_shows_less_than_its_golden_one_is_told_why(change: Change, word: str) -> None:
    assert word in told(change(BAD))


@pytest.mark.slow
@pytest.mark.parametrize("design", range(4))
def test_boards_as_cameras_take_them_are_left_alone(design: int) -> None:
    board = golden_board(700 + design)
    golden = Image.fromarray(board.picture)
    for seed in range(5):
        picture = Image.fromarray(sample(board, np.random.default_rng(seed), ("spur", "short")).picture)
        assert told(picture, golden) == ""
        for degrees, scale, shift in ((2, 1, 0), (-2, 1.02, 15), (0, 0.98, -15)):
            side = picture.width
            edge = side * (1 - 1 / scale) / 2 - shift
            size = side / scale
            moved = golden.rotate(degrees, Image.Resampling.BILINEAR, fillcolor=(44, 45, 48))
            moved = moved.transform(
                (side, side), Image.Transform.EXTENT, (edge, edge, edge + size, edge + size), Image.Resampling.BILINEAR
            )
            assert told(picture, moved) == ""


def test_small_differences_of_light_focus_and_size_are_left_alone() -> None:
    for change in (
        brighter(0.85),
        brighter(1.1),
        noisy(5),
        sized(560, 560),
        sized(800, 800),
        lambda picture: picture.filter(ImageFilter.GaussianBlur(0.6)),
        lambda picture: Image.open(io.BytesIO(encoded(picture, "JPEG", quality=75))),
    ):
        assert told(change(BAD)) == ""


def test_a_black_and_white_scan_is_what_it_should_be() -> None:
    scan = GOLDEN.convert("L").point(lambda level: 255 if level > 100 else 0).convert("RGB")
    assert told(scan, scan) == ""
    assert told(scan, None) == ""
    assert "nearly black" in told(brighter(0.125)(scan), scan)
    assert "(left edge)" in told(covered((0, 0, 0.4, 1))(scan), scan)


def test_marks_on_an_empty_stretch_of_a_scan_are_the_detectors_to_find() -> None:
    empty = Image.new("RGB", (640, 640), "white")
    assert told(covered((0.5, 0.5, 0.52, 0.52))(empty), empty) == ""
    assert "nearly white" in told(empty, empty)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (brighter(0.2), "contrast is"),
        (brighter(4), "white over"),
        (sized(64, 64), "64 by 64 pixels"),
        (enlarged(48), "out of focus"),
        (covered((0, 0, 1, 1)), "nearly black"),
        (covered((0, 0, 0.6, 1)), "black over 60%"),
    ],
)
def test_a_blind_golden_picture_compares_with_nothing_and_alone_a_picture_is_held_against_what_is_sensible(
    change: Change, word: str
) -> None:
    blind = change(GOLDEN)
    assert told(blind, None).startswith("The picture ")
    assert word in told(blind, None)
    said = told(blind, blind)
    assert said.startswith("The golden picture ")
    assert word in said


def test_without_a_golden_picture_a_sound_one_is_left_alone() -> None:
    assert told(BAD, None) == ""


def test_limits_are_the_recipes_to_set_and_zero_switches_one_off() -> None:
    blurred = BAD.filter(ImageFilter.GaussianBlur(1.5))
    assert told(blurred)
    assert told(blurred, limits=Limits(blur=6)) == ""
    assert told(blurred, limits=Limits(blur=0)) == ""
    assert told(brighter(0.85)(BAD), limits=Limits(contrast=0.95))


def test_figures_do_not_depend_on_the_size_a_picture_is_measured_at() -> None:
    small, large = measure(BAD), measure(BAD.resize((2560, 2560), Image.Resampling.BICUBIC))
    assert large.figures.edge / 4 == pytest.approx(small.figures.edge, rel=0.35)
    assert large.figures.contrast == pytest.approx(small.figures.contrast, abs=6)
    assert sum(large.activity) == pytest.approx(sum(small.activity), rel=0.3)


# --- in the gate


def test_a_board_that_can_not_be_seen_is_for_a_person_and_no_detector_is_asked(gate: Gate) -> None:
    upload = gate.upload(data=encoded(brighter(0.1)(draw(defective=True))))
    gate.run()
    board = gate.board(upload)
    assert gate.verdict(upload) == "REVIEW"
    assert gate.detector.calls == 0
    assert board.revision is not None and board.manifest is not None
    assert "nearly black" in board.revision.decision.summary
    assert board.manifest.detections == ()
    assert board.manifest.picture is not None and board.manifest.picture.contrast < 30
    assert board.manifest.golden is not None and board.manifest.golden.contrast > 100


@pytest.mark.parametrize(("hidden", "verdict"), [(range(10), "REVIEW"), (range(3), "PASS")])
def test_what_shows_nothing_of_the_golden_picture_laid_over_it_is_for_a_person(
    gate: Gate, hidden: range, verdict: str
) -> None:
    class Covered(SameBoard):
        def register(self, picture: Image.Image, golden: str) -> Reference:
            return replace(super().register(picture, golden), unseen=tuple(hidden))

    gate.registrar = Covered()
    upload = gate.upload()
    gate.run()
    revision = gate.board(upload).revision
    assert gate.verdict(upload) == verdict
    assert revision is not None
    assert ("4% of the picture (upper" in revision.decision.summary) == (verdict == "REVIEW")


def test_the_figures_of_a_board_that_passed_are_kept(gate: Gate) -> None:
    upload = gate.upload()
    gate.run()
    manifest = gate.board(upload).manifest
    assert gate.verdict(upload) == "PASS"
    assert manifest is not None
    assert manifest.picture is not None and manifest.golden is not None
    assert (manifest.picture.width, manifest.golden.width) == (SIDE, SIDE)


def test_a_missing_golden_picture_is_tried_again_before_any_detector_is_asked(gate: Gate) -> None:
    class Missing:
        def sight(self, golden: str) -> Sight:
            raise TransientError("there is no golden.png")

        def register(self, picture: Image.Image, golden: str) -> None:
            raise TransientError("there is no golden.png")

    gate.registrar = Missing()  # type: ignore[assignment]
    upload = gate.upload()
    with pytest.raises(TransientError):
        gate.run(UPLOADS)
    assert gate.detector.calls == 0
    assert gate.board(upload).fault == "there is no golden.png"

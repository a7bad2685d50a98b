"""The kind `measure`: values are right to parts of a pixel, and what can't be measured is never passed."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from linegate.adapters.golden.adapters import GoldenRegistrar
from linegate.adapters.measure.capability import capability
from linegate.adapters.measure.detector import MeasureDetector
from linegate.adapters.measure.judging import judge
from linegate.adapters.measure.kind import MeasureDetection
from linegate.adapters.measure.tools import measure
from linegate.bootstrap import App
from linegate.config import parse
from linegate.errors import ConfigError
from linegate.evaluation.metrics import InspectedBoard
from linegate.handlers.detect import detect
from linegate.handlers.policy import apply
from linegate.inspection import Detection, Manifest, Result, Verdict
from linegate.ports import Reference
from linegate.samples import golden_board
from linegate.settings import Recipe
from linegate.verdict import decide
from tests.drawn_edges import HEIGHT, WIDTH, bar, disc, drawn, errors, risen
from tests.harness import Gate

ACROSS = {"left": 0.1, "top": 0.2, "right": 0.9, "bottom": 0.8}
RIM = {"left": 0.1, "top": 0.02, "right": 0.9, "bottom": 0.98}


def section(*gauges: dict[str, Any]) -> MeasureDetection:
    return MeasureDetection.model_validate({"gauges": gauges})


def detector(*gauges: dict[str, Any], mm_per_px: float | None = None) -> MeasureDetector:
    return MeasureDetector(section(*gauges).gauges, mm_per_px)


def found(picture: NDArray[np.uint8], *gauges: dict[str, Any], mm_per_px: float | None = None) -> Sequence[Detection]:
    return detector(*gauges, mm_per_px=mm_per_px).detect(Image.fromarray(picture), b"", None).detections


def width(**keys: Any) -> dict[str, Any]:
    return {"tool": "caliper", "name": "width", "zone": ACROSS, "between": "bright", "low": 29, "high": 31} | keys


def edge(name: str, left: float, right: float, **keys: Any) -> dict[str, Any]:
    return {"tool": "edge", "name": name, "zone": ACROSS | {"left": left, "right": right}} | keys


def result(finding: Detection) -> Result:
    assert finding.settled is not None
    return finding.settled.result


def shown(width_px: float = 30.0, noise: float = 2.0, degrees: float = 0.0) -> NDArray[np.uint8]:
    return drawn(bar(50, width_px, degrees, 1.0), noise, np.random.default_rng(4))


# --- how near values come: python -m tests.drawn_edges prints the whole table


@pytest.mark.slow
@pytest.mark.parametrize(("blur", "noise"), [(0.5, 5), (1, 5), (2, 5), (3, 2)])
def test_places_repeat_within_a_twentieth_of_a_pixel_and_lie_where_they_were_drawn(blur: float, noise: float) -> None:
    for what, off in errors(blur, noise, count=16, seed=77).items():
        assert off.std(ddof=1) <= 0.05, what
        assert abs(off.mean()) <= 0.05, what


def test_strays_on_an_edge_do_not_move_it() -> None:
    clean, hidden = shown(), shown()
    hidden[30:38, 20:50] = 250  # a glint over a sixth of the edge
    values = [measure(picture, section(width()).gauges, None)[0].reading for picture in (clean, hidden)]
    assert values[0] and values[1]
    assert values[1].value == pytest.approx(values[0].value, abs=0.05)


def test_a_bite_out_of_a_rim_is_in_its_roundness_though_not_in_its_diameter() -> None:
    round_gauge = {"tool": "circle", "name": "round", "gives": "roundness", "zone": RIM, "inside": 0.3, "high": 1}
    diameter = {"tool": "circle", "name": "diameter", "zone": RIM, "inside": 0.3, "low": 49, "high": 51}
    whole, bitten = (drawn(disc(50, 40, 25, 1.0), 1, np.random.default_rng(1)) for _ in range(2))
    bitten[36:44, 71:76] = 180
    assert [result(one) for one in found(whole, round_gauge, diameter)] == [Result.PASS, Result.PASS]
    assert [result(one) for one in found(bitten, round_gauge, diameter)] == [Result.FAIL, Result.PASS]


# --- limits


def test_a_number_inside_its_limits_is_told_and_clears_itself() -> None:
    (finding,) = found(shown(), width())
    assert result(finding) is Result.PASS
    assert finding.confidence == 1.0
    assert finding.measure is not None
    assert finding.measure.value == pytest.approx(30, abs=0.1)
    assert (finding.measure.name, finding.measure.unit, finding.measure.low, finding.measure.high) == (
        "width",
        "px",
        29,
        31,
    )
    left, _, right, _ = finding.box.corners
    assert 30 < left < 40 and 60 < right < 70, "where it was measured"
    assert len(finding.outline) == 4


@pytest.mark.parametrize("width_px", [28.5, 31.5])
def test_a_number_outside_is_a_defect_with_its_number(width_px: float) -> None:
    (finding,) = found(shown(width_px), width())
    assert finding.settled is not None
    assert finding.settled.result is Result.FAIL
    assert "px" in finding.settled.reason and "29 … 31" in finding.settled.reason


def test_a_number_nearer_to_a_limit_than_it_repeats_is_unsure() -> None:
    assert [result(one) for one in found(shown(30.9), width())] == [Result.PASS]
    (finding,) = found(shown(30.9), width(repeatability=0.1))
    assert finding.settled is not None
    assert finding.settled.result is Result.UNSURE
    assert "nearer to a limit" in finding.settled.reason


def test_the_fit_of_a_noisy_picture_widens_the_guard_band_where_nobody_measured_it() -> None:
    (gauge,) = section(width()).gauges
    assert judge(gauge, 30.97, 0.01, "px")[0] is Result.PASS
    assert judge(gauge, 30.97, 0.05, "px")[0] is Result.UNSURE
    assert judge(gauge, 31.001, 0.05, "px")[0] is Result.FAIL


def test_lengths_are_in_mm_where_the_recipe_has_a_scale() -> None:
    (finding,) = found(shown(), width(nominal=3.0, tolerance=0.1, low=None, high=None), mm_per_px=0.1)
    assert finding.measure is not None
    assert (finding.measure.unit, round(finding.measure.value, 2)) == ("mm", 3.0)


# --- what can't be measured

FIRST = edge("place", 0.1, 0.9, take="first", low=0, high=99)


@pytest.mark.parametrize(
    ("picture", "gauge", "why"),
    [
        (np.full((HEIGHT, WIDTH, 3), 128, np.uint8), width(), "strips show two opposite edges"),
        (shown(noise=0) // 16 + 100, width(), "grey levels (contrast)"),
        (shown(), width(zone=ACROSS | {"left": 0.45, "right": 0.5}), "pixels long"),
        (shown(), edge("place", 0.1, 0.9, low=0, high=99), "two edges are about as strong"),
        (np.random.default_rng(1).integers(0, 255, (HEIGHT, WIDTH, 3), np.uint8), FIRST, "scatter"),
        (shown(), {"tool": "circle", "name": "hole", "zone": RIM, "low": 1, "high": 9}, ""),
    ],
)
def test_what_can_not_be_measured_is_unsure_and_says_why(picture: NDArray[np.uint8], gauge: Any, why: str) -> None:
    (finding,) = found(picture, gauge)
    assert finding.settled is not None
    assert finding.settled.result is Result.UNSURE
    assert finding.measure is None
    assert why in finding.settled.reason
    assert finding.box.width >= 4


def test_what_is_measured_by_something_that_is_not_there_is_unsure_too() -> None:
    gauges = [
        edge("left", 0.05, 0.2),  # nothing there
        edge("right", 0.5, 0.9),
        {"tool": "distance", "name": "gap", "between": ["left", "right"], "low": 1, "high": 99},
    ]
    (finding,) = found(shown(), *gauges)
    assert finding.settled is not None
    assert finding.settled.result is Result.UNSURE
    assert "'left'" in finding.settled.reason


def test_a_product_that_can_not_be_measured_does_not_pass() -> None:
    blank = np.full((HEIGHT, WIDTH, 3), 128, np.uint8)
    decision = decide(Manifest.of(found(blank, width()), width=WIDTH, height=HEIGHT), {})
    assert decision.verdict is Verdict.REVIEW
    assert "can't be measured" in decision.reasons[0]


# --- tools


def test_distance_and_angle_between_edges() -> None:
    gauges = [
        edge("left", 0.1, 0.5, polarity="to_bright"),
        edge("right", 0.5, 0.9, polarity="to_dark"),
        {"tool": "distance", "name": "gap", "between": ["left", "right"], "low": 0, "high": 99},
        {"tool": "angle", "name": "lean", "between": ["left", "right"], "nominal": 0, "tolerance": 2},
    ]
    gap, lean = found(shown(degrees=2.0), *gauges)
    assert gap.measure and gap.measure.value == pytest.approx(30, abs=0.1)
    assert lean.measure and lean.measure.value == pytest.approx(0, abs=0.3)
    assert lean.measure.unit == "°"


@pytest.mark.parametrize("turned", [88.0, 92.0, -88.0])
def test_an_angle_tells_to_which_side_a_line_leans(turned: float) -> None:
    def shade(across: Any, down: Any) -> Any:
        angle = np.deg2rad(turned - 90)
        lower = risen((down - 60) * np.cos(angle) - (across - 50) * np.sin(angle), 1.0)
        return 60 + 60 * risen(across - 20, 1.0) + 60 * lower

    picture = drawn(shade, 1, np.random.default_rng(1))
    (finding,) = found(
        picture,
        {"tool": "edge", "name": "side", "zone": {"left": 0.02, "top": 0.05, "right": 0.4, "bottom": 0.55}},
        {
            "tool": "edge",
            "name": "base",
            "look": "down",
            "zone": {"left": 0.3, "top": 0.5, "right": 0.95, "bottom": 0.98},
        },
        {"tool": "angle", "name": "corner", "between": ["side", "base"], "nominal": 90, "tolerance": 5},
    )
    assert finding.measure is not None
    # -88 degrees are 92: a line has no direction
    assert finding.measure.value == pytest.approx(turned % 180, abs=0.2)


@pytest.mark.parametrize(("level", "percent"), [(20.0, 75.0), (60.0, 25.0)])
def test_a_fill_level_is_told_in_percent_of_its_column_or_above_a_datum(level: float, percent: float) -> None:
    def shade(across: Any, down: Any) -> Any:
        return 200 - 100 * risen(down - level * HEIGHT / 80, 1.0) - 80 * risen(across - 90, 0.5)

    picture = drawn(shade, 1, np.random.default_rng(1))
    column = {"left": 0.1, "top": 0.0, "right": 0.7, "bottom": 1.0}
    (finding,) = found(picture, {"tool": "fill_level", "name": "full", "zone": column, "low": 0, "high": 100})
    assert finding.measure and finding.measure.unit == "%"
    assert finding.measure.value == pytest.approx(percent, abs=0.2)
    inverted = picture[::-1].copy()
    (finding,) = found(
        inverted, {"tool": "fill_level", "name": "full", "zone": column, "up": "bottom", "low": 0, "high": 100}
    )
    assert finding.measure and finding.measure.value == pytest.approx(percent, abs=0.2)


def test_blobs_are_counted_by_brightness_and_size_and_doubtful_ones_are_a_doubt() -> None:
    picture = np.full((HEIGHT, WIDTH, 3), 200, np.uint8)
    for left in (10, 30, 50):
        picture[20:30, left : left + 10] = 40
    picture[60:62, 10:12] = 40  # too small
    count = {"tool": "count", "name": "pins", "zone": RIM | {"left": 0}, "darker_than": 100, "smallest": 30}
    (finding,) = found(picture, count | {"nominal": 3})
    assert finding.measure is not None
    assert (result(finding), finding.measure.value, finding.measure.unit) == (Result.PASS, 3, "")
    assert result(found(picture, count | {"nominal": 4})[0]) is Result.FAIL
    picture[20:30, 70:80] = 98  # one more, or not: a matter of a few grey levels
    assert result(found(picture, count | {"nominal": 3})[0]) is Result.UNSURE


# --- places


def test_zones_lie_in_parts_of_the_golden_picture_wherever_that_lies() -> None:
    picture = shown()
    lies = (WIDTH, 0.0, 0.0, 0.0, HEIGHT, 0.0)
    moved = np.roll(picture, (5, 12), axis=(0, 1))
    place = edge("place", 0.2, 0.45, polarity="to_bright", low=0, high=99)
    here, there = (
        detector(place).detect(Image.fromarray(one), b"", Reference(Image.fromarray(one), lies=lying)).detections[0]
        for one, lying in ((picture, lies), (moved, (WIDTH, 0.0, 12.0, 0.0, HEIGHT, 5.0)))
    )
    assert here.measure and there.measure
    assert there.measure.value == pytest.approx(here.measure.value, abs=0.02), "it is a place of the product"
    assert there.box.x == pytest.approx(here.box.x + 12, abs=0.5)


def test_the_registrar_tells_where_the_golden_picture_lies() -> None:
    golden = golden_board(7).picture
    stream = io.BytesIO()
    Image.fromarray(golden).save(stream, "PNG")
    moved = np.roll(golden, (-4, 9), axis=(0, 1))
    reference = GoldenRegistrar(lambda _: stream.getvalue()).register(Image.fromarray(moved), "golden")
    height, wide = golden.shape[:2]
    assert reference.lies == pytest.approx((wide, 0, 9, 0, height, -4), abs=0.5)


def test_a_zone_moves_and_turns_with_what_was_found_before() -> None:
    small = {"tool": "caliper", "name": "width", "zone": ACROSS | {"left": 0.28, "right": 0.72}, "low": 29, "high": 31}
    anchor = edge("anchor", 0.1, 0.6, polarity="to_bright", scatter=3)
    picture = drawn(bar(62, 30, 3.0, 1.0), 1, np.random.default_rng(1))
    assert result(found(picture, small)[0]) is Result.UNSURE, "it looks where nothing is"
    assert result(found(picture, anchor, small | {"moves_with": ["anchor"]})[0]) is Result.PASS


# --- configuration

ZONE = "zone: {left: 0.2, top: 0.2, right: 0.6, bottom: 0.3}"
TEXT = f"""
recipes:
  part:
    verifier: none
    ignore: [{{left: 0, top: 0, right: 0.1, bottom: 0.1}}]
    detector: measure
    gauges:
      - {{tool: edge, name: side, {ZONE}}}
      - {{tool: caliper, name: width, {ZONE}, low: 1, high: 2, moves_with: [side]}}
lines: {{cell: {{recipe: part}}}}
"""


def test_a_recipe_that_measures_needs_neither_golden_picture_nor_scale() -> None:
    assert parse(TEXT, Path(), {}).recipes["part"].detectors[0].type == "measure"


@pytest.mark.parametrize(
    ("written", "instead", "fault"),
    [
        ("tool: edge", "tool: edges", "recipes.part.gauges.0: is 'edges'; allowed: caliper, edge"),
        ("tool: edge, ", "", "recipes.part.gauges.0: must hold keys of its own, with `tool` among them"),
        (
            "name: side, zone",
            "name: side, lok: up, zone",
            "recipes.part.gauges.0.lok: is not known here; allowed: tool",
        ),
        ("left: 0.2", "left: 2", "recipes.part.gauges.0.zone.left: must be 1 or less, not 2"),
        ("low: 1, high: 2", "low: 3, high: 2", "recipes.part.gauges.1: low must be smaller than high"),
        ("low: 1, high: 2", "low: 1, nominal: 2, tolerance: 1", "recipes.part.gauges.1: either nominal and tolerance"),
        ("low: 1, high: 2", "nominal: 2", "recipes.part.gauges.1: nominal and tolerance belong together"),
        ("low: 1, high: 2", "low: 1, high: 2, repeatability: 1", "recipes.part.gauges.1: nothing could pass"),
        ("low: 1, high: 2, ", "", "recipes.part.gauges.0: no gauge has limits: every picture would pass"),
        (", moves_with: [side]", "", "'side' has no limits, and no other gauge refers to it"),
        (
            "moves_with: [side]",
            "moves_with: [top]",
            "refers to 'top', which must be a gauge before it; there is 'side'",
        ),
        (
            "detector: measure",
            "detector: measure\n    classes: {depth: {verify: never}}",
            "names no such class; there is width",
        ),
        ("name: side", "name: width", "there are two gauges named 'width'"),
        ("right: 0.1, bottom: 0.1", "right: 0.9, bottom: 0.9", "'width' looks into an ignored part of the picture"),
        (
            f"tool: caliper, name: width, {ZONE}, low: 1, high: 2, moves_with: [side]",
            "tool: angle, name: lean, between: [side, side], high: 2",
            "recipes.part.gauges.1: an angle needs nominal and tolerance",
        ),
    ],
)
def test_gauges_that_would_tell_nothing_or_the_wrong_thing_are_refused(written: str, instead: str, fault: str) -> None:
    assert written in TEXT
    with pytest.raises(ConfigError) as caught:
        parse(TEXT.replace(written, instead, 1), Path(), {})
    assert any(fault in each for each in caught.value.faults), caught.value.faults


# --- what becomes of findings


def test_a_number_stays_what_it_is_whoever_verifies() -> None:
    measured = found(shown(), width())
    for verifier in ("none", "golden"):
        recipe = Recipe.model_validate({"verifier": verifier, "golden": "g"})
        assert [result(one) for one in apply(recipe, measured, WIDTH, HEIGHT).detections] == [Result.PASS]


def test_a_measure_counts_wherever_it_was_read() -> None:
    everywhere = {"left": 0, "top": 0, "right": 0.9, "bottom": 1}
    recipe = Recipe.model_validate({"verifier": "none", "golden": "g", "ignore": [everywhere]})
    assert len(apply(recipe, found(shown(28), width()), WIDTH, HEIGHT).detections) == 1


def measured(golden: NDArray[np.uint8], picture: NDArray[np.uint8]) -> Manifest:
    """What a gate keeps of a picture whose recipe has a golden picture and measures a row of the board."""
    text = """
recipes:
  pcb:
    golden: golden.png
    verifier: none
    detector: measure
    gauges: [{tool: edge, name: border, look: right, take: first, low: 0, high: 999, SIDE}]
lines: {smt-1: {recipe: pcb}}
""".replace("SIDE", "zone: {left: 0.0, top: 0.3, right: 0.2, bottom: 0.7}, contrast: 10, scatter: 5")
    gate = Gate(settings=parse(text, Path(), {}))
    app = App(gate.settings, gate.context, lambda _: png(golden))
    upload = gate.upload(data=png(picture))
    detect(gate.context, upload, app.registrar, app.detectors)
    manifest = gate.board(upload).manifest
    assert manifest is not None
    return manifest


def png(picture: NDArray[np.uint8]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(picture).save(stream, "PNG")
    return stream.getvalue()


def test_a_gate_looks_where_its_golden_picture_lies_and_measures_nothing_where_that_can_not_be_told() -> None:
    golden = np.pad(golden_board(7).picture[40:-40, 40:-40], ((40, 40), (40, 40), (0, 0)))
    moved = np.roll(golden, (0, 9), axis=(0, 1))
    places = [one.measure for picture in (golden, moved) for one in measured(golden, picture).detections]
    assert places[0] and places[1]
    assert places[1].value == pytest.approx(places[0].value, abs=0.3), "where the board is, not where the camera looked"
    other = measured(golden, np.rot90(golden_board(8).picture).copy())
    assert other.detections == ()
    assert "does not match" in " ".join(other.doubts)


def test_a_rim_of_which_parts_are_not_seen_is_not_called_round() -> None:
    picture = drawn(disc(50, 40, 25, 1.0), 1, np.random.default_rng(1))
    picture[34:46, 60:95] = 120
    gauge = {
        "tool": "circle",
        "name": "round",
        "gives": "roundness",
        "zone": RIM,
        "inside": 0.3,
        "high": 9,
        "contrast": 90,
    }
    assert result(found(picture, gauge)[0]) is Result.UNSURE


def test_two_bars_are_not_one() -> None:
    def shade(across: Any, down: Any) -> Any:
        return 60 + bar(35, 15, 0, 1)(across, down) + bar(65, 15, 0, 1)(across, down) - 120

    (finding,) = found(drawn(shade, 1, np.random.default_rng(1)), width(low=10, high=20))
    assert finding.settled is not None
    assert finding.settled.result is Result.UNSURE
    assert "about as strong" in finding.settled.reason


def test_a_number_just_beside_a_limit_is_not_shown_on_it() -> None:
    (gauge,) = section(width()).gauges
    assert "31.0004" in judge(gauge, 31.0004, 0.001, "px")[1]


def test_a_good_part_is_summed_up_by_its_measures_and_counts_as_no_false_call() -> None:
    manifest = Manifest.of(found(shown(), width()), width=WIDTH, height=HEIGHT)
    decision = decide(manifest, {})
    assert (decision.verdict, decision.summary) == (Verdict.PASS, "No defect: 1 measure inside the limits.")
    part = InspectedBoard("part", (), manifest, manifest.detections, Verdict.PASS, own=frozenset({0}))
    assert part.found(verified=False, counts=lambda _: True) == []
    assert part.decided(verified=False, counts=lambda _: True) is Verdict.PASS


def test_capability_is_what_the_formulas_say() -> None:
    told = capability([9.99, 10.0, 10.01, 10.0], tolerance=0.5, reference=9.99)
    assert told.s == pytest.approx(0.00816, abs=1e-5)
    assert told.cg == pytest.approx(0.2 * 0.5 / (6 * told.s))
    assert told.cgk == pytest.approx((0.1 * 0.5 - 0.01) / (3 * told.s))
    assert capability([1.0, 1.0], None, None).cg is None


@pytest.mark.parametrize(("value", "u"), [(np.nan, 0.01), (30.0, np.nan), (30.0, np.inf), (np.nan, np.nan)], ids=str)
def test_a_value_that_is_no_number_or_of_unknown_spread_is_never_inside_its_limits(value: float, u: float) -> None:
    (gauge,) = section(width(repeatability=0.02)).gauges
    assert judge(gauge, value, u, "px")[0] is Result.UNSURE

"""The drawn bottle: its recipe sees what is wrong with it, and nothing else."""

from pathlib import Path
from textwrap import indent

import numpy as np
import pytest
from PIL import Image

from linegate import sight
from linegate.adapters.measure.detector import MeasureDetector
from linegate.adapters.measure.kind import MeasureDetection
from linegate.config import parse
from linegate.inspection import Decision, Manifest, Result
from linegate.samples.bottle import FAULTS, PRODUCT, draw
from linegate.settings import Recipe
from linegate.verdict import decide

FILE = f"recipes:\n  bottle:\n{indent(PRODUCT.recipe, '    ')}lines: {{filler: {{recipe: bottle}}}}\n"
# What a gauge calls that which the fault is
SEEN = {
    "underfilled": "fill_level",
    "overfilled": "fill_level",
    "missing_cap": "caps",
    "crooked_cap": "cap_angle",
    "loose_cap": "cap_gap",
}
# The recipe was set up on seeds 0 … 35.
SEEDS = range(2000, 2100)
DRAWN: tuple[tuple[str, ...], ...] = (
    *((), ()),
    *((fault,) for fault in FAULTS),
    *(("underfilled", "crooked_cap"), ("overfilled", "loose_cap")),
)


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    return parse(FILE, Path(), {}).recipes["bottle"]


def decided(recipe: Recipe, seed: int, faults: tuple[str, ...]) -> tuple[Decision, set[str]]:
    """The decision about one drawn bottle, and what failed on it."""
    picture = Image.fromarray(draw(np.random.default_rng(seed), faults).picture)
    (section,) = recipe.detectors
    assert isinstance(section, MeasureDetection)
    findings = MeasureDetector(section.gauges, recipe.mm_per_px).detect(picture, b"", None).detections
    doubts = sight.doubts(sight.measure(picture), None, recipe.limits)
    manifest = Manifest.of(findings, width=picture.width, height=picture.height, doubts=doubts)
    failed = {one.class_name for one in findings if one.settled and one.settled.result is Result.FAIL}
    return decide(manifest, {}), failed


@pytest.mark.parametrize("faults", DRAWN[1:])
def test_each_fault_is_seen_by_the_gauge_it_belongs_to(recipe: Recipe, faults: tuple[str, ...]) -> None:
    decision, failed = decided(recipe, 500, faults)
    assert decision.verdict == ("FAIL" if faults else "PASS"), decision.reasons
    assert failed >= {SEEN[fault] for fault in faults}
    assert faults or not failed


@pytest.mark.slow
def test_a_hundred_bottles_get_the_verdict_they_deserve(recipe: Recipe) -> None:
    for seed in SEEDS:
        faults = DRAWN[seed % len(DRAWN)]
        decision, failed = decided(recipe, seed, faults)
        assert decision.verdict == ("FAIL" if faults else "PASS"), (seed, decision.reasons)
        assert failed >= {SEEN[fault] for fault in faults}, seed


def test_what_is_wrong_with_a_drawn_bottle_is_boxed_on_its_picture() -> None:
    for fault in FAULTS:
        drawn = draw(np.random.default_rng(1), [fault])
        ((name, box),) = drawn.truth
        left, top, right, bottom = box.corners
        height, width = drawn.picture.shape[:2]
        assert name == fault
        assert 0 <= left < right <= width and 0 <= top < bottom <= height


@pytest.mark.parametrize("faults", [("no_label",), ("underfilled", "overfilled"), ("missing_cap", "loose_cap")])
def test_faults_that_a_bottle_can_not_have_are_refused(faults: tuple[str, ...]) -> None:
    with pytest.raises(ValueError, match=r"no fault|can't be"):
        draw(np.random.default_rng(1), faults)

"""Drawn boards of any colour and finish: what is measured of them is what came of them."""

from collections.abc import Sequence

import numpy as np
import pytest

from linegate.adapters.golden.materials import Picture
from linegate.adapters.golden.picture import Golden
from linegate.commands.golden.median import build
from linegate.evaluation.appearance import faint
from linegate.evaluation.materials import ROUNDS, Drawn, Looked, contrast, look_at, tally
from linegate.inspection import Verdict
from linegate.samples import golden_board
from linegate.shapes import Box


def golden(good: Sequence[Picture]) -> Golden:
    return build(good, [str(number) for number in range(len(good))]).golden


def looked(mask: str, way: str) -> list[Looked]:
    return list(look_at(mask, "gold", golden, 500, (way,)))


@pytest.mark.slow
@pytest.mark.parametrize("mask", ["green", "black"])
def test_boards_of_one_design_that_differ_as_boards_do_are_told_apart_by_their_defects_alone(mask: str) -> None:
    counts = tally(looked(mask, "as it is"))
    assert counts["boards"] == len(ROUNDS)
    assert counts["defects"] > 0
    assert counts["defects_missed"] == counts["escapes"] == counts["false_calls"] == 0


@pytest.mark.slow
def test_where_good_boards_differ_by_anything_no_bad_board_passes_and_its_defects_count_as_missed() -> None:
    def blind(good: Sequence[Picture]) -> Golden:
        return Golden(golden(good).picture, np.full(good[0].shape[:2], 255, np.uint8))

    bad = [one for one in look_at("green", "tin", blind, 500, ("as it is",)) if one.defects]
    counts = tally(bad)
    assert counts["defects_missed"] == counts["defects"]
    assert counts["reviews"] == counts["boards"]


def test_a_bad_board_that_passes_is_an_escape_and_a_good_one_that_fails_a_false_call() -> None:
    def board(verdict: Verdict, *defects: Drawn) -> Looked:
        return Looked("green", "tin", "as it is", verdict, defects, (), ())

    missed, small = Drawn("short", 9.0, told=False), Drawn("mouse_bite", 3.0, told=True)
    counts = tally(
        [board(Verdict.PASS, missed, small), board(Verdict.PASS), board(Verdict.FAIL), board(Verdict.REVIEW)]
    )
    assert (counts["boards"], counts["good"], counts["escapes"], counts["false_calls"]) == (4, 3, 1, 1)
    assert (counts["defects"], counts["defects_missed"], counts["small"], counts["small_missed"]) == (1, 1, 1, 0)
    assert counts["reviews"] == 1


def test_what_light_left_too_pale_is_counted_apart() -> None:
    design = faint(golden_board(500, mask="green"), "green", 16)
    box = Box(300, 300, 10, 10)
    assert contrast(design, design.picture, box) == pytest.approx(16)
    assert contrast(design, (design.picture * 0.7).astype(np.uint8), box) == pytest.approx(11.2, abs=0.4)
    bad = Looked("green", "tin", "shaded", Verdict.FAIL, (Drawn("short", 9.0, told=False, contrast=11.2),), (), ())
    counts = tally([bad])
    assert (counts["defects"], counts["pale"], counts["pale_missed"]) == (0, 1, 1)

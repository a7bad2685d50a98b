"""Drawn boards of any colour and finish: what is measured of them is what came of them."""

from collections.abc import Sequence

import numpy as np
import pytest

from linegate.adapters.golden.materials import Picture
from linegate.adapters.golden.picture import Golden
from linegate.commands.golden import build
from linegate.evaluation.materials import ROUNDS, Looked, look_at, tally
from linegate.inspection import Verdict


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
def test_a_board_that_nothing_is_said_of_counts_as_escaped_and_its_defects_as_missed() -> None:
    def blind(good: Sequence[Picture]) -> Golden:
        """Good boards that differ by anything: no difference counts any more."""
        return Golden(golden(good).picture, np.full(good[0].shape[:2], 255, np.uint8))

    bad = [one for one in look_at("green", "tin", blind, 500, ("as it is",)) if one.defects]
    counts = tally(bad)
    assert counts["escapes"] == sum(one.verdict is Verdict.PASS for one in bad) > 0
    assert counts["defects_missed"] == counts["defects"]

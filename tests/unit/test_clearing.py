"""How often a verifier was right to clear, by the detector's confidence; and the `clear_below` that follows."""

import pytest

from linegate.bounds import lower
from linegate.evaluation.clearing import CHOICES, Cleared, clear_below, clearing, corrected, lines

CERTAINTY, WRONG = 0.95, 0.05


def some(count: int, confidence: float, wrong: int = 0, name: str = "spur") -> list[Cleared]:
    return [Cleared(name, confidence, number < wrong) for number in range(count)]


def test_each_range_of_confidence_tells_how_often_it_was_right_with_its_bound() -> None:
    told = clearing([*some(100, 0.3, 1), *some(20, 0.95, 10)], CERTAINTY)
    ranges = {(each["above"], each["to"]): each for each in told["per_class"]["spur"]["ranges"]}
    assert (ranges[0.0, 0.5]["cleared"], ranges[0.0, 0.5]["right"]) == (100, 99)
    assert ranges[0.9, 1.0]["right"] == 10
    assert ranges[0.0, 0.5]["right_at_least"] == pytest.approx(lower(99, 100, CERTAINTY))
    assert sum(each["cleared"] for each in ranges.values()) == 120


def test_the_leash_ends_where_clearing_turns_wrong() -> None:
    assert clear_below([*some(200, 0.3), *some(60, 0.75), *some(40, 0.92, 30)], CERTAINTY, WRONG) == 0.9
    assert clear_below([*some(200, 0.3), *some(60, 0.75), *some(40, 0.92)], CERTAINTY, WRONG) == 1.0
    assert clear_below([*some(200, 0.3, 40), *some(60, 0.75)], CERTAINTY, WRONG) is None


def test_what_the_choice_among_several_values_costs_is_paid() -> None:
    needed = clearing([], CERTAINTY)["needed"]
    assert clear_below(some(needed, 0.3), CERTAINTY, WRONG) == CHOICES[-1]
    assert clear_below(some(needed - 1, 0.3), CERTAINTY, WRONG) is None
    assert (1 - WRONG) ** (needed - 1) > 1 - corrected(CERTAINTY) >= (1 - WRONG) ** needed


def test_a_finding_of_just_the_confidence_may_still_be_cleared() -> None:
    assert clear_below([*some(200, 0.4), *some(100, 0.41, 90)], CERTAINTY, WRONG) == 0.4


def test_a_class_of_its_own_gets_a_value_of_its_own_and_one_that_can_not_be_known_is_named() -> None:
    told = clearing(
        [*some(500, 0.3), *some(200, 0.95), *some(120, 0.65, name="short"), *some(3, 0.2, name="open")], 0.95
    )
    said = "\n".join(lines(told))
    assert "paste into the recipe:  clear_below: 1" in said
    assert "of open alone too few" in said
    assert "clearing, spur: right 700 of 700 times, at least 99" in said


def test_where_nothing_was_cleared_or_too_little_that_is_said() -> None:
    assert "cleared none" in lines(clearing([], CERTAINTY))[0]
    assert "no clear_below is advised" in lines(clearing(some(10, 0.3), CERTAINTY))[-1]

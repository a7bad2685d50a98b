"""Exact bounds: they agree with published ones, and a promise that rests on them is kept as often as it says."""

from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from linegate.bounds import at_most, boards_needed, fixed_sequence, interval, lower, upper


@pytest.mark.parametrize(
    ("count", "total", "low", "high"),
    [
        (0, 10, 0.0, 0.3085),
        (1, 10, 0.0025, 0.4450),
        (5, 10, 0.1871, 0.8129),
        (10, 10, 0.6915, 1.0),
        (3, 100, 0.0062, 0.0852),
    ],
)
def test_intervals_are_those_of_the_tables(count: int, total: int, low: float, high: float) -> None:
    assert interval(count, total, 0.95) == pytest.approx((low, high), abs=1e-4)


def test_nothing_seen_on_no_board_shows_nothing() -> None:
    assert (upper(0, 0, 0.95), lower(0, 0, 0.95)) == (1, 0)


@pytest.mark.parametrize("total", [1, 59, 500, 10_000])
def test_without_any_escape_the_bound_has_a_closed_form(total: int) -> None:
    assert upper(0, total, 0.95) == pytest.approx(1 - 0.05 ** (1 / total), rel=1e-9)


@given(st.integers(0, 300), st.integers(1, 300), st.sampled_from([0.8, 0.95, 0.99]))
@settings(max_examples=60, deadline=None)
def test_a_bound_is_where_so_few_become_too_unlikely(count: int, more: int, certainty: float) -> None:
    total = count + more
    bound = upper(count, total, certainty)
    assert at_most(count, total, bound) == pytest.approx(1 - certainty, rel=1e-6)
    assert bound < upper(count + 1, total, certainty)
    assert bound > count / total


@pytest.mark.parametrize(("misses", "boards"), [(0, 373), (1, 592), (2, 785)])
def test_how_many_boards_a_promise_needs_is_the_least_number_that_keeps_it(misses: int, boards: int) -> None:
    assert boards_needed(0.008, 0.95, misses) == boards
    assert upper(misses, boards, 0.95) <= 0.008 < upper(misses, boards - 1, 0.95)


def test_no_number_of_boards_shows_that_nothing_ever_escapes() -> None:
    assert boards_needed(0, 0.95) is None
    assert boards_needed(0.01, 1) is None


Rule = Callable[[Sequence[int], int, float, float], int | None]
RATE, CERTAINTY, BOARDS = 0.03, 0.9, 400
TRUE = (0.005, 0.012, 0.02, 0.028, 0.0301, 0.034, 0.05, 0.1)  # escape rate of each setting, the safest first


def broken(rule: Rule, runs: int = 3000) -> float:
    """How often the setting that a rule takes lets more boards escape than was promised.

    Each board has a number that says from which setting on it escapes, as with thresholds that only rise.
    """
    rng = np.random.default_rng(12)
    drawn = rng.uniform(size=(runs, BOARDS))
    escapes = np.stack([(drawn < rate).sum(axis=1) for rate in TRUE], axis=1)
    taken = [rule([int(count) for count in counts], BOARDS, RATE, CERTAINTY) for counts in escapes]
    return sum(TRUE[number] > RATE for number in taken if number is not None) / runs


def test_the_promise_is_broken_no_more_often_than_it_says() -> None:
    most = 1 - CERTAINTY
    assert 0.02 < broken(fixed_sequence) < most + 3 * (most * CERTAINTY / 3000) ** 0.5


def off_by_one(escapes: Sequence[int], boards: int, rate: float, certainty: float) -> int | None:
    """P(X < count) in place of P(X ≤ count)."""
    return fixed_sequence([count - 1 for count in escapes], boards, rate, certainty)


def as_it_looks(escapes: Sequence[int], boards: int, rate: float, certainty: float) -> int | None:
    """The best-looking setting, without any test."""
    return max((number for number, count in enumerate(escapes) if count / boards <= rate), default=None)


@pytest.mark.parametrize("rule", [off_by_one, as_it_looks])
def test_a_fault_in_the_bound_would_be_seen(rule: Rule) -> None:
    most = 1 - CERTAINTY
    assert broken(rule) > most + 3 * (most * CERTAINTY / 3000) ** 0.5


def test_the_first_setting_that_fails_ends_the_sequence() -> None:
    assert fixed_sequence([0, 0, 9, 0], 400, 0.02, 0.95) == 1
    assert fixed_sequence([9, 0], 400, 0.02, 0.95) is None
    assert fixed_sequence([0], 100, 0.005, 0.95) is None, "so few boards show nothing"

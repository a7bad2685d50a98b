"""Figures as people read them: nothing is rounded into what it is not."""

import pytest

from linegate.numbers import ESCAPES, Measured
from linegate.wording import between, duration, number, share


@pytest.mark.parametrize(
    ("rate", "told"),
    [
        (None, "unknown"),
        (0.0, "0.0 %"),
        (1.0, "100.0 %"),
        (0.9314, "93.1 %"),
        (0.00131, "0.13 %"),
        (0.9987, "99.87 %"),
        (0.999999, "more than 99.99 %"),
        (0.000001, "less than 0.01 %"),
    ],
)
def test_a_share_that_is_not_all_is_never_told_as_all(rate: float | None, told: str) -> None:
    assert share(rate) == told


def test_bounds_are_told_too_wide_rather_than_too_narrow() -> None:
    assert between(Measured(ESCAPES, 2, 200)) == "0.1 to 3.6 %"  # 0.1213 … 3.5652
    assert between(Measured(ESCAPES, 0, 1000)) == "0.00 to 0.37 %"  # 0.3682
    assert between(Measured(ESCAPES, 10, 10)) == "69.1 to 100.0 %"  # 69.15
    assert between(Measured(ESCAPES, 0, 0)) == "unknown"


def test_numbers_and_times_are_short() -> None:
    assert [number(value) for value in (None, 0, 12345, 0.03641, 53.3)] == [
        "unknown",
        "0",
        "12\u202f345",
        "0.0364",
        "53.3",
    ]
    assert [duration(ms) for ms in (None, 141.2, 2345, 240_000)] == ["unknown", "141 ms", "2.3 s", "4 min"]

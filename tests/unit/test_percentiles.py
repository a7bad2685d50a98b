"""Percentiles by nearest rank: each is one of the values."""

import pytest

from linegate.evaluation.percentiles import percentile, percentiles


@pytest.mark.parametrize(
    ("count", "p50", "p95"), [(1, 1, 1), (2, 1, 2), (3, 2, 3), (4, 2, 4), (20, 10, 19), (21, 11, 20), (100, 50, 95)]
)
def test_a_percentile_is_the_smallest_value_that_so_many_do_not_exceed(count: int, p50: float, p95: float) -> None:
    assert percentiles(range(count, 0, -1)) == {"p50": p50, "p95": p95}


def test_of_nothing_there_is_no_percentile() -> None:
    assert percentiles([]) == {"p50": None, "p95": None}
    with pytest.raises(ValueError, match="nothing"):
        percentile([], 50)

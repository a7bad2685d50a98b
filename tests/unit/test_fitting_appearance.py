"""The tool that fits what comparing by looks weighs: it tells drawn defects from all else, and what it would miss."""

import pytest

from linegate.adapters.golden.appearance import WEIGHTS
from linegate.evaluation.appearance import WORSE, Case, cases, fit, lines


@pytest.fixture(scope="module")
def found() -> list[Case]:
    return list(cases(5, masks=("green",), ways=("as it is", "shaded")))


def test_defects_are_found_in_tracks_that_hardly_stand_out_too(found: list[Case]) -> None:
    assert sum(case.defect for case in found) >= 12
    assert {case.way for case in found} <= set(WORSE)


def test_what_is_fitted_tells_defects_from_all_else(found: list[Case]) -> None:
    weights = fit(found)
    assert weights.keys() == WEIGHTS.keys()
    title, low, *_ = lines("drawn", found, weights)
    assert title.startswith(f"drawn: of {sum(case.defect for case in found)} defects")
    assert "confidence 0.3: 0 missed" in low


def test_weights_that_see_nothing_are_told_by_what_they_miss(found: list[Case]) -> None:
    missed = lines("blind", found, dict.fromkeys(WEIGHTS, 0.0) | {"bias": -9.0})[-1]
    assert f"{sum(case.defect for case in found)} missed, 0 false" in missed

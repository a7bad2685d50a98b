"""When a line counts as silent: by its own rhythm, or as its configuration says."""

from datetime import timedelta

import pytest

from linegate.sections import Line
from linegate.station.rhythm import silent_after
from tests.fakes import START


@pytest.mark.parametrize(
    ("intervals", "seconds"),
    [
        ([], 600),  # nobody knows its rhythm yet
        ([30, 30], 600),
        ([60, 60, 60], 300),
        ([60, 60, 60, 60, 3600], 300),  # a break is no rhythm
        ([1, 1, 1, 1], 60),  # a minute at least
    ],
)
def test_a_line_is_silent_after_five_of_its_usual_intervals(intervals: list[float], seconds: float) -> None:
    received = [START]
    for interval in intervals:
        received.append(received[-1] + timedelta(seconds=interval))
    assert silent_after(Line(recipe="pcb"), received[::-1]) == timedelta(seconds=seconds)


def test_the_configuration_knows_better() -> None:
    assert silent_after(Line(recipe="pcb", silence_after="2m"), [START]) == timedelta(minutes=2)

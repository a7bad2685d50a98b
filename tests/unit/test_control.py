"""The p-chart, against published charts and where few products make the textbook's limits wrong."""

import pytest

from linegate.control import Chart, Group, Signal, limits, p_chart

# Montgomery, Introduction to Statistical Quality Control, cans of frozen orange juice: 30 samples of 50, p̄ = 0.2313,
# limits 0.0524 and 0.4102; samples 15 and 23 lie beyond.
CANS = (12, 15, 8, 10, 4, 7, 16, 9, 14, 10, 5, 6, 17, 12, 22, 8, 10, 5, 13, 11, 20, 18, 24, 15, 9, 12, 7, 13, 9, 6)
# SAS/QC, sample library SHWPCHR: failing circuits in 30 batches of 500; all in control.
CIRCUITS = (5, 6, 11, 6, 4, 9, 17, 10, 12, 9, 8, 7, 7, 15, 8, 18, 12, 16, 4, 7, 17, 12, 8, 7, 15, 6, 8, 12, 7, 9)


def chart(counts: tuple[int, ...], total: int) -> Chart:
    return p_chart(Group(str(number), count, total) for number, count in enumerate(counts, 1))


def test_published_charts_come_out_as_published() -> None:
    cans = chart(CANS, 50)
    assert cans.centre == pytest.approx(0.2313, abs=1e-4)
    assert [(point.label, point.signals) for point in cans.alarms] == [("15", (Signal.ABOVE,)), ("23", (Signal.ABOVE,))]
    for point in cans.points:  # the greatest and the least share that is no alarm, beside those of three sigma
        assert point.low == pytest.approx(0.0524, abs=0.03)
        assert point.high == pytest.approx(0.4102, abs=0.02)
    assert chart(CIRCUITS, 500).alarms == ()


def test_few_products_are_no_alarm_where_three_sigma_would_cry_wolf() -> None:
    # Three sigma of 5 products at 2 % is 0.21: one bad one would lie on it, two far beyond
    assert limits(5, 0.02) == (0, 2)
    quiet = p_chart(Group(str(number), int(number % 10 == 0), 5) for number in range(40))
    assert quiet.alarms == ()


def test_a_row_on_one_side_is_an_alarm_only_where_chance_makes_none() -> None:
    moved = p_chart([Group("a", 20, 200)] * 8 + [Group("b", 30, 200)] * 8)
    assert [point.signals for point in moved.points[:7]] == [()] * 7
    assert moved.points[7].signals == (Signal.RUN_BELOW,)
    assert moved.points[15].signals == (Signal.RUN_ABOVE,)
    rare = p_chart([Group("none", 0, 10)] * 20 + [Group("one", 1, 10)])
    assert rare.alarms == (), "zeros in a row are no news where one product in 210 fails"


def test_a_gate_that_fails_nothing_any_more_is_an_alarm_too() -> None:
    blind = p_chart([Group("usual", 10, 200)] * 10 + [Group("blind", 0, 400)])
    assert Signal.BELOW in blind.points[-1].signals


def test_groups_without_products_are_no_points() -> None:
    assert p_chart([Group("a", 0, 0)]) == Chart(None)
    (point,) = p_chart([Group("a", 0, 0), Group("b", 1, 2)]).points
    assert (point.label, point.rate, point.low, point.high) == ("b", 0.5, 0.0, 1.0)


@pytest.mark.parametrize(("count", "signals"), [(0, 0), (7, 0)])
def test_all_good_or_all_bad_is_a_chart_without_alarms(count: int, signals: int) -> None:
    told = p_chart([Group("a", count, 7)] * 12)
    assert len(told.alarms) == signals
    assert told.centre == count / 7

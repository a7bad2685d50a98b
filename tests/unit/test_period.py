"""The figures of a period: which hours, lines and shifts count, and that all tables tell of the same products."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import cast

import pytest

from linegate.config import parse
from linegate.errors import ConfigError
from linegate.numbers import FIRST_PASS
from linegate.period import MOST_DAYS, Per, Period, figures
from linegate.ports import Queries
from linegate.rollups import Counts, Slot
from linegate.settings import Settings

FILE = """
recipes: {pcb: {golden: golden.png, opportunities: 100}, other: {golden: golden.png}}
lines: {smt-1: {recipe: pcb, challenge_every: 8h}, smt-2: {recipe: other}, trial: {recipe: pcb, notifies: false}}
"""
PLANT = 'station: {time_zone: Europe/Berlin, shifts: {early: "06:00", late: "14:00", night: "22:00"}}\n'
PASS, FAIL = (
    Counts({"first|PASS": 1, "latest|PASS": 1}),
    Counts({"first|FAIL": 1, "latest|FAIL": 1, "unruled|FAIL|short": 2}),
)
MONDAY = date(2026, 3, 2)


@dataclass
class Hours:
    """The port Queries, as far as counts go."""

    slots: list[Slot]

    def counts(self, line: str | None, recipe: str | None, since: datetime, until: datetime, *_: object) -> list[Slot]:
        return [
            slot
            for slot in sorted(self.slots, key=lambda slot: (slot.start, slot.line))
            if since <= slot.start < until and line in (None, slot.line) and recipe in (None, slot.recipe)
        ]


def settings(plant: str = PLANT) -> Settings:
    return parse(FILE + plant, Path(), {})


def hours(*slots: tuple[str, str, Counts]) -> Queries:
    """Each of a UTC time, a line and counts."""
    made = [
        Slot(datetime.fromisoformat(at).replace(tzinfo=UTC), line, "other" if line == "smt-2" else "pcb", counts)
        for at, line, counts in slots
    ]
    return cast("Queries", Hours(made))


WEEK = hours(
    ("2026-03-02T04:00", "smt-1", FAIL),  # Monday 05:00 in Berlin: still Sunday's night shift
    ("2026-03-02T05:00", "smt-1", PASS),
    ("2026-03-02T12:00", "smt-2", FAIL),
    ("2026-03-02T13:00", "smt-1", PASS),
    ("2026-03-03T04:00", "smt-2", PASS),  # Tuesday 05:00: Monday's night shift
    ("2026-03-03T05:00", "smt-1", PASS),
    ("2026-03-02T08:00", "smt-1-challenge", FAIL),
    ("2026-03-02T08:00", "trial", FAIL),
)


def test_a_day_is_that_of_its_shifts_and_all_tables_add_up_to_the_same_products() -> None:
    told = figures(WEEK, settings(), Period(MONDAY, MONDAY))
    assert told.whole.counts.products == 4
    assert {name: [row.name for row in rows] for name, rows in told.tables.items()} == {
        "line": ["smt-1", "smt-2"],
        "recipe": ["other", "pcb"],
        "shift": ["early", "late", "night"],
        "day": ["2026-03-02"],
    }
    for rows in told.tables.values():
        assert sum(row.counts.products for row in rows) == 4
    assert [(point.label, point.count, point.total) for point in told.chart.points] == [
        ("2026-03-02 06:00", 0, 1),
        ("2026-03-02 13:00", 1, 1),
        ("2026-03-02 14:00", 0, 1),
        ("2026-03-03 05:00", 0, 1),
    ]
    assert told.whole.rate.dpmo == 0
    assert told.whole.rate.without == ("other",)
    assert (told.since.isoformat(), told.until.isoformat()) == (
        "2026-03-02T06:00:00+01:00",
        "2026-03-03T06:00:00+01:00",
    )


def test_lines_that_are_not_for_products_count_only_where_they_are_asked_for() -> None:
    told = figures(WEEK, settings(), Period(MONDAY, MONDAY))
    assert told.left_out == ("smt-1-challenge", "trial")
    asked = figures(WEEK, settings(), Period(MONDAY, MONDAY, line="trial"))
    assert (asked.whole.counts.products, asked.left_out) == (1, ())


def test_a_shift_a_line_and_a_recipe_are_told_by_themselves() -> None:
    early = figures(WEEK, settings(), Period(MONDAY, MONDAY + timedelta(days=1), shift="early"))
    assert [row.name for row in early.tables["day"]] == ["2026-03-02", "2026-03-03"]
    assert early.whole.counts.products == 3
    one = figures(WEEK, settings(), Period(MONDAY, MONDAY, line="smt-2", recipe="other"))
    assert FIRST_PASS.measured(one.whole.counts).count == 1
    assert figures(WEEK, settings(), Period(MONDAY, MONDAY, recipe="gone")).whole.counts.products == 0
    with pytest.raises(ValueError, match="no shift 'noon'"):
        figures(WEEK, settings(), Period(MONDAY, MONDAY, shift="noon"))


def test_without_shifts_days_are_those_of_the_clocks() -> None:
    told = figures(WEEK, settings("station: {time_zone: Europe/Berlin}"), Period(MONDAY, MONDAY))
    assert told.whole.counts.products == 4, "from 00:00 to 24:00 in Berlin"
    assert told.since.isoformat() == "2026-03-02T00:00:00+01:00"


def test_an_hour_that_the_clocks_show_twice_is_two_points() -> None:
    night = hours(("2026-10-25T00:00", "smt-1", PASS), ("2026-10-25T01:00", "smt-1", FAIL))
    told = figures(night, settings(), Period(date(2026, 10, 24), date(2026, 10, 24)))
    assert [point.label for point in told.chart.points] == ["2026-10-25 02:00+0200", "2026-10-25 02:00+0100"]


def test_points_are_hours_shifts_or_days() -> None:
    assert [Period(MONDAY, MONDAY + timedelta(days=days)).per for days in (0, 1, 2, 13, 14)] == [
        Per.HOUR,
        Per.HOUR,
        Per.SHIFT,
        Per.SHIFT,
        Per.DAY,
    ]
    told = figures(WEEK, settings(), Period(MONDAY, MONDAY), Per.SHIFT)
    assert [point.label for point in told.chart.points] == ["2026-03-02 early", "2026-03-02 late", "2026-03-02 night"]


def test_shifts_that_count_from_the_next_full_hour_are_named() -> None:
    told = figures(
        WEEK, settings('station: {time_zone: Asia/Kolkata, shifts: {a: "06:00", b: "18:30"}}'), Period(MONDAY, MONDAY)
    )
    assert [shift.name for shift in told.uneven] == ["a", "b"]
    assert figures(WEEK, settings(), Period(MONDAY, MONDAY)).uneven == ()


@pytest.mark.parametrize("days", [-1, MOST_DAYS])
def test_a_period_has_its_first_day_first_and_an_end(days: int) -> None:
    with pytest.raises(ValueError, match="1 to 92 days"):
        Period(MONDAY, MONDAY + timedelta(days=days))


@pytest.mark.parametrize(
    ("shifts", "fault"),
    [
        ('{a: "06:00", b: "06:00"}', "a and b begin at the same time, 06:00"),
        ('{a: "24:00"}', 'must be a time of day in quotes, e.g. "06:00"'),
        ("{a: 14:00}", 'must be a time of day in quotes, e.g. "06:00"'),
    ],
)
def test_the_file_is_refused_where_shifts_make_no_sense(shifts: str, fault: str) -> None:
    with pytest.raises(ConfigError, match=fault):
        settings(f"station: {{shifts: {shifts}}}")

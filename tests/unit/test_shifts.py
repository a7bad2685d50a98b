"""Shifts lie where a plant's clocks say, also on the days on which those change."""

import itertools
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from linegate.shifts import NO_SHIFTS, ended, shift_at, shifts_between, shifts_of

BERLIN, KOLKATA = ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Kolkata")
THREE = {"late": time(14), "early": time(6), "night": time(22)}


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_a_shift_ends_where_the_next_begins_and_belongs_to_the_day_on_which_it_begins() -> None:
    told = shifts_of(date(2026, 3, 2), THREE, BERLIN)
    assert [shift.name for shift in told] == ["early", "late", "night"]
    assert [shift.start.astimezone(UTC).hour for shift in told] == [5, 13, 21]
    assert told[2].end == datetime(2026, 3, 3, 6, tzinfo=BERLIN)
    assert told[2].key == "2026-03-02/night"
    assert all(shift.even for shift in told)
    assert shift_at(utc("2026-03-03T01:00"), THREE, BERLIN) == told[2]


@pytest.mark.parametrize(("day", "hours"), [(date(2026, 3, 28), 7), (date(2026, 10, 24), 9), (date(2026, 5, 1), 8)])
def test_a_night_on_which_clocks_change_is_shorter_or_longer(day: date, hours: int) -> None:
    night = shifts_of(day, THREE, BERLIN)[2]
    assert night.end.astimezone(UTC) - night.start.astimezone(UTC) == timedelta(hours=hours)


def test_no_moment_lies_in_two_shifts_or_in_none() -> None:
    odd = {
        "a": time(2, 30),
        "b": time(10),
        "c": time(23, 15),
    }  # 02:30 is skipped on one day, and comes twice on another
    for first in (date(2026, 3, 27), date(2026, 10, 23)):
        told = shifts_between(first, first + timedelta(days=4), odd, BERLIN)
        assert all(one.end.astimezone(UTC) == then.start.astimezone(UTC) for one, then in itertools.pairwise(told))
        moment = told[0].start.astimezone(UTC)
        while moment < told[-1].end.astimezone(UTC):
            found = shift_at(moment, odd, BERLIN)
            assert found in told
            moment += timedelta(minutes=15)


def test_where_a_shift_begins_at_half_past_an_hour_of_utc_the_hours_that_count_are_told() -> None:
    (early, *_) = shifts_of(date(2026, 3, 2), {"early": time(6), "late": time(14, 30)}, KOLKATA)
    assert not early.even
    assert early.start.astimezone(UTC) == utc("2026-03-02T00:30")
    assert early.counted_from == datetime(2026, 3, 2, 6, 30, tzinfo=KOLKATA)
    assert early.counted_until == datetime(2026, 3, 2, 14, 30, tzinfo=KOLKATA) == early.end


def test_without_shifts_a_day_is_one() -> None:
    (told,) = shifts_of(date(2026, 3, 29), {}, BERLIN)
    assert (told.name, told.key) == ("day", "2026-03-29/day")
    assert told.end.astimezone(UTC) - told.start.astimezone(UTC) == timedelta(hours=23)
    assert shifts_of(date(2026, 3, 29), NO_SHIFTS, BERLIN) == [told]


def test_what_ended_lately_is_found_once_its_hours_are_over() -> None:
    def names(moment: str, hours: float) -> list[str]:
        return [shift.key for shift in ended(utc(moment), timedelta(hours=hours), THREE, BERLIN)]

    assert names("2026-03-02T12:59", 1) == []
    assert names("2026-03-02T13:00", 1) == ["2026-03-02/early"]
    assert names("2026-03-02T13:59", 1) == ["2026-03-02/early"]
    assert names("2026-03-02T14:00", 1) == []
    assert names("2026-03-03T05:00", 24) == ["2026-03-02/early", "2026-03-02/late", "2026-03-02/night"]

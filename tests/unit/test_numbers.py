"""The figures of a line, against examples worked by hand."""

import math
from datetime import UTC, datetime, timedelta

import pytest

from linegate.inspection import Verdict
from linegate.numbers import (
    ESCAPES,
    FALSE_CALLS,
    FIRST_PASS,
    IN_VAIN,
    REVIEW_SHARE,
    REVIEWED,
    SHARES,
    defect_rate,
    escaped,
    gate_said,
    grouped,
    pareto,
    waiting,
)
from linegate.rollups import Counts, Slot

# A thousand products: the gate passed 950, failed 30, held 16; 4 were no pictures. Persons answered 25 of the 30 (20 bad,
# one of them repaired and so passed; 1 accepted; 4 good) and 10 of the 16 (all good), and audited 200 of the 950:
# 2 were bad, and so was one that a customer sent back. Seven more were drawn and still wait.
A_DAY = Counts(
    {
        "first|PASS": 950,
        "first|FAIL": 30,
        "first|REVIEW": 16,
        "first|ERROR": 4,
        "latest|PASS": 950 - 3 + 6 + 10,
        "latest|FAIL": 30 - 6 + 3,
        "latest|REVIEW": 6,
        "latest|ERROR": 4,
        "answered|FAIL|FAIL": 19,
        "answered|FAIL|PASS": 6,
        "answered|REVIEW|PASS": 10,
        "answered|PASS|PASS": 198,
        "answered|PASS|FAIL": 3,
        "judged|FAIL|defective": 20,
        "judged|FAIL|accepted": 1,
        "judged|FAIL|good": 4,
        "judged|REVIEW|good": 10,
        "judged|PASS|good": 198,
        "judged|PASS|defective": 3,
        "audit|good": 198,
        "audit|defective": 2,
        "audit|": 7,
        "ruled|true_defect|short": 18,
        "ruled|repaired|short": 3,
        "ruled|false_call|short": 2,
        "ruled|false_call|spur": 14,
        "ruled|accepted|spur": 1,
        "missed||scratch": 2,
        "unruled|FAIL|short": 4,
        "unruled|FAIL|open": 1,
        "unruled|UNSURE|spur": 6,
    }
)
NOW = datetime(2026, 3, 2, 6, tzinfo=UTC)


def chance(count: int, total: int, rate: float) -> float:
    """The binomial distribution as textbooks write it."""
    return math.comb(total, count) * rate**count * (1 - rate) ** (total - count)


@pytest.mark.parametrize(
    ("share", "count", "total", "open_"),
    [
        (FIRST_PASS, 950, 996, 0),
        (REVIEWED, 950 - 3 + 4 + 1 + 10, 996, 5 + 6),
        (FALSE_CALLS, 14, 996, 5 + 6),
        (IN_VAIN, 14, 35, 0),
        (ESCAPES, 2, 200, 0),
        (REVIEW_SHARE, 16, 996, 0),
    ],
    ids=lambda value: getattr(value, "key", ""),
)
def test_a_share_is_what_its_formula_says(share: object, count: int, total: int, open_: int) -> None:
    told = share.measured(A_DAY)  # type: ignore[attr-defined]
    assert (told.count, told.total, told.open) == (count, total, open_)
    assert told.rate == pytest.approx(count / total)


def test_the_gates_own_word_stands_whatever_persons_said() -> None:
    assert gate_said(A_DAY) == {Verdict.PASS: 950, Verdict.FAIL: 30, Verdict.REVIEW: 16, Verdict.ERROR: 4}
    assert waiting(A_DAY) == 11


def test_intervals_are_exact_and_allow_for_what_nobody_has_answered() -> None:
    least, most = ESCAPES.measured(A_DAY).interval
    assert 1 - sum(chance(count, 200, least) for count in range(2)) == pytest.approx(0.025), "2 or more of 200"
    assert sum(chance(count, 200, most) for count in range(3)) == pytest.approx(0.025), "2 or fewer"
    low, high = FALSE_CALLS.measured(A_DAY).interval
    assert low <= 14 / 996
    assert high >= 25 / 996, "all eleven may be good"
    later = {"judged|FAIL|good": 5, "answered|FAIL|PASS": 5, "latest|FAIL": -5, "latest|PASS": 11}
    later |= {"judged|REVIEW|good": 6, "answered|REVIEW|PASS": 6, "latest|REVIEW": -6}
    told = FALSE_CALLS.measured(A_DAY + Counts(later))
    assert (told.count, told.total, told.open) == (25, 996, 0)
    assert told.interval[1] == pytest.approx(high)


def test_without_an_audit_escapes_are_unknown_and_not_zero() -> None:
    unaudited = Counts({"first|PASS": 10, "latest|PASS": 10})
    told = ESCAPES.measured(unaudited)
    assert (told.rate, told.interval) == (None, (0.0, 1.0))
    assert escaped(unaudited) is None
    low, high = escaped(A_DAY) or (0, 0)
    assert low == 0 and high == 27, "0.0357 of the 750 that nobody audited"


def test_defects_by_class_leave_out_what_a_person_denied() -> None:
    told = {one.class_name: one for one in pareto(A_DAY)}
    assert [one.class_name for one in pareto(A_DAY)] == ["short", "scratch", "open", "spur"]
    assert (told["short"].defects, told["short"].claimed, told["short"].confirmed) == (25, 4, 21)
    assert (told["scratch"].defects, told["scratch"].missed) == (2, 2)
    spur = told["spur"]
    assert (spur.defects, spur.false_calls, spur.accepted, spur.unsure) == (0, 14, 1, 6)


def test_dpmo_needs_opportunities_and_says_which_recipes_lack_them() -> None:
    recipes = {"pcb": A_DAY, "other": Counts({"latest|FAIL": 4, "unruled|FAIL|open": 8})}
    told = defect_rate(recipes, {"pcb": 50})
    assert (told.defects, told.products, told.without) == (36, 1000, ("other",))
    assert told.dpu == pytest.approx(0.036)
    assert told.dpmo == pytest.approx(28 * 1e6 / (996 * 50))
    assert defect_rate(recipes, {}).dpmo is None
    assert defect_rate({}, {"pcb": 50}).dpu is None


def test_every_share_tells_its_formula_and_is_unknown_where_nothing_was_counted() -> None:
    for share in SHARES:
        assert share.counted and share.of and share.note
        assert share.measured(Counts()).rate is None


def test_slots_are_summed_by_whatever_is_asked() -> None:
    one = Counts({"first|PASS": 1})
    slots = [Slot(NOW + timedelta(hours=n), line, "pcb", one) for n, line in enumerate(("a", "b", "a"))]
    sums = grouped(slots, lambda slot: slot.line)
    assert {name: counts.products for name, counts in sums.items()} == {"a": 2, "b": 1}

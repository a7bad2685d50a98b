"""The gate as an attribute gauge, against figures worked out by hand."""

from collections.abc import Sequence

import pytest

from linegate.bounds import upper
from linegate.evaluation.gauge import Band, Study, assess, at_least, at_most, kappa
from linegate.evaluation.qualification import statement
from linegate.inspection import Verdict

P, F, R, E = Verdict.PASS, Verdict.FAIL, Verdict.REVIEW, Verdict.ERROR
CERTAINTY = 0.95


def bad(*looks: Verdict, classes: Sequence[str] = ("short",)) -> Study:
    return Study("bad", frozenset(classes), looks)


def good(*looks: Verdict) -> Study:
    return Study("good", frozenset(), looks)


# 20 bad boards, of which one passed at one of three looks and one went to a person once; 30 good ones, two failed once.
BOARDS = [
    *[bad(F, F, F)] * 18,
    bad(F, P, F),
    bad(F, F, R),
    *[good(P, P, P)] * 28,
    *[good(P, F, P)] * 2,
]


def test_rates_are_of_looks_and_bounds_of_boards() -> None:
    told = assess(BOARDS, CERTAINTY)
    assert told["miss_rate"]["rate"] == pytest.approx(1 / 60)
    assert told["miss_rate"]["at_most"] == upper(1, 20, CERTAINTY)
    assert told["false_alarm_rate"]["rate"] == pytest.approx(2 / 90)
    assert told["false_alarm_rate"]["at_most"] == upper(2, 30, CERTAINTY)


def test_looking_more_often_at_the_same_boards_shows_no_more() -> None:
    few, many = assess([bad(F, F)] * 30, CERTAINTY), assess([bad(*[F] * 50)] * 30, CERTAINTY)
    assert few["miss_rate"]["at_most"] == many["miss_rate"]["at_most"] == upper(0, 30, CERTAINTY)


def test_review_is_no_escape_and_no_false_alarm_but_no_right_decision() -> None:
    told = assess([bad(R, R), good(R, R)], CERTAINTY)
    assert (told["miss_rate"]["rate"], told["false_alarm_rate"]["rate"]) == (0, 0)
    assert told["effectiveness"]["rate"] == 0
    assert (told["review"]["bad"]["boards_so"], told["review"]["good"]["boards_so"]) == (1, 1)
    assert told["band"] == Band.UNACCEPTABLE, "a gauge that never decides is none"


def test_a_look_that_was_no_inspection_is_told_apart_from_review() -> None:
    told = assess([bad(F, E), good(P, P)], CERTAINTY)
    assert told["not_inspected"] == 1
    assert told["review"]["bad"]["so"] == 0
    assert told["table"]["bad"] == {"PASS": 0, "FAIL": 1, "REVIEW": 0, "ERROR": 1}


def test_effectiveness_counts_the_boards_of_which_every_look_was_right() -> None:
    told = assess(BOARDS, CERTAINTY)
    assert (told["effectiveness"]["right"], told["effectiveness"]["rate"]) == (46, 46 / 50)
    assert told["bands"]["effectiveness"] == Band.ACCEPTABLE
    assert told["shown"]["effectiveness"] == Band.MARGINAL, "by its bound: 80.8 %"


def test_cohens_kappa_is_that_of_the_textbook() -> None:
    # Two raters, 50 proposals: 20 yes/yes, 5 yes/no, 10 no/yes, 15 no/no. Agreed 0.7, by chance 0.5.
    pairs = [*[(P, P)] * 20, *[(P, F)] * 5, *[(F, P)] * 10, *[(F, F)] * 15]
    assert kappa(pairs) == pytest.approx(0.4)
    assert kappa([(P, P)] * 9) is None, "chance alone would agree"
    assert kappa([]) is None


def test_a_gate_that_answers_differently_each_time_agrees_with_itself_as_little_as_chance() -> None:
    boards = [*[bad(P, F)] * 10, *[good(F, P)] * 10, *[bad(F, F)] * 5, *[good(P, P)] * 5]
    told = assess(boards, CERTAINTY)
    # Of the ordered pairs a third agree, and half would by chance.
    assert told["kappa_within"] == pytest.approx((1 / 3 - 1 / 2) / (1 - 1 / 2))
    assert told["bands"]["kappa_within"] == Band.UNACCEPTABLE


def test_a_class_is_judged_by_the_boards_that_have_it_alone() -> None:
    told = assess([bad(F, F, classes=("spur", "short")), bad(P, F, classes=("spur",)), bad(F, F)], CERTAINTY)
    spur = told["per_class"]["spur"]
    assert (spur["boards"], spur["boards_so"], spur["with_others"]) == (1, 1, 1)
    assert told["per_class"]["short"]["boards_so"] == 0


@pytest.mark.parametrize(
    ("rate", "band"),
    [(0.02, Band.ACCEPTABLE), (0.021, Band.MARGINAL), (0.05, Band.MARGINAL), (0.051, Band.UNACCEPTABLE)],
)
def test_bands_are_aiags(rate: float, band: Band) -> None:
    assert at_most(rate, (0.02, 0.05)) is band
    assert at_least(1 - rate, (0.98, 0.95)) is band
    assert at_most(None, (0.02, 0.05)) is Band.UNKNOWN


def test_what_there_are_no_boards_for_is_not_known_and_never_acceptable() -> None:
    told = assess([bad(F, F)] * 100, CERTAINTY)
    assert told["band"] == told["shown_band"] == Band.UNKNOWN
    said = " ".join(statement({"study": told, "wanted": {"escape_rate": None, "certainty": CERTAINTY}}))
    assert "False alarms are not known" in said


@pytest.mark.parametrize(
    ("boards", "words"),
    [
        ([bad(F, F)] * 373, "An escape rate of 0.8 % or less with 95 % certainty is shown."),
        ([bad(F, F)] * 372, "is not shown: 0 missed, with which it takes 373 bad boards, and there are 372."),
        (
            [*[bad(F, F)] * 372, bad(P, F)],
            "is not shown: 1 missed, with which it takes 592 bad boards, and there are 373.",
        ),
    ],
)
def test_what_was_wanted_is_shown_or_it_is_told_what_that_takes(boards: list[Study], words: str) -> None:
    told = {"study": assess(boards, CERTAINTY), "wanted": {"escape_rate": 0.008, "certainty": CERTAINTY}}
    assert words in statement(told)[-1]
    assert statement(told)[0].startswith("Escapes: at most ")

"""The figures of an evaluation, against cases small enough to be worked out by hand."""

import pytest

from linegate.evaluation import metrics
from linegate.evaluation.labels import Truth
from linegate.evaluation.metrics import NONE, InspectedBoard, choose, evaluate
from linegate.inspection import Check, Detection, Manifest, Result, Verdict
from linegate.shapes import Box


def box(left: float, width: float = 20) -> Box:
    return Box(left + width / 2, 10, width, 20)


def told(
    left: float, confidence: float, name: str = "short", result: Result = Result.FAIL, width: float = 20
) -> Detection:
    return Detection(name, confidence, box(left, width), settled=Check(0, result, "so"))


def board(truths: list[tuple[float, str]], *detections: Detection, doubts: tuple[str, ...] = ()) -> InspectedBoard:
    manifest = Manifest(400, 20, detections, 0, doubts=doubts)
    labelled = tuple(Truth(name, box(left)) for left, name in truths)
    return InspectedBoard("board", labelled, manifest, detections, Verdict.PASS)


def any_of(_: Detection) -> bool:
    return True


# Three truths. Hit at 0.9, nothing at 0.8, hit at 0.7; the third truth is not found.
BOARDS = [
    board([(0, "short"), (100, "short")], told(0, 0.9), told(200, 0.8)),
    board([(50, "short")], told(50, 0.7), doubts=()),
]


def test_precision_recall_and_average_precision_agree_with_hand_computed_ones() -> None:
    figures = evaluate(BOARDS, 0.5, any_of, verified=True)
    overall = figures["overall"]
    assert (overall["precision"], overall["recall"], overall["f1"]) == pytest.approx((2 / 3, 2 / 3, 2 / 3))
    # COCO reads precision at the recalls 0.00, 0.01 … 1.00: 1 up to a third (34 of them), 2/3 up to two thirds (33), then 0.
    by_hand = (34 * 1 + 33 * 2 / 3) / 101
    assert overall["ap50"] == pytest.approx(by_hand)
    assert figures["per_class"]["short"]["ap50"] == pytest.approx(by_hand)
    assert figures["per_class"]["short"]["support"] == 3


def test_average_precision_is_told_at_the_overlap_that_was_asked_for_too() -> None:
    # Of 20 px, 10 overlap: an intersection over union of a third.
    loose = [board([(0, "short")], told(10, 0.9))]
    assert evaluate(loose, 0.33, any_of, verified=True)["overall"] == pytest.approx(
        {"precision": 1.0, "recall": 1.0, "f1": 1.0, "support": 1, "ap50": 0.0, "ap": 1.0}
    )
    assert evaluate(loose, 0.5, any_of, verified=True)["overall"]["recall"] == 0.0


def test_a_large_board_with_large_defects_counts_as_well() -> None:
    big = Truth("short", Box(3000, 3000, 2000, 2000))
    found = Detection("short", 0.9, Box(3000, 3000, 2000, 2000), settled=Check(0, Result.FAIL, "so"))
    boards = [InspectedBoard("big", (big,), Manifest(6000, 6000, (found,), 0), (found,), Verdict.FAIL)]
    assert evaluate(boards, 0.5, any_of, verified=True)["overall"]["ap50"] == pytest.approx(1.0)


def test_a_truth_is_found_once_and_by_the_surest() -> None:
    figures = evaluate([board([(0, "short")], told(2, 0.6), told(0, 0.9))], 0.5, any_of, verified=True)
    assert (figures["overall"]["precision"], figures["overall"]["recall"]) == (0.5, 1.0)


def test_the_wrong_class_is_a_miss_and_a_false_finding_but_well_localised() -> None:
    figures = evaluate([board([(0, "short")], told(0, 0.9, "spur"))], 0.5, any_of, verified=True)
    assert (figures["overall"]["recall"], figures["localisation"]["recall"]) == (0.0, 1.0)
    assert figures["confusion"]["short"] == {"short": 0, "spur": 1, NONE: 0}
    assert figures["per_class"]["spur"]["recall"] is None, "there is no spur to be found"
    assert figures["per_class"]["spur"]["ap50"] is None


def test_what_verification_clears_counts_before_it_only() -> None:
    boards = [board([], told(0, 0.9, result=Result.PASS)), board([(0, "short")], told(0, 0.9, result=Result.PASS))]
    before = evaluate(boards, 0.5, any_of, verified=False)
    after = evaluate(boards, 0.5, any_of, verified=True)
    assert (before["overall"]["recall"], after["overall"]["recall"]) == (1.0, 0.0)
    assert (before["boards"]["false_calls"], before["boards"]["escapes"]) == (1, 0)
    assert (after["boards"]["false_calls"], after["boards"]["escapes"]) == (0, 1)
    assert after["boards"]["escape_rate"] == 1.0


def test_boards_nobody_can_judge_go_to_review_and_those_not_inspected_are_told_apart() -> None:
    unread = InspectedBoard("unread", (), None, (), Verdict.ERROR)
    boards = [
        board([(0, "short")], told(0, 0.9, result=Result.UNSURE)),
        board([], doubts=("It can't be registered.",)),
        unread,
        board([]),
    ]
    levels = evaluate(boards, 0.5, any_of, verified=True)["boards"]
    assert (levels["total"], levels["bad"], levels["good"]) == (4, 1, 3)
    assert (levels["review"], levels["error"], levels["escapes"], levels["false_calls"]) == (2, 1, 0, 0)


def test_the_sweep_tells_what_each_confidence_would_cost_and_the_choice_follows_from_it() -> None:
    boards = [board([(0, "short")], told(0, 0.35)), board([(0, "short")], told(0, 0.75)), board([], told(0, 0.55))]
    points = {point["confidence"]: point for point in evaluate(boards, 0.5, any_of, verified=True)["sweep"]}
    assert [
        (points[at]["recall"], points[at]["escapes"], points[at]["false_calls"]) for at in (0.3, 0.5, 0.6, 0.8)
    ] == [
        (1.0, 0, 1),
        (0.5, 1, 1),
        (0.5, 1, 0),
        (0.0, 2, 0),
    ]
    in_order = list(points.values())
    assert choose(in_order, recall=1.0)["confidence"] == 0.34  # type: ignore[index]
    assert choose(in_order, recall=0.5)["confidence"] == 0.74  # type: ignore[index]
    missing = evaluate([board([(0, "short")])], 0.5, any_of, verified=True)["sweep"]
    assert choose(missing, recall=0.9) is None


def test_calibration_tells_whether_a_confidence_means_what_it_says() -> None:
    boards = [board([(0, "short")], told(0, 0.9), told(100, 0.9)), board([], told(0, 0.1))]
    found = [board.found(verified=False, counts=any_of) for board in boards]
    lowest, *_, highest = metrics.calibration(found, boards, 0.5)
    assert (highest["count"], highest["confidence"], highest["precision"]) == (2, pytest.approx(0.9), 0.5)
    assert (lowest["count"], lowest["precision"]) == (1, 0.0)


def test_without_any_truth_there_is_no_recall_and_no_average_precision() -> None:
    overall = evaluate([board([])], 0.5, any_of, verified=True)["overall"]
    assert overall == {"precision": None, "recall": None, "f1": None, "support": 0, "ap50": None, "ap": None}

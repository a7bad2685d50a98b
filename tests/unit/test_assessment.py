"""What an evaluation tells beside precision and recall: coverage, each detector's part, and what is no defect at all."""

from dataclasses import replace
from pathlib import Path

import pytest

from linegate.config import parse
from linegate.deciders import DETECT
from linegate.evaluation.clearing import cleared
from linegate.evaluation.coverage import coverage
from linegate.evaluation.detectors import by_detector
from linegate.evaluation.labels import Sample, Truth
from linegate.evaluation.metrics import InspectedBoard, evaluate
from linegate.evaluation.outcomes import Outcome
from linegate.evaluation.terminal import beside
from linegate.inspection import (
    Answer,
    Check,
    Coverage,
    Detection,
    Inspection,
    Loss,
    Manifest,
    Measure,
    ObjectRef,
    Place,
    Result,
    Revision,
    Verdict,
)
from linegate.settings import Recipe
from linegate.shapes import Box
from linegate.verdict import decide
from tests.fakes import START

SHORT, SPUR = Box(50, 50, 20, 20), Box(150, 50, 20, 20)
GAP = Measure("gap", 0.25, "mm", 0.2, 0.3)


def recipe(text: str = "{golden: golden.png}", more: str = "") -> Recipe:
    return parse(f"recipes: {{pcb: {text}}}\nlines: {{smt-1: {{recipe: pcb}}}}\n{more}", Path(), {}).recipes["pcb"]


def outcome(
    *detections: Detection,
    truths: tuple[Truth, ...] = (),
    checks: dict[int, Check] | None = None,
    answers: tuple[Answer, ...] = (),
    name: str = "board",
    by: Recipe | None = None,
) -> Outcome:
    """A board as the gate decides it: what is not settled has its check in `checks`."""
    manifest = Manifest.of(detections, width=200, height=100, answers=answers)
    decision = decide(manifest, checks or {})
    image = ObjectRef("uploads", f"{name}.png", 1)
    place = Place("evaluate", "bench", name)
    revision = Revision(1, DETECT, START, decision)
    inspection = Inspection(
        image.inspection_id, image, place, "evaluate", START, START, START, manifest=manifest, revision=revision
    )
    return Outcome(Sample(name, Path(f"{name}.png"), truths), inspection, by or recipe())


def settled(result: Result, measure: Measure | None = None, name: str = "gap") -> Detection:
    return Detection(name, 1.0, SPUR, settled=Check(0, result, "so", "gauge"), measure=measure)


def any_of(_: Detection) -> bool:
    return True


def levels(board: InspectedBoard, *, verified: bool) -> tuple[int, int, int]:
    told = evaluate([board], 0.5, any_of, verified=verified)
    return told["boards"]["false_calls"], told["boards"]["review"], len(board.found(verified=verified, counts=any_of))


@pytest.mark.parametrize("verified", [True, False])
def test_a_number_inside_its_limits_is_no_finding_before_or_after_verification(verified: bool) -> None:
    board = outcome(settled(Result.PASS, GAP)).board
    assert levels(board, verified=verified) == (0, 0, 0)
    figures = evaluate([board], 0.5, any_of, verified=verified)
    assert "gap" not in figures["per_class"], "it is no class of defects"
    assert sum(fifth["count"] for fifth in figures["calibration"]) == 0
    assert board.verdict is Verdict.PASS


@pytest.mark.parametrize("verified", [True, False])
@pytest.mark.parametrize(
    ("result", "told"), [(Result.FAIL, (1, 0, 1)), (Result.UNSURE, (0, 1, 1)), (Result.PASS, (0, 0, 0))]
)
def test_what_a_detector_settles_is_the_same_before_verification_as_after(
    verified: bool, result: Result, told: tuple[int, int, int]
) -> None:
    assert levels(outcome(settled(result)).board, verified=verified) == told


def test_what_a_verifier_clears_still_counts_before_it_also_where_it_comes_with_the_detection() -> None:
    short = Detection("short", 0.8, SHORT)
    board = outcome(short, settled(Result.PASS, GAP), checks={0: Check(0, Result.PASS, "a shadow", "verifier")}).board
    assert (levels(board, verified=False), levels(board, verified=True)) == ((1, 0, 1), (0, 0, 0))
    workflow = recipe(
        "{detector: roboflow, workflow: {id: w}, verifier: workflow}", "roboflow: {workspace: w, api_key: k}"
    )
    judged = replace(short, settled=Check(0, Result.PASS, "a shadow", "workflow"))
    board = outcome(judged, by=workflow).board
    assert (levels(board, verified=False), levels(board, verified=True)) == ((1, 0, 1), (0, 0, 0))


def test_a_verifiers_record_holds_only_what_it_was_asked() -> None:
    short = Detection("short", 0.8, SHORT)
    board = outcome(
        short,
        settled(Result.PASS, GAP),
        settled(Result.PASS, name="screw"),
        checks={0: Check(0, Result.PASS, "a shadow", "verifier")},
    )
    assert [one.class_name for one in cleared([board], any_of)] == ["short"]


def test_coverage_is_told_with_its_least_and_what_took_it() -> None:
    def board(name: str, told: Coverage | None) -> InspectedBoard:
        return outcome(answers=(Answer("golden", "golden", coverage=told),), name=name).board

    boards = [
        board("whole", Coverage()),
        board("glaring", Coverage(0.97, (Loss("glare", 0.03),))),
        board("beyond", Coverage(0.9, (Loss("outside the golden picture", 0.08), Loss("glare", 0.02)))),
        board("unknown", None),
    ]
    told = coverage(boards, 0.98)
    assert (told["known"], told["least"], told["p5"], told["p50"], told["wanted"]) == (3, 0.9, 0.9, 0.97, 0.98)
    assert told["below"] == ["glaring", "beyond"]
    assert [(cause["why"], cause["boards"], cause["most"]) for cause in told["lost"]] == [
        ("outside the golden picture", 1, 0.08),
        ("glare", 2, 0.03),
    ]
    assert told["lost"][1]["part"] == pytest.approx(0.05 / 3)
    assert coverage([boards[-1]], 0.98)["least"] is None


def test_each_detector_is_told_with_what_it_brought_alone_and_together() -> None:
    truths = (Truth("short", SHORT), Truth("spur", SPUR))
    answers = (Answer("golden", "golden", took_ms=40), Answer("mine", "model", took_ms=90, coverage=Coverage(0.9)))
    short = Detection("short", 0.9, SHORT, found_by=("golden", "mine"))
    spur = Detection("spur", 0.8, SPUR, found_by=("mine",))
    false = Detection("spur", 0.7, Box(100, 20, 10, 10), found_by=("mine",))
    both = Detection("pin_hole", 0.7, Box(100, 80, 10, 10), found_by=("golden", "mine"))
    boards = [
        outcome(short, spur, false, both, truths=truths, answers=answers).board,
        outcome(answers=answers[:1], name="unanswered").board,
    ]
    golden, mine = by_detector(boards, ["golden", "mine"], 0.5, any_of)
    keys = ("answered", "true_alone", "true_together", "false_alone", "false_together")
    assert [golden[key] for key in keys] == [2, 0, 1, 0, 1]
    assert [mine[key] for key in keys] == [1, 1, 1, 1, 1]
    report = {"masks": None, "coverage": coverage(boards, 0.98), "detectors": [golden, mine], "boards": {"total": 2}}
    seen, *_, below, _, of_mine = beside(report)
    assert seen == "coverage: least 90.0 %, p5 90.0 %, p50 90.0 %; 1 board of 1 below 98.0 %"
    assert below == "    below: board"
    assert of_mine == (
        "detector mine: 1 defects found by it alone, 1 with others; 1 false findings alone, 1 with others; p50 90 ms, "
        "answered 1 of 2 boards"
    )
    assert (golden["took_ms"]["p50"], mine["took_ms"]["p50"], mine["least_coverage"]) == (40, 90, 0.9)
    (only,) = by_detector([outcome(replace(short, found_by=()), truths=truths).board], ["golden"], 0.5, any_of)
    assert (only["true_alone"], only["true_together"]) == (1, 0)

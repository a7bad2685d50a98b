"""The verifier's leash: what a detector was surer of than `clear_below`, no verifier's PASS clears."""

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linegate.adapters.golden.kind import GoldenDetection
from linegate.adapters.roboflow.kind import RoboflowDetection, WorkflowVerification
from linegate.adapters.roboflow.service import Workflow
from linegate.config import parse
from linegate.handlers.policy import apply
from linegate.inspection import Check, Manifest, Measure, Result, Verdict
from linegate.ports import Found
from linegate.sections import ClassPolicy
from linegate.settings import Recipe
from linegate.shapes import Box
from linegate.stages import CHECKS, CROPS, UPLOADS
from linegate.stored import dump, load
from linegate.verdict import decide
from tests.fakes import detection
from tests.harness import CONFIG, Gate

JUDGED = Recipe(detectors=[RoboflowDetection(workflow=Workflow(id="pcb"))], verifier=WorkflowVerification())


def sure(gate: Gate, confidence: float) -> None:
    gate.detector.found = Found((detection("short", confidence=confidence),), "static")
    gate.verifier.answers = {"short": Result.PASS}


def seen(confidence: float, settled: Check | None) -> Found:
    return Found((replace(detection("short", confidence=confidence), settled=settled),), "static")


@given(
    st.floats(0, 1),
    st.none() | st.floats(0, 1),
    st.lists(
        st.tuples(st.sampled_from(["short", "spur"]), st.floats(0, 1), st.none() | st.sampled_from(Result)), max_size=6
    ),
    st.lists(st.none() | st.sampled_from(Result), min_size=6, max_size=6),
)
def test_no_board_passes_with_a_finding_above_the_leash(
    leash: float, of_class: float | None, found: list[tuple[str, float, Result | None]], said: list[Result | None]
) -> None:
    recipe = JUDGED.changed(clear_below=leash, confidence=0.0, classes={"short": ClassPolicy(clear_below=of_class)})
    detections = [
        replace(detection(name, confidence=confidence), settled=Check(0, result, "It says so.") if result else None)
        for name, confidence, result in found
    ]
    kept = apply(recipe, detections, 100, 100)
    manifest = Manifest.of(kept.detections, width=100, height=100)
    checks = {
        index: Check(index, result, "because")
        for index, result in enumerate(said[: manifest.expected])
        if result is not None
    }
    decision = decide(load(Manifest, dump(manifest)), checks)
    above = any(
        confidence > (of_class if name == "short" and of_class is not None else leash) for name, confidence, _ in found
    )
    if above:
        assert decision.verdict is not Verdict.PASS
    for one, check in zip(manifest.detections, decision.checks, strict=True):
        assert check.result is not Result.PASS or one.clearable
        assert not check.overruled or (check.result is Result.UNSURE and not one.clearable)


@pytest.mark.parametrize(("confidence", "verdict"), [(0.9, "PASS"), (0.95, "REVIEW")])
def test_a_pass_of_the_verifier_counts_up_to_the_leash(gate: Gate, confidence: float, verdict: str) -> None:
    sure(gate, confidence)
    upload = gate.upload()
    gate.run()
    assert gate.verdict(upload) == verdict


def test_the_reason_tells_both_figures_and_what_the_verifier_said(gate: Gate) -> None:
    sure(gate, 0.9004)
    upload = gate.upload()
    gate.run()
    revision = gate.board(upload).revision
    assert revision is not None
    (reason,) = revision.decision.reasons
    assert "The detector and the verifier disagree" in reason
    assert "confidence 0.9004, above 0.9 (clear_below), and cleared: It is pass." in reason
    (check,) = revision.decision.checks
    assert (check.result, check.overruled, check.model) == (Result.UNSURE, True, "static")
    stored = gate.inspections.checks(upload.image.inspection_id, 1)[0]
    assert (stored.result, stored.reason) == (Result.PASS, "It is pass."), "what the verifier said stays as it is"


def test_a_late_check_and_the_sweep_are_on_the_leash_too(gate: Gate) -> None:
    sure(gate, 0.95)
    upload = gate.upload()
    gate.run(UPLOADS, CROPS)
    gate.clock.advance(100)
    gate.sweep()
    assert gate.verdict(upload) == "REVIEW"
    gate.run()
    board = gate.board(upload)
    assert board.complete
    assert gate.verdict(upload) == "REVIEW"


def test_what_was_decided_with_the_manifest_holds_whatever_the_recipe_says_by_then(gate: Gate) -> None:
    sure(gate, 0.95)
    upload = gate.upload()
    gate.run(UPLOADS)
    gate.settings = parse(CONFIG.replace("golden.png, ", "golden.png, clear_below: 1, ", 1), Path(), {})
    crop = gate.bus.take(CROPS)[0]
    gate.handle(CROPS, crop)
    gate.run(CHECKS)
    assert gate.verdict(upload) == "REVIEW"


def test_results_of_the_workflow_are_a_verifiers_and_a_detectors_own_are_not() -> None:
    cleared = Check(0, Result.PASS, "The workflow's own check of the crop answered PASS.")
    assert not apply(JUDGED, seen(0.95, cleared).detections, 100, 100).detections[0].clearable
    own = apply(Recipe(), seen(1.0, cleared).detections, 100, 100).detections
    assert own[0].clearable, "it found it sound by itself: nobody disagrees"


@pytest.mark.parametrize(
    ("found_by", "measure", "clearable"),
    [(("trained",), None, False), (("golden",), None, True), (("trained",), Measure("width", 1.0, "mm"), True)],
)
def test_among_several_detectors_the_leash_is_on_what_the_verifiers_own_says(
    found_by: tuple[str, ...], measure: Measure | None, clearable: bool
) -> None:
    trained = RoboflowDetection(name="trained", workflow=Workflow(id="pcb"))
    recipe = Recipe(detectors=[GoldenDetection(), trained], verifier=WorkflowVerification())
    cleared = Check(0, Result.PASS, "It is sound.")
    found = replace(detection(confidence=1.0), settled=cleared, found_by=found_by, measure=measure)
    assert apply(recipe, [found], 100, 100).detections[0].clearable is clearable


def test_a_manifest_of_an_earlier_release_has_no_leash() -> None:
    manifest = Manifest.of([detection("short", confidence=0.99)], width=9, height=9)
    document = dump(manifest)
    del document["detections"][0]["clear_below"]
    assert decide(load(Manifest, document), {0: Check(0, Result.PASS, "fine")}).verdict is Verdict.PASS


def test_without_a_leash_the_surest_is_cleared() -> None:
    kept = apply(Recipe(clear_below=1.0), [replace(detection(confidence=1.0), box=Box(5, 5, 2, 2))], 100, 100)
    manifest = Manifest.of(kept.detections, width=100, height=100)
    assert decide(manifest, {0: Check(0, Result.PASS, "fine")}).verdict is Verdict.PASS

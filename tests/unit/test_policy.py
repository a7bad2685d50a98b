"""What a recipe makes of detections: which count, which need a check, and which are only told."""

from dataclasses import replace
from time import process_time

import pytest

from linegate.adapters.roboflow.kind import RoboflowDetection
from linegate.adapters.roboflow.service import Workflow
from linegate.deciders import DETECT
from linegate.handlers.policy import apply
from linegate.inspection import Answer, Check, LeftOut, Manifest, Measure, Result, Revision, Verdict
from linegate.ports import Found
from linegate.sections import ClassPolicy, Zone
from linegate.settings import Recipe
from linegate.shapes import Box
from linegate.stages import UPLOADS
from linegate.stored import dump
from linegate.texts import brief
from linegate.verdict import decide
from tests.fakes import START, detection
from tests.harness import Gate

TRAINED = RoboflowDetection(workflow=Workflow(id="pcb"))


@pytest.mark.parametrize(
    ("recipe", "outcome"),
    [
        (Recipe(confidence=0.5), "check"),
        (Recipe(confidence=0.95), "dropped"),
        (Recipe(confidence=0.95, classes={"short": ClassPolicy(minimum_confidence=0.2)}), "check"),
        (Recipe(confidence=0.1, classes={"short": ClassPolicy(minimum_confidence=0.95)}), "dropped"),
        (Recipe(verifier="none"), "fail"),
        (Recipe(classes={"short": ClassPolicy(verify="never")}), "fail"),
        (Recipe(classes={"short": ClassPolicy(auto_fail_above=0.85)}), "fail"),
        (Recipe(classes={"short": ClassPolicy(auto_fail_above=0.9)}), "check"),
        (Recipe(classes={"spur": ClassPolicy(verify="never")}), "check"),
        (Recipe(verifier="none", confidence=0.95), "dropped"),
    ],
)
def test_class_policies_drop_settle_or_check_a_detection(recipe: Recipe, outcome: str) -> None:
    kept = apply(recipe, [detection("short", confidence=0.9)], 100, 100).detections
    settled = kept[0].settled if kept else None
    said = "dropped" if not kept else settled.result.value.lower() if settled else "check"
    assert said == outcome


def test_a_board_that_policy_settles_alone_is_decided_at_once(gate: Gate) -> None:
    gate.finds("short")
    upload = gate.upload("uploads/smt-2/aoi/A.png")
    gate.run(UPLOADS)
    assert gate.verdict(upload) == "FAIL"
    assert gate.board(upload).manifest is not None


ZONE = Zone(left=0.0, top=0.0, right=0.3, bottom=0.5)
# On a picture of 200 by 100 pixels: from 40 to 120 and from 10 to 50
WIDE = Zone(left=0.2, top=0.1, right=0.6, bottom=0.5)


@pytest.mark.parametrize(
    ("box", "kept"),
    [
        (Box(80, 30, 10, 10), False),
        (Box(80, 30, 80, 40), False),  # exactly the zone
        (Box(44, 30, 10, 10), True),  # reaches out of it, to the left
        (Box(116, 30, 10, 10), True),
        (Box(80, 14, 10, 10), True),
        (Box(80, 46, 10, 10), True),
        (Box(20, 30, 10, 10), True),
        (Box(150, 30, 10, 10), True),
        (Box(80, 70, 10, 10), True),
        (Box(80, 5, 10, 10), True),
        (Box(100, 50, 200, 100), True),
    ],
)
def test_only_what_lies_wholly_inside_an_ignored_zone_is_ignored(box: Box, kept: bool) -> None:
    seen = replace(detection(), box=box)
    assert bool(apply(Recipe(ignore=[WIDE]), [seen], 200, 100).detections) is kept


def test_what_lies_in_one_of_several_ignored_zones_is_ignored() -> None:
    elsewhere = Zone(left=0.8, top=0.8, right=1, bottom=1)
    assert apply(
        Recipe(ignore=[elsewhere, WIDE]), [replace(detection(), box=Box(80, 30, 9, 9))], 200, 100
    ).left_out == (LeftOut(ignored=1))


def test_a_detection_of_just_the_confidence_counts() -> None:
    recipe = Recipe(confidence=0.5, classes={"spur": ClassPolicy(minimum_confidence=0), "open": ClassPolicy()})
    seen = [detection(confidence=0.5), detection("spur", confidence=0), detection("open", confidence=0.49)]
    assert [one.class_name for one in apply(recipe, seen, 100, 100).detections] == ["short", "spur"]
    assert recipe.lowest_confidence == 0  # else a service would keep from us what counts


def test_a_leash_of_0_lets_nothing_be_cleared() -> None:
    recipe = Recipe(clear_below=0.95, classes={"short": ClassPolicy(clear_below=0)})
    short, spur = apply(recipe, [detection(), detection("spur")], 100, 100).detections
    assert (short.clearable, spur.clearable) == (False, True)


def test_a_picture_with_hundreds_of_findings_goes_to_a_person_and_costs_no_check(gate: Gate) -> None:
    gate.finds(*["short"] * 201)
    upload = gate.upload()
    gate.run()
    revision = gate.board(upload).revision
    assert revision is not None
    assert gate.verdict(upload) == "REVIEW"
    assert "more than max_checks (200)" in revision.decision.summary
    assert gate.verifier.calls == 0
    gate.finds(*["short"] * 200)
    upload = gate.upload("uploads/smt-1/aoi/B.png")
    gate.run()
    assert (gate.verdict(upload), gate.verifier.calls) == ("FAIL", 200)


def test_a_class_nobody_wrote_a_policy_for_counts_and_says_so() -> None:
    named = {"short": ClassPolicy()}
    (trained,) = apply(Recipe(detectors=[TRAINED], classes=named), [detection("scratch")], 100, 100).detections
    assert trained.note == "this class is not in the recipe"
    for recipe in (Recipe(detectors=[TRAINED]), Recipe(classes=named)):
        assert apply(recipe, [detection("scratch")], 100, 100).detections[0].note == ""


def test_as_many_checks_as_may_be_made_are_made() -> None:
    two, three = (apply(Recipe(max_checks=2), [detection()] * count, 100, 100).detections for count in (2, 3))
    assert {one.settled for one in two} == {None}
    assert {one.settled.result for one in three if one.settled} == {Result.UNSURE}


def test_a_class_of_one_detector_is_known_though_another_one_is_trained() -> None:
    named, golden = {"short": ClassPolicy()}, {"type": "golden", "name": "compared"}
    recipe = Recipe(detectors=[TRAINED, golden], golden="golden.png", classes=named)
    known, unknown = (replace(detection(), class_name=name) for name in (recipe.detectors[1].names[0], "scratch"))
    notes = [one.note for one in apply(recipe, [known, unknown], 100, 100).detections]
    assert notes == ["", "this class is not in the recipe"]


def test_who_settled_a_finding_is_told() -> None:
    """Not the model that found it: nobody would look for the recipe's rule there."""
    for recipe in (Recipe(verifier="none"), Recipe(max_checks=1, verifier="gemini")):
        for one in apply(recipe, [detection()] * 2, 100, 100).detections:
            assert one.settled is not None and one.settled.model == "policy"


# --- what is left out, and what is too much


def test_as_many_findings_as_may_be_kept_stay_as_the_detector_told_them() -> None:
    seen = [detection("short", confidence=0.5), detection("spur")]
    kept = apply(Recipe(max_findings=2), seen, 100, 100)
    assert ([one.class_name for one in kept.detections], kept.doubts) == (["short", "spur"], ())


def test_what_policy_leaves_out_is_counted_in_the_manifest_and_the_summary(gate: Gate) -> None:
    unsure = [detection("short", confidence=0.1), detection("spur", confidence=0.2)]
    gate.detector.found = Found((*unsure, detection("spur")), "static")
    gate.verifier.answers["spur"] = Result.PASS
    upload = gate.upload()
    gate.run()
    board = gate.board(upload)
    assert board.manifest is not None and board.revision is not None
    assert board.manifest.left_out == LeftOut(confidence=2)
    assert gate.verdict(upload) == "PASS"
    assert board.revision.decision.summary == (
        "No defect: 1 suspected place checked and cleared. 2 findings below the recipe's confidence were left out."
    )


def test_what_lies_in_ignored_zones_is_counted_apart() -> None:
    seen = [replace(detection(), box=Box(20, 20, 10, 10)), detection(confidence=0.1)]
    kept = apply(Recipe(ignore=[ZONE]), seen, 100, 100)
    assert (kept.detections, kept.left_out) == ((), LeftOut(confidence=1, ignored=1))
    manifest = Manifest.of(
        kept.detections, width=100, height=100, answers=(Answer("static", "static"),), left_out=kept.left_out
    )
    assert decide(manifest, {}).summary == (
        "No defect was found on this product. 1 finding below the recipe's confidence was left out. "
        "1 finding in ignored parts of the picture was left out."
    )


@pytest.mark.slow
def test_of_too_many_findings_the_surest_are_kept_and_the_board_can_not_pass(gate: Gate) -> None:
    settled = Check(0, Result.PASS, "It is dust.", "workflow")
    findings = [replace(detection(confidence=0.4 + n / 10_000), settled=settled) for n in range(1500)]
    kept = apply(Recipe(max_findings=1000), findings, 100, 100)
    assert len(kept.detections) == 1000
    assert min(one.confidence for one in kept.detections) == pytest.approx(0.45)
    assert kept.left_out == LeftOut(surplus=500)
    gate.detector.found = Found(tuple(findings), "static")
    upload = gate.upload()
    gate.run()
    board = gate.board(upload)
    assert gate.verdict(upload) == "REVIEW"
    assert board.revision is not None
    assert "1500 findings on one picture" in board.revision.decision.summary
    assert "500 were left out" in board.revision.decision.summary


def test_a_defect_that_is_settled_is_kept_before_what_was_cleared() -> None:
    cleared = [replace(detection(confidence=0.9), settled=Check(0, Result.PASS, "", "")) for _ in range(5)]
    failed = replace(detection("spur", confidence=0.5), settled=Check(0, Result.FAIL, "", ""))
    kept = apply(Recipe(max_findings=2), [*cleared, failed], 100, 100)
    assert [one.class_name for one in kept.detections] == ["spur", "short"]


def test_a_hundred_thousand_findings_are_settled_in_a_moment() -> None:
    findings = [detection(confidence=0.3 + n / 200_000) for n in range(100_000)]
    started = process_time()
    kept = apply(Recipe(ignore=[ZONE]), findings, 1000, 1000)
    assert process_time() - started < 3
    assert len(kept.detections) + kept.left_out.ignored + kept.left_out.surplus == 100_000


def stored_bytes(value: object) -> int:
    """What Firestore counts for a value: https://firebase.google.com/docs/firestore/storage-size"""
    if isinstance(value, dict):
        return 32 + sum(len(key.encode()) + 1 + stored_bytes(item) for key, item in value.items())
    if isinstance(value, list):
        return sum(map(stored_bytes, value))
    if isinstance(value, str):
        return len(value.encode()) + 1
    return 1 if value is None or isinstance(value, bool) else 8


@pytest.mark.parametrize("settled", [True, False])
@pytest.mark.parametrize("letter", ["x", "€", "😀"])
def test_the_worst_board_fits_into_a_document(letter: str, settled: bool) -> None:
    said = Check(0, Result.UNSURE, brief(letter * 400), letter * 60, letter * 60, 1000.5, 1234)
    one = replace(detection(letter * 100), note=letter * 100, settled=said if settled else None)
    recipe = Recipe(verifier="gemini", max_checks=1000)
    kept = apply(recipe, [one] * 5000, 100, 100)
    assert len(kept.detections) > 100
    doubts = tuple(brief(letter * 400) for _ in range(20)) + kept.doubts
    manifest = Manifest.of(
        kept.detections, width=100, height=100, answers=(Answer("d", "d"),), doubts=doubts, left_out=kept.left_out
    )
    decision = decide(manifest, {index: replace(said, index=index) for index in range(manifest.expected)})
    assert decision.verdict is Verdict.REVIEW
    revision = Revision(1, DETECT, START, decision, "results/x/r1.jpg")
    assert stored_bytes(dump(manifest)) + stored_bytes(dump(revision)) < 1_000_000


def test_outlines_and_measures_fit_into_a_document_too_or_give_way() -> None:
    """A box says where as well: no finding is left out for the sake of outlines."""
    drawn = replace(detection(), outline=tuple((float(n), n + 0.5) for n in range(60)))
    recipe = Recipe(verifier="gemini", max_findings=1000)
    few, many = (apply(recipe, [drawn] * count, 100, 100).detections for count in (240, 400))
    assert [bool(one.outline) for one in (few[0], many[0])] == [True, False]
    assert (len(few), len(many)) == (240, 400)
    measured = replace(detection(), measure=Measure("gap" * 30, 0.3, "mm", 0.2, 0.4))
    for each in (few, many, apply(recipe, [measured] * 1000, 100, 100).detections):
        manifest = Manifest.of(each, width=100, height=100, answers=(Answer("d", "d"),))
        assert stored_bytes(dump(manifest)) < 400_000


def test_a_name_that_is_no_text_is_counted_like_any_other() -> None:
    (kept,) = apply(Recipe(), [detection("bad\udc80name")], 100, 100).detections
    assert kept.class_name == "bad\udc80name"


@pytest.mark.parametrize("result", [Result.PASS, Result.UNSURE])
def test_a_rule_for_the_class_changes_no_number_and_no_defect(result: Result) -> None:
    """A measure keeps what was measured, and a defect who called it one; only what was cleared is no longer."""
    recipe = Recipe(classes={"short": ClassPolicy(verify="never")})
    measured = replace(detection(), measure=Measure("gap", 0.3, "mm"), settled=Check(0, result, "Measured.", "gauge"))
    failed = replace(detection(), settled=Check(0, Result.FAIL, "It is bent.", "assembly"))
    cleared = replace(detection(), settled=Check(0, result, "It is dust.", "assembly"))
    told = [one.settled for one in apply(recipe, [measured, failed, cleared], 100, 100).detections]
    assert told[:2] == [measured.settled, failed.settled]
    assert told[2] is not None and (told[2].result, told[2].model) == (Result.FAIL, "policy")


def test_a_gauge_that_cant_be_read_is_not_ignored_wherever_its_zone_came_to_lie() -> None:
    """Ignored parts are about suspicions there; that a gauge saw nothing is about the product."""
    unread = Check(0, Result.UNSURE, "It can't be measured: no edge was found.", "measure")
    everywhere = Recipe(ignore=[Zone(left=0, top=0, right=0.9, bottom=1)])
    assert apply(everywhere, [detection()], 100, 100).left_out.ignored == 1
    assert apply(everywhere, [replace(detection(), settled=unread)], 100, 100).left_out.ignored == 0


def test_what_the_workflow_judged_of_an_ignored_part_is_ignored() -> None:
    judged = Check(0, Result.UNSURE, "The workflow gave no answers.", "workflow")
    recipe = Recipe(
        detectors=[TRAINED], verifier={"type": "workflow"}, ignore=[Zone(left=0, top=0, right=0.9, bottom=1)]
    )
    assert apply(recipe, [replace(detection(), settled=judged)], 100, 100).left_out.ignored == 1


def test_a_measure_that_is_still_to_be_checked_is_on_the_leash() -> None:
    unsettled = replace(detection(), measure=Measure("gap", 0.3, "mm", 0.2, 0.4))
    (one,) = apply(Recipe(clear_below=0.5), [unsettled], 100, 100).detections
    assert one.clear_below == 0.5

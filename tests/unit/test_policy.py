"""What a recipe makes of detections: which count, which need a check, and which are only told."""

from dataclasses import replace

import pytest

from linegate.events import UPLOADS
from linegate.handlers.policy import apply
from linegate.inspection import Box
from linegate.settings import ClassPolicy, Recipe, Zone
from tests.fakes import detection
from tests.harness import Gate


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


@pytest.mark.parametrize(
    ("box", "kept"),
    [
        (Box(20, 20, 10, 10), False),
        (Box(15, 25, 30, 50), False),  # exactly the zone
        (Box(30, 20, 10, 10), True),  # reaches out of it
        (Box(20, 50, 10, 10), True),
        (Box(60, 60, 10, 10), True),
        (Box(50, 50, 100, 100), True),
    ],
)
def test_only_what_lies_wholly_inside_an_ignored_zone_is_ignored(box: Box, kept: bool) -> None:
    seen = replace(detection(), box=box)
    assert bool(apply(Recipe(ignore=[ZONE]), [seen], 100, 100).detections) is kept


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
    (trained,) = apply(Recipe(detector="roboflow", classes=named), [detection("scratch")], 100, 100).detections
    assert trained.note == "this class is not in the recipe"
    for recipe in (Recipe(detector="roboflow"), Recipe(classes=named)):
        assert apply(recipe, [detection("scratch")], 100, 100).detections[0].note == ""

"""Several detectors look at one picture: what one says counts, what one can't say is a doubt."""

import io
from dataclasses import replace
from pathlib import Path
from threading import Barrier

import pytest
from PIL import Image

from linegate.config import parse
from linegate.errors import ConfigError, PermanentError, TransientError
from linegate.inspection import Check, Coverage, Detection, Loss, Measure, Result
from linegate.merging import merged
from linegate.ports import Found, Reference
from linegate.shapes import Box
from linegate.stages import CROPS, UPLOADS
from tests.fakes import StaticDetector, detection
from tests.harness import BOTH, CONFIG, Gate

SPUR, SHORT = detection("spur", 10, 0.6), detection("short", 40)


def test_what_each_of_them_found_counts_and_tells_by_whom(gate: Gate) -> None:
    gate.detector.found, gate.trained.found = Found((SPUR,), "compared"), Found((SHORT,), "learned")
    upload = gate.upload(BOTH)
    gate.run()
    manifest = gate.board(upload).manifest
    assert manifest is not None
    assert [(one.class_name, one.found_by) for one in manifest.detections] == [
        ("short", ("trained",)),
        ("spur", ("golden",)),
    ]
    assert [(answer.detector, answer.model) for answer in manifest.answers] == [
        ("golden", "compared"),
        ("trained", "learned"),
    ]
    (body,) = gate.told("hmi")
    assert [each["name"] for each in body["detectors"]] == ["golden", "trained"]
    assert body["defects"][0]["size_mm"] == {"width": 0.8, "height": 0.8}


@pytest.mark.parametrize("failing", ["detector", "trained"])
@pytest.mark.parametrize("fault", [TransientError("503 after 45 s"), PermanentError("no such workflow")])
def test_one_that_fails_keeps_the_board_from_passing_and_is_named(gate: Gate, failing: str, fault: Exception) -> None:
    getattr(gate, failing).fault = fault
    upload = gate.upload(BOTH)
    gate.run()
    assert gate.verdict(upload) == "REVIEW"
    (reason,) = gate.told("hmi")[0]["reasons"]
    assert {"detector": "Detector golden", "trained": "Detector trained"}[failing] in reason
    assert str(fault) in reason


def test_the_others_findings_count_where_one_fails(gate: Gate) -> None:
    gate.finds("short")
    gate.trained.fault = TransientError("503 after 45 s")
    upload = gate.upload(BOTH)
    gate.run()
    assert gate.verdict(upload) == "FAIL"
    (body,) = gate.told("hmi")
    assert any("trained" in reason for reason in body["reasons"])
    assert body["defects"][0]["found_by"] == ["golden"]


def test_where_none_can_answer_the_upload_comes_again(gate: Gate) -> None:
    gate.detector.fault, gate.trained.fault = TransientError("busy"), TransientError("503")
    upload = gate.upload(BOTH)
    with pytest.raises(TransientError, match="busy"):
        gate.run(UPLOADS)
    assert gate.board(upload).manifest is None
    assert gate.board(upload).fault == "busy"


def test_they_look_at_the_same_time(gate: Gate) -> None:
    both = Barrier(2, timeout=20)

    class Waits(StaticDetector):
        def detect(self, picture: Image.Image, file: bytes, golden: Reference | None) -> Found:
            both.wait()
            return super().detect(picture, file, golden)

    gate.detector, gate.trained = Waits(), Waits()
    upload = gate.upload(BOTH)
    gate.run()
    assert gate.verdict(upload) == "PASS"


@pytest.mark.parametrize(("part", "verdict"), [(0.98, "PASS"), (0.9799, "REVIEW")])
def test_a_board_of_which_too_little_was_judged_does_not_pass(gate: Gate, part: float, verdict: str) -> None:
    lost = Loss("outside the golden picture", 1 - part)
    gate.detector.found = Found((), "compared", coverage=Coverage(part, (lost,)))
    gate.trained.found = Found((), "learned")  # it does not know, and takes nothing back
    upload = gate.upload(BOTH)
    gate.run()
    assert gate.verdict(upload) == verdict
    (body,) = gate.told("hmi")
    assert body["coverage"] == {"part": part, "lost": [{"why": lost.why, "part": lost.part}]}
    if verdict == "REVIEW":
        assert "Detector golden: Only 97.9 % (2.0 % outside the golden picture)" in body["reasons"][0]


def test_the_least_coverage_of_all_counts(gate: Gate) -> None:
    gate.detector.found = Found((), "compared", coverage=Coverage(0.999))
    gate.trained.found = Found((), "learned", coverage=Coverage(0.5))
    upload = gate.upload(BOTH)
    gate.run()
    assert (gate.verdict(upload), gate.told("hmi")[0]["coverage"]["part"]) == ("REVIEW", 0.5)


def test_a_heatmap_is_kept_and_named_by_the_findings_of_its_detector(gate: Gate) -> None:
    png = io.BytesIO()
    Image.new("L", (8, 8)).save(png, "PNG")
    gate.detector.found = Found((SPUR,), "compared")
    gate.trained.found = Found((SHORT,), "learned", heatmap=png.getvalue())
    upload = gate.upload(BOTH)
    gate.run()
    manifest = gate.board(upload).manifest
    assert manifest is not None
    named = {one.class_name: one.heatmap for one in manifest.detections}
    assert named["spur"] == ""
    assert gate.images.objects["results", named["short"]] == (1, png.getvalue())


def test_a_measure_within_its_limits_needs_no_check_and_is_told(gate: Gate) -> None:
    inside = Check(0, Result.PASS, "It is inside its limits.", "measure")
    gap = Detection("gap", 1.0, Box(20, 20, 8, 8), settled=inside, measure=Measure("gap", 0.31, "mm", 0.2, 0.4))
    gate.detector.found = Found((gap,), "calipers")
    upload = gate.upload("uploads/smt-2/aoi/A1.png")  # whose recipe takes every other detection for a defect
    gate.run(UPLOADS)
    assert not gate.bus.take(CROPS)
    gate.run()
    assert gate.verdict(upload) == "PASS"
    assert gate.told("hmi")[0]["defects"][0]["measure"] == {
        "name": "gap", "value": 0.31, "unit": "mm", "low": 0.2, "high": 0.4,
    }  # fmt: skip


# What two of them see is one finding

ONE = Detection("spur", 0.6, Box(20, 20, 10, 10))
SAME = Detection("spur", 0.9, Box(23, 20, 8, 8), outline=((19, 16), (27, 16), (27, 24)))


def test_the_same_defect_found_by_two_stands_once_with_both_names() -> None:
    (one,) = merged({"golden": (ONE,), "trained": (SAME,)})
    assert one == replace(SAME, found_by=("trained", "golden"), box=Box(21, 20, 12, 10))


@pytest.mark.parametrize(
    "other",
    [
        replace(SAME, class_name="short"),
        replace(SAME, box=Box(60, 20, 8, 8)),
        replace(SAME, measure=Measure("gap", 1.0, "px")),
        replace(SAME, box=Box(28, 20, 8, 8)),  # less than half of it lies in the other
        replace(SAME, box=Box(20, 20, 0, 0)),
        replace(SAME, box=Box(60, 60, 120, 120)),  # of so much more a crop of ONE would show next to nothing
        replace(SAME, box=Box(20, 20, 2, 2)),
    ],
)
def test_what_differs_in_class_or_place_stands_beside_it(other: Detection) -> None:
    assert len(merged({"golden": (ONE,), "trained": (other,)})) == 2


def test_two_findings_of_one_detector_stay_two() -> None:
    assert merged({"golden": (ONE, ONE)}) == (ONE, ONE)
    assert len(merged({"golden": (ONE, ONE), "trained": ()})) == 2


FAILED, UNSURE, CLEARED = (Check(0, result, "so") for result in (Result.FAIL, Result.UNSURE, Result.PASS))


@pytest.mark.parametrize(
    ("surer", "other", "left"),
    [
        (CLEARED, FAILED, FAILED),
        (FAILED, CLEARED, FAILED),
        (None, CLEARED, None),
        (CLEARED, None, None),
        (None, FAILED, FAILED),
        (CLEARED, UNSURE, UNSURE),
        (CLEARED, CLEARED, CLEARED),
    ],
)
def test_nothing_that_one_holds_against_the_product_is_lost(
    surer: Check | None, other: Check | None, left: Check | None
) -> None:
    (one,) = merged({"golden": (replace(ONE, settled=other),), "trained": (replace(SAME, settled=surer),)})
    assert one.settled == left


def test_what_one_could_not_judge_is_not_cleared_by_a_check_of_what_another_saw_there(gate: Gate) -> None:
    gate.detector.found = Found((replace(ONE, confidence=1.0, settled=UNSURE),), "zones")
    gate.trained.found = Found((SAME,), "learned")
    gate.verifier.answers = {"spur": Result.PASS}
    upload = gate.upload(BOTH)
    gate.run()
    assert gate.verdict(upload) == "REVIEW"


# How they are written


def faults(recipe: str) -> list[str]:
    head, _, tail = CONFIG.partition("  both:\n")
    with pytest.raises(ConfigError) as caught:
        parse(f"{head}  both: {recipe}\nlines:{tail.partition('lines:')[2]}", Path(), {})
    return caught.value.faults


@pytest.mark.parametrize(
    ("recipe", "fault"),
    [
        ("{golden: g.png, detector: golden, detectors: [{type: golden}]}", "both detector and detectors"),
        ("{golden: g.png, detectors: [{type: golden}, {type: golden}]}", "two detectors called 'golden'"),
        ("{golden: g.png, detectors: []}", "recipes.both.detectors: must not be empty"),
        ("{detectors: [{type: roboflow, workflow: {id: b}}, {type: golden}]}", "golden: is required by"),
        ("{golden: g.png, detectors: [{type: golden, colour: 1}]}", "recipes.both.detectors.0.colour: is not known"),
        ("{golden: g.png, detectors: [{type: yolo}]}", "recipes.both.detectors.0: is 'yolo'; allowed: golden"),
        ("{golden: g.png, detectors: [{type: roboflow}]}", "detectors.0.workflow: is required by detector 'roboflow'"),
        (
            "{golden: g.png, detectors: [{type: golden}], find: {open_circuit: 6 px}}",
            "recipes.both.find: is a key of detector golden: write it in a section of that type",
        ),
        (
            "{golden: g.png, detector: assembly, zones: [], find: {open_circuit: 6 px}}",
            "recipes.both.find: is a key of detector golden: write it in a section of that type",
        ),
        ("{golden: g.png, gauges: []}", "recipes.both.gauges: is a key of detector measure"),
        ("{golden: g.png, detector: measure, zones: []}", "recipes.both.zones: is a key of detector assembly"),
        ("{golden: g.png, name: x}", "recipes.both.name: is not known here"),
        ("{golden: g.png, detectors: [{type: golden}], verifier: workflow}", "reads the answer of detector"),
    ],
)
def test_what_is_wrong_with_them_is_told_where_it_stands(recipe: str, fault: str) -> None:
    told = faults(recipe)
    assert any(fault in one for one in told), told

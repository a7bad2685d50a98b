"""What a detector says that nobody can mean, or that breaks in it, never makes a board pass and never keeps others waiting."""

import math
from dataclasses import replace

import pytest
from PIL import Image

from linegate.errors import TransientError
from linegate.inspection import Check, Coverage, Detection, Loss, Measure, Result
from linegate.ports import Found, Reference
from linegate.shapes import Box
from linegate.sight import Sight
from linegate.stages import UPLOADS
from tests.boards import SIDE
from tests.fakes import MemoryImages, detection
from tests.harness import BOTH, REMOTE, Gate, SameBoard

NAN, INF = math.nan, math.inf
PASSED = Check(0, Result.PASS, "So it is.", "measure")
SINGLE = "uploads/smt-1/aoi/A1.png"


class Breaks(SameBoard):
    def register(self, picture: Image.Image, golden: str) -> Reference:
        raise ValueError("singular matrix")


@pytest.mark.parametrize("failing", ["detector", "trained"])
@pytest.mark.parametrize("fault", [ValueError("operands could not be broadcast"), MemoryError(), KeyError("x")])
def test_one_of_several_that_breaks_is_a_doubt_and_the_others_findings_count(
    gate: Gate, failing: str, fault: Exception
) -> None:
    sound, broken = ("trained", "detector") if failing == "detector" else ("detector", "trained")
    getattr(gate, sound).found = Found((detection("short"),), "sound")
    getattr(gate, broken).fault = fault
    upload = gate.upload(BOTH)
    gate.run()
    assert gate.verdict(upload) == "FAIL"
    name = {"detector": "golden", "trained": "trained"}[broken]
    assert any(f"Detector {name}: it could not answer" in reason for reason in gate.told("hmi")[0]["reasons"])


def test_one_that_breaks_alone_is_asked_again_and_the_deadline_says_why(gate: Gate) -> None:
    gate.detector.fault = ValueError("operands could not be broadcast")
    upload = gate.upload(SINGLE)
    with pytest.raises(TransientError, match="broke off"):
        gate.run(UPLOADS)
    gate.clock.advance(61)
    gate.sweep()
    gate.run()
    assert gate.verdict(upload) == "REVIEW"
    assert "operands" in gate.told("hmi")[0]["reasons"][0]


@pytest.mark.parametrize(
    "unsound",
    [
        replace(detection(), confidence=NAN),
        replace(detection(), confidence=INF),
        replace(detection(), confidence=-INF),
        replace(detection(), confidence=-0.5),
        replace(detection(), confidence=1.5),
        replace(detection(), box=Box(NAN, 20, 8, 8)),
        replace(detection(), box=Box(20, 20, INF, 8)),
        replace(detection(), box=Box(20, 20, -8, 8)),
        Detection("gap", 1.0, Box(20, 20, 8, 8), settled=PASSED, measure=Measure("gap", NAN, "mm", 0.2, 0.4)),
        Detection("gap", 1.0, Box(20, 20, 8, 8), settled=PASSED, measure=Measure("gap", 0.5, "mm", 0.2, 0.4)),
        Detection("gap", 1.0, Box(20, 20, 8, 8), settled=PASSED, measure=Measure("gap", 0.3, "mm", NAN, 0.4)),
    ],
)
def test_a_finding_that_nobody_can_mean_keeps_the_board_from_passing_and_can_be_stored(
    gate: Gate, unsound: Detection
) -> None:
    gate.verifier.answers = {"short": Result.PASS}
    gate.detector.found = Found((unsound,), "odd")
    upload = gate.upload(SINGLE)
    gate.run()
    assert gate.verdict(upload) == "REVIEW"
    manifest = gate.board(upload).manifest
    assert manifest is not None
    assert manifest.detections == ()
    assert "can't be meant" in gate.told("hmi")[0]["reasons"][0]


def test_the_sound_findings_beside_it_count(gate: Gate) -> None:
    gate.detector.found = Found((replace(detection(), confidence=NAN), detection("spur")), "odd")
    upload = gate.upload(SINGLE)
    gate.run()
    assert gate.verdict(upload) == "FAIL"


@pytest.mark.parametrize(
    "coverage",
    [
        Coverage(NAN),
        Coverage(INF),
        Coverage(1.5),
        Coverage(-1.0),
        Coverage(1.0, (Loss("glare", NAN),)),
        Coverage(1.0, (Loss("glare", 0.5),)),
    ],
)
def test_a_coverage_that_is_no_part_is_none(gate: Gate, coverage: Coverage) -> None:
    gate.detector.found = Found((), "odd", coverage=coverage)
    upload = gate.upload(SINGLE)
    gate.run()
    assert gate.verdict(upload) == "REVIEW"


def test_a_heatmap_that_cant_be_written_keeps_no_verdict_waiting(gate: Gate) -> None:
    class NoRoom(MemoryImages):
        def write(self, bucket: str, name: str, data: bytes, content_type: str) -> int:
            if name.endswith(".png") and bucket == "results":
                raise TransientError("no space is left")
            return super().write(bucket, name, data, content_type)

    gate.images = NoRoom()
    gate.detector.found = Found((detection(),), "odd", heatmap=b"png")
    upload = gate.upload(SINGLE)
    gate.run()
    assert gate.verdict(upload) == "FAIL"
    assert "heatmap" not in gate.told("hmi")[0]["defects"][0]


@pytest.mark.parametrize(
    "box",
    [
        Box(1e9, 1e9, 8, 8),
        Box(-1e9, 20, 8, 8),
        Box(20, 20, 0, 0),
        Box(1e300, 20, 1e300, 8),
        Box(20, 20, 1e308, 1e308),
        Box(SIDE, SIDE, 0, 0),
        Box(20, 20, 1e-12, 1e-12),
    ],
    ids=str,
)
@pytest.mark.parametrize("outline", [(), ((-1e300, -1e300), (1e300, 4), (4, 1e300)), ((1, 1), (NAN, 4), (4, 4))])
@pytest.mark.parametrize("answer", list(Result))
def test_a_finding_wherever_it_lies_is_decided_as_it_was_checked(
    gate: Gate, box: Box, outline: tuple[tuple[float, float], ...], answer: Result
) -> None:
    gate.verifier.answers = {"short": answer}
    gate.detector.found = Found((replace(detection(), box=box, outline=outline),), "odd")
    upload = gate.upload(SINGLE)
    gate.run()
    nowhere = not 0 <= box.x <= SIDE or box.width > 3 * SIDE
    expected = "REVIEW" if nowhere or answer is Result.UNSURE else answer.value
    assert gate.verdict(upload) == expected


@pytest.mark.parametrize("name", [SINGLE, BOTH, REMOTE])
def test_a_picture_over_which_laying_the_golden_one_breaks_off_does_not_pass(gate: Gate, name: str) -> None:
    gate.registrar = Breaks()
    upload = gate.upload(name)
    gate.run()
    assert gate.verdict(upload) == "REVIEW"
    assert any("singular matrix" in reason for reason in gate.told("hmi")[0]["reasons"])


def test_what_one_found_that_needs_no_golden_picture_counts_there(gate: Gate) -> None:
    gate.registrar = Breaks()
    gate.trained.found = Found((detection("short"),), "learned")
    upload = gate.upload(BOTH)
    gate.run()
    assert gate.verdict(upload) == "FAIL"


def test_whatever_else_keeps_detect_from_its_end_is_told_at_the_deadline(gate: Gate) -> None:
    class Unmeasured(SameBoard):
        def sight(self, golden: str) -> Sight:
            raise ZeroDivisionError("no pixel is left")

    gate.registrar = Unmeasured()
    upload = gate.upload(SINGLE)
    with pytest.raises(ZeroDivisionError):
        gate.run(UPLOADS)
    gate.clock.advance(61)
    gate.sweep()
    gate.run()
    assert gate.verdict(upload) == "REVIEW"
    assert "no pixel is left" in gate.told("hmi")[0]["reasons"][0]

"""The rules that decide a board. Laws first: they hold for every board there can be."""

import hashlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linegate.inspection import Answer, Check, Detection, Manifest, ObjectRef, Result, Verdict, place_of
from linegate.shapes import Box, whereabouts
from linegate.verdict import decide, recipients, rejected

results = st.sampled_from(Result)
names = st.sampled_from(["short", "spur", "mouse_bite"])
boxes = st.builds(Box, *(st.floats(1, 600) for _ in range(4)))
detections = st.builds(
    Detection,
    names,
    st.floats(0, 1),
    boxes,
    settled=st.none() | st.builds(Check, st.just(0), results, st.just("because")),
)


@st.composite
def boards(draw: st.DrawFn) -> tuple[Manifest, dict[int, Check]]:
    manifest = Manifest.of(
        draw(st.lists(detections, max_size=8)),
        width=640,
        height=640,
        answers=(Answer("d", "d"),),
        doubts=draw(st.just(()) | st.just(("hm",))),
    )
    indices = draw(st.sets(st.integers(0, max(0, manifest.expected - 1)))) if manifest.expected else set()
    return manifest, {index: Check(index, draw(results), "because") for index in indices}


@given(boards())
def test_pass_needs_a_pass_for_every_detection_and_no_doubt(board: tuple[Manifest, dict[int, Check]]) -> None:
    manifest, checks = board
    answers = [d.settled or checks.get(i) for i, d in enumerate(manifest.detections)]
    cleared = all(answer is not None and answer.result is Result.PASS for answer in answers)
    assert (decide(manifest, checks).verdict is Verdict.PASS) == (cleared and not manifest.doubts)


@given(boards())
def test_one_fail_is_a_fail_whatever_else_is_missing(board: tuple[Manifest, dict[int, Check]]) -> None:
    manifest, checks = board
    decision = decide(manifest, checks)
    failed = sum(check.result is Result.FAIL for check in decision.checks)
    assert decision.fail_count == failed
    assert (decision.verdict is Verdict.FAIL) == (failed > 0)


@given(boards(), st.data())
def test_knowing_less_never_clears_a_board(board: tuple[Manifest, dict[int, Check]], data: st.DataObject) -> None:
    manifest, checks = board
    fewer = {index: check for index, check in checks.items() if data.draw(st.booleans())}
    if decide(manifest, checks).verdict is not Verdict.PASS:
        assert decide(manifest, fewer).verdict is not Verdict.PASS
    if fewer != checks:
        assert not decide(manifest, fewer).complete


@given(boards())
def test_every_detection_has_its_check_and_every_trouble_its_reason(board: tuple[Manifest, dict[int, Check]]) -> None:
    manifest, checks = board
    decision = decide(manifest, checks)
    assert [check.index for check in decision.checks] == list(range(len(manifest.detections)))
    assert len(decision.reasons) == len(manifest.doubts) + sum(c.result is not Result.PASS for c in decision.checks)
    assert decision.summary.endswith(".")
    assert decision.complete == (len(checks) == manifest.expected)


def test_no_answer_of_the_detector_is_review_and_says_what_kept_it() -> None:
    decision = decide(None, {}, "the golden picture is missing")
    assert (decision.verdict, decision.complete) == (Verdict.REVIEW, False)
    assert "the golden picture is missing" in decision.summary


def test_no_detections_is_a_pass_at_once() -> None:
    decision = decide(Manifest.of((), width=1, height=1, answers=(Answer("d", "d"),)), {})
    assert (decision.verdict, decision.complete, decision.inspection_result) == (Verdict.PASS, True, "PASS")


def test_a_board_that_was_not_cleared_is_never_pass_in_the_words_of_the_workflow() -> None:
    assert rejected("no image").inspection_result == "FAIL"
    assert decide(None, {}).inspection_result == "FAIL"


def test_summary_carries_what_where_and_why() -> None:
    manifest = Manifest.of(
        (Detection("open_circuit", 0.9, Box(50, 50, 10, 10)), Detection("spur", 0.5, Box(600, 600, 10, 10))),
        width=640,
        height=640,
        answers=(Answer("d", "d"),),
    )
    checks = {
        0: Check(0, Result.FAIL, "The track is interrupted."),
        1: Check(1, Result.UNSURE, "The crop is blurred."),
    }
    assert decide(manifest, checks).summary == (
        "1 defect confirmed: open circuit at the upper left (The track is interrupted). "
        "1 further finding could not be judged."
    )


def test_settled_detections_come_after_those_to_check() -> None:
    settled = Detection("short", 0.99, Box(1, 1, 1, 1), settled=Check(0, Result.FAIL, "so sure"))
    open_ = Detection("spur", 0.5, Box(2, 2, 1, 1))
    manifest = Manifest.of((settled, open_), width=9, height=9, answers=(Answer("d", "d"),))
    assert manifest.detections == (open_, replace(settled, settled=Check(1, Result.FAIL, "so sure")))
    assert manifest.expected == 1


def test_inspection_id_is_the_hash_of_bucket_name_and_generation() -> None:
    expected = hashlib.sha256("b/uploads/ü.jpg#7".encode()).hexdigest()[:32]
    assert ObjectRef("b", "uploads/ü.jpg", 7).inspection_id == expected
    assert ObjectRef("b", "uploads/ü.jpg", 8).inspection_id != expected


@pytest.mark.parametrize(
    ("name", "metadata", "place"),
    [
        ("uploads/smt-1/aoi/A1.jpg", {}, ("smt-1", "aoi", "A1")),
        ("uploads/smt-1/aoi/A1.jpg", {"line": "other", "serial": "B"}, ("smt-1", "aoi", "A1")),
        ("uploads/smt-1/aoi/lot 7/A1.tar.jpg", {}, ("smt-1", "aoi", "lot 7/A1.tar")),
        ("uploads/smt-1/A1.jpg", {"station": "aoi"}, ("smt-1", "aoi", "A1")),
        ("uploads/A1.jpg", {"line": "smt-2"}, ("smt-2", "", "A1")),
        ("uploads/", {}, ("", "", "")),
        ("uploads/l/s/.jpg", {}, ("l", "s", ".jpg")),
        ("uploads/a\nb/s/x\x00y.jpg", {}, ("a?b", "s", "x?y")),
    ],
)
def test_place_comes_from_the_name_and_what_it_lacks_from_metadata(
    name: str, metadata: dict[str, str], place: tuple[str, str, str]
) -> None:
    found = place_of(name, metadata)
    assert (found.line, found.station, found.serial) == place


@given(st.text(max_size=1024), st.dictionaries(st.sampled_from(["line", "station", "serial"]), st.text()))
def test_place_of_any_name_can_be_printed(name: str, metadata: dict[str, str]) -> None:
    place = place_of(name, metadata)
    assert all(part.isprintable() and len(part) <= 200 for part in (place.line, place.station, place.serial))


def test_who_was_told_hears_of_the_correction_even_if_it_did_not_ask_for_that_verdict() -> None:
    subscribed = {"hmi": [Verdict.FAIL], "log": list(Verdict), "lamp": [Verdict.PASS]}
    assert recipients(subscribed, Verdict.FAIL, ()) == ["hmi", "log"]
    assert recipients(subscribed, Verdict.PASS, ("hmi", "log")) == ["hmi", "log", "lamp"]


@given(st.floats(-50, 700), st.floats(-50, 700))
def test_whereabouts_is_said_for_every_point(x: float, y: float) -> None:
    assert whereabouts(Box(x, y, 1, 1), 640, 480)


def test_whereabouts_names_the_ninth() -> None:
    said = [whereabouts(Box(x, y, 1, 1), 300, 300) for y in (10, 150, 290) for x in (10, 150, 290)]
    assert said == [
        "upper left", "upper edge", "upper right", "left edge", "centre", "right edge", "lower left", "lower edge", "lower right",
    ]  # fmt: skip

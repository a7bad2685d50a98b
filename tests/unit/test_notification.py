"""The body of a notification stays below 20 kB, and says what it left out."""

import json
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from linegate.inspection import Check, Detection, Inspection, Manifest, ObjectRef, Place, Result, Revision, decide
from linegate.notification import MAX_BYTES, notification_body
from linegate.settings import Storage
from tests.fakes import START, detection

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=400)


def body(detections: list[Detection], checks: dict[int, Check]) -> str:
    manifest = Manifest.of(detections, width=64, height=64, detector="d")
    place = Place("smt-1", "aoi", "ü" * 200)
    image = ObjectRef("b", "uploads/" + "😀" * 250, 7)
    board = Inspection(image.inspection_id, image, place, "pcb", START, START, START, manifest=manifest)
    return notification_body(
        board, Revision(1, "detect", START, decide(manifest, checks), "results/x/r1.jpg"), Storage(), None
    )


@given(st.integers(0, 400), texts)
def test_it_is_always_below_the_limit_and_counts_what_is_missing(number: int, reason: str) -> None:
    found = [detection("short") for _ in range(number)]
    checks = {index: Check(index, Result.FAIL, reason) for index in range(number)}
    text = body(found, checks)
    assert len(text.encode()) < MAX_BYTES
    data = json.loads(text)["data"]
    assert len(data["defects"]) + data["omitted"]["defects"] == number
    assert len(data["reasons"]) + data["omitted"]["reasons"] == number
    assert data["fail_count"] == number


def test_what_is_kept_are_the_defects_not_what_was_cleared() -> None:
    found = [replace(detection("spur"), confidence=0.5) for _ in range(300)]
    checks = {index: Check(index, Result.PASS if index < 297 else Result.FAIL, "because " * 20) for index in range(300)}
    data = json.loads(body(found, checks))["data"]
    assert [defect["result"] for defect in data["defects"][:4]] == ["FAIL", "FAIL", "FAIL", "PASS"]
    assert data["omitted"]["defects"] > 0

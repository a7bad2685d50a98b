"""The body of a notification stays below 20 kB, and says what it left out."""

import json
from dataclasses import replace
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linegate.inspection import (
    DETECT,
    SWEEP,
    Answer,
    Check,
    Decider,
    Detection,
    Inspection,
    Manifest,
    ObjectRef,
    Place,
    Result,
    Revision,
)
from linegate.notification import MAX_BYTES, notification_body
from linegate.sections import Storage
from linegate.verdict import decide, rejected
from tests.fakes import START, detection
from tests.harness import Gate

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=400)


def body(detections: list[Detection], checks: dict[int, Check]) -> str:
    manifest = Manifest.of(detections, width=64, height=64, answers=(Answer("d", "d"),))
    place = Place("smt-1", "aoi", "ü" * 200)
    image = ObjectRef("b", "uploads/" + "😀" * 250, 7)
    board = Inspection(image.inspection_id, image, place, "pcb", START, START, START, manifest=manifest)
    return notification_body(
        board, Revision(1, DETECT, START, decide(manifest, checks), "results/x/r1.jpg"), Storage(), None
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


SCHEMA = json.loads((Path(__file__).parents[2] / "shared/docs/webhook.schema.json").read_text())


def told(found: list[str], answers: dict[str, Result], data: bytes | None = None) -> list[str]:
    """What an HMI is told of a board, through all handlers; a finding without an answer is corrected later."""
    gate = Gate()
    gate.finds(*found)
    gate.verifier.answers = answers
    gate.upload(data=data)
    gate.run()
    gate.clock.advance(1000)
    gate.sweep()
    gate.run()
    return [body for _, body in gate.targets["hmi"].sent]


@pytest.mark.parametrize(
    ("found", "answers", "data", "verdict"),
    [
        ([], {}, None, "PASS"),
        (["short", "spur"], {"short": Result.FAIL, "spur": Result.PASS}, None, "FAIL"),
        (["short"], {"short": Result.UNSURE}, None, "REVIEW"),
        ([], {}, b"no picture", "ERROR"),
    ],
)
def test_the_published_schema_describes_what_is_sent(
    found: list[str], answers: dict[str, Result], data: bytes | None, verdict: str
) -> None:
    (body,) = told(found, answers, data)
    event = json.loads(body)
    assert event["data"]["verdict"] == verdict
    jsonschema.Draft202012Validator(SCHEMA).validate(event)
    assert set(event["data"]) == set(SCHEMA["properties"]["data"]["properties"]), "no key goes undescribed"


def test_the_published_schema_describes_a_correction_with_a_link_to_its_picture() -> None:
    manifest = Manifest.of([replace(detection("short"), note="new")], width=64, height=64, answers=(Answer("d", "d"),))
    image = ObjectRef("b", "uploads/smt-1/aoi/x.png", 7)
    board = Inspection(
        image.inspection_id, image, Place("smt-1", "aoi", "x"), "pcb", START, START, START, manifest=manifest
    )
    first = Revision(1, SWEEP, START, decide(manifest, {}), annotated_why="the disk is full")
    second = Revision(
        2, Decider.check(0), START, decide(manifest, {0: Check(0, Result.FAIL, "why")}), "results/x/r2.jpg"
    )
    storage = Storage(picture_url="https://h/{bucket}/{name}")
    _, correction = events = [
        json.loads(notification_body(board, revision, storage, corrected))
        for revision, corrected in ((first, None), (second, first))
    ]
    for event in events:
        jsonschema.Draft202012Validator(SCHEMA).validate(event)
    assert correction["data"]["corrects"] == {"revision": 1, "verdict": "REVIEW"}
    assert correction["data"]["annotated_image"]["url"] == "https://h/results/results/x/r2.jpg"


def test_a_name_without_end_makes_no_notification_too_long() -> None:
    image = ObjectRef("b", "uploads/smt-1/aoi/" + "\x01\u202e" * 4000, 7)
    board = Inspection(image.inspection_id, image, Place("smt-1", "aoi", "x"), "pcb", START, START, START)
    text = notification_body(board, Revision(1, DETECT, START, rejected("\x01" * 9000)), Storage(), None)
    assert len(text.encode()) < MAX_BYTES
    assert "\\u0001" not in text
    assert "\u202e" not in text

"""The body of a notification stays below 20 kB, and says what it left out."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from linegate.adapters.targets import slack
from linegate.answers import Disposition, Missed, Review, Ruling
from linegate.deciders import DETECT, SWEEP, Decider
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
)
from linegate.notification import MAX_BYTES, notification_body
from linegate.sections import Storage
from linegate.shapes import Box
from linegate.verdict import answered, decide, rejected
from tests.fakes import START, detection
from tests.harness import Gate

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=400)


def body(detections: list[Detection], checks: dict[int, Check], **fields: Any) -> str:
    manifest = Manifest.of(detections, **{"width": 64, "height": 64, "answers": (Answer("d", "d"),)} | fields)
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


def linked(storage: Storage, station: str | None, annotated: str = "results/x/r1.jpg") -> Any:
    image = ObjectRef("b", "uploads/smt-1/aoi/x.png", 7)
    place = Place("smt-1", "aoi", "x")
    board = Inspection(image.inspection_id, image, place, "pcb", START, START, START)
    event = json.loads(
        notification_body(board, Revision(1, DETECT, START, rejected("no"), annotated), storage, None, station)
    )
    jsonschema.Draft202012Validator(SCHEMA).validate(event)
    return event["data"]


def test_the_page_of_the_product_and_its_picture_are_linked_where_people_reach_the_station() -> None:
    data = linked(Storage(), "https://gate.example/")
    assert data["page"] == f"https://gate.example/boards/{data['inspection_id']}"
    where = f"https://gate.example/pictures/{data['inspection_id']}/annotated?revision=1"
    assert data["annotated_image"]["url"] == where
    assert linked(Storage(), "https://gate.example", annotated="")["annotated_image"] is None


def test_where_pictures_are_opened_elsewhere_that_address_counts() -> None:
    data = linked(Storage(picture_url="https://h/{bucket}/{name}"), "https://gate.example")
    assert data["annotated_image"]["url"] == "https://h/results/results/x/r1.jpg"


def test_without_a_station_nothing_is_linked() -> None:
    data = linked(Storage(), None)
    assert data["page"] is None
    assert "url" not in data["annotated_image"]


def test_a_name_without_end_makes_no_notification_too_long() -> None:
    image = ObjectRef("b", "uploads/smt-1/aoi/" + "\x01\u202e" * 4000, 7)
    board = Inspection(image.inspection_id, image, Place("smt-1", "aoi", "x"), "pcb", START, START, START)
    text = notification_body(board, Revision(1, DETECT, START, rejected("\x01" * 9000)), Storage(), None)
    assert len(text.encode()) < MAX_BYTES
    assert "\\u0001" not in text
    assert "\u202e" not in text


ROUND = tuple((100 + index, 200.55) for index in range(64))


@pytest.mark.parametrize(("number", "kept"), [(2, True), (60, False)])
def test_outlines_go_before_findings_where_room_is_short(number: int, kept: bool) -> None:
    found = [replace(detection("short"), outline=ROUND) for _ in range(number)]
    data = json.loads(body(found, {index: Check(index, Result.FAIL, "why") for index in range(number)}))["data"]
    assert len(data["defects"]) == number
    assert [("outline" in defect) for defect in data["defects"]] == [kept] * number
    assert data["omitted"] == {"reasons": 0, "defects": 0, "outlines": 0 if kept else number}


def test_what_is_said_of_a_finding_besides_its_box_fits_the_schema_and_is_in_mm() -> None:
    triangle = replace(
        detection("scratch"),
        outline=((16, 16), (24, 16), (24, 24)),
        heatmap="results/x/h.png",
        found_by=("a", "b"),
    )
    gap = Detection("gap", 1, detection().box, measure=Measure("gap", 0.5, "mm", 0.2, None))
    glare = Answer("a", "m", coverage=Coverage(0.9, (Loss("glare", 0.1),)))
    event = json.loads(body([triangle, gap], {}, mm_per_px=0.5, answers=(glare,)))
    jsonschema.Draft202012Validator(SCHEMA).validate(event)
    scratch, measured = sorted(event["data"]["defects"], key=lambda defect: -len(defect["class"]))
    assert scratch["size_mm"] == {"width": 4.0, "height": 4.0, "area": 8.0}  # 32 square pixels
    assert (scratch["heatmap"], scratch["found_by"]) == ("results/x/h.png", ["a", "b"])
    assert measured["measure"] == {"name": "gap", "value": 0.5, "unit": "mm", "low": 0.2, "high": None}
    assert "size_mm" not in measured
    assert event["data"]["coverage"] == {"part": 0.9, "lost": [{"why": "glare", "part": 0.1}]}


def test_what_a_person_decided_fits_its_schema_and_the_limit_however_much_they_said() -> None:
    found = [detection("short") for _ in range(400)]
    manifest = Manifest.of(found, width=64, height=64, answers=(Answer("d", "d"),))
    first = Revision(1, DETECT, START, decide(manifest, {}))
    words = [*Disposition] * 100
    review = Review(
        "id",
        "Ada",
        "10.0.0.7",
        1,
        START,
        tuple(Ruling(index, word) for index, word in enumerate(words)),
        tuple(Missed("ü" * 200, Box(9, 9, 2, 2)) for _ in range(100)),
        looked=True,
        comment="ü" * 1000,
    )
    image = ObjectRef("b", "uploads/smt-1/aoi/x.png", 7)
    place = Place("smt-1", "aoi", "x")
    board = Inspection(image.inspection_id, image, place, "pcb", START, START, START, manifest=manifest)
    second = Revision(2, Decider.person("Ada"), START, answered(manifest, first, review), review=review)
    text = notification_body(board, second, Storage(), first)
    assert len(text.encode()) < MAX_BYTES
    event = json.loads(text)
    jsonschema.Draft202012Validator(SCHEMA).validate(event)
    data, told = event["data"], event["data"]["review"]
    assert (data["decided_by"], data["fail_count"]) == ("Ada", 200)
    assert len(told["rulings"]) + data["omitted"]["rulings"] == 400
    assert len(told["missed"]) + data["omitted"]["missed"] == 100
    assert "10.0.0.7" not in text, "where somebody sits is nobody's business"
    assert data["defects"][0]["disposition"] == "true_defect", "a person's word comes first"
    shown = json.dumps(slack.message(event), ensure_ascii=False)
    assert "decided by Ada" in shown
    assert "true defect" in shown

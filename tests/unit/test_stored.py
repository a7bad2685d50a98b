"""What lies in stores and on the wire stays as it is, whatever the domain's classes are called; what is older is read."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from linegate.challenges import Challenge
from linegate.deciders import Decider
from linegate.errors import TransientError
from linegate.events import parse, push_body, to_message
from linegate.inspection import (
    Answer,
    Check,
    Coverage,
    Decision,
    Detection,
    Figures,
    Inspection,
    LeftOut,
    Loss,
    Manifest,
    Measure,
    ObjectRef,
    OutboxEntry,
    OutboxState,
    Place,
    Result,
    Revision,
    Timings,
    Verdict,
)
from linegate.messages import CheckMade, CropReady, Event, NotificationDue
from linegate.shapes import Box
from linegate.stored import SCHEMA, dump, dump_json, load, load_json
from tests.fakes import START, holds

FIXTURES = Path(__file__).parents[1] / "fixtures"
CHECK = Check(0, Result.FAIL, "The track is cut.", "gemini-3-flash", "001", 812.5, 1420)
SETTLED = Check(1, Result.UNSURE, "Too many.", "policy")
PASSED = Check(2, Result.PASS, "Inside its limits.", "measure")
FIGURES = Figures(640, 480, 12, 230, 101.5, 0.01, 0.02, 0.4, 1.5, 2.25, (200, 190, 180))
MANIFEST = Manifest(
    width=640,
    height=480,
    detections=(
        Detection("open_circuit", 0.91, Box(56, 92, 12, 14.5), "this class is not in the recipe"),
        Detection(
            "spur",
            0.4,
            Box(10, 20, 8, 8),
            settled=SETTLED,
            outline=((6, 16), (14.5, 16), (10, 24)),
            heatmap="results/x/heatmap-anomaly.png",
            found_by=("anomaly", "golden"),
        ),
        Detection("gap", 1, Box(5, 5, 2, 2), settled=PASSED, measure=Measure("gap", 0.25, "mm", 0.2, None)),
    ),
    expected=1,
    answers=(
        Answer("golden", "golden-comparison", "2", 87.25, Coverage(0.97, (Loss("glare", 0.03),))),
        Answer("anomaly", "patches", took_ms=187.25),
    ),
    detector_ms=187.25,
    doubts=("The picture is dark.",),
    left_out=LeftOut(3, 2, 1),
    picture=FIGURES,
    golden=replace(FIGURES, mean=99.0),
    mm_per_px=0.05,
    setup="0123456789abcdef",
)
DECISION = Decision(Verdict.FAIL, True, 1, ("The picture is dark.",), "1 defect confirmed.", (CHECK, SETTLED, PASSED))
REVISION = Revision(2, Decider.check(0), START, DECISION, "results/x/r2.jpg", "no room on the disk")
INSPECTION = Inspection(
    inspection_id="0123456789abcdef0123456789abcdef",
    image=ObjectRef("uploads", "uploads/smt-1/aoi/Ü 1.jpg", 7),
    place=Place("smt-1", "aoi", "Ü 1"),
    recipe="pcb",
    uploaded_at=START - timedelta(seconds=1),
    received_at=START,
    deadline=START + timedelta(seconds=60.5),
    fault="the golden picture can't be read",
    manifest=MANIFEST,
    revision=REVISION,
    told=("hmi", "slack"),
    timings=Timings(210.0, 1050.5),
)
ENTRY = OutboxEntry(
    entry_id=f"{INSPECTION.inspection_id}_r2_hmi",
    inspection_id=INSPECTION.inspection_id,
    line="smt-1",
    revision=2,
    target="hmi",
    body='{"type":"inspection.decided"}',
    created_at=START,
    state=OutboxState.HELD,
    attempts=2,
    attempted_at=START + timedelta(seconds=5),
    last_error="it answered 410",
    published=3,
    version=4,
)
# What release 0.1.0 and the next wrote of the same, which knew one detector and neither outlines nor measures
FIRST = replace(
    INSPECTION,
    manifest=replace(
        MANIFEST,
        detections=(
            MANIFEST.detections[0],
            Detection("spur", 0.4, Box(10, 20, 8, 8), settled=SETTLED),
        ),
        answers=(Answer("", "rf-detr", "3", 187.25),),
        mm_per_px=None,
        setup="",
    ),
    revision=replace(REVISION, decision=replace(DECISION, checks=(CHECK, SETTLED))),
)
STORED = {"inspection": INSPECTION, "check": CHECK, "revision": REVISION, "outbox_entry": ENTRY}
FIRST_STORED = STORED | {"inspection": FIRST, "revision": FIRST.revision}
STORED = STORED | {"challenge": Challenge("smt-1", "pcb", "0123456789abcdef", START, boards=5, passed=1)}
SENT: dict[str, Event] = {
    "crop_ready": CropReady("id", "smt-1", "pcb", 0, 1, MANIFEST.detections[0], b"crop", b"golden", again=True),
    "check_made": CheckMade("id", "smt-1", 1, CHECK),
    "notification_due": NotificationDue("id", "smt-1", "hmi", "id_r2_hmi", 3),
}


def fixture(name: str) -> dict[str, Any]:
    """What is in it is never changed: a change of the stored form is an upgrade, and a fixture of its own."""
    return json.loads((FIXTURES / name).read_text())  # type: ignore[no-any-return]


@pytest.mark.parametrize("name", STORED)
def test_the_stored_form_is_what_it_was(name: str) -> None:
    pinned, value = fixture("stored-2.json")[name], STORED[name]
    assert json.loads(dump_json(value)) == pinned
    assert load(type(value), pinned) == value


@pytest.mark.parametrize("name", FIRST_STORED)
def test_what_is_stored_in_the_first_schema_is_read(name: str) -> None:
    value = FIRST_STORED[name]
    assert load(type(value), fixture("stored-1.json")[name]) == value


def test_no_list_lies_in_a_list_which_firestore_would_refuse() -> None:
    def lists_in(value: Any, inside: bool = False) -> bool:
        if isinstance(value, dict):
            return any(lists_in(item) for item in value.values())
        return isinstance(value, list) and (inside or any(lists_in(item, True) for item in value))

    assert not lists_in(dump(INSPECTION))


@pytest.mark.parametrize("name", FIRST_STORED)
def test_a_record_without_a_schema_is_of_the_first_release(name: str) -> None:
    value = FIRST_STORED[name]

    def bare(document: Any) -> Any:
        if not isinstance(document, dict):
            return document
        return {key: bare(item) for key, item in document.items() if key != "schema"}

    assert load(type(value), bare(fixture("stored-1.json")[name])) == value


@pytest.mark.parametrize("name", SENT)
def test_the_wire_form_is_what_it_was(name: str) -> None:
    pinned, event = fixture("messages.json")[name], SENT[name]
    message = to_message(event)
    assert holds(json.loads(message.data), pinned["data"]), "a field that is new leaves the others as they are"
    assert message.attributes == pinned["attributes"]
    body = push_body(message, message_id="1", publish_time="", subscription="s", attempt=1)
    assert parse("google.cloud.pubsub.topic.v1.messagePublished", body, type(event)) == event


@pytest.mark.parametrize("value", STORED.values(), ids=STORED)
def test_a_document_holds_times_as_times_and_the_same_otherwise(value: Any) -> None:
    document = dump(value)
    assert load(type(value), document) == value
    assert document.keys() == json.loads(dump_json(value)).keys()
    assert document["schema"] == SCHEMA
    if value is INSPECTION:
        assert document["received_at"] == START
        assert document["manifest"]["schema"] == document["revision"]["schema"] == SCHEMA


def test_a_record_of_a_newer_version_is_left_to_it() -> None:
    newer = {**json.loads(dump_json(CHECK)), "schema": SCHEMA + 1, "verdict": "?"}
    with pytest.raises(TransientError, match="newer version"):
        load_json(Check, json.dumps(newer))
    inside = json.loads(dump_json(INSPECTION))
    inside["revision"]["schema"] = SCHEMA + 1
    with pytest.raises(TransientError, match="newer version"):
        load(Inspection, inside)


@pytest.mark.parametrize("schema", ["1", None, 0, True, 1.0])
def test_a_schema_that_is_none_makes_a_record_unreadable(schema: object) -> None:
    with pytest.raises(ValueError, match="schema"):
        load(Check, {**dump(CHECK), "schema": schema})
    with pytest.raises(ValueError, match="no JSON object"):
        load_json(Check, "[]")


def _renamed(old: str, new: str) -> Any:
    def upgrade(document: Mapping[str, Any]) -> dict[str, Any]:
        rest = {key: value for key, value in document.items() if key != old}
        return {new: document[old], **rest} if old in document else rest

    return upgrade


def test_steps_bring_a_record_up_to_date_from_where_it_stands() -> None:
    upgrades = (
        {Inspection: _renamed("dead_line", "due"), Revision: _renamed("by", "decided_by")},
        {Inspection: _renamed("due", "deadline"), Manifest: _renamed("wide", "width")},
    )
    first = dump(INSPECTION) | {"schema": 1}
    first["manifest"]["schema"] = first["revision"]["schema"] = 1
    first["dead_line"] = first.pop("deadline")
    first["manifest"]["wide"] = first["manifest"].pop("width")
    first["revision"]["by"] = first["revision"].pop("decided_by")
    assert load(Inspection, first, upgrades) == INSPECTION

    second = dump(INSPECTION) | {"schema": 2}  # its revision was written by itself, later
    second["due"] = second.pop("deadline")
    second["manifest"] = {**second["manifest"], "schema": 3}
    second["revision"] = {**second["revision"], "schema": 3}
    assert load(Inspection, second, upgrades) == INSPECTION
    assert load(Inspection, dump(INSPECTION) | {"schema": 3}, upgrades) == INSPECTION

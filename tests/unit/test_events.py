"""Messages: what is sent can be read again, and what can't be parsed says why."""

import base64
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linegate.errors import MessageError
from linegate.events import parse, push_body, to_message
from linegate.inspection import Check, Detection, ObjectRef, Result
from linegate.messages import CheckMade, CropReady, Event, ImageUploaded, NotificationDue, SweepDue
from linegate.shapes import Box

PUBSUB = "google.cloud.pubsub.topic.v1.messagePublished"
FINALIZED = "google.cloud.storage.object.v1.finalized"
UPLOADED_AT = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
numbers = st.floats(allow_nan=False, allow_infinity=False)
detections = st.builds(Detection, texts, numbers, st.builds(Box, numbers, numbers, numbers, numbers), texts)
checks = st.builds(Check, st.integers(0, 99), st.sampled_from(Result), texts, texts, texts, numbers)
events = st.one_of(
    st.builds(
        ImageUploaded,
        st.builds(ObjectRef, texts.filter(bool), texts.filter(bool), st.integers(0, 2**62)),
        st.integers(0, 2**40),
        st.datetimes(timezones=st.just(UTC)),
        st.dictionaries(texts, texts, max_size=3),
    ),
    st.builds(
        CropReady,
        texts,
        texts,
        texts,
        st.integers(0, 99),
        st.integers(0, 99),
        detections,
        st.binary(),
        st.none() | st.binary(),
    ),
    st.builds(CheckMade, texts, texts, st.integers(0, 99), checks),
    st.builds(NotificationDue, texts, texts, texts, texts),
    st.just(SweepDue()),
)


def pushed(event: Event) -> dict[str, Any]:
    body = push_body(to_message(event), message_id="7", publish_time="", subscription="s", attempt=2)
    return json.loads(json.dumps(body))  # type: ignore[no-any-return]


@given(events)
def test_every_message_survives_the_wire(event: Event) -> None:
    assert parse(PUBSUB, pushed(event), type(event)) == event


@given(events)
def test_attributes_are_texts_that_a_person_can_filter_by(event: Event) -> None:
    attributes: Mapping[Any, Any] = to_message(event).attributes
    assert all(isinstance(text, str) for pair in attributes.items() for text in pair)
    assert attributes.get("inspection_id") == getattr(event, "inspection_id", None)


def storage_object(**changes: object) -> dict[str, object]:
    sound: dict[str, object] = {
        "bucket": "b", "name": "uploads/l/s/1.jpg", "generation": "17", "size": "5", "timeCreated": "2026-03-01T12:30:00Z",
    }  # fmt: skip
    return {key: value for key, value in (sound | changes).items() if value is not ...}


EXPECTED = ImageUploaded(ObjectRef("b", "uploads/l/s/1.jpg", 17), 5, UPLOADED_AT)


@pytest.mark.parametrize("changes", [{}, {"generation": 17, "size": 5}, {"metadata": None}, {"md5Hash": "x"}])
def test_an_eventarc_event_is_read_whether_its_numbers_are_texts_or_not(changes: dict[str, object]) -> None:
    assert parse(FINALIZED, storage_object(**changes), ImageUploaded) == EXPECTED


def notification(payload: object, event_type: str = "OBJECT_FINALIZE") -> dict[str, Any]:
    data = base64.b64encode(json.dumps(payload).encode()).decode()
    return {"message": {"data": data, "attributes": {"eventType": event_type}, "messageId": "1"}, "subscription": "s"}


def test_a_bucket_notification_is_read() -> None:
    metadata = {"lot": "7"}
    found = parse(PUBSUB, notification(storage_object(metadata=metadata)), ImageUploaded)
    assert found == ImageUploaded(EXPECTED.image, 5, UPLOADED_AT, metadata)


@pytest.mark.parametrize("event_type", ["OBJECT_DELETE", "OBJECT_METADATA_UPDATE"])
def test_other_notifications_of_the_bucket_are_nobodys(event_type: str) -> None:
    assert parse(PUBSUB, notification(storage_object(), event_type), ImageUploaded) is None
    assert parse("google.cloud.storage.object.v1.deleted", storage_object(), ImageUploaded) is None


def altered(**changes: object) -> dict[str, Any]:
    """A sound check message, spoilt."""
    message = to_message(CheckMade("id", "l", 1, Check(0, Result.PASS, "fine")))
    content = {key: value for key, value in (json.loads(message.data) | changes).items() if value is not ...}
    data = base64.b64encode(json.dumps(content).encode()).decode()
    return {"message": {"data": data, "attributes": dict(message.attributes)}}


def raw(content: bytes) -> dict[str, Any]:
    """A message of a check with any content."""
    return {"message": altered()["message"] | {"data": base64.b64encode(content).decode()}}


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (None, "is empty"),
        (b"not json", "of type bytes"),
        ([], "of type list"),
        ({}, "a Pub/Sub message was expected"),
        ({"message": {"data": "%%%"}}, "base64"),
        ({"message": {"data": 7}}, "base64"),
        ({"message": {"data": base64.b64encode(b"{").decode()}}, "JSON"),
        ({"message": {"data": base64.b64encode(b"[1]").decode()}}, "a JSON object was expected"),
        ({"message": {"data": base64.b64encode(b"[" * 100_000).decode()}}, "JSON"),
        (altered(schema=0), "schema 0 is not known"),
        (altered(schema="2"), "schema '2' is not known"),
        (altered(schema=2.5), "schema 2.5 is not known"),
        (altered(schema=...), "schema None"),
        (altered(expected="many"), "expected: "),
        (altered(check={"index": 0, "result": "MAYBE", "reason": ""}), "check.result: "),
        (altered(inspection_id=...), "inspection_id: "),
        (altered(expected=10**400), "number"),
        (altered(expected=1 << 63), "number of 64 bits"),
        (raw(b'{"schema": 1, "expected": ' + b"9" * 5000 + b"}"), "number, not one of 5000 digits"),
        (raw(b'{"schema": 1, "check": {"latency_ms": 1e400}}'), "infinite"),
        (raw(b'{"schema": 1, "check": {"latency_ms": NaN}}'), "none at all"),
        ({"message": altered()["message"] | {"attributes": "eventType"}}, "wrong stage"),
        ({"message": altered()["message"] | {"attributes": {"type": "crop.ready"}}}, "wrong stage"),
        ({"message": altered()["message"] | {"attributes": None}}, "wrong stage"),
        (notification(storage_object()), "does not read pictures"),
    ],
)
def test_what_can_not_be_parsed_says_why(data: object, why: str) -> None:
    with pytest.raises(MessageError, match=why):
        parse(PUBSUB, data, CheckMade)


@pytest.mark.parametrize(
    "changes",
    [{"name": ...}, {"name": ""}, {"name": 5}, {"bucket": None}, {"generation": "x"}, {"size": None}, {"timeCreated": "soon"},
     {"timeCreated": "2026-03-01T12:30:00"}, {"metadata": 5}, {"generation": 10**400}, {"generation": "9" * 5000},
     {"generation": 1 << 63}, {"size": 1e400}, {"size": float("nan")}],
)  # fmt: skip
def test_a_storage_object_that_lacks_something_is_refused(changes: dict[str, object]) -> None:
    with pytest.raises(MessageError):
        parse(FINALIZED, storage_object(**changes), ImageUploaded)

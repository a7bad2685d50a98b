"""Push bodies and CloudEvents ⇄ typed messages. What can't be parsed raises MessageError, with the reason.

A message of a newer schema is no such: a newer release is taking over, and its instance will read what comes again.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from datetime import datetime
from math import isfinite
from typing import Any, Final, TypeVar, cast

from pydantic import ValidationError

from linegate.codec import codec
from linegate.errors import MessageError, TransientError
from linegate.inspection import ObjectRef
from linegate.messages import Event, ImageUploaded, NotificationDue
from linegate.ports import Message
from linegate.stages import BY_MESSAGE
from linegate.texts import brief

SCHEMA: Final = 1

T = TypeVar("T")


def to_message(event: Event) -> Message:
    """The message that carries `event`: a JSON object with its `schema`, and attributes to route and read it by."""
    if isinstance(event, ImageUploaded):
        return _storage_notification(event)
    cls = type(event)
    data = {"schema": SCHEMA, **codec(cls).dump_python(event, mode="json")}
    attributes = {"type": BY_MESSAGE[cls].type}
    attributes |= {key: data[key] for key in ("inspection_id", "line", "target") if key in data}
    key = event.entry_id if isinstance(event, NotificationDue) else ""
    return Message(json.dumps(data, separators=(",", ":")).encode(), attributes, key)


def _storage_notification(event: ImageUploaded) -> Message:
    """The message that Cloud Storage publishes for a new object (payload format JSON_API_V1)."""
    image = event.image
    payload = {
        "kind": "storage#object",
        "bucket": image.bucket,
        "name": image.name,
        "generation": str(image.generation),
        "size": str(event.size),
        "timeCreated": event.uploaded_at.isoformat(),
        "metadata": dict(event.metadata),
    }
    attributes = {
        "eventType": "OBJECT_FINALIZE",
        "payloadFormat": "JSON_API_V1",
        "bucketId": image.bucket,
        "objectId": image.name,
        "objectGeneration": str(image.generation),
    }
    return Message(json.dumps(payload).encode(), attributes)


def push_body(
    message: Message, *, message_id: str, publish_time: str, subscription: str, attempt: int
) -> dict[str, Any]:
    """The JSON body that Pub/Sub POSTs to a push endpoint for `message`."""
    return {
        "subscription": subscription,
        "deliveryAttempt": attempt,
        "message": {
            "data": base64.b64encode(message.data).decode("ascii"),
            "attributes": dict(message.attributes),
            "messageId": message_id,
            "message_id": message_id,
            "publishTime": publish_time,
            "publish_time": publish_time,
        },
    }


def parse(event_type: str, data: object, wanted: type[T]) -> T | None:
    """The message of type `wanted` inside a CloudEvent of `event_type` with `data`.

    None if the event is sound but not meant for anybody here (an object deleted, say). Raises MessageError; TransientError for a
    message of a newer schema.
    """
    if event_type.startswith("google.cloud.storage.object.v1."):
        return _uploaded(data, wanted) if event_type.endswith(".finalized") else None
    message = data.get("message") if isinstance(data, Mapping) else None
    if not isinstance(message, Mapping):
        raise MessageError(f"a Pub/Sub message was expected, this is {_shape(data)}")
    attributes = message.get("attributes")
    attributes = attributes if isinstance(attributes, Mapping) else {}
    try:
        text = base64.b64decode(message.get("data") or "", validate=True)
        content = json.loads(text, parse_int=_whole, parse_float=_finite, parse_constant=_finite)
    except (binascii.Error, ValueError, TypeError, RecursionError) as error:
        raise MessageError(f"the message's data is not base64 of JSON: {brief(str(error))}") from error
    if "eventType" in attributes:
        return _uploaded(content, wanted) if attributes["eventType"] == "OBJECT_FINALIZE" else None
    return _typed(text, content, attributes, wanted)


def _typed(text: bytes, content: object, attributes: Mapping[str, Any], wanted: type[T]) -> T:
    if not isinstance(content, dict):
        raise MessageError(f"a JSON object was expected, this is {_shape(content)}")
    schema = content.get("schema")
    if schema != SCHEMA:
        fault = f"schema {brief(repr(schema))} is not known here; this version reads schema {SCHEMA}"
        newer = isinstance(schema, int) and not isinstance(schema, bool) and schema > SCHEMA
        raise TransientError(fault) if newer else MessageError(fault)
    stage = BY_MESSAGE.get(wanted)
    if stage is None or not stage.type or attributes.get("type") != stage.type:
        raise MessageError(f"a message of type {brief(repr(attributes.get('type')))} came to the wrong stage")
    try:
        return codec(wanted).validate_json(text)
    except ValidationError as error:
        raise MessageError(_faults(error)) from error


def _uploaded(data: object, wanted: type[T]) -> T:
    if wanted is not ImageUploaded:
        raise MessageError("a bucket notification came to a stage that does not read pictures")
    if not isinstance(data, Mapping):
        raise MessageError(f"a storage object was expected, this is {_shape(data)}")
    try:
        # `size` and `generation` are strings in notifications and may be integers elsewhere.
        image = ObjectRef(_text(data, "bucket"), _text(data, "name"), _whole(data["generation"]))
        metadata = {str(key): str(value) for key, value in (data.get("metadata") or {}).items()}
        uploaded_at = datetime.fromisoformat(_text(data, "timeCreated"))
        if uploaded_at.tzinfo is None:
            raise ValueError("timeCreated with a time zone")
        return cast("T", ImageUploaded(image, _whole(data["size"]), uploaded_at, metadata))
    except (KeyError, ValueError, TypeError, AttributeError, OverflowError) as error:
        raise MessageError(f"the storage object lacks a usable {brief(str(error))}") from error


def _whole(value: str | float) -> int:
    """A number as databases take it: of 64 bits. Raises ValueError for a longer one, however many digits it has."""
    if isinstance(value, str) and len(value) > 20:
        raise ValueError(f"number, not one of {len(value)} digits")
    number = int(value)
    if not -(1 << 63) <= number < 1 << 63:
        raise ValueError("number of 64 bits")
    return number


def _finite(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise ValueError("a number is infinite, or none at all")
    return number


def _text(data: Mapping[Any, Any], key: str) -> str:
    value = data[key]
    if not isinstance(value, str) or not value:
        raise ValueError(key)
    return value


def _shape(data: object) -> str:
    return "empty" if data is None else f"of type {type(data).__name__}"


def _faults(error: ValidationError) -> str:
    return "; ".join(f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}" for fault in error.errors())

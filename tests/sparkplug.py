"""Sparkplug B as a host application reads it: with google's protobuf and the published schema, as far as a gate uses it."""

from dataclasses import dataclass
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from tests.brokers import Heard

# Of sparkplug_b.proto (Eclipse Tahu): name, number, type, label
_FIELD = descriptor_pb2.FieldDescriptorProto
_PAYLOAD = [("timestamp", 1, _FIELD.TYPE_UINT64), ("seq", 3, _FIELD.TYPE_UINT64), ("uuid", 4, _FIELD.TYPE_STRING)]
_METRIC = [
    ("name", 1, _FIELD.TYPE_STRING),
    ("alias", 2, _FIELD.TYPE_UINT64),
    ("timestamp", 3, _FIELD.TYPE_UINT64),
    ("datatype", 4, _FIELD.TYPE_UINT32),
    ("is_historical", 5, _FIELD.TYPE_BOOL),
    ("is_transient", 6, _FIELD.TYPE_BOOL),
    ("is_null", 7, _FIELD.TYPE_BOOL),
    ("int_value", 10, _FIELD.TYPE_UINT32),
    ("long_value", 11, _FIELD.TYPE_UINT64),
    ("float_value", 12, _FIELD.TYPE_FLOAT),
    ("double_value", 13, _FIELD.TYPE_DOUBLE),
    ("boolean_value", 14, _FIELD.TYPE_BOOL),
    ("string_value", 15, _FIELD.TYPE_STRING),
    ("bytes_value", 16, _FIELD.TYPE_BYTES),
]


def _schema() -> Any:
    file = descriptor_pb2.FileDescriptorProto(name="sparkplug_b.proto", package="sparkplug", syntax="proto2")
    payload = file.message_type.add(name="Payload")
    metric = payload.nested_type.add(name="Metric")
    for message, fields in ((payload, _PAYLOAD), (metric, _METRIC)):
        for name, number, kind in fields:
            message.field.add(name=name, number=number, type=kind, label=_FIELD.LABEL_OPTIONAL)
    payload.field.add(
        name="metrics",
        number=2,
        type=_FIELD.TYPE_MESSAGE,
        label=_FIELD.LABEL_REPEATED,
        type_name=".sparkplug.Payload.Metric",
    )
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("sparkplug.Payload"))


Payload = _schema()


@dataclass(frozen=True, slots=True)
class Said:
    """A message as a host has it."""

    word: str
    device: str
    seq: int | None
    metrics: dict[str, Any]


def read(heard: Heard) -> Said:
    _, _, word, _, *device = heard.topic.split("/")
    message = Payload.FromString(heard.payload)
    assert not message.FindInitializationErrors()
    return Said(
        word,
        "".join(device),
        message.seq if message.HasField("seq") else None,
        {metric.name: _value(metric) for metric in message.metrics},
    )


def _value(metric: Any) -> Any:
    if metric.is_null:
        return None
    found = [name for name in (each[0] for each in _METRIC) if name.endswith("_value") and metric.HasField(name)]
    assert len(found) == 1
    return getattr(metric, found[0])


def command(**metrics: bool) -> bytes:
    message = Payload(timestamp=1)
    for name, value in metrics.items():
        message.metrics.add(name=name.replace("_", "/").replace("-", " "), datatype=11, boolean_value=value)
    written: bytes = message.SerializeToString()
    return written

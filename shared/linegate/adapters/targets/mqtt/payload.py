"""Payloads of Sparkplug B: the few fields of its protobuf schema that a gate needs.

Source: Sparkplug 3.0.0 (Eclipse Foundation), chapter 6, and protobuf's wire format (https://protobuf.dev/programming-guides/encoding/).
An encoder of its own is smaller than the schema would be, and needs no package.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

VARINT, FIXED_64, LENGTH, FIXED_32 = 0, 1, 2, 5
LONGEST_VARINT: Final = 10  # bytes


class Kind(IntEnum):
    """The data types that are used, by their number there."""

    INT64 = 4
    UINT32 = 7
    UINT64 = 8
    BOOLEAN = 11
    STRING = 12
    DATE_TIME = 13  # milliseconds since 1970


# The field of a metric that holds a value of this kind
_FIELDS: Final = {
    Kind.UINT32: 10,
    Kind.INT64: 11,
    Kind.UINT64: 11,
    Kind.DATE_TIME: 11,
    Kind.BOOLEAN: 14,
    Kind.STRING: 15,
}


@dataclass(frozen=True, slots=True)
class Metric:
    name: str
    kind: Kind
    value: str | int | bool | None


def payload(metrics: Sequence[Metric], at_ms: int | None, seq: int | None) -> bytes:
    """`at_ms` since 1970; `seq` 0 … 255. A death certificate has neither."""
    parts = [] if at_ms is None else [_number(1, at_ms)]
    parts += [_bytes(2, _metric(metric, at_ms)) for metric in metrics]
    return b"".join(parts if seq is None else [*parts, _number(3, seq)])


def truths(written: bytes) -> dict[str, bool]:
    """The metrics of a payload that are truth values, by name: what a command holds. Raises ValueError."""
    found = {}
    for number, value in _fields(written):
        if number == 2 and isinstance(value, bytes):
            metric = dict(_fields(value))
            name = metric.get(1)
            if isinstance(name, bytes) and isinstance(metric.get(14), int):
                found[name.decode()] = bool(metric[14])
    return found


def _metric(metric: Metric, at_ms: int | None) -> bytes:
    parts = [_bytes(1, metric.name.encode())]
    parts += [] if at_ms is None else [_number(3, at_ms)]
    parts.append(_number(4, metric.kind))
    if metric.value is None:
        parts.append(_number(7, 1))
    elif isinstance(metric.value, str):
        parts.append(_bytes(_FIELDS[metric.kind], metric.value.encode("utf-8", "replace")))
    else:
        parts.append(_number(_FIELDS[metric.kind], int(metric.value)))
    return b"".join(parts)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3 | VARINT) + _varint(value)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | LENGTH) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    written = bytearray()
    while value > 0x7F:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    written.append(value)
    return bytes(written)


def _fields(written: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Each field with its number. Raises ValueError where it breaks off, or is no protobuf."""
    at = 0
    while at < len(written):
        key, at = _read(written, at)
        if key & 7 == VARINT:
            value, at = _read(written, at)
            yield key >> 3, value
            continue
        size = {FIXED_64: 8, FIXED_32: 4}.get(key & 7)
        if size is None:
            if key & 7 != LENGTH:
                raise ValueError(f"a wire type {key & 7}")
            size, at = _read(written, at)
        if at + size > len(written):
            raise ValueError("it breaks off")
        yield key >> 3, written[at : at + size]
        at += size


def _read(written: bytes, at: int) -> tuple[int, int]:
    value = 0
    for place in range(LONGEST_VARINT):
        if at + place >= len(written):
            raise ValueError("it breaks off")
        value |= (written[at + place] & 0x7F) << 7 * place
        if written[at + place] < 0x80:
            return value, at + place + 1
    raise ValueError("a number without end")

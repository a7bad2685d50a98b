"""JSON ⇄ dataclasses, strictly, by their annotations."""

from typing import Any, Final, TypeVar

from pydantic import TypeAdapter

T = TypeVar("T")

_CODECS: Final[dict[type, TypeAdapter[Any]]] = {}


def codec(cls: type[T]) -> TypeAdapter[T]:
    """JSON ⇄ the dataclass `cls`; bytes travel as base64. Built at first use: cold start is a feature."""
    if cls not in _CODECS:
        # A TypeAdapter takes no configuration for a dataclass; pydantic reads it from the class.
        cls.__pydantic_config__ = {"ser_json_bytes": "base64", "val_json_bytes": "base64"}  # type: ignore[attr-defined]
        _CODECS[cls] = TypeAdapter(cls)
    return _CODECS[cls]

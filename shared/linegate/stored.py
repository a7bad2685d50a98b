"""The stored form: what SQLite and Firestore keep of the domain, and how a record of an earlier release is brought up to date.

A document is the JSON object of a dataclass, field by field, with the `schema` that it was written in; a document without one
is of schema 1. A record is made of an `Inspection`, a `Check`, a `Revision` or an `OutboxEntry`; an inspection's manifest and
latest revision are documents inside its own, since Firestore writes each by itself. A check inside of those is a part of them.

A field that is renamed, or means something else, is an upgrade: append it to UPGRADES, and what stands in a store is read through
it. A field that is new and has a default needs none. Two things an upgrade must allow for. Firestore updates some fields of an
inspection alone (`fault`, `told`, `deadline`, the timings), so a document of an earlier schema may hold some in the present
form already. And stores look into documents, or keep beside them what they are found by (`search`, `rollups`): an upgrade that
touches line, serial, recipe, verdict, classes, dispositions, deadline or attempts needs a migration of the database too.
What is stored is pinned by tests/fixtures/stored-2.json, as earlier schemas are by theirs.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

from linegate.codec import codec
from linegate.errors import TransientError
from linegate.inspection import Detection, Inspection, Manifest, Revision
from linegate.logs import log
from linegate.texts import brief

T = TypeVar("T")
R = TypeVar("R")
Document = dict[str, Any]
Upgrade = Mapping[type, Callable[[Document], Document]]  # by what the document is of; what is not named stays as it is


def _several_detectors(manifest: Document) -> Document:
    """One detector's model and version ▶ an answer of each of several."""
    document = {key: value for key, value in manifest.items() if key not in ("detector", "detector_version")}
    model, version = manifest.get("detector", ""), manifest.get("detector_version", "")
    answer = {"detector": "", "model": model, "model_version": version, "took_ms": manifest.get("detector_ms", 0.0)}
    return {**document, "answers": [answer] if model else []}


UPGRADES: Final[Sequence[Upgrade]] = ({Manifest: _several_detectors},)
SCHEMA: Final = 1 + len(UPGRADES)

# What few have takes no room in the others.
_SELDOM: Final = {
    Detection: ("outline", "measure", "heatmap", "found_by"),
    Revision: ("review",),
    Inspection: ("late_fails",),
    Manifest: ("laid", "audit"),
}

_INSIDE: Final[Mapping[type, Mapping[str, type]]] = {Inspection: {"manifest": Manifest, "revision": Revision}}


def dump(value: object) -> Document:
    """The document of a value: maps, lists, texts, numbers; times as times."""
    return _marked(type(value), _slim(type(value), _plain(codec(type(value)).dump_python(value))))


def dump_json(value: object) -> str:
    """The document of a value as JSON; times as ISO 8601 texts."""
    document = _marked(type(value), _slim(type(value), json.loads(codec(type(value)).dump_json(value))))
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def load(cls: type[T], document: Document, upgrades: Sequence[Upgrade] = UPGRADES) -> T:
    """The value of a document. Raises ValueError for one that can't be read, TransientError for one of a newer version."""
    return codec(cls).validate_python(upgraded(cls, document, upgrades))


def load_json(cls: type[T], text: str) -> T:
    """The same of a document in JSON."""
    document = json.loads(text)
    if not isinstance(document, dict):
        raise ValueError("a stored record is no JSON object")
    return load(cls, document)


def readable(load: Callable[[R], T], records: Iterable[tuple[str, R]]) -> list[T]:
    """What `load` makes of each (id, record). One that can't be read is told, and keeps nobody from the others."""
    found = []
    for identity, record in records:
        try:
            found.append(load(record))
        except (ValueError, TransientError) as error:
            log.error("record.unreadable", id=identity, reason=brief(str(error)))
    return found


def upgraded(cls: type, document: Document, upgrades: Sequence[Upgrade] = UPGRADES) -> Document:
    """A document in the present form. Raises ValueError, TransientError."""
    present, schema = 1 + len(upgrades), document.get("schema", 1)
    if type(schema) is not int or schema < 1:
        raise ValueError("a stored record has a schema that is no number")
    if schema > present:
        raise TransientError(
            f"the record was written by a newer version of Linegate (schema {schema}; this one reads up to {present})"
        )
    for upgrade in upgrades[schema - 1 :]:
        document = upgrade[cls](document) if cls in upgrade else document
    inside = {
        name: upgraded(part, document[name], upgrades)
        for name, part in _INSIDE.get(cls, {}).items()
        if isinstance(document.get(name), dict)
    }
    return document | inside


def _marked(cls: type, document: Document) -> Document:
    inside = {name: _marked(part, document[name]) for name, part in _INSIDE.get(cls, {}).items() if document[name]}
    return {"schema": SCHEMA, **document, **inside}


def _slim(cls: type, document: Document) -> Document:
    """Without what it does not have."""
    for key in _SELDOM.get(cls, ()):
        if not document[key]:
            del document[key]
    for name, part in _INSIDE.get(cls, {}).items():
        if document[name]:
            _slim(part, document[name])
    for finding in document["detections"] if cls is Manifest else ():
        _slim(Detection, finding)
    return document


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, str):
        return str(value)  # of a StrEnum, its value; lone surrogates would not survive the wire
    return value

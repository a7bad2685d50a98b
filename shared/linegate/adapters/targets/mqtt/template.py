"""Topics and payloads made of a notification: `{verdict}` and its like stand for what it says."""

import json
import re
from collections.abc import Collection, Mapping
from typing import Any, Final

FIELD: Final = re.compile(r"\{([a-z_]+)\}")
# What a notification has by that name under `data`; `accept` is true for PASS and for nothing else
FIELDS: Final = frozenset(
    {
        "accept",
        "complete",
        "decided_at",
        "decided_by",
        "fail_count",
        "inspection_id",
        "latency_ms",
        "line",
        "received_at",
        "recipe",
        "revision",
        "serial",
        "station",
        "summary",
        "verdict",
    }
)
# What parts a topic, stands for others, or can't be in one (MQTT 5, 4.7)
_UNFIT: Final = re.compile(r"[/+#$\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
MOST_BYTES: Final = 65_535


def sound(template: str, fields: Collection[str] = FIELDS) -> str:
    """The template as it is. Raises ValueError for a field that is not among these."""
    unknown = sorted(set(FIELD.findall(template)) - set(fields))
    if unknown:
        raise ValueError(f"has no {{{unknown[0]}}}; there is {', '.join(f'{{{name}}}' for name in sorted(fields))}")
    return template


def sound_topic(template: str, fields: Collection[str] = FIELDS) -> str:
    """The same for a topic to publish to."""
    if re.search(r"[+#\x00]", template) or template.startswith("$") or len(template.encode()) > MOST_BYTES // 4:
        raise ValueError("must be a topic to publish to: without '+' and '#', not beginning with '$'")
    return sound(template, fields)


def topic(template: str, data: Mapping[str, Any]) -> str:
    """What comes from outside neither parts a topic nor leaves a level of it empty."""
    return FIELD.sub(lambda match: _UNFIT.sub("_", str(_value(match[1], data)))[:200] or "_", template)


def payload(template: str, data: Mapping[str, Any]) -> str:
    """Texts are escaped as JSON has it between quotes; numbers and truth values stand as JSON has them."""

    def filled(match: re.Match[str]) -> str:
        value = _value(match[1], data)
        written = json.dumps(value, ensure_ascii=False)
        return written[1:-1] if isinstance(value, str) else written

    return FIELD.sub(filled, template)


def _value(name: str, data: Mapping[str, Any]) -> Any:
    if name == "accept":
        return data.get("verdict") == "PASS"
    value = data.get(name)
    return "" if value is None else value

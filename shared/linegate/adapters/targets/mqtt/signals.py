"""What gate and line show each other over MQTT: JSON objects with the signals of the handshake."""

import json
from typing import Any, Final

from linegate.inspection import Verdict
from linegate.line.handshake import LAST_NUMBER, Acknowledge, Code, LineResult, NotTaken, Signals, Trigger

LONGEST_PART: Final = 1024


def shown(signals: Signals) -> bytes:
    """What the gate shows the line."""
    result, not_taken = signals.result, signals.not_taken
    return json.dumps(
        {
            "ready": signals.ready,
            "busy": signals.busy,
            "heartbeat": signals.heartbeat,
            "job": signals.job,
            "part": signals.part,
            "waiting": signals.waiting,
            "error": signals.error,
            "code": int(signals.code),
            "available": signals.available,
            "counter": signals.counter,
            "result": None
            if result is None
            else {
                "job": result.job,
                "part": result.part,
                "verdict": result.verdict.value if result.verdict else None,
                "code": int(result.code),
            },
            "not_taken": None if not_taken is None else {"job": not_taken.job, "code": int(not_taken.code)},
        },
        ensure_ascii=False,
    ).encode("utf-8", "replace")


def read(payload: bytes | str) -> Signals:
    """The same as the line reads it. Raises ValueError."""
    said = _object(payload)
    try:
        result, not_taken = said["result"], said["not_taken"]
        return Signals(
            ready=said["ready"] is True,
            busy=said["busy"] is True,
            heartbeat=_number(said["heartbeat"]),
            job=_number(said["job"]),
            part=str(said["part"]),
            counter=_number(said["counter"]),
            result=result
            and LineResult(
                _number(said["counter"]),
                _number(result["job"]),
                str(result["part"]),
                Verdict(result["verdict"]) if result["verdict"] else None,
                Code(result["code"]),
            ),
            waiting=_number(said["waiting"]),
            code=Code(said["code"]),
            not_taken=not_taken and NotTaken(_number(not_taken["job"]), Code(not_taken["code"])),
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"these are no signals of a gate: {error!r}") from error


def said(*says: Trigger | Acknowledge) -> bytes:
    """What the line shows the gate."""
    shows: dict[str, Any] = {}
    for each in says:
        if isinstance(each, Trigger):
            shows |= {"job": each.job, "part": each.part}
        else:
            shows["acknowledged"] = each.counter
    return json.dumps(shows, ensure_ascii=False).encode("utf-8", "replace")


def heard(payload: bytes | str) -> list[Acknowledge | Trigger]:
    """The same as the gate reads it: the acknowledgement first, since it makes room. Raises ValueError."""
    shows = _object(payload)
    events: list[Acknowledge | Trigger] = []
    if shows.get("acknowledged"):
        events.append(Acknowledge(_number(shows["acknowledged"])))
    if shows.get("job"):
        part = shows.get("part")
        if not isinstance(part, str) or not 0 < len(part) <= LONGEST_PART:
            raise ValueError("a job has a part, which is a text")
        events.append(Trigger(_number(shows["job"]), part))
    return events


def _object(payload: bytes | str) -> dict[str, Any]:
    try:
        known = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise ValueError("this is no JSON") from error
    if not isinstance(known, dict):
        raise ValueError("this is no JSON object")
    return known


def _number(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= LAST_NUMBER:
        raise ValueError(f"{str(value)[:40]!r} is no number from 0 to {LAST_NUMBER}")
    return value

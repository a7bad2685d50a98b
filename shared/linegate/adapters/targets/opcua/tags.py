"""The handshake's signals as OPC UA variables: names, types, values. Server, client and the page's table are made of these."""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from linegate.line.handshake import VERDICT_NUMBERS, Acknowledge, Code, LineResult, NotTaken, Signals, Trigger

Value = bool | int | str


@dataclass(frozen=True, slots=True)
class Tag:
    """One variable. `kind` is its DataType: what a PLC calls BOOL, DINT or STRING."""

    name: str
    kind: str  # Boolean, Int32 or String
    says: str  # for a person
    of: Callable[[Signals], Value]


def _of_result(take: Callable[[LineResult], Value], none: Value) -> Callable[[Signals], Value]:
    """What a result says. Where none stands there is nothing left of the last one: no PASS is read without its result."""
    return lambda shown: none if shown.result is None else take(shown.result)


GATE: Final = (
    Tag("Ready", "Boolean", "a trigger would be taken", lambda shown: shown.ready),
    Tag("Busy", "Boolean", "some job waits for its picture or its verdict", lambda shown: shown.busy),
    Tag("Heartbeat", "Int32", "moves while the gate can decide", lambda shown: shown.heartbeat),
    Tag("Job", "Int32", "the last trigger that was taken", lambda shown: shown.job),
    Tag("Part", "String", "its part", lambda shown: shown.part),
    Tag("ResultJob", "Int32", "the result's job", _of_result(lambda result: result.job, 0)),
    Tag("ResultPart", "String", "the result's part", _of_result(lambda result: result.part, "")),
    Tag(
        "Verdict",
        "Int32",
        "the result's verdict; 0 is none",
        _of_result(lambda result: VERDICT_NUMBERS[result.verdict] if result.verdict else 0, 0),
    ),
    Tag(
        "ResultCode", "Int32", "why the result has no verdict, or ERROR", _of_result(lambda result: int(result.code), 0)
    ),
    Tag("Error", "Boolean", "something is not as it should be", lambda shown: shown.error),
    Tag("Code", "Int32", "what", lambda shown: int(shown.code)),
    Tag(
        "NotTakenJob",
        "Int32",
        "a trigger that was refused",
        lambda shown: shown.not_taken.job if shown.not_taken else 0,
    ),
    Tag("NotTakenCode", "Int32", "why", lambda shown: int(shown.not_taken.code) if shown.not_taken else 0),
    Tag("Counter", "Int32", "the result's number", lambda shown: shown.counter),
    Tag("Available", "Boolean", "a result stands", lambda shown: shown.available),
)

# What the line shows. The types are those of `GATE`.
LINE: Final[Mapping[str, tuple[str, str]]] = {
    "Job": ("Int32", "the trigger: counted up with each part"),
    "Part": ("String", "the part that it is for"),
    "Acknowledged": ("Int32", "the counter of the last result that the line took"),
}


@dataclass(frozen=True, slots=True)
class Said:
    """What the line shows."""

    job: int = 0
    part: str = ""
    acknowledged: int = 0


def values(shown: Signals) -> dict[str, Value]:
    """Of all variables of the gate, by name."""
    return {tag.name: tag.of(shown) for tag in GATE}


def signals_of(read: Mapping[str, Value]) -> Signals:
    """What a line makes of the variables, all of them read at one moment."""
    number = {name: int(value) for name, value in read.items() if not isinstance(value, str)}
    code = Code(number.get("Code", 0))
    result = None
    if read["Available"]:
        verdict = next((each for each, as_number in VERDICT_NUMBERS.items() if as_number == number["Verdict"]), None)
        job, why = number.get("ResultJob", 0), Code(number["ResultCode"])
        result = LineResult(number["Counter"], job, str(read["ResultPart"]), verdict, why)
    refused = number.get("NotTakenJob", 0)
    return Signals(
        ready=bool(read.get("Ready", True)),
        busy=bool(read.get("Busy", False)),
        heartbeat=number["Heartbeat"],
        job=number.get("Job", 0),
        part=str(read.get("Part", "")),
        counter=number["Counter"],
        result=result,
        waiting=0,  # nobody says
        code=code,
        not_taken=NotTaken(refused, Code(number["NotTakenCode"])) if refused else None,
    )


def said_by(says: Sequence[Trigger | Acknowledge]) -> dict[str, Value]:
    """What a line writes, the part before its job."""
    written: dict[str, Value] = {}
    for each in says:
        if isinstance(each, Trigger):
            written |= {"Part": each.part, "Job": each.job}
        else:
            written["Acknowledged"] = each.counter
    return written


def as_json(shown: Mapping[str, Value]) -> str:
    """All of them as one text: who reads it reads one moment."""
    return json.dumps(shown, ensure_ascii=False, separators=(",", ":"))

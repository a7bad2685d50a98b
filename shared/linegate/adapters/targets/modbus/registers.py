"""The register map: how signals, and what the line says, lie in registers of 16 bits. `shared/docs/modbus.md` holds it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from linegate.inspection import Verdict
from linegate.line.handshake import VERDICT_NUMBERS, Acknowledge, Code, LineResult, NotTaken, Signals, Trigger

MAP: Final = 1  # it grows when a register changes its meaning or place
PART_BYTES: Final = 80
FLAGS: Final = ("ready", "busy", "available", "error")  # from bit 0 on
LONGEST_READ: Final = 125  # registers in one request, by the protocol
VERDICTS: Final[dict[int, Verdict]] = {number: verdict for verdict, number in VERDICT_NUMBERS.items()}


class Form(Enum):
    """How many registers a value takes, and what a person calls it."""

    BITS = (1, "bits")
    WORD = (1, "UINT")
    NUMBER = (2, "DINT")
    TEXT = (PART_BYTES // 2, f"STRING({PART_BYTES})")


@dataclass(frozen=True, slots=True)
class Register:
    """One value of a block; `offset` is that of its first register."""

    name: str
    form: Form
    means: str
    offset: int = 0

    @property
    def end(self) -> int:
        return self.offset + self.form.value[0]


def _laid(*registers: Register) -> tuple[Register, ...]:
    """One behind the other."""
    laid, offset = [], 0
    for register in registers:
        laid.append(Register(register.name, register.form, register.means, offset))
        offset = laid[-1].end
    return tuple(laid)


GATE: Final = _laid(
    Register("map", Form.WORD, f"{MAP}: the version of this map"),
    Register("flags", Form.BITS, ", ".join(f"bit {bit} `{name}`" for bit, name in enumerate(FLAGS))),
    Register("code", Form.WORD, "why `error` is set"),
    Register("waiting", Form.WORD, "jobs in the queue"),
    Register("heartbeat", Form.NUMBER, "moves while the gate can decide"),
    Register("job", Form.NUMBER, "the last trigger that was taken (echo)"),
    Register("counter", Form.NUMBER, "of the result"),
    Register("result_job", Form.NUMBER, "with `available`: the result's job"),
    Register("verdict", Form.WORD, "with `available`: 0 none in time, 1 PASS, 2 FAIL, 3 REVIEW, 4 ERROR"),
    Register("result_code", Form.WORD, "with `available`: why it has no verdict, or ERROR"),
    Register("not_taken_job", Form.NUMBER, "a trigger that was not taken"),
    Register("not_taken_code", Form.WORD, "and why"),
    Register("spare", Form.WORD, "0"),
    Register("part", Form.TEXT, "of `job` (echo)"),
    Register("result_part", Form.TEXT, "with `available`: the result's part"),
)
LINE: Final = _laid(
    Register("part", Form.TEXT, "the part of the trigger"),
    Register("job", Form.NUMBER, "the trigger: counted up with each, 1 … 2147483647"),
    Register("acknowledged", Form.NUMBER, "the counter of the last result that was taken"),
)
GATE_SIZE: Final = GATE[-1].end
LINE_SIZE: Final = LINE[-1].end


@dataclass(frozen=True, slots=True)
class Places:
    """Where the two blocks begin."""

    gate: int = 0
    line: int = 100


@dataclass(frozen=True, slots=True)
class Order:
    """Which half comes first: the word of a number, the byte of a text."""

    low_word_first: bool = False
    low_byte_first: bool = False

    def put(self, registers: list[int], block: Sequence[Register], values: dict[str, int | str]) -> None:
        for register in block:
            value = values[register.name]
            written = self._text(value) if isinstance(value, str) else self._number(value, register.form)
            registers[register.offset : register.end] = written

    def take(self, registers: Sequence[int], block: Sequence[Register]) -> dict[str, Any]:
        """The values of a block; texts end at their first zero, and what is no UTF-8 in them is replaced."""
        found: dict[str, int | str] = {}
        for register in block:
            part = registers[register.offset : register.end]
            if register.form is Form.TEXT:
                data = b"".join(word.to_bytes(2, "little" if self.low_byte_first else "big") for word in part)
                found[register.name] = data.partition(b"\0")[0].decode("utf-8", "replace")
            else:
                words = reversed(part) if self.low_word_first else part
                found[register.name] = int.from_bytes(b"".join(word.to_bytes(2, "big") for word in words), "big")
        return found

    def _number(self, value: int, form: Form) -> list[int]:
        words = list(_words(value.to_bytes(2 * form.value[0], "big"), "big"))
        return words[::-1] if self.low_word_first else words

    def _text(self, text: str) -> list[int]:
        """A text that does not fit is told as none: cut off, it could be another part's."""
        data = text.encode("utf-8", "replace")
        data = b"" if len(data) > PART_BYTES or b"\0" in data else data
        return list(_words(data.ljust(PART_BYTES, b"\0"), "little" if self.low_byte_first else "big"))


def _words(data: bytes, order: Any) -> Iterator[int]:
    return (int.from_bytes(data[at : at + 2], order) for at in range(0, len(data), 2))


def shown(signals: Signals, order: Order) -> list[int]:
    """The gate's block."""
    result, refused = signals.result, signals.not_taken
    flags = (signals.ready, signals.busy, signals.available, signals.error)
    registers = [0] * GATE_SIZE
    values: dict[str, int | str] = {
        "map": MAP,
        "flags": sum(flag << bit for bit, flag in enumerate(flags)),
        "code": signals.code,
        "waiting": signals.waiting,
        "heartbeat": signals.heartbeat,
        "job": signals.job,
        "counter": signals.counter,
        "result_job": result.job if result else 0,
        "verdict": VERDICT_NUMBERS[result.verdict] if result and result.verdict else 0,
        "result_code": result.code if result else 0,
        "not_taken_job": refused.job if refused else 0,
        "not_taken_code": refused.code if refused else 0,
        "spare": 0,
        "part": signals.part,
        "result_part": result.part if result else "",
    }
    order.put(registers, GATE, values)
    return registers


def seen(registers: Sequence[int], order: Order) -> Signals:
    """What the gate shows, as a line reads it."""
    values = order.take(registers, GATE)
    flags = {name: bool(values["flags"] >> bit & 1) for bit, name in enumerate(FLAGS)}
    result = None
    if flags["available"]:
        code = Code(values["result_code"])
        verdict = VERDICTS.get(values["verdict"])
        result = LineResult(values["counter"], values["result_job"], values["result_part"], verdict, code)
    refused = values["not_taken_code"]
    return Signals(
        ready=flags["ready"],
        busy=flags["busy"],
        heartbeat=values["heartbeat"],
        job=values["job"],
        part=values["part"],
        counter=values["counter"],
        result=result,
        waiting=values["waiting"],
        code=Code(values["code"]),
        not_taken=NotTaken(values["not_taken_job"], Code(refused)) if refused else None,
    )


def said(registers: Sequence[int], order: Order) -> tuple[Trigger | None, Acknowledge | None]:
    """What a line shows; None for what it does not."""
    values = order.take(registers, LINE)
    trigger = Trigger(values["job"], values["part"]) if values["job"] and values["part"] else None
    return trigger, Acknowledge(values["acknowledged"]) if values["acknowledged"] else None


def saying(trigger: Trigger | None, acknowledge: Acknowledge | None, order: Order) -> list[int]:
    """The line's block."""
    registers = [0] * LINE_SIZE
    values: dict[str, int | str] = {
        "part": trigger.part if trigger else "",
        "job": trigger.job if trigger else 0,
        "acknowledged": acknowledge.counter if acknowledge else 0,
    }
    order.put(registers, LINE, values)
    return registers


def splits(start: int, count: int) -> bool:
    """Whether these registers of the line's block hold half a number: it could be read as another one."""
    numbers = (register for register in LINE if register.form is Form.NUMBER)
    return any(
        start < register.end
        and register.offset < start + count
        and not (start <= register.offset and register.end <= start + count)
        for register in numbers
    )


def page(gate_at: int = 0, line_at: int = 100) -> str:
    """Both blocks as tables of Markdown."""
    parts = []
    for title, block, at in (("gate shows", GATE, gate_at), ("line shows", LINE, line_at)):
        rows = [f"| the {title} | registers | form | means |", "|---|---|---|---|"]
        for register in block:
            first, last = at + register.offset, at + register.end - 1
            places = str(first) if first == last else f"{first} … {last}"
            rows.append(f"| `{register.name}` | {places} | {register.form.value[1]} | {register.means} |")
        parts.append("\n".join(rows) + "\n")
    return "\n".join(parts)

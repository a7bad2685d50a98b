"""What services answer, read to the letter: what may be meant in two ways is not read at all."""

import json
import math
from collections.abc import Mapping
from typing import Any, Final

from linegate.inspection import Result

# Digits of a number. No coordinate, confidence or count has as many; Python would work on 10**400 for everybody.
LONGEST_NUMBER: Final = 40
_BLANKS: Final = " \t\r\n"
_WORDS: Final[Mapping[str, Result]] = {"PASS": Result.PASS, "FAIL": Result.FAIL}


def loads(text: str | bytes) -> Any:
    """JSON that says each thing once, in one spelling, in valid UTF-8.

    A number without end is read as what it is: none (see `number`). Raises ValueError, with a reason for a person.
    """
    try:
        decoded = text.decode("utf-8") if isinstance(text, bytes) else text
        return json.loads(decoded, object_pairs_hook=_once, parse_int=_integer)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def word(answer: object) -> Result | None:
    """PASS or FAIL, in any ASCII case, with ASCII blanks around it; None for everything else."""
    if not isinstance(answer, str):
        return None
    bare = answer.strip(_BLANKS)
    return _WORDS.get(bare.upper()) if bare.isascii() else None


def number(value: object) -> bool:
    """Whether a value is a finite number, and not a truth value or a text that reads like one."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key.lower().replace("_", "") for key, _ in pairs}) != len(pairs):
        raise ValueError("a key is given twice, or in two spellings")
    return dict(pairs)


def _integer(digits: str) -> int | float:
    return int(digits) if len(digits) <= LONGEST_NUMBER else math.inf

"""Texts from outside, as anybody may see them: without secrets and what steers a terminal, and short."""

import re
import unicodedata
from datetime import timedelta
from typing import Final

from linegate.redaction import redact

# Letters by Unicode's tables, yet nothing is seen of them
_BLANK: Final = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
_SPANS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def printable(text: str, limit: int = 200) -> str:
    """A text from outside as anybody may see it: `visible`, without secrets, cut to `limit` characters."""
    return visible(redact(text)[:limit])


def visible(text: str, keep: str = "") -> str:
    """`text` with "?" for what steers a terminal, turns the direction of writing, or is not seen at all; spaces are spaces.

    That is every character of Unicode's kinds Cc, Cf, Cs, Co, Cn, Zl and Zp, and a few blank letters; but for those in `keep`.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(char if char in keep else _visible(char) for char in text)


def _visible(char: str) -> str:
    if char.isprintable() and char not in _BLANK:
        return char
    return " " if unicodedata.category(char) == "Zs" else "?"


def brief(text: str) -> str:
    """A reason as a report can carry it: one line, 300 characters at most, whatever a service said."""
    line = " ".join(redact(text).split())
    return printable(line if len(line) <= 300 else f"{line[:299]}…", 300)


def span(text: str) -> timedelta:
    """A whole number with its unit: "90s", "30m", "8h", "2d". Raises ValueError."""
    found = re.fullmatch(r"([0-9]{1,6})([smhd])", text)
    if not found:
        raise ValueError(f'must be a whole number with its unit, such as 30m, 8h or 2d, not "{text[:40]}"')
    return timedelta(seconds=int(found[1]) * _SPANS[found[2]])

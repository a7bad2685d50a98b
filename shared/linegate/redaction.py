"""Secrets are never shown: a text from outside may hold a key that a service gave back, in one form or another.

Whoever reads a configuration tells this module its secrets (`know`); whatever enters an error's text, a reason, a log line or a
terminal goes through `redact`.
"""

import base64
import html
import json
import re
from collections.abc import Iterable, Iterator
from typing import Final
from urllib.parse import quote, quote_plus

SIGN: Final = "[secret]"
# Anything shorter is a word of every text: it is not looked for.
SHORTEST: Final = 4
# Anything shorter is taken out only where it stands alone: "12345" must not tear "123456" apart.
LONG: Final = 8
# Credentials by their shape, whoever's they are: of a header, of an address
_SHAPES: Final = (
    (re.compile(r"(?i)\b(bearer|basic)(?:\s+|%20)(?=\S*\d)[\w.~+/=-]{16,}"), rf"\1 {SIGN}"),
    (re.compile(r"://[^\s/?#@\"'<>]+@"), f"://{SIGN}@"),
)


class Redactor:
    """Takes `values` out of texts, also encoded for an address, for JSON, for HTML, or in base64, and cut off at the end."""

    def __init__(self, values: Iterable[str]) -> None:
        forms = {form for value in values for form in _forms(value)}
        self._long = sorted((form for form in forms if len(form) >= LONG), key=len, reverse=True)
        self._short = [
            (form, re.compile(rf"(?<![^\W_]){re.escape(form)}(?![^\W_])"))
            for form in forms
            if SHORTEST <= len(form) < LONG
        ]

    def redact(self, text: str) -> str:
        """`text` with SIGN in place of every secret."""
        for form in self._long:
            if form in text:
                text = text.replace(form, SIGN)
            elif (cut := text.find(form[:LONG], max(0, len(text) - len(form)))) >= 0 and form.startswith(text[cut:]):
                text = text[:cut] + SIGN
        for form, alone in self._short:
            if form in text:
                text = alone.sub(SIGN, text)
        for shape, instead in _SHAPES:
            text = shape.sub(instead, text)
        return text


def _forms(value: str) -> Iterator[str]:
    """How a secret may be given back."""
    value = value.strip()
    yield value
    for encoded in (quote(value, safe=""), quote(value), quote_plus(value)):
        yield encoded
        yield re.sub("%..", lambda code: code[0].lower(), encoded)
    yield json.dumps(value)[1:-1]
    yield json.dumps(json.dumps(value)[1:-1])[1:-1]
    yield json.dumps(value, ensure_ascii=False)[1:-1]
    yield value.replace("/", "\\/")
    yield html.escape(value)
    yield repr(value)[1:-1]
    content = value.encode("utf-8", "surrogatepass")
    if len(content) >= LONG:
        # In the middle of something longer it looks different for each of the three places where it may begin.
        for before in range(3):
            encoded = base64.b64encode(bytes(before) + content).decode("ascii")
            whole = encoded[-(-before * 8 // 6) : (before + len(content)) * 8 // 6]
            yield whole
            yield whole.replace("+", "-").replace("/", "_")


_known: Final[set[str]] = set()
_current: Final = [Redactor(())]


def know(values: Iterable[str]) -> None:
    """From now on these are secrets in this process."""
    new = set(values) - _known
    if new:
        _known.update(new)
        _current[0] = Redactor(_known)


def forget() -> None:
    """No text is a secret any more: for a process that goes on with another configuration."""
    _known.clear()
    _current[0] = Redactor(())


def redact(text: str) -> str:
    """`text` without any secret that this process knows."""
    return _current[0].redact(text)

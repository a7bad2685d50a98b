"""Which part of a file a request asks for, and whether it holds it already. Source: RFC 9110, sections 13 and 14."""

import re
from dataclasses import dataclass

from starlette.datastructures import Headers

_RANGE = re.compile(r"bytes=\s*(?:(\d{1,18})-(\d{0,18})|-(\d{1,18}))\s*$", re.ASCII | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Part:
    """`count` bytes from `start` on; `whole` where that is all of it and nobody asked for less."""

    start: int
    count: int
    whole: bool = False


def held(headers: Headers, etag: str) -> bool:
    """Whether whoever asks holds this very version, by If-None-Match."""
    known = headers.get("if-none-match", "")
    return known.strip() == "*" or etag in (each.strip().removeprefix("W/") for each in known.split(","))


def part(headers: Headers, size: int, etag: str) -> Part | None:
    """The part that is asked for; None where there is no such part (416).

    More than one range, another unit, and what can't be understood are answered with the whole, as the RFC allows; so is a
    range of a version that is not the present one (If-Range).
    """
    whole = Part(0, size, whole=True)
    asked = _RANGE.match(headers.get("range", ""))
    if asked is None or headers.get("if-range", etag).strip() != etag:
        return whole
    first, last, suffix = asked.groups()
    if suffix is not None:
        count = min(int(suffix), size)
        return Part(size - count, count) if count else None
    start, end = int(first), int(last) if last else size - 1
    if last and end < start:
        return whole  # invalid, so as if nothing had been asked
    return Part(start, min(end, size - 1) - start + 1) if start < size else None

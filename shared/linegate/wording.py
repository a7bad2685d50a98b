"""Figures as people read them."""

import math
from typing import Final

from linegate.numbers import Measured

UNKNOWN: Final = "unknown"


def share(rate: float | None) -> str:
    """In percent, with two digits behind the point where all that counts would be rounded away: 0.13 %, 99.87 %."""
    if rate is None:
        return UNKNOWN
    digits = 2 if 0 < rate < 0.01 or 0.99 < rate < 1 else 1
    text = f"{100 * rate:.{digits}f}"
    if (rate < 1 and text == "100.00") or (rate > 0 and text == "0.00"):
        return "more than 99.99 %" if rate > 0.5 else "less than 0.01 %"
    return f"{text} %"


def between(measured: Measured) -> str:
    """The bounds, rounded outwards: told too wide rather than too narrow."""
    if not measured.total:
        return UNKNOWN
    low, high = measured.interval
    digits = 2 if high < 0.01 or low > 0.99 else 1
    scale: float = 100 * 10**digits
    least, most = math.floor(low * scale + 1e-9) / scale, math.ceil(high * scale - 1e-9) / scale
    return f"{100 * least:.{digits}f} to {100 * most:.{digits}f} %"


def number(value: float | None) -> str:
    """12 345; 0.036; 7.1."""
    if value is None:
        return UNKNOWN
    if value >= 100 or value == int(value):
        return f"{value:,.0f}".replace(",", "\u202f")
    return f"{value:.3g}"


def duration(ms: float | None) -> str:
    """140 ms; 2.3 s; 4 min."""
    if ms is None:
        return UNKNOWN
    if ms < 1000:
        return f"{ms:.0f} ms"
    return f"{ms / 1000:.1f} s" if ms < 120_000 else f"{ms / 60_000:.0f} min"

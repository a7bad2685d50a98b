"""Percentiles of what was measured, by one rule everywhere: nearest rank."""

import math
from collections.abc import Iterable


def percentile(values: Iterable[float], share: float) -> float:
    """The smallest of the values that `share` per cent of them do not exceed. Raises ValueError for no values."""
    ordered = sorted(values)
    if not ordered:
        raise ValueError("there is no percentile of nothing")
    return ordered[max(0, math.ceil(share / 100 * len(ordered)) - 1)]


def percentiles(values: Iterable[float]) -> dict[str, float | None]:
    """p50 and p95, rounded to a tenth; None where there are no values."""
    ordered = sorted(values)
    return {f"p{share}": round(percentile(ordered, share), 1) if ordered else None for share in (50, 95)}

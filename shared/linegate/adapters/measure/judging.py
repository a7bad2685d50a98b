"""What a value is against its limits: guarded acceptance, after the decision rule of ISO 14253-1.

Inside the limits by more than the guard band, conformity is proved: PASS. Outside of them a part is refused, however little it
is: FAIL. In between nothing is proved: UNSURE. The guard band is `guard` standard deviations wide, of the measured
repeatability or of this picture's own fit, whichever is larger.
"""

from linegate.adapters.measure.gauges import Gauge
from linegate.adapters.measure.tools import Reading
from linegate.inspection import Result


def guard_band(gauge: Gauge, u: float) -> float:
    """How far inside a limit a value must lie, in the gauge's unit; a count is exact or there is none."""
    return 0.0 if gauge.measures == "count" else gauge.guard * max(u, gauge.repeatability)  # u, where it is no number


def judge(gauge: Gauge, value: float, u: float, unit: str) -> tuple[Result, str]:
    """The result and its reason, as a sentence. `value` and its standard deviation `u` are in `unit`."""
    low, high = gauge.limits
    band = guard_band(gauge, u)
    digits = 0 if gauge.measures == "count" else _digits(value, gauge.limits, band)
    said, allowed = shown(value, unit, digits), f"{between(low, high, unit)} allowed"
    if (low is not None and value < low) or (high is not None and value > high):
        how = "below" if low is not None and value < low else "above"
        return Result.FAIL, f"{said}, {how} what is allowed ({between(low, high, unit)})."
    # Told by what is proved, which nothing is of a value or a band that is no number
    if not ((low is None or value >= low + band) and (high is None or value <= high - band)):
        return Result.UNSURE, (
            f"{said}, {allowed}: nearer to a limit than it can be measured ({gauge.guard:g} standard deviations are "
            f"{shown(band, unit, digits)})."
        )
    return Result.PASS, f"{said}, {allowed}."


def reading_in(gauge: Gauge, reading: Reading, mm_per_px: float | None) -> tuple[float, float, str]:
    """Value, standard deviation and unit as the recipe has them: lengths in mm where it has a scale."""
    unit = unit_of(gauge, mm_per_px)
    scale = mm_per_px if unit == "mm" and mm_per_px else 1.0
    return reading.value * scale, reading.u * scale, unit


def unit_of(gauge: Gauge, mm_per_px: float | None) -> str:
    """Of its limits and values."""
    length = "mm" if mm_per_px else "px"
    return {"length": length, "angle": "°", "part": "%", "count": ""}[gauge.measures]


def shown(value: float, unit: str, digits: int = 2) -> str:
    """For a person: 12.30 mm, 1.2°, 3."""
    return f"{value:.{digits}f}{'' if unit in ('', '°') else ' '}{unit}"


def between(low: float | None, high: float | None, unit: str) -> str:
    """Limits for a person."""
    end = f"{'' if unit in ('', '°') else ' '}{unit}"
    if low is None and high is None:
        return "anything"
    if low is None:
        return f"at most {high:g}{end}"
    if high is None:
        return f"at least {low:g}{end}"
    return f"{low:g}{end}" if low == high else f"{low:g} … {high:g}{end}"


def _digits(value: float, limits: tuple[float | None, float | None], band: float) -> int:
    """As many decimals as the value is good for; more where these would show it on a limit that it is beside."""
    digits = 3 if band and band < 0.05 else 2
    while digits < 6 and any(
        limit is not None and value != limit and f"{value:.{digits}f}" == f"{limit:.{digits}f}" for limit in limits
    ):
        digits += 1
    return digits

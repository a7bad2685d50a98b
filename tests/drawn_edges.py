"""Edges whose place is known to parts of a pixel, drawn with blur and noise; and how near the gauges come to it.

    uv run python -m tests.drawn_edges

prints the figures of shared/docs/measure.md: bias and standard deviation of a place, a width and a diameter, in pixels.
"""

import sys
from collections.abc import Callable
from math import erf, sqrt
from typing import Final

import numpy as np
from numpy.typing import NDArray

from linegate.adapters.measure.gauges import CaliperGauge, CircleGauge, EdgeGauge, Gauge
from linegate.adapters.measure.tools import measure
from linegate.sections import Zone

WIDTH, HEIGHT = 100, 80
DARK, STEP = 60.0, 120.0  # grey levels
FINE: Final = 4  # points of a pixel, each way, whose mean it shows
BLURS, NOISES = (0.5, 1.0, 2.0, 3.0), (0.0, 2.0, 5.0, 10.0)
WHAT: Final = ("place", "width", "diameter")

Grey = NDArray[np.float64]
Shade = Callable[[Grey, Grey], Grey]

_AT: Final = np.linspace(-8, 8, 4001)
_RISEN: Final = np.array([0.5 * (1 + erf(at / sqrt(2))) for at in _AT])


def risen(across: Grey, blur: float) -> Grey:
    """How far (0 … 1) an edge has risen `across` pixels behind it; `blur` is the deviation of the Gaussian (pixels)."""
    return np.asarray(np.interp(across / blur, _AT, _RISEN), np.float64)


def drawn(shade: Shade, noise: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """height x width x 3: the mean of `shade` over each pixel, with noise, in whole grey levels."""
    within = (np.arange(FINE) + 0.5) / FINE
    x, y = (np.add.outer(np.arange(side), within).ravel() for side in (WIDTH, HEIGHT))
    grey = shade(*np.meshgrid(x, y)).reshape(HEIGHT, FINE, WIDTH, FINE).mean(axis=(1, 3))
    grey = np.clip(np.round(grey + rng.normal(0, noise, grey.shape)), 0, 255).astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)


def bar(x: float, width: float, degrees: float, blur: float) -> Shade:
    """A bright bar, its middle at `x` where y is the middle of the picture, leaning by some degrees."""
    angle = np.deg2rad(degrees)

    def shade(across: Grey, down: Grey) -> Grey:
        off = (across - x) * np.cos(angle) + (down - HEIGHT / 2) * np.sin(angle)
        return DARK + STEP * (risen(off + width / 2, blur) - risen(off - width / 2, blur))

    return shade


def disc(x: float, y: float, radius: float, blur: float) -> Shade:
    """A dark disc."""
    return lambda across, down: DARK + STEP * risen(np.hypot(across - x, down - y) - radius, blur)


def value(picture: NDArray[np.uint8], gauge: Gauge) -> float:
    """What the gauge reads there, in pixels; no number where it can't be measured."""
    (outcome,) = measure(picture, [gauge], None)
    return outcome.reading.value if outcome.reading else np.nan


def errors(blur: float, noise: float, count: int, seed: int) -> dict[str, Grey]:
    """By how many pixels a place, a width and a diameter were read too large on `count` pictures; NaN where they weren't."""
    rng = np.random.default_rng(seed)
    left = Zone(left=0.15, top=0.2, right=0.5, bottom=0.8)
    across = Zone(left=0.1, top=0.2, right=0.9, bottom=0.8)
    around = Zone(left=0.1, top=0.02, right=0.9, bottom=0.98)
    off: dict[str, list[float]] = {what: [] for what in WHAT}
    for _ in range(count):
        x, width, degrees = 50 + rng.uniform(-1, 1), 30 + rng.uniform(-1, 1), rng.uniform(-3, 3)
        picture = drawn(bar(x, width, degrees, blur), noise, rng)
        place = x - width / 2 / np.cos(np.deg2rad(degrees))
        off["place"].append(
            value(picture, EdgeGauge(name="a", zone=left, polarity="to_bright", low=0, high=99)) - place
        )
        off["width"].append(
            value(picture, CaliperGauge(name="b", zone=across, between="bright", low=0, high=99)) - width
        )
        radius = 25 + rng.uniform(-1, 1)
        picture = drawn(disc(50 + rng.uniform(-2, 2), 40 + rng.uniform(-2, 2), radius, blur), noise, rng)
        off["diameter"].append(
            value(picture, CircleGauge(name="c", zone=around, inside=0.3, low=0, high=99)) - 2 * radius
        )
    return {what: np.array(each) for what, each in off.items()}


def main() -> None:
    print("| blur | noise |", *(f"{what}: bias | s |" for what in WHAT), "not measured |")
    print("|---|---|" + "---|---|" * len(WHAT) + "---|")
    for blur in BLURS:
        for noise in NOISES:
            told = errors(blur, noise, count=40, seed=1).values()
            cells = (f"{np.nanmean(each):+.3f} | {np.nanstd(each, ddof=1):.3f} |" for each in told)
            print(f"| {blur:g} | {noise:g} |", *cells, f"{sum(int(np.isnan(each).sum()) for each in told)} |")
            sys.stdout.flush()


if __name__ == "__main__":
    main()

"""The port Detector by measuring: each gauge with limits is a finding, settled by its value."""

from collections.abc import Sequence
from typing import Final

import numpy as np
from PIL import Image

from linegate.adapters.measure.gauges import Gauge
from linegate.adapters.measure.judging import judge, reading_in, unit_of
from linegate.adapters.measure.tools import Outcome, measure
from linegate.inspection import Check, Detection, Measure, Result
from linegate.ports import Found, Reference
from linegate.shapes import Box

MODEL: Final = "measure"
VERSION: Final = "1"
LEAST_SIDE: Final = 4.0  # pixels of a box, so that one can see it


class MeasureDetector:
    """Measures a product. `mm_per_px` is the recipe's scale."""

    def __init__(self, gauges: Sequence[Gauge], mm_per_px: float | None) -> None:
        self._gauges, self._mm_per_px = gauges, mm_per_px

    def detect(self, picture: Image.Image, file: bytes, golden: Reference | None) -> Found:
        outcomes = self.outcomes(picture, golden)
        findings = [self.finding(outcome, picture.size) for outcome in outcomes if outcome.gauge.judged]
        return Found(tuple(findings), MODEL, VERSION)

    def outcomes(self, picture: Image.Image, golden: Reference | None) -> list[Outcome]:
        """What became of each gauge, those without limits as well."""
        lies = golden.lies if golden else None
        return measure(np.asarray(picture), self._gauges, lies, (self._mm_per_px or 1.0) ** 2)

    def finding(self, outcome: Outcome, size: tuple[int, int]) -> Detection:
        """What is told of a gauge: a number of a good part too, since a plant trends it.

        It counts with confidence 1: whether it can be relied on is what its result says.
        """
        gauge = outcome.gauge
        box = _box(outcome, size)
        if outcome.reading is None:
            check = Check(0, Result.UNSURE, f"It can't be measured: {outcome.why}.", MODEL, VERSION)
            return Detection(gauge.name, 1.0, box, settled=check, outline=outcome.outline)
        value, u, unit = reading_in(gauge, outcome.reading, self._mm_per_px)
        result, reason = judge(gauge, value, u, unit)
        low, high = gauge.limits
        told = Measure(gauge.name, value, unit_of(gauge, self._mm_per_px), low, high)
        check = Check(0, result, reason, MODEL, VERSION)
        return Detection(gauge.name, 1.0, box, settled=check, outline=outcome.outline, measure=told)


def _box(outcome: Outcome, size: tuple[int, int]) -> Box:
    """The upright box around where it was measured, inside the picture."""
    corners = np.array(outcome.outline or [(0.0, 0.0), size])
    low = np.clip(corners.min(axis=0), 0, np.array(size) - LEAST_SIDE)
    high = np.maximum(np.clip(corners.max(axis=0), 0, size), low + LEAST_SIDE)
    x, y = (float(value) for value in (low + high) / 2)
    width, height = (float(value) for value in high - low)
    return Box(x, y, width, height)

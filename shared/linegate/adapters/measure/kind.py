"""The kind `measure`: sizes, places, angles, fill levels and counts against their limits, on this machine."""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from linegate.adapters.measure.gauges import AnyGauge, Looking, faults
from linegate.kind import DetectorKind, Need, RecipeBase, Says, Surroundings
from linegate.ports import Detector


class MeasureDetection(DetectorKind):
    """Measures the product by gauges, each against its limits."""

    type: Literal["measure"] = "measure"
    gauges: Annotated[list[AnyGauge], Field(min_length=1, max_length=200)]
    """What is measured, in this order: a gauge refers to those before it."""

    takes: ClassVar[frozenset[Need]] = frozenset({Need.GOLDEN, Need.SCALE})
    says: ClassVar[frozenset[Says]] = frozenset({Says.OUTLINE, Says.MEASURE})
    preload: ClassVar[tuple[str, ...]] = ("linegate.adapters.measure.detector",)

    def faults(self, recipe: RecipeBase) -> Iterator[str]:
        for fault in faults(self.gauges):
            yield f"gauges.{fault}"
        for number, gauge in enumerate(self.gauges):
            if gauge.judged and isinstance(gauge, Looking):
                zone = gauge.zone
                if any(
                    part.left <= zone.left
                    and zone.right <= part.right
                    and part.top <= zone.top
                    and zone.bottom <= part.bottom
                    for part in recipe.ignore
                ):
                    yield f"gauges.{number}: {gauge.name!r} lies in an ignored part of the picture: it would tell nothing"

    def build(self, recipe: RecipeBase, around: Surroundings) -> Detector:
        from linegate.adapters.measure.detector import MeasureDetector

        return MeasureDetector(self.gauges, recipe.mm_per_px)

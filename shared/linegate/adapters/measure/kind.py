"""The kind `measure`: sizes, places, angles, fill levels and counts against their limits, on this machine."""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from linegate.adapters.measure.gauges import AnyGauge, Looking, faults
from linegate.kind import DetectorKind, Need, RecipeBase, Says, Surroundings
from linegate.ports import Detector
from linegate.sections import Zone


class MeasureDetection(DetectorKind):
    """Measures the product by gauges, each against its limits."""

    type: Literal["measure"] = "measure"
    gauges: Annotated[list[AnyGauge], Field(min_length=1, max_length=200)]
    """What is measured, in this order: a gauge refers to those before it."""

    demanding: ClassVar[frozenset[str]] = frozenset({"gauges"})
    takes: ClassVar[frozenset[Need]] = frozenset({Need.GOLDEN, Need.SCALE})
    says: ClassVar[frozenset[Says]] = frozenset({Says.OUTLINE, Says.MEASURE})
    preload: ClassVar[tuple[str, ...]] = ("linegate.adapters.measure.detector",)

    @property
    def names(self) -> tuple[str, ...]:  # type: ignore[override]  # of this recipe, where other kinds have theirs by nature
        return tuple(gauge.name for gauge in self.gauges if gauge.judged)

    def faults(self, recipe: RecipeBase) -> Iterator[str]:
        for fault in faults(self.gauges):
            yield f"gauges.{fault}"
        for number, gauge in enumerate(self.gauges):
            if isinstance(gauge, Looking) and any(_meet(gauge.zone, part) for part in recipe.ignore):
                yield f"gauges.{number}: {gauge.name!r} looks into an ignored part of the picture (ignore)"

    def build(self, recipe: RecipeBase, around: Surroundings) -> Detector:
        from linegate.adapters.measure.detector import MeasureDetector

        return MeasureDetector(self.gauges, recipe.mm_per_px)


def _meet(one: Zone, other: Zone) -> bool:
    return max(one.left, other.left) < min(one.right, other.right) and max(one.top, other.top) < min(
        one.bottom, other.bottom
    )

"""The kind `assembly`: zones of the golden picture must hold what they hold there, judged on this machine."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

from pydantic import Field

from linegate.adapters.assembly.sections import AssemblyZone
from linegate.errors import PermanentError
from linegate.kind import DetectorKind, Need, RecipeBase, Says, Surroundings
from linegate.ports import Detector

if TYPE_CHECKING:
    from PIL.Image import Image


class AssemblyDetection(DetectorKind):
    """Finds what is absent, turned, shifted or another part than the golden picture shows in a zone."""

    type: Literal["assembly"] = "assembly"
    zones: Annotated[list[AssemblyZone], Field(min_length=1, max_length=500)]
    """What of the golden picture must be there."""
    within: Annotated[float, Field(gt=0, le=10_000)] | None = None
    """How far a zone's content may lie off: mm where the recipe has `mm_per_px`, else pixels; a tenth of the zone if unset."""

    needs: ClassVar[frozenset[Need]] = frozenset({Need.GOLDEN})
    demanding: ClassVar[frozenset[str]] = frozenset({"zones"})
    says: ClassVar[frozenset[Says]] = frozenset({Says.OUTLINE, Says.MEASURE})
    preload: ClassVar[tuple[str, ...]] = ("linegate.adapters.assembly.detector",)
    names: ClassVar[tuple[str, ...]] = ("absent", "turned", "shifted", "wrong")
    bytes_a_pixel: ClassVar[int] = 60  # as comparison takes it, which brings its light to that of the picture as well

    def faults(self, recipe: RecipeBase) -> Iterator[str]:
        """Two zones of one name, and less than a pixel of tolerance: every product would be UNSURE."""
        seen: set[str] = set()
        for index, zone in enumerate(self.zones):
            if zone.name in seen:
                yield f"zones.{index}.name: {zone.name!r} is another zone's name; a finding must say which it means"
            seen.add(zone.name)
            if zone.within is not None and (fault := _too_fine(zone.within, recipe)):
                yield f"zones.{index}.within: {fault}"
        if self.within is not None and (fault := _too_fine(self.within, recipe)):
            yield f"within: {fault}"

    def build(self, recipe: RecipeBase, around: Surroundings) -> Detector:
        from linegate.adapters.assembly.detector import AssemblyDetector

        return AssemblyDetector(self.zones, self.within, recipe.mm_per_px)

    def try_out(self, recipe: RecipeBase, around: Surroundings, picture: "Image") -> str:
        """Whether each zone shows enough in the golden picture to be judged. Raises PermanentError."""
        from linegate.adapters.assembly.detector import sheet_of
        from linegate.adapters.assembly.judging import blindness
        from linegate.ports import Reference

        sheet = sheet_of(picture, Reference(picture))
        blind = [f"zone {zone.name} {why}" for zone in self.zones if (why := blindness(sheet, zone))]
        if blind:
            raise PermanentError("; ".join(blind))
        return f"{len(self.zones)} zones can be judged"


def _too_fine(within: float, recipe: RecipeBase) -> str:
    pixels = within / (recipe.mm_per_px or 1.0)
    return "" if pixels >= 1 else f"{within:g} are {pixels:.2g} pixels; 1 pixel at least can be told"

"""The kind `golden`: detection and verification by comparison with the picture of a good board, on this machine."""

import re
from collections.abc import Iterator
from typing import Annotated, ClassVar, Final, Literal

from pydantic import AfterValidator

from linegate.adapters.golden.classes import GOLDEN_CLASSES
from linegate.adapters.golden.proof import ROWS, Demand, shortfalls, text_of
from linegate.kind import DetectorKind, Need, RecipeBase, Surroundings, VerifierKind
from linegate.ports import Detector, Verifier

_SIZE: Final = re.compile(r"(\d+(?:\.\d+)?) ?(mm|px)")


def _size(written: str) -> str:
    """A length with its unit, as `find` takes it."""
    read = _SIZE.fullmatch(written)
    if read is None or float(read[1]) == 0:
        raise ValueError(f"must be a size with its unit, such as 0.2 mm or 6 px, not {written[:40]!r}")
    return written


def _demandable(name: str) -> str:
    if name not in ROWS:
        raise ValueError(f"{name[:40]!r} can't be planted to try it; what can is {', '.join(ROWS)}")
    return name


class GoldenDetection(DetectorKind):
    """Finds where a board differs from the golden picture."""

    type: Literal["golden"] = "golden"
    copper: Literal["auto", "bright", "dark"] = "auto"
    """How copper looks; `auto`: dark on black-and-white scans, else bright."""
    find: dict[Annotated[str, AfterValidator(_demandable)], Annotated[str, AfterValidator(_size)]] = {}
    """From which size on defects of a class must be found for certain, such as 0.2 mm or 6 px; else every board is REVIEW."""

    needs: ClassVar[frozenset[Need]] = frozenset({Need.GOLDEN})
    demanding: ClassVar[frozenset[str]] = frozenset({"find"})
    preload: ClassVar[tuple[str, ...]] = ("linegate.adapters.golden.adapters",)
    names: ClassVar[tuple[str, ...]] = GOLDEN_CLASSES
    bytes_a_pixel: ClassVar[int] = 60

    def faults(self, recipe: RecipeBase) -> Iterator[str]:
        for name, size in self.find.items():
            if size.endswith("mm") and recipe.mm_per_px is None:
                yield f"find.{name}: {size} needs mm_per_px, millimetres of the product for each pixel; or say it in px"

    def build(self, recipe: RecipeBase, around: Surroundings) -> Detector:
        from linegate.adapters.golden.adapters import GoldenDetector

        return GoldenDetector(self.copper, self.demands(recipe), self.confidence(recipe))

    def shortfalls(self, recipe: RecipeBase, golden: bytes) -> tuple[str, ...]:
        return shortfalls(text_of(golden), self.demands(recipe), self.copper, self.confidence(recipe))

    def demands(self, recipe: RecipeBase) -> tuple[Demand, ...]:
        """What `find` says, in pixels of the pictures."""
        made = []
        for name, said in self.find.items():
            read = _SIZE.fullmatch(said)
            assert read is not None
            per_px = recipe.mm_per_px or 1.0 if read[2] == "mm" else 1.0
            made.append(Demand(name, float(read[1]) / per_px, said))
        return tuple(made)

    @staticmethod
    def confidence(recipe: RecipeBase) -> float:
        """The highest that a finding needs in this recipe: what is found with it is found with any."""
        return max(recipe.minimum_confidence(name) for name in GOLDEN_CLASSES)


class GoldenVerification(VerifierKind):
    """Looks at each difference again, realigned by itself, in grey levels."""

    type: Literal["golden"] = "golden"

    needs: ClassVar[frozenset[Need]] = frozenset({Need.GOLDEN})
    preload: ClassVar[tuple[str, ...]] = ("linegate.adapters.golden.verifier",)

    def build(self, recipe: RecipeBase, around: Surroundings) -> Verifier:
        from linegate.adapters.golden.verifier import GoldenVerifier

        return GoldenVerifier()

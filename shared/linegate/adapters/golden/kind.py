"""The kind `golden`: detection and verification by comparison with the picture of a good board, on this machine."""

from typing import ClassVar, Literal

from linegate.adapters.golden.classes import GOLDEN_CLASSES
from linegate.kind import DetectorKind, Need, RecipeBase, Surroundings, VerifierKind
from linegate.ports import Detector, Verifier


class GoldenDetection(DetectorKind):
    """Finds where a board differs from the golden picture."""

    type: Literal["golden"] = "golden"
    copper: Literal["auto", "bright", "dark"] = "auto"
    """How copper looks; `auto`: dark on black-and-white scans, else bright."""

    needs: ClassVar[frozenset[Need]] = frozenset({Need.GOLDEN})
    preload: ClassVar[tuple[str, ...]] = ("linegate.adapters.golden.adapters",)
    names: ClassVar[tuple[str, ...]] = GOLDEN_CLASSES
    bytes_a_pixel: ClassVar[int] = 60

    def build(self, recipe: RecipeBase, around: Surroundings) -> Detector:
        from linegate.adapters.golden.adapters import GoldenDetector

        return GoldenDetector(self.copper)


class GoldenVerification(VerifierKind):
    """Looks at each difference again, realigned by itself, in grey levels."""

    type: Literal["golden"] = "golden"

    needs: ClassVar[frozenset[Need]] = frozenset({Need.GOLDEN})
    preload: ClassVar[tuple[str, ...]] = ("linegate.adapters.golden.verifier",)

    def build(self, recipe: RecipeBase, around: Surroundings) -> Verifier:
        from linegate.adapters.golden.verifier import GoldenVerifier

        return GoldenVerifier()

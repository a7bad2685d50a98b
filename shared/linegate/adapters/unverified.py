"""The kind `none`: every detection counts, and nobody looks at it again."""

from typing import ClassVar, Literal

from linegate.inspection import Detection, Result
from linegate.kind import RecipeBase, Surroundings, VerifierKind
from linegate.ports import Judgement, Verifier


class NoVerification(VerifierKind):
    """Every detection counts."""

    type: Literal["none"] = "none"

    checks: ClassVar[bool] = False
    settles: ClassVar[str] = "Every detection counts as a defect in this recipe."

    def build(self, recipe: RecipeBase, around: Surroundings) -> Verifier:
        return Unverified()


class Unverified:
    """For recipes whose detections are settled without a verifier. Asked all the same, by a message of an older
    configuration, it does not know.
    """

    def verify(self, crop: bytes, reference: bytes | None, detection: Detection) -> Judgement:
        return Judgement(Result.UNSURE, "This recipe has no verifier of its own.", "")

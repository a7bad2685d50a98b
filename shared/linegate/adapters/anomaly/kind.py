"""The kind `anomaly`: finds what no good picture showed, by a model on this machine."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from linegate.kind import DetectorKind, Need, RecipeBase, Says, Surroundings
from linegate.ports import Detector

if TYPE_CHECKING:
    from PIL.Image import Image

Side = Annotated[int, Field(ge=16, le=8192)]
CLASS = "anomaly"
# The confidence of a score exactly at its threshold; see `adapters/anomaly/calibration.py`.
AT_THRESHOLD = 0.5


class AnomalyDetection(DetectorKind):
    """Finds what no good picture showed, by a model learned from good pictures or an ONNX export of anomalib."""

    type: Literal["anomaly"] = "anomaly"
    model: str
    """The model's file, beside the configuration: what `linegate anomaly learn` wrote, or an export that ends in `.onnx`."""
    threshold: float | None = None
    """Of places: what scores higher is a finding. `linegate anomaly calibrate` finds it; a learned model has it in its file."""
    typical: float | None = None
    """Of places: the median score of good pictures, by which confidence is told."""
    picture_threshold: float | None = None
    """Of the picture as a whole, likewise."""
    picture_typical: float | None = None
    """Of the picture as a whole, likewise."""
    input_side: Side | None = None
    """Of an export that takes pictures of any size: to which square they are reduced; left out, they go in as they are."""
    center_crop: Side | None = None
    """Of an export that cuts the middle out: its side, in pixels of the input. The rest counts as not judged."""
    normalize: Literal["inside", "imagenet"] = "inside"
    """Where an export normalises pictures; `imagenet`: before it, which exports before anomalib 1 need."""

    needs: ClassVar[frozenset[Need]] = frozenset({Need.MODEL_FILE})
    says: ClassVar[frozenset[Says]] = frozenset({Says.CONFIDENCE, Says.OUTLINE})
    names: ClassVar[tuple[str, ...]] = (CLASS,)
    trained: ClassVar[bool] = True
    preload: ClassVar[tuple[str, ...]] = ("linegate.adapters.anomaly.models",)

    @classmethod
    def lacks(cls, written: Mapping[str, Any], file: Mapping[str, Any]) -> Iterator[str]:
        if not written.get("model"):
            yield "model: is required by detector 'anomaly': what `linegate anomaly learn` wrote, or an ONNX export"

    def faults(self, recipe: RecipeBase) -> Iterator[str]:
        if (minimum := recipe.minimum_confidence(CLASS)) > AT_THRESHOLD:
            yield (
                f"confidence: {minimum:g} drops anomalies that are above their threshold, whose confidence begins at "
                f"{AT_THRESHOLD:g}; raise the threshold instead"
            )

    def build(self, recipe: RecipeBase, around: Surroundings) -> Detector:
        from linegate.adapters.anomaly.models import Wanted, detector

        return detector(Wanted(around.folder / self.model, **self._said()))

    def try_out(self, recipe: RecipeBase, around: Surroundings, picture: "Image") -> str:
        """What the model is. It is not shown the picture: no drawing stands for the product that it learned."""
        from linegate.adapters.anomaly.models import Wanted, described

        return described(Wanted(around.folder / self.model, **self._said()))

    def _said(self) -> dict[str, Any]:
        """What the section says of the model beside its file."""
        return self.model_dump(exclude={"type", "name", "model"})

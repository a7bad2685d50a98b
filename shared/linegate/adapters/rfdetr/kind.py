"""The kind `rfdetr`: detection by a model of one's own on this machine, without a server or an account."""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal

from pydantic import Field, StringConstraints, field_validator

from linegate.errors import TransientError
from linegate.kind import DetectorKind, Need, RecipeBase, Says, Surroundings
from linegate.ports import Detector

if TYPE_CHECKING:
    from PIL.Image import Image

    from linegate.adapters.rfdetr.detector import RfdetrDetector
    from linegate.adapters.rfdetr.model import RfdetrModel


START: Final = """\
# The ONNX file of your RF-DETR, and its classes in the order of its training (shared/docs/rfdetr.md):
detector: rfdetr
model: rfdetr.onnx
class_names: [scratch, dent]
# providers: [cpu]                             # cuda, openvino, tensorrt, where they are installed
# threads: 4                                   # cores that one picture takes
# Findings below this confidence (0 … 1) are dropped; a class may have its own.
confidence: 0.3
# classes:
#   dent: {minimum_confidence: 0.5}
# none: every finding counts as a defect.  golden: look at each once more beside a golden picture.  gemini: ask Gemini.
verifier: none
# golden: golden.png                           # the picture of a good one
# One without all its answers by then goes to REVIEW.
deadline_s: 60
"""


class RfdetrDetection(DetectorKind):
    """Asks an RF-DETR of your own, exported as an ONNX file, on this machine."""

    type: Literal["rfdetr"] = "rfdetr"
    model: str
    """The ONNX file."""
    class_names: Annotated[
        list[Annotated[str, StringConstraints(max_length=100)]], Field(min_length=1, max_length=1000)
    ]
    """Its classes, in the order in which it was trained on them."""
    providers: Annotated[list[Literal["cpu", "cuda", "openvino", "tensorrt"]], Field(min_length=1)] = ["cpu"]
    """Whose processors it runs on, the preferred one first."""
    threads: Annotated[int, Field(ge=1, le=64)] | None = None
    """Cores that one picture may take in each worker process; up to four, if left out."""

    needs: ClassVar[frozenset[Need]] = frozenset({Need.MODEL_FILE})
    says: ClassVar[frozenset[Says]] = frozenset({Says.CONFIDENCE, Says.OUTLINE})
    start: ClassVar[str] = START
    trained: ClassVar[bool] = True
    package: ClassVar[str] = "onnxruntime"
    # Not onnxruntime itself: it starts threads, and workers are forked from where this is loaded.
    preload: ClassVar[tuple[str, ...]] = ("linegate.adapters.rfdetr.detector",)

    @field_validator("class_names")
    @classmethod
    def _each_once(cls, names: list[str]) -> list[str]:
        for name, count in Counter(names).items():
            if count > 1:
                raise ValueError(f"names {name!r} twice; each class has a name of its own")
        return names

    @classmethod
    def lacks(cls, written: Mapping[str, Any], file: Mapping[str, Any]) -> Iterator[str]:
        if not written.get("model"):
            yield "model: is required by detector 'rfdetr': the ONNX file, e.g. rfdetr.onnx"
        if not written.get("class_names"):
            yield "class_names: is required by detector 'rfdetr', in the order of its training, e.g. [scratch, dent]"

    def faults(self, recipe: RecipeBase) -> Iterator[str]:
        if len(recipe.detectors) > 1:  # another one may name it
            return
        for name in recipe.classes:
            if name not in self.class_names:
                yield f"classes.{name}: the model names no such class; there is {', '.join(self.class_names)}"

    def build(self, recipe: RecipeBase, around: Surroundings) -> Detector:
        return self._detector(recipe, around)

    def try_out(self, recipe: RecipeBase, around: Surroundings, picture: "Image") -> str:
        detector = self._detector(recipe, around)
        found = detector.detect(picture, b"", None)
        return "; ".join((str(detector.model), f"it answered with {len(found.detections)} findings", *found.doubts))

    def opened(self, around: Surroundings) -> "RfdetrModel":
        """The model, opened once for all recipes that share it. Raises TransientError."""
        try:
            from linegate.adapters.onnx import THREADS, Provider, opened
            from linegate.adapters.rfdetr.model import RfdetrModel
        except ImportError as error:
            raise TransientError(f"the detector can't be loaded ({error}); install Linegate again") from error
        path, threads = around.folder / self.model, self.threads or THREADS
        providers = tuple(map(Provider, self.providers))
        key = f"rfdetr {path} {providers} {threads}"
        return around.shared(key, lambda: RfdetrModel.of(opened(path, providers, threads)))

    def _detector(self, recipe: RecipeBase, around: Surroundings) -> "RfdetrDetector":
        model = self.opened(around)
        from linegate.adapters.rfdetr.detector import RfdetrDetector

        return RfdetrDetector(model, tuple(self.class_names), recipe.lowest_confidence)

"""The kinds that Roboflow serves: `roboflow` detects by a workflow, `workflow` takes the checks that such a workflow has made."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from linegate.adapters.roboflow.service import Roboflow, Workflow
from linegate.adapters.unverified import Unverified
from linegate.errors import TransientError
from linegate.kind import DetectorKind, Prices, RecipeBase, Says, Surroundings, VerifierKind
from linegate.ports import Detector, Verifier
from linegate.sections import Section

if TYPE_CHECKING:
    from PIL.Image import Image


class RoboflowDetection(DetectorKind):
    """Asks a Roboflow workflow, hosted or on an Inference server of yours."""

    type: Literal["roboflow"] = "roboflow"
    workflow: Workflow
    """The workflow, and how its answer is read."""

    service: ClassVar[str] = "roboflow"
    service_keys: ClassVar[str] = "workspace and api_key"
    asks: ClassVar[bool] = True
    trained: ClassVar[bool] = True
    says: ClassVar[frozenset[Says]] = frozenset({Says.CONFIDENCE, Says.OUTLINE})
    package: ClassVar[str] = "inference_sdk"
    preload: ClassVar[tuple[str, ...]] = ("linegate.adapters.roboflow.detector",)

    @classmethod
    def lacks(cls, written: Mapping[str, Any], file: Mapping[str, Any]) -> Iterator[str]:
        if not written.get("workflow"):
            yield "workflow: is required by detector 'roboflow', e.g. {id: pcb-inspection}"

    def faults(self, recipe: RecipeBase) -> Iterator[str]:
        asked, lowest = self.workflow.parameters.get("confidence"), recipe.lowest_confidence
        if isinstance(asked, int | float) and asked > lowest:
            yield (
                f"workflow.parameters.confidence: {asked:g} hides what the recipe wants to see, "
                f"which is all from {lowest:g} on; leave it out"
            )
        judged = isinstance(recipe.verifier, WorkflowVerification)
        needed = [self.workflow.predictions or "predictions"] + [self.workflow.results] * judged
        for output in needed:
            if output in self.workflow.exclude:
                yield f"workflow.exclude: {output!r} is needed; without it nothing is found"

    def budget_s(self, service: Section | None) -> float:
        return service.budget_s if isinstance(service, Roboflow) else 0.0

    def build(self, recipe: RecipeBase, around: Surroundings) -> Detector:
        try:
            from linegate.adapters.roboflow.detector import RoboflowDetector
        except ImportError as error:  # not installed; or the OpenCV that it brings lacks a library of the system
            absent = isinstance(error, ModuleNotFoundError)
            mend = (
                "install Linegate with its extra roboflow" if absent else "on a bare Debian or Ubuntu, install libgl1"
            )
            raise TransientError(f"the detector can't be loaded ({error}); {mend}") from error
        judged = isinstance(recipe.verifier, WorkflowVerification)
        return RoboflowDetector(_roboflow(around.service), recipe, self.workflow, around.proxy_for, judged=judged)

    def try_out(self, recipe: RecipeBase, around: Surroundings, picture: "Image") -> str:
        found = self.build(recipe, around).detect(picture, b"", None)
        of = f" of {found.model_version}" if found.model_version else ""
        return "; ".join((f"{found.model} answered with {len(found.detections)} predictions{of}", *found.doubts))

    def cost(self, service: Section | None, prices: Prices) -> dict[str, float]:
        price = prices["roboflow"]
        seconds = price["overhead_s"] + price["model_s"]
        return {"Roboflow": seconds / price["seconds_per_credit"] * price["credit"]}


class WorkflowVerification(VerifierKind):
    """Takes the per-crop results of the complete workflow, which detected and judged in one call."""

    type: Literal["workflow"] = "workflow"

    of_detector: ClassVar[str] = "roboflow"
    checks: ClassVar[bool] = False
    priced: ClassVar[bool] = True

    def build(self, recipe: RecipeBase, around: Surroundings) -> Verifier:
        return Unverified()


def _roboflow(service: Section | None) -> Roboflow:
    assert isinstance(service, Roboflow)  # the configuration was validated
    return service

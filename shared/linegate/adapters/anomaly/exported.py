"""Exports of anomalib as ONNX files: PatchCore, PaDiM, EfficientAD and the others share one contract.

The input is RGB, 0 … 1; resizing and normalising are part of the graph since anomalib 1. Outputs are known by their names:
since 2, `anomaly_map` and `pred_score` (both 0 … 1 and 0.5 at anomalib's own threshold, unless that was switched off),
`pred_mask` and `pred_label`, which are what it makes of them; before, `output` is the map, raw, or the score where it has no
map. Source: `export_mixin.py` and `post_processor.py` of github.com/open-edge-platform/anomalib.
"""

from dataclasses import dataclass
from typing import Any, Final, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from linegate.adapters.anomaly.features import Picture
from linegate.adapters.anomaly.scores import Scores
from linegate.adapters.onnx import OnnxModel, Tensor
from linegate.errors import ImageRejectedError, TransientError

MAP, SCORE, BEFORE_2 = "anomaly_map", "pred_score", "output"
SATURATED: Final = 1.0  # where scores end since anomalib 2, unless normalisation was switched off
# Of ImageNet, which backbones are trained on; exports before anomalib 1 leave them to the caller.
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

Normalize = Literal["inside", "imagenet"]
_CUT: Final = "cut off by the model's own centre crop"


@dataclass(frozen=True, slots=True)
class Contract:
    """What of a model is what: its input, its outputs for the map and the score, and the input's size where it is fixed."""

    input: str
    map: str | None
    score: str | None
    size: tuple[int, int] | None  # width and height

    @property
    def outputs(self) -> list[str]:
        return [name for name in (self.map, self.score) if name]


def contract(model: OnnxModel) -> Contract:
    """By the names of inputs and outputs. Raises TransientError for a model of another sort: a person can put the right one."""
    pictures = [one for one in model.inputs if len(one.shape) == 4]
    if len(model.inputs) != 1 or not pictures or pictures[0].shape[1] not in (3, None):
        raise _other(model, f"its inputs are {_listed(model.inputs)}; one of ? x 3 x height x width is expected")
    (picture,) = pictures
    if picture.type != "tensor(float)":
        raise _other(model, f"its input is {picture.type}; tensor(float) is expected")
    named = {one.name: one for one in model.outputs}
    maps, score = (name if name in named else None for name in (MAP, SCORE))
    if maps is None and score is None and BEFORE_2 in named:
        flat = len(named[BEFORE_2].shape) < 3
        maps, score = (None, BEFORE_2) if flat else (BEFORE_2, None)
    if maps is None and score is None:
        raise _other(model, f"its outputs are {_listed(model.outputs)}; {MAP} or {SCORE} is expected")
    height, width = picture.shape[2:]
    return Contract(picture.name, maps, score, (width, height) if width and height else None)


@dataclass(frozen=True, slots=True)
class ExportedScorer:
    """Scores pictures by an export. `side` is what pictures are reduced to where the model fixes no size; `crop` is the side
    of the middle, in pixels of the input, that the graph itself cuts out.
    """

    model: OnnxModel
    contract: Contract
    side: int | None = None
    crop: int | None = None
    normalize: Normalize = "inside"

    def scores(self, picture: Picture) -> Scores:
        """Raises ImageRejectedError for an answer that is not what the contract says, and what `OnnxModel.run` raises."""
        size = self.contract.size or ((self.side, self.side) if self.side else None)
        shown = Image.fromarray(picture)
        if size is not None and shown.size != size:
            # With antialiasing, as anomalib resizes in training.
            shown = shown.resize(size, Image.Resampling.BILINEAR)
        pixels = np.asarray(shown, np.float32) / 255
        if self.normalize == "imagenet":
            pixels = (pixels - np.array(MEAN, np.float32)) / np.array(DEVIATION, np.float32)
        answered = self.model.run(
            {self.contract.input: np.ascontiguousarray(pixels.transpose(2, 0, 1)[None])}, self.contract.outputs
        )
        whole = None if self.contract.score is None else _one(answered[self.contract.score])
        if self.contract.map is None:
            return Scores(None, whole)
        return self._placed(_plane(answered[self.contract.map]), whole, size)

    def _placed(self, places: NDArray[np.float32], whole: float | None, size: tuple[int, int] | None) -> Scores:
        """The map as it lies over the whole picture."""
        rows, columns = places.shape
        if self.crop is None or size is None:
            if size is not None and (columns, rows) != size:
                raise ImageRejectedError(
                    f"the model's map has {columns} by {rows} cells and its input {size[0]} by {size[1]} px: where it cuts the "
                    "middle out, say so with center_crop"
                )
            return Scores(places, whole)
        if (columns, rows) != (self.crop, self.crop) or self.crop > min(size):
            raise ImageRejectedError(f"the model's map has {columns} by {rows} cells, center_crop is {self.crop}")
        framed = np.full(size[::-1], places.min(), np.float32)
        left, top = (round((side - self.crop) / 2) for side in size)
        framed[top : top + rows, left : left + columns] = places
        return Scores(framed, whole, ((_CUT, 1 - self.crop**2 / (size[0] * size[1])),))


def described(model: OnnxModel, known: Contract) -> str:
    """What the model is, for a person."""
    size = "of any size" if known.size is None else f"{known.size[0]} by {known.size[1]} px"
    says = " and ".join(known.outputs)
    return f"{model.path.name}: takes pictures {size}, gives {says}, on {', '.join(model.providers)}"


def _plane(answer: NDArray[Any]) -> NDArray[np.float32]:
    """A map of one picture, whatever axes of length 1 it has besides. Raises ImageRejectedError."""
    sides = answer.shape[-2:]
    if answer.ndim < 2 or answer.size != sides[0] * sides[1] or min(sides) < 2:
        raise ImageRejectedError(f"the model's map has the shape {' x '.join(map(str, answer.shape))}")
    return np.asarray(answer, np.float32).reshape(sides)


def _one(answer: NDArray[Any]) -> float:
    if answer.size != 1:
        raise ImageRejectedError(f"the model's score has the shape {' x '.join(map(str, answer.shape))}")
    return float(answer.reshape(()))


def _other(model: OnnxModel, why: str) -> TransientError:
    return TransientError(f"{model.path.name} is no export of anomalib: {why}")


def _listed(ports: tuple[Tensor, ...]) -> str:
    return ", ".join(map(str, ports)) or "none"

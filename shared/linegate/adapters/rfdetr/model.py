"""The contract of an RF-DETR that was exported as ONNX: one square RGB picture ▶ boxes, logits of classes, logits of masks.

Inputs and outputs as `rfdetr` 1.9.1 and later makes and takes them: github.com/roboflow/rf-detr, src/rfdetr/export/ and
src/rfdetr/detr.py (`predict`).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image

from linegate.adapters.onnx import OnnxModel
from linegate.errors import LinegateError, PermanentError, TransientError

# Mean and deviation of ImageNet's pictures in red, green and blue, 0 … 1
MEAN: Final = np.array([0.485, 0.456, 0.406], np.float32)
DEVIATION: Final = np.array([0.229, 0.224, 0.225], np.float32)
SMALLEST, LARGEST = 32, 4096  # pixels of a side that a picture could be made to
MOST_QUERIES: Final = 10_000
FLOAT: Final = "tensor(float)"
BOXES, LOGITS, MASKS = "dets", "labels", "masks"
REQUIRED: Final = {
    BOXES: "boxes, 1 x queries x 4",
    LOGITS: "logits of classes, 1 x queries x (classes + 1)",
}

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Raw:
    """What the model says of one picture."""

    boxes: Floats  # queries x 4: centre, width, height in parts of the picture's width and height
    logits: Floats  # queries x classes
    masks: Floats | None  # queries x height x width: logits, positive inside


@dataclass(frozen=True, slots=True)
class RfdetrModel:
    """A model that was opened and keeps the contract. Threads may share it."""

    onnx: OnnxModel
    side: int  # of the square that it looks at, in pixels
    queries: int  # as many findings as it has at most
    classes: int
    mask_side: int  # 0 where it does not segment

    @classmethod
    def of(cls, onnx: OnnxModel) -> "RfdetrModel":
        """See that a model keeps the contract, by what it declares and by one run. Raises TransientError."""
        try:
            return cls._checked(onnx)
        except PermanentError as error:  # a person can put another file there: what waits must come again then
            raise TransientError(str(error)) from error

    @classmethod
    def _checked(cls, onnx: OnnxModel) -> "RfdetrModel":
        side = _side(onnx)
        declared = {port.name: port for port in onnx.outputs}
        for name, what in REQUIRED.items():
            if name not in declared:
                there = ", ".join(map(str, onnx.outputs))
                raise _unfit(onnx, f"it has no output {name!r} ({what}); there is {there}")
        for name in declared.keys() - {*REQUIRED, MASKS}:
            raise _unfit(onnx, f"it has an output {name!r}, which is neither detection nor segmentation")
        for port in declared.values():
            if port.type != FLOAT:
                raise _unfit(onnx, f"its output {port.name!r} is {port.type}, not {FLOAT}; export it in 32 bits")
        # What is declared may leave sides open. The run also takes the memory that later ones need.
        plain = np.zeros((1, 3, side, side), np.float32)
        answer = onnx.run({onnx.inputs[0].name: plain}, list(declared))
        boxes, logits, masks = answer[BOXES], answer[LOGITS], answer.get(MASKS)
        queries = boxes.shape[1] if boxes.ndim == 3 else 0
        classes = logits.shape[2] - 1 if logits.ndim == 3 else 0
        mask_side = masks.shape[-1] if masks is not None and masks.ndim == 4 else 0
        model = cls(onnx, side, queries, classes, mask_side)
        if not (0 < queries <= MOST_QUERIES and classes > 0 and (masks is None or mask_side > 1)):
            shapes = ", ".join(f"{name} {' x '.join(map(str, value.shape))}" for name, value in answer.items())
            raise _unfit(onnx, f"its outputs are {shapes}")
        model._read(answer)
        return model

    @property
    def segments(self) -> bool:
        return self.mask_side > 0

    @property
    def version(self) -> str:
        """By which a finding names it: its digest's first digits."""
        return self.onnx.digest[:12]

    def __str__(self) -> str:
        what = "segmentation" if self.segments else "detection"
        one = "class" if self.classes == 1 else "classes"
        return f"{self.onnx.path.name}: {what}, {self.side} x {self.side} pixels, {self.classes} {one}"

    def ask(self, picture: Image) -> Raw:
        """What it says of an upright RGB picture. Raises PermanentError for a broken answer, TransientError."""
        return self._read(self.run(prepared(picture, self.side)))

    def run(self, pixels: Floats) -> Mapping[str, Floats]:
        """The outputs for a prepared picture, by name. Raises PermanentError, TransientError."""
        return self.onnx.run({self.input: pixels}, self.outputs)

    @property
    def input(self) -> str:
        return self.onnx.inputs[0].name

    @property
    def outputs(self) -> tuple[str, ...]:
        return (BOXES, LOGITS, MASKS) if self.segments else (BOXES, LOGITS)

    def _read(self, answer: Mapping[str, Floats]) -> Raw:
        """Raises PermanentError for outputs of another shape."""
        wanted: dict[str, tuple[int, ...]] = {
            BOXES: (1, self.queries, 4),
            LOGITS: (1, self.queries, self.classes + 1),
        }
        if self.segments:
            wanted[MASKS] = (1, self.queries, self.mask_side, self.mask_side)
        for name, shape in wanted.items():
            if answer[name].shape != shape:
                told, needed = (" x ".join(map(str, sides)) for sides in (answer[name].shape, shape))
                raise PermanentError(f"{self.onnx.path.name} answered with {name} of {told}, not of {needed}")
        # The last column is "no object", which training never rewards.
        return Raw(answer[BOXES][0], answer[LOGITS][0, :, :-1], answer[MASKS][0] if self.segments else None)


def refused(model: RfdetrModel, class_names: tuple[str, ...]) -> str:
    """Why a model can't be asked with these names of classes; empty where it can."""
    if model.classes == len(class_names):
        return ""
    return (
        f"{model.onnx.path.name} tells {model.classes} classes apart, and class_names has {len(class_names)}: "
        "name all of them in the order of its training, or export the model that was trained on yours"
    )


def prepared(picture: Image, side: int) -> Floats:
    """An upright RGB picture as the model is shown it: 1 x 3 x side x side.

    Stretched, each pixel between the four that its centre falls among, without smoothing before: what `predict` does.
    A filter that smooths (Pillow's) gives other confidences.
    """
    top, bottom, down = _between(picture.height, side)
    left, right, across = _between(picture.width, side)

    def plane(lines: NDArray[np.uint8], columns: NDArray[np.intp]) -> Floats:
        """Colour by colour: reckoning with three at a time takes longer."""
        return np.ascontiguousarray(np.take(lines, columns, axis=1).transpose(2, 0, 1)).astype(np.float32)

    def row(lines: NDArray[np.uint8]) -> Floats:
        first, second = plane(lines, left), plane(lines, right)
        second -= first
        second *= across
        second += first
        return second

    upper, lower = map(row, _lines(picture, top, bottom))
    lower -= upper
    lower *= down[:, None]
    lower += upper
    lower *= (1 / (255 * DEVIATION))[:, None, None]
    lower -= (MEAN / DEVIATION)[:, None, None]
    return lower[None]


def _lines(
    picture: Image, top: NDArray[np.intp], bottom: NDArray[np.intp]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """These lines of the picture: each side x width x 3.

    Of a large one only those are taken out of Pillow: all of twelve megapixels would take six times as long.
    """
    if picture.height <= 4 * len(top):
        pixels = np.asarray(picture)
        return pixels[top], pixels[bottom]
    pairs = np.empty((len(top), 2, picture.width, 3), np.uint8)
    for pair, line in zip(pairs, top.tolist(), strict=True):
        pair[:] = np.asarray(picture.crop((0, line, picture.width, line + 2)))
    return pairs[:, 0], pairs[:, 1]


def _between(length: int, side: int) -> tuple[NDArray[np.intp], NDArray[np.intp], Floats]:
    """Of each of `side` pixels: the two that it lies between among `length`, and how far from the first to the second.

    In 32 bits, as torch reckons: on a large picture its places are off by a ten-thousandth of a pixel, and a model that has to
    choose between two equals chooses by that.
    """
    half, step = np.float32(0.5), np.float32(length) / np.float32(side)
    centres = np.clip((np.arange(side, dtype=np.float32) + half) * step - half, 0, np.float32(length - 1))
    first = np.floor(centres).astype(np.intp)
    return first, np.minimum(first + 1, length - 1), centres - first.astype(np.float32)


def _side(onnx: OnnxModel) -> int:
    """Of the square that a model takes. Raises PermanentError."""
    if len(onnx.inputs) != 1:
        raise _unfit(onnx, f"it has {len(onnx.inputs)} inputs, not one")
    (port,) = onnx.inputs
    if port.type != FLOAT:
        raise _unfit(onnx, f"its input is {port.type}, not {FLOAT}; export it in 32 bits")
    match port.shape:
        case (1 | None, 3, int(height), int(width)) if height == width and SMALLEST <= height <= LARGEST:
            return height
        case (int(batch), *_) if batch > 1:
            raise _unfit(onnx, f"its input is {port}: it takes {batch} pictures at a time; export it with batch_size=1")
    raise _unfit(onnx, f"its input is {port}, not one RGB picture of a fixed square, such as 1 x 3 x 384 x 384")


def _unfit(onnx: OnnxModel, why: str) -> LinegateError:
    return PermanentError(f"{onnx.path.name} is no RF-DETR for detection or segmentation: {why}")

"""The port Detector over an RF-DETR of one's own: its answer ▶ findings."""

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL.Image import Image

from linegate.adapters.rfdetr.model import Raw, RfdetrModel, refused
from linegate.adapters.rfdetr.outlines import outline
from linegate.errors import TransientError
from linegate.inspection import Detection
from linegate.ports import Found, Reference
from linegate.shapes import Box

STEEPEST: Final = 88.0  # beyond this a logit's probability is 0 or 1, and its exponential no number


class RfdetrDetector:
    """Finds what its model has a name for, at least `confidence` sure."""

    def __init__(self, model: RfdetrModel, class_names: tuple[str, ...], confidence: float) -> None:
        """Raises TransientError where the model does not have these classes."""
        if why := refused(model, class_names):
            raise TransientError(why)
        self.model = model
        self._names = class_names
        self._confidence = confidence

    def detect(self, picture: Image, file: bytes, golden: Reference | None) -> Found:
        """Raises PermanentError for a broken answer, and TransientError."""
        return self.found(self.model.ask(picture), picture.width, picture.height)

    def found(self, raw: Raw, width: int, height: int) -> Found:
        """What the answer for a picture of this size says."""
        confidences, queries, classes = ranked(raw.logits)
        sure = confidences >= self._confidence
        detections = tuple(
            Detection(
                class_name=self._names[which],
                confidence=confidence,
                box=box(raw.boxes[query], width, height),
                outline=() if raw.masks is None else outline(raw.masks[query], width, height),
            )
            for confidence, query, which in zip(
                confidences[sure].tolist(), queries[sure].tolist(), classes[sure].tolist(), strict=True
            )
        )
        count, most = len(detections), len(confidences)
        doubts = (f"The model named {count} findings, as many as it can: there may be more.",) * (count == most)
        return Found(detections, self.model.onnx.path.name, self.model.version, doubts)


def ranked(logits: NDArray[np.float32]) -> tuple[NDArray[np.float64], NDArray[np.intp], NDArray[np.intp]]:
    """The surest pairs of query and class, as many as there are queries: confidences, queries, classes.

    A query may be two classes at once. Of equal confidences the first comes first. rfdetr, models/postprocess.py (`PostProcess`).
    """
    queries, classes = logits.shape
    confidences = 1 / (1 + np.exp(-np.clip(logits.astype(np.float64), -STEEPEST, STEEPEST)))
    surest = np.argsort(-confidences, axis=None, kind="stable")[:queries]
    return confidences.ravel()[surest], surest // classes, surest % classes


def box(normalised: NDArray[np.float32], width: int, height: int) -> Box:
    """Centre, width and height in parts of the picture ▶ the box in pixels, cut off at the picture's edges.

    What is sure to be there counts, wherever it was said to be: it has a pixel at least.
    """
    (left, right), (top, bottom) = (
        _within(float(normalised[axis]), float(normalised[axis + 2]), length)
        for axis, length in enumerate((width, height))
    )
    return Box((left + right) / 2, (top + bottom) / 2, right - left, bottom - top)


def _within(centre: float, length: float, side: int) -> tuple[float, float]:
    first, last = (min(max(0.0, edge * side), side) for edge in (centre - length / 2, centre + length / 2))
    if last - first >= 1:
        return first, last
    first = min(max(0.0, (first + last - 1) / 2), side - 1)
    return first, first + 1

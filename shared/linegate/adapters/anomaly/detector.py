"""The port Detector over a model that scores pictures."""

import math
from typing import Final, Protocol

import cv2
import numpy as np
from PIL import Image

from linegate.adapters.anomaly.calibration import Threshold
from linegate.adapters.anomaly.features import Picture
from linegate.adapters.anomaly.map_regions import findings, heatmap
from linegate.adapters.anomaly.scores import Scores
from linegate.errors import ImageRejectedError, PermanentError, RegistrationError
from linegate.inspection import Coverage, Loss
from linegate.ports import Found, Reference

# Pictures are inspected side by side; threads within one would only get in the others' way.
cv2.setNumThreads(1)
VERSION: Final = "1"


class Scorer(Protocol):
    """Scores one picture (height x width x 3, RGB)."""

    def scores(self, picture: Picture) -> Scores:
        """Raises ImageRejectedError, RegistrationError for a picture that it can't judge."""
        ...


class AnomalyDetector:
    """Finds what is stranger than the thresholds allow. `place` is of the map, `whole` of the picture's own score."""

    def __init__(
        self, scorer: Scorer, place: Threshold | None, whole: Threshold | None, model: str, version: str = VERSION
    ) -> None:
        self._scorer, self._place, self._whole = scorer, place, whole
        self._model, self._version = model, version

    def detect(self, picture: Image.Image, file: bytes, golden: Reference | None) -> Found:
        try:
            scores = self._scorer.scores(np.asarray(picture))
        except (ImageRejectedError, RegistrationError) as error:
            return self._doubt(f"Not judged for anomalies: {error}.")
        except (MemoryError, cv2.error) as error:
            raise PermanentError("looking for anomalies needs more memory than there is") from error
        if fault := unsound(scores):
            return self._doubt(f"Not judged for anomalies: {fault}.")
        found = findings(scores, self._place, self._whole, picture.size)
        shown = b""
        if scores.map is not None and self._place is not None:
            shown = heatmap(scores.map, self._place, picture.size)
        losses = tuple(Loss(why, part) for why, part in scores.lost)
        coverage = Coverage(max(0.0, 1.0 - sum(loss.part for loss in losses)), losses)
        return Found(tuple(found), self._model, self._version, coverage=coverage, heatmap=shown)

    def _doubt(self, said: str) -> Found:
        return Found((), self._model, self._version, doubts=(said,), coverage=Coverage(0.0))


def unsound(scores: Scores) -> str:
    """What is wrong with a model's answer; empty if it can be relied on."""
    if scores.map is None and scores.whole is None:
        return "the model gave neither a map nor a score"
    if scores.map is not None and (scores.map.ndim != 2 or not scores.map.size):
        return f"the model's map has the shape {scores.map.shape}"
    if scores.map is not None and not np.isfinite(scores.map).all():
        return "the model's map holds what is no number"
    if scores.whole is not None and not math.isfinite(scores.whole):
        return "the model's score is no number"
    return ""

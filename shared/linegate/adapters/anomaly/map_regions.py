"""An anomaly map ▶ regions with outlines, and a picture of it."""

from collections.abc import Iterator
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from linegate.adapters.anomaly.calibration import Threshold
from linegate.adapters.anomaly.scores import Scores
from linegate.adapters.outlines import around, outlined, simplified
from linegate.inspection import Detection
from linegate.shapes import Box, Outline

CLASS: Final = "anomaly"
# Longest side of the picture of a map; and where, of its 256 colours, the threshold lies.
HEATMAP_SIDE, AT_THRESHOLD = 640, 128


def findings(
    scores: Scores, place: Threshold | None, whole: Threshold | None, size: tuple[int, int]
) -> list[Detection]:
    """The regions above the threshold of places; and where there is none, the whole picture above its own.

    `size` is the picture's width and height. A threshold is given for each score that there is.
    """
    found = [] if scores.map is None or place is None else list(_regions(scores.map, place, size))
    if found or scores.whole is None or whole is None or not whole.exceeded(scores.whole):
        return found
    width, height = size
    note = f"{_said(scores.whole, whole)}, of the picture as a whole: no place in it explains that"
    return [Detection(CLASS, whole.confidence(scores.whole), Box(width / 2, height / 2, width, height), note)]


def _regions(places: NDArray[np.float32], threshold: Threshold, size: tuple[int, int]) -> Iterator[Detection]:
    """One for each connected part of the map above the threshold, the strangest first."""
    above = (places > threshold.value).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(above, connectivity=8)
    scale = np.array([size[0] / places.shape[1], size[1] / places.shape[0]])
    peaks = np.zeros(count)
    np.maximum.at(peaks, np.asarray(labels, np.intp).ravel(), places.ravel())
    for label in sorted(range(1, count), key=lambda label: -peaks[label]):
        left, top, width, height = (int(value) for value in stats[label][:4])
        window = np.s_[top : top + height, left : left + width]
        outline = _outline((labels[window] == label).astype(np.uint8), scale, (left, top))
        x, y = (np.array([left, top]) + np.array([width, height]) / 2) * scale
        wide, high = np.array([width, height]) * scale
        yield Detection(
            CLASS,
            threshold.confidence(float(peaks[label])),
            Box(float(x), float(y), float(wide), float(high)),
            _said(float(peaks[label]), threshold),
            outline=outline,
        )


def _outline(region: NDArray[np.uint8], scale: NDArray[np.float64], corner: tuple[int, int]) -> Outline:
    """The outer border of a region of cells (rows x columns, inside its window), in pixels of the picture."""
    border = around(region)
    assert border is not None, "a region has cells"
    return outlined((simplified(border) + corner) * scale)


def heatmap(places: NDArray[np.float32], threshold: Threshold, size: tuple[int, int]) -> bytes:
    """A PNG of the picture's shape: blue for what good pictures show, yellow and red for what is above the threshold."""
    unit = max(threshold.value - threshold.typical, 1e-9)
    level = np.clip(AT_THRESHOLD * (1 + (places - threshold.value) / unit), 0, 255).astype(np.uint8)
    reduce = min(1.0, HEATMAP_SIDE / max(size))
    shown = max(1, round(size[0] * reduce)), max(1, round(size[1] * reduce))
    coloured = cv2.applyColorMap(cv2.resize(level, shown, interpolation=cv2.INTER_LINEAR), cv2.COLORMAP_TURBO)
    return cv2.imencode(".png", coloured)[1].tobytes()


def _said(score: float, threshold: Threshold) -> str:
    return f"anomaly score {score:.4g}, threshold {threshold.value:.4g}"

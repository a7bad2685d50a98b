"""How well findings cover what labelled defects cover: mask IoU and area, beside what their boxes say."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from linegate.evaluation.labels import Truth
from linegate.evaluation.masks import Mask, filled
from linegate.evaluation.metrics import InspectedBoard, match, overlap, rates
from linegate.inspection import Detection
from linegate.shapes import Outline

# A finding and a labelled defect that were matched, and what either covers
Compared = tuple[Detection, Truth, Mask, Mask]


def outlines(
    boards: Sequence[InspectedBoard], iou: float, counts: Callable[[Detection], bool]
) -> dict[str, Any] | None:
    """After verification: precision and recall by masks, and of the hits IoU and area; None where no label has a mask.

    Where a finding has no outline, or a label no mask, their boxes count.
    """
    masks = sum(truth.mask is not None for board in boards for truth in board.truths)
    if not masks:
        return None
    found = [detection for board in boards for detection in board.found(verified=True, counts=counts)]
    scales = {board.manifest.mm_per_px for board in boards if board.manifest}
    (scale,) = scales if len(scales) == 1 else (None,)
    return {
        "labelled": masks,
        "found": sum(bool(detection.outline) for detection in found),
        "unit": "mm²" if scale else "px²",
        "overall": _figures(boards, iou, counts, (scale or 1.0) ** 2, class_aware=True),
        "localisation": _figures(boards, iou, counts, (scale or 1.0) ** 2, class_aware=False),
    }


def _figures(
    boards: Sequence[InspectedBoard],
    iou: float,
    counts: Callable[[Detection], bool],
    square: float,
    *,
    class_aware: bool,
) -> dict[str, Any]:
    """`square` is what a pixel covers, in the unit of areas."""
    pairs, compared = [], list[Compared]()
    for board in boards:
        size = (board.manifest.width, board.manifest.height) if board.manifest else (0, 0)
        some = board.found(verified=True, counts=counts)
        matched = match(some, board.truths, iou, class_aware=class_aware, alike=_alike(size))
        pairs += matched
        for pair in matched:
            if pair.detection and pair.truth and pair.truth.mask and (mask := _mask(pair.detection.outline, size)):
                compared.append((pair.detection, pair.truth, mask, pair.truth.mask))
    errors = [square * (mask.area - labelled.area) for _, _, mask, labelled in compared]
    return {
        **rates(pairs),
        "compared": len(compared),
        "mean_iou": _mean([mask.overlap(labelled) for _, _, mask, labelled in compared]),
        "mean_box_iou": _mean([overlap(detection.box, truth.box) for detection, truth, _, _ in compared]),
        "area": {
            "labelled": _mean([square * labelled.area for _, _, _, labelled in compared]),
            "error": _mean(errors),
            "absolute_error": _mean([abs(error) for error in errors]),
        },
    }


def _alike(size: tuple[int, int]) -> Callable[[Detection, Truth], float]:
    def alike(detection: Detection, truth: Truth) -> float:
        mask = _mask(detection.outline, size) if truth.mask else None
        return overlap(detection.box, truth.box) if mask is None or truth.mask is None else mask.overlap(truth.mask)

    return alike


@lru_cache(maxsize=1024)
def _mask(outline: Outline, size: tuple[int, int]) -> Mask | None:
    return filled([outline], size) if outline else None


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None

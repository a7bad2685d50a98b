"""What each detector of a recipe brings: findings of its own, findings that others have too, and its time."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from linegate.evaluation.metrics import InspectedBoard, match
from linegate.evaluation.percentiles import percentiles
from linegate.inspection import Detection


def by_detector(
    boards: Sequence[InspectedBoard], names: Sequence[str], iou: float, counts: Callable[[Detection], bool]
) -> list[dict[str, Any]]:
    """For each detector, by its name in the recipe: its true and false findings before verification, milliseconds, coverage.

    A finding is *alone* a detector's if no other one has it. True is one at a labelled defect of its class.
    """
    counted = Counter[tuple[str, bool, bool]]()
    for board in boards:
        found = board.found(verified=False, counts=counts)
        for pair in match(found, board.truths, iou, class_aware=True):
            if pair.detection is not None:
                by = pair.detection.found_by or names[:1]  # the core names nobody where there is nobody else
                counted.update((name, pair.truth is not None, len(by) == 1) for name in by)
    answers = [answer for board in boards if board.manifest for answer in board.manifest.answers]
    told = []
    for name in names:
        own = [answer for answer in answers if answer.detector == name]
        told.append(
            {
                "detector": name,
                "answered": len(own),
                "true_alone": counted[name, True, True],
                "true_together": counted[name, True, False],
                "false_alone": counted[name, False, True],
                "false_together": counted[name, False, False],
                "took_ms": percentiles([answer.took_ms for answer in own]),
                "least_coverage": min((answer.coverage.part for answer in own if answer.coverage), default=None),
            }
        )
    return told

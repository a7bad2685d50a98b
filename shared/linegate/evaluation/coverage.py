"""How much of the pictures could be judged, and what the rest was lost to."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from linegate.evaluation.metrics import InspectedBoard
from linegate.evaluation.percentiles import percentile
from linegate.inspection import Coverage


def coverage(boards: Sequence[InspectedBoard], least: float) -> dict[str, Any]:
    """In parts (0 … 1) of a picture: the least, p5 and p50; which boards lie below `least`; what was lost to what on average.

    Boards whose detectors don't know it are not counted; None where none of them does.
    """
    known = [(board.name, told) for board in boards if (told := coverage_of(board)) is not None]
    parts = [told.part for _, told in known]
    lost: dict[str, list[float]] = defaultdict(list)
    for _, told in known:
        for loss in told.lost:
            lost[loss.why].append(loss.part)
    causes: list[dict[str, Any]] = [
        {"why": why, "part": sum(some) / len(known), "most": max(some), "boards": len(some)}
        for why, some in lost.items()
    ]
    return {
        "known": len(known),
        "least": min(parts, default=None),
        "p5": percentile(parts, 5) if parts else None,
        "p50": percentile(parts, 50) if parts else None,
        "wanted": least,
        "below": [name for name, told in known if told.part < least],
        "lost": sorted(causes, key=lambda cause: (-cause["part"], cause["why"])),
    }


def coverage_of(board: InspectedBoard) -> Coverage | None:
    return board.manifest.coverage if board.manifest else None

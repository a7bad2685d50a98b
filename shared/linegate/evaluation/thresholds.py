"""Which confidence to choose, and where the labelled pictures can't tell."""

from collections.abc import Sequence
from typing import Any, Final

import yaml

from linegate.evaluation import metrics
from linegate.evaluation.metrics import InspectedBoard

UNKNOWN: Final = "\N{EN DASH}"
POOR_RECALL: Final = 0.8  # below it, a board fails by what else is found on it rather than by its labelled defects
GOALS: Final = {"recall": "a recall of {:g} or more", "escape_rate": "an escape rate of {:g} or less"}


def choices(
    boards: Sequence[InspectedBoard], figures: dict[str, Any], recall: float, escape_rate: float
) -> dict[str, Any]:
    """For each goal the best point of the sweep, and why no confidence is advised all the same, if so."""
    points = figures["sweep"]
    wanted = {
        "recall": (recall, metrics.choose(points, recall=recall)),
        "escape_rate": (escape_rate, metrics.choose(points, escape_rate=escape_rate)),
    }
    return {
        goal: {"wanted": value, "point": point, "withheld": _withheld(goal, boards, figures, reached=point is not None)}
        for goal, (value, point) in wanted.items()
    }


def _withheld(goal: str, boards: Sequence[InspectedBoard], figures: dict[str, Any], *, reached: bool) -> str:
    """Why the figures are no ground for a choice; empty if they are one."""
    levels, best = figures["boards"], best_recall(figures["sweep"]) or 0.0
    lost, several = levels["review"] + levels["error"], sum(len(board.truths) > 1 for board in boards)
    escapes = goal == "escape_rate"
    grounds = (
        (lost, f"{lost} of {levels['total']} boards were not judged (see the reasons): mend that first"),
        (not escapes and not figures["overall"]["support"], "no defect is labelled, so recall can't be known"),
        (escapes and not levels["bad"], "there is no bad board, so escapes can't be known"),
        (
            escapes and reached and 2 * several > levels["bad"],
            f"{several} of {levels['bad']} bad boards have several defects and one holds a board: escapes say nothing of each",
        ),
        (
            escapes and reached and best < POOR_RECALL,
            f"at most {best:.0%} of the labelled defects are found: boards fail by what else is found on them",
        ),
        (
            reached and not levels["good"],
            "there is no good board: how many of them would be called can't be known",
        ),
    )
    return next((why for ground, why in grounds if ground), "")


def best_recall(points: Sequence[dict[str, Any]]) -> float | None:
    return max((point["recall"] for point in points if point["recall"] is not None), default=None)


def advice(report: dict[str, Any]) -> list[str]:
    """The confidence to choose for what was wanted, as lines to paste into the recipe; or why none can be told."""
    lines = []
    for goal, words in GOALS.items():
        chosen = report["choose"][goal]
        wanted, point, withheld = words.format(chosen["wanted"]), chosen["point"], chosen["withheld"]
        told = point and f"precision {number(point['precision'])}, recall {number(point['recall'])}"
        if withheld:
            known = not report["boards"]["review"] + report["boards"]["error"] and point and goal == "recall"
            fact = (
                f". On these pictures it holds up to a confidence of {point['confidence']:g} ({told})" if known else ""
            )
            lines.append(f"for {wanted}: no confidence is advised, since {withheld}{fact}")
        elif point is None:
            best = best_recall(report["sweep"])
            reached = "" if best is None else f" (the best recall is {best:.3f})"
            lines.append(f"for {wanted}: no confidence reaches it on these pictures{reached}")
        else:
            line = yaml.safe_dump({"confidence": point["confidence"]}).strip()
            called = f"{point['escapes']} escapes, {point['false_calls']} false calls"
            lines.append(f"for {wanted}, paste into the recipe:  {line}  # {told}, {called}")
    return lines


def number(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.3f}"

"""Which confidences to choose, and where the labelled pictures can't tell."""

from collections.abc import Sequence
from typing import Any, Final

import yaml

from linegate.bounds import percent
from linegate.evaluation import clearing, metrics

UNKNOWN: Final = "\N{EN DASH}"


def choices(figures: dict[str, Any], recall: float) -> dict[str, Any]:
    """The best point of the sweep for this recall, and why no confidence is advised all the same, if so."""
    point = metrics.choose(figures["sweep"], recall)
    return {"recall": {"wanted": recall, "point": point, "withheld": _withheld(figures, reached=point is not None)}}


def _withheld(figures: dict[str, Any], *, reached: bool) -> str:
    """Why the figures are no ground for a choice; empty if they are one."""
    levels = figures["boards"]
    lost = levels["review"] + levels["error"]
    grounds = (
        (lost, f"{lost} of {levels['total']} boards were not judged (see the reasons): mend that first"),
        (not figures["overall"]["support"], "no defect is labelled, so recall can't be known"),
        (
            reached and not levels["good"],
            "there is no good board: how many of them would be called can't be known",
        ),
    )
    return next((why for ground, why in grounds if ground), "")


def best_recall(points: Sequence[dict[str, Any]]) -> float | None:
    return max((point["recall"] for point in points if point["recall"] is not None), default=None)


def advice(report: dict[str, Any]) -> list[str]:
    """What to choose for what was wanted, as lines to paste into the recipe; or why that can't be told."""
    return [_recall(report), *_escapes(report), *clearing.lines(report["clearing"])]


def _recall(report: dict[str, Any]) -> str:
    chosen = report["choose"]["recall"]
    wanted, point, withheld = f"a recall of {chosen['wanted']:g} or more", chosen["point"], chosen["withheld"]
    told = point and f"precision {number(point['precision'])}, recall {number(point['recall'])}"
    if withheld:
        known = not report["boards"]["review"] + report["boards"]["error"] and point
        fact = f". On these pictures it holds up to a confidence of {point['confidence']:g} ({told})" if known else ""
        return f"for {wanted}: no confidence is advised, since {withheld}{fact}"
    if point is None:
        best = best_recall(report["sweep"])
        reached = "" if best is None else f" (the best recall is {best:.3f})"
        return f"for {wanted}: no confidence reaches it on these pictures{reached}"
    called = f"{point['escapes']} escapes, {point['false_calls']} false calls"
    return f"for {wanted}, paste into the recipe:  {_yaml({'confidence': point['confidence']})}  # {told}, {called}"


def _escapes(report: dict[str, Any]) -> list[str]:
    promised = report["promise"]
    certainty = f"{100 * promised['certainty']:g} % certainty"
    own = promised["own"]
    if promised["bad"]:
        several = promised["several_defects"]
        lines = [
            f"escapes at the recipe's own confidences: {_shown(own, 'escapes', 'bad', certainty)}"
            + (
                f"; {several} of {promised['bad']} bad boards have several defects, and one holds a board"
                * bool(several)
            )
        ]
    else:
        lines = ["escapes: there is no bad board that the gate judged, so nothing is known of them"]
    if promised["good"]:
        lines.append(f"false calls, likewise: {_shown(own, 'false_calls', 'good', certainty)}")
    if promised["escape_rate"] is None:
        return lines
    wanted = f"for an escape rate of {100 * promised['escape_rate']:g} % or less with {certainty}"
    thresholds, cost = promised["thresholds"], promised.get("cost")
    if promised["withheld"]:
        lines.append(f"{wanted}: no thresholds are advised, since {promised['withheld']}")
        return lines
    spelled = report["spelled"]
    policies = {spelled.get(name, name): {"minimum_confidence": value} for name, value in thresholds["classes"].items()}
    pasted = _yaml({"confidence": thresholds["floor"], "classes": policies})
    lines.append(f"{wanted}, paste into the recipe (into the classes that it has):  {pasted}")
    escapes, false_calls = (
        _shown(cost, what, of, certainty) for what, of in (("escapes", "bad"), ("false_calls", "good"))
    )
    review = cost["bad_to_review"] + cost["good_to_review"]
    lines.append(f"    on the half that tested it: escapes {escapes}; false calls {false_calls}; {review} to review")
    return lines


def _shown(figures: dict[str, Any], what: str, of: str, certainty: str) -> str:
    bound = percent(figures[f"{what}_at_most"])
    return f"{figures[what]} of {figures[of]} {of} boards, at most {bound} with {certainty}"


def _yaml(value: dict[str, Any]) -> str:
    return yaml.safe_dump(value, default_flow_style=len(value) > 1, width=10_000, sort_keys=False).strip()


def number(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value:.3f}"

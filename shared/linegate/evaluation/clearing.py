"""How often a verifier was right to clear a finding, by how sure the detector was; and up to where it may clear."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from linegate.bounds import boards_needed, interval, lower, p_value, percent
from linegate.evaluation.labels import class_name
from linegate.evaluation.metrics import overlap
from linegate.evaluation.outcomes import Outcome
from linegate.inspection import Check, Detection, Result

EDGES: Final = (0.0, 0.5, 0.7, 0.8, 0.9, 1.0)  # of the ranges of confidence that are told
# What `clear_below` is chosen from. Each of them is a test, and their number is paid for by Bonferroni's correction.
CHOICES: Final = (0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1.0)
WRONG: Final = 0.05  # the part of cleared findings that may be defects
ALL: Final = ""  # all classes together


@dataclass(frozen=True, slots=True)
class Cleared:
    """A finding that the verifier cleared, and whether a labelled defect lies there."""

    class_name: str
    confidence: float
    defect: bool


def cleared(outcomes: Iterable[Outcome], counts: Callable[[Detection], bool]) -> list[Cleared]:
    """The findings that count by the recipe, and of which the verifier said that they are no defect.

    One that touches a labelled defect at all was cleared wrongly, however badly its box fits.
    """
    some = []
    for outcome in outcomes:
        revision = outcome.inspection.revision
        checks = revision.decision.checks if revision else ()
        board = outcome.board
        for index, (detection, check) in enumerate(zip(board.detections, checks, strict=False)):
            if said_pass(check) and index not in board.own and counts(detection):
                defect = any(overlap(detection.box, truth.box) > 0 for truth in outcome.sample.truths)
                some.append(Cleared(class_name(detection.class_name), detection.confidence, defect))
    return some


def said_pass(check: Check) -> bool:
    """Whether the verifier cleared the finding, also where that did not count since the detector was too sure."""
    return check.result is Result.PASS or check.overruled


def clearing(some: Sequence[Cleared], certainty: float, wrong: float = WRONG) -> dict[str, Any]:
    """For all classes together and for each: by confidence how many were cleared and rightly so, and a `clear_below`."""
    by_class = defaultdict[str, list[Cleared]](list)
    for one in some:
        by_class[one.class_name].append(one)
    needed = boards_needed(wrong, corrected(certainty)) or 0
    return {
        "certainty": certainty,
        "wrong": wrong,
        "needed": needed,
        "all": _figures(some, certainty, wrong),
        "per_class": {name: _figures(by_class[name], certainty, wrong) for name in sorted(by_class)},
    }


def corrected(certainty: float) -> float:
    """The certainty of each single test, for all of them together to have `certainty`."""
    return 1 - (1 - certainty) / len(CHOICES)


def _figures(some: Sequence[Cleared], certainty: float, wrong: float) -> dict[str, Any]:
    return {
        **_right(some, certainty),
        "ranges": [
            {
                "above": low,
                "to": high,
                **_right(
                    [one for one in some if low < one.confidence <= high or (low == 0 == one.confidence)], certainty
                ),
            }
            for low, high in pairwise(EDGES)
        ],
        "clear_below": clear_below(some, certainty, wrong),
    }


def _right(some: Sequence[Cleared], certainty: float) -> dict[str, Any]:
    right = sum(not one.defect for one in some)
    low, high = interval(right, len(some), certainty)
    return {
        "cleared": len(some),
        "right": right,
        "right_at_least": lower(right, len(some), certainty),
        "low": low,
        "high": high,
    }


def clear_below(some: Sequence[Cleared], certainty: float, wrong: float) -> float | None:
    """The greatest confidence up to which at most the part `wrong` of what is cleared are defects, with this certainty.

    None where these findings show that of no choice.
    """
    shown = None
    for choice in CHOICES:
        reached = [one for one in some if one.confidence <= choice]
        if p_value(sum(one.defect for one in reached), len(reached), wrong) <= 1 - corrected(certainty):
            shown = choice
    return shown


def lines(told: dict[str, Any]) -> list[str]:
    """What is told of clearing, class by class, with the line for the recipe or why there is none."""
    everything = told["all"]
    if not everything["cleared"]:
        return ["clearing: the verifier cleared none of the findings, so how often it is right to can't be known"]
    said = []
    for name, figures in (("all classes", everything), *told["per_class"].items()):
        ranges = "; ".join(
            f"{each['above']:g} … {each['to']:g}: {each['right']} of {each['cleared']}"
            for each in figures["ranges"]
            if each["cleared"]
        )
        said.append(
            f"clearing, {name}: right {figures['right']} of {figures['cleared']} times, at least "
            f"{percent(figures['right_at_least'], least=True)} of the time with {told['certainty']:.0%} certainty; by the "
            f"detector's confidence {ranges}"
        )
    return [*said, *_advice(told)]


def _advice(told: dict[str, Any]) -> list[str]:
    most, certainty = percent(told["wrong"]), f"{told['certainty']:.0%} certainty"
    value = told["all"]["clear_below"]
    if value is None:
        count, right = told["all"]["cleared"], told["all"]["right"]
        told_why = (
            f"for at most {most} wrong clearings with {certainty}: no clear_below is advised, since {count} cleared findings of "
            f"which {count - right} were defects do not show that of any value; it takes {told['needed']} without a wrong one"
        )
        return [told_why]
    own = {name: each["clear_below"] for name, each in told["per_class"].items()}
    differ = {name: each for name, each in own.items() if each is not None and each != value}
    unknown = [name for name, each in own.items() if each is None]
    said = [
        f"for at most {most} wrong clearings with {certainty}, paste into the recipe:  clear_below: {value:g}",
        *(f"    classes: {{{name}: {{clear_below: {each:g}}}}}" for name, each in differ.items()),
    ]
    if unknown:
        said.append(f"    of {', '.join(unknown)} alone too few findings were cleared, or too many wrongly, to say it")
    return said

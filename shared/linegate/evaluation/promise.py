"""An operating point with a guarantee: thresholds by class for which an escape rate is promised, and what they cost.

Half of the boards choose a sequence of thresholds, from those that count everything to those that count only what is sure.
The other half, which had no say in that, tests them in this order (`bounds.fixed_sequence`).
"""

import hashlib
import math
from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from linegate.bounds import boards_needed, fixed_sequence, percent, upper
from linegate.evaluation.metrics import InspectedBoard, match
from linegate.inspection import Detection, Verdict

TOUCHING: Final = 1e-9  # a finding holds a board however badly its box fits
POOR_RECALL: Final = 0.8  # below it, a board fails by what else is found on it rather than by its labelled defects
LEAST_HITS: Final = 20  # of a class; with fewer, what the lowest confidence of its defects is has hardly been seen
# The sequence: parts of the way from the floor to the least confidence of a defect, then parts of defects left behind.
TOWARDS: Final = (0.0, 0.25, 0.5, 0.75, 0.9, 1.0)
BEHIND: Final = (0.005, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5)


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The least confidence with which a detection counts, by class; `floor` for all others."""

    floor: float
    by_class: Mapping[str, float] = field(default_factory=dict)

    def counts(self, detection: Detection) -> bool:
        return detection.confidence >= self.by_class.get(detection.class_name, self.floor)


def halves(boards: Sequence[InspectedBoard]) -> tuple[list[InspectedBoard], list[InspectedBoard]]:
    """Those that choose and those that test: as good as drawn, the same each time, bad and good boards parted alike."""

    def drawn(board: InspectedBoard) -> bytes:
        return hashlib.sha256(board.name.encode("utf-8", "surrogatepass")).digest()

    choose, test = list[InspectedBoard](), list[InspectedBoard]()
    for bad in (True, False):
        some = sorted((board for board in boards if board.bad is bad), key=drawn)
        test += some[::2]
        choose += some[1::2]
    return choose, test


def sequence(boards: Sequence[InspectedBoard], floor: float) -> list[Thresholds]:
    """Thresholds that only rise, chosen on these boards: what they let pass only grows."""
    hits = defaultdict[str, list[float]](list)
    for board in boards:
        for pair in match(board.found(verified=True, counts=lambda _: True), board.truths, TOUCHING, class_aware=False):
            if pair.detection and pair.truth:
                hits[pair.detection.class_name].append(pair.detection.confidence)
    known = {name: sorted(some) for name, some in sorted(hits.items()) if len(some) >= LEAST_HITS}

    def each(threshold: Callable[[Sequence[float]], float]) -> Thresholds:
        # Rounded down: who has just this confidence still counts.
        by_class = {name: math.floor(1000 * threshold(some)) / 1000 for name, some in known.items()}
        return Thresholds(floor, {name: max(floor, value) for name, value in by_class.items()})

    steps = [each(lambda some, part=part: floor + part * (some[0] - floor)) for part in TOWARDS]  # type: ignore[misc]
    steps += [each(lambda some, part=part: some[int(part * len(some))]) for part in BEHIND]  # type: ignore[misc]
    return list({tuple(step.by_class.items()): step for step in steps}.values())


def judged(board: InspectedBoard) -> bool:
    """Whether thresholds have a say: a board without an answer, or with a doubt, does not pass whatever they are.

    Those are left out of the count, which makes a promise harder to give: it holds of the boards that the gate judges.
    """
    return board.manifest is not None and not board.manifest.doubts


def promise(
    boards: Sequence[InspectedBoard],
    counts: Callable[[Detection], bool],
    floor: float,
    escape_rate: float | None,
    certainty: float,
    *,
    twice: Collection[str] = (),
) -> dict[str, Any]:
    """What these boards show of escapes, at the recipe's own thresholds (`counts`) and, where a rate is wanted, for it.

    `twice` names boards whose picture is there already: one board is counted once.
    """
    kept = [board for board in boards if judged(board) and board.name not in set(twice)]
    bad, good = ([board for board in kept if board.bad is kind] for kind in (True, False))
    told: dict[str, Any] = {
        "escape_rate": escape_rate,
        "certainty": certainty,
        "bad": len(bad),
        "good": len(good),
        "several_defects": sum(len(board.truths) > 1 for board in bad),
        "not_judged": sum(not judged(board) for board in boards),
        "own": _cost(counts, bad, good, certainty),
        "thresholds": None,
        "withheld": "",
    }
    if escape_rate is None:
        return told
    choose, test = halves(kept)
    tested = [board for board in test if board.bad]
    needed = boards_needed(escape_rate, certainty)
    steps = sequence([board for board in choose if board.bad], floor)
    escapes = [_verdicts(step.counts, tested)[Verdict.PASS] for step in steps]
    last = fixed_sequence(escapes, len(tested), escape_rate, certainty)
    told |= {
        "tested": len(tested),
        "needed": needed,
        "least": upper(0, len(tested), certainty),
        "at_floor": escapes[0],
        "shown_at_floor": upper(escapes[0], len(tested), certainty),
        "floor": floor,
    }
    if last is not None:
        # All that passed hold together: any of them may be taken. The fewest false calls, and of those the safest.
        best = min(range(last + 1), key=lambda step: (_verdicts(steps[step].counts, good)[Verdict.FAIL], step))
        told |= {
            "thresholds": {"floor": floor, "classes": dict(steps[best].by_class)},
            "cost": _cost(steps[best].counts, tested, [board for board in test if not board.bad], certainty),
        }
    told["withheld"] = _withheld(bad, good, told)
    return told


def _withheld(bad: Sequence[InspectedBoard], good: Sequence[InspectedBoard], told: Mapping[str, Any]) -> str:
    """Why no thresholds are advised; empty if they are."""
    labelled, found = sum(len(board.truths) for board in bad), sum(map(_hits, bad))
    n, needed = told["tested"], told["needed"]
    halved = f"of the {len(bad)} bad boards half test it, and these {n} show no less than {percent(told['least'])}"
    passing = (
        f"even with every finding from {told['floor']:g} on, {told['at_floor']} of {n} bad boards pass, which shows no less "
        f"than {percent(told['shown_at_floor'])}"
    )
    more = boards_needed(told["escape_rate"], told["certainty"], told["at_floor"])
    grounds = (
        (not bad, "there is no bad board that the gate judged, so escapes can't be known"),
        (needed is None, f"no number of boards shows that; {halved}"),
        (
            needed is not None and n < needed,
            f"it takes {needed} bad boards to show it and as many to choose by, {2 * (needed or 0)} in all; {halved}",
        ),
        (
            told["thresholds"] is None,
            f"{passing}; {2 * (more or 0)} bad boards could show it, if no more of those that test it pass",
        ),
        (
            2 * told["several_defects"] > len(bad),
            f"{told['several_defects']} of {len(bad)} bad boards have several defects, and one that is found holds a board",
        ),
        (
            found < POOR_RECALL * labelled,
            f"only {found} of {labelled} labelled defects are found: boards fail by what else is found on them",
        ),
        (not good, "there is no good board: what it costs in false calls can't be known"),
    )
    return next((why for ground, why in grounds if ground), "")


def _hits(board: InspectedBoard) -> int:
    """How many of its labelled defects are found at all."""
    found = board.found(verified=True, counts=lambda _: True)
    pairs = match(found, board.truths, TOUCHING, class_aware=False)
    return sum(bool(pair.detection and pair.truth) for pair in pairs)


def _verdicts(counts: Callable[[Detection], bool], boards: Sequence[InspectedBoard]) -> dict[Verdict, int]:
    told = dict.fromkeys(Verdict, 0)
    for board in boards:
        told[board.decided(verified=True, counts=counts)] += 1
    return told


def _cost(
    counts: Callable[[Detection], bool],
    bad: Sequence[InspectedBoard],
    good: Sequence[InspectedBoard],
    certainty: float,
) -> dict[str, Any]:
    """Escapes and false calls with the rates that are not exceeded; REVIEW is neither and told apart."""
    of_bad, of_good = _verdicts(counts, bad), _verdicts(counts, good)
    return {
        "bad": len(bad),
        "escapes": of_bad[Verdict.PASS],
        "escapes_at_most": upper(of_bad[Verdict.PASS], len(bad), certainty),
        "bad_to_review": of_bad[Verdict.REVIEW],
        "good": len(good),
        "false_calls": of_good[Verdict.FAIL],
        "false_calls_at_most": upper(of_good[Verdict.FAIL], len(good), certainty),
        "good_to_review": of_good[Verdict.REVIEW],
    }

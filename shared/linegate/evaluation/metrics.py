"""What labelled pictures say of a gate: precision, recall, average precision, escapes, false calls, at any confidence."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from linegate.evaluation.labels import Truth
from linegate.inspection import Check, Decision, Detection, Manifest, Result, Verdict
from linegate.shapes import Box
from linegate.verdict import decide

NONE: Final = "(none)"  # in the confusion matrix: nothing there, nothing found
NUMBER: Final = re.compile(r"\d+(?:[.,]\d+)*")
STEPS: Final = tuple(round(step / 50, 2) for step in range(50))  # confidences of the sweep


@dataclass(frozen=True, slots=True)
class InspectedBoard:
    """One labelled board and what the gate made of it.

    `detections` carry their result as `settled`. Where the detector gave no answer there is no `manifest`, and `verdict`
    with its `reasons` is all there is. `own` are the indices of those whose result no verifier gave: what a detector or the
    recipe settled is the same before and after verification, and a number inside its limits is at no time a defect.
    """

    name: str
    truths: tuple[Truth, ...]
    manifest: Manifest | None
    detections: tuple[Detection, ...]
    verdict: Verdict
    reasons: tuple[str, ...] = ()
    own: frozenset[int] = frozenset()

    @property
    def bad(self) -> bool:
        return bool(self.truths)

    def found(self, *, verified: bool, counts: Callable[[Detection], bool]) -> list[Detection]:
        """The detections that count; once verified, without those that a check has cleared. The surest first."""
        left = [
            detection
            for index, detection in enumerate(self.detections)
            if counts(detection) and not ((verified or index in self.own) and _cleared(detection))
        ]
        return sorted(left, key=lambda detection: -detection.confidence)

    def decided(self, *, verified: bool, counts: Callable[[Detection], bool]) -> Verdict:
        """The verdict by the gate's own rules, had only these detections been there."""
        decision = self._decision(verified=verified, counts=counts)
        return decision.verdict if decision else self.verdict

    def not_judged(self, counts: Callable[[Detection], bool]) -> tuple[str, ...]:
        """Why the gate could not judge this board; empty if it passed or failed."""
        decision = self._decision(verified=True, counts=counts)
        if decision is None:
            return self.reasons
        if decision.verdict is not Verdict.REVIEW or self.manifest is None:
            return ()
        unsure = (f"a finding: {check.reason}" for check in decision.checks if check.result is Result.UNSURE)
        return tuple(dict.fromkeys((*self.manifest.doubts, *unsure)))

    def _decision(self, *, verified: bool, counts: Callable[[Detection], bool]) -> Decision | None:
        if self.manifest is None:
            return None
        kept = tuple(
            detection
            if verified or index in self.own
            else replace(detection, settled=Check(0, Result.FAIL, "Not verified."))
            for index, detection in enumerate(self.detections)
            if counts(detection)
        )
        return decide(replace(self.manifest, detections=kept, expected=0), {})


def _cleared(detection: Detection) -> bool:
    return detection.settled is not None and detection.settled.result is Result.PASS


@dataclass(frozen=True, slots=True)
class Match:
    """A detection and the truth it was matched with, or one of them alone."""

    detection: Detection | None
    truth: Truth | None


def overlap(one: Box, other: Box) -> float:
    """Intersection over union, 0 … 1."""
    left, top, right, bottom = one.corners
    other_left, other_top, other_right, other_bottom = other.corners
    width = min(right, other_right) - max(left, other_left)
    height = min(bottom, other_bottom) - max(top, other_top)
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    return shared / (one.width * one.height + other.width * other.height - shared)


def _boxes(detection: Detection, truth: Truth) -> float:
    return overlap(detection.box, truth.box)


def match(
    detections: Iterable[Detection],
    truths: Sequence[Truth],
    iou: float,
    *,
    class_aware: bool,
    alike: Callable[[Detection, Truth], float] = _boxes,
) -> list[Match]:
    """Each detection, the surest first, takes the truth that it overlaps most, by `iou` at least and once only.

    `alike` tells how far the two overlap, 0 … 1.
    """
    free = list(truths)
    matches = []
    for detection in detections:
        offered = [truth for truth in free if not class_aware or truth.class_name == detection.class_name]
        best = max(offered, key=partial(alike, detection), default=None)
        if best is not None and alike(detection, best) >= iou:
            free.remove(best)
            matches.append(Match(detection, best))
        else:
            matches.append(Match(detection, None))
    return matches + [Match(None, truth) for truth in free]


def evaluate(
    boards: Sequence[InspectedBoard], iou: float, counts: Callable[[Detection], bool], *, verified: bool
) -> dict[str, Any]:
    """Everything at the recipe's own confidences, as it goes into the JSON.

    Average precision looks at all detections, down to the lowest confidence that was asked for, as is the custom.
    """

    def anything(_: Detection) -> bool:
        return True

    found = [board.found(verified=verified, counts=counts) for board in boards]
    asked = [board.found(verified=verified, counts=anything) for board in boards]
    aware = [match(some, board.truths, iou, class_aware=True) for some, board in zip(found, boards, strict=True)]
    agnostic = [match(some, board.truths, iou, class_aware=False) for some, board in zip(found, boards, strict=True)]
    classes = sorted(
        {truth.class_name for board in boards for truth in board.truths}
        | {detection.class_name for some in asked for detection in some}
    )
    precisions = average_precision(boards, asked, classes, iou)
    verdicts = [board.decided(verified=verified, counts=counts) for board in boards]
    per_class = {
        name: {
            **rates(
                pair
                for pairs in aware
                for pair in pairs
                if name in (pair.detection and pair.detection.class_name, pair.truth and pair.truth.class_name)
            ),
            "ap50": precisions[name][0],
            "ap": precisions[name][1],
        }
        for name in classes
    }
    known = [name for name in classes if precisions[name][0] is not None]
    whole = average_precision(boards, asked, None, iou)[""]
    return {
        "overall": {
            **rates(pair for pairs in aware for pair in pairs),
            "ap50": _mean([precisions[name][0] for name in known]),
            "ap": _mean([precisions[name][1] for name in known]),
        },
        "per_class": per_class,
        "localisation": {**rates(pair for pairs in agnostic for pair in pairs), "ap50": whole[0], "ap": whole[1]},
        "confusion": confusion(agnostic, classes),
        "boards": {**board_level(boards, verdicts), "failed_elsewhere": _failed_elsewhere(boards, verdicts, agnostic)},
        "sweep": sweep(boards, iou, verified=verified),
        "calibration": calibration(asked, boards, iou),
    }


def rates(matches: Iterable[Match]) -> dict[str, Any]:
    """Precision, recall, F1 and the number of truths; None where there is nothing to divide by."""
    counted = Counter((pair.detection is not None, pair.truth is not None) for pair in matches)
    return _rates(hits=counted[True, True], told=counted[True, True] + counted[True, False], known=_known(counted))


def _known(counted: Counter[tuple[bool, bool]]) -> int:
    return counted[True, True] + counted[False, True]


def _rates(*, hits: int, told: int, known: int) -> dict[str, Any]:
    return {
        "precision": hits / told if told else None,
        "recall": hits / known if known else None,
        "f1": 2 * hits / (told + known) if told + known else None,
        "support": known,
    }


def average_precision(
    boards: Sequence[InspectedBoard], found: Sequence[Sequence[Detection]], classes: Sequence[str] | None, iou: float
) -> dict[str, tuple[float | None, float | None]]:
    """Average precision at IoU 0.5 and at `iou`, by class, or of all as one ("") with `classes` None; COCO's, by supervision.

    None for a class of which there is no truth.
    """
    from supervision.metrics.mean_average_precision import COCOEvaluator, EvaluationDataset

    numbers = {name: number for number, name in enumerate(classes or [""])}

    def entry(image: int, name: str, box: Box) -> dict[str, Any]:
        left, top, _, _ = box.corners
        where = [left, top, box.width, box.height]
        category = numbers[name if classes is not None else ""]
        return {"image_id": image, "category_id": category, "bbox": where, "area": box.width * box.height}

    truths = [
        {**entry(image, truth.class_name, truth.box), "iscrowd": 0}
        for image, board in enumerate(boards)
        for truth in board.truths
    ]
    told = [
        {**entry(image, detection.class_name, detection.box), "score": detection.confidence}
        for image, detections in enumerate(found)
        for detection in detections
    ]
    with_truth = sorted({truth["category_id"] for truth in truths})
    missing: dict[str, tuple[float | None, float | None]] = dict.fromkeys(numbers, (None, None))
    if not truths:
        return missing
    told = [{**one, "id": number} for number, one in enumerate(told, start=1) if one["category_id"] in with_truth]
    if not told:
        return {name: (0.0, 0.0) if number in with_truth else (None, None) for name, number in numbers.items()}
    images = [{"id": image} for image in range(len(boards))]
    instances: Any = {
        "images": images,
        "annotations": [{**truth, "id": number, "ignore": 0} for number, truth in enumerate(truths, start=1)],
        "categories": [{"id": number} for number in with_truth],
    }
    known = EvaluationDataset(instances)
    evaluator = COCOEvaluator(known, known.load_predictions(told))  # type: ignore[arg-type]
    evaluator.params.iou_thrs = np.array([0.5, iou])
    evaluator.params.area_range = [[0, 1e12]] * 4  # supervision's own ends where pictures of today begin
    evaluator.params.max_dets = [1, 10, 100]
    evaluator.evaluate()
    table: NDArray[np.float64] = np.asarray(evaluator.results["ap_per_class_all_sizes"])
    by_number = {number: (float(row[0]), float(row[1])) for number, row in zip(with_truth, table, strict=True)}
    return {name: by_number.get(number, (None, None)) for name, number in numbers.items()}


def confusion(matched: Iterable[Iterable[Match]], classes: Sequence[str]) -> dict[str, dict[str, int]]:
    """How often each truth (row) was found as what (column), whatever its class; "(none)" is nothing there, nothing found."""
    table = {row: dict.fromkeys((*classes, NONE), 0) for row in (*classes, NONE)}
    for pairs in matched:
        for pair in pairs:
            row = pair.truth.class_name if pair.truth else NONE
            table[row][pair.detection.class_name if pair.detection else NONE] += 1
    return table


def board_level(boards: Sequence[InspectedBoard], verdicts: Sequence[Verdict]) -> dict[str, Any]:
    """Escapes are bad boards that passed, false calls good boards that failed; shares of the bad, the good, and all."""
    counted = Counter((board.bad, verdict) for board, verdict in zip(boards, verdicts, strict=True))
    bad = sum(board.bad for board in boards)
    good = len(boards) - bad
    escapes, false_calls = counted[True, Verdict.PASS], counted[False, Verdict.FAIL]
    review, error = (
        sum(counted[kind, verdict] for kind in (True, False)) for verdict in (Verdict.REVIEW, Verdict.ERROR)
    )
    return {
        "total": len(boards),
        "bad": bad,
        "good": good,
        "escapes": escapes,
        "false_calls": false_calls,
        "review": review,
        "error": error,
        "escape_rate": escapes / bad if bad else None,
        "false_call_rate": false_calls / good if good else None,
        "review_share": review / len(boards) if boards else None,
    }


def _failed_elsewhere(
    boards: Sequence[InspectedBoard], verdicts: Sequence[Verdict], matched: Sequence[Sequence[Match]]
) -> int:
    """Bad boards that failed although none of their labelled defects was found: right by luck."""
    return sum(
        board.bad and verdict is Verdict.FAIL and not any(pair.detection and pair.truth for pair in pairs)
        for board, verdict, pairs in zip(boards, verdicts, matched, strict=True)
    )


def why_not_judged(boards: Sequence[InspectedBoard], counts: Callable[[Detection], bool]) -> list[dict[str, Any]]:
    """The reasons for which boards went to REVIEW or ERROR, the most frequent first; alike but for numbers is alike."""
    grouped: dict[tuple[str, str], dict[str, list[str]]] = {}
    for board in boards:
        verdict = board.decided(verified=True, counts=counts)
        for reason in board.not_judged(counts):
            texts = grouped.setdefault((verdict.value, NUMBER.sub("…", reason)), {})
            texts.setdefault(reason, []).append(board.name)
    listed = []
    for (verdict_name, general), texts in grouped.items():
        names = sorted({name for some in texts.values() for name in some})
        told = next(iter(texts)) if len(texts) == 1 else general
        listed.append({"verdict": verdict_name, "reason": told, "count": len(names), "boards": names})
    return sorted(listed, key=lambda each: (-len(each["boards"]), each["reason"]))


def sweep(boards: Sequence[InspectedBoard], iou: float, *, verified: bool) -> list[dict[str, Any]]:
    """Precision, recall, escapes and false calls if the recipe asked for each of these confidences, of every class."""
    matches = [
        (pair.detection.confidence, pair.truth is not None)
        for board in boards
        for pair in match(board.found(verified=verified, counts=lambda _: True), board.truths, iou, class_aware=True)
        if pair.detection is not None
    ]
    known = sum(len(board.truths) for board in boards)
    points = []
    for least in STEPS:
        kept = [hit for confidence, hit in matches if confidence >= least]
        at_least = _at_least(least)
        verdicts = [board.decided(verified=verified, counts=at_least) for board in boards]
        levels = board_level(boards, verdicts)
        points.append(
            {
                "confidence": least,
                **{
                    key: value
                    for key, value in _rates(hits=sum(kept), told=len(kept), known=known).items()
                    if key != "support"
                },
                **{key: levels[key] for key in ("escapes", "escape_rate", "false_calls", "false_call_rate", "review")},
            }
        )
    return points


def _at_least(least: float) -> Callable[[Detection], bool]:
    return lambda detection: detection.confidence >= least


def choose(points: Sequence[dict[str, Any]], recall: float) -> dict[str, Any] | None:
    """The highest confidence that keeps the wanted recall; None if none does."""
    fits = [point for point in points if point["recall"] is not None and point["recall"] >= recall]
    return max(fits, key=lambda point: float(point["confidence"]), default=None)


def calibration(
    found: Sequence[Sequence[Detection]], boards: Sequence[InspectedBoard], iou: float
) -> list[dict[str, Any]]:
    """Of the detections in each fifth of confidence: how many, their mean confidence, and how many are defects indeed."""
    sure: list[list[tuple[float, bool]]] = [[] for _ in range(5)]
    for detections, board in zip(found, boards, strict=True):
        for pair in match(detections, board.truths, iou, class_aware=False):
            if pair.detection is not None:
                fifth = min(4, int(5 * pair.detection.confidence))
                sure[fifth].append((pair.detection.confidence, pair.truth is not None))
    return [
        {
            "from": fifth / 5,
            "to": (fifth + 1) / 5,
            "count": len(some),
            "confidence": sum(confidence for confidence, _ in some) / len(some) if some else None,
            "precision": sum(hit for _, hit in some) / len(some) if some else None,
        }
        for fifth, some in enumerate(sure)
    ]


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None

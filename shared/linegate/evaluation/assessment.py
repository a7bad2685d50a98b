"""Everything that was measured, as it goes into the JSON; the terminal and the report tell of it."""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import linegate
from linegate.evaluation import metrics
from linegate.evaluation.clearing import cleared, clearing
from linegate.evaluation.coverage import coverage, coverage_of
from linegate.evaluation.detectors import by_detector
from linegate.evaluation.labels import Dataset, Kind, class_name, shown, warnings
from linegate.evaluation.outcomes import Outcome, floor_of
from linegate.evaluation.outlines import outlines
from linegate.evaluation.percentiles import percentiles
from linegate.evaluation.promise import promise
from linegate.evaluation.thresholds import choices
from linegate.inspection import Check, Detection
from linegate.notification import covered
from linegate.redaction import redact
from linegate.settings import Recipe, Settings


@dataclass(frozen=True)
class Request:
    """What was asked for on the command line."""

    dataset: Path
    layout: str
    configuration: Path | None = None
    line: str | None = None
    changes: tuple[str, ...] = ()
    station: str | None = None
    serial: str = "{name}"
    golden: Path | None = None
    detector: str | None = None
    verifier: str | None = None
    missing_are_good: bool = False
    iou: float = 0.5
    limit: int | None = None
    parallel: int = 2
    recall: float = 0.98
    escape_rate: float | None = None
    certainty: float = 0.95
    json: Path | None = None
    html: Path | None = None


@dataclass(frozen=True)
class Gate:
    """What was evaluated: a line's recipe, with what the command line changes; `goldens` belong to the samples."""

    settings: Settings
    recipe: Recipe
    line: str
    recipe_name: str
    goldens: Sequence[Path | None] = ()

    def counts(self) -> Callable[[Detection], bool]:
        """Whether a detection counts by this recipe, its class spelled as datasets' are."""
        classes = {class_name(name): policy for name, policy in self.recipe.classes.items()}
        spelled = self.recipe.model_copy(update={"classes": classes})
        return lambda detection: detection.confidence >= spelled.minimum_confidence(detection.class_name)


def assess(
    gate: Gate,
    dataset: Dataset,
    outcomes: Sequence[Outcome],
    request: Request,
    cost: Callable[[float], dict[str, float]],
) -> dict[str, Any]:
    """The whole evaluation, as it goes into the JSON.

    `cost` gives the US dollars of a thousand boards with so many findings each on average, service by service.
    """
    recipe, counts = gate.recipe, gate.counts()
    boards = [outcome.board for outcome in outcomes]
    after = metrics.evaluate(boards, request.iou, counts, verified=True)
    before = metrics.evaluate(boards, request.iou, counts, verified=False)
    manifests = [outcome.inspection.manifest for outcome in outcomes if outcome.inspection.manifest]
    checked = [
        detection
        for manifest in manifests
        for detection in manifest.detections
        if detection.settled is None and detection.confidence >= recipe.minimum_confidence(detection.class_name)
    ]
    crops = len(checked) / max(1, len(outcomes))
    checks = [check for outcome in outcomes for check in _checks(outcome)]
    costs = cost(crops)
    return {
        "evaluated_at": datetime.now().astimezone().isoformat(timespec="seconds"),
        "software": f"linegate {linegate.__version__}",
        "configuration": configuration(gate, request),
        "golden": goldens(gate),
        "dataset": {
            "path": shown(request.dataset),
            "format": request.layout,
            "pictures": len(outcomes),
            "asked_for": len(dataset.samples),
            "defects": sum(len(board.truths) for board in boards),
            "bad_labels": sum(fault.kind is Kind.BAD_LABEL for fault in dataset.faults),
            "counts": dataset.counts(),
            "warnings": warnings(dataset.faults),
            "faults": [asdict(fault) for fault in dataset.faults],
        },
        "gate": {
            "detector": ", ".join(detector.called for detector in recipe.detectors),
            "detector_model": sorted({answer.model for manifest in manifests for answer in manifest.answers}),
            "verifier": recipe.verifier.type,
            "verifier_model": sorted({check.model for check in checks if check.model}),
            "confidence": recipe.confidence,
        },
        "iou": request.iou,
        **after,
        "masks": outlines(boards, request.iou, counts),
        "before_verification": before,
        "coverage": coverage(boards, recipe.least_coverage),
        "detectors": by_detector(boards, [detector.called for detector in recipe.detectors], request.iou, counts),
        "not_judged": metrics.why_not_judged(boards, counts),
        "choose": choices(after, request.recall),
        "promise": promise(
            boards,
            counts,
            floor_of(recipe),
            request.escape_rate,
            request.certainty,
            twice=_twice(dataset),
        ),
        "spelled": _spelled(outcomes),
        "clearing": clearing(cleared(outcomes, counts), request.certainty),
        "latency_ms": {
            "board": percentiles([outcome.inspection.timings.decided_ms for outcome in outcomes]),
            "detector": percentiles([manifest.detector_ms for manifest in manifests]),
            "check": percentiles([check.latency_ms for check in checks if check.latency_ms]),
            "under_way": request.parallel,
        },
        "cost": {
            "currency": "USD",
            "per_board": sum(costs.values()) / 1000,
            "per_thousand_boards": costs,
            "crops_per_board": crops,
            "tokens": sum(check.tokens for check in checks),
        },
        "boards_list": [_board(outcome, counts) for outcome in outcomes],
    }


def note_unknown_classes(dataset: Dataset, recipe: Recipe, outcomes: Sequence[Outcome]) -> None:
    """Say which labelled classes the detector has no name for."""
    known = {class_name(name) for name in recipe.classes} | {
        detection.class_name for outcome in outcomes for detection in outcome.board.detections
    }
    known.update(name for detector in recipe.detectors for name in detector.names)
    who = ", ".join(detector.called for detector in recipe.detectors)
    labelled = Counter(truth.class_name for sample in dataset.samples for truth in sample.truths)
    for name, count in sorted(labelled.items()):
        if name not in known:
            told = f"class {name!r} ({count} labels): the detector {who} has named nothing so"
            dataset.fault(name, 0, told, Kind.UNKNOWN_CLASS)


def _twice(dataset: Dataset) -> set[str]:
    """Names of the boards whose picture is there already, byte for byte."""
    files = {fault.file for fault in dataset.faults if fault.kind is Kind.TWICE}
    return {sample.name for sample in dataset.samples if shown(sample.picture) in files}


def _spelled(outcomes: Sequence[Outcome]) -> dict[str, str]:
    """Each class as the detector itself calls it, which is what a recipe must."""
    manifests = [outcome.inspection.manifest for outcome in outcomes if outcome.inspection.manifest]
    names = {detection.class_name for manifest in manifests for detection in manifest.detections}
    return {class_name(name): name for name in sorted(names)}


def configuration(gate: Gate, request: Request) -> dict[str, Any]:
    recipe = gate.recipe.model_dump(mode="json", exclude_defaults=True)
    told: dict[str, Any] = {
        "file": None,
        "sha256": None,
        "line": gate.line,
        "recipe_name": gate.recipe_name,
        "changes": [],
    }
    if request.configuration:
        told["file"] = shown(request.configuration)
        told["changes"] = [redact(change) for change in request.changes]
        told["sha256"] = hashlib.sha256(request.configuration.read_bytes()).hexdigest()
    return {**told, "recipe": recipe}


def goldens(gate: Gate) -> dict[str, Any]:
    distinct = list(dict.fromkeys(golden for golden in gate.goldens if golden))
    (single,) = distinct if len(distinct) == 1 else (None,)
    return {
        "pictures": len(distinct),
        "file": shown(single) if single else None,
        "sha256": hashlib.sha256(single.read_bytes()).hexdigest() if single else None,
    }


def _board(outcome: Outcome, counts: Callable[[Detection], bool]) -> dict[str, Any]:
    board = outcome.board
    verdict = board.decided(verified=True, counts=counts)
    return {
        "name": board.name,
        "picture": shown(outcome.sample.picture),
        "labelled": len(board.truths),
        "found": len(board.found(verified=True, counts=counts)),
        "verdict": verdict.value,
        "reasons": list(board.not_judged(counts)),
        "coverage": covered(coverage_of(board)),
        "decided_ms": round(outcome.inspection.timings.decided_ms, 1),
    }


def _checks(outcome: Outcome) -> Sequence[Check]:
    """What a verifier said."""
    revision, own = outcome.inspection.revision, outcome.board.own
    checks = revision.decision.checks if revision else ()
    return [check for index, check in enumerate(checks) if index not in own]

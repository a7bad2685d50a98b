"""What `linegate evaluate` does: read, inspect, score, tell."""

import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from linegate import config
from linegate.edge.console import console
from linegate.edge.cost import per_thousand, prices_of
from linegate.edge.evaluation import running, scoring
from linegate.edge.evaluation.datasets import read
from linegate.edge.evaluation.labels import Dataset, class_name
from linegate.edge.evaluation.running import Outcome
from linegate.errors import ConfigError, UsageError
from linegate.handlers.policy import minimum_confidence
from linegate.inspection import Detection
from linegate.settings import Recipe, Settings


@dataclass(frozen=True)
class Request:
    """What was asked for on the command line."""

    dataset: Path
    layout: str
    configuration: Path | None = None
    line: str | None = None
    golden: Path | None = None
    detector: str | None = None
    verifier: str | None = None
    iou: float = 0.5
    limit: int | None = None
    parallel: int = 2
    recall: float = 0.98
    escape_rate: float = 0.0
    json: Path | None = None
    html: Path | None = None


def run(request: Request) -> int:
    """Evaluate and tell. 0, whatever the gate is worth. Raises UsageError, ConfigError, TransientError."""
    for file in (request.json, request.html):
        if file and not file.absolute().parent.is_dir():
            raise UsageError(f"there is no folder {file.absolute().parent} to write {file.name} into")
    settings, recipe = _recipe(request)
    dataset = read(request.dataset, request.layout, request.limit)
    outcomes = _with_progress(settings, recipe, dataset, request.parallel)
    report = assess(settings, recipe, dataset, outcomes, request)
    if request.json:
        request.json.write_text(json.dumps(report, indent=2, ensure_ascii=False) + "\n", "utf-8")
    if request.html:
        from linegate.edge.evaluation.report import page

        request.html.write_text(page(report, advice(report), outcomes, counting(recipe)), "utf-8")
    _print(report, request)
    return 0


def assess(
    settings: Settings, recipe: Recipe, dataset: Dataset, outcomes: Sequence[Outcome], request: Request
) -> dict[str, Any]:
    """Everything that was measured, as it goes into the JSON."""
    boards = [outcome.board for outcome in outcomes]
    counts = counting(recipe)
    after = scoring.evaluate(boards, request.iou, counts, verified=True)
    before = scoring.evaluate(boards, request.iou, counts, verified=False)
    manifests = [outcome.inspection.manifest for outcome in outcomes if outcome.inspection.manifest]
    checked = [
        detection
        for manifest in manifests
        for detection in manifest.detections
        if detection.settled is None and detection.confidence >= minimum_confidence(recipe, detection.class_name)
    ]
    crops = len(checked) / max(1, len(outcomes))
    checks = [check for outcome in outcomes for check in _checks(outcome)]
    costs = per_thousand(settings, recipe, prices_of(None), crops)
    points = after["sweep"]
    return {
        "dataset": {
            "path": str(request.dataset),
            "format": request.layout,
            "pictures": len(outcomes),
            "defects": sum(len(board.truths) for board in boards),
            "bad_labels": len(dataset.faults),
            "faults": [{"file": fault.file, "line": fault.line, "reason": fault.reason} for fault in dataset.faults],
        },
        "gate": {
            "detector": recipe.detector,
            "detector_model": sorted({manifest.detector for manifest in manifests}),
            "verifier": recipe.verifier,
            "verifier_model": sorted({check.model for check in checks if check.model}),
            "confidence": recipe.confidence,
        },
        "iou": request.iou,
        **after,
        "before_verification": before,
        "choose": {
            "recall": {"wanted": request.recall, "point": scoring.choose(points, recall=request.recall)},
            "escape_rate": {
                "wanted": request.escape_rate,
                "point": scoring.choose(points, escape_rate=request.escape_rate),
            },
        },
        "latency_ms": {
            "board": _quantiles([outcome.inspection.timings.decided_ms for outcome in outcomes]),
            "detector": _quantiles([manifest.detector_ms for manifest in manifests]),
            "check": _quantiles([check.latency_ms for check in checks if check.latency_ms]),
            "under_way": request.parallel,
        },
        "cost": {
            "currency": "USD",
            "per_board": sum(costs.values()) / 1000,
            "per_thousand_boards": costs,
            "crops_per_board": crops,
            "tokens": sum(check.tokens for check in checks),
        },
    }


def counting(recipe: Recipe) -> Callable[[Detection], bool]:
    """Whether a detection counts by this recipe, its class spelled as datasets' are."""
    classes = {class_name(name): policy for name, policy in recipe.classes.items()}
    spelled = recipe.model_copy(update={"classes": classes})
    return lambda detection: detection.confidence >= minimum_confidence(spelled, detection.class_name)


def _recipe(request: Request) -> tuple[Settings, Recipe]:
    """The settings, and the recipe to evaluate with what the command line changes. Raises ConfigError, UsageError."""
    if request.configuration is None:
        recipe = Recipe()
        settings = Settings.model_validate({"recipes": {"evaluate": {}}, "lines": {"evaluate": {"recipe": "evaluate"}}})
    else:
        settings = config.load(request.configuration)
        line = request.line or next(iter(settings.lines))
        known = settings.recipe_of(line)
        if known is None:
            told = f"lines: no line named {line!r}; there is {', '.join(settings.lines)}"
            raise ConfigError([told], str(request.configuration))
        recipe = known[1]
    asked = {"detector": request.detector, "verifier": request.verifier}
    recipe = recipe.model_copy(update={key: value for key, value in asked.items() if value})
    if request.golden:
        if not request.golden.is_file():
            raise UsageError(f"there is no golden picture {request.golden}")
        recipe = recipe.model_copy(update={"golden": str(request.golden.resolve())})
    if recipe.detector == "roboflow" and (settings.roboflow is None or recipe.workflow is None):
        raise UsageError("detector roboflow needs --config FILE with a section roboflow and the recipe's workflow")
    if recipe.verifier == "gemini" and settings.gemini is None:
        raise UsageError("verifier gemini needs --config FILE with a section gemini")
    if recipe.verifier == "workflow" and recipe.detector != "roboflow":
        raise UsageError("verifier workflow is part of Roboflow's answer: it needs detector roboflow")
    return settings, recipe


def _with_progress(settings: Settings, recipe: Recipe, dataset: Dataset, parallel: int) -> list[Outcome]:
    floor = running.floor_of(recipe)
    columns = (
        TextColumn("inspecting"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("boards"),
        TimeElapsedColumn(),
        TextColumn("to go"),
        TimeRemainingColumn(),
    )
    outcomes = []
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("boards", total=len(dataset.samples))
        for outcome in running.inspected(settings, running.lowered(recipe, floor), dataset, parallel):
            outcomes.append(outcome)
            progress.advance(task)
    return sorted(outcomes, key=lambda outcome: outcome.sample.name)


def _checks(outcome: Outcome) -> Sequence[Any]:
    revision = outcome.inspection.revision
    return revision.decision.checks if revision else ()


def _quantiles(values: Sequence[float]) -> dict[str, float | None]:
    ordered = sorted(values)
    if not ordered:
        return {"p50": None, "p95": None}
    return {f"p{part}": round(ordered[min(len(ordered) - 1, len(ordered) * part // 100)], 1) for part in (50, 95)}


def _print(report: dict[str, Any], request: Request) -> None:
    out = console()
    data, gate, before = report["dataset"], report["gate"], report["before_verification"]
    out.print(
        f"{data['pictures']} pictures with {data['defects']} labelled defects; detector {gate['detector']}, verifier "
        f"{gate['verifier']}, confidence {gate['confidence']:g}, IoU {report['iou']:g}"
    )
    table = Table(box=None, header_style="bold")
    for title in ("", "precision", "recall", "F1", "AP@50", f"AP@{round(100 * request.iou)}", "defects"):
        table.add_column(title, justify="left" if not title else "right")

    def row(name: str, values: dict[str, Any]) -> None:
        shown = (number(values[key]) for key in ("precision", "recall", "f1", "ap50", "ap"))
        table.add_row(name, *shown, str(values["support"]))

    for name, values in report["per_class"].items():
        row(name, values)
    table.add_section()
    row("overall", report["overall"])
    row("overall, before verification", before["overall"])
    row("boxes alone, whatever the class", report["localisation"])
    out.print(table)
    for title, boards in (("boards", report["boards"]), ("before verification", before["boards"])):
        out.print(
            f"{title}: {boards['total']} ({boards['bad']} bad, {boards['good']} good); {boards['escapes']} escapes, "
            f"{boards['false_calls']} false calls, {boards['review']} to review"
            + (f", {boards['error']} not inspected" if boards["error"] else "")
        )
    latency, cost = report["latency_ms"], report["cost"]
    out.print(
        f"latency: board p50 {latency['board']['p50']} ms, p95 {latency['board']['p95']} ms, detector p50 "
        f"{latency['detector']['p50']} ms, with {latency['under_way']} boards under way"
    )
    out.print(f"on Google Cloud: US$ {cost['per_board']:.4f} a board, {cost['crops_per_board']:.1f} crops each")
    for line in advice(report):
        out.print(line)
    for fault in data["faults"][:10]:
        where = f"{fault['file']}:{fault['line']}" if fault["line"] else fault["file"]
        print(f"bad label: {where}: {fault['reason']}", file=sys.stderr)
    if data["bad_labels"] > 10:
        print(f"… and {data['bad_labels'] - 10} more bad labels; --json lists all", file=sys.stderr)
    for file in (request.json, request.html):
        if file:
            out.print(f"wrote {file}")


def advice(report: dict[str, Any]) -> list[str]:
    """The confidence to choose for what was wanted, as lines to paste into the recipe."""
    lines = []
    for key, words in (("recall", "a recall of {:g} or more"), ("escape_rate", "an escape rate of {:g} or less")):
        wanted, point = report["choose"][key]["wanted"], report["choose"][key]["point"]
        if point is None:
            reached = [point["recall"] for point in report["sweep"] if point["recall"] is not None]
            best = f" (the best recall is {max(reached):.3f})" if reached else ""
            lines.append(f"for {words.format(wanted)}: no confidence reaches it on these pictures{best}")
            continue
        told = f"precision {number(point['precision'])}, recall {number(point['recall'])}, {point['escapes']} escapes"
        line = yaml.safe_dump({"confidence": point["confidence"]}).strip()
        lines.append(f"for {words.format(wanted)}, paste into the recipe:  {line}  # {told}")
    return lines


def number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"

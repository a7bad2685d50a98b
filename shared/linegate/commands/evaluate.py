"""`linegate evaluate`: labelled pictures through the gate. Read, inspect, measure, report."""

import argparse
import json
import os
import signal
import sys
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from linegate import logs
from linegate.commands.arguments import positive, ratio, whole
from linegate.commands.cost import per_thousand, prices_of
from linegate.commands.interrupt import on_interrupt
from linegate.commands.recipes import recipe_of
from linegate.errors import TransientError, UsageError
from linegate.evaluation.assessment import Gate, Request, assess, note_unknown_classes
from linegate.evaluation.datasets import read
from linegate.evaluation.goldens import KEYS, Naming, assign
from linegate.evaluation.labels import Dataset, Kind, shown
from linegate.evaluation.outcomes import Outcome, floor_of, inspect_all, lowered
from linegate.evaluation.terminal import show
from linegate.evaluation.thresholds import advice
from linegate.files import writable, writing
from linegate.settings import ROLES, Recipe, Settings, type_of

UNNAMED: Final = "evaluate"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dataset", type=Path, metavar="DATASET", help="folder of labelled pictures")
    parser.add_argument("--format", required=True, choices=("deeppcb", "coco", "voc", "yolo"))
    parser.add_argument("--config", type=Path, metavar="FILE", help="take the recipe of a line from this file")
    parser.add_argument("--line", metavar="LINE", help="which line of the file (the first)")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        type=_change,
        metavar="KEY=VALUE",
        help="in place of what the file says, e.g. gemini.service_tier=flex; may be repeated",
    )
    parser.add_argument(
        "--station",
        metavar="NAME",
        help="what stands for {station} in the name of golden pictures; {folder} in it is a picture's folder",
    )
    parser.add_argument(
        "--serial",
        default="{name}",
        metavar="NAME",
        help="what stands for {serial}: {name} is a picture's name, {folder} its folder ({name})",
    )
    parser.add_argument(
        "--golden",
        type=Path,
        metavar="FILE",
        help="the picture of a good board; {station} and {serial} may stand in it",
    )
    parser.add_argument(
        "--missing-labels-are-good",
        action="store_true",
        help="a picture without a label file is a good board (voc, yolo), not left out",
    )
    for role, kinds in ROLES.items():
        parser.add_argument(f"--{role}", choices=[type_of(kind) for kind in kinds], help="in place of the recipe's")
    parser.add_argument("--iou", type=ratio, default=0.5, metavar="IOU", help="overlap that makes a hit (0.5)")
    parser.add_argument("--limit", type=positive, metavar="N", help="N pictures, evenly spread over the dataset")
    parser.add_argument("--parallel", type=whole(1, 256), default=2, metavar="N", help="boards under way at a time (2)")
    parser.add_argument(
        "--recall", type=ratio, default=0.98, metavar="R", help="recall to choose a threshold for (0.98)"
    )
    parser.add_argument(
        "--escape-rate", type=ratio, default=0.0, metavar="R", help="part of bad boards that may pass, likewise (0)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures here")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a report to read and print here")


def _change(text: str) -> str:
    if not text.partition("=")[0].strip() or "=" not in text:
        raise argparse.ArgumentTypeError(f"must be KEY=VALUE, not {text!r}")
    return text


def run(options: argparse.Namespace) -> int:
    """Print and write the figures. Returns 0, whatever they are. Raises UsageError, ConfigError, TransientError.

    What stops it early (Ctrl-C, say) is raised after the figures of the boards that were inspected by then are printed.
    """
    logs.configure("CRITICAL")
    on_interrupt(signal.default_int_handler)  # what has been inspected by then is reported
    request = Request(
        dataset=options.dataset,
        layout=options.format,
        configuration=options.config,
        line=options.line,
        changes=tuple(options.set),
        station=options.station,
        serial=options.serial,
        golden=options.golden,
        missing_are_good=options.missing_labels_are_good,
        detector=options.detector,
        verifier=options.verifier,
        iou=options.iou,
        limit=options.limit,
        parallel=options.parallel,
        recall=options.recall,
        escape_rate=options.escape_rate,
        json=options.json,
        html=options.html,
    )
    for file in (request.json, request.html):
        if file:
            writable(file)
    if request.json and request.html and request.json.resolve() == request.html.resolve():
        raise UsageError(f"--json and --html name the same file {shown(request.json)}")
    gate = _gate(request)
    dataset = read(request.dataset, request.layout, request.limit, missing_are_good=request.missing_are_good)
    naming = Naming(gate.line, request.station, request.serial)
    given = str(request.golden) if request.golden else None
    gate = replace(gate, goldens=assign(gate.recipe, gate.settings, dataset, given, naming))
    if any(detector.trained for detector in gate.recipe.detectors):
        for sample in dataset.samples:
            if "train" in sample.picture.relative_to(request.dataset).parts[:-1] if request.dataset.is_dir() else ():
                dataset.fault(sample.picture, 0, "lies in train", Kind.TRAINED_ON)
    outcomes, stopped = _with_progress(gate, dataset, request.parallel)
    if stopped and not outcomes:
        raise stopped
    note_unknown_classes(dataset, gate.recipe, outcomes)
    cost = partial(per_thousand, gate.settings, gate.recipe, prices_of(None))
    report = assess(gate, dataset, outcomes, request, cost)
    if request.json:
        _write(request.json, json.dumps(report, indent=2, ensure_ascii=False) + "\n")
    if request.html:
        from linegate.evaluation.report import page

        _write(request.html, page(report, advice(report), outcomes, gate.counts()))
    show(report)
    for file in (request.json, request.html):
        if file:
            print(f"wrote {shown(file)}")
    if stopped:
        raise stopped
    return 0


def _write(file: Path, text: str) -> None:
    """The whole file or none of it, a link followed; into what is no file, a pipe say, as it is. Raises UsageError."""
    with writing(file):
        if (file.exists() and not file.is_file()) or file.absolute().parts[1] in ("dev", "proc"):
            file.write_text(text, "utf-8")
            return
        target = file.resolve()
        unfinished = target.with_name(f".linegate-{os.getpid()}.part")
        try:
            unfinished.write_text(text, "utf-8")
            os.replace(unfinished, target)
        finally:
            unfinished.unlink(missing_ok=True)


def _gate(request: Request) -> Gate:
    """The line's recipe with what the command line changes. Raises ConfigError, UsageError."""
    if request.changes and not request.configuration:
        raise UsageError("--set needs --config FILE, which it changes")
    settings, line, name, recipe = recipe_of(request.configuration, request.line, UNNAMED, request.changes)
    if request.golden and not request.golden.is_file() and not any(key in str(request.golden) for key in KEYS):
        raise UsageError(f"there is no golden picture {shown(request.golden)}")
    asked = {"detector": request.detector, "verifier": request.verifier}
    recipe = _with_kinds(settings, recipe, {role: kind for role, kind in asked.items() if kind})
    return Gate(settings, recipe, line, name)


def _with_kinds(settings: Settings, recipe: Recipe, asked: Mapping[str, str]) -> Recipe:
    """The recipe with kinds that were asked for in place of its own. Raises UsageError where the file lacks what they need."""
    for role, kind in asked.items():
        kinds = recipe.detectors if role == "detector" else [recipe.verifier]
        if [one.type for one in kinds] == [kind]:
            continue
        try:
            recipe = recipe.changed(**{role: kind})
        except ValueError as error:
            raise UsageError(f"{role} {kind} needs --config FILE with a recipe that says how") from error
    for part in (*recipe.detectors, recipe.verifier):
        if part.service and settings.service(part) is None:
            raise UsageError(f"{part.type} needs --config FILE with a section {part.service}")
    if recipe.verifier.of_detector not in ("", *(detector.type for detector in recipe.detectors)):
        raise UsageError(f"verifier {recipe.verifier.type} needs detector {recipe.verifier.of_detector}")
    return recipe


def _with_progress(
    gate: Gate, dataset: Dataset, parallel: int
) -> tuple[list[Outcome], KeyboardInterrupt | TransientError | None]:
    """The outcomes, and what stopped the inspections before all were there."""
    recipe = lowered(gate.recipe, floor_of(gate.recipe))
    columns = (
        TextColumn("inspecting"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("boards"),
        TimeElapsedColumn(),
        TextColumn("to go"),
        TimeRemainingColumn(),
    )
    outcomes: list[Outcome] = []
    stopped: KeyboardInterrupt | TransientError | None = None
    told: set[str] = set()
    screen = Console(stderr=True, highlight=False)

    def trouble(fault: str) -> None:
        if fault not in told:
            told.add(fault)
            print(f"boards wait, and will go to REVIEW at their deadline: {shown(fault)}", file=sys.stderr)

    with Progress(*columns, console=screen, transient=True, disable=not screen.is_terminal) as progress:
        task = progress.add_task("boards", total=len(dataset.samples))
        try:
            for outcome in inspect_all(gate.settings, recipe, dataset.samples, gate.goldens, parallel, trouble):
                outcomes.append(outcome)
                progress.advance(task)
                _any_answer(outcomes, min(max(2, parallel), len(dataset.samples)))
        except (KeyboardInterrupt, TransientError) as reason:
            stopped = reason
    return sorted(outcomes, key=lambda outcome: outcome.sample.name), stopped


def _any_answer(outcomes: list[Outcome], first: int) -> None:
    """Not to wait a deadline a board for nothing: raises TransientError where the first few all got no answer."""
    faults = [outcome.inspection.fault for outcome in outcomes if outcome.inspection.manifest is None]
    if len(outcomes) == first and len(faults) == first and all(faults):
        raise TransientError(f"the first boards ({first}) got no answer from the detector: {faults[-1]}")

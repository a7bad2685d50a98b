"""What commands that send labelled pictures through the gate have in common: what may be typed, the gate, the boards."""

import argparse
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from linegate.commands.arguments import positive, whole
from linegate.commands.recipes import recipe_of
from linegate.errors import TransientError, UsageError
from linegate.evaluation.assessment import Gate, Request
from linegate.evaluation.datasets import READERS, read
from linegate.evaluation.goldens import KEYS, Naming, assign
from linegate.evaluation.labels import Dataset, Kind, Sample, shown
from linegate.evaluation.outcomes import Outcome, inspect_all
from linegate.files import writing
from linegate.settings import ROLES, Recipe, Settings, type_of

UNNAMED: Final = "evaluate"


def add_dataset(parser: argparse.ArgumentParser, *, optional: bool = False) -> None:
    """The labelled pictures, and the gate that they go through."""
    anyhow: dict[str, Any] = {"nargs": "?"} if optional else {}
    parser.add_argument("dataset", type=Path, metavar="DATASET", help="folder of labelled pictures", **anyhow)
    parser.add_argument("--format", required=not optional, choices=tuple(READERS))
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
    parser.add_argument("--limit", type=positive, metavar="N", help="N pictures, evenly spread over the dataset")
    parser.add_argument("--parallel", type=whole(1, 256), default=2, metavar="N", help="boards under way at a time (2)")


def _change(text: str) -> str:
    if not text.partition("=")[0].strip() or "=" not in text:
        raise argparse.ArgumentTypeError(f"must be KEY=VALUE, not {text!r}")
    return text


def request_of(options: argparse.Namespace, **more: Any) -> Request:
    """What `add_dataset` let somebody ask for, and `more`."""
    return Request(
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
        limit=options.limit,
        parallel=options.parallel,
        **more,
    )


def opened(request: Request) -> tuple[Gate, Dataset]:
    """The gate with the golden picture of each board, and the boards. Raises ConfigError, UsageError."""
    gate = _gate(request)
    dataset = read(request.dataset, request.layout, request.limit, missing_are_good=request.missing_are_good)
    naming = Naming(gate.line, request.station, request.serial)
    given = str(request.golden) if request.golden else None
    gate = replace(gate, goldens=assign(gate.recipe, gate.settings, dataset, given, naming))
    if any(detector.trained for detector in gate.recipe.detectors):
        for sample in dataset.samples:
            if "train" in sample.picture.relative_to(request.dataset).parts[:-1] if request.dataset.is_dir() else ():
                dataset.fault(sample.picture, 0, "lies in train", Kind.TRAINED_ON)
    return gate, dataset


def write(file: Path, text: str) -> None:
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


def inspected(
    gate: Gate,
    recipe: Recipe,
    dataset: Dataset,
    parallel: int,
    content: Callable[[Sample], bytes | None] = lambda _: None,
) -> tuple[list[Outcome], KeyboardInterrupt | TransientError | None]:
    """The outcomes by this recipe, and what stopped the inspections before all were there. `content` as in `inspect_all`."""
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
            for outcome in inspect_all(
                gate.settings, recipe, dataset.samples, gate.goldens, parallel, trouble, content
            ):
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

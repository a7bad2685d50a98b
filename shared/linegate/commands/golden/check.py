"""`linegate golden check`: the smallest defects that comparison with a golden picture finds, as a table and as a map."""

import argparse
import json
from pathlib import Path
from typing import Any, Final

import cv2
from rich.table import Table
from rich.text import Text

from linegate.adapters.golden import proof as proofs
from linegate.adapters.golden.kind import GoldenDetection
from linegate.adapters.golden.picture import Golden, decode
from linegate.adapters.golden.proof import Proof
from linegate.adapters.golden.selftest import CERTAINTY, FULL, QUICK, Effort, Gate, Report, Row, self_test
from linegate.commands.golden.chart import chart
from linegate.commands.interrupt import clean_up_first
from linegate.commands.recipes import recipe_of
from linegate.console import console
from linegate.errors import ConfigError, ImageRejectedError, UsageError
from linegate.files import readable, writable, writing
from linegate.settings import Recipe
from linegate.texts import visible

LARGEST: Final = 40_000_000  # pixels
MOST_PLACES: Final = 3  # that are told of what was missed


def run(options: argparse.Namespace) -> int:
    """Plant defects on the golden picture, look for them and print which are found.

    Returns 0; 1 where the recipe demands what is not found for certain. Raises UsageError, ConfigError.
    """
    clean_up_first()
    cv2.setNumThreads(1)
    file = readable(options.golden, "golden picture")
    data = file.read_bytes()
    if options.keep and not data.startswith(proofs.SIGNATURE):
        raise UsageError(f"{file} is no PNG, which alone can keep the result: save the picture as PNG first")
    for target in (options.map, file if options.keep else None):
        if target is not None:
            writable(target)
    recipe = recipe_of(options.config, options.line, "golden")[3]
    kind = next((one for one in recipe.detectors if isinstance(one, GoldenDetection)), None)
    if kind is None:
        raise ConfigError(
            [f"the recipe of line {options.line or 'one'} has no detector that compares"], str(options.config)
        )
    gate = gate_of(recipe, kind, options.confidence)
    mm_per_px = options.mm_per_px or recipe.mm_per_px
    report = tried(decoded(file, data), gate, QUICK if options.quick else FULL, options.seed)
    proof = proof_of(report, data, gate)
    if options.map:
        with writing(options.map):
            options.map.write_bytes(chart(decode(data).picture, report))
    if options.keep:
        _keep(file, data, proof)
    short = proofs.shortfalls(proofs.as_text(proof), kind.demands(recipe), gate.copper, gate.confidence)
    if options.json:
        print(json.dumps({**_as_json(report, mm_per_px), "shortfalls": short}, indent=2))
    else:
        out = console()
        out.print(table(report, mm_per_px))
        out.print(Text(footnote(report)), soft_wrap=True)
        for reason in short:
            out.print(Text(f"FAULT: {reason}", "bold red"), soft_wrap=True)
        for target, what in (
            (options.map, "the map"),
            (file if options.keep else None, "the result, in the picture's file"),
        ):
            if target:
                out.print(f"wrote {what}: {visible(str(target))}", soft_wrap=True)
    return 1 if short else 0


def gate_of(recipe: Recipe, kind: GoldenDetection, confidence: float | None = None) -> Gate:
    """What a finding of this recipe must be to count."""
    least = kind.confidence(recipe) if confidence is None else confidence
    return Gate(kind.copper, least, recipe.crop_padding)


def decoded(file: Path, data: bytes) -> Golden:
    """Raises UsageError for what is no picture, or is too large to be tried in minutes."""
    try:
        golden = decode(data)
    except ImageRejectedError as error:
        raise UsageError(f"golden picture {file}: {error}") from error
    height, width = golden.picture.shape[:2]
    if width * height > LARGEST:
        raise UsageError(f"golden picture {file}: {width} by {height} pixels; {LARGEST:,} are tried at most")
    return golden


def tried(golden: Golden, gate: Gate, effort: Effort, seed: int = 0) -> Report:
    """The self-test, with its progress on standard error."""
    with console(stderr=True).status("planting defects …") as status:
        return self_test(golden, gate, effort, seed, lambda said: status.update(Text(said)))


def proof_of(report: Report, file: bytes, gate: Gate) -> Proof:
    """What is kept of it, for this file."""
    return Proof(
        content=proofs.content_of(file) if file.startswith(proofs.SIGNATURE) else "",
        copper=gate.copper,
        confidence=gate.confidence,
        tries=report.effort.tries,
        rate=report.effort.rate,
        certainty=CERTAINTY,
        seed=report.seed,
        smallest={row.name: row.smallest for row in report.rows if not row.why_not},
        absent=tuple(row.name for row in report.rows if row.why_not),
    )


def table(report: Report, mm_per_px: float | None = None) -> Table:
    """One line for each sort of defect: from which size on it is found, and what is missed below that."""
    made = Table(
        "planted", "found for certain from", "tried", "below that", box=None, pad_edge=False, padding=(0, 3, 0, 0)
    )
    for row in report.rows:
        if row.why_not:
            made.add_row(row.name, Text("not planted", "yellow"), "", row.why_not)
            continue
        style = "bold red" if row.smallest is None else ""
        made.add_row(
            row.name,
            Text(_said(row, mm_per_px), style),
            str(sum(step.tried for step in row.steps)),
            _missed(row, report),
        )
    return made


def _said(row: Row, mm_per_px: float | None) -> str:
    if row.smallest is None:
        return f"none, up to {row.steps[0].size:g} {row.unit}"
    mm = f" ({row.smallest * mm_per_px:.2g} mm)" if mm_per_px and row.unit == "px" else ""
    return f"{row.smallest:g} {row.unit}{mm}"


def _missed(row: Row, report: Report) -> str:
    last = row.steps[-1]
    if last.at_least >= report.effort.rate:
        return "nothing smaller was tried"
    missed = [trial for trial in report.trials if (trial.row, trial.size) == (row.name, last.size) and not trial.found]
    places = list(dict.fromkeys(f"{trial.x:.0f}, {trial.y:.0f}" for trial in missed))
    more = " …" if len(places) > MOST_PLACES else ""
    return (
        f"{last.size:g} {row.unit}: {last.found} of {last.tried} found; not at {'; '.join(places[:MOST_PLACES])}{more}"
    )


def footnote(report: Report) -> str:
    """What the figures mean, and what the gate says of boards without a defect."""
    effort = report.effort
    false = f"{report.false_findings} findings" if report.false_findings else "nothing was found"
    return (
        f"For certain: of {effort.tries} of a size {effort.misses or 'none'} may be missed. So at least {effort.rate:.0%} "
        f"of such defects are found, with {CERTAINTY:.0%} certainty (Clopper-Pearson). A size counts only where every larger "
        f"one does. Places are across and down, in pixels. On photographs without a defect {false}. "
        f"{report.pictures} photographs, seed {report.seed}."
    )


def _keep(file: Path, data: bytes, proof: Proof) -> None:
    """Beside it first, so that no reader ever sees half of it."""
    made = file.with_name(f".{file.name}.part")
    with writing(made):
        made.write_bytes(proofs.kept_in(data, proof))
        made.chmod(file.stat().st_mode & 0o777)
        made.replace(file)


def _as_json(report: Report, mm_per_px: float | None) -> dict[str, Any]:
    return {
        "width": report.size[0],
        "height": report.size[1],
        "tries": report.effort.tries,
        "rate": report.effort.rate,
        "certainty": CERTAINTY,
        "seed": report.seed,
        "photographs": report.pictures,
        "false_findings": report.false_findings,
        "rows": [
            {
                "planted": row.name,
                "unit": row.unit,
                "smallest": row.smallest,
                "smallest_mm": round(row.smallest * mm_per_px, 4)
                if mm_per_px and row.unit == "px" and row.smallest is not None
                else None,
                "why_not": row.why_not,
                "steps": [
                    {"size": step.size, "tried": step.tried, "found": step.found, "at_least": round(step.at_least, 4)}
                    for step in row.steps
                ],
            }
            for row in report.rows
        ],
    }

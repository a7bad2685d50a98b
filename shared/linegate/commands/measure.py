"""`linegate measure`: what the gauges of a recipe read on pictures, to set them up, and how well they repeat."""

import argparse
import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.table import Table

from linegate import annotate, config, imaging
from linegate.adapters.measure.capability import FEWEST, FIT, FORMULAS, USUAL, Capability, capability
from linegate.adapters.measure.judging import reading_in, shown, unit_of
from linegate.adapters.measure.kind import MeasureDetection
from linegate.commands.interrupt import clean_up_first
from linegate.commands.pictures import refuse_twice
from linegate.console import console
from linegate.errors import ConfigError, ImageRejectedError, RegistrationError, TransientError, UsageError
from linegate.files import readable, writable, writing
from linegate.handlers.shot import golden_name
from linegate.inspection import Check, Detection, Manifest, Place, Result, Verdict
from linegate.samples.uploads import PICTURES
from linegate.settings import Recipe, Settings
from linegate.texts import visible
from linegate.verdict import decide

if TYPE_CHECKING:
    from PIL.Image import Image

    from linegate.adapters.measure.tools import Outcome

SHORT, MISSING = 1, 2  # exit codes: a gauge is not fit for its tolerance; one could not be measured


def arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    once = actions.add_parser("try", help="what each gauge reads on one picture")
    once.add_argument("picture", type=Path, metavar="PICTURE")
    once.add_argument(
        "--annotated", type=Path, metavar="OUT.jpg", help="draw what was measured, and where it was looked for"
    )
    once.set_defaults(act=_try)
    often = actions.add_parser("repeat", help="how well each gauge repeats on pictures of one and the same part")
    often.add_argument("folder", type=Path, metavar="FOLDER", help=f"pictures of one part, {USUAL} or more")
    often.add_argument(
        "--reference",
        action="append",
        default=[],
        metavar="GAUGE=VALUE",
        help="the part's true value, for bias and Cgk",
    )
    often.set_defaults(act=_repeat)
    for action in (once, often):
        action.add_argument("--config", type=Path, required=True, metavar="FILE")
        action.add_argument("--recipe", metavar="RECIPE", help="which recipe of the file (the first that measures)")
        action.add_argument("--json", action="store_true", help="one JSON object on standard output")


def run(options: argparse.Namespace) -> int:
    """Returns 0; 1 where a gauge is not fit for its tolerance, 2 where one could not be measured.

    Raises ConfigError, UsageError.
    """
    clean_up_first()
    code: int = options.act(options, *_recipe(options.config, options.recipe))
    return code


def _recipe(file: Path, wanted: str | None) -> tuple[Settings, str, Recipe]:
    """The recipe that was named, or the first one that measures."""
    settings = config.load(file)
    measuring = {name: recipe for name, recipe in settings.recipes.items() if _gauging(recipe)}
    if wanted is not None and wanted not in settings.recipes:
        raise ConfigError([f"recipes: no recipe named {wanted!r}; there is {', '.join(settings.recipes)}"], str(file))
    if not measuring or (wanted is not None and wanted not in measuring):
        raise ConfigError([f"recipes{f'.{wanted}' if wanted else ''}: has no detector that measures"], str(file))
    name = wanted or next(iter(measuring))
    return settings, name, measuring[name]


def _gauging(recipe: Recipe) -> list[MeasureDetection]:
    return [detector for detector in recipe.detectors if isinstance(detector, MeasureDetection)]


def _measured(settings: Settings, recipe: Recipe, file: Path) -> "tuple[Image, list[Outcome], list[Detection]]":
    """The picture, what became of each gauge, and what a gate would tell of those with limits. Raises UsageError."""
    from linegate.adapters.golden.adapters import GoldenRegistrar
    from linegate.adapters.measure.detector import MeasureDetector

    try:
        picture = imaging.decode(readable(file, "picture").read_bytes(), settings.images.max_pixels)
        golden = None
        if recipe.golden:
            line = next((line for line, each in settings.lines.items() if settings.recipes[each.recipe] is recipe), "")
            registrar = GoldenRegistrar(lambda name: readable(settings.folder / name, "golden picture").read_bytes())
            golden = registrar.register(picture, golden_name(recipe, Place(line, "measure", file.stem)))
    except (ImageRejectedError, RegistrationError, TransientError) as error:
        raise UsageError(f"{file}: {error}") from error
    outcomes: list[Outcome] = []
    findings: list[Detection] = []
    for section in _gauging(recipe):
        detector = MeasureDetector(section.gauges, recipe.mm_per_px)
        found = detector.outcomes(picture, golden)
        outcomes += found
        findings += [detector.finding(one, picture.size) for one in found]
    return picture, outcomes, findings


def _try(options: argparse.Namespace, settings: Settings, name: str, recipe: Recipe) -> int:
    target: Path | None = options.annotated
    if target:
        if target.suffix.lower() not in (".jpg", ".jpeg"):
            raise UsageError(f"{target} must end in .jpg: annotated pictures are JPEG")
        writable(target)
    picture, outcomes, findings = _measured(settings, recipe, options.picture)
    checks = [_told(outcome, finding) for outcome, finding in zip(outcomes, findings, strict=True)]
    judged = [finding for outcome, finding in zip(outcomes, findings, strict=True) if outcome.gauge.judged]
    manifest = Manifest.of(judged, width=picture.width, height=picture.height)
    decision = decide(manifest, {})
    if target:
        drawn = annotate.annotate(
            picture, findings, checks, decision.verdict, decision.fail_count, heading=f"{name}  {options.picture.name}"
        )
        with writing(target):
            target.write_bytes(drawn)
    rows = [_row(outcome, check, recipe.mm_per_px) for outcome, check in zip(outcomes, checks, strict=True)]
    if options.json:
        print(
            json.dumps({"picture": str(options.picture), "verdict": decision.verdict.value, "gauges": rows}, indent=2)
        )
    else:
        _print_try(options.picture, name, decision.verdict, rows, target)
    return MISSING if any(row["value"] is None for row in rows) else 0


def _told(outcome: "Outcome", finding: Detection) -> Check:
    """What is said of a gauge; one without limits only finds what others refer to."""
    assert finding.settled is not None, "a gauge settles its finding"
    if outcome.gauge.judged or outcome.reading is None:
        return finding.settled
    return Check(0, Result.PASS, "No limits: others refer to it.")


def _row(outcome: "Outcome", check: Check, mm_per_px: float | None) -> dict[str, Any]:
    gauge = outcome.gauge
    value, u, unit = (None, None, unit_of(gauge, mm_per_px))
    if outcome.reading is not None:
        value, u, unit = reading_in(gauge, outcome.reading, mm_per_px)
    low, high = gauge.limits
    said = {"value": value, "standard_deviation": u, "unit": unit, "low": low, "high": high}
    return {"gauge": gauge.name, "tool": gauge.tool, **said, "result": check.result.value, "reason": check.reason}


def _print_try(picture: Path, name: str, verdict: Verdict, rows: Sequence[dict[str, Any]], target: Path | None) -> None:
    out = console()
    out.print(f"{visible(str(picture))}, recipe {name}: {verdict.value}")
    table = Table("gauge", "tool", "value", "± s of its fit", "result", "reason")
    for row in rows:
        digits = 3 if row["unit"] else 0
        value, u = (
            "" if row[key] is None else shown(row[key], row["unit"], digits) for key in ("value", "standard_deviation")
        )
        table.add_row(row["gauge"], row["tool"], value, u if row["unit"] else "", row["result"], row["reason"])
    out.print(table)
    if target:
        out.print(f"annotated picture: {visible(str(target))}")


def _repeat(options: argparse.Namespace, settings: Settings, name: str, recipe: Recipe) -> int:
    files = _pictures(options.folder)
    # One picture read again and again has no spread, and would be fit for any tolerance.
    refuse_twice(files, [readable(file, "picture").read_bytes() for file in files])
    gauges = [gauge for section in _gauging(recipe) for gauge in section.gauges]
    references = _references(options.reference, [gauge.name for gauge in gauges])
    values: dict[str, list[float]] = {gauge.name: [] for gauge in gauges}
    whys: dict[str, list[str]] = {gauge.name: [] for gauge in gauges}
    for file in files:
        for outcome in _measured(settings, recipe, file)[1]:
            if outcome.reading is None:
                whys[outcome.gauge.name].append(f"{file.name}: {outcome.why}")
            else:
                values[outcome.gauge.name].append(reading_in(outcome.gauge, outcome.reading, recipe.mm_per_px)[0])
    rows: list[dict[str, Any]] = []
    for gauge in gauges:
        low, high = gauge.limits
        tolerance = high - low if low is not None and high is not None and gauge.measures != "count" else None
        known = values[gauge.name]
        told = asdict(capability(known, tolerance, references.get(gauge.name))) if len(known) > 1 else None
        unit = unit_of(gauge, recipe.mm_per_px)
        rows.append(
            {"gauge": gauge.name, "unit": unit, "tolerance": tolerance, "capability": told, "missing": whys[gauge.name]}
        )
    if options.json:
        print(
            json.dumps(
                {"pictures": len(files), "recipe": name, "formulas": FORMULAS, "gauges": _finite(rows)}, indent=2
            )
        )
    else:
        _print_repeat(len(files), name, rows)
    if any(row["missing"] for row in rows):
        return MISSING
    return SHORT if any(not _fit(row) for row in rows) else 0


def _pictures(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}")
    files = sorted(
        file for file in folder.iterdir() if file.suffix.lower() in PICTURES and not file.name.startswith(".")
    )
    if len(files) < 2:
        raise UsageError(f"{folder} holds {len(files)} pictures; take {USUAL} or more of one part, {FEWEST} at least")
    return files


def _references(written: Sequence[str], gauges: Sequence[str]) -> dict[str, float]:
    references: dict[str, float] = {}
    for each in written:
        gauge, _, value = each.partition("=")
        if gauge not in gauges:
            raise UsageError(f"--reference {each}: there is no gauge {gauge!r}; there is {', '.join(gauges)}")
        try:
            references[gauge] = float(value)
        except ValueError:
            raise UsageError(f"--reference {each}: {value!r} is no number; write GAUGE=VALUE") from None
    return references


def _fit(row: dict[str, Any]) -> bool:
    told = row["capability"]
    indices = [told[key] for key in ("cg", "cgk") if told and told[key] is not None]
    return told is not None and all(index >= FIT for index in indices)


def _finite(value: Any) -> Any:
    """For JSON, which knows no number without end."""
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _print_repeat(pictures: int, name: str, rows: Sequence[dict[str, Any]]) -> None:
    out = console()
    out.print(f"{pictures} pictures of one part, recipe {name}. {'; '.join(FORMULAS)}; {FIT} and more is fit.")
    if pictures < USUAL:
        few = "too few to know a spread by" if pictures < FEWEST else "few"
        out.print(f"{pictures} are {few}; {USUAL} and more are usual.")
    table = Table("gauge", "values", "mean", "s", "range", "T", "bias", "Cg", "Cgk")
    for row in rows:
        told = Capability(**row["capability"]) if row["capability"] else None
        table.add_row(row["gauge"], *(_cells(told, row) if told else ["0"]))
    out.print(table)
    for row in rows:
        if row["missing"]:
            out.print(f"{row['gauge']}: not measured on {len(row['missing'])}; {visible(row['missing'][0])}")
    out.print("For the recipe, below each gauge:")
    for line in _for_recipe(rows):
        out.print(f"  {line}")


def _cells(told: Capability, row: dict[str, Any]) -> list[str]:
    unit = row["unit"]
    numbers = (told.mean, told.s, told.range, row["tolerance"], told.bias)
    indices = ("" if index is None else f"{index:.2f}" for index in (told.cg, told.cgk))
    return [str(told.count), *("" if number is None else shown(number, unit, 4) for number in numbers), *indices]


def _for_recipe(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """What of it the recipe should hold: three significant digits, rounded up, for a guard band must not be too narrow."""
    for row in rows:
        if row["capability"] and row["tolerance"] is not None:
            s = row["capability"]["s"]
            step = 10.0 ** (math.floor(math.log10(s)) - 2) if s > 0 else 1.0
            yield f"{row['gauge']}: repeatability: {math.ceil(s / step) * step:.3g}"

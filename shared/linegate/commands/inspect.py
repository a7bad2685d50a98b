"""`linegate inspect`: one picture through the same functions, in a folder that is gone afterwards."""

import argparse
import json
import shutil
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from linegate import logs
from linegate.commands.interrupt import clean_up_first
from linegate.commands.recipes import recipe_of
from linegate.commands.records import described
from linegate.edge import scratch
from linegate.edge.runtime import Runtime
from linegate.errors import TransientError, UsageError
from linegate.files import golden_picture, readable, writable, writing
from linegate.handlers.shot import golden_name
from linegate.inspection import Inspection, Verdict, place_of
from linegate.notification import answered, covered, defect
from linegate.settings import Recipe, Settings
from linegate.texts import visible

EXIT = {Verdict.PASS: 0, Verdict.FAIL: 1, Verdict.REVIEW: 2, Verdict.ERROR: 3}
UNNAMED, STATION = "line", "inspect"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("image", type=Path, metavar="IMAGE")
    parser.add_argument("--golden", type=Path, metavar="FILE", help="the picture of a good board")
    parser.add_argument("--config", type=Path, metavar="FILE", help="take the recipe of a line from this file")
    parser.add_argument("--line", metavar="LINE", help="which line of the file (the first)")
    parser.add_argument("--json", action="store_true", help="the inspection as one JSON object on standard output")
    parser.add_argument("--annotated", type=Path, metavar="OUT.jpg", help="write the annotated picture here")


def run(options: argparse.Namespace) -> int:
    """Inspect one picture, print what was found, return the verdict's exit code. Raises ConfigError, UsageError."""
    image, golden, annotated = readable(options.image, "picture"), options.golden, options.annotated
    if not golden and not options.config:
        raise UsageError("nothing to compare with: give --golden FILE, the picture of a good board, or --config FILE")
    if options.line and not options.config:
        raise UsageError("--line names a line of --config FILE")
    logs.configure("ERROR")
    clean_up_first()
    settings, line = _settings(golden, options.config, options.line)
    if golden:
        golden_picture(golden)
    else:
        _check_golden(settings, line, image)
    if annotated:
        _refuse_to_annotate(annotated, (image, golden))
    with scratch.runtime(settings) as runtime:
        inspection = _inspect(runtime, image, line)
        revision = inspection.revision
        assert revision is not None
        picture = runtime.settings.data / revision.annotated if revision.annotated else None
        if annotated and picture:
            with writing(annotated):
                shutil.copyfile(picture, annotated)
    report = _report(image, inspection, str(annotated) if annotated and picture else None)
    if options.json:
        print(json.dumps(report, indent=2))
    else:
        _print(report)
    if annotated and not picture:
        print(f"there is no annotated picture of a board with verdict {revision.decision.verdict}", file=sys.stderr)
    return EXIT[revision.decision.verdict]


def _settings(golden: Path | None, configuration: Path | None, line: str | None) -> tuple[Settings, str]:
    """The settings to inspect with, and the line whose recipe they use."""
    settings, line, name, recipe = recipe_of(configuration, line, UNNAMED)
    recipe = recipe.model_copy(update={"golden": str(golden.resolve())}) if golden else recipe
    return settings.model_copy(update={"recipes": {**settings.recipes, name: recipe}}), line


def _check_golden(settings: Settings, line: str, image: Path) -> None:
    """A golden picture that is missing or broken is said at once: the gate itself waits for it until the deadline.

    Raises UsageError.
    """
    _, recipe = settings.recipe_of(line) or ("", Recipe())
    if recipe.golden:
        place = place_of(f"uploads/{line}/{STATION}/{_serial(image)}{image.suffix}", {})
        golden_picture(settings.folder.resolve() / golden_name(recipe, place))


def _refuse_to_annotate(target: Path, sources: Iterable[Path | None]) -> None:
    """Raises UsageError for a file that can't be written, should not be, or would not be what its name says."""
    if target.suffix.lower() not in (".jpg", ".jpeg"):
        raise UsageError(f"{target} must end in .jpg: annotated pictures are JPEG")
    if any(source and target.exists() and target.samefile(source) for source in sources):
        raise UsageError(f"{target} is one of the pictures to inspect with; name another file")
    writable(target)


def _serial(image: Path) -> str:
    """Hidden and .part files are none of the intake's; somebody who names one here means it."""
    return image.stem.lstrip(".") or "board"


def _inspect(runtime: Runtime, image: Path, line: str) -> Inspection:
    """Leave the picture where a camera would and wait for the verdict, which comes at the deadline at the latest."""
    settings = runtime.settings
    scratch.upload(runtime, image, line, STATION, _serial(image))
    patience = time.monotonic() + scratch.patience_s(settings, line)
    while time.monotonic() < patience:
        for inspection in scratch.decided(runtime):
            return inspection
        time.sleep(scratch.POLL_S)
    raise TransientError("no verdict came, not even at the deadline")


def _report(image: Path, inspection: Inspection, annotated: str | None) -> dict[str, Any]:
    revision = inspection.revision
    assert revision is not None
    decision, manifest = revision.decision, inspection.manifest
    detections = manifest.detections if manifest else ()
    return {
        "image": str(image),
        "verdict": decision.verdict.value,
        "inspection_result": decision.inspection_result,
        "fail_count": decision.fail_count,
        "summary": decision.summary,
        "reasons": list(decision.reasons),
        "detector": manifest.model if manifest else None,
        "detectors": [answered(answer) for answer in (manifest.answers if manifest else ())],
        "coverage": covered(manifest.coverage if manifest else None),
        "left_out": asdict(manifest.left_out) if manifest else None,
        "figures": {
            "picture": asdict(manifest.picture) if manifest and manifest.picture else None,
            "golden": asdict(manifest.golden) if manifest and manifest.golden else None,
        },
        "defects": [
            defect(detection, check, manifest.mm_per_px if manifest else None)
            for detection, check in zip(detections, decision.checks, strict=True)
        ],
        "annotated": annotated,
    }


def _print(report: dict[str, Any]) -> None:
    print(f"{report['verdict']}  {visible(report['image'])}")
    print(f"  {report['summary']}")
    for each in report["defects"]:
        print(f"  {each['result']:6} {described(each)}: {each['reason']}")
    if report["annotated"]:
        print(f"  annotated picture: {visible(report['annotated'])}")

"""`linegate inspect`: one picture through the same functions, in a folder that is gone afterwards."""

import json
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from linegate import config
from linegate.edge import scratch
from linegate.edge.runtime import Runtime
from linegate.errors import ConfigError, TransientError
from linegate.inspection import Inspection, Verdict
from linegate.settings import Line, Recipe, Settings

EXIT = {Verdict.PASS: 0, Verdict.FAIL: 1, Verdict.REVIEW: 2, Verdict.ERROR: 3}
UNNAMED = "line"


def run(
    image: Path,
    golden: Path | None,
    configuration: Path | None,
    line: str | None,
    annotated: Path | None,
    *,
    as_json: bool,
) -> int:
    """Inspect `image`, print what was found, return the verdict's exit code. Raises ConfigError."""
    settings, line = _settings(golden, configuration, line)
    with scratch.runtime(settings) as runtime:
        inspection = _inspect(runtime, image, line)
        revision = inspection.revision
        assert revision is not None
        picture = runtime.settings.data / revision.annotated if revision.annotated else None
        if annotated and picture:
            shutil.copyfile(picture, annotated)
    report = _report(image, inspection, str(annotated) if annotated and picture else None)
    if as_json:
        print(json.dumps(report, indent=2, ensure_ascii=False))
    else:
        _print(report)
    if annotated and not picture:
        print(f"there is no annotated picture of a board with verdict {revision.decision.verdict}", file=sys.stderr)
    return EXIT[revision.decision.verdict]


def _settings(golden: Path | None, configuration: Path | None, line: str | None) -> tuple[Settings, str]:
    """The settings to inspect with, and the line whose recipe they use."""
    if configuration is None:
        recipe = Recipe(golden=str(golden.resolve()) if golden else None)
        settings = Settings(recipes={"inspect": recipe}, lines={line or UNNAMED: Line(recipe="inspect")})
        return settings, line or UNNAMED
    settings = config.load(configuration)
    line = line or next(iter(settings.lines))
    known = settings.recipe_of(line)
    if known is None:
        raise ConfigError([f"lines: no line named {line!r}; there is {', '.join(settings.lines)}"], str(configuration))
    name, recipe = known
    recipe = recipe.model_copy(update={"golden": str(golden.resolve())}) if golden else recipe
    return settings.model_copy(update={"recipes": {**settings.recipes, name: recipe}}), line


def _inspect(runtime: Runtime, image: Path, line: str) -> Inspection:
    """Leave the picture where a camera would and wait for the verdict, which comes at the deadline at the latest."""
    settings = runtime.settings
    # Hidden and .part files are none of the intake's; somebody who names one here means it.
    scratch.upload(runtime, image, line, "inspect", image.stem.lstrip(".") or "board")
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
        "detector": manifest.detector if manifest else None,
        "defects": [
            {
                "class": detection.class_name,
                "confidence": round(detection.confidence, 3),
                "box": {key: round(getattr(detection.box, key), 1) for key in ("x", "y", "width", "height")},
                "result": check.result.value,
                "reason": check.reason,
            }
            for detection, check in zip(detections, decision.checks, strict=True)
        ],
        "annotated": annotated,
    }


def _print(report: dict[str, Any]) -> None:
    print(f"{report['verdict']}  {report['image']}")
    print(f"  {report['summary']}")
    for defect in report["defects"]:
        box = defect["box"]
        where = f"x {box['x']:.0f}, y {box['y']:.0f}, {box['width']:.0f} by {box['height']:.0f} px"
        print(f"  {defect['result']:6} {defect['class']} {defect['confidence']:.2f}  {where}: {defect['reason']}")
    if report["annotated"]:
        print(f"  annotated picture: {report['annotated']}")

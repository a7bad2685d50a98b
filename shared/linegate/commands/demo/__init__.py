"""`linegate demo`: the gate at work on this machine, from two cameras to an HMI that listens."""

import argparse
import base64
import json
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from linegate import config, logs
from linegate.commands.arguments import positive
from linegate.commands.demo.line import CAMERAS, DEADLINE_S, Demo, Outcome
from linegate.commands.demo.serving import served, until_interrupted
from linegate.commands.demo.view import View, summary
from linegate.commands.interrupt import clean_up_first
from linegate.commands.listener import Listener
from linegate.edge.runtime import Runtime
from linegate.errors import UsageError
from linegate.evaluation.percentiles import percentiles
from linegate.files import writing
from linegate.inspection import Verdict
from linegate.samples.products import PRODUCTS, product
from linegate.samples.uploads import GOLDEN_FOLDER, SEED, Upload, check_folder, drawn, from_folder, of_product
from linegate.settings import Settings
from linegate.temporary import removed_if_interrupted

# A drawn demo paces its cameras like a line; real pictures go as fast as the gate takes them.
PACE_S: Final = 0.4
BOARDS: Final = 24
PICTURES: Final = 12  # of a product


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--boards", type=positive, metavar="N", help=f"how many to draw ({BOARDS}, {PICTURES} of a product)"
    )
    parser.add_argument(
        "--product", metavar="NAME", help=f"draw another product: {', '.join(PRODUCTS)} (the bare board)"
    )
    parser.add_argument("--seed", type=positive, metavar="N", help=f"draw others than the usual ones ({SEED})")
    parser.add_argument("--dir", type=Path, metavar="DIR", help="keep everything in this new or empty folder")
    parser.add_argument("--serve", action="store_true", help="show it in a browser meanwhile, and until Ctrl-C")
    parser.add_argument("--json", action="store_true", help="one JSON object at the end on standard output")
    parser.add_argument("--images", type=Path, metavar="DIR", help="inspect the pictures of this folder instead")
    parser.add_argument("--golden", type=Path, metavar="FILE", help="golden picture for those without NAME_temp beside")


def run(options: argparse.Namespace) -> int:
    """Run the demo. Returns 0 if every upload got its verdict, else 1. Raises UsageError, ConfigError."""
    if options.golden and not options.images:
        raise UsageError(
            "--golden FILE goes with --images DIR; boards that are drawn have a golden picture of their own"
        )
    if (options.boards or options.seed) and options.images:
        raise UsageError(
            "--boards N and --seed N draw boards, --images DIR takes those of a folder: give one of the two"
        )
    if options.product and options.images:
        raise UsageError(
            "--product NAME draws a product, --images DIR takes the pictures of a folder: give one of the two"
        )
    if options.images:
        check_folder(options.images, options.golden)
    scene = _scene(options)
    clean_up_first()
    with _folder(options.dir) as folder:
        return _run(scene, folder, as_json=options.json, serve=options.serve)


@dataclass(frozen=True, slots=True)
class _Scene:
    """What the demo shows: its uploads, made in a folder, and the recipe for them."""

    title: str
    recipe: Mapping[str, Any]
    uploads: Callable[[Path], list[Upload]]
    pace_s: float = PACE_S


def _scene(options: argparse.Namespace) -> _Scene:
    """Raises UsageError for a product that there is not."""
    by_serial = {"golden": f"{GOLDEN_FOLDER}/{{serial}}"}
    if options.images:
        title = "your own pictures, each compared with its golden picture, on this machine"
        return _Scene(title, by_serial, lambda folder: from_folder(options.images, options.golden, folder), 0.0)
    if options.product:
        shown = product(options.product)

        def prepared(folder: Path) -> list[Upload]:
            shown.prepare(folder)
            return of_product(shown, options.boards or PICTURES, folder, options.seed or SEED)

        return _Scene(shown.title, yaml.safe_load(shown.recipe), prepared)
    title = "bare boards, each compared with the golden board, on this machine; no model, no network"
    return _Scene(title, by_serial, lambda folder: drawn(options.boards or BOARDS, folder, options.seed or SEED))


def _run(scene: _Scene, folder: Path, *, as_json: bool, serve: bool) -> int:
    uploads = scene.uploads(folder)
    view = View(len(uploads), silent=as_json)
    demo = Demo(folder, uploads, view.show, scene.pace_s)
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    with (folder / "linegate.log").open("w", encoding="utf-8") as log_file, Listener([secret], demo.receive) as hmi:
        logs.configure("INFO", log_file, readable=False)
        settings = _configure(folder, scene.recipe, hmi.url, secret)
        runtime = Runtime(settings)
        for line, station in CAMERAS:
            (folder / "uploads" / line / station).mkdir(parents=True, exist_ok=True)
        runtime.start()
        try:
            with served(settings, folder / "station.log") if serve else nullcontext("") as address:
                shown = f"The station is at {address}; Ctrl-C ends it." * serve
                view.say(shown)
                with view:
                    demo.run_cameras()
                _measure(demo, runtime)
                report = _report(demo, settings)
                if as_json:
                    print(json.dumps(report, indent=2), flush=True)
                else:
                    summary(report, folder, scene.title)
                if serve:
                    view.say(f"\n{shown}")
                    until_interrupted()
        finally:
            runtime.stop()
            logs.configure("WARNING")
    return 1 if report["missing"] or report["webhooks"]["bad_signatures"] else 0


@contextmanager
def _folder(folder: Path | None) -> Iterator[Path]:
    """Where everything is kept; what was made for a demo that did not come to its end is removed."""
    ours = folder is None or not folder.exists()
    if folder is not None and not ours and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is not an empty folder; name a new one, what lies there is left as it is")
    if folder is None:
        folder = Path(tempfile.mkdtemp(prefix="linegate-demo-"))
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    folder = folder.resolve()
    with removed_if_interrupted(folder) if ours else nullcontext():
        try:
            yield folder
        except BaseException:
            if ours:
                shutil.rmtree(folder, ignore_errors=True)
            raise


def _configure(folder: Path, recipe: Mapping[str, Any], url: str, secret: str) -> Settings:
    """The demo is configured as a line is: by a file, which stays in the folder to be looked at."""
    content = {
        "edge": {"data": "."},
        "recipes": {"demo": {**recipe, "deadline_s": DEADLINE_S}},
        "lines": {line: {"recipe": "demo"} for line, _ in CAMERAS},
        "targets": {"hmi": {"type": "webhook", "url": url, "secrets": [secret]}},
        "network": {"private_addresses": ["127.0.0.1"]},
    }
    path = folder / "linegate.yaml"
    path.write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")
    return config.load(path)


def _measure(demo: Demo, runtime: Runtime) -> None:
    """Take from the store what the gate's own time must be told apart from."""
    inspections = runtime.app.context.inspections
    for outcome in demo.outcomes.values():
        inspection = inspections.get(outcome.data["inspection_id"]) if outcome.data else None
        if inspection and inspection.manifest and inspection.revision:
            outcome.detector_ms = inspection.manifest.detector_ms
            outcome.slowest_check_ms = max(
                (check.latency_ms for check in inspection.revision.decision.checks), default=0.0
            )


def _report(demo: Demo, settings: Settings) -> dict[str, Any]:
    outcomes = list(demo.outcomes.values())
    answered = [outcome for outcome in outcomes if outcome.verdict]
    inspected = [outcome for outcome in answered if outcome.detector_ms]
    known = [outcome for outcome in answered if outcome.upload.truth]
    correct = sum(outcome.verdict == outcome.upload.truth for outcome in known)
    started = min((outcome.uploaded_at for outcome in answered), default=0.0)
    seconds = max((outcome.alerted_at for outcome in answered), default=0.0) - started
    return {
        "boards": len(outcomes),
        "verdicts": {verdict.value: sum(o.verdict == verdict.value for o in answered) for verdict in Verdict},
        "missing": len(outcomes) - len(answered),
        "correct": correct,
        "wrong": len(known) - correct,
        "overhead_ms": percentiles([outcome.overhead_ms for outcome in inspected]),
        "upload_to_alert_ms": percentiles([outcome.upload_to_alert_ms for outcome in answered]),
        "detector_ms": percentiles([outcome.detector_ms for outcome in inspected]),
        "slowest_check_ms": percentiles([outcome.slowest_check_ms for outcome in inspected]),
        "boards_per_second": round(len(answered) / seconds, 2) if seconds > 0 else 0.0,
        "webhooks": {"received": len(demo.received), "bad_signatures": demo.bad_signatures},
        "results": [_result(outcome, settings) for outcome in outcomes],
    }


def _result(outcome: Outcome, settings: Settings) -> dict[str, Any]:
    data = outcome.data
    annotated = data.get("annotated_image")
    return {
        "board": outcome.upload.name,
        "line": outcome.line,
        "inspection_id": data.get("inspection_id"),
        "verdict": outcome.verdict,
        "truth": outcome.upload.truth,
        "truth_defects": list(outcome.upload.defects),
        "fail_count": data.get("fail_count"),
        "defects": [defect["class"] for defect in data.get("defects", []) if defect["result"] == "FAIL"],
        "summary": data.get("summary"),
        "upload_to_alert_ms": round(outcome.upload_to_alert_ms, 1) if outcome.verdict else None,
        "overhead_ms": round(outcome.overhead_ms, 1) if outcome.detector_ms else None,
        "annotated": str(settings.data / annotated["name"]) if annotated else None,
    }

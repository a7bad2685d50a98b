"""`linegate demo`: the gate at work on this machine, from two cameras to an HMI that listens."""

import base64
import json
import math
import os
import secrets
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from linegate import config, logs
from linegate.commands.demo.view import View, summary
from linegate.commands.listener import Listener, Received
from linegate.edge.runtime import Runtime
from linegate.errors import UsageError
from linegate.files import writing
from linegate.inspection import Verdict
from linegate.samples.uploads import GOLDEN_FOLDER, Upload, drawn, from_folder, look_at
from linegate.settings import Settings
from linegate.temporary import removed_if_interrupted

CAMERAS: Final = (("smt-1", "aoi-1"), ("smt-2", "aoi-1"))
DEADLINE_S: Final = 30.0
# A drawn demo paces its cameras like a line; real pictures go as fast as the gate takes them.
PACE_S: Final = 0.4


@dataclass(slots=True)
class Outcome:
    """What became of one upload."""

    upload: Upload
    line: str
    station: str
    uploaded_at: float = 0.0
    alerted_at: float = 0.0
    data: dict[str, Any] = field(default_factory=dict)
    detector_ms: float = 0.0
    slowest_check_ms: float = 0.0

    @property
    def verdict(self) -> str | None:
        return self.data.get("verdict")

    @property
    def upload_to_alert_ms(self) -> float:
        return 1000 * (self.alerted_at - self.uploaded_at)

    @property
    def overhead_ms(self) -> float:
        """Renamed into place, an upload need not settle: nothing else is to be subtracted."""
        return self.upload_to_alert_ms - self.detector_ms - self.slowest_check_ms


class Demo:
    """The cameras, what they have uploaded, and what the HMI has heard."""

    def __init__(self, folder: Path, uploads: Sequence[Upload], view: View, pace_s: float) -> None:
        self._folder = folder
        self._view = view
        self._pace_s = pace_s
        self._lock = threading.Lock()
        self._answered = {f"{line}/{station}": threading.Semaphore(0) for line, station in CAMERAS}
        self.bad_signatures = 0
        self.received: set[str] = set()
        self.outcomes: dict[str, Outcome] = {}
        for number, upload in enumerate(uploads):
            line, station = CAMERAS[number % len(CAMERAS)]
            self.outcomes[f"uploads/{line}/{station}/{upload.name}"] = Outcome(upload, line, station)

    def run_cameras(self) -> None:
        cameras = [threading.Thread(target=self._camera, args=camera, daemon=True) for camera in CAMERAS]
        for camera in cameras:
            camera.start()
            time.sleep(self._pace_s / len(cameras))  # two lines do not move in step
        for camera in cameras:
            camera.join()

    def hear(self, webhook: Received) -> None:
        """The HMI's side."""
        with self._lock:
            if webhook.event is None:
                self.bad_signatures += 1
                return
            data = webhook.event["data"]
            outcome = self.outcomes.get(data["image"]["name"])
            repeated = webhook.entry_id in self.received
            self.received.add(webhook.entry_id)
            if outcome is None or repeated:
                return
            first = not outcome.data
            outcome.data = data
            outcome.alerted_at = outcome.alerted_at or webhook.at
        self._view.show(outcome)
        if first:
            self._answered[f"{outcome.line}/{outcome.station}"].release()

    def _camera(self, line: str, station: str) -> None:
        """Upload board by board; the next one comes when the line has heard of the last."""
        folder = self._folder / "uploads" / line / station
        for outcome in self.outcomes.values():
            if (outcome.line, outcome.station) != (line, station):
                continue
            started = time.monotonic()
            # Written beside and renamed into place: the gate never sees half a picture.
            part = folder / f"{outcome.upload.name}.part"
            shutil.copyfile(outcome.upload.source, part)
            outcome.uploaded_at = time.time()
            os.rename(part, folder / outcome.upload.name)
            self._answered[f"{line}/{station}"].acquire(timeout=DEADLINE_S + 15)
            time.sleep(max(0.0, self._pace_s - (time.monotonic() - started)))


def run(boards: int, folder: Path | None, images: Path | None, golden: Path | None, *, as_json: bool) -> int:
    """Run the demo and return its exit code: 0 if every upload got its verdict. Raises UsageError, ConfigError."""
    if images:
        look_at(images, golden)
    with _folder(folder) as place:
        return _run(boards, place, images, golden, as_json=as_json)


def _run(boards: int, folder: Path, images: Path | None, golden: Path | None, *, as_json: bool) -> int:
    uploads = from_folder(images, golden, folder) if images else drawn(boards, folder)
    view = View(len(uploads), silent=as_json)
    demo = Demo(folder, uploads, view, 0.0 if images else PACE_S)
    secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
    with (folder / "linegate.log").open("w", encoding="utf-8") as log_file, Listener([secret], demo.hear) as hmi:
        logs.configure("INFO", log_file, readable=False)
        settings = _configure(folder, hmi.url, secret)
        runtime = Runtime(settings)
        for line, station in CAMERAS:
            (folder / "uploads" / line / station).mkdir(parents=True, exist_ok=True)
        runtime.start()
        try:
            with view:
                demo.run_cameras()
        finally:
            _measure(demo, runtime)
            runtime.stop()
            logs.configure("WARNING")
    report = _report(demo, settings)
    if as_json:
        print(json.dumps(report, indent=2, ensure_ascii=False))
    else:
        summary(report, folder, own_pictures=images is not None)
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


def _configure(folder: Path, url: str, secret: str) -> Settings:
    """The demo is configured as a line is: by a file, which stays in the folder to be looked at."""
    content = {
        "edge": {"data": "."},
        "recipes": {"pcb": {"golden": f"{GOLDEN_FOLDER}/{{serial}}", "deadline_s": DEADLINE_S}},
        "lines": {line: {"recipe": "pcb"} for line, _ in CAMERAS},
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
        "overhead_ms": _percentiles([outcome.overhead_ms for outcome in inspected]),
        "upload_to_alert_ms": _percentiles([outcome.upload_to_alert_ms for outcome in answered]),
        "detector_ms": _percentiles([outcome.detector_ms for outcome in inspected]),
        "slowest_check_ms": _percentiles([outcome.slowest_check_ms for outcome in inspected]),
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


def _percentiles(values: list[float]) -> dict[str, float | None]:
    """p50 and p95 by nearest rank; None of nothing."""
    ordered = sorted(values)
    if not ordered:
        return {"p50": None, "p95": None}
    return {f"p{share}": round(ordered[math.ceil(share / 100 * len(ordered)) - 1], 1) for share in (50, 95)}

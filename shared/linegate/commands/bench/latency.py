"""Where the time of one board goes, against the bare detector and verifier in the same run."""

import os
import queue
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from rich.table import Table

from linegate import imaging
from linegate.adapters.targets.webhook import Webhook
from linegate.commands.bench.setup import LINE, SEED, Setup
from linegate.commands.listener import Listener, Received
from linegate.edge.runtime import Runtime
from linegate.evaluation.percentiles import percentile
from linegate.inspection import Inspection
from linegate.samples import DEFECTS, golden_board, jpeg, sample
from linegate.sections import Line, Network
from linegate.settings import Recipe, Settings
from linegate.temporary import temporary_folder

SECRET: Final = "whsec_" + "A" * 43 + "="
PATIENCE_S: Final = 60.0
# Written in this order; each is a stretch of the way from upload to alert.
LEGS: Final = {
    "notice_ms": "notice the file, store its event, reach detect",
    "prepare_ms": "read, decode; store the manifest",
    "detector_ms": "detector",
    "slowest_check_ms": "slowest check",
    "fan_ms": "crops out, checks in, draw, decide, store",
    "alert_ms": "outbox to alert",
}


@dataclass(frozen=True, slots=True)
class Latency:
    """One board's way, in milliseconds, and the bare calls for the same picture."""

    legs: dict[str, float]
    floor_ms: float

    @property
    def total_ms(self) -> float:
        return sum(self.legs.values())


def measure(boards: int, setup: Setup) -> dict[str, dict[str, Any]]:
    """Medians of `boards` boards with each number of findings, sent one at a time."""
    heard: queue.SimpleQueue[Received] = queue.SimpleQueue()
    with temporary_folder("linegate-bench-") as folder, Listener([SECRET], heard.put) as hmi:
        runtime = Runtime(_with_target(setup.settings(folder), folder, hmi.url))
        station = folder / "uploads" / LINE / "bench"
        station.mkdir(parents=True)
        runtime.start()
        try:
            measured: dict[int, list[Latency]] = {}
            for findings in setup.findings:
                # The first one warms caches and is not counted.
                pictures = [setup.picture(findings) for _ in range(boards + 1)]
                measured[findings] = [_one(runtime, station, heard, picture, setup.bare) for picture in pictures][1:]
        finally:
            runtime.stop()
    return {str(findings): _summary(results) for findings, results in measured.items()}


def here() -> Setup:
    """Drawn boards, the golden detector and the golden verifier."""
    design, rng = golden_board(SEED), np.random.default_rng(SEED)

    def settings(folder: Path) -> Settings:
        (folder / "golden.jpg").write_bytes(jpeg(design.picture, 97))
        recipe = Recipe(golden=str(folder / "golden.jpg"))
        return Settings(recipes={LINE: recipe}, lines={LINE: Line(recipe=LINE)})

    def picture(findings: int) -> bytes:
        return jpeg(sample(design, rng, DEFECTS[:findings]).picture)

    return Setup((0, 1, 6), settings, picture, _bare)


def _with_target(settings: Settings, folder: Path, url: str) -> Settings:
    changes = {
        "targets": {"hmi": Webhook(url=url, secrets=[SECRET])},
        "network": Network(private_addresses=["127.0.0.1"]),
        "edge": settings.edge.model_copy(update={"data": str(folder)}),
    }
    return settings.model_copy(update=changes)


def _one(
    runtime: Runtime,
    station: Path,
    heard: "queue.SimpleQueue[Received]",
    picture: bytes,
    bare: Callable[[Runtime, bytes], float],
) -> Latency:
    floor_ms = bare(runtime, picture)
    part = station / "board.part"
    part.write_bytes(picture)
    uploaded = time.time()
    os.rename(part, station / f"{time.time_ns()}.jpg")
    received = heard.get(timeout=PATIENCE_S)
    assert received.event is not None
    inspection = runtime.app.context.inspections.get(received.event["data"]["inspection_id"])
    assert inspection is not None
    return Latency(_legs(inspection, uploaded, received.at), floor_ms)


def _bare(runtime: Runtime, picture: bytes) -> float:
    """Milliseconds of one detector call, and of the slowest check after it, without anything around them."""
    app = runtime.app
    recipe = app.settings.recipes[LINE]
    image = imaging.decode(picture)
    started = time.perf_counter()
    golden = app.registrar().register(image, recipe.golden or "")
    found = app.detectors(recipe)[0].detect(image, picture, golden)
    detector_ms = 1000 * (time.perf_counter() - started)
    slowest = 0.0
    for detection in found.detections:
        crops = imaging.cut(image, detection.box), imaging.cut(golden.picture, detection.box)
        started = time.perf_counter()
        app.verifier(recipe).verify(*crops, detection)
        slowest = max(slowest, 1000 * (time.perf_counter() - started))
    return detector_ms + slowest


def _legs(inspection: Inspection, uploaded: float, alerted: float) -> dict[str, float]:
    manifest, revision, timings = inspection.manifest, inspection.revision, inspection.timings
    assert manifest is not None
    assert revision is not None
    slowest = max((check.latency_ms for check in revision.decision.checks), default=0.0)
    return {
        "notice_ms": 1000 * (inspection.received_at.timestamp() - uploaded),
        "prepare_ms": timings.manifest_ms - manifest.detector_ms,
        "detector_ms": manifest.detector_ms,
        "slowest_check_ms": slowest,
        "fan_ms": timings.decided_ms - timings.manifest_ms - slowest,
        "alert_ms": 1000 * (alerted - revision.decided_at.timestamp()),
    }


def _summary(results: Sequence[Latency]) -> dict[str, Any]:
    legs = {leg: round(percentile((board.legs[leg] for board in results), 50), 1) for leg in LEGS}
    total = percentile((board.total_ms for board in results), 50)
    floor = percentile((board.floor_ms for board in results), 50)
    overhead = percentile(
        (board.total_ms - board.legs["detector_ms"] - board.legs["slowest_check_ms"] for board in results), 50
    )
    return {
        "boards": len(results),
        **legs,
        "upload_to_alert_ms": round(total, 1),
        "overhead_ms": round(overhead, 1),
        "floor_ms": round(floor, 1),
        "ratio": round(total / floor, 2),
    }


def table(report: dict[str, dict[str, Any]]) -> Table:
    """The same for a person."""
    told = Table("median, ms", *(f"{findings} findings" for findings in report), box=None, header_style="bold")
    for leg, words in LEGS.items():
        told.add_row(words, *(str(summary[leg]) for summary in report.values()))
    told.add_section()
    for key, words in {
        "upload_to_alert_ms": "upload to alert",
        "overhead_ms": "  of it neither detector nor slowest check",
        "floor_ms": "the bare calls: detector, then slowest check",
        "ratio": "upload to alert / bare calls",
    }.items():
        told.add_row(words, *(str(summary[key]) for summary in report.values()))
    return told

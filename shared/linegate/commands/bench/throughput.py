"""Boards a second with all of them there at once, in worker processes and in one process."""

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from linegate.commands.bench.setup import LINE
from linegate.edge import scratch
from linegate.errors import TransientError
from linegate.evaluation.percentiles import percentile
from linegate.samples.uploads import GOLDEN_FOLDER, Upload, check_folder, drawn, from_folder
from linegate.sections import Edge, Line, Workers
from linegate.settings import CORES, Recipe, Settings

DRAWN: Final = 40
ROUNDS: Final = 3
PATIENCE_S: Final = 600.0


def measure(images: Path | None, golden: Path | None) -> dict[str, Any]:
    """Medians of the pictures of a folder, or of drawn boards, in turns. Raises UsageError, TransientError."""
    if images:
        check_folder(images, golden)
    with tempfile.TemporaryDirectory(prefix="linegate-bench-") as name:
        folder = Path(name)
        uploads = from_folder(images, golden, folder) if images else drawn(DRAWN, folder)
        rates: dict[int, list[float]] = {0: [], CORES: []}
        for _ in range(ROUNDS):
            for processes, measured in rates.items():
                measured.append(_boards_a_second(uploads, folder, processes))
    alone, together = (percentile(measured, 50) for measured in rates.values())
    return {
        "boards": len(uploads),
        "one_process": round(alone, 2),
        "worker_processes": round(together, 2),
        "processes": CORES,
        "ratio": round(together / alone, 2),
    }


def sentence(report: dict[str, Any]) -> str:
    """The same for a person."""
    return (
        f"{report['boards']} boards at once: {report['one_process']} a second in one process, "
        f"{report['worker_processes']} with {report['processes']} worker processes, {report['ratio']} times as many"
    )


def _boards_a_second(uploads: Sequence[Upload], folder: Path, processes: int) -> float:
    """The first board finds everything built and is not counted."""
    settings = Settings(
        recipes={LINE: Recipe(golden=f"{folder}/{GOLDEN_FOLDER}/{{serial}}", deadline_s=PATIENCE_S)},
        lines={LINE: Line(recipe=LINE)},
        edge=Edge(workers=Workers(processes=processes)),
    )
    with scratch.runtime(settings) as runtime:

        def inspect(some: Sequence[Upload], decided: int) -> float:
            started = time.monotonic()
            for upload in some:
                scratch.upload(runtime, upload.source, LINE, "bench", upload.serial)
            while scratch.count_decided(runtime) < decided:
                if time.monotonic() > started + PATIENCE_S:
                    raise TransientError("not all boards got their verdicts")
                time.sleep(scratch.POLL_S)
            return time.monotonic() - started

        inspect(uploads[:1], 1)
        return (len(uploads) - 1) / inspect(uploads[1:], len(uploads))

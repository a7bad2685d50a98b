"""Labelled pictures through the gate's own functions."""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from linegate.edge import scratch
from linegate.edge.machine import faults
from linegate.edge.runtime import Runtime
from linegate.errors import TransientError, UsageError
from linegate.evaluation.labels import Sample, class_name, shown
from linegate.evaluation.metrics import InspectedBoard
from linegate.handlers.policy import by_verifier
from linegate.inspection import Inspection
from linegate.sections import Line
from linegate.settings import Recipe, Settings

LINE: Final = "evaluate"
# What detections are asked down to where verification costs nothing: average precision and the sweep live on them.
FLOOR: Final = 0.02
TROUBLE_S: Final = 1.0  # between two looks at what keeps detectors from answering
KEPT_S: Final = 2.0  # how long a decided picture stays: the runtime is done with it by then
COPIES: Final = 64  # pictures that lie in the temporary folder at the same time, at most


@dataclass(frozen=True, slots=True)
class Outcome:
    """One labelled picture, and the inspection that the gate made of it by this recipe."""

    sample: Sample
    inspection: Inspection
    recipe: Recipe

    @property
    def board(self) -> InspectedBoard:
        """As the metrics see it: classes spelled one way, every detection with its result."""
        revision, manifest = self.inspection.revision, self.inspection.manifest
        assert revision is not None
        decision = revision.decision
        detections = tuple(
            replace(detection, class_name=class_name(detection.class_name), settled=check)
            for detection, check in zip(manifest.detections if manifest else (), decision.checks, strict=False)
        )
        own = frozenset(
            index
            for index, detection in enumerate(manifest.detections if manifest else ())
            if detection.settled is not None and not by_verifier(self.recipe, detection)
        )
        return InspectedBoard(
            self.sample.name, self.sample.truths, manifest, detections, decision.verdict, decision.reasons, own
        )


def inspect_all(
    settings: Settings,
    recipe: Recipe,
    samples: Sequence[Sample],
    goldens: Sequence[Path | None],
    parallel: int,
    trouble: Callable[[str], None],
    content: Callable[[Sample], bytes | None] = lambda _: None,
) -> Iterator[Outcome]:
    """Each picture's outcome, as they come; `parallel` of them are under way. Raises UsageError, TransientError.

    Inside, a board's serial is its number and its station that of its golden picture, whatever their files are called.
    `trouble` is told what keeps a detector from answering while it lasts. `content` is what is inspected in the place of
    a sample's file, asked for when its turn has come.
    """
    _room_for(samples, parallel)
    with tempfile.TemporaryDirectory(prefix="linegate-evaluate-") as folder:
        distinct = {golden: f"golden-{number}" for number, golden in enumerate(dict.fromkeys(filter(None, goldens)))}
        for golden, name in distinct.items():
            (Path(folder) / name).symlink_to(golden.resolve())
        stations = [distinct[golden] if golden else "bench" for golden in goldens]
        recipe = recipe.model_copy(update={"golden": f"{folder}/{{station}}" if distinct else None})
        edge = settings.edge.model_copy(update={"settle_ms": 0, "scan_ms": 50, "sweep_s": 1.0})
        changed = {"recipes": {"evaluate": recipe}, "lines": {LINE: Line(recipe="evaluate")}, "edge": edge}
        with scratch.runtime(settings.model_copy(update=changed)) as runtime:
            waiting = {f"{number:06}": each for number, each in enumerate(zip(samples, stations, strict=True))}
            under_way: dict[str, float] = {}
            seen: set[str] = set()
            queue = list(waiting)[::-1]
            patience = scratch.patience_s(runtime.settings, LINE)
            looked = time.monotonic()
            done: list[tuple[float, Inspection]] = []
            while waiting:
                while queue and len(under_way) < parallel:
                    serial = queue.pop()
                    sample, station = waiting[serial]
                    _upload(runtime, sample, station, serial, content(sample))
                    under_way[serial] = time.monotonic() + patience
                for inspection in scratch.decided(runtime, seen):
                    seen.add(inspection.inspection_id)
                    serial = inspection.place.serial
                    del under_way[serial]
                    done.append((time.monotonic(), inspection))
                    yield Outcome(waiting.pop(serial)[0], inspection, recipe)
                if time.monotonic() > looked + TROUBLE_S:
                    looked = time.monotonic()
                    for each in faults(runtime.app.context.inspections):
                        trouble(each)
                    done = _cleared(runtime, done)
                if any(time.monotonic() > end for end in under_way.values()):
                    late = ", ".join(waiting[serial][0].name for serial in under_way)
                    raise TransientError(f"no verdict came for {late}, not even at the deadline")
                # Each look reads the ids of all that is decided: with thousands, look less often.
                time.sleep(scratch.POLL_S + 2e-5 * len(seen))


def lowered(recipe: Recipe, floor: float) -> Recipe:
    """The recipe with every detection from this confidence on, however many."""
    classes = {name: policy.model_copy(update={"minimum_confidence": None}) for name, policy in recipe.classes.items()}
    return recipe.model_copy(update={"confidence": floor, "classes": classes, "max_checks": 1000})


def floor_of(recipe: Recipe) -> float:
    """The lowest confidence to ask for: where each check costs money, no lower than the recipe does."""
    return min(FLOOR, recipe.lowest_confidence) if not recipe.verifier.priced else recipe.lowest_confidence


def _room_for(samples: Sequence[Sample], parallel: int) -> None:
    """Pictures are copied one by one and removed again: a few of them must fit. Raises UsageError."""
    largest = max((sample.picture.stat().st_size for sample in samples), default=0)
    # Each lies there as it was uploaded, perhaps in quarantine, and annotated.
    needed = 50_000_000 + 3 * largest * min(len(samples), parallel + COPIES)
    free = shutil.disk_usage(tempfile.gettempdir()).free
    if free < needed:
        raise UsageError(
            f"the temporary folder {tempfile.gettempdir()} has {free / 1e6:.0f} MB free and {needed / 1e6:.0f} MB may be "
            "needed; make room, or name another folder in TMPDIR"
        )


def _upload(runtime: Runtime, sample: Sample, station: str, serial: str, content: bytes | None) -> None:
    try:
        if content is None:
            scratch.upload(runtime, sample.picture, LINE, station, serial)
            return
        with tempfile.NamedTemporaryFile(prefix="linegate-", suffix=".png") as file:
            file.write(content)
            file.flush()
            scratch.upload(runtime, Path(file.name), LINE, station, serial)
    except OSError as error:
        told = f"{shown(sample.picture)} can't be copied into {tempfile.gettempdir()}: {error.strerror}"
        raise TransientError(told) from error


def _cleared(runtime: Runtime, done: list[tuple[float, Inspection]]) -> list[tuple[float, Inspection]]:
    """Remove the files of boards that were decided a while ago; those that are still to be removed."""
    data, kept = runtime.settings.data, []
    for when, inspection in done:
        if time.monotonic() < when + KEPT_S:
            kept.append((when, inspection))
            continue
        shutil.rmtree(data / "results" / inspection.inspection_id, ignore_errors=True)
        station, serial = inspection.place.station, inspection.place.serial
        for place, pattern in (
            (data / "archive" / LINE / station, f"{serial}.*"),
            (data / "quarantine", f"{inspection.inspection_id}*"),
        ):
            for file in place.glob(pattern):
                file.unlink(missing_ok=True)
    return kept

"""Labelled pictures through the gate's own functions."""

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from linegate.edge import scratch
from linegate.edge.evaluation.labels import Dataset, Sample, class_name
from linegate.edge.evaluation.scoring import Board
from linegate.errors import TransientError, UsageError
from linegate.inspection import Inspection, Verdict
from linegate.settings import Line, Recipe, Settings

LINE: Final = "evaluate"
# What detections are asked down to where verification costs nothing: average precision and the sweep live on them.
FLOOR: Final = 0.02


@dataclass(frozen=True, slots=True)
class Outcome:
    """One labelled picture, and the inspection that the gate made of it."""

    sample: Sample
    inspection: Inspection

    @property
    def board(self) -> Board:
        """As scoring sees it: classes spelled one way, every detection with its result."""
        revision, manifest = self.inspection.revision, self.inspection.manifest
        assert revision is not None
        detections = tuple(
            replace(detection, class_name=class_name(detection.class_name), settled=check)
            for detection, check in zip(manifest.detections if manifest else (), revision.decision.checks, strict=False)
        )
        verdict: Verdict = revision.decision.verdict
        return Board(self.sample.name, self.sample.truths, manifest, detections, verdict)


def inspected(settings: Settings, recipe: Recipe, dataset: Dataset, parallel: int) -> Iterator[Outcome]:
    """Each picture's outcome, as they come; `parallel` of them are under way. Raises UsageError, TransientError.

    A picture's own golden picture, where the dataset has one, is used in place of the recipe's.
    """
    with tempfile.TemporaryDirectory(prefix="linegate-evaluate-") as folder:
        recipe = _with_goldens(recipe, settings, dataset, Path(folder))
        edge = settings.edge.model_copy(update={"settle_ms": 0, "scan_ms": 50, "sweep_s": 1.0})
        changed = {"recipes": {"evaluate": recipe}, "lines": {LINE: Line(recipe="evaluate")}, "edge": edge}
        with scratch.runtime(settings.model_copy(update=changed)) as runtime:
            waiting = {_serial(number): sample for number, sample in enumerate(dataset.samples)}
            under_way: dict[str, float] = {}
            seen: set[str] = set()
            queue = list(waiting)[::-1]
            patience = scratch.patience_s(runtime.settings, LINE)
            while waiting:
                while queue and len(under_way) < parallel:
                    serial = queue.pop()
                    scratch.upload(runtime, waiting[serial].picture, LINE, "bench", serial)
                    under_way[serial] = time.monotonic() + patience
                for inspection in scratch.decided(runtime, seen):
                    seen.add(inspection.inspection_id)
                    serial = inspection.place.serial
                    del under_way[serial]
                    yield Outcome(waiting.pop(serial), inspection)
                if any(time.monotonic() > end for end in under_way.values()):
                    late = ", ".join(waiting[serial].name for serial in under_way)
                    raise TransientError(f"no verdict came for {late}, not even at the deadline")
                # Each look reads the ids of all that is decided: with thousands, look less often.
                time.sleep(scratch.POLL_S + 2e-5 * len(seen))


def lowered(recipe: Recipe, floor: float) -> Recipe:
    """The recipe with every detection from this confidence on, however many."""
    classes = {name: policy.model_copy(update={"minimum_confidence": None}) for name, policy in recipe.classes.items()}
    return recipe.model_copy(update={"confidence": floor, "classes": classes, "max_checks": 1000})


def floor_of(recipe: Recipe) -> float:
    """The lowest confidence to ask for: where each check costs money, no lower than the recipe does."""
    return min(FLOOR, recipe.lowest_confidence) if recipe.verifier in ("golden", "none") else recipe.lowest_confidence


def _with_goldens(recipe: Recipe, settings: Settings, dataset: Dataset, folder: Path) -> Recipe:
    own = [sample.golden for sample in dataset.samples]
    if any(own):
        for number, golden in enumerate(own):
            if golden:
                (folder / _serial(number)).symlink_to(golden.resolve())
        return recipe.model_copy(update={"golden": f"{folder}/{{serial}}"})
    if recipe.golden is None:
        if recipe.detector == "golden":
            raise UsageError(
                "nothing to compare with: give --golden FILE, the picture of a good board, or --config FILE"
            )
        return recipe
    return recipe.model_copy(update={"golden": str((settings.folder / recipe.golden).resolve())})


def _serial(number: int) -> str:
    return f"{number:06}"

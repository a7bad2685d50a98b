"""A shot ▶ what all detectors of its recipe say, asked side by side."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Final

from linegate.errors import LinegateError, PermanentError, TransientError
from linegate.handlers.context import Context, in_background
from linegate.handlers.shot import Shot
from linegate.handlers.sound import sound
from linegate.inspection import Answer, Detection, Inspection
from linegate.kind import DetectorKind, Need
from linegate.logs import log
from linegate.merging import merged
from linegate.ports import Detector, Found
from linegate.settings import Recipe
from linegate.texts import brief

PNG: Final = "image/png"


@dataclass(frozen=True, slots=True)
class Answered:
    """What the detectors found together, who answered, what is doubtful, and how many milliseconds it took."""

    detections: tuple[Detection, ...] = ()
    answers: tuple[Answer, ...] = ()
    doubts: tuple[str, ...] = ()
    took_ms: float = 0.0


def ask(
    context: Context, inspection: Inspection, detectors: Sequence[Detector], shot: Shot, laid: Callable[[], Shot]
) -> Answered:
    """What the detectors of the shot's recipe say; `laid` waits for the shot with its golden picture.

    They take as long as the slowest of them. One that can't answer is a doubt that names it, while the others' findings
    count; where none of several could, the first one's TransientError is raised, since later they may. A product that its
    golden picture can't be laid over does not pass, whatever a detector says that never looks at it.
    """
    started = perf_counter()
    kinds = shot.recipe.detectors
    waiting = [
        in_background(lambda kind=kind, detector=detector: _ask(kind, detector, shot, laid))  # type: ignore[misc]
        for kind, detector in zip(kinds[1:], detectors[1:], strict=True)
    ]
    own = _tried(lambda: _ask(kinds[0], detectors[0], shot, laid))
    outcomes = [own, *(_tried(wait) for wait in waiting)]
    faults = [outcome for outcome in outcomes if isinstance(outcome, LinegateError)]
    if len(faults) == len(outcomes):
        raise faults[0]
    found: dict[str, Sequence[Detection]] = {kind.called: () for kind in kinds}  # whoever failed: the others are named
    answers: list[Answer] = []
    doubts: list[str] = []
    several = len(kinds) > 1
    for kind, outcome in zip(kinds, outcomes, strict=True):
        who = f"Detector {kind.called}: " if several else ""
        if isinstance(outcome, LinegateError):
            log.warning("detector.failed", detector=kind.called, reason=brief(str(outcome)))
            doubts.append(f"{who}it could not answer: {outcome}")
            continue
        said, took_ms = outcome
        doubts += [f"{who}{doubt}" for doubt in (*said.doubts, *_uncovered(shot.recipe, said))]
        if said.model:
            answers.append(Answer(kind.called, said.model, said.model_version, took_ms, said.coverage))
        found[kind.called] = _with_heatmap(context, inspection, kind, said)
    took_ms = 1000 * (perf_counter() - started)
    return Answered(merged(found), tuple(answers), (*doubts, *laid().doubts), took_ms)


def _tried(work: Callable[[], tuple[Found, float]]) -> tuple[Found, float] | LinegateError:
    try:
        return work()
    except LinegateError as error:
        return error
    except Exception as error:  # a bug, or no memory: of this detector alone, so the others are heard all the same
        log.exception("detector.crashed")
        return TransientError(f"the detector broke off ({type(error).__name__}: {brief(str(error))})")


def _ask(kind: DetectorKind, detector: Detector, shot: Shot, laid: Callable[[], Shot]) -> tuple[Found, float]:
    """What one detector says, and the milliseconds it took. Raises TransientError."""
    started = perf_counter()
    found = Found((), "")
    if Need.GOLDEN in kind.needs | kind.takes:
        shot = laid()
    if not shot.unlike:
        try:
            found = sound(detector.detect(shot.picture, shot.file, shot.reference), shot.picture.size)
        except PermanentError as error:
            found = Found((), "", doubts=(f"The detector could not answer: {error}",))
    return found, 1000 * (perf_counter() - started)


def _uncovered(recipe: Recipe, found: Found) -> tuple[str, ...]:
    """The doubt about an answer that is about too little of the picture."""
    if found.coverage is None or found.coverage.part >= recipe.least_coverage:
        return ()
    return (f"Only {found.coverage} of the picture could be judged; least_coverage is {recipe.least_coverage:.0%}.",)


def _with_heatmap(context: Context, inspection: Inspection, kind: DetectorKind, found: Found) -> tuple[Detection, ...]:
    """The findings, each naming the picture of how unusual each place is, where there is one and it could be stored."""
    if not found.heatmap or not found.detections:
        return found.detections
    name = f"results/{inspection.inspection_id}/heatmap-{kind.called}.png"
    try:
        context.images.write(context.settings.storage.results_bucket, name, found.heatmap, PNG)
    except (LinegateError, OSError) as error:  # a verdict does not wait for a picture of it
        log.warning("heatmap.not_stored", detector=kind.called, reason=brief(str(error)))
        return found.detections
    return tuple(replace(one, heatmap=name) for one in found.detections)

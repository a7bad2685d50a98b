"""Upload ▶ manifest ▶ one message per crop. A picture that can't be inspected is decided as ERROR here."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from time import perf_counter
from typing import TYPE_CHECKING

from linegate import imaging, sight
from linegate.errors import ImageRejectedError, LinegateError, ObjectMissingError, PermanentError, RegistrationError
from linegate.events import to_message
from linegate.handlers.context import Context, in_background
from linegate.handlers.deciding import resume, settle
from linegate.handlers.policy import apply
from linegate.inspection import Inspection, Manifest, Place, brief, decide, place_of, rejected
from linegate.logs import log
from linegate.messages import CropReady, ImageUploaded
from linegate.ports import Detector, Found, Reference, Registrar
from linegate.settings import Recipe, Settings
from linegate.stages import CROPS

if TYPE_CHECKING:
    from PIL.Image import Image

PREFIX = "uploads/"
NAME = "detect"
# How long an inspection may take whose recipe is not known: long enough for a replay by hand.
DEFAULT_DEADLINE = timedelta(minutes=2)
MOST_DOUBTS = 20  # that a manifest keeps; one is enough to keep a board from passing


def detect(
    context: Context,
    upload: ImageUploaded,
    registrar: Callable[[], Registrar],
    detector: Callable[[Recipe], Detector],
) -> None:
    """Inspect one uploaded picture as far as detection goes.

    May run any number of times for one upload: what is decided stays decided, a stored manifest is published again.
    Raises TransientError.
    """
    if not upload.image.name.startswith(PREFIX):
        log.info("upload.ignored", object=upload.image.name)
        return
    fetched = in_background(lambda: _fetch(context, upload))
    fresh, recipe, fault = new_inspection(context.settings, upload, context.clock.now())
    inspection, place = context.inspections.open(fresh), fresh.place
    if inspection.complete:
        resume(context, inspection, NAME)
        return
    try:
        content = fetched()
        if recipe is None:
            raise ImageRejectedError(fault)
        picture = imaging.decode(content, context.settings.images.max_pixels)
    except (ImageRejectedError, ObjectMissingError) as error:
        if inspection.manifest is not None:
            raise  # it was sound when the manifest was made: the deadline decides on the checks that are here
        reason = brief(str(error))
        _quarantine(context, inspection, reason)
        decision = rejected(reason)
        settle(context, inspection, NAME, lambda _: decision)
        return
    golden = golden_name(recipe, place)
    reference = in_background(lambda: registrar().register(picture, golden) if golden else None)
    try:
        manifest = inspection.manifest
        if manifest is None:
            seen, known = sight.measure(picture), registrar().sight(golden) if golden else None
            unseen = sight.doubts(seen, known, recipe.limits)
            answer = _blind(unseen) if unseen else _answer(detector(recipe), recipe, picture, content, reference)
            manifest = _stored(context, inspection, recipe, answer, seen, known)
    except LinegateError as error:
        context.inspections.note_fault(inspection.inspection_id, brief(str(error)))
        raise
    log.info(
        "board.detected",
        detections=len(manifest.detections),
        expected=manifest.expected,
        detector_ms=round(manifest.detector_ms),
    )
    if manifest.expected == 0:
        settle(context, replace(inspection, manifest=manifest), NAME, lambda _: decide(manifest, {}), picture)
        return
    crops = _crops(inspection, manifest, recipe, picture, reference)
    context.publisher.publish(CROPS, [to_message(crop) for crop in crops])


def new_inspection(settings: Settings, upload: ImageUploaded, now: datetime) -> tuple[Inspection, Recipe | None, str]:
    """The inspection of an upload as it begins, and the recipe that applies, or no recipe and why not.

    The deadline counts from the upload, not from when somebody gets round to it; a clock that runs ahead of ours gains nothing.
    """
    place = place_of(upload.image.name, upload.metadata)
    name, recipe, fault = _recipe(settings, place, upload.metadata)
    patience = timedelta(seconds=recipe.deadline_s) if recipe else DEFAULT_DEADLINE
    inspection = Inspection(
        inspection_id=upload.image.inspection_id,
        image=upload.image,
        place=place,
        recipe=name,
        uploaded_at=upload.uploaded_at,
        received_at=now,
        deadline=min(upload.uploaded_at, now) + patience,
    )
    return inspection, recipe, fault


def _recipe(settings: Settings, place: Place, metadata: Mapping[str, str]) -> tuple[str, Recipe | None, str]:
    """Name and recipe that apply, or no recipe and why not."""
    known = settings.recipe_of(place.line)
    if known is None:
        lines = ", ".join(sorted(settings.lines))
        where = f"line {place.line!r} is not in the configuration" if place.line else "the object name tells no line"
        return "", None, f"{where}; pictures belong below uploads/LINE/STATION/ with a line of: {lines}"
    asked = metadata.get("recipe")
    if asked is None:
        return *known, ""
    if asked not in settings.recipes:
        return (
            "",
            None,
            f"the picture's metadata asks for recipe {asked!r}; there is {', '.join(sorted(settings.recipes))}",
        )
    return asked, settings.recipes[asked], ""


def _fetch(context: Context, upload: ImageUploaded) -> bytes:
    """The picture's bytes, its size looked at first. Raises ImageRejectedError, ObjectMissingError, TransientError."""
    limit = context.settings.images.max_bytes
    size = context.images.size(upload.image)
    if size > limit:
        raise ImageRejectedError(f"the file holds {size:,} bytes; {limit:,} are allowed (images.max_bytes)")
    return context.images.read(upload.image)


def golden_name(recipe: Recipe, place: Place) -> str:
    """The name of the golden picture for a board; empty if the recipe has none."""
    name = recipe.golden or ""
    for key, value in (("{line}", place.line), ("{station}", place.station), ("{serial}", place.serial)):
        name = name.replace(key, value.lstrip("/"))  # from outside: it must not make the name an absolute one
    return name


@dataclass(frozen=True, slots=True)
class _Answer:
    """What the detector said, and how many milliseconds it took."""

    found: Found
    took_ms: float = 0.0


def _blind(reasons: tuple[str, ...]) -> _Answer:
    """No detector is asked about a picture on which it could see nothing: its silence would read like a clean board."""
    log.warning("board.unseen", reasons=list(reasons))
    return _Answer(Found((), "", doubts=reasons))


def _answer(
    detector: Detector, recipe: Recipe, picture: "Image", content: bytes, reference: Callable[[], Reference | None]
) -> _Answer:
    started = perf_counter()
    try:
        found = detector.detect(picture, content, reference)
    except PermanentError as error:
        found = Found((), "", doubts=(f"The detector could not answer: {error}",))
    took_ms = 1000 * (perf_counter() - started)
    try:  # a detector that did not look at the golden picture would not know
        laid = reference()
        doubts = sight.unseen(laid.unseen, recipe.limits) if laid else ()
    except RegistrationError as error:
        doubts = (f"Not compared: {error}.",)
    new = tuple(doubt for doubt in doubts if doubt not in found.doubts)
    return _Answer(replace(found, doubts=found.doubts + new), took_ms)


def _stored(
    context: Context,
    inspection: Inspection,
    recipe: Recipe,
    answer: _Answer,
    seen: sight.Sight,
    golden: sight.Sight | None,
) -> Manifest:
    """The manifest that stands in the store afterwards, made of this answer or of an earlier one."""
    found, figures = answer.found, seen.figures
    log.info("picture.measured", picture=asdict(figures), golden=asdict(golden.figures) if golden else None)
    kept = apply(recipe, found.detections, figures.width, figures.height)
    manifest = Manifest.of(
        kept.detections,
        width=figures.width,
        height=figures.height,
        detector=found.model,
        detector_version=found.model_version,
        detector_ms=answer.took_ms,
        doubts=tuple(brief(doubt) for doubt in (*found.doubts, *kept.doubts)[:MOST_DOUBTS]),
        left_out=kept.left_out,
        picture=figures,
        golden=golden.figures if golden else None,
    )
    manifest_ms = 1000 * (context.clock.now() - inspection.received_at).total_seconds()
    return context.inspections.store_manifest(inspection.inspection_id, manifest, manifest_ms)


def _crops(
    inspection: Inspection,
    manifest: Manifest,
    recipe: Recipe,
    picture: "Image",
    reference: Callable[[], Reference | None],
) -> list[CropReady]:
    """One crop for each detection that needs a check, marked `again` if the manifest stood there before."""
    try:
        laid = reference()
        golden = laid.picture if laid else None
    except PermanentError:  # the golden picture can't be laid over this one: the crops go without it
        golden = None
    return [
        CropReady(
            inspection_id=inspection.inspection_id,
            line=inspection.place.line,
            recipe=inspection.recipe,
            index=index,
            expected=manifest.expected,
            detection=detection,
            crop=imaging.cut(picture, detection.box, recipe.crop_padding),
            reference=None if golden is None else imaging.cut(golden, detection.box, recipe.crop_padding),
            again=inspection.manifest is not None,
        )
        for index, detection in enumerate(manifest.detections[: manifest.expected])
    ]


def _quarantine(context: Context, inspection: Inspection, reason: str) -> None:
    """Leave a copy and the reason where a person will look for it."""
    bucket = context.settings.storage.results_bucket
    name = f"quarantine/{inspection.inspection_id}"
    try:
        # It may be as large as the disk: it stays where it is.
        if context.images.size(inspection.image) > context.settings.images.max_bytes:
            reason = f"{reason} (too large to be copied)"
        else:
            context.images.copy(inspection.image, bucket, name)
    except ObjectMissingError:
        reason = f"{reason} (so there is no copy)"
    note = {
        "inspection_id": inspection.inspection_id,
        "bucket": inspection.image.bucket,
        "object": inspection.image.name,
        "generation": inspection.image.generation,
        "received_at": inspection.received_at.isoformat(),
        "reason": reason,
    }
    context.images.write(bucket, f"{name}.json", json.dumps(note, indent=2).encode(), "application/json")
    log.warning("upload.rejected", reason=reason, object=inspection.image.name)

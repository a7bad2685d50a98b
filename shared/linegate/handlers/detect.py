"""Upload ▶ manifest ▶ one message per crop. A picture that can't be inspected is decided as ERROR here."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace

from linegate import audits, imaging, sight
from linegate.deciders import DETECT
from linegate.errors import ImageRejectedError, LinegateError, ObjectMissingError, TransientError
from linegate.events import to_message
from linegate.handlers import challenge
from linegate.handlers.ask import Answered, ask
from linegate.handlers.context import Context, in_background
from linegate.handlers.policy import apply
from linegate.handlers.refuse import refuse
from linegate.handlers.revise import resume, revise
from linegate.handlers.shot import Shot, fetch, new_inspection, shot_of
from linegate.inspection import Inspection, Laid, Manifest
from linegate.logs import log
from linegate.messages import CropReady, ImageUploaded
from linegate.ports import Detector, Reference, Registrar
from linegate.settings import Recipe, Settings
from linegate.stages import CROPS
from linegate.texts import brief
from linegate.verdict import decide

PREFIX = "uploads/"
MOST_DOUBTS = 20  # that a manifest keeps; one is enough to keep a product from passing


def detect(
    context: Context,
    upload: ImageUploaded,
    registrar: Callable[[], Registrar],
    detectors: Callable[[Recipe], Sequence[Detector]],
) -> None:
    """Inspect one uploaded picture as far as detection goes.

    May run any number of times for one upload: what is decided stays decided, a stored manifest is published again.
    Raises TransientError, and PermanentError where the picture of a stored manifest is gone.
    """
    if not upload.image.name.startswith(PREFIX):
        log.info("upload.ignored", object=upload.image.name)
        return
    fetched = in_background(lambda: fetch(context, upload.image))
    fresh, recipe, fault = new_inspection(context.settings, upload, context.clock.now())
    inspection = context.inspections.open(fresh)
    if inspection.complete:
        resume(context, inspection, DETECT)
        return
    try:
        file = fetched()
        if recipe is None:
            raise ImageRejectedError(fault)
        shot = shot_of(context.settings, fresh.place, recipe, file)
    except (ImageRejectedError, ObjectMissingError) as error:
        if inspection.manifest is not None:
            raise  # it was sound when the manifest was made: the deadline decides on the checks that are here
        refuse(context, inspection, brief(str(error)))
        return
    try:
        _look(context, inspection, shot, registrar, detectors)
    except Exception as error:  # whatever it is, a person who looks at the product is told
        said = str(error) if isinstance(error, LinegateError) else f"{type(error).__name__}: {error}"
        context.inspections.note_fault(inspection.inspection_id, brief(said))
        raise
    if inspection.fault:  # it is mended: what comes late from now on has another reason
        context.inspections.note_fault(inspection.inspection_id, "")


def _look(
    context: Context,
    inspection: Inspection,
    shot: Shot,
    registrar: Callable[[], Registrar],
    detectors: Callable[[Recipe], Sequence[Detector]],
) -> None:
    """Shot ▶ manifest ▶ crops, or the verdict where nothing is to be checked.

    The golden picture is laid over the shot while it is measured, and while a detector is asked that does not need it.
    """
    laid = in_background(lambda: shot.laid(registrar))
    manifest = inspection.manifest
    if manifest is None:
        seen = sight.measure(shot.picture)
        golden = registrar().sight(shot.golden) if shot.golden else None
        unseen = sight.doubts(seen, golden, shot.recipe.limits)
        answered = _blind(unseen) if unseen else ask(context, inspection, detectors(shot.recipe), shot, laid)
        reference = laid().reference if golden and not unseen else None
        if golden:
            _same(golden, reference)
        digest = golden.digest if golden else ""
        setup = challenge.setup_of(context.settings, shot.place.line, shot.recipe, digest, answered.answers)
        manifest = _stored(context, inspection, shot, answered, (seen, golden), setup, _lying(shot.golden, reference))
    log.info(
        "product.detected",
        coverage=round(manifest.coverage.part, 4) if manifest.coverage else None,
        detections=len(manifest.detections),
        expected=manifest.expected,
        detector_ms=round(manifest.detector_ms),
    )
    if manifest.expected == 0:
        revise(context, replace(inspection, manifest=manifest), decide(manifest, {}), DETECT, shot.picture)
        return
    crops = _crops(inspection, manifest, laid())
    context.publisher.publish(CROPS, [to_message(crop) for crop in crops])


def _same(golden: sight.Sight, reference: Reference | None) -> None:
    """Raises TransientError where the golden picture was replaced between two looks at it: a setup stands for one of them."""
    if reference and reference.digest and golden.digest and reference.digest != golden.digest:
        raise TransientError("the golden picture was replaced while the product was looked at")


def _lying(name: str, reference: Reference | None) -> Laid | None:
    """How the golden picture of that name lies, so that whoever looks at the product later finds it there again."""
    if reference is None or reference.lies is None:
        return None
    # A name that is no text can't be kept, nor the picture found by it again.
    plain = name.encode("utf-8", "replace").decode() == name
    return Laid(name, reference.digest, reference.lies) if plain else None


def _drawn(settings: Settings, inspection: Inspection, recipe: Recipe) -> bool:
    """Whether a person looks at the product should it pass. Not on lines that only try the gate out."""
    line, key = settings.lines.get(inspection.place.line), settings.station.audit_key
    if line is None or not line.notifies or key is None:
        return False
    return audits.drawn(inspection.inspection_id, recipe.audit_share, key.get_secret_value())


def _blind(reasons: tuple[str, ...]) -> Answered:
    """No detector is asked about a picture on which it could see nothing: its silence would read like a clean product."""
    log.warning("product.unseen", reasons=list(reasons))
    return Answered(doubts=reasons)


def _stored(
    context: Context,
    inspection: Inspection,
    shot: Shot,
    answered: Answered,
    sights: tuple[sight.Sight, sight.Sight | None],
    setup: str,
    lying: Laid | None,
) -> Manifest:
    """The manifest that stands in the store afterwards, made of this answer or of an earlier one.

    `sights` are of the picture and of the golden picture.
    """
    (seen, golden), recipe = sights, shot.recipe
    figures = seen.figures
    log.info("picture.measured", picture=asdict(figures), golden=asdict(golden.figures) if golden else None)
    kept = apply(recipe, answered.detections, figures.width, figures.height)
    unproven = challenge.doubts(context, inspection, setup)
    manifest = Manifest.of(
        kept.detections,
        width=figures.width,
        height=figures.height,
        answers=answered.answers,
        detector_ms=answered.took_ms,
        doubts=tuple(brief(doubt) for doubt in (*unproven, *answered.doubts, *kept.doubts)[:MOST_DOUBTS]),
        left_out=kept.left_out,
        picture=figures,
        golden=golden.figures if golden else None,
        mm_per_px=recipe.mm_per_px,
        setup=setup,
        laid=lying,
        audit=_drawn(context.settings, inspection, recipe),
    )
    manifest_ms = 1000 * (context.clock.now() - inspection.received_at).total_seconds()
    return context.inspections.store_manifest(inspection.inspection_id, manifest, manifest_ms)


def _crops(inspection: Inspection, manifest: Manifest, shot: Shot) -> list[CropReady]:
    """One crop for each detection that needs a check, marked `again` if the manifest stood there before.

    Each goes with the same cut of the golden picture, where that lies over the shot.
    """
    golden, padding = shot.reference.picture if shot.reference else None, shot.recipe.crop_padding
    return [
        CropReady(
            inspection_id=inspection.inspection_id,
            line=shot.place.line,
            recipe=inspection.recipe,
            index=index,
            expected=manifest.expected,
            detection=detection,
            crop=imaging.cut(shot.picture, detection.box, padding),
            reference=None if golden is None else imaging.cut(golden, detection.box, padding),
            again=inspection.manifest is not None,
            deadline=inspection.deadline,
        )
        for index, detection in enumerate(manifest.detections[: manifest.expected])
    ]

"""Products in a gate's store, as the gate itself would have left them: for pages, which only look."""

import io
from collections.abc import Sequence
from datetime import datetime, timedelta

from PIL import Image

from linegate.annotate import annotate
from linegate.bootstrap import App
from linegate.deciders import Decider
from linegate.inspection import (
    Check,
    Decision,
    Detection,
    Inspection,
    Manifest,
    ObjectRef,
    Place,
    Result,
    Revision,
    Verdict,
)
from linegate.shapes import Box
from linegate.verdict import decide
from tests.boards import encoded

REASON = "The copper is interrupted over about 9 px; on the golden picture it is not."
PICTURE = encoded(Image.new("RGB", (160, 120), (30, 90, 60)))


def put(
    app: App,
    line: str,
    serial: str,
    results: Sequence[tuple[str, Result]] = (),
    *,
    at: datetime | None = None,
    picture: bytes = PICTURE,
    doubts: Sequence[str] = (),
    error: str = "",
    opened: bool = True,
    decided: bool = True,
) -> Inspection:
    """A product with findings of these classes and results, decided by the gate's own rules; or by `error`, which kept it from
    being inspected. Not `opened`: its picture has only just come. Not `decided`: its findings are being checked.
    """
    context, storage = app.context, app.settings.storage
    at = at or context.clock.now()
    name = f"uploads/{line}/aoi-1/{serial}.png"
    generation = context.images.write(storage.uploads_bucket, name, picture, "image/png")
    ref = ObjectRef(storage.uploads_bucket, name, generation)
    place, deadline = Place(line, "aoi-1", serial), at + timedelta(seconds=60)
    inspection = context.inspections.open(Inspection(ref.inspection_id, ref, place, "pcb", at, at, deadline))
    if not opened:
        return inspection
    decision, annotated = Decision(Verdict.ERROR, True, 0, (error,), error), ""
    if not error:
        image = Image.open(io.BytesIO(picture)).convert("RGB")
        found = [_detection(number, name, image) for number, (name, _) in enumerate(results)]
        checks = {number: Check(number, result, REASON) for number, (_, result) in enumerate(results)}
        manifest = Manifest(image.width, image.height, tuple(found), len(found), doubts=tuple(doubts))
        context.inspections.store_manifest(inspection.inspection_id, manifest, 80.0)
        decision = decide(manifest, checks)
        if decided:
            annotated = f"results/{inspection.inspection_id}/r1.jpg"
            drawn = annotate(image, found, decision.checks, decision.verdict, decision.fail_count)
            context.images.write(storage.results_bucket, annotated, drawn, "image/jpeg")
    if decided:
        context.inspections.commit(inspection, Revision(1, Decider.check(0), at, decision, annotated), [])
    return inspection


def _detection(number: int, name: str, image: Image.Image) -> Detection:
    """Spread over the picture."""
    x, y = 0.12 + 0.19 * (number % 5), 0.15 + 0.23 * (number // 5 % 4)
    box = Box(image.width * x, image.height * y, image.width * 0.06, image.height * 0.06)
    return Detection(name, 0.55 + 7 * number % 44 / 100, box)

"""Deciding an inspection: draw, commit one batch, publish the outbox. Shared by whoever may decide.

Two may try at the same moment, and each may be cut off anywhere. The revision document is the latch: who creates it has
decided, everybody else finds that out and stops. Nothing here holds a lock or a transaction.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from linegate import imaging
from linegate.annotate import annotate
from linegate.errors import LinegateError, PermanentError, TransientError
from linegate.handlers.context import Context
from linegate.handlers.outbox import publish_outbox
from linegate.inspection import Decision, Inspection, OutboxEntry, Revision, brief, outbox_id, recipients
from linegate.logs import log
from linegate.notification import notification_body

if TYPE_CHECKING:
    from PIL.Image import Image

T = TypeVar("T")
JPEG = "image/jpeg"
# Nobody loses that often against others; a store that says so contradicts itself.
MOST_REVISIONS = 50
# Reasons in a log line; all of them are in the store.
MOST_LOGGED = 5
NOTHING_TO_DRAW = "no picture was inspected"


def settle(
    context: Context,
    inspection: Inspection,
    decided_by: str,
    decision_on: Callable[[Inspection], Decision],
    picture: "Image | None" = None,
) -> None:
    """Make `decision_on(inspection)` the next revision, unless what stands already is as good.

    `decided_by` names the one deciding: a redelivery of the same finds its own revision and only publishes what is
    pending. `picture` is the upright upload if the caller has it at hand. Raises TransientError.
    """
    for _ in range(MOST_REVISIONS):
        decision = decision_on(inspection)
        standing = inspection.revision
        if standing is not None and standing.decided_by == decided_by:
            resume(context, inspection, decided_by)
            return
        if standing is not None and (standing.decision.complete or not decision.complete):
            log.info("board.already_decided", revision=standing.number, decided_by=standing.decided_by)
            return
        if _decide(context, inspection, decided_by, decision, picture):
            return
        again = context.inspections.get(inspection.inspection_id)
        inspection = again or inspection
    raise TransientError(f"inspection {inspection.inspection_id} could not be decided: others always came first")


def resume(context: Context, inspection: Inspection, decided_by: str) -> None:
    """A redelivery after a crash between commit and publishing: whoever decided finishes what was begun."""
    revision = inspection.revision
    if revision is None or revision.decided_by != decided_by:
        return
    entries = context.inspections.pending(inspection.inspection_id, revision.number)
    if entries:
        drawn, _ = _annotated(context, inspection, revision.decision)
        if drawn and revision.annotated:
            context.images.write(context.settings.storage.results_bucket, revision.annotated, drawn, JPEG)
        publish_outbox(context, entries)


def _decide(
    context: Context, inspection: Inspection, decided_by: str, decision: Decision, picture: "Image | None"
) -> bool:
    """One attempt; False if somebody else was first."""
    number = 1 if inspection.revision is None else inspection.revision.number + 1
    bucket = context.settings.storage.results_bucket
    name = f"results/{inspection.inspection_id}/r{number}.jpg"
    drawn, why = _annotated(context, inspection, decision, picture)
    drawn_first = False
    if drawn:
        drawn_first, why = _without_fail(lambda: context.images.create(bucket, name, drawn, JPEG), False)
    now = context.clock.now()
    revision = Revision(number, decided_by, now, decision, "" if why else name, why)
    subscribed = context.settings.subscribed(inspection.place.line)
    targets = recipients(subscribed, decision.verdict, inspection.told)
    decided = replace(
        inspection,
        revision=revision,
        told=tuple(dict.fromkeys((*inspection.told, *targets))),
        timings=replace(inspection.timings, decided_ms=1000 * (now - inspection.received_at).total_seconds()),
    )
    body = notification_body(decided, revision, context.settings.storage, inspection.revision)
    entries = [
        OutboxEntry(
            entry_id=outbox_id(inspection.inspection_id, number, target),
            inspection_id=inspection.inspection_id,
            line=inspection.place.line,
            revision=number,
            target=target,
            body=body,
            created_at=now,
        )
        for target in targets
    ]
    if not context.inspections.commit(decided, revision, entries):
        return False
    if revision.annotated and not drawn_first:
        # Somebody who lost the race had drawn first, perhaps from fewer checks. Only the winner ever overwrites.
        context.images.write(bucket, name, drawn, JPEG)
    log.info(
        "board.decided",
        verdict=decision.verdict.value,
        revision=number,
        complete=decision.complete,
        fail_count=decision.fail_count,
        reasons=[brief(reason) for reason in decision.reasons[:MOST_LOGGED]],
        decided_by=decided_by,
        decided_ms=round(decided.timings.decided_ms),
    )
    publish_outbox(context, entries)
    return True


def _annotated(
    context: Context, inspection: Inspection, decision: Decision, picture: "Image | None" = None
) -> tuple[bytes, str]:
    """The annotated picture (JPEG), or no bytes and why there are none."""
    if inspection.manifest is None:
        return b"", NOTHING_TO_DRAW

    def draw() -> bytes:
        upright = picture
        if upright is None:
            upright = imaging.decode(context.images.read(inspection.image), context.settings.images.max_pixels)
        return drawing(upright, inspection, decision)

    return _without_fail(draw, b"")


def drawing(upright: "Image", inspection: Inspection, decision: Decision) -> bytes:
    """The annotated picture of this decision, as JPEG."""
    received = inspection.received_at.astimezone()  # on the wall clock of whoever looks at it
    return annotate(
        upright,
        inspection.manifest.detections if inspection.manifest else (),
        decision.checks,
        decision.verdict,
        decision.fail_count,
        heading=f"{inspection.place.board} {received:%Y-%m-%d %H:%M:%S %Z}",
        reasons=decision.reasons,
    )


def _without_fail(work: Callable[[], T], otherwise: T) -> tuple[T, str]:
    """What `work` returns and "", or `otherwise` and why: a verdict must not fail for its drawing.

    Tried twice, for what a disk or a network does now and then; an adapter has its own retries inside that.
    """
    for last in (False, True):
        try:
            return work(), ""
        except (LinegateError, OSError, MemoryError) as error:
            if last or isinstance(error, PermanentError | MemoryError):
                why = brief(str(error) or "it needs more memory than there is")
                log.warning("board.not_annotated", reason=why)
                return otherwise, why
    raise AssertionError

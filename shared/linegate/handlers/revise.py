"""A decision ▶ the next revision of its inspection: drawn, numbered, committed, published. Shared by whoever may decide.

Two may try at the same moment, and each may be cut off anywhere. The revision document is the latch: who creates it has
decided, everybody else finds that out and stops. Nothing here holds a lock or a transaction.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from linegate import imaging
from linegate.annotate import annotate
from linegate.answers import Review
from linegate.deciders import Decider
from linegate.errors import TransientError
from linegate.handlers.context import Context
from linegate.handlers.outbox import publish_outbox
from linegate.inspection import Decision, Inspection, OutboxEntry, Result, Revision, outbox_id
from linegate.logs import log
from linegate.notification import notification_body
from linegate.precedence import Step, step
from linegate.texts import brief
from linegate.verdict import recipients

if TYPE_CHECKING:
    from PIL.Image import Image

T = TypeVar("T")
JPEG = "image/jpeg"
# Nobody loses that often against others; a store that says so contradicts itself.
MOST_REVISIONS = 50
# Reasons in a log line; all of them are in the store.
MOST_LOGGED = 5
NOTHING_TO_DRAW = "no picture was inspected"


@dataclass(frozen=True, slots=True)
class _Annotated:
    """The annotated picture (JPEG) and its name in the results bucket, or why there is none."""

    jpeg: bytes = b""
    why: str = ""
    name: str = ""
    first: bool = False  # no other was stored under this name before


@dataclass(frozen=True, slots=True)
class _Revised:
    """What one commit writes: the inspection as it then stands, its new revision, and who is to hear of it."""

    inspection: Inspection
    revision: Revision
    outbox: list[OutboxEntry]


def revise(
    context: Context,
    inspection: Inspection,
    decision: Decision,
    decided_by: Decider,
    picture: "Image | None" = None,
    review: Review | None = None,
) -> Step:
    """Make the decision the next revision, if it may follow what stands; a redelivery only publishes what is pending.

    The decision was made of the inspection's manifest; `picture` is the upright upload if the caller has it at hand; `review`
    is what a person said who decides. Returns what became of it: NEXT if it is a revision now. Raises TransientError.
    """
    drawn: _Annotated | None = None
    for _ in range(MOST_REVISIONS):
        next_step = step(inspection.revision, decided_by, complete=decision.complete, review=review)
        if next_step is Step.REPEAT:
            resume(context, inspection, decided_by)
        if next_step is Step.STANDS:
            _log_standing(inspection)
            _note_late_fails(context, inspection, decision)
        if next_step is not Step.NEXT:
            return next_step
        drawn = drawn or _draw(context, inspection, decision, picture, review)
        number = inspection.revision.number + 1 if inspection.revision else 1
        annotated = _store(context, drawn, f"results/{inspection.inspection_id}/r{number}.jpg")
        now = context.clock.now()
        revision = Revision(number, decided_by, now, decision, annotated.name, annotated.why, review)
        revised = _revised(context, inspection, revision)
        if _commit(context, revised, annotated):
            publish_outbox(context, revised.outbox)
            return Step.NEXT
        latest = context.inspections.get(inspection.inspection_id)
        if latest is not None:
            # Of what happened meanwhile only revisions count: the decision stays what it was made of.
            inspection = replace(inspection, revision=latest.revision, told=latest.told)
    raise TransientError(f"inspection {inspection.inspection_id} could not be decided: others always came first")


def resume(context: Context, inspection: Inspection, decided_by: Decider) -> None:
    """A redelivery after a crash between commit and publishing: whoever decided finishes what was begun."""
    revision = inspection.revision
    if revision is None or revision.decided_by != decided_by:
        return
    entries = context.outbox.pending(inspection.inspection_id, revision.number)
    if entries and revision.annotated:
        drawn = _draw(context, inspection, revision.decision, review=revision.review)
        if drawn.jpeg:
            context.images.write(context.settings.storage.results_bucket, revision.annotated, drawn.jpeg, JPEG)
    publish_outbox(context, entries)


def _note_late_fails(context: Context, inspection: Inspection, decision: Decision) -> None:
    """A machine that comes late undoes no person's decision; which defects it found is kept all the same."""
    failed = [check.index for check in decision.checks if check.result is Result.FAIL]
    if failed and inspection.revision is not None and inspection.revision.decided_by.is_person:
        context.inspections.note_late_fails(inspection.inspection_id, failed)


def _log_standing(inspection: Inspection) -> None:
    if inspection.revision is not None:
        standing = inspection.revision
        log.info("product.already_decided", revision=standing.number, decided_by=str(standing.decided_by))


def _draw(
    context: Context,
    inspection: Inspection,
    decision: Decision,
    picture: "Image | None" = None,
    review: Review | None = None,
) -> _Annotated:
    if inspection.manifest is None:
        return _Annotated(why=NOTHING_TO_DRAW)

    def draw() -> bytes:
        upright = picture
        if upright is None:
            upright = imaging.decode(context.images.read(inspection.image), context.settings.images.max_pixels)
        return drawing(upright, inspection, decision, review)

    jpeg, why = _without_fail(draw, b"")
    return _Annotated(jpeg, why)


def drawing(upright: "Image", inspection: Inspection, decision: Decision, review: Review | None = None) -> bytes:
    """The annotated picture of this decision, as JPEG; with a person's word on each finding where one decided."""
    received = inspection.received_at.astimezone()  # on the wall clock of whoever looks at it
    return annotate(
        upright,
        inspection.manifest.detections if inspection.manifest else (),
        decision.checks,
        decision.verdict,
        decision.fail_count,
        heading=f"{inspection.place.board} {received:%Y-%m-%d %H:%M:%S %Z}",
        reasons=decision.reasons,
        coverage=inspection.manifest.coverage if inspection.manifest else None,
        review=review,
    )


def _store(context: Context, drawn: _Annotated, name: str) -> _Annotated:
    """The picture under its name, before the verdict that speaks of it."""
    if not drawn.jpeg:
        return drawn
    bucket = context.settings.storage.results_bucket
    first, why = _without_fail(lambda: context.images.create(bucket, name, drawn.jpeg, JPEG), False)
    return _Annotated(why=why) if why else replace(drawn, name=name, first=first)


def _revised(context: Context, inspection: Inspection, revision: Revision) -> _Revised:
    """The inspection with its new revision, and a notification for each target that is to hear of it."""
    now = revision.decided_at
    subscribed = context.settings.subscribed(inspection.place.line)
    targets = recipients(subscribed, revision.decision.verdict, inspection.told)
    timings = inspection.timings  # the gate's: what a person takes is none of them
    if revision.review is None:
        timings = replace(timings, decided_ms=1000 * (now - inspection.received_at).total_seconds())
    told = tuple(dict.fromkeys((*inspection.told, *targets)))
    revised = replace(inspection, revision=revision, told=told, timings=timings)
    address = context.settings.station.address
    body = notification_body(revised, revision, context.settings.storage, inspection.revision, address)
    outbox = [
        OutboxEntry(
            entry_id=outbox_id(inspection.inspection_id, revision.number, target),
            inspection_id=inspection.inspection_id,
            line=inspection.place.line,
            revision=revision.number,
            target=target,
            body=body,
            created_at=now,
        )
        for target in targets
    ]
    return _Revised(revised, revision, outbox)


def _commit(context: Context, revised: _Revised, annotated: _Annotated) -> bool:
    """False if somebody else wrote that revision first."""
    revision, decision = revised.revision, revised.revision.decision
    if not context.inspections.commit(revised.inspection, revision, revised.outbox):
        return False
    if annotated.name and not annotated.first:
        # Somebody who lost the race had drawn first, perhaps from fewer checks. Only the winner ever overwrites.
        context.images.write(context.settings.storage.results_bucket, annotated.name, annotated.jpeg, JPEG)
    log.info(
        "product.decided",
        verdict=decision.verdict.value,
        revision=revision.number,
        complete=decision.complete,
        fail_count=decision.fail_count,
        reasons=[brief(reason) for reason in decision.reasons[:MOST_LOGGED]],
        decided_by=str(revision.decided_by),
        decided_ms=round(revised.inspection.timings.decided_ms),
    )
    return True


def _without_fail(work: Callable[[], T], otherwise: T) -> tuple[T, str]:
    """What `work` returns and "", or `otherwise` and why: a verdict must not fail for its drawing.

    Tried twice, for what a disk or a network does now and then; an adapter has its own retries inside that.
    """
    for last in (False, True):
        try:
            return work(), ""
        except Exception as error:  # a bug as well
            if last or not isinstance(error, TransientError | OSError):
                why = brief(str(error) or "it needs more memory than there is")
                log.warning("product.not_annotated", reason=why)
                return otherwise, why
    raise AssertionError

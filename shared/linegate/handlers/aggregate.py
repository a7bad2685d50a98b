"""Records one check; the last one decides the product."""

from dataclasses import asdict

from linegate.deciders import Decider
from linegate.errors import PermanentError
from linegate.handlers.context import Context
from linegate.handlers.revise import revise
from linegate.inspection import Result
from linegate.logs import bound, log
from linegate.messages import CheckMade
from linegate.precedence import Step, step
from linegate.verdict import decide


def aggregate(context: Context, made: CheckMade) -> None:
    """Record a check and decide when all are here.

    A check that is there already means "go on", never "done": whoever stored it may have died before deciding. Raises
    TransientError, and PermanentError for an inspection that does not exist.
    """
    store, inspection_id = context.inspections, made.inspection_id
    here = store.record_check(inspection_id, made.check)
    if made.check.result is Result.FAIL and made.deadline is not None and context.clock.now() >= made.deadline:
        _note_late_fail(context, made)
    if here < made.expected:
        return
    inspection = store.get(inspection_id)
    if inspection is None or inspection.manifest is None:
        raise PermanentError(f"there is no inspection {inspection_id} with a manifest to decide")
    decided_by = Decider.check(made.check.index)
    if step(inspection.revision, decided_by, complete=True) is Step.STANDS:
        return  # so no check is read in vain  # mutant `return ▶ pass` lives: `revise` says so as well
    manifest = inspection.manifest
    decision = decide(manifest, store.checks(inspection_id, manifest.expected))
    with bound(**asdict(inspection.place)):
        revise(context, inspection, decision, decided_by)


def _note_late_fail(context: Context, made: CheckMade) -> None:
    """Somebody may have decided without it, and a person's decision is not undone: that it came is kept."""
    context.inspections.note_late_fails(made.inspection_id, [made.check.index])
    inspection = context.inspections.get(made.inspection_id)
    if inspection is not None and inspection.contradicted:
        log.warning("board.contradicted", findings=list(inspection.contradicted))

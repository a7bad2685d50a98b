"""Once a minute: decides what is overdue, and publishes again what must have got lost."""

from datetime import timedelta

from linegate.errors import LinegateError
from linegate.handlers.context import Context
from linegate.handlers.deciding import publish_outbox, settle
from linegate.inspection import Inspection, decide
from linegate.logs import bound, log

BATCH = 200
NEVER_ATTEMPTED = timedelta(minutes=2)


def sweep(context: Context) -> None:
    """Decide overdue inspections with what is known of them; republish stranded notifications. Raises TransientError."""
    store, now = context.inspections, context.clock.now()
    for inspection in store.overdue(now, BATCH):
        with bound(inspection_id=inspection.inspection_id, line=inspection.place.line):
            try:
                _decide_overdue(context, inspection)
            except LinegateError as error:  # one board must not keep the others waiting
                log.error("board.sweep_failed", error=str(error))
    # Twice the longest backoff: by then the message of an entry that was tried has come again, or is lost.
    patience = timedelta(seconds=2 * context.settings.edge.retry.maximum_s)
    stranded = store.stranded(now - NEVER_ATTEMPTED, now - patience, BATCH)
    if stranded:
        log.warning("outbox.stranded", entries=len(stranded))
        publish_outbox(context, stranded)


def _decide_overdue(context: Context, inspection: Inspection) -> None:
    manifest = inspection.manifest
    checks = context.inspections.checks(inspection.inspection_id, manifest.expected) if manifest else {}
    log.warning("board.overdue", checks=len(checks), expected=manifest.expected if manifest else None)
    settle(context, inspection, "sweep", lambda board: decide(board.manifest, checks, board.fault))

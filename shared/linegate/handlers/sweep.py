"""On a clock: decides what is overdue, publishes again what must have got lost, and reports shifts that are over.

Each product and each entry is looked at by itself. What fails goes to the end of the queue, so that however much can't be
decided, everything else still is.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from time import monotonic
from typing import Final, TypeVar

from linegate.deciders import SWEEP
from linegate.handlers.context import Context
from linegate.handlers.outbox import publish_outbox
from linegate.handlers.reports import report_shifts
from linegate.handlers.revise import revise
from linegate.inspection import Inspection, OutboxEntry, OutboxState
from linegate.logs import bound, log
from linegate.verdict import decide

T = TypeVar("T")

BATCH: Final = 200  # mutant `200 ▶ 400` lives: a page of any size will do
# One sweep works so long at most; the next one goes on.
BUDGET_S: Final = 50.0
# A product that could not be decided is tried again after this long.
PAUSE: Final = timedelta(seconds=50)


def sweep(context: Context) -> None:
    """Decide overdue inspections with what is known of them; republish stranded notifications. Raises TransientError."""
    inspections, outbox, now = context.inspections, context.outbox, context.clock.now()
    until = monotonic() + BUDGET_S
    for board in _pages(lambda: inspections.overdue(now, BATCH), lambda board: board.inspection_id, until):
        with bound(inspection_id=board.inspection_id, **asdict(board.place)):
            _decide_overdue(context, board, now)
    lost = now - timedelta(seconds=context.settings.retry.patience_s)
    republished = 0  # mutant `0 ▶ 1` lives: for the log alone
    for entry in _pages(lambda: outbox.stranded(lost, lost, BATCH), lambda entry: entry.entry_id, until):
        if entry.target in context.settings.targets:
            republished += _republish(context, entry, now)
        else:
            _close(context, entry, now)
    if republished:
        log.warning("outbox.stranded", entries=republished)
    report_shifts(context)


def _pages(page: Callable[[], list[T]], key: Callable[[T], str], until: float) -> Iterator[T]:
    """All that `page` gives, page by page, each once: what was worked on must not be on the next page."""
    seen: set[str] = set()
    while new := [item for item in page() if key(item) not in seen]:
        for item in new:
            if monotonic() >= until:
                log.warning("sweep.unfinished", done=len(seen))
                return
            seen.add(key(item))
            yield item


def _decide_overdue(context: Context, inspection: Inspection, now: datetime) -> None:
    manifest, store = inspection.manifest, context.inspections
    try:
        checks = store.checks(inspection.inspection_id, manifest.expected) if manifest else {}
        log.warning("product.overdue", checks=len(checks), expected=manifest.expected if manifest else None)
        revise(context, inspection, decide(manifest, checks, inspection.fault), SWEEP)
    except Exception:  # whatever is wrong with one product, the others must not wait for it
        log.exception("product.sweep_failed")
        _postpone(context, inspection, now)


def _postpone(context: Context, inspection: Inspection, now: datetime) -> None:
    try:
        context.inspections.postpone(inspection.inspection_id, now + PAUSE)
    except Exception:
        log.exception("product.not_postponed")


def _republish(context: Context, entry: OutboxEntry, now: datetime) -> bool:
    """The new message takes the place of the old one: a notification is on its way once, however often it is published."""
    again = replace(entry, attempted_at=now, published=entry.published + 1)
    try:
        if not context.outbox.update(again):
            return False
        publish_outbox(context, [again])
    except Exception:
        log.exception("outbox.not_republished", entry=entry.entry_id)
        return False
    return True


def _close(context: Context, entry: OutboxEntry, now: datetime) -> None:
    """End what is for a target that the file no longer names: on Google Cloud no subscription takes its messages."""
    error = f"target {entry.target!r} is no longer in the configuration"
    try:
        context.outbox.update(replace(entry, state=OutboxState.DEAD, attempted_at=now, last_error=error))
    except Exception:
        log.exception("outbox.not_closed", entry=entry.entry_id)
    else:
        log.warning("notification.closed", target=entry.target, state=OutboxState.DEAD.value, error=error)

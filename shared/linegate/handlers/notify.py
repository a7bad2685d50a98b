"""One outbox entry ▶ one target."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from time import perf_counter

from linegate.errors import LinegateError, PermanentError, TargetGoneError, TransientError
from linegate.events import NotificationDue
from linegate.handlers.context import Context
from linegate.inspection import OutboxEntry, OutboxState
from linegate.logs import log
from linegate.ports import Target


def notify(context: Context, due: NotificationDue, target: Callable[[str], Target]) -> None:
    """Send one entry and mark what became of it.

    Raises TransientError while the target may still answer, so that the message comes again; PermanentError for an
    entry that does not exist.
    """
    store = context.inspections
    entry = store.outbox(due.entry_id)
    if entry is None:
        raise PermanentError(f"there is no outbox entry {due.entry_id}")
    if entry.state is not OutboxState.PENDING:
        log.info("notification.already_done", state=entry.state.value)
        return
    now = context.clock.now()
    settings = context.settings.targets.get(entry.target)
    if settings is None:
        _close(context, entry, OutboxState.DEAD, now, f"target {entry.target!r} is no longer in the configuration")
        return
    if store.sent_revision(entry.inspection_id, entry.target) > entry.revision:
        _close(context, entry, OutboxState.SUPERSEDED, now)
        return
    disabled = store.disabled_targets().get(entry.target)
    if disabled is not None:
        _hold(context, entry, now, disabled)
        return
    started = perf_counter()
    try:
        target(entry.target).send(entry.entry_id, entry.body, now)
    except TargetGoneError as error:
        store.disable_target(entry.target, str(error), now)
        log.error("target.disabled", target=entry.target, reason=str(error))
        _hold(context, replace(entry, attempts=entry.attempts + 1), now, str(error))
        return
    except LinegateError as error:
        tried = replace(entry, attempts=entry.attempts + 1, attempted_at=now, last_error=str(error))
        if now - entry.created_at > timedelta(seconds=settings.give_up_after_s):
            _close(context, tried, OutboxState.DEAD, now, str(error))
            return
        store.update_outbox(tried)
        wait = error.retry_after_s if isinstance(error, TransientError) else None
        raise TransientError(f"target {entry.target!r}: {error}", retry_after_s=wait) from error
    sent = replace(entry, attempts=entry.attempts + 1)
    _close(context, sent, OutboxState.SENT, now)
    log.info("notification.sent", target=entry.target, send_ms=round(1000 * (perf_counter() - started)))


def _hold(context: Context, entry: OutboxEntry, now: datetime, reason: str) -> None:
    _close(context, entry, OutboxState.HELD, now, reason)
    if entry.target not in context.inspections.disabled_targets(fresh=True):
        # Enabled in this very moment, perhaps before the entry was held: nobody else would send it any more.
        context.inspections.update_outbox(entry)
        raise TransientError(f"target {entry.target!r} was enabled just now")


def _close(context: Context, entry: OutboxEntry, state: OutboxState, now: datetime, error: str = "") -> None:
    context.inspections.update_outbox(
        replace(entry, state=state, attempted_at=now, last_error=error or entry.last_error)
    )
    if state is not OutboxState.SENT:
        log.warning("notification.closed", target=entry.target, state=state.value, error=error)

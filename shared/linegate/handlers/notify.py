"""One outbox entry ▶ one target.

Several deliveries may be at it at the same time, of one revision and of the next. Whoever has sent sets the entry's state
only if nobody touched it meanwhile; who finds it touched may have spoken out of turn, and has the highest revision said again.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from time import perf_counter

from linegate.errors import DeferredError, LinegateError, PermanentError, TargetGoneError, TransientError
from linegate.handlers.context import Context
from linegate.handlers.outbox import publish_outbox
from linegate.inspection import OutboxEntry, OutboxState
from linegate.logs import log
from linegate.messages import NotificationDue
from linegate.ports import Target


def notify(context: Context, due: NotificationDue, target: Callable[[str], Target]) -> None:
    """Send one entry and mark what became of it.

    Raises TransientError while the target may still answer, so that the message comes again; PermanentError for an
    entry that does not exist.
    """
    outbox = context.outbox
    entries = outbox.entries(due.inspection_id, due.target)
    entry = next((known for known in entries if known.entry_id == due.entry_id), None)
    if entry is None:
        raise PermanentError(f"there is no outbox entry {due.entry_id}")
    if entry.state is not OutboxState.PENDING or due.published < entry.published:
        log.info("notification.already_done", state=entry.state.value, published=due.published)
        return
    now = context.clock.now()
    settings = context.settings.targets.get(entry.target)
    if settings is None:
        _close(context, entry, OutboxState.DEAD, now, f"target {entry.target!r} is no longer in the configuration")
        return
    if entries[-1].revision > entry.revision:
        _close(context, entry, OutboxState.SUPERSEDED, now)
        return
    disabled = outbox.disabled_targets().get(entry.target)
    if disabled is not None:
        _hold(context, entry, now, disabled)
        return
    _supersede(context, entries[:-1], now)
    started = perf_counter()
    try:
        target(entry.target).send(entry.entry_id, entry.body, now)
    except DeferredError:
        raise
    except TargetGoneError as error:
        outbox.disable_target(entry.target, str(error), now)
        log.error("target.disabled", target=entry.target, reason=str(error))
        _hold(context, replace(entry, attempts=entry.attempts + 1), now, str(error))
        return
    except LinegateError as error:
        tried = replace(entry, attempts=entry.attempts + 1, attempted_at=now, last_error=str(error))
        if now - entry.created_at > timedelta(seconds=settings.give_up_after_s):
            _close(context, tried, OutboxState.DEAD, now, str(error))
            return
        if not outbox.update(tried):
            _say_again(context, entry, now)  # an attempt that seems to have failed may still have been heard
        wait = error.retry_after_s if isinstance(error, TransientError) else None
        raise TransientError(f"target {entry.target!r}: {error}", retry_after_s=wait) from error
    _close(context, replace(entry, attempts=entry.attempts + 1), OutboxState.SENT, now)
    log.info("notification.sent", target=entry.target, send_ms=round(1000 * (perf_counter() - started)))


def _supersede(context: Context, earlier: Sequence[OutboxEntry], now: datetime) -> None:
    """Close what would now be old news. Who is sending it at this moment finds out when it wants to say so."""
    for entry in earlier:
        if entry.state is OutboxState.PENDING:
            context.outbox.update(replace(entry, state=OutboxState.SUPERSEDED, attempted_at=now))


def _hold(context: Context, entry: OutboxEntry, now: datetime, reason: str) -> None:
    _close(context, entry, OutboxState.HELD, now, reason)
    if entry.target not in context.outbox.disabled_targets(fresh=True):
        # Enabled in this very moment, perhaps before the entry was held: nobody else would send it any more.
        context.outbox.update(replace(entry, version=entry.version + 1))
        raise TransientError(f"target {entry.target!r} was enabled just now")


def _close(context: Context, entry: OutboxEntry, state: OutboxState, now: datetime, error: str = "") -> None:
    closed = replace(entry, state=state, attempted_at=now, last_error=error or entry.last_error)
    if not context.outbox.update(closed):
        _say_again(context, entry, now)
    elif state is not OutboxState.SENT:
        log.warning("notification.closed", target=entry.target, state=state.value, error=error)


def _say_again(context: Context, entry: OutboxEntry, now: datetime) -> None:
    """Somebody else updated the entry meanwhile: the target may have heard it after a higher revision, or twice.

    The highest revision is said once more, so that it is the last one heard. Raises TransientError where this very entry is
    still to be sent.
    """
    outbox = context.outbox
    while True:
        last = outbox.entries(entry.inspection_id, entry.target)[-1]
        if last.revision > entry.revision and last.state in (OutboxState.SENT, OutboxState.PENDING):
            # Whoever is sending it finds its entry touched as well, and comes again.
            again = replace(last, state=OutboxState.PENDING, attempted_at=now, published=last.published + 1)
            if not outbox.update(again):
                continue
            log.warning("notification.said_again", target=entry.target, revision=last.revision, after=entry.revision)
            publish_outbox(context, [again])
        elif last.entry_id == entry.entry_id and last.state is OutboxState.PENDING:
            raise TransientError(f"entry {entry.entry_id} was updated while it was being sent")
        return

"""Shifts that are over ▶ a report for each target that takes them. Part of what `sweep` does on its clock.

The outbox entry is the latch: its id is made of shift, line and target, so whoever comes second, after a crash or at the same
moment, finds it there. How far a target has heard is noted only behind it.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Final

from linegate.handlers.context import Context
from linegate.handlers.outbox import publish_outbox
from linegate.inspection import OutboxEntry, outbox_id
from linegate.logs import log
from linegate.shift_report import body, report, report_id
from linegate.shifts import Shift, ended

# Who was off for longer is told of the last days only; `linegate report` makes any other.
LATE: Final = timedelta(days=3)
# The last products of a shift have their verdicts at their deadline, or at the sweep behind it.
SETTLE: Final = timedelta(minutes=2)
# A note from a time that has not come yet by more than this: the clock was set back.
AHEAD: Final = timedelta(hours=1)

Body = Callable[[Shift, str | None], str]


def report_shifts(context: Context) -> None:
    """Report to each target what ended since it was last told, the earliest first. What fails is tried by the next sweep."""
    settings, now = context.settings, context.clock.now()
    deadline_s = max(recipe.deadline_s for recipe in settings.recipes.values())
    over = now - timedelta(seconds=deadline_s) - SETTLE

    @cache
    def told(shift: Shift, line: str | None) -> str:
        return body(report(context.queries, settings, shift, line), settings, now)

    for name, target in settings.targets.items():
        if target.reports:
            try:
                _report(context, name, (None,) if target.lines is None else target.lines, over, told)
            except Exception:  # whatever is wrong with one target, the others must not wait for it
                log.exception("report.failed", target=name)


def _report(context: Context, target: str, lines: Sequence[str | None], over: datetime, told: Body) -> None:
    outbox, station = context.outbox, context.settings.station
    since = outbox.reported_until(target)
    if since is None or since > over + AHEAD:
        outbox.note_reported(target, over)  # it hears of what ends from now on
        return
    if over - since > LATE:
        log.warning("report.behind", target=target, days=round((over - since) / timedelta(days=1)))
    for shift in ended(over, min(over - since, LATE), station.starts, station.zone):
        entries = [_entry(context, target, shift, line, told) for line in lines]
        publish_outbox(context, [entry for entry in entries if outbox.add(entry)])
        log.info("shift.reported", target=target, shift=shift.key)
        outbox.note_reported(target, shift.counted_until)


def _entry(context: Context, target: str, shift: Shift, line: str | None, told: Body) -> OutboxEntry:
    about = report_id(shift, line)
    return OutboxEntry(
        entry_id=outbox_id(about, 1, target),
        inspection_id=about,
        line=line or "",
        revision=1,
        target=target,
        body=told(shift, line),
        created_at=context.clock.now(),
    )

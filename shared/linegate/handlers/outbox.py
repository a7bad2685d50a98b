"""Outbox entries on their way to their targets."""

from collections.abc import Sequence

from linegate.events import to_message
from linegate.handlers.context import Context
from linegate.inspection import OutboxEntry
from linegate.messages import NotificationDue
from linegate.ports import Message
from linegate.stages import NOTIFICATIONS


def publish_outbox(context: Context, entries: Sequence[OutboxEntry]) -> None:
    if entries:
        context.publisher.publish(NOTIFICATIONS, due(entries))


def due(entries: Sequence[OutboxEntry]) -> list[Message]:
    """The messages that have these entries sent."""
    return [
        to_message(NotificationDue(each.inspection_id, each.line, each.target, each.entry_id, each.published))
        for each in entries
    ]

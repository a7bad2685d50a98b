"""Pictures as conversations with lines hear of them."""

from typing import Final

from linegate.handlers.context import Context
from linegate.inspection import Inspection
from linegate.line.conversation import KeptConversation
from linegate.line.handshake import Phase, Picture

MOST_LOOKS: Final = 50  # of one part, the latest


def picture_of(inspection: Inspection) -> Picture:
    return Picture(inspection.inspection_id, inspection.place.serial, inspection.received_at)


def catch_up(context: Context, conversation: KeptConversation) -> None:
    """Tell a conversation of pictures that came before the gate was killed, which it did not hear of. Raises TransientError."""
    for job in conversation.waiting:
        if job.phase is Phase.TRIGGERED:
            looks = context.queries.find(job.part, MOST_LOOKS)
            for inspection in reversed(looks):
                if inspection.place.line == conversation.line and inspection.place.serial == job.part:
                    conversation.pictured(picture_of(inspection))

"""One line's registers and its conversation: what both sides of Modbus do the same way, whoever polls whom."""

import logging
import threading
from collections.abc import Sequence

from linegate.adapters.targets.modbus.registers import LINE, Order, said, shown
from linegate.errors import TransientError
from linegate.line.conversation import Conversation
from linegate.line.handshake import Acknowledge, Trigger

# It would write whole frames to the terminal; what matters of its connections is told in the gate's own words.
logging.getLogger("pymodbus").setLevel(logging.CRITICAL)


class Talk:
    """Safe to share between threads. What the line said last is said again with each look, as it stands there."""

    def __init__(self, conversation: Conversation, order: Order) -> None:
        self._conversation = conversation
        self._order = order
        self._lock = threading.Lock()
        self._trigger: Trigger | None = None
        self._acknowledge: Acknowledge | None = None
        self._shown: list[int] | None = None

    def hear(self, registers: Sequence[int], triggered: bool) -> None:
        """The line's block as it stands now, its job just shown where it is `triggered`: else the part there may be one that is
        laid ready for the next job. Raises TransientError: it must be said again.
        """
        with self._lock:
            trigger, self._acknowledge = said(registers, self._order)
            if triggered:
                self._trigger = trigger
            self._say()

    def job(self, registers: Sequence[int]) -> int:
        """The job in a line's block."""
        return int(self._order.take(registers, LINE)["job"])

    def show(self) -> list[int] | None:
        """The gate's block as it stands now; what it was where nothing new may be shown, None where nothing ever was."""
        with self._lock:
            try:
                self._say()
                self._shown = shown(self._conversation.signals(), self._order)
            except TransientError:
                pass
            return self._shown

    def _say(self) -> None:
        # Whoever has taken a result makes room for the next job.
        if self._acknowledge is not None:
            self._conversation.acknowledge(self._acknowledge.counter)
        if self._trigger is not None:
            self._conversation.trigger(self._trigger.job, self._trigger.part)

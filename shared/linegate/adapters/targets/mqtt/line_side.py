"""The line's side of the handshake over MQTT, as a controller has it: for trying out."""

import threading
from collections.abc import Callable, Sequence
from time import monotonic
from typing import Final

from linegate.adapters.targets.mqtt import signals
from linegate.adapters.targets.mqtt.session import Access, Kept, Publication, Session
from linegate.line.handshake import Acknowledge, Signals, Trigger

SAY_AGAIN_S: Final = 1.0


class LineSide:
    """Shows a gate what a line says, and has what the gate showed last. `shown` hears of it at once, from another thread."""

    def __init__(
        self, access: Access, signals_topic: str, line_topic: str, shown: Callable[[Signals], None] = lambda _: None
    ) -> None:
        self._access = access
        self._signals_topic = signals_topic
        self._line_topic = line_topic
        self._shown = shown
        self._lock = threading.Lock()
        self._last: Signals | None = None
        self._said = b""
        self._again_at = 0.0
        self._kept = Kept(access.called, self._opened, list, lambda _: None)

    def exchange(self, says: Sequence[Trigger | Acknowledge]) -> Signals | None:
        """Show the gate what the line says now; what the gate showed last, None before. Raises TransientError."""
        session, saying = self._kept.session(), signals.said(*says)
        # It stands until it is answered: what a broker has lost is said again.
        if says and (saying != self._said or monotonic() >= self._again_at):
            session.wait(session.put([Publication(self._line_topic, saying, retain=True)]))
            self._said, self._again_at = saying, monotonic() + SAY_AGAIN_S
        with self._lock:
            return self._last

    def close(self) -> None:
        self._kept.close()

    def _opened(self) -> Session:
        return Session(self._access, None, [self._signals_topic], self._hear)

    def _hear(self, topic: str, payload: bytes, order: str) -> None:
        try:
            shown = signals.read(payload)
        except ValueError:  # whatever it is, it is no answer
            return
        with self._lock:
            self._last = shown
        self._shown(shown)

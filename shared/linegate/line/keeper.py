"""The handshake of one line with its store: what is shown was stored before, and so was what is acknowledged to anybody."""

import threading
from datetime import datetime
from typing import Protocol

from linegate.line.handshake import Event, Pulse, Rules, Signals, State, looked, signals, step


class HandshakeStore(Protocol):
    """Keeps the state of one line. Both raise TransientError when the store can't answer."""

    def read(self) -> State | None:
        """What was written last; None where nothing ever was."""
        ...

    def write(self, state: State) -> None:
        """Durably, whole or not at all."""
        ...


class Keeper:
    """Safe to share between threads. One for each line, in one process."""

    def __init__(self, rules: Rules, store: HandshakeStore) -> None:
        self.rules = rules
        self._store = store
        self._lock = threading.Lock()
        self._state = store.read() or State()
        self._pulse = Pulse()

    @property
    def state(self) -> State:
        return self._state

    def take(self, event: Event, now: datetime) -> None:
        """Once this returns, the event is taken for good: it may be acknowledged to whoever brought it.

        Raises TransientError where it must come again, DeferredError among them.
        """
        with self._lock:
            self._step(event, now)

    def look(self, now: datetime, *, able: bool) -> None:
        """Somebody looked whether the gate can decide. Call it several times a second, after each look and never without one."""
        with self._lock:
            self._pulse = looked(self._pulse, now, able=able)

    def signals(self, now: datetime) -> Signals:
        """What to show the line now. Raises TransientError: then nothing new may be shown, and the heartbeat stands."""
        with self._lock:
            self._step(None, now)
            return signals(self._state, self._pulse, now, self.rules)

    def _step(self, event: Event | None, now: datetime) -> None:
        after = step(self._state, event, now, self.rules)
        if after is not self._state:
            self._store.write(after)
            self._state = after

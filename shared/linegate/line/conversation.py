"""What a protocol works with: the handshake of one line, with the gate behind it.

Whoever carries a protocol needs to know nothing else of the gate. All of it may be called from any thread.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Final, Protocol

from linegate.errors import TransientError
from linegate.line.handshake import Acknowledge, Decided, Event, Job, Picture, Rules, Signals, Told, Trigger
from linegate.line.keeper import Keeper
from linegate.logs import log

LONGEST_PART: Final = 200


class Conversation(Protocol):
    """With one line, for one target."""

    @property
    def line(self) -> str: ...

    @property
    def rules(self) -> Rules: ...

    def signals(self) -> Signals:
        """What to show now; this moves time on. Raises TransientError: show nothing new."""
        ...

    def trigger(self, job: int, part: str) -> None:
        """The line shows this trigger. It is stored once this returns; see the echo whether it was taken. Raises TransientError:
        it must come again.
        """
        ...

    def acknowledge(self, counter: int) -> None:
        """The line shows that it has the result with this counter. The same."""
        ...

    def decided(self, verdict: Decided) -> None:
        """A verdict came, by the outbox. It is stored once this returns. Raises TransientError: it must come again, DeferredError
        among them where there is no place for it yet.
        """
        ...

    def on_change(self, call: Callable[[], None]) -> None:
        """Have this called, quick, from any thread, when signals may have changed. Look several times a second all the same."""
        ...


class KeptConversation:
    """A Conversation over a store, and what the runtime tells it: pictures that came, and looks at the gate."""

    def __init__(self, line: str, keeper: Keeper, now: Callable[[], datetime]) -> None:
        self._line = line
        self._keeper = keeper
        self._now = now
        self._calls: tuple[Callable[[], None], ...] = ()

    @property
    def line(self) -> str:
        return self._line

    @property
    def rules(self) -> Rules:
        return self._keeper.rules

    def signals(self) -> Signals:
        return self._keeper.signals(self._now())

    def trigger(self, job: int, part: str) -> None:
        # From outside: it can be stored, and no serial of a picture is longer.
        self._take(Trigger(job, part[:LONGEST_PART].encode("utf-8", "replace").decode()), self._now())

    def acknowledge(self, counter: int) -> None:
        self._take(Acknowledge(counter), self._now())

    def decided(self, verdict: Decided) -> None:
        self._take(verdict, self._now())

    def on_change(self, call: Callable[[], None]) -> None:
        self._calls += (call,)

    def pictured(self, picture: Picture) -> None:
        """A picture of the line came. It is taken as of that moment, however late this is told. Raises TransientError."""
        self._take(picture, picture.at)

    def look(self, *, able: bool) -> None:
        """Somebody looked whether the gate can decide: see `Keeper.look`."""
        self._keeper.look(self._now(), able=able)
        self._changed()

    @property
    def waiting(self) -> tuple[Job, ...]:
        """The queue as it is stored, whatever time has done to it since."""
        return self._keeper.state.queue

    def untold(self) -> tuple[Job, ...]:
        """Parts whose picture did not come, and of which everybody is to be told. Raises TransientError."""
        self.signals()
        return self._keeper.state.untold

    def told(self, job: Job) -> None:
        """Everybody was. Raises TransientError."""
        self._take(Told(job.counter), self._now())

    def _take(self, event: Event, now: datetime) -> None:
        before = self._keeper.state
        self._keeper.take(event, now)
        if self._keeper.state is not before:
            self._changed()

    def _changed(self) -> None:
        for call in self._calls:
            try:
                call()
            except Exception:  # what was taken is stored: it is no matter of whoever brought it
                log.exception("line.not_shown", line=self._line)


def nobody(line: str, _: Rules) -> Conversation:
    """Where no gate runs there is nothing to say to a line."""
    raise TransientError(f"line {line} is spoken to by `linegate edge` only")

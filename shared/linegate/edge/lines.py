"""The runtime's part in conversations with lines: looks for their heartbeat, pictures that came, parts without."""

import threading
from collections import deque
from collections.abc import Callable
from functools import partial

from linegate.bootstrap import App
from linegate.edge.ability import Ability
from linegate.errors import LinegateError
from linegate.handlers.arrivals import picture_of
from linegate.handlers.triggered import missing
from linegate.inspection import Inspection
from linegate.line.conversation import KeptConversation
from linegate.logs import log

# Between two looks: several fit into the second after which a line takes the gate for dead.
LOOK_S = 0.2


class Lines:
    """`start` it when the targets are built, and `stop` it."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._telling = threading.Lock()
        self._whys: dict[str, str] = {}
        self._unheard: deque[Inspection] = deque()
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self, ability: Ability) -> None:
        if not self._app.conversations:
            return
        for name, work in (("look", partial(self.look, ability)), ("missing", self.tell_missing)):
            thread = threading.Thread(target=self._every, args=(work,), name=f"linegate-{name}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self, grace_s: float) -> bool:
        """From now on nobody looks. False if somebody was still busy after so many seconds."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(max(0.0, grace_s))
        return not any(thread.is_alive() for thread in self._threads)

    def look(self, ability: Ability) -> None:
        """Look once, and tell every conversation what was found."""
        why = ability.gate()
        found = {line: why or ability.line(line) for line in {each.line for each in self._conversations()}}
        for line, reason in found.items():
            self._note(line, reason)
        for conversation in self._conversations():
            conversation.look(able=not found[conversation.line])

    def pictured(self, inspection: Inspection) -> None:
        """A picture was taken up. What can't be told now is told later, as of this moment."""
        if self._conversations(inspection.place.line):
            self._unheard.append(inspection)
            self._tell_unheard()

    def tell_missing(self) -> None:
        """Tell everybody of parts whose picture did not come in time."""
        self._tell_unheard()
        for conversation in self._conversations():
            for job in conversation.untold():
                try:
                    missing(self._app.context, conversation, job)
                except LinegateError as error:  # the others need not wait for it
                    log.warning("line.missing_not_told", line=conversation.line, part=job.part, reason=str(error))

    def _tell_unheard(self) -> None:
        with self._telling:
            try:
                while self._unheard:
                    inspection = self._unheard[0]
                    for conversation in self._conversations(inspection.place.line):
                        conversation.pictured(picture_of(inspection))
                    self._unheard.popleft()
            except LinegateError as error:
                log.warning("line.picture_not_told", reason=str(error))

    def _conversations(self, line: str | None = None) -> list[KeptConversation]:
        found = list(self._app.conversations.values())
        return [each for each in found if line in (None, each.line)]

    def _note(self, line: str, why: str) -> None:
        if self._whys.get(line) != why:
            self._whys[line] = why
            if why:
                log.error("line.gate_unable", line=line, reason=why)
            else:
                log.info("line.gate_able", line=line)

    def _every(self, work: Callable[[], None]) -> None:
        while not self._stopping.wait(LOOK_S):
            try:
                work()
            except LinegateError as error:
                log.warning("line.clock_failed", thread=threading.current_thread().name, reason=str(error))
            except Exception:  # without this thread no heartbeat would ever move again
                log.exception("line.clock_crashed", thread=threading.current_thread().name)

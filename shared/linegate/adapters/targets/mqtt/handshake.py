"""The kind `mqtt-handshake`: gate and line agree over a broker of MQTT on which result is of which part.

The gate's signals stand retained on one topic of the line, what the line shows on another. One thread for each line takes what
the line showed, in its order, and then shows what follows. It has one message under way at a time, so what it shows next is
always the newest.
"""

import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal

from pydantic import AfterValidator

from linegate.adapters.targets.controller import HandshakeTarget, tell
from linegate.adapters.targets.mqtt import signals, template
from linegate.adapters.targets.mqtt.broker import Broker
from linegate.adapters.targets.mqtt.kind import OF_LINE, status_of
from linegate.errors import DeferredError, TransientError
from linegate.kind import Surroundings
from linegate.line.conversation import Conversation
from linegate.line.handshake import Acknowledge, Signals, Trigger
from linegate.logs import log
from linegate.ports import Target

if TYPE_CHECKING:
    from linegate.adapters.targets.mqtt.line_side import LineSide
    from linegate.adapters.targets.mqtt.session import Session

Topic = Annotated[str, AfterValidator(partial(template.sound_topic, fields=OF_LINE))]
LOOK_S: Final = 0.1
# Of what a line showed and the store has not taken yet: what it shows stands, and its last words are what counts
MOST_HEARD: Final = 64


class MqttHandshake(Broker, HandshakeTarget):
    """Speaks the handshake with a line's controller, over a broker."""

    type: Literal["mqtt-handshake"] = "mqtt-handshake"
    signals_topic: Topic = "linegate/{line}/signals"
    """Where the gate's signals stand (retained)."""
    line_topic: Topic = "linegate/{line}/line"
    """Where the line shows its job, its part and what it has acknowledged."""
    status_topic: Topic = "linegate/{line}/status"
    """Where the broker says whether the gate is there (retained, last will)."""

    mend: ClassVar[str] = Broker.mend

    @classmethod
    def lacks(cls, written: Mapping[str, Any], file: Mapping[str, Any]) -> Iterator[str]:
        yield from super().lacks(written, file)
        lines = written.get("lines") or file.get("lines") or ()
        for key in ("signals_topic", "line_topic", "status_topic"):
            if written.get(key) and "{line}" not in str(written[key]) and len(lines) > 1:
                yield f"{key}: needs {{line}}, for there are several"

    def build(self, around: Surroundings) -> Target:
        target = HandshakeOverMqtt(self, around)
        around.at_stop(target.close)
        return target

    def line_side(
        self, line: str, around: Surroundings, shown: Callable[[Signals], None] = lambda _: None
    ) -> "LineSide":
        """Play this line. `shown` hears at once of what the gate shows, from another thread."""
        from linegate.adapters.targets.mqtt.line_side import LineSide

        shows, says = (template.topic(topic, {"line": line}) for topic in (self.signals_topic, self.line_topic))
        return LineSide(self.access(around), shows, says, shown)


class HandshakeOverMqtt:
    """The port Target: a verdict is sent when the handshake has stored it."""

    def __init__(self, kind: MqttHandshake, around: Surroundings) -> None:
        from linegate.adapters.targets.mqtt.session import Links

        access = kind.access(around)
        links = Links(access.called, around.link)
        self._conversations = kind.conversations(around)
        self._exchanges = [
            Exchange(kind, access, conversation, partial(links.told, line))
            for line, conversation in self._conversations.items()
        ]

    def send(self, entry_id: str, body: str, now: datetime) -> None:
        tell(self._conversations, body)

    def close(self) -> None:
        for exchange in self._exchanges:
            exchange.close()


class Exchange:
    """With one line."""

    def __init__(
        self, kind: MqttHandshake, access: Any, conversation: Conversation, told: Callable[[str], None]
    ) -> None:
        from linegate.adapters.targets.mqtt.session import Kept

        named = {"line": conversation.line}
        self._access = access
        self._conversation = conversation
        self._signals_topic = template.topic(kind.signals_topic, named)
        self._line_topic = template.topic(kind.line_topic, named)
        self._status_topic = template.topic(kind.status_topic, named)
        self._heard: deque[Acknowledge | Trigger] = deque(maxlen=MOST_HEARD)
        self._changed = threading.Event()
        self._stopping = threading.Event()
        self._fault = ""
        self._kept: Kept = Kept(access.called, self._opened, lambda: [status_of(self._status_topic, "offline")], told)
        conversation.on_change(self._changed.set)
        self._thread = threading.Thread(target=self._run, name=f"linegate-mqtt-{conversation.line}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._stopping.set()
        self._changed.set()
        self._kept.close()
        self._thread.join(LOOK_S + self._access.timeout_s)

    def _opened(self) -> "Session":
        from linegate.adapters.targets.mqtt.session import Session

        will, first = (status_of(self._status_topic, state) for state in ("offline", "online"))
        return Session(self._access, will, [self._line_topic], self._hear, [first])

    def _hear(self, topic: str, payload: bytes, order: str) -> None:
        try:
            self._heard.extend(signals.heard(payload))
        except ValueError as error:
            log.warning("line.not_understood", line=self._conversation.line, topic=topic, reason=str(error))
        self._changed.set()

    def _run(self) -> None:
        stands: tuple[Session, Signals] | None = None
        while not self._stopping.is_set():
            self._changed.wait(LOOK_S)
            self._changed.clear()
            fault = ""
            try:
                self._take()
                shows, session = self._conversation.signals(), self._kept.session()
                if stands != (session, shows):
                    self._show(session, shows)
                    stands = session, shows
            except DeferredError:  # who is not connected is told by `link`
                pass
            except TransientError as error:  # nothing new is shown, so the heartbeat stands
                fault = str(error)
            except Exception:  # without this thread the line would never hear anything again
                log.exception("line.exchange_failed", line=self._conversation.line)
                self._stopping.wait(LOOK_S)
            if fault and fault != self._fault:
                log.warning("line.not_told", line=self._conversation.line, reason=fault)
            self._fault = fault

    def _take(self) -> None:
        """What the store did not take stays the first."""
        while self._heard:
            event = self._heard[0]
            if isinstance(event, Trigger):
                self._conversation.trigger(event.job, event.part)
            else:
                self._conversation.acknowledge(event.counter)
            self._heard.popleft()

    def _show(self, session: "Session", shows: Signals) -> None:
        from linegate.adapters.targets.mqtt.session import Publication

        session.wait(session.put([Publication(self._signals_topic, signals.shown(shows), retain=True)]))

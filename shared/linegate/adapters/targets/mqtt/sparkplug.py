"""The kind `sparkplug`: verdicts as Sparkplug B has them. The gate is an edge node, each line a device of it.

Source: Sparkplug 3.0.0 (Eclipse Foundation). Births and data are of QoS 0 there, so the broker acknowledges none of them.
A verdict counts as sent when the broker has answered a request that followed it on the same connection.
"""

import json
import threading
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final, Literal

from linegate import __version__
from linegate.adapters.targets.mqtt import template
from linegate.adapters.targets.mqtt.broker import Broker
from linegate.adapters.targets.mqtt.kind import beside_the_line, unless_old
from linegate.adapters.targets.mqtt.payload import Kind, Metric, payload, truths
from linegate.errors import DeferredError, LinegateError, TransientError
from linegate.kind import Surroundings
from linegate.logs import log
from linegate.ports import Target
from linegate.sections import Name

if TYPE_CHECKING:
    from linegate.adapters.targets.mqtt.session import Publication, Session

NAMESPACE: Final = "spBv1.0"
REBIRTH: Final = "Node Control/Rebirth"
NUMBERS: Final = 256  # of sequences: 0 … 255, then 0 again
# What a device tells of its last product: name, kind, and the field of the notification
METRICS: Final = (
    ("Inspection/Verdict", Kind.STRING, "verdict"),
    ("Inspection/Accept", Kind.BOOLEAN, "accept"),
    ("Inspection/Serial", Kind.STRING, "serial"),
    ("Inspection/Id", Kind.STRING, "inspection_id"),
    ("Inspection/Revision", Kind.UINT32, "revision"),
    ("Inspection/Station", Kind.STRING, "station"),
    ("Inspection/Recipe", Kind.STRING, "recipe"),
    ("Inspection/Defects", Kind.UINT32, "fail_count"),
    ("Inspection/Summary", Kind.STRING, "summary"),
    ("Inspection/Decided by", Kind.STRING, "decided_by"),
    ("Inspection/Received at", Kind.DATE_TIME, "received_at"),
    ("Inspection/Decided at", Kind.DATE_TIME, "decided_at"),
)


class Sparkplug(Broker):
    """Publishes verdicts as Sparkplug B: an edge node, with a device for each line."""

    type: Literal["sparkplug"] = "sparkplug"
    group: Name = "linegate"
    """The group that this gate is of."""
    node: Name = "gate"
    """This gate's name as an edge node; no other may have it in the group."""

    in_order: ClassVar[bool] = True
    reportable: ClassVar[bool] = False  # a device is a line

    @classmethod
    def lacks(cls, written: Mapping[str, Any], file: Mapping[str, Any]) -> Iterator[str]:
        yield from super().lacks(written, file)
        yield from beside_the_line(file)

    def build(self, around: Surroundings) -> Target:
        target = EdgeNode(self, around)
        around.at_stop(target.close)
        return target


class EdgeNode:
    """The port Target: one connection, whose births precede whatever else it says."""

    def __init__(self, kind: Sparkplug, around: Surroundings) -> None:
        from linegate.adapters.targets.mqtt.session import Kept, Links

        self._kind = kind
        self._access = kind.access(around)
        self._lock = threading.Lock()
        self._last: dict[str, Mapping[str, Any]] = {line: {} for line in kind.lines or around.lines}  # by device
        self._born: Session | None = None  # whose births were said
        self._reborn: list[int] = []  # messages that nobody has waited for yet
        self._seq = 0
        # It grows with each connection, and a start of the gate must not take up the number of the one before.
        self._bd_seq = int(time.time()) % NUMBERS
        links = Links(self._access.called, around.link)
        self._kept = Kept(self._access.called, self._opened, self._goodbye, partial(links.told, ""))

    def send(self, entry_id: str, body: str, now: datetime) -> None:
        with unless_old(body, now, self._kind.give_up_after_s):
            session, data = self._kept.session(), json.loads(body)["data"]
            device = template.topic("{line}", data)
            with self._lock:
                if session is not self._born:
                    raise DeferredError("the edge node is just being born", retry_after_s=1.0)
                new, self._last[device] = device not in self._last, data
                numbers = [*self._reborn, *session.put([self._of_device("DBIRTH" if new else "DDATA", device)])]
                self._reborn = []
            session.wait([*numbers, session.ask()])

    def close(self) -> None:
        self._kept.close()

    def _opened(self) -> "Session":
        from linegate.adapters.targets.mqtt.session import Session

        with self._lock:
            self._bd_seq = (self._bd_seq + 1) % NUMBERS
            death = self._death()
        session = Session(self._access, death, [self._topic("NCMD")], self._command)
        try:
            with self._lock:
                self._born, self._reborn = session, []
                numbers = session.put(self._births())
            session.wait([*numbers, session.ask()])
        except TransientError:
            session.drop()
            raise
        return session

    def _goodbye(self) -> "list[Publication]":
        return [self._death()]

    def _command(self, topic: str, written: bytes, order: str) -> None:
        try:
            wanted = truths(written).get(REBIRTH)
        except ValueError as error:
            log.warning("sparkplug.not_understood", topic=topic, reason=str(error))
            return
        with self._lock:
            if wanted and self._born is not None and not self._born.lost.is_set():
                try:
                    self._reborn += self._born.put(self._births())
                except LinegateError as error:  # the next connection begins with them anyway
                    log.warning("sparkplug.not_reborn", reason=str(error))

    def _births(self) -> "list[Publication]":
        from linegate.adapters.targets.mqtt.session import Publication

        self._seq = 0
        metrics = (
            self._bd_seq_metric(),
            Metric(REBIRTH, Kind.BOOLEAN, False),
            Metric("Properties/Software", Kind.STRING, f"linegate {__version__}"),
        )
        node = Publication(self._topic("NBIRTH"), payload(metrics, _now_ms(), 0), qos=0)
        return [node, *(self._of_device("DBIRTH", device) for device in self._last)]

    def _death(self) -> "Publication":
        from linegate.adapters.targets.mqtt.session import Publication

        return Publication(self._topic("NDEATH"), payload([self._bd_seq_metric()], None, None))

    def _of_device(self, word: str, device: str) -> "Publication":
        from linegate.adapters.targets.mqtt.session import Publication

        self._seq = (self._seq + 1) % NUMBERS
        metrics = [Metric(name, kind, _value(kind, key, self._last[device])) for name, kind, key in METRICS]
        return Publication(f"{self._topic(word)}/{device}", payload(metrics, _now_ms(), self._seq), qos=0)

    def _bd_seq_metric(self) -> Metric:
        return Metric("bdSeq", Kind.INT64, self._bd_seq)

    def _topic(self, word: str) -> str:
        return f"{NAMESPACE}/{self._kind.group}/{word}/{self._kind.node}"


def _value(kind: Kind, key: str, data: Mapping[str, Any]) -> str | int | bool | None:
    """As the notification has it; None before the first product."""
    if not data:
        return None
    if key == "accept":
        return data.get("verdict") == "PASS"
    value = data.get(key)
    if kind is Kind.DATE_TIME and value is not None:
        return int(1000 * datetime.fromisoformat(value).timestamp())
    return str(value) if kind is Kind.STRING and value is not None else value


def _now_ms() -> int:
    return int(1000 * datetime.now(UTC).timestamp())

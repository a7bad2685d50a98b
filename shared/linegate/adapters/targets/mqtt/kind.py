"""The kind `mqtt`: verdicts to a broker of MQTT (5, or 3.1.1 by OASIS), which acknowledges each before it counts as sent."""

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal

from pydantic import AfterValidator

from linegate import __version__
from linegate.adapters.targets.mqtt import template
from linegate.adapters.targets.mqtt.broker import Broker
from linegate.errors import DeferredError, TransientError
from linegate.kind import Surroundings
from linegate.ports import Target

if TYPE_CHECKING:
    from linegate.adapters.targets.mqtt.session import Access, Kept, Publication, Session

OF_LINE: Final = frozenset({"line"})
# Of an inspection's notifications: the later one was received later, or is the higher revision
Order = tuple[datetime, int]


class Mqtt(Broker):
    """Publishes notifications with QoS 1; the broker must acknowledge each."""

    type: Literal["mqtt"] = "mqtt"
    topic: Annotated[str, AfterValidator(template.sound_topic)] = "linegate/{line}/verdicts"
    """Where verdicts are published. `{line}`, `{serial}` and other fields of the notification may stand in it."""
    last_topic: Annotated[str, AfterValidator(partial(template.sound_topic, fields=OF_LINE))] | None = (
        "linegate/{line}/last"
    )
    """Where the last product's verdict stays (retained); null for nowhere."""
    status_topic: Annotated[str, AfterValidator(partial(template.sound_topic, fields=OF_LINE))] | None = (
        "linegate/{line}/status"
    )
    """Where the broker says whether the gate is there (retained, last will); null for nowhere."""
    payload: Annotated[str, AfterValidator(template.sound)] | None = None
    """A text with fields such as `{verdict}` in place of the whole notification, e.g. '{"part": "{serial}", "ok": {accept}}'."""

    in_order: ClassVar[bool] = True
    reportable: ClassVar[bool] = False  # a topic is of a line

    @classmethod
    def lacks(cls, written: Mapping[str, Any], file: Mapping[str, Any]) -> Iterator[str]:
        yield from super().lacks(written, file)
        yield from beside_the_line(file)

    def build(self, around: Surroundings) -> Target:
        target = MqttTarget(self, self.access(around), self.lines or around.lines, around.link)
        around.at_stop(target.close)
        return target


class MqttTarget:
    """The port Target: one connection for each status topic, kept open. SENT is what the broker acknowledged."""

    def __init__(self, kind: Mqtt, access: "Access", lines: Sequence[str], link: Callable[[bool, str], None]) -> None:
        from linegate.adapters.targets.mqtt.session import Links

        self._kind = kind
        self._access = access
        self._links = Links(access.called, link)
        self._lock = threading.Lock()
        self._newest: dict[str, Order] = {}  # by topic of last verdicts
        # The broker knows one last will of each connection.
        served: dict[str, list[str]] = {}
        for line in lines:
            served.setdefault(_named(kind.status_topic, line), []).append(line)
        kept = {status: self._keep(status, among) for status, among in served.items()}
        self._kept = tuple(kept.values())
        self._by_line = {line: kept[status] for status, among in served.items() for line in among}

    def send(self, entry_id: str, body: str, now: datetime) -> None:
        with unless_old(body, now, self._kind.give_up_after_s):
            self._send(body, now)

    def close(self) -> None:
        for kept in self._kept:
            kept.close()

    def _send(self, body: str, now: datetime) -> None:
        from linegate.adapters.targets.mqtt.session import Publication

        kind, data = self._kind, json.loads(body)["data"]
        line = str(data.get("line") or "")
        # Products of a line that the file does not know are told as well; they have no connection of their own.
        session = self._by_line.get(line, self._kept[0]).session()
        payload = (body if kind.payload is None else template.payload(kind.payload, data)).encode("utf-8", "replace")
        order = order_of(data)
        publications = [Publication(template.topic(kind.topic, data), payload)]
        last = _named(kind.last_topic, line)
        with self._lock:  # what is put first is heard first
            if last and order and line in self._by_line and not self._is_older(order, self._newest.get(last), now):
                self._newest[last] = order
                publications.append(Publication(last, payload, retain=True, order=_written(order)))
            numbers = session.put(publications)
        session.wait(numbers)

    @staticmethod
    def _is_older(order: Order, newest: Order | None, now: datetime) -> bool:
        """What is of tomorrow stands for nothing: some clock was wrong."""
        return newest is not None and order < newest and newest[0] <= now

    def _keep(self, status: str, lines: Sequence[str]) -> "Kept":
        from linegate.adapters.targets.mqtt.session import Kept

        offline = [status_of(status, "offline")] if status else []
        told = partial(self._links.told, status)
        return Kept(self._access.called, partial(self._opened, status, lines), lambda: offline, told)

    def _opened(self, status: str, lines: Sequence[str]) -> "Session":
        from linegate.adapters.targets.mqtt.session import Session

        last = {_named(self._kind.last_topic, line) for line in lines} - {""}
        will = status_of(status, "offline") if status else None
        first = [status_of(status, "online")] if status else []
        return Session(self._access, will, sorted(last), self._learn, first)

    def _learn(self, topic: str, payload: bytes, order: str) -> None:
        """What stands retained is not to be followed by what is older: a gate that was just started does not know it."""
        known = _read(order) or order_of(_data(payload))
        if known:
            with self._lock:
                self._newest[topic] = max(known, self._newest.get(topic, known))


@contextmanager
def unless_old(body: str, now: datetime, give_up_after_s: float) -> Iterator[None]:
    """That nobody was there to take a notification is no attempt; when it is old news it is one, so that it is given up."""
    try:
        yield
    except DeferredError as error:
        if _age(body, now) > timedelta(seconds=give_up_after_s):
            raise TransientError(str(error)) from error
        raise


def beside_the_line(file: Mapping[str, Any]) -> Iterator[str]:
    if file.get("cloud"):
        yield "type: needs a gate beside the line: functions on Google Cloud keep no connection open"


def status_of(topic: str, state: str) -> "Publication":
    """What stays on the status topic of a line: whether the gate is there."""
    from linegate.adapters.targets.mqtt.session import Publication

    said = json.dumps({"state": state, "software": f"linegate {__version__}"})
    return Publication(topic, said.encode(), retain=True)


def order_of(data: Mapping[str, Any]) -> Order | None:
    """Where a notification stands among those of its line; None for one that is of no product."""
    return _order(data.get("received_at"), data.get("revision"))


def _named(topic: str | None, line: str) -> str:
    return template.topic(topic, {"line": line}) if topic else ""


def _written(order: Order) -> str:
    return json.dumps([order[0].isoformat(), order[1]])


def _read(written: str) -> Order | None:
    try:
        return _order(*json.loads(written))
    except (TypeError, ValueError):
        return None


def _order(received_at: Any, revision: Any) -> Order | None:
    try:
        at = datetime.fromisoformat(received_at)
        return None if at.tzinfo is None else (at, int(revision))
    except (TypeError, ValueError):
        return None


def _data(payload: bytes) -> Mapping[str, Any]:
    try:
        data = json.loads(payload)["data"]
    except (ValueError, KeyError, TypeError):
        return {}
    return data if isinstance(data, dict) else {}


def _age(body: str, now: datetime) -> timedelta:
    try:
        return now - datetime.fromisoformat(json.loads(body)["timestamp"])
    except (KeyError, TypeError, ValueError):
        return timedelta(0)

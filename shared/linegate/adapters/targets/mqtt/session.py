"""Connections to a broker of MQTT, over paho-mqtt.

The outbox is the one owner of repeats. The client would queue what is published while it is not connected, say that it failed,
and deliver it all the same later, after what is newer. So a session is one connection, from its CONNACK to its loss, and what was
not acknowledged goes down with it.
"""

import ssl
import threading
import uuid
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from socket import SHUT_RDWR
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

from linegate.adapters.targets.place import address_of
from linegate.errors import DeferredError, LinegateError, TransientError
from linegate.logs import log
from linegate.sections import Network

if TYPE_CHECKING:
    from paho.mqtt.client import Client

CONNECT_S: Final = 5.0
KEEPALIVE_S: Final = 10  # a broker that is gone without a word is noticed after one and a half of it
GOODBYE_S: Final = 1.0
FIRST_PAUSE_S: Final = 0.1
LONGEST_PAUSE_S: Final = 5.0
# How long a notification waits for a connection that is just being made, and when it comes again after one that was lost
PATIENCE_S: Final = 2.0
AGAIN_S: Final = 1.0
REFUSED: Final = 0x80  # reason codes from here on are refusals (MQTT 5, 2.4)


@dataclass(frozen=True, slots=True)
class Access:
    """Where a broker is, and how it knows us."""

    host: str
    port: int
    encrypted: bool
    network: Network
    version_5: bool = True
    username: str | None = None
    password: str | None = None
    ca: Path | None = None  # who vouches for the broker; the system's own authorities, if None
    certificate: Path | None = None  # ours, and its key
    key: Path | None = None
    timeout_s: float = 10.0

    @property
    def called(self) -> str:
        return f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Publication:
    """What is published."""

    topic: str
    payload: bytes
    retain: bool = False
    qos: int = 1
    order: str = ""  # with MQTT 5 a user property of that name, so that whoever reads it back knows what is newer


Heard = Callable[[str, bytes, str], None]
"""Is told topic, payload and order of each message; called by the connection's own thread."""


class _Named(ssl.SSLContext):
    """Holds the certificate to a name, though the connection goes to the address that the name has led to."""

    name = ""
    made: ssl.SSLSocket | None = None

    def wrap_socket(self, sock: Any, *arguments: Any, **options: Any) -> ssl.SSLSocket:
        self.made = super().wrap_socket(sock, *arguments, **options | {"server_hostname": self.name})
        return self.made


class Session:
    """One connection. Safe to share between threads.

    Made, it is connected, has subscribed to `listen` and published `first`: raises TransientError otherwise. `will` is what the
    broker publishes should the connection break. A connection that broke is a DeferredError: nobody has refused anything.
    """

    def __init__(
        self,
        access: Access,
        will: Publication | None = None,
        listen: Sequence[str] = (),
        heard: Heard = lambda *_: None,
        first: Sequence[Publication] = (),
    ) -> None:
        self._access = access
        self._heard = heard
        self._changed = threading.Condition()
        self._answer: Any = None  # the CONNACK's reason
        self._answers: dict[int, int] = {}  # the highest reason code of PUBACKs and SUBACKs, by message
        self.lost = threading.Event()
        try:
            self._client = self._connected(will)
        except ImportError as error:
            raise TransientError(
                f"paho-mqtt can't be loaded ({error}); install Linegate with its extra mqtt"
            ) from error
        try:
            self.wait([self._subscribed(topic) for topic in listen])
            self.wait(self.put(first))
        except TransientError:
            self.drop()
            raise

    def put(self, publications: Sequence[Publication]) -> list[int]:
        """Send these, in this order, after what was put before. `wait` tells whether they were taken. Raises DeferredError."""
        numbers = []
        for each in publications:
            sent = self._client.publish(each.topic, each.payload, each.qos, each.retain, self._properties(each))
            self._went(sent.rc)
            numbers.append(sent.mid)
        return numbers

    def wait(self, numbers: Sequence[int]) -> None:
        """Until the broker has acknowledged all of them.

        Raises TransientError where it refused one, DeferredError where it did not answer: what is in doubt is to be sent again.
        """
        with self._changed:
            done = self._changed.wait_for(
                lambda: self.lost.is_set() or all(number in self._answers for number in numbers), self._access.timeout_s
            )
            answers = [self._answers.pop(number, None) for number in numbers]
        if not done:
            self.drop()
            raise self._gone(f"{self._access.called} did not acknowledge it within {self._access.timeout_s:g} s")
        refusal = next((answer for answer in answers if answer is not None and answer >= REFUSED), None)
        if refusal is not None:
            raise TransientError(f"{self._access.called} refused it (reason code {refusal:#x}, MQTT 5, 2.4)")
        if None in answers:
            raise self._gone(f"the connection to {self._access.called} broke before it was acknowledged")

    def ask(self) -> int:
        """Ask the broker for something that changes nothing: when `wait` has its answer, it has read what was put before.

        Brokers read a connection in its order. Raises DeferredError.
        """
        code, number = self._client.unsubscribe("linegate/nobody")
        self._went(code)
        return number or 0

    def drop(self) -> None:
        """Cut the connection, so that the broker publishes the will."""
        self._lose()
        connection: Any = self._client.socket()
        if connection is not None:
            with suppress(OSError):
                connection.shutdown(SHUT_RDWR)

    def close(self, last: Sequence[Publication] = ()) -> None:
        """Say goodbye: with these as the last words, and without the will."""
        if not self.lost.is_set():
            with suppress(TransientError):
                numbers = self.put(last)
                with self._changed:
                    self._changed.wait_for(
                        lambda: self.lost.is_set() or all(number in self._answers for number in numbers), GOODBYE_S
                    )
            self._client.disconnect()
            self.lost.wait(GOODBYE_S)
        self.drop()

    def _connected(self, will: Publication | None) -> "Client":
        from paho.mqtt.client import Client, MQTTv5, MQTTv311
        from paho.mqtt.enums import CallbackAPIVersion

        access = self._access
        address = address_of(access.host, access.port, access.network, encrypted=access.encrypted)
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=f"linegate-{uuid.uuid4().hex[:12]}",
            protocol=MQTTv5 if access.version_5 else MQTTv311,
            reconnect_on_failure=False,
        )
        client.connect_timeout = CONNECT_S
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_answer
        client.on_unsubscribe = self._on_answer
        client.on_message = self._on_message
        if will is not None:
            client.will_set(will.topic, will.payload, will.qos, will.retain)
        if access.username is not None:
            client.username_pw_set(access.username, access.password)
        encryption = self._encryption() if access.encrypted else None
        if encryption is not None:
            client.tls_set_context(encryption)
        try:
            client.connect(address, access.port, KEEPALIVE_S)
        except OSError as error:
            if encryption is not None and encryption.made is not None:
                encryption.made.close()  # the client forgets it where the handshake fails
            why = "no encrypted connection" if isinstance(error, ssl.SSLError) else "no connection"
            raise TransientError(f"{why} to {access.called}: {error.strerror or error}") from error
        client.loop_start()
        with self._changed:
            self._changed.wait_for(lambda: self._answer is not None or self.lost.is_set(), CONNECT_S)
        self._client = client
        if self._answer is None or self._answer.is_failure:
            self.drop()
            silent = "it closed it" if self.lost.is_set() else "it says nothing"
            said = silent if self._answer is None else str(self._answer)
            raise TransientError(f"{access.called} did not take the connection: {said}")
        return client

    def _encryption(self) -> _Named:
        access, context = self._access, _Named(ssl.PROTOCOL_TLS_CLIENT)
        context.name = access.host
        try:
            if access.ca is None:
                context.load_default_certs()
            else:
                context.load_verify_locations(access.ca)
            if access.certificate is not None:
                context.load_cert_chain(access.certificate, access.key, password="")
        except OSError as error:
            files = ", ".join(str(file) for file in (access.ca, access.certificate, access.key) if file)
            raise TransientError(f"certificates can't be read ({files}): {error.strerror or error}") from error
        return context

    def _subscribed(self, topic: str) -> int:
        from paho.mqtt.subscribeoptions import SubscribeOptions

        code, number = (
            self._client.subscribe(topic, options=SubscribeOptions(qos=1, noLocal=True))
            if self._access.version_5
            else self._client.subscribe(topic, 1)
        )
        self._went(code)
        return number or 0

    def _went(self, code: int) -> None:
        if code != 0:
            self.drop()
            raise self._gone(f"the connection to {self._access.called} broke")

    @staticmethod
    def _gone(why: str) -> DeferredError:
        return DeferredError(why, retry_after_s=AGAIN_S)

    def _properties(self, each: Publication) -> Any:
        if not (self._access.version_5 and each.order):
            return None
        from paho.mqtt.packettypes import PacketTypes
        from paho.mqtt.properties import Properties

        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.UserProperty = ("order", each.order)
        return properties

    def _lose(self) -> None:
        with self._changed:
            self.lost.set()
            self._changed.notify_all()

    # The client's thread calls these

    def _on_connect(self, client: Any, data: Any, flags: Any, reason: Any, properties: Any) -> None:
        with self._changed:
            self._answer = reason
            self._changed.notify_all()

    def _on_disconnect(self, client: Any, data: Any, flags: Any, reason: Any, properties: Any) -> None:
        self._lose()

    def _on_publish(self, client: Any, data: Any, number: int, reason: Any, properties: Any) -> None:
        with self._changed:
            self._answers[number] = reason.value
            self._changed.notify_all()

    def _on_answer(self, client: Any, data: Any, number: int, reasons: Any, properties: Any) -> None:
        with self._changed:
            self._answers[number] = max((reason.value for reason in reasons), default=0)
            self._changed.notify_all()

    def _on_message(self, client: Any, data: Any, message: Any) -> None:
        try:
            known = dict(getattr(message.properties, "UserProperty", ()))
            self._heard(message.topic, message.payload, str(known.get("order", "")))
        except Exception:  # without this thread nothing would be acknowledged any more
            log.exception("mqtt.message_failed", topic=message.topic)


class Links:
    """How all connections of a target stand, as one."""

    def __init__(self, called: str, link: Callable[[bool, str], None]) -> None:
        self._called = called
        self._link = link
        self._lock = threading.Lock()
        self._faults: dict[str, str] = {}  # by connection

    def told(self, name: str, fault: str) -> None:
        """One of them stands, or does not for this fault."""
        with self._lock:
            self._faults[name] = fault
            faults = [each for each in self._faults.values() if each]
            with suppress(LinegateError):  # it is for people only
                self._link(not faults, faults[0] if faults else self._called)


class Kept:
    """A session that is opened anew whenever it was lost, until it is closed. `told` hears whether it stands, or why not."""

    def __init__(
        self,
        called: str,
        opened: Callable[[], Session],
        last: Callable[[], Sequence[Publication]],
        told: Callable[[str], None],
    ) -> None:
        self._called = called
        self._opened = opened
        self._last = last
        self._told = told
        self._changed = threading.Condition()
        self._session: Session | None = None
        self._fault = ""
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._keep, name=f"linegate-mqtt-{called}", daemon=True)
        self._thread.start()

    def session(self) -> Session:
        """The one that stands. Raises DeferredError where there is none; one that is just being made is waited for."""
        with self._changed:
            self._changed.wait_for(lambda: self._standing or self._fault or self._stopping.is_set(), PATIENCE_S)
            if self._standing is None:
                raise DeferredError(self._fault or "the connection is just being made", retry_after_s=AGAIN_S)
            return self._standing

    @property
    def _standing(self) -> Session | None:
        return None if self._session is None or self._session.lost.is_set() else self._session

    def close(self) -> None:
        self._stopping.set()
        with self._changed:
            session = self._session
            self._changed.notify_all()
        if session is not None:
            session.close(self._last())
        self._thread.join(CONNECT_S)

    def _keep(self) -> None:
        pause = FIRST_PAUSE_S
        while not self._stopping.is_set():
            started = monotonic()
            try:
                session = self._opened()
            except Exception as error:  # without this thread nothing would ever be sent again
                if not isinstance(error, TransientError):
                    log.exception("target.crashed", broker=self._called)
                self._set(None, str(error))
                self._stopping.wait(pause)
                pause = min(2 * pause, LONGEST_PAUSE_S)
                continue
            if self._stopping.is_set():
                session.close(self._last())
                return
            self._set(session, "")
            log.info("target.connected", broker=self._called, took_ms=round(1000 * (monotonic() - started)))
            pause = FIRST_PAUSE_S
            session.lost.wait()
            if not self._stopping.is_set():
                log.warning("target.lost", broker=self._called)
                self._set(None, "")

    def _set(self, session: Session | None, fault: str) -> None:
        with self._changed:
            news = session is not None or fault not in ("", self._fault)
            self._session, self._fault = session, fault
            self._changed.notify_all()
        if news:
            self._told(fault)
            if fault:
                log.warning("target.not_connected", broker=self._called, reason=fault)

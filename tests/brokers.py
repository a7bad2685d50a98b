"""A real mosquitto that can be killed and comes back, and who listens there.

def test_it(broker: Broker) -> None:            # the fixture stands in tests/conftest.py
    with listening(broker, "linegate/#") as heard:
        ...
        until(lambda: heard.messages)
"""

import json
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from paho.mqtt.client import Client, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion

from tests.emulators import free_port, missing

STARTS_IN_S: Final = 10.0
# What it knows is on its disk before anybody is told: retained messages, and the sessions of who listens.
CONFIG: Final = """
user root
allow_anonymous true
persistence true
persistence_location {folder}/
autosave_interval 1
autosave_on_changes true
log_dest file {folder}/mosquitto.log
max_queued_messages 0
listener {port} 127.0.0.1
"""


class Broker:
    """One mosquitto with a folder of its own; `more` are further lines of its configuration."""

    def __init__(self, folder: Path, more: str = "") -> None:
        program = shutil.which("mosquitto") or shutil.which("/usr/sbin/mosquitto")
        if program is None:
            missing("mosquitto is not here", "install mosquitto")
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self._config = folder / "mosquitto.conf"
        self._config.write_text(CONFIG.format(folder=folder, port=self.port) + more)
        self._command = [str(program), "-c", str(self._config)]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    def start(self) -> "Broker":
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + STARTS_IN_S
        while True:
            with suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return self
            assert self._process.poll() is None, "mosquitto ended by itself"
            assert time.monotonic() < end, "mosquitto does not listen"
            time.sleep(0.01)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def halt(self) -> None:
        """It holds its connections and answers nothing, as one whose disk hangs."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)


@dataclass(frozen=True, slots=True)
class Heard:
    topic: str
    payload: bytes
    retained: bool
    at: float = field(default_factory=time.monotonic, compare=False)

    @property
    def json(self) -> Any:
        return json.loads(self.payload)


class Listener:
    """Somebody with a session that the broker keeps for it. It finds its way back when the connection breaks."""

    def __init__(self, port: int, *topics: str, name: str = "listener", messages: list[Heard] | None = None) -> None:
        self.messages: list[Heard] = [] if messages is None else messages
        self._topics = topics
        self._subscribed = threading.Event()
        self.client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=name,
            clean_session=False,
            protocol=MQTTv311,
            reconnect_on_failure=True,
        )
        self.client.reconnect_delay_set(1, 1)
        self.client.on_connect = self._on_connect
        self.client.on_subscribe = lambda *_: self._subscribed.set()
        self.client.on_message = lambda _, __, message: self.messages.append(
            Heard(message.topic, bytes(message.payload), bool(message.retain))
        )
        self.client.connect_async("127.0.0.1", port, 5)
        self.client.loop_start()
        assert self._subscribed.wait(STARTS_IN_S), "nobody lets it listen"

    def of(self, topic: str) -> list[Heard]:
        return [each for each in list(self.messages) if each.topic == topic]

    def say(self, topic: str, payload: str | bytes, *, retain: bool = False) -> None:
        self.client.publish(topic, payload, 1, retain).wait_for_publish(5)

    def kill(self) -> None:
        """It is gone without a word."""
        connection: Any = self.client.socket()
        self.client.on_connect = None
        self.client.reconnect_delay_set(60, 60)
        if connection is not None:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        self.client.loop_stop()

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    def _on_connect(self, client: Client, *_: object) -> None:
        client.subscribe([(topic, 1) for topic in self._topics])


@contextmanager
def listening(broker: Broker, *topics: str, name: str = "listener") -> Iterator[Listener]:
    listener = Listener(broker.port, *topics, name=name)
    try:
        yield listener
    finally:
        listener.close()

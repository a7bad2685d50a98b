"""The kind `modbus`: the handshake with a PLC in registers, the gate as server or as client."""

import errno
import socket
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from linegate.adapters.targets.controller import HandshakeTarget, LineSide, tell
from linegate.adapters.targets.modbus.registers import GATE_SIZE, LINE_SIZE, MAP, Order, Places
from linegate.adapters.targets.place import address_of, misplaced
from linegate.errors import TransientError
from linegate.kind import Surroundings
from linegate.line.conversation import Conversation
from linegate.ports import Target
from linegate.sections import PLACEHOLDER

if TYPE_CHECKING:
    from linegate.adapters.targets.modbus.client import Wire

PORT: Final = 502
LAST_REGISTER: Final = 65_535


def modbus_url(url: str) -> str:
    if PLACEHOLDER.search(url):
        return url
    try:
        parts = urlsplit(url)
        sound = parts.scheme == "modbus" and parts.hostname and parts.port != 0 and parts.path in ("", "/")
    except ValueError:
        sound = False
    if not sound:
        raise ValueError("must be modbus://HOST or modbus://HOST:PORT")
    return url


def endpoint(text: str) -> str:
    if PLACEHOLDER.search(text):
        return text
    host, _, port = text.rpartition(":")
    if not host.strip("[]") or not port.isascii() or not port.isdigit() or int(port) > LAST_REGISTER:
        raise ValueError("must be ADDRESS:PORT, e.g. 0.0.0.0:502")
    return text


def _is_free(host: str, port: int) -> bool:
    """Whether a server could listen there now. Raises TransientError where it may not."""
    try:
        socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return False
        raise TransientError(f"nobody can listen at {host}:{port}: {error.strerror or error}") from error
    return True


class Modbus(HandshakeTarget):
    """A PLC that speaks Modbus/TCP: it reads and writes the gate's registers (`listen`), or the gate its own (`url`)."""

    type: Literal["modbus"] = "modbus"
    listen: Annotated[str, AfterValidator(endpoint)] | None = None
    """ADDRESS:PORT of this machine where the gate is the server, e.g. 0.0.0.0:502."""
    url: Annotated[str, AfterValidator(modbus_url)] | None = None
    """Of the PLC where the gate is the client: modbus://HOST:PORT."""
    unit: Annotated[int, Field(ge=0, le=247)] = 1
    """Of the first line, in the order of `lines`; the others follow it. A server of one line answers to every unit."""
    gate_at: Annotated[int, Field(ge=0, le=LAST_REGISTER)] = 0
    """The first register of what the gate shows."""
    line_at: Annotated[int, Field(ge=0, le=LAST_REGISTER)] = 100
    """The first register of what the line shows."""
    low_word_first: bool = False
    """Of numbers in two registers."""
    low_byte_first: bool = False
    """Of texts: the first letter lies in the lower byte."""
    poll_ms: Annotated[int, Field(ge=10, le=1000)] = 50
    """How often the gate asks the PLC, as its client."""

    package: ClassVar[str] = "pymodbus"

    @classmethod
    def lacks(cls, written: Mapping[str, Any], file: Mapping[str, Any]) -> Iterator[str]:
        yield from super().lacks(written, file)
        listen, url = written.get("listen"), written.get("url")
        if (listen is None) == (url is None):
            yield "listen: either this, where the gate is the server, or url, where the PLC is"
        if listen is not None and not (file.get("network") or {}).get("private_addresses"):
            yield (
                "listen: Modbus has no encryption; name who may connect under network.private_addresses, "
                "such as 192.168.10.0/24"
            )
        yield from misplaced(written, file)
        lines = written.get("lines") or file.get("lines")
        if (
            isinstance(lines, list | dict)
            and isinstance(unit := written.get("unit", 1), int)
            and unit + len(lines) > 248
        ):
            yield "unit: the last of the lines needs one above 247"
        gate_at, line_at = written.get("gate_at", 0), written.get("line_at", 100)
        if isinstance(gate_at, int) and isinstance(line_at, int):
            if max(gate_at, line_at) < min(gate_at + GATE_SIZE, line_at + LINE_SIZE):
                yield f"line_at: the blocks overlap: from gate_at on {GATE_SIZE} registers, from line_at on {LINE_SIZE}"
            if max(gate_at + GATE_SIZE, line_at + LINE_SIZE) > LAST_REGISTER + 1:
                yield f"line_at: a block must end by register {LAST_REGISTER}"

    @property
    def order(self) -> Order:
        return Order(self.low_word_first, self.low_byte_first)

    @property
    def places(self) -> Places:

        return Places(self.gate_at, self.line_at)

    @property
    def address(self) -> tuple[str, int]:
        """Where the server is: the gate's own address, or the PLC's host and port."""
        if self.listen is not None:
            host, _, port = self.listen.rpartition(":")
            return host.strip("[]"), int(port)
        parts = urlsplit(self.url or "")
        return parts.hostname or "", parts.port or PORT

    def unit_of(self, line: str, around: Surroundings) -> int:
        return self.unit + list(self.lines or around.lines).index(line)

    def wire(self, around: Surroundings) -> "Wire":
        """A connection to the server, whoever that is. Raises TransientError."""
        from linegate.adapters.targets.modbus.client import Wire

        host, port = self.address
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host) if self.listen is not None else host
        return Wire(address_of(host, port, around.network, encrypted=False), port)

    def line_side(self, line: str, around: Surroundings) -> LineSide:
        from linegate.adapters.targets.modbus.line_side import PollingLine, ServingLine

        unit = self.unit_of(line, around)
        if self.listen is not None:
            return PollingLine(lambda: self.wire(around), unit, self.places, self.order)
        return ServingLine(self.address, unit, self.places, self.order)

    def try_out(self, around: Surroundings) -> str:
        host, port = self.address
        if self.listen is not None and _is_free(host, port):
            return f"is the gate itself: `linegate edge` will listen at {self.listen}"
        wire = self.wire(around)
        try:
            unit = self.unit_of((self.lines or around.lines)[0], around)
            if self.listen is None:
                wire.read(unit, self.line_at, LINE_SIZE)
                return f"answers as unit {unit}: registers {self.line_at} … {self.line_at + LINE_SIZE - 1} can be read"
            (version,) = wire.read(unit, self.gate_at, 1)
        finally:
            wire.close()
        if version != MAP:
            raise TransientError(f"who listens at {self.listen} has another map ({version})")
        return f"the gate listens at {self.listen}"

    def build(self, around: Surroundings) -> Target:
        from linegate.adapters.targets.modbus.client import Client
        from linegate.adapters.targets.modbus.server import Server, gate_device
        from linegate.adapters.targets.modbus.talk import Talk

        conversations = self.conversations(around)
        talks: dict[int, Talk] = {
            self.unit_of(line, around): Talk(conversation, self.order) for line, conversation in conversations.items()
        }
        if self.listen is not None:
            # Many PLCs send what they like for a unit.
            talks = {0: next(iter(talks.values()))} if len(talks) == 1 else talks
            devices = [gate_device(unit, talk, self.places) for unit, talk in talks.items()]
            server = Server(self.address, devices, lambda peer: around.network.refusal(peer, False), around.link)
            around.at_stop(server.close)
        else:
            client = Client(lambda: self.wire(around), talks, self.places, self.poll_ms / 1000, around.link)
            around.at_stop(client.close)
            for conversation in conversations.values():
                conversation.on_change(client.wake)
        return ModbusTarget(conversations)


class ModbusTarget:
    """The port Target: a verdict is sent when the handshake has it stored; the line sees it with its next poll."""

    def __init__(self, conversations: Mapping[str, Conversation]) -> None:
        self._conversations = conversations

    def send(self, entry_id: str, body: str, now: datetime) -> None:
        tell(self._conversations, body)

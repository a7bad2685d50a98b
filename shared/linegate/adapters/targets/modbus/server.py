"""A Modbus/TCP server: the gate's, where a PLC reads what the gate shows and writes what the line shows."""

import asyncio
import socket
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import Any, Final

from pymodbus.constants import ExcCodes
from pymodbus.exceptions import NoSuchIdException
from pymodbus.pdu import ExceptionResponse, ModbusPDU
from pymodbus.server import ModbusTcpServer
from pymodbus.server.requesthandler import ServerRequestHandler
from pymodbus.simulator import DataType, SimData, SimDevice

from linegate.adapters.targets.modbus.registers import GATE_SIZE, LINE, LINE_SIZE, Places, splits
from linegate.adapters.targets.modbus.talk import Talk
from linegate.errors import TransientError
from linegate.logs import log

# Who has asked nothing for so long is not connected, whatever the socket says.
QUIET_S: Final = 3.0
START_S: Final = 10.0
# A peer whose power went off is found out after half a minute.
KEEPALIVE: Final = ((socket.TCP_KEEPIDLE, 10), (socket.TCP_KEEPINTVL, 5), (socket.TCP_KEEPCNT, 4))

Allowed = Callable[[str], str]  # of an address: why it may not connect, or ""


class Server:
    """Listens in a thread of its own as soon as it is made. Raises TransientError where nobody can listen there."""

    def __init__(
        self,
        address: tuple[str, int],
        devices: list[SimDevice],
        allowed: Allowed,
        link: Callable[[bool, str], None],
    ) -> None:
        self._address = address
        self._devices = devices
        self._allowed = allowed
        self._link = link
        self._asked: dict[str, float] = {}
        self._refused: set[str] = set()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._started: list[BaseException | None] = []
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="linegate-modbus", daemon=True)
        self._thread.start()
        if not self._ready.wait(START_S) or self._started[0] is not None:
            self.close()
            raise TransientError(f"nobody can listen at {address[0]}:{address[1]}: {self._why()}")

    def close(self) -> None:
        with suppress(RuntimeError):  # it has ended by itself
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(START_S)

    def _why(self) -> str:
        error = self._started[0] if self._started else None
        return "it takes too long" if error is None else getattr(error, "strerror", None) or str(error)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        except Exception as error:
            if self._ready.is_set():
                log.exception("modbus.crashed")
            self._started.append(error)
            self._ready.set()
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        # pymodbus tells its log why it can't listen, and its caller that it can't: asked beforehand, the system says why.
        probe = socket.create_server(self._address, family=_family(self._address[0]))
        probe.close()
        server = _Server(self._devices, self._address, self)
        await server.serve_forever(background=True)
        self._started.append(None)
        self._ready.set()
        try:
            while not self._stop.is_set():
                self._tell()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stop.wait(), 1.0)
        finally:
            await server.shutdown()  # type: ignore[no-untyped-call]
            await asyncio.sleep(0)

    def _tell(self) -> None:
        now = monotonic()
        self._asked = {peer: at for peer, at in self._asked.items() if now - at <= QUIET_S}
        if self._asked:
            self._link(True, ", ".join(sorted(self._asked)))
        else:
            self._link(False, f"nobody asks; the gate listens at {self._address[0]}:{self._address[1]}")

    # --- what connections report

    def admits(self, peer: str) -> bool:
        why = self._allowed(peer)
        if why and peer not in self._refused:
            self._refused.add(peer)
            log.warning("modbus.refused", peer=peer, reason=why)
        return not why

    def asked(self, peer: str) -> None:
        known = peer in self._asked
        self._asked[peer] = monotonic()
        if not known:
            self._tell()


class _Server(ModbusTcpServer):
    def __init__(self, devices: list[SimDevice], address: tuple[str, int], owner: Server) -> None:
        super().__init__(devices, address=address)
        self._owner = owner

    def callback_new_connection(self) -> "_Connection":
        return _Connection(self, self._owner)


class _Connection(ServerRequestHandler):
    """Requests are answered one by one in their order, also where a PLC sends the next one before it has its answer.

    pymodbus's own handler remembers one request only.
    """

    def __init__(self, server: _Server, owner: Server) -> None:
        super().__init__(server, None, None, None)  # type: ignore[no-untyped-call]
        self._owner = owner
        self._peer = ""
        self._requests: deque[ModbusPDU] = deque()
        self._turn = asyncio.Lock()

    def callback_connected(self) -> None:
        super().callback_connected()
        transport: Any = self.transport
        self._peer = transport.get_extra_info("peername")[0]
        if not self._owner.admits(self._peer):
            transport.abort()
            return
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in KEEPALIVE:
            connection.setsockopt(socket.IPPROTO_TCP, option, value)

    def callback_data(self, data: bytes, addr: tuple[Any, ...] | None = None) -> int:
        self._owner.asked(self._peer)
        used = 0
        while used < len(data) and (step := int(super().callback_data(data[used:], addr))):
            used += step
            if self.last_pdu:
                self._requests.append(self.last_pdu)
        return used

    def send(self, data: bytes, addr: tuple[Any, ...] | None = None) -> None:
        begun = self.recv_buffer  # of the next request; pymodbus forgets it with each answer
        super().send(data, addr)
        self.recv_buffer = begun

    async def handle_request(self) -> None:
        async with self._turn:
            while self._requests:
                request = self._requests.popleft()
                answer = await self._answer(request)
                answer.transaction_id, answer.dev_id = request.transaction_id, request.dev_id
                self.server_send(answer, None)  # type: ignore[no-untyped-call]

    async def _answer(self, request: ModbusPDU) -> ModbusPDU:
        try:
            return await request.datastore_update(self.server.context, request.dev_id)
        except NoSuchIdException:
            return ExceptionResponse(request.function_code, ExcCodes.GATEWAY_NO_RESPONSE)
        except Exception:
            log.exception("modbus.not_answered", function=request.function_code)
            return ExceptionResponse(request.function_code, ExcCodes.DEVICE_FAILURE)


def gate_device(unit: int, talk: Talk, places: Places) -> SimDevice:
    """The gate's registers for one line; unit 0 is any.

    Both blocks may be read as holding or as input registers; only the line's is written.
    """
    blocks = [
        SimData(places.gate, values=[0] * GATE_SIZE, datatype=DataType.REGISTERS, readonly=True),
        SimData(places.line, values=[0] * LINE_SIZE, datatype=DataType.REGISTERS),
    ]
    return SimDevice(unit, simdata=blocks, action=partial(_serve_request, talk, places, asyncio.Lock()))


async def _serve_request(
    talk: Talk,
    places: Places,
    turn: asyncio.Lock,
    _: int,
    first: int,
    address: int,
    count: int,
    registers: list[int],
    values: list[int] | list[bool] | None,
) -> ExcCodes | None:
    """Before registers from `address` on are read or, with `values`, written; `registers` are all from `first` on.

    What is written is stored before it is answered.
    """
    async with turn:
        if values is None:
            shown = await asyncio.to_thread(talk.show)
            if shown is None:
                return ExcCodes.DEVICE_BUSY
            registers[places.gate - first : places.gate - first + GATE_SIZE] = shown
            return None
        start = address - places.line
        if splits(start, count):
            return ExcCodes.ILLEGAL_VALUE
        block = registers[places.line - first : places.line - first + LINE_SIZE]
        block[start : start + count] = [int(value) for value in values]
        written = {register.name for register in LINE if start <= register.offset < start + count}
        if written <= {"part"}:  # laid ready for its job
            return None
        try:
            await asyncio.to_thread(talk.hear, block, "job" in written)
        except TransientError as error:
            log.warning("modbus.not_taken", reason=str(error))
            return ExcCodes.DEVICE_BUSY
        return None


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ":" in host else socket.AF_INET

"""The PLC's side of the registers, for trying out: as the client of the gate's server, or as the server of the gate's client."""

import threading
from collections.abc import Callable, Sequence
from functools import partial

from pymodbus.simulator import DataType, SimData, SimDevice

from linegate.adapters.targets.modbus.client import Wire
from linegate.adapters.targets.modbus.registers import GATE_SIZE, LINE_SIZE, Order, Places, saying, seen
from linegate.adapters.targets.modbus.server import Server
from linegate.errors import TransientError
from linegate.line.handshake import Acknowledge, Signals, Trigger


def _block(says: Sequence[Trigger | Acknowledge], order: Order) -> list[int]:
    trigger = next((each for each in says if isinstance(each, Trigger)), None)
    acknowledge = next((each for each in says if isinstance(each, Acknowledge)), None)
    return saying(trigger, acknowledge, order)


class PollingLine:
    """Writes its block and reads the gate's, each in one request."""

    def __init__(self, connect: Callable[[], Wire], unit: int, places: Places, order: Order) -> None:
        self._connect = connect
        self._unit = unit
        self._places = places
        self._order = order
        self._wire: Wire | None = None

    def exchange(self, says: Sequence[Trigger | Acknowledge]) -> Signals | None:
        try:
            self._wire = self._wire or self._connect()
            self._wire.write(self._unit, self._places.line, _block(says, self._order))
            return seen(self._wire.read(self._unit, self._places.gate, GATE_SIZE), self._order)
        except TransientError:
            self.close()
            raise

    def close(self) -> None:
        if self._wire is not None:
            self._wire.close()
            self._wire = None


class ServingLine:
    """Holds both blocks, for the gate to read and to write."""

    def __init__(self, address: tuple[str, int], unit: int, places: Places, order: Order) -> None:
        self._order = order
        self._lock = threading.Lock()
        self._says = [0] * LINE_SIZE
        self._shown: list[int] | None = None
        blocks = [
            SimData(places.gate, values=[0] * GATE_SIZE, datatype=DataType.REGISTERS),
            SimData(places.line, values=[0] * LINE_SIZE, datatype=DataType.REGISTERS),
        ]
        device = SimDevice(unit, simdata=blocks, action=partial(self._answer, places))
        self._server = Server(address, [device], lambda _: "", lambda *_: None)

    def exchange(self, says: Sequence[Trigger | Acknowledge]) -> Signals | None:
        with self._lock:
            self._says = _block(says, self._order)
            return None if self._shown is None else seen(self._shown, self._order)

    def close(self) -> None:
        self._server.close()

    async def _answer(
        self,
        places: Places,
        _: int,
        first: int,
        address: int,
        count: int,
        registers: list[int],
        values: list[int] | list[bool] | None,
    ) -> None:
        with self._lock:
            if values is None:
                registers[places.line - first : places.line - first + LINE_SIZE] = self._says
            elif (address, count) == (places.gate, GATE_SIZE):
                self._shown = [int(value) for value in values]

"""The gate as a Modbus/TCP client: it reads what the line shows from a PLC's own server, and writes what the gate shows."""

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from time import monotonic
from typing import Any, Final

from pymodbus.client import ModbusTcpClient
from pymodbus.exceptions import ModbusException

from linegate.adapters.targets.modbus.registers import LINE_SIZE, Places
from linegate.adapters.targets.modbus.talk import Talk
from linegate.errors import TransientError
from linegate.logs import log

ANSWER_S: Final = 1.0
# Between two attempts to connect.
AGAIN_S: Final = 1.0
STOP_S: Final = 5.0


class Wire:
    """A connection that is asked block by block. Raises TransientError for whatever goes wrong, and is closed by it."""

    def __init__(self, host: str, port: int) -> None:
        self._client = ModbusTcpClient(host, port=port, timeout=ANSWER_S, retries=0)
        self._where = f"{host}:{port}"
        if not self._client.connect():  # type: ignore[no-untyped-call]
            raise TransientError(f"nobody answers at {self._where}")

    def read(self, unit: int, address: int, count: int) -> list[int]:
        return list(
            self._ask(lambda: self._client.read_holding_registers(address, count=count, device_id=unit)).registers
        )

    def write(self, unit: int, address: int, registers: list[int]) -> None:
        self._ask(lambda: self._client.write_registers(address, registers, device_id=unit))

    def close(self) -> None:
        self._client.close()  # type: ignore[no-untyped-call]

    def _ask(self, call: Callable[[], Any]) -> Any:
        try:
            answer = call()
        except (ModbusException, OSError) as error:
            self.close()
            raise TransientError(f"{self._where} does not answer: {error}") from error
        if answer.isError():
            self.close()
            raise TransientError(f"{self._where} refuses: exception {getattr(answer, 'exception_code', '?')}")
        return answer


class Client:
    """Polls in a thread of its own. `connect` makes a connection, or raises TransientError."""

    def __init__(
        self,
        connect: Callable[[], Wire],
        talks: Mapping[int, Talk],
        places: Places,
        poll_s: float,
        link: Callable[[bool, str], None],
    ) -> None:
        """`talks` by unit."""
        self._connect = connect
        self._talks = dict(talks)
        self._places = places
        self._poll_s = poll_s
        self._link = link
        self._heard: dict[int, list[int]] = {}
        self._written: dict[int, list[int]] = {}
        self._stopping = threading.Event()
        self._woken = threading.Event()
        self._thread = threading.Thread(target=self._run, name="linegate-modbus", daemon=True)
        self._thread.start()

    def wake(self) -> None:
        """Something may have changed: do not wait for the next poll."""
        self._woken.set()

    def close(self) -> None:
        self._stopping.set()
        self._woken.set()
        self._thread.join(STOP_S)

    def _run(self) -> None:
        wait_s = 0.0
        while not self._stopping.is_set():
            try:
                self._talk()
                wait_s = 0.0
            except TransientError as error:
                self._link(False, str(error))
                wait_s = AGAIN_S
            except Exception:  # without this thread the line would hear nothing any more
                log.exception("modbus.crashed")
                wait_s = AGAIN_S
            until = monotonic() + wait_s
            while not self._stopping.is_set() and monotonic() < until:
                self._woken.wait(0.1)
                self._woken.clear()

    def _talk(self) -> None:
        wire = self._connect()
        # A PLC that was started again holds nothing of what was written before.
        self._heard, self._written = {}, {}
        try:
            while not self._stopping.is_set():
                began = monotonic()
                self._woken.clear()
                for unit, talk in self._talks.items():
                    self._poll(wire, unit, talk)
                self._link(True, "")
                self._woken.wait(max(0.001, self._poll_s - (monotonic() - began)))
        finally:
            wire.close()

    def _poll(self, wire: Wire, unit: int, talk: Talk) -> None:
        said = wire.read(unit, self._places.line, LINE_SIZE)
        if said != self._heard.get(unit):
            # A PLC may be asked in the middle of its cycle: what it says counts when it was read alike twice.
            if wire.read(unit, self._places.line, LINE_SIZE) != said:
                return
            before = self._heard.get(unit)
            with suppress(TransientError):  # it stands there, and is read again
                talk.hear(said, triggered=before is None or talk.job(before) != talk.job(said))
                self._heard[unit] = said
        shown = talk.show()
        if shown is not None and shown != self._written.get(unit):
            wire.write(unit, self._places.gate, shown)
            self._written[unit] = shown

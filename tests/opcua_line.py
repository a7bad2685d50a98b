"""A line over OPC UA, whose gate and controller are killed at random, as `tests.modbus_line` does it:

uv run python -m tests.opcua_line 500 30          # parts, kills
"""

import sys
from time import monotonic

from tests.controllers import free_port
from tests.modbus_line import folder_of_its_own, play
from tests.opcua import READS, WRITES

LIMITS = "security: none, lines: [smt-1], depth: 8, limit_s: 300, picture_s: 300"


def server(port: int) -> str:
    return f'{{type: opcua, address: "127.0.0.1", port: {port}, {LIMITS}}}'


def client(port: int) -> str:
    reads = ", ".join(f'{name}: "ns=4;s=Line.{name}"' for name in READS)
    writes = ", ".join(f'{name}: "ns=4;s=Gate.{name}"' for name in WRITES)
    where = f'url: "opc.tcp://127.0.0.1:{port}", poll_s: 0.01'
    return f"{{type: opcua_client, {where}, reads: {{{reads}}}, writes: {{{writes}}}, {LIMITS}}}"


def main(arguments: list[str]) -> None:
    parts, kills = (int(each) for each in arguments)
    for name, section in (("server", server), ("client", client)):
        with folder_of_its_own() as folder:
            began = monotonic()
            told = play(folder, section(free_port()), parts, kills)
            told.check()
            print(
                f"gate as {name}: {told.asked} parts, {told.gate_kills} kills of the gate, {told.plc_kills} of the "
                f"controller; {len(told.results)} jobs, each with its one result, in order; {len(told.accepted)} parts "
                f"accepted, {monotonic() - began:.0f} s",
                flush=True,
            )


if __name__ == "__main__":
    main(sys.argv[1:])

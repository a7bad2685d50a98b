"""How long a verdict takes to the controller: `python -m tests.opcua_latency [RESULTS]`."""

import asyncio
import statistics
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from asyncua import Client

from linegate.adapters.local.database import DATABASE, Database
from linegate.adapters.local.handshakes import SqliteHandshake
from linegate.adapters.targets.opcua.server import Endpoint, OpcUaServer
from linegate.line.conversation import KeptConversation
from linegate.line.handshake import Rules
from linegate.line.keeper import Keeper
from tests.opcua import Gate, Line, free_port, looked_after, now, serving


async def measure(server: OpcUaServer, gate: Gate, results: int) -> dict[str, list[float]]:
    """Milliseconds, of each result."""
    took: dict[str, list[float]] = {"verdict to event": [], "StartSingleJob": [], "Acknowledge": []}
    async with Client(server.url, timeout=20, watchdog_intervall=20) as client:
        line = await Line.at(client, "smt-1")
        await line.subscribe(interval_ms=5)
        await asyncio.sleep(0.5)
        for number in range(results):
            begun = time.perf_counter()
            job, error = await line.start(f"P{number}")
            took["StartSingleJob"].append(1000 * (time.perf_counter() - begun))
            assert error == 0, (job, error)
            await asyncio.sleep(0.02)
            body = gate.notification(f"P{number}", line="smt-1")
            begun = time.perf_counter()
            await asyncio.get_running_loop().run_in_executor(None, server.send, "entry", body, now())
            event = await line.event()
            took["verdict to event"].append(1000 * (time.perf_counter() - begun))
            begun = time.perf_counter()
            await line.acknowledge(event.ResultContent[2].Value)
            took["Acknowledge"].append(1000 * (time.perf_counter() - begun))
    return took


def main() -> None:
    results = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    gate = Gate()
    with tempfile.TemporaryDirectory() as folder, closing(Database(Path(folder, DATABASE))) as database:
        keeper = Keeper(Rules(), SqliteHandshake(database, "plc", "smt-1"))
        gate.conversations["smt-1"] = KeptConversation("smt-1", keeper, now)
        with looked_after(gate), serving(gate, Endpoint("127.0.0.1", free_port(), "none", None)) as server:
            took = asyncio.run(measure(server, gate, results))
    print(f"{'milliseconds':20}median     p95 largest")
    for what, each in took.items():
        print(f"{what:20}{statistics.median(each):6.1f}{sorted(each)[int(0.95 * len(each))]:8.1f}{max(each):8.1f}")


if __name__ == "__main__":
    main()

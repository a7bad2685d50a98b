"""How long a verdict takes to the controller.

uv run python -m tests.opcua_latency 200            # results handed to the target, in this process
uv run python -m tests.opcua_latency --edge 40      # drawn boards through a whole `linegate edge`, a process of its own
"""

import asyncio
import json
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import yaml
from asyncua import Client, ua

from linegate.adapters.local.database import DATABASE, Database
from linegate.adapters.local.handshakes import SqliteHandshake
from linegate.adapters.targets.opcua.server import Endpoint, OpcUaServer
from linegate.line.conversation import KeptConversation
from linegate.line.handshake import Rules
from linegate.line.keeper import Keeper
from tests.boards import clean_board
from tests.opcua import Gate, Line, free_port, looked_after, now, serving, until

EDGE = "from linegate.commands.main import main; raise SystemExit(main())"


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


def configuration(folder: Path, port: int | None) -> Path:
    """Of a gate with one line, and with an OPC UA server where a port is given."""
    (folder / "golden.png").write_bytes(clean_board())
    plc = {"type": "opcua", "security": "none", "address": "127.0.0.1", "port": port, "limit_s": 60, "picture_s": 60}
    content = {
        "edge": {"data": "data", "settle_ms": 10},
        "recipes": {"pcb": {"golden": "golden.png"}},
        "lines": {"smt-1": {"recipe": "pcb"}},
        "targets": {"plc": plc} if port else {},
        "network": {"private_addresses": ["127.0.0.0/8"]},
        "station": {"listen": f"127.0.0.1:{free_port()}"},
    }
    path = folder / "linegate.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


async def at_edge(folder: Path, boards: int) -> dict[str, list[float]]:
    """Milliseconds from `decided_at` of each board, which is before it is stored."""
    port, station = free_port(), folder / "data" / "uploads" / "smt-1" / "aoi"
    command = [sys.executable, "-c", EDGE, "edge", "--config", str(configuration(folder, port))]
    took: dict[str, list[float]] = {"decision to event": [], "of it, in the gate": []}
    started = time.perf_counter()
    edge = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=(folder / "edge.log").open("wb"))
    try:
        client = await _connected(f"opc.tcp://127.0.0.1:{port}/linegate")
        print(f"listens after {time.perf_counter() - started:.1f} s")
        line = await Line.at(client, "smt-1")
        await line.subscribe(interval_ms=5)

        async def ready() -> bool:
            return bool((await line.read("Ready"))[0])

        await until(ready, 60)
        station.mkdir(parents=True, exist_ok=True)
        for number in range(boards):
            part = f"P{number:03}"
            assert (await line.start(part))[1] == 0
            (station / "new.part").write_bytes(clean_board(noise=number % 5))
            (station / "new.part").rename(station / f"{part}.png")
            event = await line.event(60)
            at = datetime.now(UTC)
            assert event.PartId.Id == part
            decided = datetime.fromisoformat(json.loads(event.ResultContent[3].Value)["decided_at"])
            fired = event.Time.replace(tzinfo=UTC)
            took["decision to event"].append(1000 * (at - decided).total_seconds())
            took["of it, in the gate"].append(1000 * (fired - decided).total_seconds())
            await line.acknowledge(event.ResultContent[2].Value)
        await client.disconnect()
    finally:
        edge.send_signal(signal.SIGTERM)
        edge.wait(60)
    return took


async def _connected(url: str) -> Client:
    end = time.monotonic() + 120
    while True:
        client = Client(url, timeout=20, watchdog_intervall=20)
        try:
            await client.connect()
        except (OSError, TimeoutError, ua.UaError):
            assert time.monotonic() < end, "nobody came to listen"
            await asyncio.sleep(0.1)
        else:
            return client


def main() -> None:
    if sys.argv[1:2] == ["--edge"]:
        with tempfile.TemporaryDirectory() as name:
            tell(asyncio.run(at_edge(Path(name), int(sys.argv[2]))))
        return
    results = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    gate = Gate()
    with tempfile.TemporaryDirectory() as folder, closing(Database(Path(folder, DATABASE))) as database:
        keeper = Keeper(Rules(), SqliteHandshake(database, "plc", "smt-1"))
        gate.conversations["smt-1"] = KeptConversation("smt-1", keeper, now)
        with looked_after(gate), serving(gate, Endpoint("127.0.0.1", free_port(), "none", None)) as server:
            took = asyncio.run(measure(server, gate, results))
    tell(took)


def tell(took: dict[str, list[float]]) -> None:
    print(f"{'milliseconds':20}median     p95 largest")
    for what, each in took.items():
        print(f"{what:20}{statistics.median(each):6.1f}{sorted(each)[int(0.95 * len(each))]:8.1f}{max(each):8.1f}")


if __name__ == "__main__":
    main()

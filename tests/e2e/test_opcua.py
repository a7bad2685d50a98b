"""A real `linegate edge` and a controller over OPC UA: what was taken survives `kill -9`, and a dead gate clears nothing."""

import asyncio
import json
import signal
import statistics
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime

import yaml
from asyncua import Client, ua

from linegate.config import load
from tests.boards import clean_board, defective_board
from tests.e2e.line import Line as Folder
from tests.opcua import Line, free_port, until

START_S = 120


def start(line: Folder) -> subprocess.Popen[bytes]:
    run = "from linegate.commands.main import main; raise SystemExit(main())"
    with (line.folder / "edge.log").open("ab") as log:
        command = [sys.executable, "-c", run, "edge", "--config", str(line.config)]
        return subprocess.Popen(command, stderr=log, stdout=log)


async def connected(url: str) -> Client:
    """As soon as somebody listens there."""
    end = asyncio.get_running_loop().time() + START_S
    while True:
        client = Client(url, timeout=20, watchdog_intervall=20)
        try:
            await client.connect()
        except (OSError, TimeoutError, ua.UaError):
            assert asyncio.get_running_loop().time() < end, "nobody came to listen"
            await asyncio.sleep(0.1)
        else:
            return client


def test_what_was_taken_survives_the_gate(make_line: Callable[..., Folder]) -> None:
    folder, port = make_line(clean_board()), free_port()
    content = yaml.safe_load(folder.config.read_text())
    plc = {"type": "opcua", "security": "none", "address": "127.0.0.1", "port": port, "limit_s": 300, "picture_s": 300}
    content["targets"] = {"plc": plc}
    folder.config.write_text(yaml.safe_dump(content))
    load(folder.config)
    asyncio.run(_played(folder, f"opc.tcp://127.0.0.1:{port}/linegate"))


async def _played(folder: Folder, url: str) -> None:
    process = start(folder)
    try:
        client = await connected(url)
        line = await Line.at(client, "smt-1")
        await line.subscribe()
        await until(lambda: is_ready(line), START_S)
        late = []
        for part in ("A1", "A2", "A3"):  # the last one is not acknowledged
            assert (await line.start(part))[1] == 0
            folder.upload(f"smt-1/aoi/{part}.png", clean_board(noise=3))
            event = await line.event(60)
            verdict, code, counter, told = (each.Value for each in event.ResultContent)
            assert (event.PartId.Id, verdict, code) == (part, "PASS", 0)
            decided = datetime.fromisoformat(json.loads(told)["decided_at"])
            late.append(1000 * (datetime.now(UTC) - decided).total_seconds())
            if part != "A3":
                await line.acknowledge(counter)
        print(f"from decision to event: {statistics.median(late):.0f} ms")
        assert await line.start("B1") == ("smt-1/4", 0)
        process.send_signal(signal.SIGKILL)
        process.wait()
        with_nobody = await _answers(line)
        assert not with_nobody, "who reads a dead gate gets no value"
        await client.disconnect()

        process = start(folder)
        client = await connected(url)
        line = await Line.at(client, "smt-1")
        await line.subscribe()
        await until(lambda: is_ready(line), START_S)
        shown = await line.read("Job", "Part", "Available", "Counter", "ResultJob", "ResultPart", "Verdict")
        assert shown == [4, "B1", True, 3, 3, "A3", 1]
        assert await line.start("B1") == ("smt-1/4", -12), "it is open still"
        folder.upload("smt-1/aoi/B1.png", defective_board())
        await line.acknowledge(3)
        while (event := await line.event(60)).PartId.Id == "A3":
            pass  # it was told anew
        assert (event.JobId.Id, event.PartId.Id, event.ResultContent[0].Value) == ("smt-1/4", "B1", "FAIL")
        await line.acknowledge(event.ResultContent[2].Value)
        assert await line.read("Available", "Verdict") == [False, 0]
        await client.disconnect()
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, (folder.folder / "edge.log").read_text()[-2000:]
    finally:
        process.kill()


async def is_ready(line: Line) -> bool:
    return bool((await line.read("Ready"))[0])


async def _answers(line: Line) -> bool:
    try:
        await asyncio.wait_for(line.read("Verdict"), 3)
    except (OSError, TimeoutError, ua.UaError):
        return False
    return True

"""The kind `opcua`: what a controller reads, writes, calls and hears at the gate's own OPC UA server."""

import asyncio
import json
from collections.abc import Callable, Coroutine, Iterator
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest
from asyncua import Client, ua

from linegate.adapters.targets.opcua.line_side import CallingLine
from linegate.adapters.targets.opcua.server import NO_PART, NO_TRIGGERS, NOT_ITS_CHOICE, Endpoint, OpcUaServer
from linegate.line.handshake import Code, Rules
from linegate.line.peer import Peer, ask, hear, says
from tests import waiting
from tests.opcua import Gate, Line, free_port, looked_after, now, serving, until

pytestmark = pytest.mark.slow
LINES = (
    "read",
    "event",
    "refused",
    "full",
    "able",
    "moment",
    "again",
    "store",
    "free",
    "shut",
    "torn",
    "late",
    "listen",
)
Check = Callable[[Line], Coroutine[Any, Any, None]]


@pytest.fixture(scope="module")
def gate() -> Iterator[Gate]:
    with looked_after(Gate()) as gate:
        for line in LINES:
            gate.add(line, Rules(depth=2, limit_s=30, picture_s=30))
        gate.add("free", Rules(triggered=False))
        gate.add("late", Rules(limit_s=0.3, picture_s=0.3))
        yield gate


@pytest.fixture(scope="module")
def server(gate: Gate) -> Iterator[OpcUaServer]:
    with serving(gate, Endpoint("127.0.0.1", free_port(), "none", None)) as server:
        yield server


@pytest.fixture
def line(server: OpcUaServer) -> Callable[[str, Check], None]:
    """Runs a check as a client of the server, on a line that no other test uses."""

    def run(name: str, check: Check) -> None:
        async def connected() -> None:
            async with Client(server.url, timeout=20, watchdog_intervall=20) as client:
                line = await Line.at(client, name)
                await until(lambda: is_ready(line))
                await check(line)

        asyncio.run(connected())

    return run


async def is_ready(line: Line) -> bool:
    return bool((await line.read("Ready"))[0])


async def is_available(line: Line) -> bool:
    return bool((await line.read("Available"))[0])


async def told(server: OpcUaServer, gate: Gate, line: Line, part: str, verdict: str = "PASS") -> None:
    """A verdict comes from the outbox."""
    body = gate.notification(part, verdict, line.name)
    await asyncio.get_running_loop().run_in_executor(None, server.send, "entry", body, now())


Run = Callable[[str, Check], None]


def test_a_plc_gets_its_result_with_variables_alone(line: Run, server: OpcUaServer, gate: Gate) -> None:
    async def check(plc: Line) -> None:
        await plc.write(Part="A1", Job=7)

        async def echoed() -> bool:
            return await plc.read("Job", "Part", "Busy") == [7, "A1", True]

        await until(echoed)
        assert await plc.read("Available", "Verdict", "ResultPart") == [False, 0, ""]
        await told(server, gate, plc, "A1")
        await until(lambda: is_available(plc))
        names = ("Counter", "ResultJob", "ResultPart", "Verdict", "ResultCode", "Error")
        counter, *result = await plc.read(*names)
        assert result == [7, "A1", 1, 0, False]
        await plc.write(Acknowledged=counter)

        async def taken() -> bool:
            return await plc.read("Available", "Verdict", "ResultPart", "Counter") == [False, 0, "", counter]

        await until(taken)

    line("read", check)


def test_start_single_job_leads_to_result_ready(line: Run, server: OpcUaServer, gate: Gate) -> None:
    async def check(plc: Line) -> None:
        await plc.subscribe()
        job, error = await plc.start("B1", meas="run 3")
        assert (job, error) == ("event/1", 0)
        await told(server, gate, plc, "B1", "FAIL")
        event = await plc.event()
        assert (event.JobId.Id, event.PartId.Id, event.MeasId.Id) == ("event/1", "B1", "run 3")
        assert (event.ResultState, event.IsPartial, event.IsSimulated) == (1, False, False)
        assert event.InternalRecipeId.Id == "pcb"
        verdict, code, counter, content = (each.Value for each in event.ResultContent)
        assert (verdict, code) == ("FAIL", 0)
        assert json.loads(content)["defects"] == [{"class": "short"}]
        found = await plc.node("ResultManagement").call_method(
            plc.node("ResultManagement.GetResultById"), event.ResultId, ua.Variant(0, ua.VariantType.Int32)
        )
        handle, result, error = found
        assert (handle, error) == (0, 0)
        assert (result.PartId.Id, result.ResultContent[0].Value) == ("B1", "FAIL")
        assert await plc.acknowledge(counter) == 0
        assert not await is_available(plc)
        unknown = ua.ResultIdDataType(Id="event/result-99")
        *_, error = await plc.node("ResultManagement").call_method(
            plc.node("ResultManagement.GetResultById"), unknown, ua.Variant(0, ua.VariantType.Int32)
        )
        assert error < 0

    line("event", check)


def test_what_can_not_start_says_why_in_the_answer(line: Run) -> None:
    async def check(plc: Line) -> None:
        assert await plc.start("") == ("", NO_PART)
        assert await plc.start("C1", recipe="another") == ("", NOT_ITS_CHOICE)
        assert await plc.start("C1") == ("refused/1", 0)
        # It was not told, and asks again: no second job, and it learns which one is its own.
        assert await plc.start("C1") == ("refused/1", -Code.PART_OPEN)

    line("refused", check)


def test_a_full_queue_is_the_state_single_execution(line: Run) -> None:
    async def check(plc: Line) -> None:
        assert await plc.states() == ("Operational", "Ready")
        assert [(await plc.start(part))[1] for part in ("D1", "D2", "D3")] == [0, 0, -Code.FULL]

        async def occupied() -> bool:
            return await plc.states() == ("Operational", "SingleExecution")

        await until(occupied)
        assert await plc.read("Ready", "Code", "NotTakenJob", "NotTakenCode") == [False, 11, 3, 11]

    line("full", check)


def test_a_gate_that_can_not_decide_is_in_error_and_its_heart_stands(line: Run, gate: Gate) -> None:
    async def check(plc: Line) -> None:
        gate.able = False

        async def failed() -> bool:
            return await plc.states() == ("Error", "")

        try:
            await until(failed)
            before = await plc.read("Heartbeat")
            assert await plc.start("E1") == ("", -Code.CAN_NOT_DECIDE)
            await asyncio.sleep(0.5)
            assert await plc.read("Heartbeat", "Ready", "Code") == [*before, False, 21]
        finally:
            gate.able = True
        await until(lambda: is_ready(plc))
        assert await plc.states() == ("Operational", "Ready")

    line("able", check)


def test_one_read_is_of_one_moment(line: Run, server: OpcUaServer, gate: Gate) -> None:
    """While results change, no read and no JSON ever holds parts of two of them."""

    async def check(plc: Line) -> None:
        async def boards() -> None:
            for number in range(1, 16):
                part = f"F{number}"
                await plc.start(part)
                await told(server, gate, plc, part, "PASS" if number % 2 else "FAIL")
                await until(lambda: is_available(plc))
                [counter] = await plc.read("Counter")
                await plc.acknowledge(counter)

        work = asyncio.create_task(boards())
        seen = set()
        while not work.done():
            job, part, verdict, text = await plc.read("ResultJob", "ResultPart", "Verdict", "Json")
            assert (part, verdict) == ((f"F{job}", 1 if job % 2 else 2) if job else ("", 0))
            every = json.loads(text)
            assert [every[name] for name in ("ResultJob", "ResultPart", "Verdict")] == [job, part, verdict]
            seen.add(verdict)
            await asyncio.sleep(0)
        await work
        assert seen == {0, 1, 2}

    line("moment", check)


def test_part_and_job_of_one_request_are_taken_together(line: Run) -> None:
    """Job first, so that a server that took each write by itself would take the new job with the old part."""

    async def check(plc: Line) -> None:
        for number in range(1, 3):
            await plc.write(Job=number, Part=f"T{number}")

            async def echoed(number: int = number) -> bool:
                return await plc.read("Job", "Part") == [number, f"T{number}"]

            await until(echoed)

    line("torn", check)


def test_a_client_that_was_away_finds_the_result(line: Run, server: OpcUaServer, gate: Gate) -> None:
    """Whoever comes back after its event was fired reads it; the Server object has the event as well."""

    async def away(plc: Line) -> None:
        await plc.start("G1")

    async def back(plc: Line) -> None:
        await until(lambda: is_available(plc))
        assert await plc.read("ResultPart", "Verdict") == ["G1", 1]
        await plc.subscribe(plc.client.nodes.server)
        [counter] = await plc.read("Counter")
        await plc.acknowledge(counter)
        await plc.start("G2")
        await told(server, gate, plc, "G2", "REVIEW")
        event = await plc.event()
        assert (event.SourceName, event.PartId.Id, event.ResultContent[0].Value) == ("again", "G2", "REVIEW")

    line("again", away)
    server.send("entry", gate.notification("G1", line="again"), now())
    line("again", back)


def test_what_can_not_be_stored_is_not_started(line: Run, gate: Gate) -> None:
    async def check(plc: Line) -> None:
        gate.stores["store"].broken = True
        with pytest.raises(ua.UaStatusCodeError, match="BadResourceUnavailable"):
            await plc.start("H1")
        await plc.write(Part="H1", Job=1)

        async def failed() -> bool:
            return (await plc.states())[0] == "Error"

        await until(failed)
        assert await plc.read("Job", "Part") == [0, ""]
        gate.stores["store"].broken = False

        async def echoed() -> bool:
            return await plc.read("Job", "Part") == [1, "H1"]

        await until(echoed)  # the line still shows it

    line("store", check)


def test_without_triggers_each_picture_is_a_job(line: Run, server: OpcUaServer, gate: Gate) -> None:
    async def check(plc: Line) -> None:
        assert await plc.start("I1") == ("", NO_TRIGGERS)
        await plc.subscribe()
        await told(server, gate, plc, "I1")
        event = await plc.event()
        assert (event.JobId.Id, event.ResultId.Id, event.PartId.Id) == ("free/result-1", "free/result-1", "I1")

    line("free", check)


def test_a_result_without_a_verdict_is_told_as_one(line: Run) -> None:
    async def check(plc: Line) -> None:
        await plc.subscribe()
        await plc.start("L1")
        event = await plc.event()
        verdict, code, *_ = (each.Value for each in event.ResultContent)
        assert (event.ResultState, verdict, code) == (4, "ERROR", int(Code.NO_PICTURE))
        assert await plc.read("Verdict", "ResultCode", "Error") == [4, int(Code.NO_PICTURE), True]

    line("late", check)


def test_nobody_writes_what_the_gate_shows(line: Run) -> None:
    async def check(plc: Line) -> None:
        for name, value in (("Verdict", ua.Variant(1, ua.VariantType.Int32)), ("Available", ua.Variant(True))):
            with pytest.raises(ua.UaStatusCodeError, match="Bad"):
                await plc.node(f"Gate.{name}").write_value(value)
        with pytest.raises(ua.UaStatusCodeError, match="Bad"):
            await plc.node("Gate").add_variable(2, "more", 1)
        assert await plc.read("Verdict", "Available") == [0, False]

    line("shut", check)


def test_the_line_that_listen_plays_gets_its_result(server: OpcUaServer, gate: Gate) -> None:
    port = int(server.url.rpartition(":")[2].partition("/")[0])
    with closing(CallingLine("listen", Endpoint("127.0.0.1", port, "none", None))) as line:
        peer, decision = Peer(), None

        def decided() -> bool:
            nonlocal peer, decision
            shown = line.exchange(says(peer))
            assert shown is not None
            peer, decision = hear(peer, shown, now())
            if peer.beat_at and not peer.job:
                peer = ask(peer, "M1", now() + timedelta(seconds=30))
            elif peer.waiting and not sent:
                sent.append(gate.notification("M1", line="listen"))
                server.send("entry", sent[0], now())
            return decision is not None

        sent: list[str] = []
        waiting.until(decided, 30)
        assert decision is not None and decision.accept

"""The kind `opcua_client`: what is written to a controller's own OPC UA server, and what of it is believed."""

import asyncio
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from asyncua import ua

from linegate.adapters.targets.opcua import trust
from linegate.adapters.targets.opcua.client import OpcUaWriter, Plc, steps
from linegate.adapters.targets.opcua.line_side import ServingLine
from linegate.adapters.targets.opcua.tags import Value
from linegate.adapters.targets.opcua.trial import try_plc
from linegate.adapters.targets.opcua.trust import Certificates
from linegate.errors import TransientError
from linegate.line.handshake import Rules
from linegate.line.peer import Peer, ask, hear, says
from tests import waiting
from tests.opcua import Controller, Gate, free_port, looked_after, now, until

NONE: dict[str, Value] = {"Available": False, "Counter": 0, "ResultPart": "", "Verdict": 0, "Heartbeat": 1}
FIRST: dict[str, Value] = {"Available": True, "Counter": 1, "ResultPart": "A1", "Verdict": 1, "Heartbeat": 2}
SECOND: dict[str, Value] = {"Available": True, "Counter": 2, "ResultPart": "A2", "Verdict": 2, "Heartbeat": 3}

INT, TEXT, BIT = ua.VariantType.Int32, ua.VariantType.String, ua.VariantType.Boolean
READS = {"Job": INT, "Part": TEXT, "Acknowledged": INT}
WRITES = {
    "Heartbeat": INT,
    "Available": BIT,
    "Counter": INT,
    "ResultJob": ua.VariantType.UInt32,
    "ResultPart": TEXT,
    "Verdict": ua.VariantType.Int16,
    "ResultCode": ua.VariantType.Byte,
}


def test_a_result_shows_when_all_of_it_stands() -> None:
    assert steps(NONE, FIRST) == [
        {"Counter": 1, "ResultPart": "A1", "Verdict": 1, "Heartbeat": 2},
        {"Available": True},
    ]


def test_the_last_result_is_taken_back_before_the_next_one_changes_anything() -> None:
    assert steps(FIRST, SECOND) == [
        {"Available": False},
        {"Counter": 2, "ResultPart": "A2", "Verdict": 2, "Heartbeat": 3},
        {"Available": True},
    ]


def test_a_heartbeat_alone_touches_no_result() -> None:
    assert steps(FIRST, {**FIRST, "Heartbeat": 9}) == [{"Heartbeat": 9}]
    assert steps(FIRST, FIRST) == []


def test_what_stands_in_a_controller_at_the_start_is_not_believed() -> None:
    """It may hold the PASS of another part."""
    assert steps({}, FIRST)[0] == {"Available": False}
    assert steps({}, NONE) == [{"Available": False}, {name: NONE[name] for name in NONE if name != "Available"}]


def plc(controller: Controller, **changes: str) -> Plc:
    reads = {name: f"ns=2;s=Line.{name}" for name in READS}
    writes = {name: f"ns=2;s=Gate.{name}" for name in WRITES} | changes
    return Plc(controller.url, "none", None, reads, writes, lambda: None)


def controller(port: int, **kinds: ua.VariantType) -> Controller:
    names = {f"Line.{name}": kind for name, kind in READS.items()} | {
        f"Gate.{name}": kind for name, kind in WRITES.items()
    }
    return Controller(port, names | {f"Gate.{name}": kind for name, kind in kinds.items()})


@contextmanager
def writing(gate: Gate, plc: Plc) -> Iterator[OpcUaWriter]:
    writer = OpcUaWriter(plc, gate.conversations["smt-1"], gate.link, 0.02)
    writer.start()
    try:
        yield writer
    finally:
        writer.close()


@pytest.mark.slow
def test_a_controller_gets_its_results_across_its_own_restart() -> None:
    async def check(gate: Gate, port: int) -> None:
        loop = asyncio.get_running_loop()
        first = controller(port)
        await first.start()

        async def shows(server: Controller, *wanted: Value) -> None:
            names = ("Gate.Available", "Gate.Counter", "Gate.ResultJob", "Gate.ResultPart", "Gate.Verdict")

            async def stands() -> bool:
                return await server.read(*names) == list(wanted)

            await until(stands)

        with writing(gate, plc(first)) as writer:
            await first.write({"Line.Part": "A1", "Line.Job": 1})

            async def taken() -> bool:
                return gate.conversations["smt-1"].signals().job == 1

            await until(taken)
            await loop.run_in_executor(None, writer.send, "one", gate.notification("A1"), now())
            await shows(first, True, 1, 1, "A1", 1)
            await first.write({"Line.Acknowledged": 1, "Line.Part": "A2", "Line.Job": 2})
            await shows(first, False, 1, 0, "", 0)
            await first.server.stop()
            await loop.run_in_executor(None, writer.send, "two", gate.notification("A2", "FAIL"), now())

            # It comes back with nothing: its variables are not retained, or it is another one.
            second = controller(port)
            await second.start()
            await shows(second, True, 2, 2, "A2", 2)
            heartbeat = await second.read("Gate.Heartbeat")

            async def beats() -> bool:
                return await second.read("Gate.Heartbeat") != heartbeat

            await until(beats)
            said = await loop.run_in_executor(None, try_plc, plc(second), 20.0)
            assert "3 variables to read and 7 to write" in said
            with pytest.raises(TransientError, match=r"Verdict at ns=2;s=Gate\.Nowhere"):
                await loop.run_in_executor(None, try_plc, plc(second, Verdict="ns=2;s=Gate.Nowhere"), 20.0)
            assert [connected for connected, _ in gate.linked][-1]
            await loop.run_in_executor(None, writer.close)  # on this loop is the server that it takes leave of
        await second.server.stop()

    gate = Gate()
    gate.add("smt-1", Rules(limit_s=60, picture_s=60))
    with looked_after(gate):
        asyncio.run(check(gate, free_port()))


def test_nobody_is_written_to_where_the_configuration_does_not_want_it() -> None:
    def look() -> None:
        raise TransientError("nothing was sent: it is a public address")

    gate = Gate()
    gate.add("smt-1")
    nowhere = replace(plc(controller(free_port())), look=look)
    with pytest.raises(TransientError, match="nothing was sent"):
        try_plc(nowhere, 5)


@pytest.mark.slow
def test_an_encrypted_controller_is_spoken_to_once_a_person_trusts_it(tmp_path: Path) -> None:
    """The controller is the one that `linegate listen` plays."""
    gate, own = Gate(), Certificates(tmp_path / "opcua")
    gate.add("smt-1", Rules(limit_s=60, picture_s=60))
    url = f"opc.tcp://127.0.0.1:{free_port()}"
    reads = {name: f"ns=4;s=Line.{name}" for name in READS}
    writes = {name: f"ns=4;s=Gate.{name}" for name in WRITES}
    there = Plc(url, "encrypt", own, reads, writes, lambda: None, "linegate", "pw-of-the-gate")
    with closing(ServingLine(there)) as line, looked_after(gate), writing(gate, there) as writer:
        rejected = own.folder / trust.REJECTED
        waiting.until(lambda: rejected.is_dir() and list(rejected.iterdir()))
        assert not writer.connected.is_set()
        assert "is not trusted" in gate.linked[-1][1]
        [stranger] = rejected.iterdir()
        stranger.rename(own.folder / trust.TRUSTED / stranger.name)
        peer, decision = Peer(), None

        def decided() -> bool:
            nonlocal peer, decision
            shown = line.exchange(says(peer))
            if shown is not None:
                peer, decision = hear(peer, shown, now())
                if peer.beat_at and not peer.job:
                    peer = ask(peer, "A1", now() + timedelta(seconds=60))
                elif gate.conversations["smt-1"].waiting and not sent:  # it has no variable for an echo
                    sent.append(gate.notification("A1"))
                    writer.send("one", sent[0], now())
            return decision is not None

        sent: list[str] = []
        waiting.until(decided, 30)
        assert decision is not None and decision.accept

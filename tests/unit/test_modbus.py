"""The kind `modbus`, over sockets, against pymodbus's own client and server."""

import socket
import struct
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import sleep
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.client import ModbusTcpClient
from pymodbus.exceptions import ModbusException

from linegate.adapters.local.handshakes import links
from linegate.adapters.targets.modbus.registers import (
    GATE,
    GATE_SIZE,
    LINE,
    LINE_SIZE,
    LONGEST_READ,
    PART_BYTES,
    Order,
    page,
    said,
    saying,
    seen,
    shown,
)
from linegate.config import parse
from linegate.errors import ConfigError, TransientError
from linegate.inspection import Verdict
from linegate.line.handshake import LAST_NUMBER, Acknowledge, Code, LineResult, NotTaken, Signals, Trigger
from linegate.line.peer import Decision, Peer, ask, hear, says
from tests.controllers import CONFIG, LineGate, eventually, free_port, line_gate, verdict_of

PAGE = Path(__file__).parents[2] / "shared" / "docs" / "modbus.md"

numbers = st.integers(0, LAST_NUMBER)
parts = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=PART_BYTES // 4)
orders = st.builds(Order, st.booleans(), st.booleans())
results = st.none() | st.builds(
    LineResult, numbers, numbers, parts, st.none() | st.sampled_from(Verdict), st.sampled_from(Code)
)


# --- the map


@given(
    st.builds(
        Signals,
        st.booleans(),
        st.booleans(),
        numbers,
        numbers,
        parts,
        numbers,
        results,
        st.integers(0, 64),
        st.sampled_from(Code),
        st.none() | st.builds(NotTaken, numbers, st.sampled_from([c for c in Code if c])),
    ),
    orders,
)
def test_what_the_gate_shows_is_what_the_line_reads(signals: Signals, order: Order) -> None:
    registers = shown(signals, order)
    assert len(registers) == GATE_SIZE <= LONGEST_READ
    assert all(0 <= word < 1 << 16 for word in registers)
    read = seen(registers, order)
    if signals.result is not None:  # its counter is the one beside it
        assert read.result is not None
        assert read.counter == signals.counter
        assert (read.result.job, read.result.part, read.result.verdict, read.result.code) == (
            signals.result.job,
            signals.result.part,
            signals.result.verdict,
            signals.result.code,
        )
    else:
        assert read == signals


@given(numbers.filter(bool), parts.filter(bool), numbers.filter(bool), orders)
def test_what_the_line_shows_is_what_the_gate_reads(job: int, part: str, counter: int, order: Order) -> None:
    trigger, acknowledge = Trigger(job, part), Acknowledge(counter)
    registers = saying(trigger, acknowledge, order)
    assert len(registers) == LINE_SIZE
    assert said(registers, order) == (trigger, acknowledge)


def test_numbers_and_texts_lie_in_registers_as_the_page_says() -> None:
    registers = saying(Trigger(0x00010002, "ABC"), Acknowledge(3), Order())
    assert registers[:3] == [0x4142, 0x4300, 0]
    assert registers[40:44] == [1, 2, 0, 3]
    swapped = saying(Trigger(0x00010002, "ABC"), Acknowledge(3), Order(low_word_first=True, low_byte_first=True))
    assert swapped[:3] == [0x4241, 0x0043, 0]
    assert swapped[40:44] == [2, 1, 3, 0]


def test_a_part_that_does_not_fit_is_none_and_never_the_beginning_of_another() -> None:
    result = LineResult(1, 0, "A" * (PART_BYTES + 1), Verdict.PASS, Code.NONE)
    signals = Signals(True, False, 1, 0, "", 1, result, 1, Code.NONE, None)
    read = seen(shown(signals, Order()), Order()).result
    assert read is not None and read.part == ""


def test_the_page_tells_the_map_as_it_is() -> None:
    assert page() in PAGE.read_text()
    assert {register.name for register in GATE + LINE} <= set(PAGE.read_text().replace("`", " ").split())


# --- the file


@pytest.mark.parametrize(
    ("written", "says_so"),
    [
        ('{type: modbus, listen: "0.0.0.0:502"}', "name who may connect under network.private_addresses"),
        ('{type: modbus, url: "modbus://plc.example.com"}', "is for private networks only"),
        ('{type: modbus, url: "modbus://8.8.8.8"}', "8.8.8.8"),
        ("{type: modbus}", "either this"),
        ('{type: modbus, url: "modbus://10.0.0.9", listen: "0.0.0.0:502"}', "either this"),
        ('{type: modbus, url: "http://10.0.0.9"}', "must be modbus://HOST"),
        ('{type: modbus, listen: "502"}', "must be ADDRESS:PORT"),
        ('{type: modbus, listen: "0.0.0.0:502", line_at: 50}', "overlap"),
        ('{type: modbus, listen: "0.0.0.0:502", line_at: 65500}', "must end by register 65535"),
    ],
)
def test_what_could_not_be_spoken_to_is_refused_with_the_file(written: str, says_so: str) -> None:
    with pytest.raises(ConfigError, match=says_so):
        parse(CONFIG.replace("network: {private_addresses: [127.0.0.1]}", "").replace("PLC", written), Path(), {})


# --- the gate as a server


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.fixture
def gate(tmp_path: Path, port: int) -> Iterator[LineGate]:
    with line_gate(tmp_path, f'{{type: modbus, listen: "127.0.0.1:{port}", lines: [smt-1]}}') as gate:
        gate.look()
        yield gate


@pytest.fixture
def plc(gate: LineGate, port: int) -> Iterator[ModbusTcpClient]:
    client = ModbusTcpClient("127.0.0.1", port=port, timeout=5, retries=0)
    with closing(client):
        assert client.connect()  # type: ignore[no-untyped-call]
        yield client


def read(plc: ModbusTcpClient, unit: int = 1) -> Signals:
    return seen(plc.read_holding_registers(0, count=GATE_SIZE, device_id=unit).registers, Order())


def write(plc: ModbusTcpClient, job: int = 0, part: str = "", counter: int = 0, unit: int = 1) -> Any:
    trigger = Trigger(job, part) if job else None
    return plc.write_registers(100, saying(trigger, Acknowledge(counter), Order()), device_id=unit)


def test_a_part_from_trigger_to_acknowledgement(gate: LineGate, plc: ModbusTcpClient) -> None:
    assert read(plc).ready
    write(plc, 7, "A1")
    assert (read(plc).job, read(plc).part, read(plc).busy) == (7, "A1", True)
    gate.decide(gate.picture("A1"), Verdict.PASS)
    after = read(plc)
    assert after.result == LineResult(1, 7, "A1", Verdict.PASS, Code.NONE)
    write(plc, 7, "A1", after.counter)
    assert (read(plc).available, read(plc).waiting, read(plc).counter) == (False, 0, 1)
    assert not write(plc, 7, "A1", after.counter).isError()


def test_it_can_be_read_as_input_registers_too_and_by_any_unit(gate: LineGate, plc: ModbusTcpClient) -> None:
    answer = plc.read_input_registers(0, count=GATE_SIZE, device_id=255)
    assert seen(answer.registers, Order()).ready


def test_what_the_gate_shows_can_not_be_written(gate: LineGate, plc: ModbusTcpClient) -> None:
    assert plc.write_registers(10, [1, 2]).isError()
    assert plc.write_register(3, 1).isError()
    assert read(plc).ready


def test_half_a_number_is_refused(gate: LineGate, plc: ModbusTcpClient) -> None:
    assert plc.write_register(141, 7).isError()
    assert plc.write_registers(139, [0, 7]).isError()
    assert read(plc).job == 0


def test_a_part_is_laid_ready_before_its_job(gate: LineGate, plc: ModbusTcpClient) -> None:
    """A PLC that writes value by value: the part first, which is no trigger yet, then the job."""
    write(plc, 7, "A1")
    second = saying(Trigger(8, "A2"), None, Order())
    plc.write_registers(100, second[:40])
    plc.write_registers(142, [0, 0])
    shown_now = read(plc)
    assert (shown_now.job, shown_now.not_taken) == (7, None)
    plc.write_registers(140, second[40:42])
    assert (read(plc).job, read(plc).part) == (8, "A2")


def test_a_trigger_that_was_not_taken_stands_until_there_is_a_place(tmp_path: Path, port: int) -> None:
    section = f'{{type: modbus, listen: "127.0.0.1:{port}", lines: [smt-1], depth: 1}}'
    with line_gate(tmp_path, section) as gate, closing(ModbusTcpClient("127.0.0.1", port=port, retries=0)) as plc:
        write(plc, 1, "A1")
        write(plc, 2, "A2")
        assert read(plc).not_taken == NotTaken(2, Code.FULL)
        gate.decide(gate.picture("A1"), Verdict.FAIL)
        plc.write_registers(142, [0, 1])
        assert (read(plc).job, read(plc).part) == (2, "A2")


def test_nothing_is_acknowledged_before_it_is_stored(gate: LineGate, plc: ModbusTcpClient) -> None:
    write(plc, 1, "A1")
    before = read(plc)
    gate.database.write(lambda connection: connection.execute("ALTER TABLE handshakes RENAME TO gone"))
    assert write(plc, 2, "A2").isError()
    assert read(plc).job == 1
    assert read(plc).heartbeat == before.heartbeat
    gate.database.write(lambda connection: connection.execute("ALTER TABLE gone RENAME TO handshakes"))
    assert not write(plc, 2, "A2").isError()
    assert read(plc).job == 2


def test_requests_that_come_together_are_all_answered_in_their_order(gate: LineGate, port: int) -> None:
    def frame(number: int, pdu: bytes) -> bytes:
        return struct.pack(">HHHB", number, 0, len(pdu) + 1, 1) + pdu

    block = saying(Trigger(7, "A1"), None, Order())
    written = struct.pack(">BHHB", 16, 100, LINE_SIZE, 2 * LINE_SIZE) + struct.pack(f">{LINE_SIZE}H", *block)
    asked = [frame(1, written), frame(2, struct.pack(">BHH", 3, 8, 2)), frame(3, b"\x2b\x0e\x01\x00")]
    asked += [frame(number, struct.pack(">BHH", 4, 0, 2)) for number in range(4, 9)]
    together = b"".join(asked)
    with socket.create_connection(("127.0.0.1", port), timeout=10) as plc:
        for part in (together[:30], together[30:105], together[105:]):
            plc.sendall(part)
            sleep(0.05)
        with plc.makefile("rb") as answers:
            heard = []
            for _ in asked:
                number, _, length, _ = struct.unpack(">HHHB", answers.read(7))
                heard.append((number, answers.read(length - 1)))
    assert [number for number, _ in heard] == list(range(1, 9))
    assert heard[1][1] == b"\x03\x04" + struct.pack(">HH", 0, 0)


def test_what_is_no_modbus_ends_its_own_connection_and_no_other(
    gate: LineGate, plc: ModbusTcpClient, port: int
) -> None:
    for noise in (b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 4000, b"\x00\x01\x00\x00\x00\x02\x01\x99"):
        with socket.create_connection(("127.0.0.1", port), timeout=10) as other:
            other.sendall(noise)
    assert read(plc).ready


def test_the_heartbeat_stands_for_looks(gate: LineGate, plc: ModbusTcpClient) -> None:
    first = read(plc).heartbeat
    assert read(plc).heartbeat == first
    gate.look()
    assert read(plc).heartbeat == first + 1
    gate.look(able=False)
    assert (read(plc).heartbeat, read(plc).code, read(plc).ready) == (first + 1, Code.CAN_NOT_DECIDE, False)


def test_started_again_it_shows_what_it_showed(tmp_path: Path, port: int) -> None:
    section = f'{{type: modbus, listen: "127.0.0.1:{port}", lines: [smt-1]}}'
    with line_gate(tmp_path, section) as gate, closing(ModbusTcpClient("127.0.0.1", port=port, retries=0)) as plc:
        write(plc, 7, "A1")
        gate.decide(gate.picture("A1"), Verdict.FAIL)
        before = read(plc)
    with line_gate(tmp_path, section), closing(ModbusTcpClient("127.0.0.1", port=port, retries=0)) as plc:
        after = read(plc)
        assert after.result == before.result
        assert (after.job, after.part, after.ready) == (7, "A1", False)


def test_each_line_is_a_unit_of_its_own(tmp_path: Path, port: int) -> None:
    section = f'{{type: modbus, listen: "127.0.0.1:{port}", unit: 5}}'
    with line_gate(tmp_path, section), closing(ModbusTcpClient("127.0.0.1", port=port, retries=0)) as plc:
        write(plc, 7, "A1", unit=6)
        assert [read(plc, unit).job for unit in (5, 6)] == [0, 7]
        assert plc.read_holding_registers(0, count=1, device_id=1).isError()


def test_who_is_in_no_network_of_the_file_is_not_heard(tmp_path: Path, port: int) -> None:
    section = f'{{type: modbus, listen: "127.0.0.1:{port}"}}'
    with (
        line_gate(tmp_path, section, network="10.1.2.0/24"),
        closing(ModbusTcpClient("127.0.0.1", port=port, timeout=1, retries=0)) as plc,
        pytest.raises((ModbusException, OSError)),
    ):
        plc.read_holding_registers(0, count=1)


def test_who_asks_is_connected_and_who_is_silent_is_not(gate: LineGate, plc: ModbusTcpClient) -> None:
    read(plc)
    eventually(lambda: [(link.connected, link.said) for link in links(gate.database)] == [(True, "127.0.0.1")])


def test_a_port_that_is_taken_is_told(gate: LineGate, tmp_path: Path, port: int) -> None:
    other = tmp_path / "other"
    other.mkdir()
    section = f'{{type: modbus, listen: "127.0.0.1:{port}"}}'
    with pytest.raises(TransientError, match=f"nobody can listen at 127.0.0.1:{port}"), line_gate(other, section):
        pass


# --- the gate as a client, and the line's side that `linegate listen` plays


def both(port: int) -> list[str]:
    return [
        f'{{type: modbus, listen: "127.0.0.1:{port}", lines: [smt-1], low_word_first: true}}',
        f'{{type: modbus, url: "modbus://127.0.0.1:{port}", lines: [smt-1], poll_ms: 10, low_byte_first: true}}',
    ]


@pytest.mark.parametrize("way", [0, 1], ids=["server", "client"])
def test_a_line_that_follows_the_law_accepts_what_passed_and_nothing_else(way: int, tmp_path: Path, port: int) -> None:
    with line_gate(tmp_path, both(port)[way]) as gate:
        kind = gate.kind
        peer, decisions = Peer(), list[Decision]()
        with closing(kind.line_side("smt-1", gate.app.around(kind))) as side:

            def turn() -> bool:
                nonlocal peer
                gate.look()
                gate.decide_all()
                now = datetime.now(UTC)
                try:
                    signals = side.exchange(says(peer))
                except TransientError:
                    return False
                if signals is None:
                    return False
                peer, decision = hear(peer, signals, now)
                if decision:
                    decisions.append(decision)
                return not peer.asking and not peer.waiting and peer.beat_at is not None

            eventually(turn)
            for part in ("A1", "B2", "C3", "D4", "E5"):
                peer = ask(peer, part, datetime.now(UTC) + timedelta(seconds=10))
                eventually(turn)
            eventually(lambda: turn() and not gate.conversation().signals().available)
    assert [(d.part, d.accept) for d in decisions] == [
        (part, verdict_of(part) is Verdict.PASS) for part in ("A1", "B2", "C3", "D4", "E5")
    ]


@pytest.mark.slow
def test_a_gate_that_starts_before_its_plc_finds_it_and_says_so(tmp_path: Path, port: int) -> None:
    with line_gate(tmp_path, both(port)[1]) as gate:
        eventually(lambda: [link.connected for link in links(gate.database)] == [False])
        with pytest.raises(TransientError, match="nobody answers"):
            gate.kind.try_out(gate.app.around(gate.kind))
        for _ in range(2):  # and finds it again
            with closing(gate.kind.line_side("smt-1", gate.app.around(gate.kind))) as side:
                eventually(lambda: side.exchange(()))
                eventually(lambda: [link.connected for link in links(gate.database)] == [True])
                assert "answers as unit 1" in gate.kind.try_out(gate.app.around(gate.kind))
            eventually(lambda: [link.connected for link in links(gate.database)] == [False])


def test_doctor_sees_the_gate_and_takes_nobodys_place(tmp_path: Path, port: int) -> None:
    section = both(port)[0]
    kind = parse(CONFIG.replace("PLC", section), tmp_path, {}).targets["plc"]
    with line_gate(tmp_path, section) as gate:
        assert kind.try_out(gate.app.around(kind)) == f"the gate listens at 127.0.0.1:{port}"
        around = gate.app.around(kind)
    assert "will listen" in kind.try_out(around)

"""The kind `sparkplug` with a real broker, read by google's protobuf: births, data, rebirth and death."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from linegate.adapters.targets.mqtt.payload import Kind, Metric, payload, truths
from linegate.adapters.targets.mqtt.sparkplug import REBIRTH, EdgeNode, Sparkplug
from linegate.errors import TransientError
from linegate.kind import Surroundings
from linegate.sections import Network
from tests.brokers import Broker, Listener, listening
from tests.mqtt_history import told
from tests.sparkplug import Payload, Said, command, read
from tests.waiting import until

ALL, COMMANDS = "spBv1.0/#", "spBv1.0/linegate/NCMD/gate"


@pytest.fixture
def around(tmp_path: Path) -> Surroundings:
    return Surroundings(
        folder=tmp_path,
        service=None,
        network=Network(private_addresses=["127.0.0.0/8"]),
        proxy_for=lambda _: None,
        shared=lambda _, build: build(),
        at_stop=lambda _: None,
        lines=("smt-1", "smt-2"),
    )


@pytest.fixture
def node(broker: Broker, around: Surroundings) -> Iterator[EdgeNode]:
    with ExitStack() as stack:
        made = EdgeNode(Sparkplug(url=broker.url, timeout_s=2), around)
        stack.callback(made.close)
        yield made


def send(node: EdgeNode, serial: str, **data: Any) -> None:
    event = json.loads(told("smt-1", serial)[0])
    event["data"] |= data
    node.send("entry", json.dumps(event), datetime.now(UTC))


def said(heard: Listener) -> list[Said]:
    return [read(each) for each in list(heard.messages) if "/NCMD/" not in each.topic]


def words(heard: Listener) -> list[str]:
    return [" ".join(filter(None, (each.word, each.device))) for each in said(heard)]


def in_sequence(messages: list[Said]) -> bool:
    """As a host checks it: a birth of the node is 0, and whatever follows counts up."""
    expected = None
    for each in messages:
        if each.word == "NDEATH":
            continue
        expected = 0 if each.word == "NBIRTH" else None if expected is None else (expected + 1) % 256
        if each.seq != expected:
            return False
    return True


def test_births_come_first_and_each_verdict_is_data_of_its_line(broker: Broker, around: Surroundings) -> None:
    with listening(broker, ALL) as heard:
        node = EdgeNode(Sparkplug(url=broker.url), around)
        send(node, "A1", verdict="PASS", fail_count=0)
        send(node, "A2", verdict="FAIL", fail_count=2)
        until(lambda: len(words(heard)) == 5)
        assert words(heard) == ["NBIRTH", "DBIRTH smt-1", "DBIRTH smt-2", "DDATA smt-1", "DDATA smt-1"]
        birth, device, _, first, second = said(heard)
        assert birth.metrics[REBIRTH] is False
        assert set(device.metrics) == set(first.metrics) == set(second.metrics), "a device's data was in its birth"
        assert set(device.metrics.values()) == {None}
        assert [(each.metrics["Inspection/Serial"], each.metrics["Inspection/Accept"]) for each in (first, second)] == [
            ("A1", True),
            ("A2", False),
        ]
        assert second.metrics["Inspection/Defects"] == 2
        assert abs(second.metrics["Inspection/Decided at"] / 1000 - datetime.now(UTC).timestamp()) < 60
        assert in_sequence(said(heard))
        node.close()
        until(lambda: words(heard)[-1] == "NDEATH")
        assert said(heard)[-1].metrics == {"bdSeq": birth.metrics["bdSeq"]}


def test_a_host_that_asks_for_it_is_told_all_again_with_the_last_products(broker: Broker, node: EdgeNode) -> None:
    with listening(broker, ALL) as heard:
        send(node, "A1")
        until(lambda: words(heard)[-1:] == ["DDATA smt-1"])
        heard.say(COMMANDS, b"\xff\xff nonsense")
        heard.say(COMMANDS, command(**{"Node-Control_Rebirth": False}))
        heard.say(COMMANDS, command(**{"Node-Control_Rebirth": True}))
        until(lambda: words(heard)[-3:] == ["NBIRTH", "DBIRTH smt-1", "DBIRTH smt-2"])
        again = said(heard)[-3:]
        assert again[0].seq == 0
        assert again[1].metrics["Inspection/Serial"] == "A1"
        send(node, "A2")
        until(lambda: words(heard)[-1] == "DDATA smt-1")
        assert said(heard)[-1].seq == 3


def test_a_line_that_is_not_in_the_file_is_born_with_its_first_product(broker: Broker, node: EdgeNode) -> None:
    with listening(broker, ALL) as heard:
        send(node, "A1", line="x/y")
        until(lambda: "DBIRTH x_y" in words(heard))
        assert said(heard)[-1].metrics["Inspection/Serial"] == "A1"


def test_the_broker_tells_of_a_death_and_each_connection_has_another_number(broker: Broker, node: EdgeNode) -> None:
    with listening(broker, ALL) as heard:
        send(node, "A1")
        node._kept.session().drop()
        until(lambda: words(heard)[-3:] == ["NBIRTH", "DBIRTH smt-1", "DBIRTH smt-2"])
        death, birth = (next(each for each in said(heard) if each.word == word) for word in ("NDEATH", "NBIRTH"))
        assert (death.metrics["bdSeq"] + 1) % 256 == said(heard)[-3].metrics["bdSeq"]
        assert birth.seq == 0


def test_after_a_broker_was_killed_births_come_before_data(broker: Broker, node: EdgeNode) -> None:
    send(node, "A1")
    broker.kill()
    broker.start()
    until(lambda: _sent(node, "A2"))
    with listening(broker, ALL) as heard:  # a host that comes back asks for what it missed
        heard.say(COMMANDS, command(**{"Node-Control_Rebirth": True}))
        until(lambda: "DBIRTH smt-2" in words(heard))
        send(node, "A3")
        until(lambda: words(heard)[-1] == "DDATA smt-1")
        assert said(heard)[1].metrics["Inspection/Serial"] == "A2"
        assert in_sequence(said(heard))


def _sent(node: EdgeNode, serial: str) -> bool:
    with suppress(TransientError):
        send(node, serial)
        return True
    return False


def test_payloads_are_what_the_published_schema_says() -> None:
    metrics = [
        Metric("ü", Kind.STRING, "ä" * 300),
        Metric("n", Kind.UINT32, 2**32 - 1),
        Metric("t", Kind.DATE_TIME, 1_800_000_000_000),
        Metric("b", Kind.BOOLEAN, True),
        Metric("none", Kind.STRING, None),
    ]
    read_back = Payload.FromString(payload(metrics, 1_800_000_000_001, 255))
    assert (read_back.timestamp, read_back.seq) == (1_800_000_000_001, 255)
    assert [(each.name, each.datatype) for each in read_back.metrics] == [
        (each.name, int(each.kind)) for each in metrics
    ]
    assert [each.is_null for each in read_back.metrics] == [False, False, False, False, True]
    assert (read_back.metrics[0].string_value, read_back.metrics[1].int_value) == ("ä" * 300, 2**32 - 1)
    assert (read_back.metrics[2].long_value, read_back.metrics[3].boolean_value) == (1_800_000_000_000, True)
    assert truths(command(**{"Node-Control_Rebirth": True})) == {REBIRTH: True}


@pytest.mark.parametrize("written", [b"\x12\xff", b"\x08", b"\x0b", b"\x12\x02\x0a\x05", b"\x80" * 20])
def test_what_breaks_off_is_no_command(written: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        truths(written)

"""The kind `mqtt` with a real broker: what it acknowledged is sent, nothing is lost, and a dead gate is told as such."""

import json
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from linegate.adapters.targets.mqtt.kind import Mqtt, MqttTarget
from linegate.errors import DeferredError, TransientError
from linegate.kind import Surroundings
from linegate.sections import Network
from tests.brokers import Broker, Listener, listening
from tests.certificates import Authority
from tests.mqtt_history import broken, play, told
from tests.waiting import until

LAST, STATUS, VERDICTS = (f"linegate/smt-1/{name}" for name in ("last", "status", "verdicts"))


@pytest.fixture
def around(tmp_path: Path) -> Iterator[Surroundings]:
    with ExitStack() as at_stop:

        def keep(call: Callable[[], None]) -> None:
            at_stop.callback(call)

        yield Surroundings(
            folder=tmp_path,
            service=None,
            network=Network(private_addresses=["127.0.0.0/8"]),
            proxy_for=lambda _: None,
            shared=lambda _, build: build(),
            at_stop=keep,
            lines=("smt-1", "smt-2"),
        )


def send(target: Any, body: str, now: datetime | None = None) -> None:
    target.send("entry", body, now or datetime.now(UTC))


def body(serial: str = "A1", **data: Any) -> str:
    """A notification; `data` are changes of it."""
    event = json.loads(told("smt-1", serial)[0])
    event["data"] |= data
    return json.dumps(event)


def states(listener: Listener) -> list[str]:
    return [each.json["state"] for each in listener.of(STATUS)]


@pytest.mark.parametrize("version", ["5", "3.1.1"])
def test_a_verdict_is_published_and_the_last_one_stays(version: Any, broker: Broker, around: Surroundings) -> None:
    target = Mqtt(url=broker.url, version=version).build(around)
    with listening(broker, "linegate/#") as heard:
        send(target, body("A1"))
        send(target, body("A2", line="unknown"))
        until(lambda: len(heard.of("linegate/unknown/verdicts")) == 1)
        assert heard.of(VERDICTS)[0].json["data"]["serial"] == "A1"
        assert heard.of("linegate/unknown/last") == [], "nobody says whether a line that is not in the file is there"
    with listening(broker, "linegate/#", name="latecomer") as late:
        until(lambda: late.of(LAST) and late.of(STATUS))
        assert (late.of(LAST)[0].json["data"]["serial"], states(late)) == ("A1", ["online"])
        assert late.of(VERDICTS) == []


def test_a_gate_that_stops_says_so_and_one_that_is_gone_is_told_by_the_broker(
    broker: Broker, around: Surroundings
) -> None:
    with listening(broker, "linegate/#") as heard:
        stopped = Mqtt(url=broker.url).build(around)
        until(lambda: states(heard) == ["online"])
        stopped.close()  # type: ignore[attr-defined]
        until(lambda: states(heard) == ["online", "offline"])
        said: list[tuple[bool, str]] = []
        gone = Mqtt(url=broker.url).build(replace(around, link=lambda *told: said.append(told)))
        assert isinstance(gone, MqttTarget)
        until(lambda: states(heard)[2:] == ["online"])
        gone._by_line["smt-1"].session().drop()
        until(lambda: states(heard)[3:] == ["offline", "online"])  # and it comes back by itself
        until(lambda: (True, f"127.0.0.1:{broker.port}") in said)  # as `linegate status` tells it


def test_nobody_there_is_no_attempt_until_it_is_old_news(around: Surroundings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    kind = Mqtt(url=f"mqtt://127.0.0.1:{port}", give_up_after_s=60)
    target = kind.build(around)
    with pytest.raises(DeferredError, match=f"no connection to 127.0.0.1:{port}: Connection refused"):
        send(target, body())
    with pytest.raises(TransientError) as later:
        send(target, body(), datetime.now(UTC) + timedelta(seconds=61))
    assert not isinstance(later.value, DeferredError), "so it counts, and is given up"
    with pytest.raises(TransientError, match="no connection"):
        kind.try_out(around)


def test_what_is_not_acknowledged_is_not_sent(broker: Broker, around: Surroundings) -> None:
    target = Mqtt(url=broker.url, timeout_s=0.3).build(around)
    with listening(broker, VERDICTS) as heard:
        send(target, body("A1"))
        broker.halt()
        with pytest.raises(DeferredError, match=r"did not acknowledge it within 0\.3 s"):
            send(target, body("A2"))
        broker.resume()
        send(target, body("A2"))
        until(lambda: [each.json["data"]["serial"] for each in heard.messages][-1] == "A2")


def test_a_correction_of_an_earlier_product_is_told_and_does_not_take_the_last_ones_place(
    broker: Broker, around: Surroundings
) -> None:
    now = datetime.now(UTC)
    early, late = ((now - timedelta(seconds=back)).isoformat() for back in (60, 30))
    target = Mqtt(url=broker.url).build(around)
    assert isinstance(target, MqttTarget)
    send(target, body("A1", received_at=early))
    send(target, body("A2", received_at=late))
    target.close()
    again = Mqtt(url=broker.url).build(around)  # it was just started, and knows by what stands there
    with listening(broker, "linegate/#") as heard:
        send(again, body("A1", received_at=early, revision=2))
        until(lambda: heard.of(VERDICTS))
        send(again, body("A2", received_at=late, revision=2))
        until(lambda: len(heard.of(VERDICTS)) == 2)
        until(lambda: len(heard.of(LAST)) == 2)
        assert [each.json["data"]["serial"] for each in heard.of(LAST)] == ["A2", "A2"]
        assert [each.json["data"]["revision"] for each in heard.of(VERDICTS)] == [2, 2]


def test_topics_and_payloads_are_what_the_file_says(broker: Broker, around: Surroundings) -> None:
    kind = Mqtt(
        url=broker.url, topic="plant/{line}/{serial}", last_topic=None, status_topic=None, payload="{verdict} {accept}"
    )
    with listening(broker, "#") as heard:
        send(kind.build(around), body("A/1"))
        until(lambda: heard.messages)
        assert [(each.topic, each.payload) for each in heard.messages] == [("plant/smt-1/A_1", b"REVIEW false")]


def test_what_the_broker_refuses_is_told_and_is_an_attempt(tmp_path: Path, around: Surroundings) -> None:
    (tmp_path / "acl").write_text("topic write linegate/smt-1/#\ntopic write linegate/smt-2/#\n")
    broker = Broker(tmp_path / "strict", f"acl_file {tmp_path}/acl\n").start()
    try:
        target = Mqtt(url=broker.url, last_topic=None).build(around)
        send(target, body("A1"))
        with pytest.raises(TransientError, match="refused it") as refused:
            send(target, body("A2", line="secret"))
        assert not isinstance(refused.value, DeferredError)
    finally:
        broker.kill()


@pytest.fixture
def encrypted(tmp_path: Path) -> Iterator[Callable[..., Mqtt]]:
    """Makes the section for a broker that is at localhost, speaks TLS, and wants to know who is there."""
    authority = Authority(tmp_path / "ca")
    certificate, key = authority.vouch_for("broker", "localhost")
    authority.vouch_for("gate")
    Authority(tmp_path / "other", "stranger").vouch_for("gate")
    broker = Broker(
        tmp_path / "encrypted",
        f"cafile {authority.file}\ncertfile {certificate}\nkeyfile {key}\nrequire_certificate true\n",
    ).start()

    def make(host: str = "localhost", gate: str | None = "ca/gate", ca: str = "ca/authority.pem") -> Mqtt:
        own = {"certificate": f"{gate}.pem", "key": f"{gate}.key"} if gate else {}
        url = f"mqtts://{host}:{broker.port}"
        return Mqtt.model_validate({"type": "mqtt", "url": url, "timeout_s": 2, "tls": {"ca": ca, **own}})

    yield make
    broker.kill()


def test_gate_and_broker_know_each_other_by_certificates(encrypted: Callable[..., Mqtt], around: Surroundings) -> None:
    kind = encrypted()
    assert kind.try_out(around).endswith("took the connection (MQTT 5)")
    send(kind.build(around), body("A1"))


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"gate": None}, "did not take the connection|no encrypted connection|broke"),
        ({"gate": "other/gate"}, "did not take the connection|no encrypted connection|broke"),
        ({"ca": "other/stranger.pem"}, "no encrypted connection.*certificate verify failed"),
        ({"host": "127.0.0.1"}, "no encrypted connection.*certificate verify failed"),
        ({"ca": "ca/missing.pem"}, "certificates can't be read"),
    ],
)
def test_nothing_is_said_to_who_is_not_known(
    changed: dict[str, str], why: str, encrypted: Callable[..., Mqtt], around: Surroundings
) -> None:
    with pytest.raises(TransientError, match=why):
        encrypted(**changed).try_out(around)


def test_a_name_may_not_lead_to_where_nothing_may_be_sent(broker: Broker, around: Surroundings) -> None:
    elsewhere = replace(around, network=Network(private_addresses=["10.0.0.0/8"]))
    with pytest.raises(TransientError, match="nothing was sent"):
        Mqtt(url=f"mqtt://localhost:{broker.port}").try_out(elsewhere)


def test_broker_gate_and_listener_are_killed_and_nothing_is_lost_and_all_is_in_order(tmp_path: Path) -> None:
    said, heard, gate = play(tmp_path, products=40, kills=4, seed=15)
    with closing(gate):
        assert broken(said, heard) == []
        assert {state.value for state in gate.states()} <= {"SENT", "SUPERSEDED"}

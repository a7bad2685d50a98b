"""The handshake over a real broker: each part has its own answer, and neither silence nor an old message clears one."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from linegate.adapters.targets.mqtt import signals
from linegate.adapters.targets.mqtt.handshake import HandshakeOverMqtt, MqttHandshake
from linegate.commands.main import main
from linegate.errors import TransientError
from linegate.inspection import Verdict
from linegate.kind import Surroundings
from linegate.line.conversation import Conversation, KeptConversation
from linegate.line.handshake import Code, LineResult, NotTaken, Picture, Rules, Signals, State, Trigger
from linegate.line.keeper import Keeper
from linegate.line.peer import Decision, Peer, alive, ask, hear, late, says
from linegate.sections import Network
from tests.brokers import Broker, listening
from tests.waiting import until

SIGNALS, LINE, STATUS = (f"linegate/smt-1/{name}" for name in ("signals", "line", "status"))


def now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Store:
    """A store that survives the gate, and may be out of reach."""

    state: State | None = None
    away: bool = False

    def read(self) -> State | None:
        return self.state

    def write(self, state: State) -> None:
        if self.away:
            raise TransientError("the disk is full")
        self.state = state


@dataclass
class Gate:
    """A gate that sees the picture of each part that is asked for, and decides as `verdicts` says."""

    kind: MqttHandshake
    folder: Path
    store: Store = field(default_factory=Store)
    verdicts: Callable[[str], Verdict | None] = lambda part: Verdict.FAIL if part.endswith("bad") else Verdict.PASS

    def start(self) -> "Gate":
        self._at_stop = ExitStack()
        self._conversation: KeptConversation | None = None
        around = Surroundings(
            folder=self.folder,
            service=None,
            network=Network(private_addresses=["127.0.0.0/8"]),
            proxy_for=lambda _: None,
            shared=lambda _, build: build(),
            at_stop=lambda _: None,
            lines=("smt-1",),
            conversation=self._converse,
        )
        self.target = HandshakeOverMqtt(self.kind, around)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def _converse(self, line: str, rules: Rules) -> Conversation:
        self._conversation = KeptConversation(line, Keeper(rules, self.store), now)
        return self._conversation

    def _run(self) -> None:
        assert self._conversation is not None
        seen: set[int] = set()
        while not self._stopping.wait(0.02):
            self._conversation.look(able=True)
            for job in self._conversation.waiting:
                verdict = self.verdicts(job.part)
                if verdict is None or job.counter in seen:
                    continue
                seen.add(job.counter)
                with suppress(TransientError):
                    at, picture = now(), f"picture of {job.part}"
                    self._conversation.pictured(Picture(picture, job.part, at))
                    self.tell(job.part, verdict, at, picture)

    def tell(self, part: str, verdict: Verdict, at: datetime, picture: str) -> None:
        data = {
            "inspection_id": picture,
            "line": "smt-1",
            "serial": part,
            "received_at": at.isoformat(),
            "verdict": verdict.value,
            "revision": 1,
        }
        self.target.send("entry", json.dumps({"type": "inspection.decided", "data": data}), now())

    def kill(self) -> None:
        """Nothing is said any more, and nobody says goodbye."""
        self._stopping.set()
        self._thread.join(5)
        for exchange in self.target._exchanges:
            exchange._stopping.set()
            exchange._kept._stopping.set()
            with suppress(TransientError):
                exchange._kept.session().drop()
            exchange._thread.join(5)

    def stop(self) -> None:
        self._stopping.set()
        self._thread.join(5)
        self.target.close()


@pytest.fixture
def gate(broker: Broker, tmp_path: Path) -> Iterator[Gate]:
    made = Gate(MqttHandshake(url=broker.url, timeout_s=2, limit_s=5, picture_s=4, depth=4), tmp_path)
    yield made.start()
    made.stop()


@dataclass
class Line:
    """A controller that asks for one part after the other, by the law of `linegate.line.peer`."""

    broker: Broker
    folder: Path
    peer: Peer = field(default_factory=Peer)
    shown: Signals | None = None
    decisions: list[Decision] = field(default_factory=list)

    def __enter__(self) -> "Line":
        kind = MqttHandshake(url=self.broker.url, timeout_s=2)
        self._side = kind.line_side("smt-1", around_of(self.folder))
        return self

    def __exit__(self, *_: object) -> None:
        self._side.close()

    def turn(self) -> None:
        """One cycle of its program."""
        with suppress(TransientError):
            self.shown = self._side.exchange(says(self.peer))
        if self.shown is not None:
            self.peer, decision = hear(self.peer, self.shown, now())
            self.decisions += [decision] if decision else []
        self.peer, over = late(self.peer, now())
        self.decisions += over

    def until(self, condition: Callable[[], object]) -> None:
        def turned() -> object:
            self.turn()
            return condition()

        until(turned)

    @property
    def ready(self) -> bool:
        return bool(self.shown and self.shown.ready and self.peer.asking is None and alive(self.peer, now()))

    def trigger(self, part: str, limit_s: float) -> None:
        self.peer = ask(self.peer, part, now() + timedelta(seconds=limit_s))

    def ask(self, part: str, limit_s: float = 6) -> Decision:
        before = len(self.decisions)
        self.until(lambda: self.ready)
        self.trigger(part, limit_s)
        self.until(lambda: len(self.decisions) > before)
        return self.decisions[before]


def around_of(folder: Path) -> Surroundings:
    return Surroundings(
        folder,
        None,
        Network(private_addresses=["127.0.0.0/8"]),
        lambda _: None,
        lambda _, build: build(),
        lambda _: None,
    )


def test_each_part_that_is_asked_for_has_its_own_answer(broker: Broker, gate: Gate, tmp_path: Path) -> None:
    with Line(broker, tmp_path) as line, listening(broker, "linegate/#") as heard:
        assert [(line.ask(part).part, line.decisions[-1].accept) for part in ("A1", "A2 bad", "A3")] == [
            ("A1", True),
            ("A2 bad", False),
            ("A3", True),
        ]
        line.until(lambda: not heard.of(SIGNALS)[-1].json["available"])  # acknowledged
        until(lambda: heard.of(LINE)[-1].json == {"acknowledged": 3})
        last = heard.of(SIGNALS)[-1].json
        assert (last["job"], last["part"], last["counter"], last["waiting"]) == (3, "A3", 3, 0)


def test_a_result_of_a_gate_that_is_gone_clears_nothing(broker: Broker, gate: Gate, tmp_path: Path) -> None:
    """It stands at the broker as a retained message, with the very job and part that the line then asks for."""
    with listening(broker, "linegate/#") as heard:
        until(lambda: heard.of(STATUS))
        heard.say(LINE, signals.said(Trigger(1, "A1")))
        until(lambda: heard.of(SIGNALS) and heard.of(SIGNALS)[-1].json["available"])
        gate.kill()
        until(lambda: heard.of(STATUS)[-1].json["state"] == "offline")
    with Line(broker, tmp_path) as line:  # a controller that has forgotten all
        line.until(lambda: line.shown and line.shown.available)
        time.sleep(0.1)
        assert not line.ready
        line.trigger("A1", 1)
        line.until(lambda: line.decisions)
        assert [decision.accept for decision in line.decisions] == [False]


def test_while_the_store_is_out_of_reach_nothing_new_is_shown(broker: Broker, gate: Gate, tmp_path: Path) -> None:
    with Line(broker, tmp_path) as line:
        assert line.ask("A1").accept
        line.until(lambda: gate.store.state is not None and not gate.store.state.queue and line.ready)
        gate.store.away = True
        line.trigger("A2", 20)
        for _ in range(20):
            line.turn()
            time.sleep(0.01)
        assert line.peer.asking is not None, "not echoed, for it is not stored"
        gate.store.away = False
        line.until(lambda: len(line.decisions) == 2)
        assert line.decisions[1].accept, "the line's trigger stands, and is taken when it can be stored"


def test_a_person_can_play_the_line(
    broker: Broker, gate: Gate, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "linegate.yaml").write_text(f"""
recipes: {{pcb: {{golden: golden.png}}}}
lines: {{smt-1: {{recipe: pcb}}}}
targets: {{diverter: {{type: mqtt-handshake, url: "{broker.url}"}}}}
network: {{private_addresses: [127.0.0.1]}}
""")
    asked = ["--part", "A1", "--part", "A2 bad"]
    assert main(["listen", "diverter", *asked, "--json", "--config", str(tmp_path / "linegate.yaml")]) == 0
    said = [json.loads(line) for line in capsys.readouterr().out.splitlines() if line[:1] == "{"]
    assert [(each["part"], each["accept"]) for each in said if "part" in each] == [("A1", True), ("A2 bad", False)]


def test_what_is_no_message_of_a_line_is_passed_over(broker: Broker, gate: Gate, tmp_path: Path) -> None:
    with listening(broker, STATUS) as nonsense, Line(broker, tmp_path) as line:
        for payload in (b"\xff", b"[1]", b'{"job": 1}', b'{"job": true, "part": "A"}', b'{"job": 2e9, "part": 7}'):
            nonsense.say(LINE, payload)
        assert line.ask("A1").accept


def test_broker_and_gate_are_killed_and_each_part_is_answered_once(broker: Broker, gate: Gate, tmp_path: Path) -> None:
    with Line(broker, tmp_path) as line:
        for number in range(16):
            if number in (4, 12):
                broker.kill()
                broker.start()
            if number == 8:
                gate.kill()
                gate.start()
            decision = line.ask(f"P{number}" + (" bad" if number % 4 == 3 else ""), 20)
            assert decision.accept == (number % 4 != 3)
    assert [decision.part.split()[0] for decision in line.decisions] == [f"P{number}" for number in range(16)]


@pytest.mark.parametrize(
    "given",
    [
        Signals(
            ready=True,
            busy=False,
            heartbeat=7,
            job=3,
            part='ü"',
            counter=9,
            result=LineResult(9, 3, 'ü"', Verdict.PASS, Code.NONE),
            waiting=1,
            code=Code.NONE,
            not_taken=None,
        ),
        Signals(
            ready=False,
            busy=True,
            heartbeat=0,
            job=0,
            part="",
            counter=9,
            result=LineResult(9, 3, "A", None, Code.TIME_LIMIT),
            waiting=1,
            code=Code.CAN_NOT_DECIDE,
            not_taken=NotTaken(4, Code.FULL),
        ),
    ],
)
def test_signals_are_read_as_they_were_shown(given: Signals) -> None:
    assert signals.read(signals.shown(given)) == given
    for payload in (b"", b"{}", b"[]", signals.shown(given).replace(b'"counter": 9', b'"counter": -9')):
        with pytest.raises(ValueError, match=r"."):
            signals.read(payload)


def settings_of(**given: Any) -> MqttHandshake:
    return MqttHandshake.model_validate({"type": "mqtt-handshake", "url": "mqtts://broker"} | given)


def test_lines_do_not_share_a_topic() -> None:
    file: dict[str, Any] = {"lines": {"a": {}, "b": {}}}
    written = {"url": "mqtts://broker", "line_topic": "line"}
    assert "line_topic: needs {line}, for there are several" in list(MqttHandshake.lacks(written, file))
    assert list(MqttHandshake.lacks(written | {"lines": ["a"]}, file)) == []
    assert settings_of(lines=["a"], line_topic="line").line_topic == "line"

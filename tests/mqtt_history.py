"""A gate that tells a broker of product after product, while broker, gate and listener are killed and come back.

    uv run python -m tests.mqtt_history 500 30          # products, kills

The gate is the dispatcher and the stage `notify` in a process of their own; this one puts verdicts on its outbox, as the other
stages would.
"""

import json
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from multiprocessing import get_context
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import yaml

from linegate import bootstrap
from linegate.adapters.local.bus import LocalBus
from linegate.adapters.local.database import DATABASE, Database
from linegate.adapters.local.store import SqliteInspections
from linegate.config import load
from linegate.deciders import Decider
from linegate.edge.dispatcher import Dispatcher
from linegate.edge.functions import in_process
from linegate.handlers.outbox import due
from linegate.inspection import Inspection, ObjectRef, OutboxEntry, OutboxState, Place, Revision, outbox_id
from linegate.notification import notification_body
from linegate.sections import Storage
from linegate.stages import NOTIFICATIONS
from linegate.verdict import decide
from tests.boards import clean_board
from tests.brokers import Broker, Heard, Listener
from tests.fakes import START
from tests.waiting import until

LINES = ("smt-1", "smt-2")


def serve(config: Path) -> None:
    """What `linegate edge` does with notifications."""
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    settings = load(config)
    with closing(Database(settings.data / DATABASE)) as database:
        bus = LocalBus(database, settings.in_order)
        app = bootstrap.local(settings, database, bus)
        app.warm_up(["notify"])
        dispatcher = Dispatcher(bus, settings, in_process(app))
        dispatcher.start()
        signal.sigwait([signal.SIGTERM])
        dispatcher.stop()
        app.close()


class Gate:
    """A process that serves an outbox, and that outbox."""

    def __init__(self, folder: Path, target: dict[str, object]) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "golden.png").write_bytes(clean_board())
        content = {
            "edge": {"data": "data", "retry": {"minimum_s": 0.1, "maximum_s": 1}, "workers": {"processes": 0}},
            "recipes": {"pcb": {"golden": "golden.png"}},
            "lines": {line: {"recipe": "pcb"} for line in LINES},
            "targets": {"plc": target},
            "network": {"private_addresses": ["127.0.0.0/8"]},
        }
        self.config = folder / "linegate.yaml"
        self.config.write_text(yaml.safe_dump(content))
        data = load(self.config).data
        data.mkdir(exist_ok=True)
        self.database = Database(data / DATABASE)
        self._bus = LocalBus(self.database)
        self._process: ForkServerProcess | None = None

    def start(self) -> None:
        self._process = get_context("forkserver").Process(target=serve, args=(self.config,), daemon=True)
        self._process.start()

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join()

    def stop(self) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.join(30)
        assert self._process.exitcode == 0

    def tell(self, line: str, serial: str, number: int = 1, target: str = "plc") -> None:
        """As the stage that decides does it: revision and outbox in one commit, then its message."""
        body, board, revision = told(line, serial, number)
        entry = OutboxEntry(
            outbox_id(board.inspection_id, number, target), board.inspection_id, line, number, target, body, START
        )
        entry = replace(entry, created_at=datetime.now(UTC))
        inspections = SqliteInspections(self.database)
        if number == 1:
            inspections.open(board)
        assert inspections.commit(replace(board, revision=revision), revision, [entry])
        self._bus.publish(NOTIFICATIONS, due([entry]))

    def states(self) -> set[OutboxState]:
        rows = self.database.read("SELECT DISTINCT state FROM outbox")
        return {OutboxState(state) for (state,) in rows}

    def close(self) -> None:
        self.kill()
        self.database.close()


def told(line: str, serial: str, number: int = 1) -> tuple[str, Inspection, Revision]:
    """The notification of a product that has just been decided, and what it was made of."""
    now = datetime.now(UTC)
    name = f"uploads/{line}/aoi/{serial}.png"
    image = ObjectRef("uploads", name, 1)
    board = Inspection(
        inspection_id=image.inspection_id,
        image=image,
        place=Place(line, "aoi", serial),
        recipe="pcb",
        uploaded_at=now,
        received_at=now,
        deadline=now,
    )
    revision = Revision(number, Decider.parse("check:0"), now, decide(None, {}), "")
    return notification_body(board, revision, Storage(), None), board, revision


@dataclass
class Kept:
    """What a receiver does that acts on each product once: the highest revision of each is what holds."""

    highest: dict[str, int] = field(default_factory=dict)
    effects: list[tuple[str, str, int]] = field(default_factory=list)  # line, serial, revision, as they were acted on

    def read(self, messages: list[Heard]) -> "Kept":
        for message in messages:
            data = message.json["data"]
            if data["revision"] > self.highest.get(data["inspection_id"], 0):
                self.highest[data["inspection_id"]] = data["revision"]
                self.effects.append((data["line"], data["serial"], data["revision"]))
        return self


def play(folder: Path, products: int, kills: int, seed: int) -> tuple[list[tuple[str, str, int]], list[Heard], Gate]:
    """What was told, in its order, what a listener heard of it, and the gate, which is at rest and stopped."""
    rng = random.Random(seed)
    broker = Broker(folder / "broker").start()
    heard: list[Heard] = []
    listener = Listener(broker.port, "linegate/+/verdicts", messages=heard)
    gate = Gate(folder / "gate", {"type": "mqtt", "url": broker.url, "timeout_s": 3})
    said: list[tuple[str, str, int]] = []

    def kill_broker() -> None:
        broker.kill()
        time.sleep(rng.uniform(0, 0.4))
        broker.start()

    def kill_gate() -> None:
        gate.kill()
        gate.start()

    def kill_listener() -> None:
        nonlocal listener
        listener.kill()
        listener = Listener(broker.port, "linegate/+/verdicts", messages=heard)

    doings: list[Callable[[], None]] = [kill_broker, kill_gate, kill_listener]
    moments = sorted(rng.sample(range(1, products), kills))
    try:
        gate.start()
        for number in range(products):
            if number in moments:
                _more_is_heard(heard)  # killed while at work
                doings[moments.index(number) % len(doings)]()
            line = LINES[number % len(LINES)]
            gate.tell(line, f"P{number:04}")
            said.append((line, f"P{number:04}", 1))
            if rng.random() < 0.05:  # a person corrects it
                gate.tell(line, f"P{number:04}", 2)
                said.append((line, f"P{number:04}", 2))
            time.sleep(rng.uniform(0, 0.02))
        end = time.monotonic() + 60
        while time.monotonic() < end and OutboxState.PENDING in gate.states():
            time.sleep(0.05)
        gate.stop()
        time.sleep(0.2)
    finally:
        listener.close()
        broker.kill()
        gate.kill()
    return said, heard, gate


def _more_is_heard(heard: list[Heard]) -> None:
    before = len(heard)
    until(lambda: len(heard) > before, 30)


def main() -> None:
    products, kills = int(sys.argv[1]), int(sys.argv[2])
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        said, heard, gate = play(Path(folder), products, kills, seed=15)
        with closing(gate):
            faults = list(broken(said, heard))
            print(json.dumps({
                "told": len(said),
                "heard": len(heard),
                "acted on": len(Kept().read(heard).effects),
                "states": sorted(state.value for state in gate.states()),
                "seconds": round(time.monotonic() - started),
                "broken": faults[:10],
            }))  # fmt: skip
    raise SystemExit(1 if faults else 0)


def broken(said: list[tuple[str, str, int]], heard: list[Heard]) -> list[str]:
    """Where what was heard is not what was told: each product's highest revision, once, those of a line in their order."""
    faults = []
    effects = Kept().read(heard).effects
    last = {(line, serial): number for line, serial, number in said}
    held = {(line, serial): number for line, serial, number in effects}
    faults += [
        f"{key} was told as {last[key]} and holds as {held.get(key)}" for key in last if held.get(key) != last[key]
    ]
    for line in LINES:
        firsts = dict.fromkeys(serial for of, serial, _ in effects if of == line)
        order = dict.fromkeys(serial for of, serial, _ in said if of == line)
        if list(firsts) != list(order):
            faults.append(f"{line}: {list(firsts)} in place of {list(order)}")
    return faults


if __name__ == "__main__":
    main()

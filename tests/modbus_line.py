"""A line over Modbus, whose gate and PLC are killed at random: `python -m tests.modbus_line PARTS KILLS` plays it and tells.

The gate is a process of its own that ends by SIGKILL; the PLC loses all that is not RETAIN, and its connection.
"""

import os
import random
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from time import monotonic, sleep

from linegate import bootstrap
from linegate.adapters.targets.controller import HandshakeTarget, LineSide
from linegate.adapters.targets.modbus.kind import Modbus
from linegate.config import parse
from linegate.errors import TransientError
from linegate.inspection import Verdict
from linegate.line.handshake import Code, LineResult
from linegate.line.peer import Peer, ask, hear, restarted, says
from tests.controllers import CONFIG, free_port, line_gate, verdict_of

LOOK_S = 0.05
AT_ONCE = 6
LIMITS = "lines: [smt-1], depth: 8, limit_s: 300, picture_s: 300"


def server(port: int) -> str:
    return f'{{type: modbus, listen: "127.0.0.1:{port}", {LIMITS}}}'


def client(port: int) -> str:
    return f'{{type: modbus, url: "modbus://127.0.0.1:{port}", poll_ms: 10, {LIMITS}}}'


def serve(folder: Path, section: str) -> None:
    """The gate, until it is killed."""
    with line_gate(folder, section) as gate:
        print("ready", flush=True)
        while True:
            gate.look()
            with suppress(TransientError):
                gate.decide_all()
            sleep(LOOK_S)


class Killable:
    """The gate as a process."""

    def __init__(self, folder: Path, section: str) -> None:
        self._command = [sys.executable, "-m", "tests.modbus_line", "--serve", str(folder), section]
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)

    def kill(self) -> None:
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()


@dataclass
class Told:
    """What the PLC saw and did."""

    results: list[LineResult] = field(default_factory=list)  # each counter once, in the order in which they were seen
    accepted: list[str] = field(default_factory=list)
    asked: int = 0
    gate_kills: int = 0
    plc_kills: int = 0

    def see(self, result: LineResult) -> None:
        if self.results and self.results[-1].counter == result.counter:
            assert self.results[-1] == result, "a result changed while it stood"
        else:
            self.results.append(result)

    def check(self) -> None:
        """Every job has its one result, in order, with the verdict of its part; nothing else was accepted."""
        assert [result.counter for result in self.results] == list(range(1, len(self.results) + 1))
        jobs = [result.job for result in self.results]
        assert jobs == sorted(set(jobs))
        for result in self.results:
            assert (result.verdict, result.code) == (verdict_of(result.part), Code.NONE)
        assert len(self.accepted) == len(set(self.accepted))
        assert all(verdict_of(part) is Verdict.PASS for part in self.accepted)


def play(folder: Path, section: str, parts: int, kills: int, seed: int = 0) -> Told:
    """So many parts, with so many kills between them, half of them of the gate."""
    rng, told, peer = random.Random(seed), Told(), Peer()
    settings = parse(CONFIG.replace("PLC", section), folder, {})
    kind = settings.targets["plc"]
    assert isinstance(kind, HandshakeTarget)
    gate = Killable(folder, section)
    due = sorted(rng.randrange(1, parts) for _ in range(kills))
    side: LineSide | None = None
    around = bootstrap.local(settings).around(kind)
    until = monotonic() + 60 + parts + 20 * kills
    try:
        while told.asked < parts or peer.asking or peer.waiting or (told.results and peer.counter == 0):
            assert monotonic() < until, "it stands still"
            while due and told.asked >= due[0]:
                due.pop(0)
                if rng.random() < 0.5:
                    gate.kill()
                    gate.start()
                    told.gate_kills += 1
                else:
                    peer = restarted(peer)
                    if side is not None:
                        side.close()
                    side = None
                    told.plc_kills += 1
            now = datetime.now(UTC)
            try:
                side = side or kind.line_side("smt-1", around)
                shown = side.exchange(says(peer))
            except TransientError:
                sleep(0.05)
                continue
            if shown is None:
                continue
            if shown.result is not None:
                told.see(shown.result)
            peer, decision = hear(peer, shown, now)
            if decision and decision.accept:
                told.accepted.append(decision.part)
            heard = peer.beat_at is not None and shown.ready
            if told.asked < parts and heard and peer.asking is None and len(peer.waiting) < AT_ONCE:
                told.asked += 1
                peer = ask(peer, f"P{told.asked}", now + timedelta(seconds=300))
            sleep(0.002)
    finally:
        gate.kill()
        if side is not None:
            side.close()
    return told


@contextmanager
def folder_of_its_own() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as name:
        yield Path(name)


def waits(section: str, looks: int = 200) -> list[float]:
    """Milliseconds from a decision, before it is stored, to the PLC that has read it, polling without a pause."""
    found = []
    with folder_of_its_own() as folder, line_gate(folder, section) as gate:
        kind, peer = gate.kind, Peer()
        assert isinstance(kind, Modbus)
        with closing(kind.line_side("smt-1", gate.app.around(kind))) as side:
            for number in range(looks):
                peer = ask(peer, f"P{number}", datetime.now(UTC) + timedelta(seconds=60))
                while peer.asking:
                    shown = side.exchange(says(peer))
                    if shown:
                        peer, _ = hear(peer, shown, datetime.now(UTC))
                picture = gate.picture(f"P{number}")
                began = monotonic()
                gate.decide(picture, Verdict.PASS)
                while peer.waiting:
                    shown = side.exchange(says(peer))
                    if shown:
                        peer, _ = hear(peer, shown, datetime.now(UTC))
                    sleep(0.0005)  # one interpreter plays both sides
                found.append(1000 * (monotonic() - began))
    return found


def main(arguments: list[str]) -> None:
    parts, kills = (int(each) for each in arguments)
    for name, section in (("server", server), ("client", client)):
        with folder_of_its_own() as folder:
            began = monotonic()
            told = play(folder, section(free_port()), parts, kills)
            told.check()
            print(
                f"gate as {name}: {told.asked} parts, {told.gate_kills} kills of the gate, {told.plc_kills} of the PLC; "
                f"{len(told.results)} jobs, each with its one result, in order; {len(told.accepted)} parts accepted, "
                f"{monotonic() - began:.0f} s",
                flush=True,
            )
        took = waits(section(free_port()))
        print(f"  decision to read: median {median(took):.1f} ms, longest {max(took):.0f} ms", flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "--serve":
        os.setpgid(0, 0)
        serve(Path(sys.argv[2]), sys.argv[3])
    else:
        main(sys.argv[1:])

"""How long after a decision a subscriber hears of it, and a controller has its result: drawn boards through a gate and a broker.

uv run python -m tests.mqtt_times 60          # boards
"""

import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import yaml

from linegate.adapters.targets.mqtt.handshake import MqttHandshake
from linegate.config import load
from linegate.edge.runtime import Runtime
from linegate.line.handshake import Signals
from linegate.line.peer import Peer, alive, ask, hear, says
from tests.boards import clean_board
from tests.brokers import Broker, listening
from tests.emulators import free_port
from tests.waiting import until

VERDICTS, SIGNALS, LINE = (f"linegate/smt-1/{name}" for name in ("verdicts", "signals", "line"))


def main() -> None:
    boards = int(sys.argv[1])
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        broker = Broker(folder / "broker").start()
        (folder / "golden.png").write_bytes(clean_board())
        content = {
            "edge": {"data": "data", "settle_ms": 10},
            "recipes": {"pcb": {"golden": "golden.png"}},
            "lines": {"smt-1": {"recipe": "pcb"}},
            "targets": {
                "mes": {"type": "mqtt", "url": broker.url},
                "plc": {"type": "mqtt-handshake", "url": broker.url},
            },
            "network": {"private_addresses": ["127.0.0.0/8"]},
            "station": {"listen": f"127.0.0.1:{free_port()}"},
        }
        (folder / "linegate.yaml").write_text(yaml.safe_dump(content))
        settings = load(folder / "linegate.yaml")
        runtime = Runtime(settings)
        runtime.start()
        shown: dict[str, float] = {}
        accepted: dict[str, bool] = {}

        def show(signals: Signals) -> None:
            if signals.result is not None:
                shown.setdefault(signals.result.part, time.time())

        kind = settings.targets["plc"]
        assert isinstance(kind, MqttHandshake)
        side, peer = kind.line_side("smt-1", runtime.app.around(kind), show), Peer()

        def turn(condition: Callable[[Signals], object]) -> None:
            """Cycles of the controller's program until this is so."""
            nonlocal peer
            end = time.monotonic() + 60
            while (seen := side.exchange(says(peer))) is None or not condition(seen):
                assert time.monotonic() < end, "waited in vain"
                time.sleep(0.005)
                if seen is not None:
                    peer, decision = hear(peer, seen, datetime.now(UTC))
                    if decision is not None:
                        accepted[decision.part] = decision.accept

        offset = time.time() - time.monotonic()
        try:
            with listening(broker, VERDICTS) as heard:
                station = settings.data / "uploads" / "smt-1" / "aoi"
                station.mkdir(parents=True, exist_ok=True)
                for number in range(boards):
                    part = f"P{number:03}"
                    turn(lambda seen: seen.ready and alive(peer, datetime.now(UTC)))  # noqa: B023
                    peer = ask(peer, part, datetime.now(UTC) + timedelta(seconds=20))
                    turn(lambda seen: seen.part == part)  # noqa: B023
                    (station / "new.part").write_bytes(clean_board(noise=number % 5))
                    (station / "new.part").rename(station / f"{part}.png")
                    turn(lambda _: part in accepted)  # noqa: B023
                until(lambda: len(heard.messages) == boards)
        finally:
            side.close()
            with suppress(Exception):
                runtime.stop()
            broker.kill()
        decided = {
            each.json["data"]["serial"]: datetime.fromisoformat(each.json["data"]["decided_at"]).timestamp()
            for each in heard.messages
        }
        subscriber = [1000 * (each.at + offset - decided[each.json["data"]["serial"]]) for each in heard.messages]
        controller = [1000 * (shown[part] - at) for part, at in decided.items()]
        told = {
            "boards": boards,
            "accepted": sum(accepted.values()),
            "subscriber_ms": _of(subscriber),
            "controller_ms": _of(controller),
        }
        print(json.dumps(told))


def _of(times: list[float]) -> dict[str, float]:
    return {"median": round(statistics.median(times), 1), "p95": round(sorted(times)[int(0.95 * len(times))], 1)}


if __name__ == "__main__":
    main()

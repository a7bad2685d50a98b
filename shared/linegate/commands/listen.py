"""`linegate listen`: plays a line's controller, by the protocol of a target in the file; to try out with."""

import argparse
import json
import time
from collections import deque
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from linegate import config, logs
from linegate.adapters.targets.controller import HandshakeTarget, LineSide
from linegate.commands.arguments import add_config
from linegate.errors import TransientError, UsageError
from linegate.kind import Surroundings
from linegate.line.handshake import Code, LineResult, Signals
from linegate.line.peer import Decision, Peer, ask, hear, late, says
from linegate.proxies import proxy_for
from linegate.settings import Settings
from linegate.texts import printable

POLL_S = 0.05
# Beyond the gate's own time limit a line waits no longer.
MARGIN_S = 5.0


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "target", metavar="TARGET", help="name of a target in the file, or its kind where there is one of it"
    )
    parser.add_argument("--line", help="of those that the target serves (the first)")
    parser.add_argument(
        "--part", action="append", default=[], help="trigger for this one, and end when all are decided"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object for whatever is heard")
    add_config(parser)


def run(options: argparse.Namespace) -> int:
    """Play until Ctrl-C, or until each --part is decided. Returns 0. Raises ConfigError, UsageError, TransientError."""
    logs.configure("ERROR")
    settings = config.load(options.config)
    target = chosen(settings, options.target)
    lines = target.lines or list(settings.lines)
    line = options.line or lines[0]
    if line not in lines:
        raise UsageError(f"--line: target {options.target} serves {', '.join(lines)}")
    if options.part and not target.triggered:
        raise UsageError("--part: this line sends no triggers (triggered: false); its pictures are its jobs")
    player = Player(target.limit_s + MARGIN_S, deque(options.part), as_json=options.json)
    with suppress(KeyboardInterrupt), closing(target.line_side(line, around(settings))) as side:
        while player.turn(side):
            time.sleep(POLL_S)
    return 0


def around(settings: Settings) -> Surroundings:
    """What a line's side is built with: it may play on another machine than the gate's, and keeps nothing."""
    return Surroundings(
        folder=settings.folder,
        service=None,
        network=settings.network,
        proxy_for=proxy_for,
        shared=lambda _, build: build(),
        at_stop=lambda _: None,
        lines=tuple(settings.lines),
    )


def chosen(settings: Settings, name: str) -> HandshakeTarget:
    """The target of this name, or the only one of this kind. Raises UsageError."""
    of_kind = [target for target in settings.targets.values() if target.type == name]
    target = settings.targets.get(name) or (of_kind[0] if len(of_kind) == 1 else None)
    if isinstance(target, HandshakeTarget):
        return target
    known = [key for key, each in settings.targets.items() if isinstance(each, HandshakeTarget)]
    raise UsageError(f"TARGET must be one that speaks to a line: {', '.join(known) or 'the file names none'}")


@dataclass
class Player:
    """A line that follows the law, and tells what it hears."""

    patience_s: float
    parts: deque[str]
    as_json: bool
    peer: Peer = field(default_factory=Peer)
    said: str = ""
    ends: bool = field(init=False)

    def __post_init__(self) -> None:
        self.ends = bool(self.parts)

    def turn(self, side: LineSide) -> bool:
        """One look at the gate; False when nothing more is to be done."""
        now = datetime.now(UTC)
        try:
            shown = side.exchange(says(self.peer))
        except TransientError as error:
            self._state(str(error))
            shown = None
        if shown is not None:
            self._state(_state_of(shown))
            before = self.peer.counter
            self.peer, decision = hear(self.peer, shown, now)
            if self.peer.counter != before and shown.result is not None:
                self._result(shown.result, decision)
            if self.parts and self.peer.asking is None and self.peer.beat_at is not None and shown.ready:
                self.peer = ask(self.peer, self.parts.popleft(), now + timedelta(seconds=self.patience_s))
        self.peer, over = late(self.peer, now)
        for decision in over:
            self._tell({"part": decision.part, "job": decision.job, "accept": False, "why": "no result in time"})
        left = self.parts or self.peer.asking or self.peer.waiting or (shown is not None and shown.available)
        return bool(not self.ends or left)

    def _state(self, said: str) -> None:
        if said != self.said:
            self.said = said
            self._tell({"gate": said})

    def _result(self, result: LineResult, decision: Decision | None) -> None:
        self._tell(
            {
                "part": result.part,
                "job": result.job,
                "counter": result.counter,
                "verdict": result.verdict.value if result.verdict else None,
                "code": worded(result.code),
                "accept": decision.accept if decision else None,
            }
        )

    def _tell(self, what: dict[str, object]) -> None:
        if self.as_json:
            print(json.dumps(what), flush=True)
            return
        at = datetime.now().astimezone().strftime("%H:%M:%S")
        if "gate" in what:
            print(printable(f"{at}  gate: {what['gate']}", 400), flush=True)
            return
        accept = {True: "accepted", False: "REJECTED", None: "taken"}[what["accept"]]  # type: ignore[index]
        why = what.get("why") or what.get("code") or ""
        verdict = what.get("verdict") or "no verdict"
        print(
            printable(f"{at}  {accept}  {what['part']}  {verdict}  job {what['job']}  {why}", 400).rstrip(), flush=True
        )


def _state_of(shown: Signals) -> str:
    if shown.code is Code.CAN_NOT_DECIDE:
        return worded(shown.code)
    refused = f"; trigger {shown.not_taken.job} not taken: {worded(shown.not_taken.code)}" if shown.not_taken else ""
    return ("ready" if shown.ready else "not ready") + refused


def worded(code: Code) -> str:
    """What a code means, in words; empty for none."""
    return "" if code is Code.NONE else code.name.lower().replace("_", " ")

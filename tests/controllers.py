"""A gate as far as its lines see it, to try the protocols with: real store, real target, and a world that takes pictures."""

import socket
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from time import monotonic, sleep
from typing import Any

from linegate import bootstrap
from linegate.adapters.local.bus import LocalBus
from linegate.adapters.local.database import DATABASE, Database
from linegate.adapters.targets.controller import HandshakeTarget
from linegate.config import parse
from linegate.inspection import Verdict
from linegate.line.conversation import KeptConversation
from linegate.line.handshake import Decided, Phase, Picture
from linegate.ports import Target

CONFIG = """
recipes: {pcb: {golden: golden.png}}
lines: {smt-1: {recipe: pcb}, smt-2: {recipe: pcb}}
network: {private_addresses: [127.0.0.1]}
targets:
  plc: PLC
"""


@dataclass
class LineGate:
    """Looks and decides when it is told to."""

    app: bootstrap.App
    target: Target
    database: Database

    def conversation(self, line: str = "smt-1") -> KeptConversation:
        return self.app.conversations["plc", line]

    @property
    def kind(self) -> HandshakeTarget:
        kind = self.app.settings.targets["plc"]
        assert isinstance(kind, HandshakeTarget)
        return kind

    def look(self, *, able: bool = True) -> None:
        for conversation in self.app.conversations.values():
            conversation.look(able=able)

    def picture(self, part: str, line: str = "smt-1") -> Picture:
        picture = Picture(f"of-{part}", part, datetime.now(UTC))
        self.conversation(line).pictured(picture)
        return picture

    def decide(self, picture: Picture, verdict: Verdict, line: str = "smt-1") -> None:
        self.conversation(line).decided(Decided(picture.picture, picture.part, picture.at, verdict))

    def decide_all(self) -> None:
        """Every job gets its picture and the verdict of its part."""
        for conversation in self.app.conversations.values():
            for job in conversation.waiting:
                if job.phase is Phase.TRIGGERED:
                    picture = self.picture(job.part, conversation.line)
                    self.decide(picture, verdict_of(job.part), conversation.line)
                elif job.phase is Phase.BUSY:
                    at = datetime.now(UTC)
                    conversation.decided(Decided(job.picture, job.part, at, verdict_of(job.part)))


def verdict_of(part: str) -> Verdict:
    """The same for the same part, whoever asks."""
    return list(Verdict)[sha256(part.encode()).digest()[0] % 4]


@contextmanager
def line_gate(folder: Path, target: str, network: str = "127.0.0.1") -> Iterator[LineGate]:
    """With a target of this section; what an earlier one stored in the folder is there."""
    settings = parse(CONFIG.replace("127.0.0.1", network).replace("PLC", target), folder, {})
    with closing(Database(folder / DATABASE)) as database:
        app = bootstrap.local(settings, database, LocalBus(database))
        try:
            yield LineGate(app, app.target("plc"), database)
        finally:
            app.close()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def eventually(call: Callable[[], Any], seconds: float = 10.0) -> Any:
    """What `call` returns as soon as that is true."""
    until = monotonic() + seconds
    while not (found := call()):
        assert monotonic() < until, "it never came"
        sleep(0.01)
    return found

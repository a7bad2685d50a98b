"""How targets that speak to lines stand, for pages and people."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Link:
    """What a target said last of its connection."""

    target: str
    connected: bool
    said: str  # who is there, or why nobody is
    since: datetime


@dataclass(frozen=True, slots=True)
class Controller:
    """One target's handshake with one line, as it is stored; `link` is None where no gate runs, or none has told of it yet."""

    target: str
    line: str
    acknowledged: int  # the counter of the last result that the line took; 0 is none
    acknowledged_at: datetime | None
    waiting: int  # jobs in the queue
    link: Link | None = None

    @property
    def connected(self) -> bool:
        return self.link is not None and self.link.connected

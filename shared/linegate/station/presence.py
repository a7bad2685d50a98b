"""Who else has a product open: said softly, so that two inspectors seldom do the same work. Known to one process only."""

from datetime import datetime, timedelta
from threading import Lock
from typing import Final

# Nobody looks at one product for longer.
REMEMBERED: Final = timedelta(minutes=3)
MOST: Final = 1000


class Presence:
    def __init__(self) -> None:
        self._opened: dict[tuple[str, str], datetime] = {}  # (product, name) ▶ when, the latest last
        self._lock = Lock()

    def come(self, product: str, name: str, now: datetime) -> list[tuple[str, timedelta]]:
        """Somebody opens a product: who else did lately, and how long ago, the latest first."""
        with self._lock:
            if name:
                self._opened.pop((product, name), None)
                self._opened[product, name] = now
            while self._opened:
                oldest = next(iter(self._opened))
                if len(self._opened) <= MOST and now - self._opened[oldest] < REMEMBERED:
                    break
                del self._opened[oldest]
            others = [(who, now - at) for (what, who), at in self._opened.items() if what == product and who != name]
        return others[::-1]

    def go(self, product: str, name: str) -> None:
        """They have decided."""
        with self._lock:
            self._opened.pop((product, name), None)

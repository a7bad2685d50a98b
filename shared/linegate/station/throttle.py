"""How fast somebody may guess: after a few wrong tries each further one has to wait, longer each time."""

import threading
from collections import OrderedDict
from datetime import datetime, timedelta
from typing import Final

FREE: Final = 5  # wrong tries before the first wait
FIRST_WAIT: Final = timedelta(seconds=2)
LONGEST_WAIT: Final = timedelta(minutes=5)
FORGOTTEN: Final = timedelta(minutes=30)
MOST: Final = 10_000  # that are remembered: somebody may come from many addresses


class Throttle:
    """Counts wrong tries by whom they are about and where they come from. It lives as long as its process."""

    def __init__(self) -> None:
        self._wrong: OrderedDict[str, tuple[int, datetime]] = OrderedDict()
        self._lock = threading.Lock()

    def wait(self, whose: str, now: datetime) -> timedelta:
        """How long this one has to wait before the next try."""
        with self._lock:
            count, last = self._wrong.get(whose, (0, now))
        if count < FREE or now - last > FORGOTTEN:
            return timedelta(0)
        grown: timedelta = FIRST_WAIT * 2 ** min(count - FREE, 12)
        return max(timedelta(0), last + min(LONGEST_WAIT, grown) - now)

    def wrong(self, whose: str, now: datetime) -> None:
        with self._lock:
            count, last = self._wrong.pop(whose, (0, now))
            self._wrong[whose] = (1 if now - last > FORGOTTEN else count + 1, now)
            while len(self._wrong) > MOST:
                self._wrong.popitem(last=False)

    def right(self, whose: str) -> None:
        with self._lock:
            self._wrong.pop(whose, None)

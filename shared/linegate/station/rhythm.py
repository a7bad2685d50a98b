"""How often products come on a line, and when it is silent: a verdict that stands too long looks like one of now."""

import itertools
import statistics
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from linegate.sections import Line
from linegate.texts import span

FACTOR: Final = 5
LEAST: Final = timedelta(minutes=1)  # a line that works in batches pauses
# Where too few have come to know a rhythm
FEW: Final = 4
UNKNOWN: Final = timedelta(minutes=10)


def silent_after(line: Line | None, received: Sequence[datetime]) -> timedelta:
    """How long nothing may come until the line counts as silent.

    `silence_after` of the line; else FACTOR times the median interval of the products received last, in any order, and LEAST
    at least.
    """
    if line is not None and line.silence_after:
        return span(line.silence_after)
    if len(received) < FEW:
        return UNKNOWN
    times = sorted(received)
    intervals = [(later - earlier).total_seconds() for earlier, later in itertools.pairwise(times)]
    return max(LEAST, timedelta(seconds=FACTOR * statistics.median(intervals)))

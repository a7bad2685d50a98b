"""Challenge boards: known-bad pictures that the gate must fail, and when it has to fail the next.

Like the test pieces that a metal detector gets each shift: a gate that has not shown lately that it fails what is bad passes
nothing.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

# Clocks of one gate's machines differ by less. What was later than that was stamped by a clock that was wrong.
SKEW: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Challenge:
    """The last time that known-bad boards were put through the gate in place of a line's own."""

    line: str
    recipe: str
    setup: str  # what they were inspected by: see `Manifest.setup`
    at: datetime  # when the first of them was received
    boards: int
    passed: int = 0  # of them, as if they were good: none should


@dataclass(frozen=True, slots=True)
class Standing:
    """How a line stands with its challenges: when the next is `due`, or why a PASS is REVIEW until there is one."""

    due: datetime | None = None
    overdue: str = ""


def standing(line: str, known: Iterable[Challenge], setup: str, every: timedelta, now: datetime) -> Standing:
    """By the challenges `known` of the line and recipe; only one with this `setup` counts."""
    latest = max(known, key=lambda one: one.at, default=None)
    last = max((one for one in known if one.setup == setup), key=lambda one: one.at, default=None)
    if latest is None:
        return _overdue(line, "No challenge board has been failed yet")
    if last is None:
        why = f"the recipe, its golden picture or the release is another than at the challenge of {_told(latest.at)}"
        return _overdue(line, f"No challenge board has been failed as boards are inspected now: {why}")
    if last.passed:
        boards = "1 challenge board" if last.boards == 1 else f"{last.boards} challenge boards"
        return _overdue(line, f"Of {boards}, all known to be bad, {last.passed} PASSED at {_told(last.at)}")
    if last.at > now + SKEW:
        return _overdue(
            line, f"The last challenge, of {_told(last.at)}, lies in the future by this clock and does not count"
        )
    if now - last.at > every:
        return _overdue(line, f"No challenge board has been failed since {_told(last.at)}")
    return Standing(due=last.at + every)


def _overdue(line: str, why: str) -> Standing:
    return Standing(overdue=f"{why}; run `linegate challenge --line {line}`.")


def _told(moment: datetime) -> str:
    return f"{moment.astimezone():%Y-%m-%d %H:%M %Z}"

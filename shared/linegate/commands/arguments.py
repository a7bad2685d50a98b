"""What may be typed after several commands: numbers inside their bounds, and the file of the configuration."""

import argparse
import math
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from linegate.errors import UsageError
from linegate.search import Wanted
from linegate.texts import span


def whole(least: int, most: int) -> Callable[[str], int]:
    """An argparse type: whole numbers from `least` to `most`."""

    def read(text: str) -> int:
        number = _number(text)
        if not number.is_integer() or not least <= number <= most:
            raise argparse.ArgumentTypeError(f"must be a whole number from {least} to {most}, not {text[:40]!r}")
        return int(number)

    return read


def real(least: float, most: float) -> Callable[[str], float]:
    """An argparse type: numbers from `least` to `most`."""

    def read(text: str) -> float:
        number = _number(text)
        if not least <= number <= most:
            raise argparse.ArgumentTypeError(f"must be a number from {least:g} to {most:g}, not {text[:40]!r}")
        return number

    return read


def _number(text: str) -> float:
    """NaN, which lies in no range, for what is no number."""
    try:
        number = float(text)
    except ValueError:
        return math.nan
    return number


def moment(option: str, text: str) -> datetime:
    """A time (2026-03-01, 2026-03-01T06:00), or how long ago (90m, 8h, 2d). Raises UsageError."""
    try:
        with suppress(ValueError):
            return datetime.now(UTC) - span(text)
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError, OSError) as error:
        raise UsageError(
            f"{option} takes a time such as 2026-03-01T06:00, or 90m, 8h, 2d; not {text[:40]!r}"
        ) from error


def add_window(parser: argparse.ArgumentParser) -> None:
    """`--line`, `--since`, `--until`: of which inspections."""
    parser.add_argument("--line", metavar="LINE", help="only of this line")
    when = "this time (2026-03-01T06:00), or as long ago (90m, 8h, 2d)"
    parser.add_argument("--since", metavar="WHEN", help=f"received not before {when}")
    parser.add_argument("--until", metavar="WHEN", help="received before that")


def window(options: argparse.Namespace) -> Wanted:
    """What `add_window` was told, the oldest first. Raises UsageError."""
    return Wanted(
        line=options.line,
        since=None if options.since is None else moment("--since", options.since),
        until=None if options.until is None else moment("--until", options.until),
        oldest_first=True,
    )


def add_config(parser: argparse.ArgumentParser) -> None:
    """`--config FILE`, of the gate that the command is about."""
    parser.add_argument("--config", type=Path, default=Path("linegate.yaml"), metavar="FILE", help="(linegate.yaml)")


def add_cloud(parser: argparse.ArgumentParser) -> None:
    """`--cloud`, for commands that know both gates."""
    parser.add_argument("--cloud", action="store_true", help="of the gate on Google Cloud that the file names")


positive = whole(1, 100_000)
ratio = real(0, 1)

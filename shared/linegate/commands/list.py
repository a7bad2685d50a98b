"""`linegate list`: the latest inspections, read beside a running gate without touching anything."""

import argparse
import json
from contextlib import closing
from typing import Any, Final

from rich.table import Table
from rich.text import Text

from linegate import config, logs
from linegate.adapters.local.database import MEND, Rows
from linegate.adapters.local.queries import SqliteQueries
from linegate.commands.arguments import add_config, moment, positive
from linegate.commands.records import local, opened, summary
from linegate.console import STYLE, console
from linegate.errors import TransientError
from linegate.inspection import Inspection, Verdict
from linegate.search import Wanted, pages
from linegate.settings import Settings
from linegate.texts import printable

PAGE: Final = 500


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--line", metavar="LINE", help="only of this line")
    parser.add_argument("--verdict", type=str.upper, choices=tuple(Verdict), help="only these")
    parser.add_argument(
        "--since", metavar="WHEN", help="not before this time (2026-03-01T06:00), or as long ago (90m, 8h, 2d)"
    )
    parser.add_argument("--limit", type=positive, default=20, metavar="N", help="N at most (20)")
    parser.add_argument("--json", action="store_true", help="as JSON")
    add_config(parser)


def run(options: argparse.Namespace) -> int:
    """Print the latest inspections, newest first. Returns 0. Raises ConfigError, UsageError, TransientError: what can't be read
    comes after what can.
    """
    verdict = Verdict(options.verdict) if options.verdict else None
    since = moment("--since", options.since) if options.since is not None else None
    settings = config.without_secrets(options.config)
    logs.configure("CRITICAL")
    with closing(opened(settings)) as rows:
        found, unreadable = _latest(rows, Wanted(line=options.line, verdict=verdict, since=since), options.limit)
    if options.json:
        print(json.dumps([_told(inspection, settings) for inspection in found], indent=2))
    else:
        _print(found, settings)
    if unreadable:
        raise TransientError(f"{', '.join(unreadable)} can't be read{MEND}")
    return 0


def _print(found: list[Inspection], settings: Settings) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("received", "verdict", "board", "reasons", "id"):
        table.add_column(heading, no_wrap=heading in ("received", "verdict", "id"), overflow="fold")
    for inspection in found:
        told = _told(inspection, settings)
        more = f" and {len(told['reasons']) - 2} more" if told["reasons"][2:] else ""
        cells = (
            local(inspection.received_at),
            told["verdict"] or "undecided",
            f"{told['board']} (challenge)" if told["challenge"] else told["board"],
            " · ".join(told["reasons"][:2]) + more if told["verdict"] else told["fault"],
            inspection.inspection_id[:8],
        )
        style = STYLE.get(told["verdict"] or "", "")
        table.add_row(*(Text(printable(cell, 400), style if number == 1 else "") for number, cell in enumerate(cells)))
    out = console()
    out.print(table) if found else out.print("Nothing was inspected that fits.")


def _latest(rows: Rows, wanted: Wanted, limit: int) -> tuple[list[Inspection], list[str]]:
    """The newest that are wanted, and the ids of those that can't be read."""
    found: list[Inspection] = []
    unreadable: list[str] = []
    for page in pages(lambda cursor: SqliteQueries(rows).search(wanted, cursor, min(limit, PAGE))):
        found += page.items
        unreadable += page.unreadable
        if len(found) >= limit:
            break
    return found[:limit], unreadable


def _told(inspection: Inspection, settings: Settings) -> dict[str, Any]:
    """The summary, and whether it is no product but a challenge."""
    return summary(inspection) | {"challenge": inspection.place.line in settings.challenge_lines}

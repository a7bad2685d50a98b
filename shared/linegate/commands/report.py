"""`linegate report`: the report of a shift, read beside a gate that may be running."""

import argparse
import json
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path

from linegate import config, files, logs
from linegate.adapters.local.queries import SqliteQueries
from linegate.commands.arguments import add_cloud, add_config
from linegate.commands.gates import cloud_context
from linegate.commands.records import opened
from linegate.errors import UsageError
from linegate.period import Figures
from linegate.settings import Settings
from linegate.shift_report import data, last_ended, report, shift_named, text
from linegate.shifts import Shift
from linegate.station.pages.report import file


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--day", metavar="DAY", help="on which the shift began, e.g. 2026-03-02 (the last shift that is over)"
    )
    parser.add_argument("--shift", metavar="NAME", help="as station.shifts names it (the last one of the day)")
    parser.add_argument("--line", metavar="LINE", help="only of this line")
    parser.add_argument("--html", type=Path, metavar="FILE", help="also as a page in one file, which prints on A4")
    parser.add_argument("--json", action="store_true", help="as JSON")
    add_cloud(parser)
    add_config(parser)


def run(options: argparse.Namespace) -> int:
    """Print the report of a shift, and write its page. Returns 0. Raises ConfigError, UsageError, TransientError."""
    settings, now = config.without_secrets(options.config), datetime.now(UTC)
    logs.configure("CRITICAL")
    shift = _shift(settings, options, now)
    if options.html:
        files.writable(options.html)
    told = _told(settings, shift, options)
    if options.html:
        with files.writing(options.html):
            options.html.write_bytes(file(told, settings.station, now).encode("utf-8", "replace"))
    if options.json:
        print(json.dumps(data(told, settings.station.time_zone), indent=2))
    else:
        print(text(told))
    return 0


def _told(settings: Settings, shift: Shift, options: argparse.Namespace) -> Figures:
    if options.cloud:
        return report(cloud_context(settings).queries, settings, shift, options.line)
    with closing(opened(settings)) as rows:
        return report(SqliteQueries(rows), settings, shift, options.line)


def _shift(settings: Settings, options: argparse.Namespace, now: datetime) -> Shift:
    """The one that is meant. Raises UsageError."""
    station = settings.station
    try:
        if options.day:
            return shift_named(station, date.fromisoformat(options.day), options.shift)
        return last_ended(station, now, options.shift)
    except ValueError as error:
        raise UsageError(f"--day takes a day such as 2026-03-02, --shift one of the file: {error}") from error

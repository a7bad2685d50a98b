"""`linegate export`: verdicts and dispositions for a manufacturing execution system, read without touching anything."""

import argparse
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final, TextIO

from linegate import config, logs
from linegate.adapters.local.database import MEND
from linegate.commands.arguments import add_cloud, add_config, add_window, window
from linegate.commands.gates import looked_at
from linegate.errors import TransientError
from linegate.exports.cfx import cfx_pieces
from linegate.exports.table import csv_lines
from linegate.exports.told import LeftOut, Told, all_told
from linegate.files import writable, writing
from linegate.notification import picture_address
from linegate.settings import Settings

STANDARD_OUTPUT: Final = Path("-")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", type=Path, metavar="FILE", help="to write; - is the standard output")
    parser.add_argument("--format", choices=("csv", "cfx"), default="csv", help="(csv); cfx is IPC-CFX UnitsInspected")
    add_window(parser)
    add_cloud(parser)
    add_config(parser)


def run(options: argparse.Namespace) -> int:
    """Write the decided inspections, the oldest first. Returns 0. Raises ConfigError, UsageError, and TransientError: for what
    can't be read once all else is written.
    """
    wanted, left, count = window(options), LeftOut(), 0
    settings = config.without_secrets(options.config)
    logs.configure("CRITICAL")
    with looked_at(settings, cloud=options.cloud) as gate, _opened(options.file) as file:

        def counted(rows: Iterable[Told]) -> Iterator[Told]:
            nonlocal count
            for row in rows:
                count += 1
                yield row

        rows = counted(all_told(gate.queries, wanted, left, settings.challenge_lines))
        for piece in _pieces(options.format, rows, settings):
            file.write(piece)
    undecided = f"; {left.undecided} not decided yet" if left.undecided else ""
    print(f"{count} inspections{undecided}", file=sys.stderr)
    if left.unreadable:
        raise TransientError(f"{', '.join(left.unreadable)} can't be read{'' if options.cloud else MEND}")
    return 0


def _pieces(form: str, rows: Iterator[Told], settings: Settings) -> Iterator[str]:
    if form == "csv":
        return csv_lines(rows)
    return cfx_pieces(rows, partial(picture_address, settings.storage, settings.station.address))


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    """The file, which has its name only once it is whole: who fetches it meanwhile has the one before. Raises UsageError."""
    if path == STANDARD_OUTPUT:
        yield sys.stdout
        return
    path = writable(path)
    if path.exists() and not path.is_file():  # a pipe, a device: there is nothing to be put in its place
        with writing(path), path.open("w", encoding="utf-8", errors="replace", newline="") as file:
            yield file
        return
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with writing(path), part.open("w", encoding="utf-8", errors="replace", newline="") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
            part.replace(path)
    finally:
        part.unlink(missing_ok=True)

"""`linegate qualify`: the gate as an attribute gauge, with figures that can be signed."""

import argparse
import json
import signal
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from linegate import config, logs
from linegate.adapters.local.database import MEND
from linegate.adapters.local.queries import SqliteQueries
from linegate.bounds import at_most, boards_needed
from linegate.commands.arguments import ratio, real, whole
from linegate.commands.interrupt import on_interrupt
from linegate.commands.labelled import add_dataset, inspected, opened, request_of, write
from linegate.commands.records import opened as database
from linegate.console import console
from linegate.errors import TransientError, UsageError
from linegate.evaluation import history
from linegate.evaluation.disturbances import Disturbance
from linegate.evaluation.labels import shown
from linegate.evaluation.qualification import CLASS_HEAD, Looks, Plan, assess, class_rows, rows
from linegate.files import writable
from linegate.inspection import Inspection
from linegate.search import Page, Wanted, pages

MOST = 100_000  # inspections that a history is read of
PARTS = (0.5, 0.2, 0.1)  # of the wanted rate: true rates for which it is told how likely a plan is to succeed
USUAL = Disturbance()


def arguments(parser: argparse.ArgumentParser) -> None:
    add_dataset(parser, optional=True)
    parser.add_argument(
        "--history", action="store_true", help="in place of DATASET: the line's own boards, with persons' decisions"
    )
    parser.add_argument(
        "--plan", action="store_true", help="tell how many boards a wanted bound needs, and do nothing else"
    )
    parser.add_argument("--escape-rate", type=ratio, metavar="R", help="part of bad boards that may pass, to be shown")
    parser.add_argument(
        "--certainty", type=real(0.5, 0.9999), default=0.95, metavar="C", help="with which bounds hold (0.95)"
    )
    parser.add_argument("--misses", type=whole(0, 1000), default=3, metavar="K", help="--plan: for up to K misses (3)")
    parser.add_argument("--looks", type=whole(2, 50), default=3, metavar="N", help="at each board (3)")
    parser.add_argument("--seed", type=whole(0, 2**31), default=1, metavar="N", help="of what is drawn (1)")
    parser.add_argument(
        "--light", type=real(0, 0.9), default=USUAL.light, metavar="PART", help="brighter or darker by so much (0.08)"
    )
    parser.add_argument(
        "--shift",
        type=real(0, 1000),
        default=USUAL.shift,
        metavar="PX",
        help="pixels that the board lies elsewhere (4)",
    )
    parser.add_argument("--turn", type=real(0, 45), default=USUAL.turn, metavar="DEGREES", help="and is turned (0.5)")
    parser.add_argument(
        "--noise", type=real(0, 100), default=USUAL.noise, metavar="LEVELS", help="of the camera, in grey levels (2)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures here")
    parser.add_argument("--page", type=Path, metavar="FILE", help="write a page to print on A4 and sign here")


def run(options: argparse.Namespace) -> int:
    """Tell what the gate is as a gauge. Returns 0, whatever it is. Raises UsageError, ConfigError, TransientError."""
    chosen = [options.dataset is not None, options.history, options.plan]
    if sum(chosen) != 1:
        raise UsageError("one of DATASET, --history and --plan is needed, and only one")
    if options.page and options.dataset is None:
        raise UsageError("--page is of a DATASET")
    for file in filter(None, (options.json, options.page)):
        writable(file)
    if options.json and options.page and options.json.resolve() == options.page.resolve():
        raise UsageError(f"--json and --page name the same file {shown(options.json)}")
    if options.plan:
        report = _plan(options)
    elif options.history:
        report = _history(options)
    else:
        report = _study(options)
    if options.json:
        write(options.json, json.dumps(report, indent=2, ensure_ascii=False) + "\n")
    for file in filter(None, (options.json, options.page)):
        print(f"wrote {shown(file)}")
    return 0


def _plan(options: argparse.Namespace) -> dict[str, Any]:
    rate, certainty = options.escape_rate, options.certainty
    if rate is None:
        raise UsageError("--plan needs --escape-rate R")
    if boards_needed(rate, certainty) is None:
        raise UsageError(f"no number of boards shows an escape rate of {rate:g}: name one that is greater")
    needed = {misses: boards_needed(rate, certainty, misses) or 0 for misses in range(options.misses + 1)}
    chances = (f"succeeds at {100 * rate * part:g} %" for part in PARTS)
    listed = [
        (misses, boards, *(f"{at_most(misses, boards, rate * part):.0%}" for part in PARTS))
        for misses, boards in needed.items()
    ]
    out = console()
    out.print(
        f"To show an escape rate of {100 * rate:g} % or less with {100 * certainty:g} % certainty, inspect",
        soft_wrap=True,
    )
    out.print(_table(("misses at most", "bad boards", *chances), listed))
    for line in (
        "Each must be another board, bad by its label. Looks at one picture are no boards, and a picture twice is one board.",
        "The last columns say how likely that comes out if the true escape rate is what stands above them.",
        "Choose the row before the first board: to add boards after a miss, until it fits, spoils the certainty.",
        "To bound false alarms, the same numbers hold of good boards.",
    ):
        out.print(line, soft_wrap=True)
    plans = [{"misses": misses, "boards": boards} for misses, boards in needed.items()]
    return {"escape_rate": rate, "certainty": certainty, "plans": plans}


def _history(options: argparse.Namespace) -> dict[str, Any]:
    settings = config.without_secrets(options.config or Path("linegate.yaml"))
    with closing(database(settings)) as opened_rows:
        queries = SqliteQueries(opened_rows)
        asked = pages(lambda cursor: queries.search(Wanted(line=options.line), cursor, 500))
        newest = islice((inspection for page in asked for inspection in _whole(page)), MOST)
        boards = history.decided(newest, queries.revisions)
    told = history.assess(boards, options.certainty, options.escape_rate)
    for line in history.lines(told):
        console().print(Text(line), soft_wrap=True)
    return told


def _whole(page: Page[Inspection]) -> tuple[Inspection, ...]:
    """What is signed leaves nothing out. Raises TransientError."""
    if page.unreadable:
        raise TransientError(f"{', '.join(page.unreadable)} can't be read{MEND}")
    return page.items


def _study(options: argparse.Namespace) -> dict[str, Any]:
    if options.format is None:
        raise UsageError("a DATASET needs --format")
    logs.configure("CRITICAL")
    on_interrupt(signal.default_int_handler)
    disturbance = Disturbance(options.light, options.shift, options.turn, options.noise)
    plan = Plan(options.looks, options.seed, disturbance, options.certainty, options.escape_rate)
    request = request_of(options, escape_rate=options.escape_rate, certainty=options.certainty)
    gate, dataset = opened(request)
    looks = Looks(gate, dataset, plan)
    outcomes, stopped = inspected(looks.gate, gate.recipe, looks.dataset, request.parallel, looks.content)
    if stopped:  # a study is whole or none
        if isinstance(stopped, TransientError):
            raise TransientError(f"no study was made: {stopped}") from stopped
        raise stopped
    report = assess(gate, request, looks, outcomes, plan)
    if options.page:
        from linegate.evaluation.certificate import page

        write(options.page, page(report))
    _show(report)
    return report


def _show(report: dict[str, Any]) -> None:
    out = console()
    study, looks, data = (report[key] for key in ("study", "looks", "dataset"))

    def line_out(text: str) -> None:
        out.print(Text(text), soft_wrap=True)

    line_out(f"{report['made_at']}, {report['software']}")
    line_out(f"{study['bad']} bad and {study['good']} good boards: {data['path']} (sha256 {data['sha256'][:12]})")
    line_out(f"{looks['each']} looks at each, seed {looks['seed']}: the first as it is, the others {looks['told']}")
    head = ("", "value", f"with {100 * study['certainty']:g} % certainty", "AIAG's band", "band of the bound")
    out.print(_table(head, rows(study)))
    if study["per_class"]:
        out.print(_table(CLASS_HEAD, class_rows(study)))
    for line in (*report["statement"], *report["limits"][:1]):
        line_out(line)
    for line in data["warnings"]:
        console(stderr=True).print(Text(f"warning: {line}"), soft_wrap=True)


def _table(head: tuple[str, ...], listed: Any) -> Table:
    table = Table(box=None, header_style="bold")
    for number, title in enumerate(head):
        table.add_column(title, justify="right" if number else "left")
    for row in listed:
        table.add_row(*(Text(str(cell)) for cell in row))
    return table

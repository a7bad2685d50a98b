"""`linegate evaluate`: labelled pictures through the gate. Read, inspect, measure, report."""

import argparse
import json
import signal
from functools import partial
from pathlib import Path

from linegate import logs
from linegate.commands.arguments import ratio, real
from linegate.commands.cost import per_thousand, prices_of
from linegate.commands.interrupt import on_interrupt
from linegate.commands.labelled import add_dataset, inspected, opened, request_of, write
from linegate.errors import UsageError
from linegate.evaluation.assessment import assess, note_unknown_classes
from linegate.evaluation.labels import shown
from linegate.evaluation.outcomes import floor_of, lowered
from linegate.evaluation.terminal import show
from linegate.evaluation.thresholds import advice
from linegate.files import writable


def arguments(parser: argparse.ArgumentParser) -> None:
    add_dataset(parser)
    parser.add_argument("--iou", type=ratio, default=0.5, metavar="IOU", help="overlap that makes a hit (0.5)")
    parser.add_argument(
        "--recall", type=ratio, default=0.98, metavar="R", help="recall to choose a threshold for (0.98)"
    )
    parser.add_argument(
        "--escape-rate",
        type=ratio,
        metavar="R",
        help="part of bad boards that may pass: choose thresholds that promise it",
    )
    parser.add_argument(
        "--certainty", type=real(0.5, 0.9999), default=0.95, metavar="C", help="with which bounds hold (0.95)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures here")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write a report to read and print here")


def run(options: argparse.Namespace) -> int:
    """Print and write the figures. Returns 0, whatever they are. Raises UsageError, ConfigError, TransientError.

    What stops it early (Ctrl-C, say) is raised after the figures of the boards that were inspected by then are printed.
    """
    logs.configure("CRITICAL")
    on_interrupt(signal.default_int_handler)  # what has been inspected by then is reported
    request = request_of(
        options,
        iou=options.iou,
        recall=options.recall,
        escape_rate=options.escape_rate,
        certainty=options.certainty,
        json=options.json,
        html=options.html,
    )
    for file in (request.json, request.html):
        if file:
            writable(file)
    if request.json and request.html and request.json.resolve() == request.html.resolve():
        raise UsageError(f"--json and --html name the same file {shown(request.json)}")
    gate, dataset = opened(request)
    recipe = lowered(gate.recipe, floor_of(gate.recipe))
    outcomes, stopped = inspected(gate, recipe, dataset, request.parallel)
    if stopped and not outcomes:
        raise stopped
    note_unknown_classes(dataset, gate.recipe, outcomes)
    cost = partial(per_thousand, gate.settings, gate.recipe, prices_of(None))
    report = assess(gate, dataset, outcomes, request, cost)
    if request.json:
        write(request.json, json.dumps(report, indent=2, ensure_ascii=False) + "\n")
    if request.html:
        from linegate.evaluation.report import page

        write(request.html, page(report, advice(report), outcomes, gate.counts()))
    show(report)
    for file in (request.json, request.html):
        if file:
            print(f"wrote {shown(file)}")
    if stopped:
        raise stopped
    return 0

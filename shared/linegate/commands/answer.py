"""`linegate answer`: what a person decides about one product, given to the running gate."""

import argparse
import getpass
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from typing import Final

from linegate import bootstrap, config, logs
from linegate.answers import Disposition, Missed, Review, Ruling
from linegate.commands.arguments import add_cloud, add_config, whole
from linegate.commands.gates import cloud_context
from linegate.config import command
from linegate.edge.machine import look
from linegate.edge.runtime import open_database
from linegate.errors import UsageError
from linegate.handlers.context import Context
from linegate.handlers.giving import give, wait_for
from linegate.inspection import Inspection, Revision
from linegate.ports import Queries
from linegate.settings import Settings
from linegate.shapes import Box
from linegate.texts import printable
from linegate.verdict import open_findings

# On Google Cloud an instance may have to start.
PATIENCE_S, CLOUD_PATIENCE_S = 30.0, 120.0
ALL: Final = "all"
OPTIONS: Final = {
    "--true-defect": (Disposition.TRUE_DEFECT, "these findings are defects"),
    "--false-call": (
        Disposition.FALSE_CALL,
        f'these are none; "{ALL}": nor is any other that the machine did not clear and that nothing else is said of',
    ),
    "--accepted": (Disposition.ACCEPTED, "these are there, and acceptable as they are: process indicators"),
    "--repaired": (Disposition.REPAIRED, "these were repaired"),
}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("wanted", metavar="SERIAL|ID", help="of the product, or of its inspection (the first digits)")
    for option, (disposition, said) in OPTIONS.items():
        parser.add_argument(option, dest=disposition.value, nargs="+", default=[], metavar="N", help=said)
    parser.add_argument(
        "--missed",
        nargs="+",
        action="append",
        default=[],
        metavar=("CLASS", "X Y WIDTH HEIGHT"),
        help="a defect that no detector found, and where: the centre of its box and its size, in pixels; may be repeated",
    )
    parser.add_argument(
        "--looked", action="store_true", help="the whole product was looked at: answers the machine's doubts"
    )
    parser.add_argument("--comment", default="", metavar="TEXT", help="is kept, and told to targets")
    parser.add_argument("--as", dest="author", metavar="NAME", help="who decides (who is logged in)")
    parser.add_argument(
        "--seen", type=whole(1, 100_000), metavar="R", help="the revision that was looked at (the latest)"
    )
    add_cloud(parser)
    add_config(parser)


def run(options: argparse.Namespace) -> int:
    """Give the decision to the gate and wait for what becomes of it. Returns 0 if it counts, 1 if it was refused or waits.

    Raises ConfigError, UsageError, TransientError.
    """
    logs.configure("ERROR")
    settings = config.without_secrets(options.config) if options.cloud else config.load(options.config)
    with _gate(settings, cloud=options.cloud) as context:
        inspection = _found(context.queries, options.wanted)
        review = _review(inspection, options)
        give(context, review, inspection.place.line)
        outcome = wait_for(context.queries, review, CLOUD_PATIENCE_S if options.cloud else PATIENCE_S)
    board = printable(inspection.place.board, 400)
    if isinstance(outcome, Revision):
        print(f"{outcome.decision.verdict.value}  {board}: revision {outcome.number} by {review.author}")
        print(f"  {printable(outcome.decision.summary, 2000)}")
        return 0
    if outcome is None:
        print(f"No answer yet for {board}: the decision is kept. `{command()} show` tells what becomes of it.")
    else:
        print(f"Refused for {board}. {printable(outcome.reason, 1000)}")
    return 1


@contextmanager
def _gate(settings: Settings, *, cloud: bool) -> Iterator[Context]:
    """The ports of the gate. Raises UsageError where none runs, or none is in the file."""
    if cloud:
        yield cloud_context(settings)
        return
    if not look(settings)["runtime"]["running"]:
        raise UsageError(f"the gate is not running; start it with `{command()} edge`")
    with closing(open_database(settings)) as database:
        yield bootstrap.local(settings, database).context


def _found(queries: Queries, wanted: str) -> Inspection:
    """The one inspection that is meant. Raises UsageError."""
    found = queries.find(wanted, 10)
    if not found:
        raise UsageError(f"nothing was inspected with the serial or id {printable(wanted)!r}")
    if len(found) > 1:
        ids = ", ".join(inspection.inspection_id[:12] for inspection in found)
        raise UsageError(f"several inspections are called {printable(wanted)!r}; name one by its id: {ids}")
    return found[0]


def _review(inspection: Inspection, options: argparse.Namespace) -> Review:
    """What was typed. Raises UsageError."""
    if inspection.revision is None:
        raise UsageError("there is no verdict yet to decide about")
    said: dict[Disposition, list[str]] = {each: list(getattr(options, each.value)) for each in Disposition}
    every = ALL in said[Disposition.FALSE_CALL]
    said[Disposition.FALSE_CALL] = [number for number in said[Disposition.FALSE_CALL] if number != ALL]
    try:
        rulings = [Ruling(int(number), each) for each, numbers in said.items() for number in numbers]
        if every:
            known = {ruling.index for ruling in rulings}
            open_ones = open_findings(inspection.manifest, inspection.revision)
            rulings += [Ruling(index, Disposition.FALSE_CALL) for index in open_ones if index not in known]
        return Review(
            inspection_id=inspection.inspection_id,
            author=options.author or getpass.getuser(),
            origin="cli",
            seen=options.seen or inspection.revision.number,
            at=datetime.now(UTC),
            rulings=tuple(rulings),
            missed=tuple(_missed(words) for words in options.missed),
            looked=options.looked,
            comment=options.comment,
        )
    except ValueError as error:
        raise UsageError(f"this is no decision: {error}") from error


def _missed(words: Sequence[str]) -> Missed:
    if len(words) == 1:
        return Missed(words[0])
    if len(words) != 5:
        raise ValueError("--missed takes a class, or a class with X Y WIDTH HEIGHT")
    return Missed(words[0], Box(*(float(word) for word in words[1:])))

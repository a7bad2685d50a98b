"""`linegate dataset export`: pictures that a person has answered, with the boxes that they stand by."""

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from linegate import config, imaging, logs
from linegate.adapters.local.database import MEND
from linegate.commands.arguments import window
from linegate.commands.dataset.folder import Folder, alone
from linegate.commands.gates import Looked, looked_at
from linegate.errors import ImageRejectedError, ObjectMissingError, TransientError
from linegate.exports.labels import Labelled, contradicted, labels, unusable
from linegate.exports.told import PAGE, Told, history, told
from linegate.inspection import Inspection
from linegate.search import By, Wanted, pages
from linegate.settings import Settings
from linegate.texts import printable

NAMED = 3


@dataclass(slots=True)
class Came:
    """What became of the inspections that people have answered: why ▶ the products, where they are no part of the dataset."""

    new: int = 0
    corrected: int = 0
    unchanged: int = 0
    withdrawn: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    left_out: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))
    unreadable: list[str] = field(default_factory=list)


def run(options: argparse.Namespace) -> int:
    """Add what is new to the dataset. Returns 0. Raises ConfigError, UsageError, and TransientError: for what can't be read once
    all else is taken.
    """
    wanted = replace(window(options), decided_by=By.PERSON)
    settings = config.without_secrets(options.config)
    logs.configure("CRITICAL")
    came = Came()
    with looked_at(settings, cloud=options.cloud) as gate, alone(options.folder):
        folder = Folder(options.folder)
        try:
            for inspection in _answered(gate, wanted, settings, came):
                _take(gate, folder, inspection, settings, came)
        finally:  # also for whoever is stopped half-way
            folder.finish()
    _tell(came, folder, as_json=options.json)
    if came.unreadable:
        raise TransientError(f"{', '.join(came.unreadable)} can't be read{'' if options.cloud else MEND}")
    return 0


def _answered(gate: Looked, wanted: Wanted, settings: Settings, came: Came) -> Iterator[Inspection]:
    for page in pages(lambda cursor: gate.queries.search(wanted, cursor, PAGE)):
        came.unreadable += page.unreadable
        for inspection in page.items:
            # A challenge shows the same few known-bad products over and over.
            if inspection.place.line not in settings.challenge_lines or wanted.line == inspection.place.line:
                yield inspection


def _take(gate: Looked, folder: Folder, inspection: Inspection, settings: Settings, came: Came) -> None:
    """Have one inspection become part of the dataset, or be none any more."""
    assert inspection.revision is not None
    known, number = folder.taken.get(inspection.inspection_id), inspection.revision.number
    if known and known.revision == number and (known.withdrawn or not contradicted(inspection)):
        came.unchanged += 1
        return
    part = known if known and not known.withdrawn else None
    try:
        one = told(inspection, history(gate.queries, inspection))
        why = unusable(one)
        if not why and part:
            folder.correct(part, number, _labelled(one, part.picture.width, part.picture.height))
            came.corrected += 1
        elif not why:
            upright = imaging.upright(gate.read(inspection.image), settings.images.max_pixels)
            folder.take(inspection, number, upright, _labelled(one, *upright.size))
            came.new += 1
    except (ImageRejectedError, ObjectMissingError, ValueError) as error:
        why = "its picture is gone" if isinstance(error, ObjectMissingError) else str(error)
    except TransientError:
        came.unreadable.append(inspection.inspection_id)
        return
    if why and part:
        folder.withdraw(part, number, why)
        came.withdrawn[why].append(inspection.place.board)
    elif why:
        came.left_out[why].append(inspection.place.board)


def _labelled(one: Told, width: int, height: int) -> Labelled:
    """Raises ValueError for what can't be labelled."""
    manifest = one.inspection.manifest
    if manifest and (manifest.width, manifest.height) != (width, height):
        raise ValueError("its picture has another size than what was inspected")
    return Labelled("", width, height, labels(one, width, height))


def _tell(came: Came, folder: Folder, *, as_json: bool) -> None:
    inside = list(folder.pictures)
    totals: dict[str, Any] = {
        "pictures": len(inside),
        "good": sum(not taken.picture.labels for taken in inside),
        "labels": sum(len(taken.picture.labels) for taken in inside),
        "classes": folder.classes,
    }
    if as_json:
        fresh = {"new": came.new, "corrected": came.corrected, "unchanged": came.unchanged}
        print(json.dumps({**totals, **fresh, "withdrawn": came.withdrawn, "left_out": came.left_out}, indent=2))
        return
    print(
        f"{totals['pictures']} pictures, {totals['good']} of them of good products, with {totals['labels']} labels of "
        f"{len(folder.classes)} classes: {came.new} new, {came.corrected} corrected, {came.unchanged} as they were"
    )
    for word, products in (("withdrawn", came.withdrawn), ("left out", came.left_out)):
        for why, boards in products.items():
            named = ", ".join(printable(board) for board in boards[:NAMED])
            more = f" and {len(boards) - NAMED} more" if len(boards) > NAMED else ""
            print(f"  {len(boards)} {word}: {why} ({named}{more})")

"""A runtime of its own, in a folder that is gone afterwards: the one beside the line is not disturbed, nobody is notified."""

import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from linegate.edge.intake import CHECKSUM_SUFFIX, IGNORED_SUFFIX
from linegate.edge.runtime import Runtime
from linegate.inspection import Inspection
from linegate.settings import Settings
from linegate.temporary import temporary_folder

POLL_S: Final = 0.005


@contextmanager
def runtime(settings: Settings) -> Iterator[Runtime]:
    """A runtime with these settings, started; stopped and its data removed at the end."""
    with temporary_folder("linegate-scratch-") as folder:
        edge = settings.edge.model_copy(update={"data": str(folder)})
        running = Runtime(settings.model_copy(update={"targets": {}, "edge": edge}))
        running.start()
        try:
            yield running
        finally:
            running.stop()


def upload(runtime: Runtime, picture: Path, line: str, station: str, serial: str) -> None:
    """Leave a copy of the picture where a camera would."""
    folder = runtime.settings.data / "uploads" / line / station
    folder.mkdir(parents=True, exist_ok=True)
    incoming = folder / ".incoming.part"  # with the serial in it, a name of 255 bytes would become too long
    shutil.copyfile(picture, incoming)
    suffix = picture.suffix if picture.suffix not in (IGNORED_SUFFIX, CHECKSUM_SUFFIX) else ""
    os.rename(incoming, folder / f"{serial}{suffix}")


def decided(runtime: Runtime, besides: Collection[str] = ()) -> list[Inspection]:
    """The inspections that have a verdict, without those of these ids."""
    rows = runtime.database.read("SELECT id FROM inspections WHERE revision > 0")
    found = (runtime.app.context.inspections.get(row[0]) for row in rows if row[0] not in besides)
    return [inspection for inspection in found if inspection is not None]


def count_decided(runtime: Runtime) -> int:
    return int(runtime.database.read("SELECT count(*) FROM inspections WHERE revision > 0")[0][0])


def troubles(runtime: Runtime) -> list[str]:
    """What keeps detectors from answering: the boards that wait for it are not decided before their deadline."""
    rows = runtime.database.read("SELECT id FROM inspections WHERE revision = 0")
    waiting = (runtime.app.context.inspections.get(row[0]) for row in rows)
    return sorted({inspection.fault for inspection in waiting if inspection is not None and inspection.fault})


def patience_s(settings: Settings, line: str) -> float:
    """Seconds within which a verdict must come: the deadline decides at the latest, by sweep."""
    recipe = settings.recipe_of(line)
    return (recipe[1].deadline_s if recipe else 0) + 4 * settings.edge.sweep_s + 10

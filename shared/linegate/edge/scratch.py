"""A runtime of its own, in a folder that is gone afterwards: the one beside the line is not disturbed, nobody is notified.

No challenge is due there: what is asked of it is no product.
"""

import os
import shutil
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from linegate.edge.archive import CHECKSUM_SUFFIX, UPLOADS_FOLDER
from linegate.edge.intake import IGNORED_SUFFIX
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
        lines = {name: line.model_copy(update={"challenge_every": None}) for name, line in settings.lines.items()}
        running = Runtime(settings.model_copy(update={"targets": {}, "lines": lines, "edge": edge}))
        running.start()
        try:
            yield running
        finally:
            running.stop()


def upload(runtime: Runtime, picture: Path, line: str, station: str, serial: str) -> None:
    """Leave a copy of the picture where a camera would."""
    suffix = picture.suffix if picture.suffix not in (IGNORED_SUFFIX, CHECKSUM_SUFFIX) else ""
    with incoming(runtime.settings.data, line, station, f"{serial}{suffix}") as file:
        shutil.copyfile(picture, file)


@contextmanager
def incoming(data: Path, line: str, station: str, name: str) -> Iterator[Path]:
    """Where to write a picture, which at the end of the block is renamed to where a camera would leave it."""
    folder = data / UPLOADS_FOLDER / line / station
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / ".incoming.part"  # with the name in it, one of 255 bytes would become too long
    yield file
    os.rename(file, folder / name)


def decided(runtime: Runtime, besides: Collection[str] = ()) -> list[Inspection]:
    """The inspections that have a verdict, without those of these ids."""
    context = runtime.app.context
    found = (context.inspections.get(identity) for identity in context.queries.decided() if identity not in besides)
    return [inspection for inspection in found if inspection is not None]


def count_decided(runtime: Runtime) -> int:
    return len(runtime.app.context.queries.decided())


def patience_s(settings: Settings, line: str) -> float:
    """Seconds within which a verdict must come: the deadline decides at the latest, by sweep."""
    recipe = settings.recipe_of(line)
    return (recipe[1].deadline_s if recipe else 0) + 4 * settings.edge.sweep_s + 10

"""`linegate dataset push`: the pictures of a dataset's folder to a Roboflow project, each once.

What was pushed stands in the folder's `pushed.jsonl`, a line once the picture and its labels are there. Whoever dies before
that line sends the picture again: the project knows it by its pixels and gives its id, so nothing is there twice.
"""

import argparse
import hashlib
import os
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

from linegate import config, logs
from linegate.codec import codec
from linegate.commands.dataset.folder import MEMORY, Folder, Taken, alone, whole
from linegate.errors import UsageError
from linegate.exports.coco import coco_of_one
from linegate.files import writing
from linegate.proxies import proxy_for
from linegate.sections import http_url
from linegate.texts import printable

if TYPE_CHECKING:
    from linegate.adapters.roboflow.dataset import RoboflowProject

PUSHED: Final = "pushed.jsonl"


@dataclass(frozen=True, slots=True)
class Pushed:
    """A picture of the folder that is in a project, with the labels of this digest (SHA-256); "" before any were sent."""

    project: str  # WORKSPACE/PROJECT
    file: str
    picture: str
    labels: str
    image_id: str
    batch: str
    at: datetime
    ours: bool  # whether its labels there are those that were sent from here


@dataclass(slots=True)
class Sent:
    """What became of the pictures."""

    new: int = 0
    corrected: int = 0
    there: int = 0
    labelled: list[str] = field(default_factory=list)  # by somebody else, whose labels stay
    refused: list[str] = field(default_factory=list)


def run(options: argparse.Namespace) -> int:
    """Send what the project has not got. Returns 0, or 1 if it refused a picture.

    Raises ConfigError, UsageError, TransientError.
    """
    folder = options.folder
    if not (folder / MEMORY).is_file():
        raise UsageError(f"{folder} is no dataset of `linegate dataset export`: there is no {MEMORY}")
    project = _project(options)
    logs.configure("CRITICAL")
    sent = Sent()
    with alone(folder):
        memory = Folder(folder)
        known = {each.file: each for each in pushed(folder) if each.project == project.name}
        try:
            for taken in memory.pictures:
                _send(project, memory, taken, known.get(taken.picture.file), options, sent)
        finally:
            _tell(sent, [each for each in known.values() if not (folder / each.file).is_file()])
    return 1 if sent.refused else 0


def _project(options: argparse.Namespace) -> "RoboflowProject":
    settings = config.load(options.config)
    key = settings.roboflow.api_key if settings.roboflow else None
    if settings.roboflow is None or key is None:
        raise UsageError(f"the key of the project is needed: roboflow.api_key in {options.config}")
    if not re.fullmatch(r"[A-Za-z0-9_-]+", options.project):
        raise UsageError("--project is the last part of the project's address: letters, digits, - and _")
    try:
        url = http_url(options.api_url)
    except ValueError as error:
        raise UsageError(f"--api-url: {error}") from error
    from linegate.adapters.roboflow.dataset import RoboflowProject  # the SDK, which an extra brings

    return RoboflowProject(url, key.get_secret_value(), settings.roboflow.workspace, options.project, proxy_for)


def _send(
    project: "RoboflowProject",
    memory: Folder,
    taken: Taken,
    known: Pushed | None,
    options: argparse.Namespace,
    sent: Sent,
) -> None:
    from linegate.adapters.roboflow.dataset import PictureRefusedError

    file = taken.picture.file
    coco, standing = coco_of_one(taken.picture), known
    labels = hashlib.sha256(coco.encode()).hexdigest()
    if known and known.labels == labels:
        sent.there += 1
        return
    name = f"{Path(file).stem}.coco.json"
    try:
        if standing is None:
            uploaded = project.upload(memory.path / file, options.batch, options.split)
            standing = Pushed(
                project=project.name,
                file=file,
                picture=taken.digest,
                labels="",
                image_id=uploaded.image_id,
                batch=options.batch,
                at=datetime.now(UTC),
                ours=not uploaded.duplicate,
            )
            _append(memory.path, standing)
        # A person's later word takes the place of what was sent before, but of nobody else's labels.
        counts = project.annotate(standing.image_id, name, coco, options.batch, overwrite=standing.ours)
    except PictureRefusedError as error:
        sent.refused.append(f"{file}: {error}")
        return
    _append(memory.path, replace(standing, labels=labels, at=datetime.now(UTC), ours=counts))
    if not counts:
        sent.labelled.append(file)
    elif known and known.labels:
        sent.corrected += 1
    else:
        sent.new += 1


def pushed(folder: Path) -> Iterator[Pushed]:
    """What the folder knows of pushes, in the order in which they were made. Raises UsageError."""
    with suppress(FileNotFoundError), (folder / PUSHED).open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if line.endswith(b"\n"):  # a last one without its end is what a crash left
                try:
                    yield codec(Pushed).validate_json(line)
                except ValueError as error:
                    raise UsageError(f"{folder / PUSHED}:{number}: this line can't be read; take it out") from error


def _append(folder: Path, line: Pushed) -> None:
    with writing(folder / PUSHED), (folder / PUSHED).open("a+b") as file:
        whole(file.fileno())
        file.write(codec(Pushed).dump_json(line) + b"\n")
        file.flush()
        os.fsync(file.fileno())


def _tell(sent: Sent, gone: list[Pushed]) -> None:
    print(f"{sent.new} new, {sent.corrected} corrected, {sent.there} were there already")
    told = (
        ("had labels in the project already, which stay", sent.labelled),
        ("refused", sent.refused),
        ("withdrawn here, and still in the project", [f"{each.file} ({each.image_id})" for each in gone]),
    )
    for what, files in told:
        if files:
            print(f"  {len(files)} {what}:")
            for file in files:
                print(f"    {printable(file, 600)}")

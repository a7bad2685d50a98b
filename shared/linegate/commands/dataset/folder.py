"""A dataset in a folder: pictures, the labels of each, and one file that remembers which inspections they are.

`pictures.jsonl` is what counts: a line for each inspection that was taken, the last one of an inspection stands. COCO's and
YOLO's files are made of it, and may be made again at any time.
"""

import fcntl
import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from linegate.codec import codec
from linegate.errors import UsageError
from linegate.exports.coco import coco_pieces
from linegate.exports.labels import Labelled
from linegate.exports.yolo import yolo_classes, yolo_lines
from linegate.files import writing
from linegate.imaging import Upright
from linegate.inspection import Inspection

MEMORY: Final = "pictures.jsonl"
PICTURES, LABELS, COCO, YOLO = "images", "labels", "instances.json", "data.yaml"


@dataclass(frozen=True, slots=True)
class Taken:
    """An inspection that is, or was, part of the dataset."""

    inspection_id: str
    revision: int
    line: str
    recipe: str
    picture: Labelled
    digest: str  # SHA-256 of the picture's file
    withdrawn: str = ""  # why it is no part of it any more


class Folder:
    """Everything written is whole or not there. What a crash left half done is done again, or is passed over by every reader."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.taken: dict[str, Taken] = {}
        self.classes: list[str] = []
        for taken in remembered(path):
            self._remember(taken)
        if self.taken:  # a crash may have come before its labels were written
            self._write_labels(list(self.taken.values())[-1])

    @property
    def pictures(self) -> Iterator[Taken]:
        """Those that are part of the dataset. A picture that somebody removed stays away."""
        for taken in self.taken.values():
            if not taken.withdrawn and (self.path / taken.picture.file).is_file():
                yield taken

    def take(self, inspection: Inspection, revision: int, upright: Upright, labelled: Labelled) -> None:
        """Add a picture. Raises UsageError where it can't be written."""
        place = inspection.place
        name = f"{PICTURES}/{safe(place.serial)}-{inspection.inspection_id}{upright.extension}"
        self._write(self.path / name, [upright.data])
        digest = hashlib.sha256(upright.data).hexdigest()
        picture = replace(labelled, file=name)
        self._append(Taken(inspection.inspection_id, revision, place.line, inspection.recipe, picture, digest))

    def correct(self, taken: Taken, revision: int, labelled: Labelled) -> None:
        """Give a picture other labels. Raises UsageError."""
        self._append(
            replace(taken, revision=revision, picture=replace(labelled, file=taken.picture.file), withdrawn="")
        )

    def withdraw(self, taken: Taken, revision: int, why: str) -> None:
        """Nobody knows any more whether its labels are right. Raises UsageError."""
        self._append(replace(taken, revision=revision, withdrawn=why))

    def finish(self) -> None:
        """Write what lists the pictures, for COCO and YOLO. Raises UsageError."""
        coco = coco_pieces(lambda: (taken.picture for taken in self.pictures), self.classes)
        self._write(self.path / COCO, (piece.encode() for piece in coco))
        self._write(self.path / YOLO, [yolo_classes(self.classes).encode()])

    def _append(self, taken: Taken) -> None:
        with writing(self.path / MEMORY), (self.path / MEMORY).open("ab") as file:
            file.write(codec(Taken).dump_json(taken) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        self._remember(taken)
        self._write_labels(taken)

    def _remember(self, taken: Taken) -> None:
        self.taken.pop(taken.inspection_id, None)  # the one that was written last comes last
        self.taken[taken.inspection_id] = taken
        for label in taken.picture.labels:
            if label.class_name not in self.classes:  # a class keeps its number for ever
                self.classes.append(label.class_name)

    def _write_labels(self, taken: Taken) -> None:
        picture = self.path / taken.picture.file
        labels = self.path / LABELS / f"{picture.stem}.txt"
        if taken.withdrawn or not picture.is_file():
            for gone in (labels, picture):
                gone.unlink(missing_ok=True)
        else:
            self._write(labels, [yolo_lines(taken.picture, self.classes).encode()])

    def _write(self, path: Path, pieces: Iterable[bytes]) -> None:
        part = path.with_name(f".{path.name}.part")
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                with part.open("wb") as file:
                    for piece in pieces:
                        file.write(piece)
                    file.flush()
                    os.fsync(file.fileno())
                part.replace(path)
            finally:
                part.unlink(missing_ok=True)


def remembered(path: Path) -> Iterator[Taken]:
    """What the folder's memory holds, in the order in which it was written. Raises UsageError."""
    file = path / MEMORY
    with suppress(FileNotFoundError), file.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                taken = codec(Taken).validate_json(line)
            except ValueError as error:
                raise UsageError(f"{file}:{number}: this line can't be read; take it out") from error
            yield taken


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Nobody else writes into the folder meanwhile, and no half line is left in its memory. Raises UsageError."""
    with writing(path / MEMORY):
        path.mkdir(parents=True, exist_ok=True)
        file = (path / MEMORY).open("a+b")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise UsageError(f"somebody else works on the dataset {path}") from error
        whole(file.fileno())
        yield


def whole(descriptor: int) -> None:
    """Cut off what a crash left of a last line without its end."""
    size = os.fstat(descriptor).st_size
    end = size
    while end:
        start = max(0, end - 65_536)
        at = os.pread(descriptor, end - start, start).rfind(b"\n")
        if at >= 0:
            end = start + at + 1
            break
        end = start
    if end < size:
        os.ftruncate(descriptor, end)


def safe(serial: str) -> str:
    """A serial as a part of a file's name, on any system."""
    return re.sub(r"[^A-Za-z0-9_-]+", "_", serial)[:60].strip("_-") or "product"

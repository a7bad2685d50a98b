"""What a labelled picture is, and what may be wrong with its labels."""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Final

from linegate.evaluation.masks import Mask
from linegate.shapes import Box
from linegate.texts import printable

ALIASES: Final = {"open": "open_circuit", "mousebite": "mouse_bite", "copper": "spurious_copper", "pinhole": "pin_hole"}


class Kind(StrEnum):
    """What can be wrong with a dataset; each is counted by itself."""

    BAD_LABEL = "bad label"
    NO_LABELS = "no labels"
    TAKEN_AS_GOOD = "taken as good"
    LEFT_OUT = "left out"
    NO_PICTURE = "no picture"
    NO_GOLDEN = "no golden picture"
    TWICE = "same picture twice"
    EMPTY_SPLIT = "empty split"
    UNKNOWN_CLASS = "unknown class"
    TRAINED_ON = "trained on"


# How many there are of what, and the first of them, comes first, then what follows from it and what to do
IN_WORDS: Final = {
    Kind.BAD_LABEL: "{} that can't be used, left out: findings there count as false",
    Kind.NO_LABELS: "{} without labels, left out: a lost label file would make a bad board good. If these are good boards, "
    "give them empty label files, or say --missing-labels-are-good",
    Kind.TAKEN_AS_GOOD: "{} without labels, taken as good boards as --missing-labels-are-good says",
    Kind.LEFT_OUT: "{} that can't be used, left out",
    Kind.NO_PICTURE: "{} without a picture: their defects are not looked for",
    Kind.NO_GOLDEN: "{} without a golden picture, left out: on a line they would go to REVIEW",
    Kind.TWICE: "{} the same as another one: each counts",
    Kind.EMPTY_SPLIT: "{} without any picture",
    Kind.UNKNOWN_CLASS: "{} that the detector has no name for: their defects count as not found, at best as found under "
    "another name",
    Kind.TRAINED_ON: "{} in a folder 'train': a model that was trained on them looks better here than it is",
}
NOUNS: Final = {
    Kind.BAD_LABEL: ("label", "labels"),
    Kind.NO_PICTURE: ("label file", "label files"),
    Kind.EMPTY_SPLIT: ("split", "splits"),
    Kind.UNKNOWN_CLASS: ("class", "classes"),
}


@dataclass(frozen=True, slots=True)
class Truth:
    """One labelled defect; `mask` is what it covers, where the labels tell that."""

    class_name: str
    box: Box
    mask: Mask | None = None


@dataclass(frozen=True, slots=True)
class Sample:
    """One labelled picture; `golden` is its own picture of a good board, where the dataset has one."""

    name: str
    picture: Path
    truths: tuple[Truth, ...]
    golden: Path | None = None

    @property
    def bad(self) -> bool:
        return bool(self.truths)


@dataclass(frozen=True, slots=True)
class Fault:
    """Something wrong with a dataset, where it stands and why; line 0 where the whole file is meant."""

    file: str
    line: int
    reason: str
    kind: Kind = Kind.BAD_LABEL

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.reason}" if self.line else f"{self.file}: {self.reason}"


@dataclass
class Dataset:
    """What was read, and what could not be used."""

    samples: list[Sample] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    def fault(self, file: Path | str, line: int, reason: str, kind: Kind = Kind.BAD_LABEL) -> None:
        self.faults.append(Fault(shown(file), line, shown(reason), kind))

    def add(self, sample: Sample, since: int) -> None:
        """Take a picture; `since` is how many faults there were before its labels were read.

        A board that lost all its labels to faults may be bad: it is left out, not taken as good.
        """
        lost = sum(fault.kind is Kind.BAD_LABEL for fault in self.faults[since:])
        if lost and not sample.truths:
            reason = f"none of its {lost} labels can be used, so nobody can tell whether the board is good"
            self.fault(sample.picture, 0, reason, Kind.LEFT_OUT)
        else:
            self.samples.append(sample)

    def add_unlabelled(self, name: str, picture: Path, wanted: str, *, good: bool) -> None:
        """A picture without a file of labels, which the format allows for good boards: a lost one looks the same."""
        if good:
            self.fault(picture, 0, f"taken as good: there is no {wanted}", Kind.TAKEN_AS_GOOD)
            self.samples.append(Sample(name, picture, ()))
        else:
            told = f"left out: there is no {wanted}, so nobody can tell whether the board is good"
            self.fault(picture, 0, told, Kind.NO_LABELS)

    def counts(self) -> dict[str, int]:
        """How many faults there are of each kind."""
        return dict(Counter(fault.kind.value for fault in self.faults))


def class_name(text: str) -> str:
    """A class as Linegate spells it: "Missing hole", "missing-hole" and "missing_hole" are one."""
    name = re.sub(r"[\s\-]+", "_", printable(text.strip()).casefold())
    return ALIASES.get(name, name)


def shown(text: Path | str) -> str:
    """A name of the file system as text that can be printed and written, whatever bytes it holds."""
    return printable(str(text), 4096)


def warnings(faults: Iterable[Fault]) -> list[str]:
    """One line for each kind of fault that there is: how many, what follows from it, what to do, and the first three."""
    lines = []
    listed = list(faults)
    for kind, words in IN_WORDS.items():
        some = [fault for fault in listed if fault.kind is kind]
        if some:
            noun = NOUNS.get(kind, ("picture", "pictures"))[len(some) > 1]
            names = list(
                dict.fromkeys(fault.file if not fault.line else f"{fault.file}:{fault.line}" for fault in some)
            )
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            lines.append(words.format(f"{len(some)} {noun} ({', '.join(Path(name).name for name in names[:3])}{more})"))
    return lines


def note_duplicates(dataset: Dataset) -> None:
    """Say which pictures are there twice, byte for byte, and where their labels contradict each other."""
    by_size: dict[int, list[Sample]] = {}
    for sample in dataset.samples:
        by_size.setdefault(sample.picture.stat().st_size, []).append(sample)
    for alike in by_size.values():
        first: dict[bytes, Sample] = {}
        for sample in alike if len(alike) > 1 else ():
            known = first.setdefault(hashlib.sha256(sample.picture.read_bytes()).digest(), sample)
            if known is not sample:
                differ = set(known.truths) != set(sample.truths)
                contradicted = ", with other labels: one of them is wrong" if differ else ""
                dataset.fault(
                    sample.picture, 0, f"the same picture as {shown(known.picture)}{contradicted}", Kind.TWICE
                )

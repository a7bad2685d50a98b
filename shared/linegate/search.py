"""What people ask of many inspections: the question, a page of the answer, the cursor to the next, and the marks found by."""

import base64
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final, Generic, TypeVar

from linegate.answers import Disposition
from linegate.errors import CursorError
from linegate.inspection import Check, Inspection, Manifest, Result, Revision, Verdict

T = TypeVar("T")

# What an inspection is found by, at most, and the letters of a class that count: a model may say what it likes.
MOST_CLASSES: Final = 40
CLASS_LETTERS: Final = 100
# What waits is counted up to here: nobody needs to know it better.
MOST_COUNTED: Final = 10_000


class By(StrEnum):
    """Who made the latest revision."""

    MACHINE = "machine"
    PERSON = "person"


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which inspections are asked for, in which order; None asks for any.

    `since` and `until` are of `received_at`: not before the one, before the other. `class_name` and `disposition` are of
    one and the same finding: one that verification did not clear, that a person ruled on or that had been missed.
    """

    line: str | None = None
    recipe: str | None = None
    serial: str | None = None
    verdict: Verdict | None = None
    decided_by: By | None = None
    class_name: str | None = None
    disposition: Disposition | None = None
    since: datetime | None = None
    until: datetime | None = None
    oldest_first: bool = False

    @property
    def mark(self) -> str | None:
        """What stands among the `marks` of each inspection that is wanted."""
        asked = self.class_name is not None or self.disposition is not None
        return _mark(self.class_name, self.disposition) if asked else None


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """A part of an answer. `next` is the cursor of the page behind it, "" at the end: a page may be short, or empty, and yet
    not be the last. `unreadable` are the ids of records that belong here and can't be read.
    """

    items: tuple[T, ...] = ()
    next: str = ""
    unreadable: tuple[str, ...] = ()
    count: int | None = None  # of all pages together, MOST_COUNTED at most, where it was asked for


@dataclass(frozen=True, slots=True)
class Position:
    """Where a page ended: the time of the last inspection that was looked at, and by what it is told from others of that time."""

    received_at: datetime
    key: str


def cursor_at(position: Position, asked: object) -> str:
    """The opaque text that leads on from there, for the same question only."""
    where = [position.received_at.astimezone(UTC).isoformat(), position.key]
    text = json.dumps([*where, _seal(where, asked)], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def position(text: str, asked: object) -> Position | None:
    """Where a cursor leads on from; None for "", the beginning. Raises CursorError for a damaged one, or another question's."""
    if not text:
        return None
    try:
        received_at, key, seal = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        if seal != _seal([received_at, key], asked):
            raise ValueError("it was made for another question")
        return Position(datetime.fromisoformat(received_at), key)
    except (ValueError, TypeError) as error:
        raise CursorError(
            "this cursor is damaged, or belongs to another question; begin with the first page"
        ) from error


def pages(ask: Callable[[str], Page[T]]) -> Iterator[Page[T]]:
    """All pages, the first one first; `ask` answers a cursor."""
    page = ask("")
    yield page
    while page.next:
        page = ask(page.next)
        yield page


def awaits_answer(manifest: Manifest | None, revision: Revision) -> bool:
    """Whether a person is to look at the inspection whose latest revision it is: FAIL, REVIEW, or drawn for an audit."""
    if revision.decided_by.is_person:
        return False
    return revision.decision.verdict in (Verdict.FAIL, Verdict.REVIEW) or audited(manifest, revision)


def audited(manifest: Manifest | None, standing: Revision) -> bool:
    """Whether a person looks at a product that passes: it was drawn, and this is what the machine decided last."""
    return manifest is not None and manifest.audit and standing.decision.verdict is Verdict.PASS


def marks(manifest: Manifest | None, revisions: Sequence[Revision]) -> tuple[str, ...]:
    """What the findings of an inspection are found by: class, disposition, and both together; of MOST_CLASSES at most."""
    said: dict[tuple[str, Disposition | None], None] = {}
    ruled = rulings(revisions)
    for index, check in enumerate(machine_checks(revisions)):
        if check.result is not Result.PASS and index not in ruled:
            said[class_of(manifest, index), None] = None
    for index, disposition in ruled.items():
        said[class_of(manifest, index), disposition] = None
    for name in missed(revisions):
        said[name, None] = None
    classes = set(list(dict.fromkeys(name for name, _ in said))[:MOST_CLASSES])
    found: dict[str, None] = {}
    for name, word in said:
        words = [(None, word)] if word else []
        of_class = [(name, None), *([(name, word)] if word else [])] if name in classes else []
        found |= dict.fromkeys(_mark(*pair) for pair in (*of_class, *words))
    return tuple(found)


def machine_checks(revisions: Sequence[Revision]) -> tuple[Check, ...]:
    """What the gate itself said last of each finding, whatever persons said later."""
    own = [revision for revision in revisions if not revision.decided_by.is_person]
    return own[-1].decision.checks if own else ()


def rulings(revisions: Iterable[Revision]) -> dict[int, Disposition]:
    """What persons said of each finding, by its index: a later word stands in the place of an earlier one."""
    reviews = (revision.review for revision in revisions if revision.review)
    return {ruling.index: ruling.disposition for review in reviews for ruling in review.rulings}


def missed(revisions: Sequence[Revision]) -> tuple[str, ...]:
    """The classes of the defects that no detector found, as the latest review names them: each stands for the whole product."""
    review = revisions[-1].review if revisions else None
    return tuple(short(each.class_name) for each in review.missed) if review else ()


def class_of(manifest: Manifest | None, index: int) -> str:
    known = manifest is not None and index < len(manifest.detections)
    return short(manifest.detections[index].class_name) if manifest and known else ""


def short(class_name: str) -> str:
    """As it is counted and searched for: of a length that any store can hold."""
    return class_name[:CLASS_LETTERS].encode("utf-8", "replace").decode()


def fits(wanted: Wanted, inspection: Inspection, found_by: Iterable[str]) -> bool:
    """Whether an inspection with these marks is wanted."""
    revision, place = inspection.revision, inspection.place
    by = None if revision is None else By.PERSON if revision.decided_by.is_person else By.MACHINE
    equal = (
        (wanted.line, place.line),
        (wanted.recipe, inspection.recipe),
        (wanted.serial, place.serial),
        (wanted.verdict, revision.decision.verdict if revision else None),
        (wanted.decided_by, by),
    )
    return (
        all(asked is None or asked == is_ for asked, is_ in equal)
        and (wanted.since is None or inspection.received_at >= wanted.since)
        and (wanted.until is None or inspection.received_at < wanted.until)
        and (wanted.mark is None or wanted.mark in found_by)
    )


def _mark(class_name: str | None, disposition: Disposition | None) -> str:
    """A disposition holds no colon, a class may: the text is read by nobody, only compared."""
    return f"{disposition or ''}:{'' if class_name is None else f'={short(class_name)}'}"


def _seal(where: Sequence[str], asked: object) -> str:
    """Short: it tells slips, not forgers, who would learn nothing."""
    return hashlib.sha256(repr((list(where), asked)).encode("utf-8", "surrogatepass")).hexdigest()[:12]

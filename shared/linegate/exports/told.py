"""A decided inspection with all that the gate and people said of it: what every export is made of."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from linegate.answers import Disposition
from linegate.errors import TransientError
from linegate.inspection import Check, Detection, Inspection, Result, Revision, Verdict
from linegate.ports import Queries
from linegate.search import Page, Wanted, machine_checks, pages, rulings
from linegate.shapes import Box

PAGE: Final = 200


@dataclass(frozen=True, slots=True)
class Finding:
    """A finding of the manifest, or a defect that a person found and no detector, which has neither detection nor check."""

    number: int  # its index in the manifest, or its place among those that were missed
    class_name: str
    box: Box | None
    detection: Detection | None = None
    check: Check | None = None
    disposition: Disposition | None = None
    contradicted: bool = False  # the gate called it a defect only after a person had passed the product

    @property
    def missed(self) -> bool:
        return self.detection is None

    @property
    def cleared(self) -> bool:
        """The gate called it no defect, and nobody said otherwise."""
        passed = self.check is not None and self.check.result is Result.PASS
        return passed and self.disposition is None and not self.contradicted


@dataclass(frozen=True, slots=True)
class Told:
    """An inspection as of its latest revision. `machine` and `checks` are what the gate itself said last, of the product and of
    each finding; `rulings` are the persons' last words.
    """

    inspection: Inspection
    revision: Revision
    machine: Verdict
    checks: tuple[Check, ...]
    rulings: Mapping[int, Disposition]

    @property
    def findings(self) -> Iterator[Finding]:
        """Those of the manifest in its order, then what was missed."""
        manifest, known = self.inspection.manifest, {check.index: check for check in self.checks}
        late = self.inspection.contradicted
        for index, detection in enumerate(manifest.detections if manifest else ()):
            check = known.get(index, detection.settled) or Check(index, Result.UNSURE, "No check when it was decided.")
            word = self.rulings.get(index)
            yield Finding(index, detection.class_name, detection.box, detection, check, word, index in late)
        for number, missed in enumerate(self.revision.review.missed if self.revision.review else ()):
            yield Finding(number, missed.class_name, missed.box)


@dataclass(slots=True)
class LeftOut:
    """What was asked for and is not handed over: the ids of records that can't be read, and how many have no verdict yet."""

    unreadable: list[str] = field(default_factory=list)
    undecided: int = 0


def told(inspection: Inspection, revisions: Sequence[Revision]) -> Told:
    """`revisions` are all of them, the first one first."""
    own = [revision for revision in revisions if not revision.decided_by.is_person]
    machine = (own or revisions)[-1].decision.verdict
    return Told(inspection, revisions[-1], machine, machine_checks(revisions), rulings(revisions))


def all_told(queries: Queries, wanted: Wanted, left: LeftOut, but_lines: Collection[str] = ()) -> Iterator[Told]:
    """The decided inspections that are wanted, page by page; what is not among them is noted in `left`.

    Those of the lines `but_lines` are passed over, unless it is such a line that is asked for. Raises TransientError.
    """
    for page in pages(lambda cursor: queries.search(wanted, cursor, PAGE)):
        yield from page_told(queries, page, left, [line for line in but_lines if line != wanted.line])


def page_told(
    queries: Queries, page: Page[Inspection], left: LeftOut, but_lines: Collection[str] = ()
) -> Iterator[Told]:
    """The same of one page, without those of the lines `but_lines`."""
    left.unreadable += page.unreadable
    for inspection in page.items:
        if inspection.place.line in but_lines:
            continue
        if inspection.revision is None:
            left.undecided += 1
            continue
        try:
            yield told(inspection, history(queries, inspection))
        except TransientError:  # one record; where the store is away, the next page says so
            left.unreadable.append(inspection.inspection_id)


def history(queries: Queries, inspection: Inspection) -> Sequence[Revision]:
    """All revisions of a decided inspection, without asking for what stands with it already. Raises TransientError."""
    assert inspection.revision is not None
    if inspection.revision.number == 1:
        return (inspection.revision,)
    return queries.revisions(inspection.inspection_id) or (inspection.revision,)

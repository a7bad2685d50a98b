"""A reviewed inspection as labels to train with: what a person called a defect, as boxes; why some of them are no labels."""

from dataclasses import dataclass
from typing import Final

from linegate.answers import Disposition
from linegate.exports.told import Finding, Told
from linegate.inspection import Inspection, Result, Verdict
from linegate.search import short
from linegate.shapes import Outline
from linegate.texts import printable

# What was a defect when the picture was taken
DEFECTS: Final = frozenset({Disposition.TRUE_DEFECT, Disposition.REPAIRED})
# By how many pixels an outline may reach beyond its box and still be that of the same defect
BEYOND: Final = 1.0


@dataclass(frozen=True, slots=True)
class Label:
    """A defect: its box inside the upright picture, in pixels from the upper left corner, and its outline where it is known."""

    class_name: str
    left: float
    top: float
    width: float
    height: float
    outline: Outline = ()


@dataclass(frozen=True, slots=True)
class Labelled:
    """A picture with its labels, none of them for a good product; `file` is its name in the dataset."""

    file: str
    width: int
    height: int
    labels: tuple[Label, ...] = ()


def contradicted(inspection: Inspection) -> str:
    """Why a machine's later word keeps it from being a label; "" if none does."""
    return "the gate called a defect only after a person had passed it" if inspection.contradicted else ""


def unusable(told: Told) -> str:
    """Why nobody should train with it, for a person; "" if it can be used. An unlabelled defect would teach to pass it."""
    if not told.revision.decided_by.is_person:
        return "no person has answered it"
    if why := contradicted(told.inspection):
        return why
    if told.revision.decision.verdict not in (Verdict.PASS, Verdict.FAIL):
        return "nobody said whether it is good"
    for finding in told.findings:
        if finding.missed and finding.box is None:
            return "a defect was missed and nobody drew where"
        unsaid = finding.disposition is None and finding.check is not None and finding.check.result is not Result.PASS
        if unsaid:
            return "nobody said what a finding is that the gate did not clear"
    return ""


def labels(told: Told, width: int, height: int) -> tuple[Label, ...]:
    """Of true defects, repaired ones and missed ones. Raises ValueError for a box without area inside the picture."""
    return tuple(
        _label(finding, width, height) for finding in told.findings if finding.missed or finding.disposition in DEFECTS
    )


def _label(finding: Finding, width: int, height: int) -> Label:
    assert finding.box is not None
    corners = finding.box.corners
    left, right = (round(min(max(edge, 0.0), float(width)), 2) for edge in (corners[0], corners[2]))
    top, bottom = (round(min(max(edge, 0.0), float(height)), 2) for edge in (corners[1], corners[3]))
    if not (right > left and bottom > top):
        raise ValueError("a defect's box has no area inside the picture")
    outline = finding.detection.outline if finding.detection else ()
    inside = len(outline) > 2 and all(
        left - BEYOND <= x <= right + BEYOND and top - BEYOND <= y <= bottom + BEYOND for x, y in outline
    )
    name = printable(short(finding.class_name).strip()) or "defect"
    return Label(name, left, top, round(right - left, 2), round(bottom - top, 2), outline if inside else ())

"""Verdicts and dispositions as CSV (RFC 4180): a line for each finding, and one for each product without any."""

import csv
import io
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Final

from linegate.answers import MACHINE
from linegate.cells import harmless
from linegate.exports.told import Finding, Told

COLUMNS: Final = (
    "inspection_id",
    "line",
    "station",
    "serial",
    "recipe",
    "received_at",
    "decided_at",
    "revision",
    "verdict",
    "machine_verdict",
    "complete",
    "decided_by",
    "comment",
    "finding",
    "class",
    "confidence",
    "x",
    "y",
    "width",
    "height",
    "result",
    "reason",
    "disposition",
    "contradicted",
)
MISSED: Final = "missed"


def csv_lines(rows: Iterable[Told]) -> Iterator[str]:
    """The heading, then each product with its findings; times are in UTC, boxes in pixels of the upright picture."""
    yield _line(COLUMNS)
    for told in rows:
        findings = list(told.findings)
        product = _product(told)
        for cells in map(_finding, findings) if findings else [("",) * (len(COLUMNS) - len(product))]:
            yield _line((*product, *cells))


def _product(told: Told) -> tuple[str, ...]:
    inspection, revision = told.inspection, told.revision
    place, review = inspection.place, revision.review
    return (
        inspection.inspection_id,
        *map(harmless, (place.line, place.station, place.serial, inspection.recipe)),
        _time(inspection.received_at),
        _time(revision.decided_at),
        str(revision.number),
        revision.decision.verdict.value,
        told.machine.value,
        "yes" if revision.decision.complete else "no",
        harmless(revision.decided_by.name or MACHINE),
        harmless(review.comment if review else ""),
    )


def _finding(finding: Finding) -> tuple[str, ...]:
    box, check, disposition = finding.box, finding.check, finding.disposition
    return (
        "" if finding.missed else str(finding.number),
        harmless(finding.class_name),
        f"{finding.detection.confidence:.4f}" if finding.detection else "",
        *([f"{value:.1f}" for value in (box.x, box.y, box.width, box.height)] if box else [""] * 4),
        check.result.value if check else "",
        harmless(check.reason) if check else "",
        MISSED if finding.missed else disposition.value if disposition else "",
        "yes" if finding.contradicted else "no",
    )


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds")


def _line(cells: Iterable[str]) -> str:
    buffer = io.StringIO()
    csv.writer(buffer).writerow(cells)
    return buffer.getvalue()

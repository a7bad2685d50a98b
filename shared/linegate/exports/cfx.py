"""Verdicts and dispositions as messages `UnitsInspected` of IPC-CFX (IPC-2591), as its SDK reads them.

An array of envelopes, one for each inspection. Names and values are those of the classes CFX.CFXEnvelope,
CFX.Production.TestAndInspection.UnitsInspected and CFX.Structures of IPC's SDK.
"""

import json
import math
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID, uuid5

from linegate import __version__
from linegate.answers import Disposition
from linegate.exports.told import Finding, Told
from linegate.inspection import Check, Inspection, Measure, Result, Revision, Verdict
from linegate.shapes import Box
from linegate.texts import printable

VERSION: Final = "2.1"
MESSAGE: Final = "CFX.Production.TestAndInspection.UnitsInspected"
LONGEST: Final = 2000
# CFX knows no review: what a person must look at failed, and is not verified yet.
RESULTS: Final = {
    Verdict.PASS: "Passed",
    Verdict.FAIL: "Failed",
    Verdict.REVIEW: "Failed",
    Verdict.ERROR: "Error",
}
NOT_YET, CONFIRMED, CLOSED = "NotVerifiedYet", "DefectConfirmed", "DefectClosed"
CONTRADICTED: Final = "contradicted: the gate called it a defect only after a person had passed the product"
VERIFICATIONS: Final = {
    Disposition.TRUE_DEFECT: CONFIRMED,
    Disposition.FALSE_CALL: "DefectRejected",
    Disposition.ACCEPTED: "DefectAccepted",
    Disposition.REPAIRED: "DefectRepaired",
}
_CHECKED: Final = {Result.PASS: "Passed", Result.FAIL: "Failed", Result.UNSURE: "Failed"}
# The address of a revision's annotated picture; None where none can be told
Address = Callable[[Inspection, Revision], str | None]


def nowhere(inspection: Inspection, revision: Revision) -> None:
    """No address of any picture is known."""


def cfx_pieces(rows: Iterable[Told], address: Address = nowhere) -> Iterator[str]:
    """The pieces of a JSON array, an envelope to a line. What breaks off has no end, and is no JSON."""
    yield "["
    for number, told in enumerate(rows):
        text = json.dumps(envelope(told, address), ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        yield ("," if number else "") + "\n" + text
    yield "\n]\n"


def envelope(told: Told, address: Address = nowhere) -> dict[str, Any]:
    """The message of one inspection. Its UniqueID is the same whenever this revision is told: receivers drop repeats by it."""
    inspection, revision = told.inspection, told.revision
    place, transaction = inspection.place, UUID(hex=inspection.inspection_id)
    return {
        "MessageName": MESSAGE,
        "Version": VERSION,
        "TimeStamp": _time(revision.decided_at),
        "UniqueID": str(uuid5(transaction, f"revision {revision.number}")),
        "Source": ".".join(["Linegate", *(_text(part, 200) for part in (place.line, place.station) if part)]),
        "Target": None,
        "RequestID": None,
        "MessageBody": {
            "$type": f"{MESSAGE}, CFX",
            "TransactionId": str(transaction),
            "InspectionMethod": "AOI",
            "SamplingInformation": {"SamplingMethod": "NoSampling", "LotSize": None, "SampleSize": None},
            "Inspector": _inspector(told),
            "RecipeName": _text(inspection.recipe, 200),
            "RecipeRevision": (inspection.manifest.setup if inspection.manifest else "") or None,
            "InspectedUnits": [_unit(told, address)],
        },
    }


def verification(told: Told) -> str | None:
    """What a person made of the whole product; None where there is nothing to verify.

    Where their words on its findings differ, or there was no finding to speak of, it is DefectClosed: nothing is open.
    """
    verdict, review = told.revision.decision.verdict, told.revision.review
    if review is None:
        return None if verdict is Verdict.PASS else NOT_YET
    if verdict is Verdict.FAIL:
        return CONFIRMED
    words = {VERIFICATIONS[disposition] for disposition in told.rulings.values()}
    return words.pop() if len(words) == 1 else CLOSED


def _inspector(told: Told) -> dict[str, Any]:
    name = told.revision.decided_by.name
    return {
        "OperatorIdentifier": _text(name, 200) if name else f"linegate {__version__}",
        "ActorType": "Human" if name else "RemoteSystem",
        "LastName": None,
        "FirstName": None,
        "LoginName": None,
    }


def _unit(told: Told, address: Address) -> dict[str, Any]:
    inspection, revision = told.inspection, told.revision
    result, verified = RESULTS[revision.decision.verdict], verification(told)
    return {
        "UnitIdentifier": _text(inspection.place.serial, 200) or inspection.inspection_id,
        "UnitPositionNumber": 1,
        "OverallResult": result,
        "ActiveRecipeName": _text(inspection.recipe, 200),
        "ActiveRecipeRevision": None,
        "Inspections": [_inspection(told, result, verified, address)],
        **({"Verification": verified} if verified else {}),
    }


def _inspection(told: Told, result: str, verified: str | None, address: Address) -> dict[str, Any]:
    inspection, revision = told.inspection, told.revision
    decision, review = revision.decision, revision.review
    url = address(inspection, revision)
    images = (
        [{"MimeType": "image/jpeg", "TransferMode": "OutOfBand", "ImageData": None, "ImageURL": url}] if url else []
    )
    # What verification cleared is no defect that was found; where it was measured, its measure counts.
    found = [finding for finding in told.findings if not finding.cleared]
    measured = [finding for finding in told.findings if finding.cleared]
    return {
        "UniqueIdentifier": inspection.inspection_id,
        "InspectionName": _text(inspection.recipe, 200),
        "InspectionStartTime": _time(inspection.received_at),
        "InspectionEndTime": _time(revision.decided_at),
        "TestProcedure": None,
        "Comments": _text(review.comment if review else decision.summary) or None,
        "Result": result,
        **({"Verification": verified} if verified else {}),
        "VerificationDetail": (_text(decision.summary) or None) if review else None,
        "Error": _text("; ".join(decision.reasons)) if decision.verdict is Verdict.ERROR else None,
        "DefectsFound": [
            _defect(inspection.inspection_id, order, finding, images) for order, finding in enumerate(found, start=1)
        ],
        "Symptoms": [],
        "Measurements": _measurements(inspection.inspection_id, measured),
    }


def _defect(identity: str, order: int, finding: Finding, images: list[dict[str, Any]]) -> dict[str, Any]:
    detection, disposition = finding.detection, finding.disposition
    said = ["missed by the machine"] if finding.missed else [disposition.words] if disposition else []
    said += [CONTRADICTED] if finding.contradicted else []
    return {
        "UniqueIdentifier": f"{identity}.{'missed.' * finding.missed}{finding.number}",
        "DefectCode": _text(finding.class_name, 200),
        "DefectCategory": None,
        "Description": _text(finding.check.reason) if finding.check else None,
        "Comments": _text(detection.note) if detection and detection.note else None,
        "ComponentOfInterest": None,
        "RegionOfInterest": _region(finding.box) if finding.box else None,
        "DefectImages": images,
        "Priority": order,
        "ConfidenceLevel": _level(detection.confidence) if detection else None,
        "RelatedMeasurements": _measurements(identity, [finding]),
        "RelatedSymptoms": [],
        "Verification": CONFIRMED if finding.missed else VERIFICATIONS[disposition] if disposition else NOT_YET,
        "VerificationDetail": "; ".join(said) or None,
    }


def _region(box: Box) -> dict[str, Any] | None:
    """A box as the polygon of its corners, which ends where it starts, in pixels of the upright picture."""
    left, top, right, bottom = (round(value, 1) for value in box.corners)
    if not math.isfinite(left + top + right + bottom):
        return None
    corners = ((right, top), (right, bottom), (left, bottom), (left, top))
    return {"StartPointX": left, "StartPointY": top, "RegionSegments": [{"X": x, "Y": y} for x, y in corners]}


def _level(confidence: float) -> float:
    """Of 0 … 1 as CFX has it: 1 … 100."""
    return round(min(max(100 * confidence, 1.0), 100.0), 2)


def _measurements(identity: str, findings: Iterable[Finding]) -> list[dict[str, Any]]:
    return [
        _measurement(f"{identity}.{finding.number}.measure", finding.detection.measure, finding.check)
        for finding in findings
        if finding.detection and finding.detection.measure and math.isfinite(finding.detection.measure.value)
    ]


def _measurement(identity: str, measure: Measure, check: Check | None) -> dict[str, Any]:
    unit = measure.unit or None
    return {
        "$type": "CFX.Structures.NumericMeasurement, CFX",
        "UniqueIdentifier": identity,
        "MeasurementName": _text(measure.name, 200),
        "TimeRecorded": None,
        "Sequence": 0,
        "Result": _CHECKED[check.result if check else Result.UNSURE],
        "Components": [],
        "MeasuredValue": {
            "Value": measure.value,
            "ValueUnits": unit,
            "ExpectedValue": None,
            "ExpectedValueUnits": None,
            "MinimumAcceptableValue": measure.low,
            "MinimumAcceptableValueUnits": unit if measure.low is not None else None,
            "MaximumAcceptableValue": measure.high,
            "MaximumAcceptableValueUnits": unit if measure.high is not None else None,
        },
    }


def _text(text: str, limit: int = LONGEST) -> str:
    return printable(" ".join(text.split()), limit)


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()

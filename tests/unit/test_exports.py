"""What a manufacturing execution system is handed: CSV that no spreadsheet calculates, messages as IPC's SDK has them."""

import csv
import io
import json
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from linegate.adapters.local.database import DATABASE, Database
from linegate.answers import Disposition, Missed
from linegate.commands.main import main
from linegate.exports.cfx import cfx_pieces, envelope
from linegate.exports.labels import unusable
from linegate.exports.table import COLUMNS, csv_lines
from linegate.exports.told import LeftOut, Told, all_told, told
from linegate.inspection import Detection, Manifest, Measure, Revision
from linegate.search import Wanted
from linegate.shapes import Box
from tests.fakes import MemoryInspections, MemoryQueries, detection
from tests.reviewed import Gate, inspected, judged, ruled

TRUE, FALSE, ACCEPTED, REPAIRED = Disposition
HOSTILE = '=HYPERLINK("http://x")'


def of(*classes: str, doubts: tuple[str, ...] = ()) -> Manifest:
    return Manifest.of((detection(name) for name in classes), width=64, height=64, doubts=doubts)


def case(
    manifest: Manifest | None, results: str, *answers: dict[int, Disposition], missed: tuple[Missed, ...] = ()
) -> Told:
    """An inspection whose findings were judged so, and which persons answered so, one after the other."""
    revisions = [judged(manifest, results)]
    for number, rulings in enumerate(answers):
        said = missed if number == len(answers) - 1 else ()
        revisions.append(ruled(manifest, revisions[-1], rulings, *said))
    return told(inspected(1, "B1", manifest=manifest), revisions)


def table(*rows: Told) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO("".join(csv_lines(rows)), newline="")))


def test_each_finding_has_a_line_with_what_the_gate_and_a_person_said() -> None:
    one = case(
        of("short", "spur"), "FU", {0: FALSE, 1: TRUE}, missed=(Missed("crack", Box(9.5, 9, 4, 4)), Missed("dent"))
    )
    rows = table(one)
    assert [(row["finding"], row["class"], row["result"], row["disposition"]) for row in rows] == [
        ("0", "short", "FAIL", "false_call"),
        ("1", "spur", "UNSURE", "true_defect"),
        ("", "crack", "", "missed"),
        ("", "dent", "", "missed"),
    ]
    assert {(row["verdict"], row["revision"], row["decided_by"]) for row in rows} == {("FAIL", "2", "Ada")}
    assert (rows[2]["x"], rows[2]["width"], rows[3]["x"]) == ("9.5", "4.0", "")
    (clean,) = table(case(of(), ""))
    assert (clean["verdict"], clean["finding"], clean["decided_by"]) == ("PASS", "", "machine")


def test_a_later_word_stands_in_the_place_of_an_earlier_one() -> None:
    (row,) = table(case(of("short"), "F", {0: TRUE}, {0: FALSE}))
    assert (row["disposition"], row["verdict"], row["revision"]) == ("false_call", "PASS", "3")
    assert row["machine_verdict"] == "FAIL"


@pytest.mark.parametrize("text", [HOSTILE, "+1", "-1+1", "@SUM(A1)", "\t=1", "\r\n=1", " =1", "\uff1d1"])
def test_no_cell_is_a_formula(text: str) -> None:
    manifest = of(text)
    one = replace(inspected(1, text, text, manifest), recipe=text)
    revisions: list[Revision] = [judged(manifest, "F")]
    revisions.append(ruled(manifest, revisions[0], {0: TRUE}, comment=text))
    (row,) = table(told(one, revisions))
    assert not [cell for cell in row.values() if cell.strip().startswith(("=", "+", "-", "@", "\t", "\r", "\uff1d"))]
    assert row["class"].startswith("'")
    assert row["reason"] == "'=so"


def test_a_text_can_not_leave_its_cell() -> None:
    one = replace(inspected(1, 'a",b\nc\u202e', manifest=of()))
    text = "".join(csv_lines([told(one, [judged(of(), "")])]))
    assert text.count("\r\n") == 2
    (row,) = csv.DictReader(io.StringIO(text, newline=""))
    assert list(row) == list(COLUMNS)
    assert row["serial"] == 'a",b c?'


# The members of IPC's classes, as its SDK has them
ENVELOPE = {"MessageName", "Version", "TimeStamp", "UniqueID", "Source", "Target", "RequestID", "MessageBody"}
UNITS_INSPECTED = {
    "$type",
    "TransactionId",
    "InspectionMethod",
    "SamplingInformation",
    "Inspector",
    "RecipeName",
    "RecipeRevision",
    "InspectedUnits",
}
UNIT = {
    "UnitIdentifier",
    "UnitPositionNumber",
    "OverallResult",
    "ActiveRecipeName",
    "ActiveRecipeRevision",
    "Inspections",
    "Verification",
}
INSPECTION = {
    "UniqueIdentifier",
    "InspectionName",
    "InspectionStartTime",
    "InspectionEndTime",
    "TestProcedure",
    "Comments",
    "Result",
    "Verification",
    "VerificationDetail",
    "Error",
    "DefectsFound",
    "Symptoms",
    "Measurements",
}
DEFECT = {
    "UniqueIdentifier",
    "DefectCode",
    "DefectCategory",
    "Description",
    "Comments",
    "ComponentOfInterest",
    "RegionOfInterest",
    "DefectImages",
    "Priority",
    "ConfidenceLevel",
    "RelatedMeasurements",
    "RelatedSymptoms",
    "Verification",
    "VerificationDetail",
}
OPERATOR = {"OperatorIdentifier", "ActorType", "LastName", "FirstName", "LoginName"}
MEASUREMENT = {
    "$type",
    "UniqueIdentifier",
    "MeasurementName",
    "TimeRecorded",
    "Sequence",
    "Result",
    "Components",
    "MeasuredValue",
}


def test_a_message_has_the_members_that_the_sdk_reads() -> None:
    measured = Detection("fill", 1.0, Box(5, 5, 2, 2), measure=Measure("fill level", 41.2, "mm", 40, 42))
    manifest = Manifest.of([detection("short"), measured], width=64, height=64)
    one = case(manifest, "FP", {0: REPAIRED})
    message = json.loads("".join(cfx_pieces([one], lambda _, revision: f"https://x/{revision.annotated}")))[0]
    inside = message["MessageBody"]
    (unit,) = inside["InspectedUnits"]
    (inspection,) = unit["Inspections"]
    (defect,) = inspection["DefectsFound"]
    (measurement,) = inspection["Measurements"]
    given = (message, inside, unit, inspection, defect, inside["Inspector"], measurement)
    for each, known in zip(
        given, (ENVELOPE, UNITS_INSPECTED, UNIT, INSPECTION, DEFECT, OPERATOR, MEASUREMENT), strict=True
    ):
        assert each.keys() == known
    assert message["MessageName"] == "CFX.Production.TestAndInspection.UnitsInspected"
    assert inside["$type"].startswith(message["MessageName"])
    assert next(iter(inside)) == next(iter(measurement)) == "$type", "where the SDK wants it"
    assert UUID(inside["TransactionId"]).hex == one.inspection.inspection_id
    assert inside["Inspector"]["ActorType"] == "Human"
    assert defect["RegionOfInterest"] == {
        "StartPointX": 16.0,
        "StartPointY": 16.0,
        "RegionSegments": [{"X": x, "Y": y} for x, y in ((24.0, 16.0), (24.0, 24.0), (16.0, 24.0), (16.0, 16.0))],
    }
    assert defect["ConfidenceLevel"] == 90
    assert defect["DefectImages"][0]["ImageURL"] == "https://x/results/x/r2.jpg"
    assert measurement["MeasuredValue"]["Value"] == 41.2


@pytest.mark.parametrize(
    ("one", "overall", "verification", "defects"),
    [
        (case(of(), ""), "Passed", None, []),
        (case(of("short"), "P"), "Passed", None, []),
        (case(of("short"), "F"), "Failed", "NotVerifiedYet", ["NotVerifiedYet"]),
        (case(of("short"), "U"), "Failed", "NotVerifiedYet", ["NotVerifiedYet"]),
        (case(of(doubts=("blurred",)), ""), "Failed", "NotVerifiedYet", []),
        (case(None, ""), "Error", "NotVerifiedYet", []),
        (case(of("short"), "F", {0: TRUE}), "Failed", "DefectConfirmed", ["DefectConfirmed"]),
        (case(of("short"), "F", {0: FALSE}), "Passed", "DefectRejected", ["DefectRejected"]),
        (case(of("short"), "F", {0: ACCEPTED}), "Passed", "DefectAccepted", ["DefectAccepted"]),
        (case(of("short"), "F", {0: REPAIRED}), "Passed", "DefectRepaired", ["DefectRepaired"]),
        (
            case(of("a", "b"), "FF", {0: FALSE, 1: REPAIRED}),
            "Passed",
            "DefectClosed",
            ["DefectRejected", "DefectRepaired"],
        ),
        (case(of(doubts=("blurred",)), "", {}), "Passed", "DefectClosed", []),
        (case(of("a", "b"), "FU", {0: TRUE}), "Failed", "DefectConfirmed", ["DefectConfirmed", "NotVerifiedYet"]),
        (case(of(), "", {}, missed=(Missed("crack"),)), "Failed", "DefectConfirmed", ["DefectConfirmed"]),
    ],
)
def test_what_people_decide_has_the_words_of_cfx(
    one: Told, overall: str, verification: str | None, defects: list[str]
) -> None:
    unit = envelope(one)["MessageBody"]["InspectedUnits"][0]
    (inspection,) = unit["Inspections"]
    assert (unit["OverallResult"], inspection["Result"]) == (overall, overall)
    assert (unit.get("Verification"), inspection.get("Verification")) == (verification, verification)
    assert [defect["Verification"] for defect in inspection["DefectsFound"]] == defects


def test_what_contradicts_a_person_is_told() -> None:
    one = case(of("short"), "U", {0: FALSE})
    late = replace(one, inspection=replace(one.inspection, revision=one.revision, late_fails=(0,)))
    assert [row["contradicted"] for row in (*table(one), *table(late))] == ["no", "yes"]
    (defect,) = envelope(late)["MessageBody"]["InspectedUnits"][0]["Inspections"][0]["DefectsFound"]
    assert defect["Verification"] == "DefectRejected"
    assert "contradicted" in defect["VerificationDetail"]
    assert "only after a person had passed it" in unusable(late), "nobody trains with it"


def test_a_revision_has_one_id_for_ever_and_the_next_one_another() -> None:
    first, second = case(of("short"), "F"), case(of("short"), "F", {0: TRUE})
    assert envelope(first)["UniqueID"] == envelope(first)["UniqueID"] != envelope(second)["UniqueID"]
    assert envelope(first)["MessageBody"]["TransactionId"] == envelope(second)["MessageBody"]["TransactionId"]


def test_no_inspections_are_an_empty_list() -> None:
    assert json.loads("".join(cfx_pieces([]))) == []


def test_pages_stream_the_oldest_first_and_challenges_are_no_products() -> None:
    memory = MemoryInspections()
    for number in range(450):
        one = inspected(number, f"B{number}", "l:challenge" if number % 9 == 0 else "l", of())
        memory.open(one)
        if number % 10:
            assert memory.commit(replace(one, revision=judged(of(), "")), judged(of(), ""), [])
    left = LeftOut()
    rows = list(all_told(MemoryQueries(memory), Wanted(oldest_first=True), left, {"l:challenge"}))
    numbers = [int(row.inspection.inspection_id, 16) for row in rows]
    assert numbers == [number for number in range(450) if number % 10 and number % 9]
    assert left.undecided == sum(number % 9 != 0 for number in range(0, 450, 10))
    challenged = all_told(MemoryQueries(memory), Wanted(line="l:challenge", oldest_first=True), left, {"l:challenge"})
    assert next(challenged).inspection.place.line == "l:challenge"


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(tmp_path)


def test_the_command_writes_both_formats_and_leaves_no_half_of_one(
    gate: Gate, capsys: pytest.CaptureFixture[str]
) -> None:
    gate.add(1, b"x", (64, 64), [detection("short")], "F", {0: FALSE})
    gate.add(2, b"y", (64, 64))
    file, config = gate.folder / "out.csv", ["--config", str(gate.config)]
    assert main(["export", str(file), *config]) == 0
    assert [row["serial"] for row in csv.DictReader(file.read_text().splitlines())] == ["B1", "B2"]
    assert "2 inspections" in capsys.readouterr().err
    assert main(["export", "-", "--format", "cfx", "--until", "2026-03-01T12:01:30+00:00", *config]) == 0
    assert len(json.loads(capsys.readouterr().out)) == 1
    assert main(["export", "-", "--line", "other", *config]) == 0
    assert main(["export", str(file), "--since", "yesterday", *config]) == 64
    assert main(["export", str(gate.folder), *config]) == 64
    assert [path.name for path in gate.folder.iterdir() if path.name.startswith(".")] == []
    assert main(["export", "-", "--cloud", *config]) == 64


def test_what_can_not_be_read_is_told_and_hides_nothing_else(gate: Gate, capsys: pytest.CaptureFixture[str]) -> None:
    broken = gate.add(1, b"x", (64, 64))
    gate.add(2, b"y", (64, 64))
    with closing(Database(gate.data / DATABASE)) as database:
        database.write(
            lambda connection: connection.execute(
                "UPDATE inspections SET document = 'x' WHERE id = ?", (broken.inspection_id,)
            )
        )
    assert main(["export", "-", "--config", str(gate.config)]) == 70
    told = capsys.readouterr()
    assert "B2" in told.out
    assert broken.inspection_id in told.err

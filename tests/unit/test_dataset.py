"""What people decided comes back as labelled pictures: readable by this house's own evaluation, each sent to Roboflow once."""

import io
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from PIL import Image

from linegate.adapters.exchange import ServiceError
from linegate.adapters.roboflow.dataset import RoboflowProject
from linegate.answers import Disposition, Missed
from linegate.commands.dataset.folder import alone
from linegate.commands.main import main
from linegate.evaluation.datasets import read
from linegate.inspection import Detection
from linegate.shapes import Box
from tests.boards import clean_board, defective_board, encoded
from tests.fakes import detection
from tests.reviewed import Gate
from tests.standins import roboflow_project
from tests.standins.roboflow_project import KEY, Project
from tests.standins.service import (
    Fault,
    Reply,
    Request,
    Service,
    always,
    close,
    hang,
    reset,
    status,
    trickle,
    trickle_head,
    truncated,
)

TRUE, FALSE, ACCEPTED, REPAIRED = Disposition
SIZE = (192, 192)
CRACK = Missed("crack", Box(100, 60, 20, 10))


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    return Gate(tmp_path)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "dataset"


def export(gate: Gate, folder: Path, *more: str) -> int:
    return main(["dataset", "export", str(folder), "--config", str(gate.config), *more])


def exported(gate: Gate, folder: Path, capsys: pytest.CaptureFixture[str]) -> dict[str, object]:
    capsys.readouterr()
    assert export(gate, folder, "--json") == 0
    return dict(json.loads(capsys.readouterr().out))


def truths(folder: Path, layout: str) -> dict[str, list[tuple[str, tuple[float, ...]]]]:
    """The labels of each picture, by the serial that its name begins with, as the evaluation reads them; nothing is at fault."""
    dataset = read(folder, layout)
    assert [str(fault) for fault in dataset.faults if fault.kind != "same picture twice"] == []
    return {
        sample.name.partition("/")[2].partition("-")[0]: [
            (truth.class_name, tuple(round(value, 2) for value in truth.box.corners)) for truth in sample.truths
        ]
        for sample in dataset.samples
    }


def test_boxes_are_those_that_a_person_stands_by(gate: Gate, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    board = clean_board()
    four = [detection("short", 20), detection("spur", 60), detection("dust", 100), detection("dent", 140)]
    gate.add(1, board, SIZE, four, "FFUF", {0: TRUE, 1: FALSE, 2: ACCEPTED, 3: REPAIRED}, CRACK)
    gate.add(2, board, SIZE, [detection("short")], "F", {0: FALSE})
    gate.add(3, board, SIZE, [detection("short")], "P", {}, CRACK)  # the machine cleared its one finding
    gate.add(4, board, SIZE, [detection("short")], "F")  # nobody answered it
    gate.add(5, board, SIZE)
    assert exported(gate, folder, capsys)["new"] == 3
    expected = {
        "B1": [
            ("short", (16.0, 16.0, 24.0, 24.0)),
            ("dent", (136.0, 16.0, 144.0, 24.0)),
            ("crack", (90.0, 55.0, 110.0, 65.0)),
        ],
        "B2": [],
        "B3": [("crack", (90.0, 55.0, 110.0, 65.0))],
    }
    assert truths(folder, "coco") == expected
    assert truths(folder, "yolo") == expected
    assert {file.read_bytes() for file in (folder / "images").iterdir()} == {board}, (
        "byte by byte as the camera sent it"
    )


@pytest.mark.parametrize(
    ("results", "rulings", "missed", "why"),
    [
        ("FU", {0: TRUE}, (), "nobody said what a finding is"),
        ("F", {0: FALSE}, (Missed("crack"),), "nobody drew where"),
        ("F", {0: FALSE}, (Missed("crack", Box(-50, -50, 8, 8)),), "no area inside the picture"),
    ],
)
def test_what_would_teach_to_pass_a_defect_is_left_out(
    gate: Gate,
    folder: Path,
    results: str,
    rulings: dict[int, Disposition],
    missed: tuple[Missed, ...],
    why: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    gate.add(1, clean_board(), SIZE, [detection()] * len(results), results, rulings, *missed)
    told = exported(gate, folder, capsys)
    assert told["pictures"] == 0
    assert why in next(iter(told["left_out"]))  # type: ignore[call-overload]


def test_a_picture_that_lies_is_turned_and_loses_nothing(gate: Gate, folder: Path) -> None:
    lying = Image.new("RGB", (96, 64), (20, 90, 50))
    lying.paste((250, 200, 10), (0, 0, 24, 16))
    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn to the right
    found = [Detection("spot", 0.9, Box(56, 12, 16, 24))]
    gate.add(
        1, encoded(lying, "JPEG", quality=95, subsampling=0, exif=exif), (64, 96), found, "F", {0: TRUE}, serial="J"
    )
    gate.add(2, encoded(lying, "BMP"), (96, 64), serial="B", rulings={})
    assert export(gate, folder) == 0
    turned, bitmap = sorted((folder / "images").glob("J-*")), sorted((folder / "images").glob("B-*"))
    assert [path.suffix for path in (*turned, *bitmap)] == [".png", ".png"]
    with Image.open(turned[0]) as picture:
        assert picture.size == (64, 96)
        red, _, blue = picture.getpixel((56, 12))  # type: ignore[misc]
        assert red > 200 > 90 > blue
    with Image.open(bitmap[0]) as picture:
        assert picture.convert("RGB").tobytes() == lying.tobytes()
    assert truths(folder, "coco")["J"] == [("spot", (48.0, 0.0, 64.0, 24.0))]


def test_a_repetition_adds_what_is_new_and_corrects_what_was_answered_again(
    gate: Gate, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = gate.add(1, clean_board(1), SIZE, [detection("short")], "F", {0: TRUE})
    second = gate.add(2, clean_board(2), SIZE, [detection("short")], "F", {0: TRUE})
    assert exported(gate, folder, capsys)["new"] == 2
    before = {file.name: file.stat().st_mtime_ns for file in (folder / "images").iterdir()}
    told = exported(gate, folder, capsys)
    assert (told["new"], told["unchanged"]) == (0, 2)
    gate.answer(first, {0: FALSE}, CRACK)
    gate.add(3, clean_board(3), SIZE, [detection("spur")], "F", {0: TRUE})
    told = exported(gate, folder, capsys)
    assert (told["new"], told["corrected"], told["unchanged"]) == (1, 1, 1)
    assert told["classes"] == ["short", "crack", "spur"], "a class keeps its number"
    gate.answer(second, {0: FALSE}, Missed("crack"))
    told = exported(gate, folder, capsys)
    assert list(told["withdrawn"].values()) == [["l/aoi/B2"]]  # type: ignore[attr-defined]
    assert exported(gate, folder, capsys)["unchanged"] == 3
    assert truths(folder, "yolo") == truths(folder, "coco")
    assert {name: boxes[0][0] for name, boxes in truths(folder, "coco").items()} == {"B1": "crack", "B3": "spur"}
    after = {file.name: file.stat().st_mtime_ns for file in (folder / "images").iterdir()}
    assert {name: after[name] for name in after.keys() & before.keys()}.items() <= before.items()


def test_a_picture_that_is_gone_is_told_and_so_is_one_that_changed_since(
    gate: Gate, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gate.add(1, clean_board(1), SIZE, [detection()], "F", {0: TRUE})
    gate.add(2, clean_board(2), SIZE, [detection()], "F", {0: TRUE})
    (gate.data / "uploads/l/aoi/1.png").unlink()
    (gate.data / "uploads/l/aoi/2.png").write_bytes(clean_board(3))
    assert export(gate, folder) == 0
    assert "2 left out: its picture is gone (l/aoi/B1, l/aoi/B2)" in capsys.readouterr().out


def test_names_lead_nowhere_else(gate: Gate, folder: Path) -> None:
    gate.add(1, clean_board(), SIZE, rulings={}, serial="../../../etc/pass wd\u202e.png")
    gate.add(2, clean_board(), SIZE, rulings={}, serial="..")
    assert export(gate, folder) == 0
    names = sorted(file.name.rpartition("-")[0] for file in (folder / "images").iterdir())
    assert names == ["etc_pass_wd_png", "product"]


def test_what_a_crash_left_half_is_done_again(gate: Gate, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gate.add(1, clean_board(1), SIZE, [detection()], "F", {0: TRUE})
    gate.add(2, clean_board(2), SIZE, [detection("spur")], "F", {0: TRUE})
    assert export(gate, folder) == 0
    memory = folder / "pictures.jsonl"
    whole = memory.read_bytes()
    for length in (len(whole) - 1, whole.index(b"\n") + 40, 17):
        memory.write_bytes(whole[:length])
        (folder / "instances.json").unlink()
        next((folder / "labels").iterdir()).unlink()
        assert exported(gate, folder, capsys)["pictures"] == 2
        assert truths(folder, "coco") == truths(folder, "yolo")
        assert len(truths(folder, "coco")) == 2
        assert len(list((folder / "images").iterdir())) == 2


def test_a_picture_that_somebody_took_out_stays_out(
    gate: Gate, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = gate.add(1, clean_board(1), SIZE, [detection()], "F", {0: TRUE})
    gate.add(2, clean_board(2), SIZE, [detection()], "F", {0: TRUE})
    assert export(gate, folder) == 0
    next((folder / "images").glob("B1-*")).unlink()
    gate.answer(one, {0: FALSE})
    assert exported(gate, folder, capsys)["pictures"] == 1
    assert list(truths(folder, "coco")) == ["B2"]
    assert list(truths(folder, "yolo")) == ["B2"]


# --- to Roboflow


@pytest.fixture
def dataset(gate: Gate, folder: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    gate.add(1, clean_board(1), SIZE, [detection("short")], "F", {0: TRUE})
    gate.add(2, clean_board(2), SIZE, [detection("short")], "F", {0: FALSE})
    assert export(gate, folder) == 0
    capsys.readouterr()
    return folder


def push(gate: Gate, folder: Path, service: Service, *more: str) -> int:
    project = ["--project", roboflow_project.PROJECT, "--api-url", service.url, "--config", str(gate.config)]
    return main(["dataset", "push", str(folder), *project, *more])


def kinds(service: Service) -> list[str]:
    return [request.path.split("?")[0].split("/")[3] for request in service.requests]


def test_each_picture_is_sent_once_with_its_labels(
    gate: Gate, dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = Project()
    with Service(project) as service:
        assert push(gate, dataset, service, "--batch", "line l & more", "--split", "valid") == 0
        assert "2 new, 0 corrected, 0 were there already" in capsys.readouterr().out
        assert project.boxes("B1") == [("short", [16, 16, 8, 8])]
        assert project.boxes("B2") == []
        assert {(held.batch, held.split) for held in project.pictures.values()} == {("line l & more", "valid")}
        assert {held.data for held in project.pictures.values()} == {clean_board(1), clean_board(2)}
        asked = len(service.requests)
        assert push(gate, dataset, service) == 0
        assert len(service.requests) == asked, "nothing is sent twice"


def test_a_later_word_replaces_what_was_sent(gate: Gate, folder: Path) -> None:
    one = gate.add(1, clean_board(1), SIZE, [detection("short")], "F", {0: TRUE})
    assert export(gate, folder) == 0
    project = Project()
    with Service(project) as service:
        assert push(gate, folder, service) == 0
        gate.answer(one, {0: FALSE}, CRACK)
        gate.add(2, clean_board(2), SIZE, [detection("a first class")], "F", {0: TRUE})
        assert export(gate, folder) == 0
        assert push(gate, folder, service) == 0
        assert project.boxes("B1") == [("crack", [90, 55, 20, 10])]
        assert kinds(service) == ["upload", "annotate", "annotate", "upload", "annotate"]


@pytest.mark.slow
@pytest.mark.parametrize("nth", [1, 2, 3, 4])
def test_nothing_is_there_twice_whenever_it_is_killed(gate: Gate, dataset: Path, nth: int) -> None:
    project, pushing = Project(), list[subprocess.Popen[bytes]]()

    def kill(request: Request) -> Fault | None:
        """The service does what it was asked, and nobody hears of it."""
        if request.number == nth:
            pushing[0].kill()
            return close
        return None

    with Service(project, faults=kill) as service:
        options = ["--project", roboflow_project.PROJECT, "--api-url", service.url, "--config", str(gate.config)]
        code = "from linegate.commands.main import main; raise SystemExit(main())"
        with subprocess.Popen([sys.executable, "-c", code, "dataset", "push", str(dataset), *options]) as process:
            pushing.append(process)
            assert process.wait(60) == -signal.SIGKILL
        assert push(gate, dataset, service) == 0
    assert len(project.pictures) == 2
    assert project.boxes("B1") == [("short", [16, 16, 8, 8])]
    assert project.boxes("B2") == []


def test_labels_of_somebody_else_stay(gate: Gate, dataset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = Project()
    with Service(project) as service:
        assert push(gate, dataset, service) == 0
        for held in project.pictures.values():
            held.labels = {"by": "a colleague"}
        (dataset / "pushed.jsonl").unlink()
        assert push(gate, dataset, service) == 0
    assert "2 had labels in the project already, which stay" in capsys.readouterr().out
    assert {str(held.labels) for held in project.pictures.values()} == {"{'by': 'a colleague'}"}


def test_what_was_withdrawn_here_and_is_still_there_is_told(
    gate: Gate, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    one = gate.add(1, clean_board(1), SIZE, [detection("short")], "F", {0: TRUE})
    assert export(gate, folder) == 0
    with Service(Project()) as service:
        assert push(gate, folder, service) == 0
        gate.answer(one, {0: FALSE}, Missed("crack"))
        assert export(gate, folder) == 0
        assert push(gate, folder, service) == 0
    assert "1 withdrawn here, and still in the project" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("fault", "code", "said"),
    [
        (status(401), 70, "check roboflow.api_key"),
        (status(404), 70, "check --project"),
        (status(302, location="http://elsewhere/"), 70, "check --api-url"),
        (status(400, {"error": "an error as text"}), 1, "an error as text"),
        (status(413), 1, "413"),
    ],
)
def test_refusals_say_what_to_do_and_hold_no_key(
    gate: Gate, dataset: Path, fault: Fault, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with Service(Project(), faults=always(fault)) as service:
        assert push(gate, dataset, service) == code
    told = capsys.readouterr()
    assert said in told.out + told.err
    assert KEY not in told.out + told.err


@pytest.mark.parametrize("content", [b"<html>", b"[]", b"null", b'{"hello": "world"}', b'{"success": true}', b"\xff"])
def test_an_answer_that_is_none_is_no_success(gate: Gate, dataset: Path, content: bytes) -> None:
    with Service(lambda _: Reply(200, content)) as service:
        assert push(gate, dataset, service) == 70
        assert len(service.requests) == 1
    assert not (dataset / "pushed.jsonl").exists()


@pytest.mark.slow
@pytest.mark.parametrize("fault", [hang, trickle_head, trickle, reset, truncated, status(503)])
def test_a_service_that_gives_no_answer_is_left_in_time(dataset: Path, fault: Fault) -> None:
    with Service(Project(), faults=always(fault)) as service:
        project = RoboflowProject(service.url, KEY, "plant", roboflow_project.PROJECT, attempt_s=0.2, budget_s=0.4)
        begun = time.monotonic()
        with pytest.raises(ServiceError, match="Roboflow project plant/pcb-defects"):
            project.upload(next((dataset / "images").iterdir()), "batch", "train")
        with pytest.raises(ServiceError):
            project.annotate("id", "x.coco.json", "{}", "batch", overwrite=False)
        assert time.monotonic() - begun < 5


def test_what_is_no_dataset_or_names_no_project_is_wrong_usage(
    gate: Gate, dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Service(Project()) as service:
        assert push(gate, tmp_path / "nothing", service) == 64
        assert push(gate, dataset, service, "--project", "a/../b?c") == 64
        assert push(gate, dataset, service, "--api-url", "ftp://x") == 64
        gate.config.write_text(gate.config.read_text().replace("api_key", "send_side").replace("rf-stand-in", "512"))
        assert push(gate, dataset, service) == 64
        assert "roboflow.api_key" in capsys.readouterr().err
        assert service.requests == []


def test_two_do_not_write_into_one_dataset_at_a_time(gate: Gate, dataset: Path) -> None:
    with alone(dataset):
        assert export(gate, dataset) == 64


def test_a_tiff_is_read_back(gate: Gate, folder: Path) -> None:
    buffer = io.BytesIO()
    Image.new("L", (64, 64), 90).save(buffer, "TIFF")
    gate.add(1, buffer.getvalue(), (64, 64), rulings={})
    assert export(gate, folder) == 0
    assert truths(folder, "coco") == {"B1": []}


@pytest.mark.slow
def test_the_evaluation_takes_what_people_decided(gate: Gate, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (gate.folder / "golden.png").write_bytes(clean_board())
    open_circuit = Detection("open_circuit", 0.9, Box(56, 92, 10, 8))
    gate.add(1, defective_board(), SIZE, [open_circuit], "F", {0: TRUE})
    gate.add(2, clean_board(5), SIZE, [detection()], "F", {0: FALSE})
    assert export(gate, folder) == 0
    for layout in ("coco", "yolo"):
        report = gate.folder / "report.json"
        asked = ["--format", layout, "--config", str(gate.config), "--json", str(report)]
        assert main(["evaluate", str(folder), *asked]) == 0
        boards = json.loads(report.read_text())["boards"]
        assert (boards["total"], boards["bad"], boards["good"], boards["escapes"]) == (2, 1, 1, 0)

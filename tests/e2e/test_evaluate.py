"""`linegate evaluate`: labelled pictures through the whole gate, and what is told of it."""

import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import structlog
import yaml
from PIL import Image, ImageDraw

from linegate.commands.main import main
from linegate.samples import Design, golden_board, jpeg, sample
from tests.boards import clean_board, draw, encoded
from tests.standins import gemini, roboflow
from tests.standins.service import Service

BOARD = golden_board(11)
TYPES = {"open_circuit": 1, "short": 2, "mouse_bite": 3, "spur": 4, "spurious_copper": 5, "pin_hole": 6}


@pytest.fixture(autouse=True)
def logs() -> Iterator[None]:
    yield
    structlog.reset_defaults()  # the command sets up the logs of its own process, which is this one here


def pair(folder: Path, name: str, defect: str | None, *, labelled: bool) -> None:
    """A drawn board in DeepPCB's layout. Labelled against the truth, it is what an escape or a false call looks like."""
    drawn = sample(BOARD, np.random.default_rng(len(name)), (defect,) if defect else ())
    (folder / f"{name}_test.jpg").write_bytes(jpeg(drawn.picture))
    (folder / f"{name}_temp.jpg").write_bytes(jpeg(BOARD.picture, 97))
    lines = ""
    if labelled and drawn.truth:
        left, top, right, bottom = (round(edge) for edge in drawn.truth[0][1].corners)
        # As people label: a little wider than the defect.
        lines = f"{left - 8} {top - 8} {right + 8} {bottom + 8} {TYPES[drawn.truth[0][0]]}\n"
    elif labelled:
        lines = "300 300 330 330 2\n"
    (folder / f"{name}.txt").write_text(lines)


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    folder = tmp_path / "boards"
    folder.mkdir()
    pair(folder, "found", "short", labelled=True)
    pair(folder, "found-too", "open_circuit", labelled=True)
    pair(folder, "clean", None, labelled=False)
    pair(folder, "escape", None, labelled=True)
    pair(folder, "false-call", "spur", labelled=False)
    (folder / "found.txt").write_text((folder / "found.txt").read_text() + "1 2 3\n")
    return folder


def test_the_report_tells_escapes_and_false_calls_and_shows_them(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = tmp_path / "report.json", tmp_path / "report.html"
    arguments = ["evaluate", str(dataset), "--format", "deeppcb", "--iou", "0.33", "--recall", "0.6"]
    assert main([*arguments, "--json", str(files[0]), "--html", str(files[1])]) == 0
    told = capsys.readouterr()
    report = json.loads(files[0].read_text())

    boards = report["boards"]
    assert {key: boards[key] for key in ("total", "bad", "good", "escapes", "false_calls", "review")} == {
        "total": 5,
        "bad": 3,
        "good": 2,
        "escapes": 1,
        "false_calls": 1,
        "review": 0,
    }
    overall = report["overall"]
    assert (overall["precision"], overall["recall"], overall["support"]) == (
        pytest.approx(2 / 3),
        pytest.approx(2 / 3),
        3,
    )
    assert report["per_class"]["open_circuit"]["ap50"] is not None
    assert report["localisation"]["recall"] == pytest.approx(2 / 3)
    assert report["before_verification"]["boards"]["total"] == 5
    assert report["confusion"]["short"] == {"open_circuit": 0, "short": 1, "spur": 0, "(none)": 1}
    assert report["coverage"]["known"] == 5
    assert 0.98 <= report["coverage"]["least"] <= report["coverage"]["p50"] <= 1
    assert report["coverage"]["below"] == []
    assert all(0.98 <= board["coverage"]["part"] <= 1 for board in report["boards_list"])
    (only,) = report["detectors"]
    assert (only["detector"], only["answered"]) == ("golden", 5)
    assert (only["true_alone"], only["false_alone"], only["true_together"]) == (2, 1, 0)
    assert report["latency_ms"]["board"]["p50"] > 0
    assert report["cost"]["crops_per_board"] == pytest.approx(3 / 5)
    (fault,) = report["dataset"]["faults"]
    assert (Path(fault["file"]).name, fault["line"], report["dataset"]["bad_labels"]) == ("found.txt", 2, 1)

    assert "1 escapes, 1 false calls" in told.out
    assert re.search(r"coverage: least \d+\.\d %, p5 .* %, p50 .* %; 0 boards of 5 below 98.0 %", told.out)
    assert "by it alone" not in told.out, "there is one detector only"
    assert re.search(r"for a recall of 0.6 or more, paste into the recipe:  confidence: 0\.\d+", told.out)
    # (1 - p)³ + 3p(1 - p)² is 0.05 at p = 0.8647
    assert "escapes at the recipe's own confidences: 1 of 3 bad boards, at most 87 % with 95 % certainty" in told.out
    assert "found.txt:2: 3 values" in told.err

    page = files[1].read_text()
    assert "How much of the pictures could be judged" in page
    assert "What each detector brings" not in page
    for title, name in (("Escapes", "escape"), ("False calls", "false-call")):
        part = page.split(f"<h2>{title}: 1</h2>")[1].split("<h2>")[0]
        assert f"<b>{name}</b>" in part
        assert part.count("data:image/jpeg;base64,") == 1
    assert not re.search(r'(src|href)="(?!data:)', page), "it needs nothing but itself"


def test_the_report_prints_with_its_pictures_and_curves(dataset: Path, tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        pytest.skip("no Chromium on the PATH; install it (Debian: apt-get install chromium) to see the report printed")
    page, printed = tmp_path / "report.html", tmp_path / "report.pdf"
    assert main(["evaluate", str(dataset), "--format", "deeppcb", "--iou", "0.33", "--html", str(page)]) == 0
    quiet = ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-sync"]
    where = [f"--user-data-dir={tmp_path / 'profile'}", f"--print-to-pdf={printed}", page.as_uri()]
    subprocess.run(
        [browser, "--headless", "--no-sandbox", "--disable-component-update", *quiet, *where],
        capture_output=True,
        timeout=90,
        check=True,
    )
    pdf = printed.read_bytes()
    assert pdf.startswith(b"%PDF")
    # Two boards and four places in the gallery; a picture shown twice is kept once.
    assert pdf.count(b"/Subtype /Image") >= 4


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere", "--format", "deeppcb"], "there is no dataset"),
        (["{boards}", "--format", "voc"], "holds no labelled picture in voc format"),
        (["{boards}", "--format", "deeppcb", "--detector", "roboflow"], "needs --config FILE"),
        (["{boards}", "--format", "deeppcb", "--verifier", "gemini"], "needs --config FILE"),
        (["{boards}", "--format", "deeppcb", "--golden", "nowhere.png"], "there is no golden picture"),
        (["{boards}", "--format", "deeppcb", "--json", "{boards}/no/where.json"], "there is no folder"),
        (["{boards}", "--format", "deeppcb", "--iou", "2"], "from 0 to 1"),
        (["{boards}", "--format", "deeppcb", "--set", "gemini.model"], "must be KEY=VALUE"),
        (["{boards}", "--format", "deeppcb", "--set", "gemini.model=m"], "--set needs --config FILE"),
    ],
)
def test_what_can_not_be_evaluated_is_said_before_any_board(
    dataset: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    try:
        code = main(["evaluate", *(part.replace("{boards}", str(dataset)) for part in arguments)])
    except SystemExit as stopped:
        code = int(stopped.code or 0)
    assert code == 64
    assert words in capsys.readouterr().err


def marked(name: str | None) -> Image.Image:
    picture = draw()
    if name:
        ImageDraw.Draw(picture).rectangle((60, 70, 90, 100), roboflow.MARKS[name])
    return picture


def test_with_services_one_sees_what_verification_buys_and_costs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = list(roboflow.MARKS)
    (tmp_path / "data.yaml").write_text(yaml.safe_dump({"names": names}))
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    for board, mark, label in (("bad", "short", "short"), ("marked", "spur", None), ("clean", None, None)):
        (tmp_path / "images" / f"{board}.png").write_bytes(encoded(marked(mark)))
        box = f"{names.index(label)} {75 / 192} {85 / 192} {31 / 192} {31 / 192}\n" if label else ""
        (tmp_path / "labels" / f"{board}.txt").write_text(box)
    (tmp_path / "golden.png").write_bytes(clean_board())
    model = gemini.Model(judge=gemini.by_class({"spur": "PASS"}))
    with Service(roboflow.Workflows()) as detector, Service(model) as verifier:
        configuration: dict[str, Any] = {
            "roboflow": {"api_url": detector.url, "workspace": roboflow.WORKSPACE, "api_key": roboflow.KEY},
            "gemini": {"api_url": verifier.url, "api_key": gemini.KEY, "model": gemini.MODEL},
            "recipes": {
                "pcb": {
                    "detector": "roboflow",
                    "verifier": "gemini",
                    "workflow": {"id": roboflow.WORKFLOW},
                    "classes": {"short": {"minimum_confidence": 0.5}},
                }
            },
            "lines": {"smt-1": {"recipe": "pcb"}},
        }
        (tmp_path / "linegate.yaml").write_text(yaml.safe_dump(configuration))
        file = tmp_path / "report.json"
        arguments = ["evaluate", str(tmp_path), "--format", "yolo", "--config", str(tmp_path / "linegate.yaml")]
        assert main([*arguments, "--json", str(file)]) == 0
        asked = len(verifier.requests)
        changed = tmp_path / "changed.json"
        changes = ["gemini.service_tier=flex", "recipes.pcb.golden=golden.png", "recipes.pcb.pictures=composed"]
        assert main([*arguments, *(f"--set={change}" for change in changes), "--json", str(changed)]) == 0
    report = json.loads(file.read_text())
    before, after = report["before_verification"], report
    assert (before["overall"]["precision"], before["boards"]["false_calls"]) == (0.5, 1)
    assert (after["overall"]["precision"], after["boards"]["false_calls"], after["boards"]["escapes"]) == (1.0, 0, 0)
    assert report["gate"]["verifier_model"] == [gemini.MODEL]
    assert report["cost"]["tokens"] > 0
    assert report["cost"]["per_thousand_boards"]["Gemini"] > 0
    # Each check costs money: none was spent below the recipe's own confidence.
    assert asked == 2
    # The same gate with what the command line changes, to compare with: cheaper, and shown one picture.
    other = json.loads(changed.read_text())
    assert other["configuration"]["changes"] == changes
    body = verifier.requests[-1].json()
    assert body["serviceTier"] == "flex"
    assert len(gemini.pictures(body)) == 1
    assert 0 < other["cost"]["per_thousand_boards"]["Gemini"] < report["cost"]["per_thousand_boards"]["Gemini"]
    assert "gemini.service_tier=flex, recipes.pcb.golden=golden.png" in capsys.readouterr().out


def test_outlines_are_judged_by_mask_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    boards = tmp_path / "boards"
    for folder in ("good", "short"):
        (boards / folder).mkdir(parents=True)
    (boards / "good/clean.png").write_bytes(encoded(marked(None)))
    (boards / "short/bad.png").write_bytes(encoded(marked("short")))
    truth = Image.new("L", marked(None).size)
    ImageDraw.Draw(truth).rectangle((60, 70, 90, 100), 255)
    truth.save(boards / "short/bad_mask.png")

    def find(picture: Image.Image) -> list[roboflow.Prediction]:
        """The marks, each with the half of it below its diagonal as its outline."""
        found = roboflow.find_marks(picture)
        for each in found:
            left, right = each["x"] - each["width"] / 2, each["x"] + each["width"] / 2
            top, bottom = each["y"] - each["height"] / 2, each["y"] + each["height"] / 2
            each["points"] = [{"x": x, "y": y} for x, y in ((left, top), (right, bottom), (left, bottom))]
        return found

    file, page = tmp_path / "report.json", tmp_path / "report.html"
    with Service(roboflow.Workflows(find)) as detector:
        recipe = {"detector": "roboflow", "verifier": "none", "workflow": {"id": roboflow.WORKFLOW}, "mm_per_px": 0.1}
        configuration = {
            "roboflow": {"api_url": detector.url, "workspace": roboflow.WORKSPACE, "api_key": roboflow.KEY},
            "recipes": {"pcb": recipe},
            "lines": {"smt-1": {"recipe": "pcb"}},
        }
        (tmp_path / "linegate.yaml").write_text(yaml.safe_dump(configuration))
        arguments = [
            "evaluate",
            str(boards),
            "--format",
            "masks",
            "--config",
            str(tmp_path / "linegate.yaml"),
            "--iou",
            "0.4",
        ]
        assert main([*arguments, "--json", str(file), "--html", str(page)]) == 0
    report = json.loads(file.read_text())
    assert report["overall"]["recall"] == 1.0
    masks = report["masks"]
    assert (masks["labelled"], masks["found"], masks["unit"], masks["overall"]["recall"]) == (1, 1, "mm²", 1.0)
    assert masks["overall"]["mean_box_iou"] > 0.9
    assert 0.45 < masks["overall"]["mean_iou"] < 0.55
    assert masks["overall"]["area"]["labelled"] == pytest.approx(9.61)
    assert masks["overall"]["area"]["error"] == pytest.approx(-4.8, abs=0.4)
    assert re.search(r"of 1 hit mean IoU 0\.[45]\d+, of their boxes [01]\.\d+", capsys.readouterr().out)
    assert "How well outlines fit" in page.read_text()


def yolo_board(folder: Path, name: str, defects: tuple[str, ...] = (), *, seed: int = 1, board: Design = BOARD) -> None:
    """A drawn board in YOLO's layout, labelled with the truth."""
    drawn = sample(board, np.random.default_rng(seed), defects)
    file = folder / "images" / f"{name}.jpg"
    labels = folder / "labels" / f"{name}.txt"
    for path in (file, labels):
        path.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(jpeg(drawn.picture))
    height, width = drawn.picture.shape[:2]
    lines = []
    for kind, box in drawn.truth:
        sides = (box.x / width, box.y / height, (box.width + 16) / width, (box.height + 16) / height)
        lines.append(f"{list(TYPES).index(kind)} {' '.join(f'{side:.5f}' for side in sides)}\n")
    labels.write_text("".join(lines))
    (folder / "data.yaml").write_text(yaml.safe_dump({"names": list(TYPES)}))


def evaluated(tmp_path: Path, folder: Path, *arguments: str) -> dict[str, Any]:
    file = tmp_path / "figures.json"
    assert main(["evaluate", str(folder), "--format", "yolo", "--json", str(file), *arguments]) == 0
    report: dict[str, Any] = json.loads(file.read_text())
    return report


def golden_file(path: Path, board: Design = BOARD) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(jpeg(board.picture, 97))
    return path


ODD = "Plätine {serial} a:b [1] " + "n" * 150


def test_a_golden_picture_by_line_station_and_serial_is_found_by_the_files_own_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # Two pictures of one name in two folders have golden pictures of their own; so has a name that is hard on everybody.
    for seed, (name, board) in enumerate(
        {"aoi-1/b1": BOARD, "aoi-2/b1": golden_board(12), f"aoi-2/{ODD}": BOARD}.items()
    ):
        yolo_board(tmp_path, name, seed=seed, board=board)
        golden_file(tmp_path / "golden" / "smt-1" / f"{name}.png", board)
    configuration = tmp_path / "linegate.yaml"
    recipe = {"golden": "golden/{line}/{station}/{serial}.png"}
    configuration.write_text(yaml.safe_dump({"recipes": {"pcb": recipe}, "lines": {"smt-1": {"recipe": "pcb"}}}))
    arguments = ["--config", str(configuration), "--station", "{folder}"]
    report = evaluated(tmp_path, tmp_path, *arguments)
    assert [board["verdict"] for board in report["boards_list"]] == ["PASS"] * 3
    assert report["golden"]["pictures"] == 3

    (tmp_path / "golden" / "smt-1" / "aoi-1" / "b1.png").unlink()
    report = evaluated(tmp_path, tmp_path, *arguments)
    assert report["boards"]["total"] == 2
    assert report["dataset"]["counts"] == {"no golden picture": 1}
    assert "1 picture (b1.jpg) without a golden picture" in capsys.readouterr().err

    for others, words in (
        ([], "say which with --station"),
        (["--station", "aoi-9"], "no picture has a golden picture to be compared with"),
        (["--station", "aoi-2", "--serial", "{folder}-{name}"], "see --line, --station, --serial"),
    ):
        assert main(["evaluate", str(tmp_path), "--format", "yolo", "--config", str(configuration), *others]) == 64
        assert words in capsys.readouterr().err


def test_why_boards_were_not_judged_is_counted_and_no_confidence_is_advised(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    yolo_board(tmp_path, "bad", ("short",))
    yolo_board(tmp_path, "good")
    yolo_board(tmp_path, "torn")
    for number in (1, 2):
        yolo_board(tmp_path, f"grey-{number}", seed=number)
        Image.new("RGB", (640, 640), (90 + number, 90, 90)).save(tmp_path / f"images/grey-{number}.jpg")
    torn = tmp_path / "images/torn.jpg"
    torn.write_bytes(torn.read_bytes()[:-2000])
    page = tmp_path / "report.html"
    report = evaluated(tmp_path, tmp_path, "--golden", str(golden_file(tmp_path / "golden.png")), "--html", str(page))
    told = capsys.readouterr().out
    assert (report["boards"]["review"], report["boards"]["error"]) == (2, 1)
    review, error = report["not_judged"]
    assert (review["verdict"], review["count"], review["boards"]) == ("REVIEW", 2, ["images/grey-1", "images/grey-2"])
    assert (error["verdict"], error["boards"]) == ("ERROR", ["images/torn"])
    for text in (told, page.read_text()):
        assert review["reason"][:40] in text
        assert error["reason"][:40] in text
        assert "grey-2" in text
        assert "3 of 5 boards were not judged" in text
        assert "paste into the recipe" not in text
    assert {board["name"]: board["verdict"] for board in report["boards_list"]}["images/torn"] == "ERROR"


def test_of_bad_boards_alone_no_confidence_and_no_false_calls_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for seed in (1, 2):
        yolo_board(tmp_path, f"bad-{seed}", ("short", "open_circuit"), seed=seed)
    page = tmp_path / "report.html"
    golden = str(golden_file(tmp_path / "golden.png"))
    report = evaluated(tmp_path, tmp_path, "--golden", golden, "--html", str(page), "--escape-rate", "0")
    told = capsys.readouterr().out
    assert "(2 bad, 0 good); 0 escapes, \N{EN DASH} false calls" in told
    assert report["promise"]["own"]["escapes"] == 0
    for text in (told, page.read_text()):
        assert "no number of boards shows that" in text
        assert "2 of 2 bad boards have several defects" in text
        assert "there is no good board" in text
        assert "paste into the recipe" not in text


def test_of_good_boards_alone_no_escapes_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for seed in (1, 2):
        yolo_board(tmp_path, f"good-{seed}", seed=seed)
    page = tmp_path / "report.html"
    report = evaluated(
        tmp_path,
        tmp_path,
        "--golden",
        str(golden_file(tmp_path / "golden.png")),
        "--html",
        str(page),
        "--parallel",
        "50",
    )
    told = capsys.readouterr().out
    assert report["boards"]["false_call_rate"] == 0
    assert "(0 bad, 2 good); \N{EN DASH} escapes, 0 false calls" in told
    for text in (told, page.read_text()):
        assert "no defect is labelled" in text
        assert "there is no bad board" in text


def test_a_report_says_when_and_with_what_it_was_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    yolo_board(tmp_path, "good")
    golden = golden_file(tmp_path / "golden.png")
    configuration = tmp_path / "linegate.yaml"
    configuration.write_text("recipes: {pcb: {golden: golden.png, confidence: 0.4}}\nlines: {smt-1: {recipe: pcb}}\n")
    page = tmp_path / "report.html"
    report = evaluated(tmp_path, tmp_path, "--config", str(configuration), "--html", str(page))
    digest, picture = (hashlib.sha256(file.read_bytes()).hexdigest() for file in (configuration, golden))
    assert report["configuration"]["sha256"] == digest
    assert report["configuration"]["recipe"] == {"golden": "golden.png", "confidence": 0.4}
    for text in (capsys.readouterr().out, page.read_text()):
        for part in (report["evaluated_at"], metadata.version("linegate"), digest[:12], picture[:12], "smt-1", "pcb"):
            assert part in text
        assert text.count("AP@50") == len(re.findall(r"AP@\d+", text)), "the overlap of 0.5 is told once"


def test_a_class_that_the_detector_can_not_name_and_one_that_was_taken_for_another_are_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    yolo_board(tmp_path, "bad", ("short",))
    (tmp_path / "data.yaml").write_text(yaml.safe_dump({"names": ["open_circuit", "Scratch"]}))
    page = tmp_path / "report.html"
    golden = str(golden_file(tmp_path / "golden.png"))
    report = evaluated(tmp_path, tmp_path, "--golden", golden, "--html", str(page), "--iou", "0.3")
    assert report["dataset"]["counts"]["unknown class"] == 1
    assert "class 'scratch' (1 labels)" in capsys.readouterr().err
    assert "scratch found as short" in page.read_text()


def test_a_lost_label_file_is_told_wherever_the_figures_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    yolo_board(tmp_path, "bad", ("short",))
    yolo_board(tmp_path, "good")
    (tmp_path / "labels/bad.txt").unlink()
    page, golden = tmp_path / "report.html", str(golden_file(tmp_path / "golden.png"))
    report = evaluated(tmp_path, tmp_path, "--golden", golden, "--html", str(page))
    assert (report["boards"]["total"], report["boards"]["false_calls"]) == (1, 0)
    words = "1 picture (bad.jpg) without labels, left out"
    assert report["dataset"]["counts"] == {"no labels": 1}
    assert words in capsys.readouterr().err
    assert words in page.read_text()
    trusted = evaluated(tmp_path, tmp_path, "--golden", golden, "--missing-labels-are-good", "--html", str(page))
    assert trusted["boards"]["false_calls"] == 1
    assert "taken as good boards" in capsys.readouterr().err
    assert "taken as good boards" in page.read_text()


def test_what_is_interrupted_tells_what_it_has(tmp_path: Path) -> None:
    yolo_board(tmp_path, "good-0")
    for number in range(1, 40):
        shutil.copyfile(tmp_path / "images/good-0.jpg", tmp_path / f"images/good-{number}.jpg")
        (tmp_path / f"labels/good-{number}.txt").touch()
    file, scratch = tmp_path / "figures.json", tmp_path / "scratch"
    scratch.mkdir()
    golden = golden_file(tmp_path / "golden.png")
    code = "import sys; from linegate.commands.main import main; sys.exit(main())"
    arguments = ["evaluate", str(tmp_path), "--format", "yolo", "--golden", str(golden), "--json", str(file)]
    with subprocess.Popen(
        [sys.executable, "-c", code, *arguments, "--parallel", "1"],
        env={**os.environ, "TMPDIR": str(scratch)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        while len(list(scratch.glob("linegate-scratch-*/results/*"))) < 2 and process.poll() is None:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    assert 0 < json.loads(file.read_text())["dataset"]["pictures"] < 40
    assert "stopped early" in out
    assert not list(scratch.iterdir()), "nothing stays behind"


def test_figures_are_written_through_a_link_and_into_a_pipe(tmp_path: Path) -> None:
    yolo_board(tmp_path, "good")
    golden = golden_file(tmp_path / "golden.png")
    end, start = os.pipe()
    kept, file, pipe = tmp_path / "kept.json", tmp_path / "link.json", tmp_path / "pipe.html"
    file.symlink_to(kept)
    pipe.symlink_to(f"/proc/self/fd/{start}")
    try:
        arguments = ["evaluate", str(tmp_path), "--format", "yolo", "--golden", str(golden)]
        assert main([*arguments, "--json", str(file), "--html", str(pipe)]) == 0
        os.close(start)
        with os.fdopen(end, encoding="utf-8") as read:
            assert read.read().endswith("</html>\n")
    finally:
        assert file.is_symlink()
        assert pipe.is_symlink()
    assert json.loads(kept.read_text())["boards"]["total"] == 1
    assert not list(tmp_path.glob(".linegate-*"))

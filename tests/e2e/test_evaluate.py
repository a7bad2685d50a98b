"""`linegate evaluate`: labelled pictures through the whole gate, and what is told of it."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import structlog
import yaml
from PIL import Image, ImageDraw

from linegate.edge.cli import main
from linegate.edge.samples import golden_board, jpeg, sample
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
    assert report["latency_ms"]["board"]["p50"] > 0
    assert report["cost"]["crops_per_board"] == pytest.approx(3 / 5)
    (fault,) = report["dataset"]["faults"]
    assert (Path(fault["file"]).name, fault["line"], report["dataset"]["bad_labels"]) == ("found.txt", 2, 1)

    assert "1 escapes, 1 false calls" in told.out
    assert re.search(r"for a recall of 0.6 or more, paste into the recipe:  confidence: 0\.\d+", told.out)
    assert "for an escape rate of 0 or less: no confidence reaches it on these pictures" in told.out
    assert "found.txt:2: 3 values" in told.err

    page = files[1].read_text()
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
        (["{boards}", "--format", "deeppcb", "--iou", "2"], "between 0 and 1"),
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


def test_with_services_one_sees_what_verification_buys_and_costs(tmp_path: Path) -> None:
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
    report = json.loads(file.read_text())
    before, after = report["before_verification"], report
    assert (before["overall"]["precision"], before["boards"]["false_calls"]) == (0.5, 1)
    assert (after["overall"]["precision"], after["boards"]["false_calls"], after["boards"]["escapes"]) == (1.0, 0, 0)
    assert report["gate"]["verifier_model"] == [gemini.MODEL]
    assert report["cost"]["tokens"] > 0
    assert report["cost"]["per_thousand_boards"]["Gemini"] > 0
    # Each check costs money: none was spent below the recipe's own confidence.
    assert len(verifier.requests) == 2

"""The `linegate` command as a person or a script uses it: what is printed, and the exit code."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import pytest

from linegate.adapters.local.bus import LocalBus
from linegate.adapters.local.database import Database
from linegate.ports import Message
from linegate.samples.products import PRODUCTS
from tests.boards import clean_board, defective_board, draw, encoded
from tests.e2e.line import Hmi, Line

Maker = Callable[..., Line]


def linegate(*arguments: str | Path, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    command = [
        sys.executable,
        "-c",
        "from linegate.commands.main import main; raise SystemExit(main())",
        *map(str, arguments),
    ]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, timeout=120, check=False)


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    for name, content in {
        "golden.png": clean_board(),
        "good.png": clean_board(noise=3),
        "bad.png": defective_board(),
        "other.png": encoded(draw().rotate(90).resize((192, 192))),
        "broken.png": clean_board()[:500],
    }.items():
        (tmp_path / name).write_bytes(content)
    return tmp_path


# --- inspect


@pytest.mark.parametrize(
    ("name", "verdict", "code"),
    [("good.png", "PASS", 0), ("bad.png", "FAIL", 1), ("other.png", "REVIEW", 2), ("broken.png", "ERROR", 3)],
)
def test_inspect_says_the_verdict_and_exits_with_it(pictures: Path, name: str, verdict: str, code: int) -> None:
    done = linegate("inspect", pictures / name, "--golden", pictures / "golden.png", "--json")
    assert done.returncode == code, done.stderr
    report = json.loads(done.stdout)
    assert report["verdict"] == verdict
    assert report["summary"]
    assert done.stderr == ""


def test_inspect_writes_the_annotated_picture_and_speaks_to_people(pictures: Path) -> None:
    out = pictures / "out.jpg"
    done = linegate("inspect", pictures / "bad.png", "--golden", pictures / "golden.png", "--annotated", out)
    assert done.returncode == 1
    assert done.stdout.startswith(f"FAIL  {pictures / 'bad.png'}\n  1 defect confirmed: open circuit at the left edge")
    assert out.read_bytes()[:2] == b"\xff\xd8"


def test_inspect_takes_the_recipe_of_a_line_and_notifies_nobody(make_line: Maker, hmi: Hmi, pictures: Path) -> None:
    line = make_line(clean_board())
    assert linegate("inspect", pictures / "bad.png", "--config", line.config, "--line", "smt-1").returncode == 1
    assert hmi.received == []
    assert not line.data.exists(), "the folder of the line is not touched"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ((), 64, "usage: linegate"),
        (("fly",), 64, "invalid choice: 'fly'"),
        (("demo", "--boards", "0"), 64, "must be a whole number from 1"),
        (("inspect",), 64, "the following arguments are required: IMAGE"),
        (("inspect", "none.png", "--golden", "golden.png"), 64, "there is no picture none.png"),
        (("inspect", "good.png"), 64, "--golden FILE, the picture of a good board, or --config FILE"),
        (("inspect", "good.png", "--golden", "none.png"), 64, "there is no golden picture none.png"),
        (("inspect", "good.png", "--config", "none.yaml"), 78, "linegate init` writes one"),
        (("inspect", "good.png", "--config", "bad.yaml"), 78, "lines: is required and missing"),
        (("inspect", "good.png", "--config", "good.yaml", "--line", "l9"), 78, "no line named 'l9'; there is l1"),
        (("edge", "--config", "none.yaml"), 78, "there is no such file"),
        (("status", "--config", "bad.yaml"), 78, "lines: is required and missing"),
        (("init", "good.yaml"), 64, "good.yaml exists and is left as it is"),
        (("demo", "--images", "nowhere"), 64, "there is no folder nowhere"),
        (("demo", "--images", ".", "--dir", "fresh"), 64, "put NAME_temp beside NAME_test, or give --golden FILE"),
        (("demo", "--dir", "."), 64, "is not an empty folder"),
    ],
)
def test_wrong_usage_and_wrong_configuration_are_never_a_verdict(
    pictures: Path, arguments: tuple[str, ...], code: int, said: str
) -> None:
    (pictures / "bad.yaml").write_text("recipes: {pcb: {golden: golden.png}}")
    (pictures / "good.yaml").write_text("recipes: {pcb: {golden: golden.png}}\nlines: {l1: {recipe: pcb}}")
    done = linegate(*arguments, cwd=pictures)
    assert (done.returncode, said in done.stderr) == (code, True), done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("data", "code", "said"),
    [("/proc/linegate", 78, "edge.data: the folder can't be made"), ("data", 78, "linegate.db")],
)
def test_what_can_not_be_opened_is_never_a_verdict(pictures: Path, data: str, code: int, said: str) -> None:
    (pictures / "linegate.yaml").write_text(
        f"recipes: {{pcb: {{golden: golden.png}}}}\nlines: {{l1: {{recipe: pcb}}}}\nedge: {{data: {data}}}"
    )
    (pictures / "data" / "linegate.db").mkdir(parents=True)  # a folder is no database
    for command in ("status", "replay", "edge"):
        done = linegate(command, cwd=pictures)
        assert (done.returncode, said in done.stderr) == (code, True), done.stderr
        assert "Traceback" not in done.stderr


# --- init, edge, status, replay


def test_from_init_to_a_running_line_and_its_status(tmp_path: Path) -> None:
    done = linegate("init", cwd=tmp_path)
    assert (tmp_path / "linegate.yaml").stat().st_mode & 0o077 == 0, "it holds a secret"
    assert done.returncode == 0
    assert "golden.png" in done.stdout
    (tmp_path / "golden.png").write_bytes(clean_board())
    uploads = tmp_path / "linegate-data" / "uploads" / "smt-1" / "aoi"
    uploads.mkdir(parents=True)
    (uploads / "A.png").write_bytes(defective_board())
    code = "from linegate.commands.main import main; raise SystemExit(main())"
    edge = subprocess.Popen([sys.executable, "-c", code, "edge"], cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    assert edge.stderr is not None
    try:
        said = {}
        for entry in map(json.loads, edge.stderr):
            said[entry["message"]] = entry
            if entry["message"] == "product.decided":
                break
        os.kill(edge.pid, signal.SIGTERM)
        rest = edge.stderr.read()
        assert edge.wait(20) == 0
    finally:
        edge.kill()
        edge.stderr.close()
    assert "runtime.stopped" in rest
    for event in ("upload.taken", "product.detected", "product.decided"):
        assert [said[event][key] for key in ("line", "station", "serial")] == ["smt-1", "aoi", "A"]
    status = json.loads(linegate("status", "--json", cwd=tmp_path).stdout)
    assert status["inspections"] == {"undecided": 0, "overdue": 0}
    assert status["dead_letters"] == status["undelivered"] == []


def test_status_tells_what_is_stuck_and_replay_puts_it_back(make_line: Maker) -> None:
    line = make_line(clean_board())
    with closing(Database(line.data / "linegate.db")) as database:
        bus = LocalBus(database)
        bus.publish("crops", [Message(b"{}", {"inspection_id": "f" * 32}), Message(b"{}", {})])
        bus.bury(bus.lease("crops", 1, 60, {}, 1)[0], "answered 500: boom")
    told = linegate("status", "--config", line.config)
    assert told.returncode == 0
    assert "answered 500: boom" in told.stdout
    assert "linegate replay" in told.stdout
    before = json.loads(linegate("status", "--config", line.config, "--json").stdout)
    assert before["stages"]["verify"] == {"waiting": 1, "in_work": 0, "retrying": 0}
    assert [(letter["topic"], letter["attempts"]) for letter in before["dead_letters"]] == [("crops", 1)]
    replayed = linegate("replay", "--config", line.config)
    assert replayed.stdout == "1 dead letter put back to work\n"
    after = json.loads(linegate("status", "--config", line.config, "--json").stdout)
    assert after["stages"]["verify"]["waiting"] == 2
    assert after["dead_letters"] == []
    assert linegate("replay", "--config", line.config).stdout == "0 dead letters put back to work\n"


# --- demo


def test_the_demo_shows_the_gate_at_work(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    done = linegate("demo", "--boards", "9", "--dir", folder, "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["boards"] == 11, "nine boards and two files that are none"
    assert report["verdicts"] == {"PASS": 3, "FAIL": 6, "REVIEW": 0, "ERROR": 2}
    assert (report["missing"], report["correct"], report["wrong"]) == (0, 11, 0)
    assert report["webhooks"] == {"received": 11, "bad_signatures": 0}
    assert report["boards_per_second"] > 0
    for measure in ("overhead_ms", "upload_to_alert_ms"):
        assert 0 < report[measure]["p50"] <= report[measure]["p95"]
    assert len(report["results"]) == 11
    for result in report["results"]:
        assert (result["annotated"] is None) == (result["verdict"] == "ERROR")
        assert result["annotated"] is None or Path(result["annotated"]).is_file()
    assert (folder / "linegate.log").read_text().count('"product.decided"') == 11


def test_the_demo_shows_its_pages_until_it_is_interrupted(tmp_path: Path) -> None:
    """At a free port, where the usual one is taken."""
    command = "from linegate.commands.main import main; raise SystemExit(main())"
    folder = tmp_path / "demo"
    with ExitStack() as stack:
        with suppress(OSError):  # whoever else has it serves as well
            stack.enter_context(socket.create_server(("127.0.0.1", 8080)))
        arguments = ["demo", "--boards", "2", "--dir", str(folder), "--json", "--serve"]
        demo = stack.enter_context(
            subprocess.Popen(
                [sys.executable, "-c", command, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
        )
        stack.callback(demo.kill)
        assert demo.stdout is not None
        assert demo.stderr is not None
        address = next(line for line in demo.stderr if "The station is at" in line).split()[4].rstrip(";")
        report = ""
        while not report.endswith("\n}\n"):
            report += demo.stdout.readline()
        assert json.loads(report)["missing"] == 0
        with urllib.request.urlopen(f"{address}/lines/smt-1", timeout=20) as page:
            assert b"board-" in page.read()
        demo.send_signal(signal.SIGINT)
        assert demo.wait(20) == 0
    assert (folder / "linegate.log").is_file(), "what was asked to be kept is kept"


@pytest.mark.parametrize("product", PRODUCTS)
def test_the_demo_of_a_product_gets_every_verdict_right(product: str, tmp_path: Path) -> None:
    done = linegate("demo", "--product", product, "--boards", "6", "--dir", tmp_path / "demo", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["verdicts"] == {"PASS": 2, "FAIL": 4, "REVIEW": 0, "ERROR": 2}
    assert (report["missing"], report["correct"], report["wrong"]) == (0, 8, 0)


def test_the_demo_inspects_the_pictures_of_a_folder(pictures: Path, tmp_path: Path) -> None:
    images = tmp_path / "images"
    images.mkdir()
    (images / "a_test.png").write_bytes(defective_board())
    (images / "a_temp.png").write_bytes(clean_board())
    (images / "a.txt").write_text("48 85 64 99 1\n")
    (images / "b_test.png").write_bytes(clean_board(noise=3))
    (images / "b_temp.png").write_bytes(clean_board())
    (images / "c.png").write_bytes(clean_board(noise=4))
    (images / "a.bmp").write_bytes(encoded(draw(noise=5), "BMP"))
    before = {path.name: path.read_bytes() for path in images.iterdir()}
    done = linegate("demo", "--images", images, "--golden", pictures / "golden.png", "--dir", tmp_path / "demo")
    assert done.returncode == 0, done.stderr
    assert "4 uploads, 4 verdicts: 3 PASS, 1 FAIL" in done.stdout
    assert "Against truth: 1 right, 0 wrong" in done.stdout
    assert {path.name: path.read_bytes() for path in images.iterdir()} == before, "the user's pictures are left alone"


# --- bench


def test_the_bench_tells_where_the_time_goes(tmp_path: Path) -> None:
    done = linegate("bench", "--boards", "2", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert list(report) == ["0", "1", "6"]
    for findings, summary in report.items():
        assert summary["boards"] == 2
        assert summary["floor_ms"] > 0
        assert summary["upload_to_alert_ms"] > summary["detector_ms"] > 0
        assert (summary["slowest_check_ms"] > 0) == (findings != "0")

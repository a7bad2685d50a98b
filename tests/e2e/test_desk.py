"""What a person at a desk asks a gate: how does it stand, what did it decide, why, and where is the picture."""

import json
import os
import pty
import re
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import structlog

from linegate import logs
from linegate.commands.main import main
from linegate.edge.machine import faults, look, worries
from linegate.settings import Settings
from tests.boards import clean_board, defective_board
from tests.e2e.line import Hmi, Line, running
from tests.waiting import until

Maker = Callable[..., Line]


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """The gate in this process logs nothing into what is read here."""
    logs.configure("CRITICAL")
    yield
    structlog.reset_defaults()


def said(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> str:
    capsys.readouterr()
    assert main([*map(str, arguments)]) == 0
    return capsys.readouterr().out


def test_list_and_show_tell_what_became_of_a_board(
    make_line: Maker, hmi: Hmi, capsys: pytest.CaptureFixture[str]
) -> None:
    line = make_line(clean_board())
    with running(line):
        for name, content in {"B6.png": defective_board(), "B7.png": clean_board(), "x.png": b"none"}.items():
            hmi.wait_for(line.upload(f"smt-1/aoi-1/{name}", content))
        told = json.loads(said(capsys, "list", "--config", line.config, "--json"))  # beside the running gate
    assert [(board["serial"], board["verdict"]) for board in told] == [("x", "ERROR"), ("B7", "PASS"), ("B6", "FAIL")]

    only = json.loads(said(capsys, "list", "--config", line.config, "--json", "--verdict", "fail", "--line", "smt-1"))
    assert [board["serial"] for board in only] == ["B6"]
    assert "open circuit at the left edge" in only[0]["reasons"][0]
    assert len(json.loads(said(capsys, "list", "--config", line.config, "--json", "--limit", "1"))) == 1
    assert json.loads(said(capsys, "list", "--config", line.config, "--json", "--line", "smt-9")) == []
    assert json.loads(said(capsys, "list", "--config", line.config, "--json", "--since", "2999-01-01")) == []
    assert len(json.loads(said(capsys, "list", "--config", line.config, "--json", "--since", "1h"))) == 3
    table = said(capsys, "list", "--config", line.config)
    assert "FAIL" in table
    assert "smt-1/aoi-1/B6" in table

    (board,) = json.loads(said(capsys, "show", "B6", "--config", line.config, "--json"))
    assert (board["verdict"], board["recipe"], len(board["findings"])) == ("FAIL", "pcb", 1)
    assert Path(board["picture"]).read_bytes() == defective_board()
    assert Path(board["revisions"][0]["annotated"]).is_file()
    assert [(entry["target"], entry["state"]) for entry in board["notifications"]] == [("hmi", "SENT")]
    by_id = said(capsys, "show", board["inspection_id"][:8], "--config", line.config)
    assert by_id.startswith("FAIL  smt-1/aoi-1/B6\n")
    for fact in (board["picture"], board["revisions"][0]["annotated"], "revision 1: FAIL", "hmi r1: SENT, 1 attempt"):
        assert fact in by_id
    (broken,) = json.loads(said(capsys, "show", "x", "--config", line.config, "--json"))
    assert Path(broken["quarantined"]).read_bytes() == b"none"
    assert "not drawn: no picture was inspected" in said(capsys, "show", "x", "--config", line.config)
    assert main(["show", "B8", "--config", str(line.config)]) == 64
    for since in ("yesterday", "999999d", "9" * 5000 + "s"):
        assert main(["list", "--since", since, "--config", str(line.config)]) == 64


def test_list_and_show_tell_what_keeps_a_board_from_its_verdict(
    make_line: Maker, capsys: pytest.CaptureFixture[str]
) -> None:
    line = make_line(clean_board())
    (line.config.parent / "golden.png").unlink()
    with running(line):
        line.upload("smt-1/aoi-1/B9.png", clean_board())
        until(lambda: "can't be read" in said(capsys, "list", "--config", line.config, "--json"))
    shown = said(capsys, "show", "B9", "--config", line.config)
    assert "undecided" in shown
    assert "\n  fault: the golden picture " in shown
    assert "golden picture" in said(capsys, "list", "--config", line.config)


@pytest.mark.parametrize("verbose", [False, True])
def test_a_terminal_is_told_one_line_a_board(make_line: Maker, hmi: Hmi, *, verbose: bool) -> None:
    line = make_line(clean_board())
    ours, theirs = pty.openpty()
    arguments = ["edge", "--config", str(line.config), *["--verbose"] * verbose]
    gate = subprocess.Popen(
        [sys.executable, "-c", "from linegate.commands.main import main; raise SystemExit(main())", *arguments],
        stderr=theirs,
        env=os.environ | {"NO_COLOR": "1"},
    )
    os.close(theirs)
    try:
        for name, content in {"B6.png": defective_board(), "B7.png": clean_board(), "x.png": b"none"}.items():
            hmi.wait_for(line.upload(f"smt-1/aoi-1/{name}", content))
        gate.terminate()
        lines = told(ours).splitlines()
        assert gate.wait(20) == 0
    finally:
        gate.kill()
        os.close(ours)
    boards = [text for text in lines if "smt-1/aoi-1/" in text]
    if verbose:
        assert any("message.done" in text for text in lines)
        return
    besides = [
        text for text in lines if text not in boards and "station." not in text
    ]  # where its pages are, once they are
    assert len(besides) == 3, "only start, signal and stop"
    starts = ("FAIL   smt-1/aoi-1/B6 1 defect: open circuit", "PASS   smt-1/aoi-1/B7", "ERROR  smt-1/aoi-1/x the file")
    for text, start in zip(boards, starts, strict=True):
        assert text.partition(" ")[2].strip().startswith(start)


def told(terminal: int) -> str:
    """All that is written to a terminal, until nobody has it open any more."""
    heard = b""
    with suppress(OSError):
        while data := os.read(terminal, 65536):
            heard += data
    return re.sub(r"\x1b\[[0-9;]*m", "", heard.decode())


def test_list_makes_nothing_where_nothing_ran(make_line: Maker, capsys: pytest.CaptureFixture[str]) -> None:
    line = make_line(clean_board())
    assert main(["list", "--config", str(line.config)]) == 64
    assert "nothing was inspected here yet" in capsys.readouterr().err
    assert not line.data.exists()


def test_status_says_first_whether_the_gate_runs_and_what_waits(
    make_line: Maker, hmi: Hmi, capsys: pytest.CaptureFixture[str]
) -> None:
    line = make_line(clean_board())
    with running(line):
        first_upload = line.upload("smt-1/aoi-1/A.png", clean_board())
        hmi.wait_for(first_upload)
        state = json.loads(said(capsys, "status", "--config", line.config, "--json"))
        assert (state["worries"], state["runtime"]["process"], state["runtime"]["running"]) == ([], os.getpid(), True)
        assert said(capsys, "status", "--config", line.config).startswith("Gate: running for ")
        end = time.monotonic() + 20
        while (line.data / first_upload).exists():  # archived a moment after its verdict
            assert time.monotonic() < end
            time.sleep(0.02)
    name = line.upload("smt-1/aoi-1/B.png", clean_board())
    old = time.time() - 7200
    os.utime(line.data / name, (old, old))
    first, second, *_ = said(capsys, "status", "--config", line.config).splitlines()
    assert first == "The gate is NOT RUNNING: no board is inspected."
    assert second == "A picture has been lying in uploads/ for 2.0 h."
    state = json.loads(said(capsys, "status", "--config", line.config, "--json"))
    assert (state["runtime"]["running"], state["uploads"]["waiting"]) == (False, 1)


def test_what_keeps_boards_waiting_is_said_first(make_line: Maker, capsys: pytest.CaptureFixture[str]) -> None:
    line = make_line(clean_board())
    (line.folder / "golden.png").unlink()
    with running(line) as runtime:
        line.upload("smt-1/aoi-1/A.png", clean_board())
        until(lambda: faults(runtime.app.context.inspections) != [])
        first, *_ = said(capsys, "status", "--config", line.config).splitlines()
    assert first.startswith("Boards WAIT, and will go to REVIEW at their deadline: the golden picture")


def test_a_full_disk_and_a_wrong_clock_are_said(make_line: Maker) -> None:
    settings: Settings = make_line(clean_board()).settings
    state = look(settings) | {"disk": {"free_bytes": 5 << 20, "free_part": 0.001}}
    told = worries(state, newest_record=state["at"] + 40 * 86_400)
    assert [worry.split()[0:2] for worry in told] == [["The", "gate"], ["The", "disk"], ["The", "CLOCK"]]
    assert "5 MiB (0.1%) free" in told[1]
    assert "40 days" in told[2]


def test_a_disk_is_as_full_for_doctor_as_for_status(
    make_line: Maker, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    line = make_line(clean_board())
    usage = shutil.disk_usage(line.folder)._replace(total=1 << 40, free=1 << 33)  # 8 GiB, less than a hundredth
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage)
    assert main(["doctor", "--config", str(line.config), "--json"]) == 1
    findings = {found["part"]: found for found in json.loads(capsys.readouterr().out)}
    assert findings["configuration"]["said"].endswith("1 recipe, 1 line, 1 target")
    assert not findings["edge.data"]["sound"]
    assert "The disk is nearly FULL" in said(capsys, "status", "--config", line.config)


def test_doctor_leaves_nothing_behind_where_nothing_can_be_written(make_line: Maker) -> None:
    line = make_line(clean_board())

    def nothing_may_grow() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))

    code = "from linegate.commands.main import main; raise SystemExit(main())"
    done = subprocess.run(
        [sys.executable, "-c", code, "doctor", "--config", line.config],
        capture_output=True,
        text=True,
        preexec_fn=nothing_may_grow,
        timeout=60,
        check=False,
    )
    assert "can't be written: File too large" in done.stdout
    assert "raise this user's limit" in done.stdout
    assert "the rest was not tried" in done.stdout
    assert (done.returncode, done.stderr) == (1, "")
    assert [path.name for path in line.data.iterdir() if "doctor" in path.name or path.name.startswith("tmp")] == []

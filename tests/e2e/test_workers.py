"""Worker processes: one that hangs, dies or wants too much memory costs an attempt, not the gate."""

import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from PIL import Image
from structlog.testing import capture_logs

from linegate.adapters.local.database import Database
from linegate.bootstrap import local
from linegate.commands.status import collect
from linegate.config import load
from linegate.edge.functions import Response
from linegate.edge.workers import WorkerPool
from linegate.events import push_body, to_message
from linegate.inspection import ObjectRef
from linegate.messages import ImageUploaded, SweepDue
from tests.boards import clean_board, defective_board
from tests.e2e.line import Hmi, Line, running
from tests.standins import roboflow
from tests.standins.service import Service, always, hang

Maker = Callable[..., Line]


def body(event: Any) -> dict[str, Any]:
    return push_body(to_message(event), message_id="1", publish_time="", subscription="s", attempt=1)


@contextmanager
def pool(line: Line) -> Iterator[WorkerPool]:
    workers = WorkerPool(line.settings, ("detect", "sweep"))
    workers.start()
    try:
        yield workers
    finally:
        workers.stop(5)


def children() -> set[int]:
    """Worker processes: the grandchildren of this process, below the one that they are forked from."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parents[int(entry.name)] = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except OSError:
                continue
    below = {pid for pid, parent in parents.items() if parent == os.getpid()}
    return {pid for pid, parent in parents.items() if parent in below}


def test_boards_are_inspected_in_worker_processes_and_their_log_is_the_gates(make_line: Maker, hmi: Hmi) -> None:
    line = make_line(clean_board(), workers={"processes": 2})
    before = children()
    with capture_logs() as logged, running(line):
        assert len(children() - before) == 2
        assert hmi.wait_for(line.upload("smt-1/aoi/GOOD.png", clean_board(noise=3)))["verdict"] == "PASS"
        assert hmi.wait_for(line.upload("smt-1/aoi/BAD.png", defective_board()))["verdict"] == "FAIL"
    assert {entry["verdict"] for entry in logged if entry["event"] == "product.decided"} == {"PASS", "FAIL"}
    assert children() == before, "no worker outlives the gate"


def test_without_worker_processes_everything_runs_in_the_gates_own(make_line: Maker, hmi: Hmi) -> None:
    line = make_line(clean_board(), workers={"processes": 0})
    before = children()
    with running(line):
        assert children() == before
        assert hmi.wait_for(line.upload("smt-1/aoi/BAD.png", defective_board()))["verdict"] == "FAIL"


def test_workers_that_are_killed_are_replaced_and_their_boards_inspected_again(make_line: Maker, hmi: Hmi) -> None:
    line = make_line(clean_board(), workers={"processes": 2})
    before = children()
    with running(line) as runtime:
        names = [line.upload(f"smt-1/aoi/{number}.png", defective_board()) for number in range(12)]
        for _ in range(2):
            time.sleep(0.1)
            for pid in children() - before:
                os.kill(pid, signal.SIGKILL)
        assert {hmi.wait_for(name)["verdict"] for name in names} == {"FAIL"}
        assert runtime.bus.dead_letters() == []
        assert len(children() - before) == 2


@pytest.fixture
def hanging(tmp_path: Path, hmi: Hmi) -> Iterator[Line]:
    """A line whose detector never answers, and would be waited for longer than a worker may take."""
    with Service(roboflow.Workflows(), faults=always(hang)) as service:
        content = {
            "roboflow": {"api_url": service.url, "api_key": roboflow.KEY, "workspace": "plant"},
            "recipes": {"pcb": {"detector": "roboflow", "verifier": "none", "workflow": {"id": "pcb"}}},
            "lines": {"smt-1": {"recipe": "pcb"}},
            "edge": {"data": "data", "workers": {"processes": 1, "time_limit_s": 2}},
        }
        (tmp_path / "linegate.yaml").write_text(yaml.safe_dump(content))
        yield Line(tmp_path, load(tmp_path / "linegate.yaml"))


def uploaded(line: Line, name: str, content: bytes) -> ImageUploaded:
    app = local(line.settings)
    path = line.data / name
    path.parent.mkdir(parents=True, exist_ok=True)
    generation = app.context.images.write("uploads", name, content, "")
    return ImageUploaded(ObjectRef("uploads", name, generation), len(content), app.context.clock.now())


def test_a_worker_that_takes_too_long_is_killed_and_the_next_delivery_finds_a_new_one(hanging: Line) -> None:
    upload = uploaded(hanging, "uploads/smt-1/aoi/A.png", clean_board())
    with pool(hanging) as workers:
        started = time.monotonic()
        answer = workers.deliver("detect", body(upload))
        assert (answer.status, answer.killed) == (500, True)
        assert "2 s" in answer.said
        assert time.monotonic() - started < 5
        assert workers.deliver("sweep", body(SweepDue())) == Response(200)


def test_who_shared_a_worker_with_a_slow_message_is_no_suspect(hanging: Line) -> None:
    first, second = (uploaded(hanging, f"uploads/smt-1/aoi/{name}.png", clean_board()) for name in "AB")
    with pool(hanging) as workers, ThreadPoolExecutor(2) as threads:
        slow = threads.submit(workers.deliver, "detect", body(first))
        time.sleep(1)
        other = threads.submit(workers.deliver, "detect", body(second))
        assert slow.result().killed
        assert other.result() == Response(500, "its worker process was ended by SIGKILL", killed=False)


def test_what_waits_for_a_slow_service_leaves_room_in_a_worker_for_the_rest(hanging: Line) -> None:
    workers = hanging.settings.edge.workers.model_copy(update={"time_limit_s": 20})
    hanging.settings = hanging.settings.model_copy(
        update={"edge": hanging.settings.edge.model_copy(update={"workers": workers})}
    )
    uploads = [uploaded(hanging, f"uploads/smt-1/aoi/{number}.png", clean_board()) for number in range(8)]
    with pool(hanging) as processes, ThreadPoolExecutor(8) as threads:
        waiting = [threads.submit(processes.deliver, "detect", body(upload)) for upload in uploads]
        time.sleep(1)
        assert processes.deliver("sweep", body(SweepDue())) == Response(200)
        assert not any(one.done() for one in waiting)
        processes.stop(0)


def test_a_picture_beyond_a_workers_memory_is_refused_and_not_a_crash(make_line: Maker, hmi: Hmi) -> None:
    line = make_line(clean_board(), workers={"processes": 1, "memory_mb": 256})
    line.settings = line.settings.model_copy(
        update={"images": line.settings.images.model_copy(update={"max_pixels": 200_000_000, "max_bytes": 300_000_000})}
    )
    buffer = io.BytesIO()
    Image.effect_noise((8_000, 8_000), 60).save(buffer, "BMP")
    with running(line):
        data = hmi.wait_for(line.upload("smt-1/aoi/HUGE.bmp", buffer.getvalue()))
        assert data["verdict"] == "ERROR"
        assert "memory" in data["summary"]
        assert hmi.wait_for(line.upload("smt-1/aoi/GOOD.png", clean_board(noise=3)))["verdict"] == "PASS"


def test_a_stop_is_obeyed_within_ten_seconds_whatever_hangs_and_the_upload_is_not_lost(hanging: Line) -> None:
    command = [sys.executable, "-c", "from linegate.commands.main import main; raise SystemExit(main())"]
    process = subprocess.Popen([*command, "edge", "--config", str(hanging.config)], stderr=subprocess.DEVNULL)
    try:
        hanging.upload("smt-1/aoi/A.png", clean_board())
        app = local(hanging.settings)
        end = time.monotonic() + 20
        while not app.context.inspections.overdue(app.context.clock.now().replace(year=9000), 1):
            assert time.monotonic() < end, "the upload was not taken up"
            time.sleep(0.05)
        started = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0
        assert time.monotonic() - started < 10
    finally:
        process.kill()
    with closing(Database(hanging.data / "linegate.db")) as database:
        assert sum(collect(database)["stages"]["detect"].values()) == 1, "its next start takes it up again"

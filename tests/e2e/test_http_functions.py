"""The functions as the platform starts them: each in its own process, under its production server, over real HTTP."""

import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import urllib3

from linegate.adapters.local.bus import LocalBus
from linegate.adapters.local.database import Database
from linegate.config import CONFIG_VARIABLE, PUSH_SECRET_VARIABLE
from linegate.edge.dispatcher import Dispatcher
from linegate.edge.functions import Response, functions_folder
from linegate.edge.intake import Intake
from linegate.events import push_body, to_message
from linegate.inspection import Check, Result
from linegate.messages import CheckMade, SweepDue
from linegate.ports import Message
from linegate.stages import STAGES
from tests.boards import clean_board, defective_board
from tests.e2e.line import Hmi, Line

Post = Callable[..., Response]
PUSH_SECRET = "shared with whoever pushes"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def line(make_line: Callable[..., Line]) -> Line:
    return make_line(clean_board())


def served(*stages: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("post", [stages], ids=["-".join(stages)], indirect=True)


@pytest.fixture
def post(line: Line, request: pytest.FixtureRequest) -> Iterator[Post]:
    """The functions that a test is `served`, each in its own process; what is returned POSTs a body to one of them."""
    command = shutil.which("functions-framework")
    assert command, "functions-framework is a dependency of every function"
    pool = urllib3.PoolManager(retries=False, timeout=30)
    processes, ports = [], {}
    for stage in request.param:
        port = ports[stage] = free_port()
        source = functions_folder() / stage / "main.py"
        arguments = ["--target", stage, "--source", str(source), "--host", "127.0.0.1", "--port", str(port)]
        with (line.folder / f"{stage}.log").open("wb") as log:
            environment = {
                **os.environ,
                CONFIG_VARIABLE: str(line.config),
                PUSH_SECRET_VARIABLE: PUSH_SECRET,
                "THREADS": "8",
            }
            processes.append(subprocess.Popen([command, *arguments], env=environment, stdout=log, stderr=log))

    def send(stage: str, body: object, authorization: str | None = f"Bearer {PUSH_SECRET}") -> Response:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"content-type": "application/json"} | ({"authorization": authorization} if authorization else {})
        answer = pool.request("POST", f"http://127.0.0.1:{ports[stage]}/", body=data, headers=headers)
        return Response(answer.status, answer.data.decode())

    try:
        for stage, port in ports.items():
            wait_for(port, line.folder / f"{stage}.log")
        yield send
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait(20)
        pool.clear()


def wait_for(port: int, log: Path) -> None:
    end = time.monotonic() + 90
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            assert time.monotonic() < end, log.read_text()
            time.sleep(0.05)


def pushed(message: Message) -> dict[str, Any]:
    return push_body(message, message_id="1", publish_time="", subscription="projects/p/subscriptions/s", attempt=3)


@served(*STAGES)
def test_functions_in_processes_of_their_own_take_a_board_to_its_verdict(line: Line, post: Post, hmi: Hmi) -> None:
    """The bus delivers over HTTP instead of in process: neither it nor the functions know the difference."""
    with closing(Database(line.data / "linegate.db")) as database:
        bus = LocalBus(database)
        dispatcher = Dispatcher(bus, line.settings, post)
        intake = Intake(database, bus, line.settings)
        dispatcher.start()
        intake.start()
        try:
            good = line.upload("smt-1/aoi/GOOD.png", clean_board(noise=3))
            bad = line.upload("smt-1/aoi/BAD.png", defective_board())
            broken = line.upload("smt-1/aoi/BROKEN.png", clean_board()[:300])
            verdicts = {name: hmi.wait_for(name)["verdict"] for name in (good, bad, broken)}
        finally:
            intake.stop(10)
            dispatcher.stop()
        assert verdicts == {good: "PASS", bad: "FAIL", broken: "ERROR"}
        assert bus.dead_letters() == []
    logged = [
        json.loads(text) for text in (line.folder / "verify.log").read_text().splitlines() if text.startswith("{")
    ]
    (done,) = (entry for entry in logged if entry["message"] == "message.done")
    assert {"inspection_id", "line", "stage", "duration_ms", "attempt"} <= done.keys()


@served("verify", "aggregate", "notify", "detect")
def test_what_can_not_be_parsed_is_acknowledged_and_lies_in_the_dead_letter_with_its_reason(
    line: Line, post: Post
) -> None:
    for stage in ("verify", "aggregate", "notify", "detect"):
        answer = post(stage, pushed(Message(b"not json", {"line": "smt-1"})))
        assert answer.status == 200, stage
    assert post("verify", pushed(to_message(SweepDue()))).status == 200
    with closing(Database(line.data / "linegate.db")) as database:
        letters = LocalBus(database).dead_letters()
        rows = database.read("SELECT data FROM messages ORDER BY id")
    assert [letter.topic for letter in letters] == ["crops", "checks", "notifications", "uploads", "crops"]
    assert all("not base64 of JSON" in letter.reason for letter in letters[:4])
    assert "wrong stage" in letters[4].reason
    assert rows[0][0] == b"not json", "as it came"


@served("aggregate")
def test_a_push_of_somebody_else_is_refused_before_anything_of_it_is_read(line: Line, post: Post) -> None:
    forged = to_message(CheckMade("0" * 32, "smt-1", 1, Check(0, Result.PASS, "looks fine to me")))
    for body in (pushed(forged), pushed(Message(b"not json", {}))):
        for authorization, status in ((None, 401), ("Bearer guessed", 403), (f"Basic {PUSH_SECRET}", 401)):
            answer = post("aggregate", body, authorization)
            assert answer.status == status
            assert PUSH_SECRET_VARIABLE in answer.said
            assert PUSH_SECRET not in answer.said
    with closing(Database(line.data / "linegate.db")) as database:
        assert database.read("SELECT count(*) FROM checks") == [(0,)]
        assert database.read("SELECT count(*) FROM messages") == [(0,)]
    assert "push.refused" in (line.folder / "aggregate.log").read_text()


@served("aggregate")
def test_what_is_no_push_at_all_is_refused(post: Post) -> None:
    for body in (b"", b"{", b"[]", b'{"subscription": "s", "message": {"attributes": {"a": "b"}, "messageId": "1"}}'):
        assert post("aggregate", body).status >= 400


@served("detect")
def test_a_failure_that_may_pass_is_a_5xx_so_that_the_message_comes_again(line: Line, post: Post) -> None:
    (line.folder / "golden.png").unlink()
    name = line.upload("smt-1/aoi/A.png", clean_board(noise=3))
    with closing(Database(line.data / "linegate.db")) as database:
        intake = Intake(database, LocalBus(database), line.settings)
        intake.start()
        while not (leased := LocalBus(database).lease("uploads", 1, 60, {}, 1)):
            time.sleep(0.02)
        intake.stop(10)
    answer = post("detect", pushed(leased[0].message))
    assert answer.status == 503
    assert "golden.png" in answer.said
    (line.folder / "golden.png").write_bytes(clean_board())
    assert post("detect", pushed(leased[0].message)).status == 200
    assert name

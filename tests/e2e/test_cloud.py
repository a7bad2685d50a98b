"""The gate in the cloud's shape: each function from its own zip, in a clean environment with its own pins, on the Python
and behind the server of the platform; Google's emulators push the messages; services and bucket are wire-level stand-ins.
"""

import json
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
import urllib3
import yaml
from google.protobuf.duration_pb2 import Duration
from google.pubsub_v1 import PublisherClient, SubscriberClient
from google.pubsub_v1.services.publisher.transports import PublisherGrpcTransport
from google.pubsub_v1.services.subscriber.transports import SubscriberGrpcTransport
from google.pubsub_v1.types import PubsubMessage, PushConfig, RetryPolicy, Subscription

from linegate.adapters.gcp.firestore import Firestore, FirestoreOutbox
from linegate.commands.listener import Listener
from linegate.commands.main import main
from linegate.commands.package import pack
from linegate.stages import BY_TOPIC, FUNCTIONS, STAGES, STATION, SWEEPS, dead_letter
from tests.boards import clean_board, marked_board
from tests.e2e.line import SECRET, Hmi
from tests.emulators import PROJECT, free_port, missing
from tests.standins import gemini, roboflow
from tests.standins.service import Reply, Service, always, first, never, status
from tests.standins.storage import Buckets

PYTHON = "3.13"  # what functions are deployed on
UV = os.environ.get("UV", "uv")  # set by `uv run`


def uv(*arguments: str | Path) -> str:
    done = subprocess.run([UV, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="session")
def installed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Each function's folder, unpacked from its zip, with an environment `.venv` that holds its own pins and no more."""
    found = subprocess.run(
        ["uv", "python", "find", "--no-project", PYTHON], capture_output=True, text=True, check=False
    )
    candidates = [found.stdout.strip()] if found.returncode == 0 else []
    candidates += map(str, Path.home().glob(f".pyenv/versions/{PYTHON}*/bin/python3"))
    if not candidates:
        missing(f"there is no Python {PYTHON} (uv python install {PYTHON})")
    root = tmp_path_factory.mktemp("functions")
    folders = {}
    for stage in FUNCTIONS:
        folders[stage] = root / stage
        pack(stage, root / f"{stage}.zip")
        with zipfile.ZipFile(root / f"{stage}.zip") as archive:
            archive.extractall(folders[stage])
        uv("venv", "--quiet", "--no-project", "--python", candidates[0], folders[stage] / ".venv")
        pins = folders[stage] / "requirements.txt"
        uv(
            "pip",
            "install",
            "--quiet",
            "--no-config",
            "--require-hashes",
            "--python",
            folders[stage] / ".venv",
            "-r",
            pins,
        )
    return folders


@dataclass
class Cloud:
    """A project with everything in it."""

    folders: dict[str, Path]
    environment: dict[str, str]
    buckets: Buckets
    hmi: Hmi
    detector: Service
    verifier: Service
    mes: Service  # another target
    office: Service  # one that takes reports alone
    publisher: PublisherClient
    subscriber: SubscriberClient
    ports: dict[str, int] = field(default_factory=dict)
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def start(self, stage: str) -> None:
        """As the platform does: functions-framework's own command, which is gunicorn, for a function without a trigger."""
        folder = self.folders[stage]
        command = [str(folder / ".venv" / "bin" / "functions-framework"), "--target", stage, "--source", "main.py"]
        command += ["--signature-type", "http", "--host", "127.0.0.1", "--port", str(self.ports[stage])]
        command += ["--asgi"] if stage == STATION else []
        with (folder / "log").open("ab") as log:
            process = subprocess.Popen(
                command, cwd=folder, env=self.environment, stdout=log, stderr=log, start_new_session=True
            )
        self.processes[stage] = process
        end = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.ports[stage]), 1).close()
                return
            except OSError:
                assert time.monotonic() < end, (folder / "log").read_text()
                time.sleep(0.05)

    def kill(self, stage: str) -> None:
        os.killpg(self.processes[stage].pid, signal.SIGKILL)
        self.processes[stage].wait()

    def upload(self, name: str, data: bytes, **metadata: str) -> str:
        self.buckets.put("plant-uploads", name, data, "image/jpeg", metadata)
        return name

    def publish(self, topic: str, data: bytes, **attributes: str) -> None:
        path = f"projects/{PROJECT}/topics/linegate-{topic}"
        self.publisher.publish(topic=path, messages=[PubsubMessage(data=data, attributes=attributes)])

    def dead(self, topic: str) -> list[PubsubMessage]:
        path = f"projects/{PROJECT}/subscriptions/linegate-{BY_TOPIC[topic].name}-dead"
        received = self.subscriber.pull(subscription=path, max_messages=10, timeout=10).received_messages
        return [each.message for each in received]

    def logged(self, stage: str) -> list[dict[str, Any]]:
        lines = (self.folders[stage] / "log").read_text().splitlines()
        return [json.loads(line) for line in lines if line.startswith("{")]


def notification(cloud: "Cloud") -> Callable[[dict[str, Any]], None]:
    """What Cloud Storage publishes for a new object of the uploads bucket."""

    def publish(resource: dict[str, Any]) -> None:
        if resource["bucket"] == "plant-uploads" and resource["name"].startswith("uploads/"):
            attributes = {
                "eventType": "OBJECT_FINALIZE",
                "payloadFormat": "JSON_API_V1",
                "bucketId": resource["bucket"],
            }
            cloud.publish("uploads", json.dumps(resource).encode(), **attributes, objectId=resource["name"])

    return publish


@pytest.fixture(scope="module")
def cloud(
    installed: dict[str, Path], firestore_host: str, pubsub_host: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Cloud]:
    with ExitStack() as stack:
        buckets, hmi = Buckets(), Hmi()
        storage = stack.enter_context(Service(buckets))
        detector = stack.enter_context(Service(roboflow.Workflows(find=roboflow.find_cells)))
        verifier = stack.enter_context(Service(gemini.Model()))
        mes, office = (stack.enter_context(Service(lambda _: Reply(204, b""))) for _ in range(2))
        hmi.url = stack.enter_context(Listener([SECRET], hmi.receive)).url
        config = tmp_path_factory.mktemp("secret") / "linegate.yaml"
        config.write_text(yaml.safe_dump(configuration(detector.url, verifier.url, hmi.url, mes.url, office.url)))
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": os.environ["HOME"],
            "LINEGATE_CONFIG": str(config),
            "FIRESTORE_EMULATOR_HOST": firestore_host,
            "PUBSUB_EMULATOR_HOST": pubsub_host,
            "STORAGE_EMULATOR_HOST": storage.url,
            "GOOGLE_CLOUD_PROJECT": PROJECT,
            "THREADS": "16",
            "K_SERVICE": "linegate",  # set by Cloud Run, which admits nobody but the subscription's service account
        }
        channel = stack.enter_context(grpc.insecure_channel(pubsub_host))
        publisher = PublisherClient(transport=PublisherGrpcTransport(channel=channel))
        subscriber = SubscriberClient(transport=SubscriberGrpcTransport(channel=channel))
        running = Cloud(installed, environment, buckets, hmi, detector, verifier, mes, office, publisher, subscriber)
        buckets.put("plant-golden", "golden.png", clean_board())
        for stage, topic in ((stage.name, stage.topic) for stage in STAGES.values()):
            running.ports[stage] = free_port()
            stack.callback(running.kill, stage)
            running.start(stage)
            subscribe(running, topic, running.ports[stage])
        buckets.finalized = notification(running)
        yield running


def configuration(detector_url: str, verifier_url: str, hmi_url: str, mes_url: str, office_url: str) -> dict[str, Any]:
    return {
        "station": {
            "time_zone": "Europe/Berlin",
            "shifts": {"early": "06:00", "late": "14:00", "night": "22:00"},
        },
        "cloud": {"project": PROJECT, "golden_bucket": "plant-golden"},
        "storage": {"uploads_bucket": "plant-uploads", "results_bucket": "plant-results"},
        "roboflow": {"api_url": detector_url, "api_key": roboflow.KEY, "workspace": "plant"},
        "gemini": {"api_url": verifier_url, "api_key": gemini.KEY, "model": gemini.MODEL},
        "recipes": {
            "pcb": {"detector": "roboflow", "verifier": "gemini", "workflow": {"id": "pcb"}},
            "compared": {"golden": "golden.png", "verifier": "none"},
        },
        "lines": {"smt-1": {"recipe": "pcb"}, "smt-2": {"recipe": "compared"}},
        "targets": {
            **{name: {"url": url, "secrets": [SECRET]} for name, url in (("hmi", hmi_url), ("mes", mes_url))},
            "office": {"url": office_url, "secrets": [SECRET], "verdicts": [], "reports": True},
        },
        "network": {"private_addresses": ["127.0.0.0/8"]},
    }


def subscribe(cloud: Cloud, topic: str, port: int) -> None:
    """A topic with its push subscription, and its dead letter with one to look into."""
    stage = BY_TOPIC[topic].name
    for name, reader in ((topic, stage), (dead_letter(topic), f"{stage}-dead")):  # as Terraform calls them
        path = f"projects/{PROJECT}/topics/linegate-{name}"
        cloud.publisher.create_topic(name=path)
        subscription = Subscription(
            name=f"projects/{PROJECT}/subscriptions/linegate-{reader}", topic=path, ack_deadline_seconds=60
        )
        if name == topic:
            subscription.push_config = PushConfig(push_endpoint=f"http://127.0.0.1:{port}/")
            backoff = {"minimum_backoff": Duration(nanos=200_000_000), "maximum_backoff": Duration(seconds=1)}
            subscription.retry_policy = RetryPolicy(**backoff)
        cloud.subscriber.create_subscription(request=subscription)


def test_a_picture_in_the_bucket_becomes_a_verdict_a_picture_and_a_webhook(cloud: Cloud) -> None:
    data = cloud.hmi.wait_for(cloud.upload("uploads/smt-1/aoi/BAD.jpg", marked_board(3)))
    assert (data["verdict"], data["fail_count"], data["serial"], data["complete"]) == ("FAIL", 3, "BAD", True)
    annotated = data["annotated_image"]
    assert cloud.buckets.objects[annotated["bucket"], annotated["name"]].data.startswith(b"\xff\xd8")
    assert cloud.hmi.wait_for(cloud.upload("uploads/smt-1/aoi/GOOD.jpg", marked_board(0)))["verdict"] == "PASS"


def test_a_golden_picture_is_read_from_its_bucket(cloud: Cloud) -> None:
    assert cloud.hmi.wait_for(cloud.upload("uploads/smt-2/aoi/A.png", clean_board(noise=3)))["verdict"] == "PASS"


def test_what_can_not_be_inspected_is_an_error_with_a_copy(cloud: Cloud) -> None:
    data = cloud.hmi.wait_for(cloud.upload("uploads/smt-1/aoi/BROKEN.jpg", b"no picture"))
    assert data["verdict"] == "ERROR"
    assert cloud.buckets.objects["plant-results", f"quarantine/{data['inspection_id']}"].data == b"no picture"


def test_eventarcs_spelling_of_the_same_event_is_understood(cloud: Cloud) -> None:
    finalized, cloud.buckets.finalized = cloud.buckets.finalized, lambda _: None
    resource = cloud.buckets.put("plant-uploads", "uploads/smt-1/aoi/EVENTARC.jpg", marked_board(1), "image/jpeg")
    cloud.buckets.finalized = finalized
    headers = {
        "ce-id": "1",
        "ce-specversion": "1.0",
        "ce-type": "google.cloud.storage.object.v1.finalized",
        "ce-source": "//storage.googleapis.com/projects/_/buckets/plant-uploads",
        "content-type": "application/json",
    }
    url = f"http://127.0.0.1:{cloud.ports['detect']}/"
    assert urllib3.request("POST", url, body=json.dumps(resource).encode(), headers=headers).status == 200
    assert cloud.hmi.wait_for("uploads/smt-1/aoi/EVENTARC.jpg")["verdict"] == "FAIL"


def test_an_event_that_comes_four_times_makes_one_verdict_under_one_id(cloud: Cloud) -> None:
    name = cloud.upload("uploads/smt-1/aoi/OFTEN.jpg", marked_board(2))
    for _ in range(3):
        notification(cloud)(cloud.buckets.objects["plant-uploads", name].resource)
    first = cloud.hmi.wait_for(name)
    time.sleep(2)
    told = [hook for hook in cloud.hmi.received if hook.event and hook.event["data"]["image"]["name"] == name]
    assert {hook.entry_id for hook in told} == {f"{first['inspection_id']}_r1_hmi"}
    assert all(hook.event and hook.event["data"] == first for hook in told), "one id always carries the same body"
    assert len([each for each in cloud.logged("aggregate") if each.get("inspection_id") == first["inspection_id"]
                and each["message"] == "product.decided"]) == 1  # fmt: skip


def test_a_message_that_is_none_ends_in_its_dead_letter_with_the_reason(cloud: Cloud) -> None:
    cloud.publish("crops", b"not json", type="crop.ready", inspection_id="x", line="smt-1")
    (letter,) = cloud.dead("crops")
    assert letter.data == b"not json"
    assert "not base64 of JSON" in letter.attributes["reason"]


def test_a_target_that_is_away_hears_of_the_board_by_redelivery(cloud: Cloud) -> None:
    cloud.mes.faults = always(status(500))
    name = cloud.upload("uploads/smt-1/aoi/AWAY.jpg", marked_board(1))
    inspection = cloud.hmi.wait_for(name)["inspection_id"]

    def asked() -> list[str]:
        return [
            str(request.headers["webhook-id"])
            for request in cloud.mes.requests
            if inspection in request.headers["webhook-id"]
        ]

    end = time.monotonic() + 30
    while len(asked()) < 2:
        assert time.monotonic() < end
        time.sleep(0.05)
    cloud.mes.faults = never
    tried = len(asked())
    while len(asked()) == tried:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert set(asked()) == {f"{inspection}_r1_mes"}


def test_a_target_that_is_gone_is_seen_and_enabled_from_a_desk(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in cloud.environment.items():
        monkeypatch.setenv(name, value)
    where = ["--cloud", "--config", cloud.environment["LINEGATE_CONFIG"]]
    cloud.mes.faults = always(status(410))
    inspection = cloud.hmi.wait_for(cloud.upload("uploads/smt-1/aoi/GONE.jpg", marked_board(1)))["inspection_id"]
    end = time.monotonic() + 30
    while True:
        assert main(["status", *where]) == 0
        if "target mes is disabled: it answered 410" in capsys.readouterr().out:
            break
        assert time.monotonic() < end
        time.sleep(0.1)
    cloud.mes.faults = never
    # The function that heard the 410 marks the entry as held a moment later.
    while main(["enable", "mes", *where]) == 0 and "; 0 held" in capsys.readouterr().out:
        assert time.monotonic() < end
        time.sleep(0.2)
    while len([each for each in cloud.mes.requests if inspection in each.headers["webhook-id"]]) < 2:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert main(["enable", "nobody", *where]) == 64


def test_what_a_person_decided_is_exported_from_a_desk(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    for name, value in cloud.environment.items():
        monkeypatch.setenv(name, value)
    where = ["--cloud", "--config", cloud.environment["LINEGATE_CONFIG"]]
    picture = marked_board(1)
    data = cloud.hmi.wait_for(cloud.upload("uploads/smt-1/aoi/TOLD.jpg", picture))
    said = ["--true-defect", *(str(defect["index"]) for defect in data["defects"])]
    assert main(["answer", data["inspection_id"], *said, "--as", "Ada", *where]) == 0
    assert main(["export", str(tmp_path / "out.csv"), *where]) == 0
    lines = [line for line in (tmp_path / "out.csv").read_text().splitlines() if ",TOLD," in line]
    assert len(lines) == len(data["defects"])
    assert all(line.endswith(",true_defect,no") for line in lines)
    capsys.readouterr()
    assert main(["dataset", "export", str(tmp_path / "set"), "--json", *where]) == 0
    assert json.loads(capsys.readouterr().out)["labels"] == len(data["defects"])
    (file,) = (tmp_path / "set" / "images").iterdir()
    assert file.read_bytes() == picture


def test_a_quota_that_is_used_up_is_waited_for_by_redelivery(cloud: Cloud) -> None:
    asked = len(cloud.verifier.requests)
    cloud.verifier.faults = first(asked + 3, status(429, retry_after="31"))  # longer than one check may take
    # The emulator sends less for a while to who refuses, as Pub/Sub does.
    data = cloud.hmi.wait_for(cloud.upload("uploads/smt-1/aoi/QUOTA.jpg", marked_board(3)), 60)
    cloud.verifier.faults = never
    assert (data["verdict"], data["complete"], data["fail_count"], data["revision"]) == ("FAIL", True, 3, 1)
    assert len(cloud.verifier.requests) >= asked + 6


def test_dead_letters_are_put_back_to_work_by_one_command(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    finalized, cloud.buckets.finalized = cloud.buckets.finalized, lambda _: None
    name = cloud.upload("uploads/smt-1/aoi/DEAD.jpg", marked_board(1))
    cloud.buckets.finalized = finalized
    resource = cloud.buckets.objects["plant-uploads", name].resource
    attributes = {
        "eventType": "OBJECT_FINALIZE",
        "CloudPubSubDeadLetterSourceDeliveryCount": "30",
    }
    cloud.publish(dead_letter("uploads"), json.dumps(resource).encode(), **attributes)
    monkeypatch.setenv("PUBSUB_EMULATOR_HOST", cloud.environment["PUBSUB_EMULATOR_HOST"])
    config = cloud.environment["LINEGATE_CONFIG"]
    assert main(["replay", "--cloud", "--topic", "uploads", "--config", config]) == 0
    assert "detect: 1 dead letter put back to work" in capsys.readouterr().out
    assert cloud.hmi.wait_for(name)["verdict"] == "FAIL"


def test_a_function_that_is_killed_at_work_loses_no_board(cloud: Cloud) -> None:
    cloud.verifier.delay_s = lambda: 1.0
    try:
        asked = len(cloud.verifier.requests)
        name = cloud.upload("uploads/smt-1/aoi/KILLED.jpg", marked_board(4))
        end = time.monotonic() + 20
        while len(cloud.verifier.requests) == asked:
            assert time.monotonic() < end
            time.sleep(0.02)
        cloud.kill("verify")
        cloud.start("verify")
    finally:
        cloud.verifier.delay_s = lambda: 0.0
    data = cloud.hmi.wait_for(name, 60)
    assert (data["verdict"], data["fail_count"], data["complete"]) == ("FAIL", 4, True)


def test_the_clocks_message_is_served_and_every_line_of_the_logs_has_its_ids(cloud: Cloud) -> None:
    cloud.publish(SWEEPS, json.dumps({"schema": 1}).encode(), type="sweep.due")
    end = time.monotonic() + 20
    while not any(line["message"] == "message.done" for line in cloud.logged("sweep")):
        assert time.monotonic() < end, (cloud.folders["sweep"] / "log").read_text()
        time.sleep(0.05)
    (decided, *_) = (line for line in cloud.logged("aggregate") if line["message"] == "product.decided")
    assert {"inspection_id", "line", "stage", "severity", "verdict"} <= set(decided)


def test_shifts_that_are_over_are_reported_once_by_the_clocks_messages(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", cloud.environment["FIRESTORE_EMULATOR_HOST"])
    with closing(Firestore(PROJECT, "(default)", timedelta(days=30))) as store:  # it heard of shifts last 20 hours ago
        FirestoreOutbox(store).note_reported("office", datetime.now(UTC) - timedelta(hours=20))
    for _ in range(2):
        cloud.publish(SWEEPS, json.dumps({"schema": 1}).encode(), type="sweep.due")
    end = time.monotonic() + 60
    while len({each.headers["webhook-id"] for each in cloud.office.requests}) < 2:
        assert time.monotonic() < end, (cloud.folders["sweep"] / "log").read_text()
        time.sleep(0.05)
    bodies: dict[str, set[bytes]] = {}
    for each in cloud.office.requests:
        bodies.setdefault(each.headers["webhook-id"], set()).add(each.body)
    assert all(name.startswith("report:") and len(told) == 1 for name, told in bodies.items())
    assert {json.loads(told.pop())["type"] for told in bodies.values()} == {"shift.ended"}


def test_each_instance_was_ready_before_its_first_message(cloud: Cloud) -> None:
    for stage in STAGES:
        events = [line["message"] for line in cloud.logged(stage)]
        assert events[0] == "instance.ready", stage
        assert "instance.not_ready" not in events


def test_the_station_is_served_by_its_function_to_those_whom_the_proxy_names(cloud: Cloud) -> None:
    cloud.ports[STATION] = free_port()
    cloud.start(STATION)
    try:
        for assertion in ("", "a.b.c"):
            asked = urllib.request.Request(
                f"http://127.0.0.1:{cloud.ports[STATION]}/lines/smt-1", headers={"X-Goog-IAP-JWT-Assertion": assertion}
            )
            with pytest.raises(urllib.error.HTTPError) as refused:
                urllib.request.urlopen(asked, timeout=20)
            assert refused.value.code == 401
            refused.value.close()
        with urllib.request.urlopen(f"http://127.0.0.1:{cloud.ports[STATION]}/static/station.css", timeout=20) as sheet:
            assert sheet.status == 200
    finally:
        cloud.kill(STATION)


@pytest.mark.parametrize("stage", sorted(FUNCTIONS))
def test_a_zip_holds_its_function_and_no_more_and_changes_only_with_its_content(stage: str, tmp_path: Path) -> None:
    for name in ("one.zip", "two.zip"):
        pack(stage, tmp_path / name)
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "one.zip") as archive:
        names = archive.namelist()
    assert {"main.py", "requirements.txt", "linegate/bootstrap.py"} <= set(names)
    assert not [name for name in names if name.startswith(("linegate/edge", "linegate/commands", "tests"))]
    assert ("linegate/station/templates/base.html" in names) == (stage == STATION)


def test_how_long_each_function_takes_to_import(installed: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    timed = "t = time.perf_counter(); import main; print(round(1000 * (time.perf_counter() - t)), len(sys.modules))"
    code = f"import sys, time; {timed}"
    said = {}
    for stage, folder in installed.items():
        done = subprocess.run(
            [folder / ".venv" / "bin" / "python", "-c", code], cwd=folder, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        said[stage] = done.stdout.strip()
    with capsys.disabled():
        print("\nimport (ms, modules):", ", ".join(f"{stage} {text}" for stage, text in said.items()))

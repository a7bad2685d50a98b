"""Google's own emulators, started for the session in a second or two and stopped with it."""

import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

REQUIRED = "LINEGATE_REQUIRE_EMULATORS"
PROJECT = "linegate-test"
QUICK = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Duser.language=en")


JAVA = "install Java and the gcloud emulators (cloud-firestore-emulator, pubsub-emulator)"


def missing(what: str, mended_by: str = JAVA) -> None:
    """Skip the test with what a person can do about it; fail it where emulators and a browser are required."""
    reason = f"{what}; {mended_by} to run this test"
    if os.environ.get(REQUIRED) == "1":
        pytest.fail(f"{REQUIRED} is set, and {reason}")
    pytest.skip(reason)


def platform() -> Path:
    """The folder `platform` of the gcloud SDK."""
    gcloud = shutil.which("gcloud")
    if gcloud is None:
        missing("gcloud is not here")
    roots = [
        Path(str(gcloud)).resolve().parents[1],
        Path("/usr/lib/google-cloud-sdk"),
        Path("/usr/share/google-cloud-sdk"),
    ]
    for root in roots:
        if (root / "platform" / "pubsub-emulator").is_dir():
            return root / "platform"
    missing(f"there are no emulators beside {gcloud}")
    raise AssertionError


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextmanager
def _running(name: str, command: list[str], port: int) -> Iterator[str]:
    if shutil.which("java") is None:
        missing("Java is not here")
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                assert process.poll() is None, f"the {name} emulator ended by itself"
                assert time.monotonic() < end, f"the {name} emulator does not listen"
                time.sleep(0.05)
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


@contextmanager
def firestore_emulator() -> Iterator[str]:
    """Host and port of a Firestore emulator."""
    if given := os.environ.get("FIRESTORE_EMULATOR_HOST"):
        yield given
        return
    jar = platform() / "cloud-firestore-emulator" / "cloud-firestore-emulator.jar"
    main = "com.google.cloud.datastore.emulator.firestore.CloudFirestore"
    port = free_port()
    options = ["--host=127.0.0.1", f"--port={port}", f"--websocket_port={free_port()}"]
    with _running("Firestore", ["java", *QUICK, "-cp", str(jar), main, *options], port) as host:
        yield host


@contextmanager
def pubsub_emulator() -> Iterator[str]:
    """Host and port of a Pub/Sub emulator."""
    if given := os.environ.get("PUBSUB_EMULATOR_HOST"):
        yield given
        return
    (jar,) = (platform() / "pubsub-emulator" / "lib").glob("cloud-pubsub-emulator-*-all.jar")
    port = free_port()
    with _running("Pub/Sub", ["java", *QUICK, "-jar", str(jar), "--host=127.0.0.1", f"--port={port}"], port) as host:
        yield host

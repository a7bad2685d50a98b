"""What tests of several kinds share: the emulators of the session, and the cloud adapters on them."""

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from pathlib import Path

import pytest
import structlog
import urllib3

from linegate.adapters.gcp.firestore import Firestore
from linegate.adapters.gcp.storage import CloudImages
from linegate.redaction import forget
from tests.brokers import Broker
from tests.browser import Browser, chromium
from tests.emulators import PROJECT, firestore_emulator, pubsub_emulator
from tests.standins.service import Service
from tests.standins.storage import Buckets

UNIT = Path(__file__).parent / "unit"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """`pytest -m quick` runs the unit tests but those marked slow."""
    for item in items:
        if item.path.is_relative_to(UNIT) and not item.get_closest_marker("slow"):
            item.add_marker("quick")


@pytest.fixture(autouse=True)
def as_in_a_process_of_its_own() -> None:
    """What a process knows of secrets and does with its log, no test leaves to the next."""
    forget()
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def firestore_host() -> Iterator[str]:
    with firestore_emulator() as host:
        yield host


@pytest.fixture(scope="session")
def pubsub_host() -> Iterator[str]:
    with pubsub_emulator() as host:
        yield host


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    """A mosquitto that nobody else speaks to."""
    started = Broker(tmp_path / "broker").start()
    yield started
    started.kill()


@pytest.fixture
def firestore(firestore_host: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Firestore]:
    """A database on an emulator without any document."""
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", firestore_host)
    documents = f"http://{firestore_host}/emulator/v1/projects/{PROJECT}/databases/(default)/documents"
    assert urllib3.request("DELETE", documents).status == 200
    with closing(Firestore(PROJECT, "(default)", timedelta(days=30))) as store:
        yield store


@pytest.fixture
def cloud_images(monkeypatch: pytest.MonkeyPatch) -> Iterator[CloudImages]:
    with Service(Buckets()) as service:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", service.url)
        with closing(CloudImages(PROJECT)) as images:
            yield images

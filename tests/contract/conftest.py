"""The adapters that the contracts of several ports are held on."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from linegate.adapters.gcp.firestore import FirestoreInspections, FirestoreOutbox
from linegate.adapters.gcp.queries import FirestoreQueries
from linegate.adapters.local.database import Database
from linegate.adapters.local.queries import SqliteQueries
from linegate.adapters.local.store import SqliteInspections, SqliteOutbox
from tests.contract.examples import Store
from tests.fakes import MemoryInspections, MemoryQueries


@pytest.fixture(params=["sqlite", "memory", "firestore"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "memory":  # the fakes are held to the contracts too, or tests on them would prove nothing
        memory = MemoryInspections()
        yield Store(memory, memory.outbox, MemoryQueries(memory))
    elif request.param == "firestore":
        firestore = request.getfixturevalue("firestore")
        yield Store(FirestoreInspections(firestore), FirestoreOutbox(firestore), FirestoreQueries(firestore))
    else:
        with closing(Database(tmp_path / "linegate.db")) as database:
            yield Store(SqliteInspections(database), SqliteOutbox(database), SqliteQueries(database))

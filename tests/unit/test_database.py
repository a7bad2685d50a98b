"""The database of one machine: grouped commits, rolled back one by one, and no connection left behind."""

import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from linegate.adapters.local.database import Database
from linegate.errors import TransientError


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with closing(Database(tmp_path / "linegate.db")) as database:
        database.write(lambda connection: connection.execute("CREATE TABLE numbers (number INTEGER PRIMARY KEY)"))
        yield database


def insert(database: Database, number: int) -> None:
    database.write(lambda connection: connection.execute("INSERT INTO numbers VALUES (?)", (number,)))


def numbers(database: Database) -> list[int]:
    return [number for (number,) in database.read("SELECT number FROM numbers ORDER BY number")]


def test_what_was_written_is_read_by_all_and_survives(database: Database) -> None:
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda number: insert(database, number), range(200)))
        views = list(pool.map(lambda _: numbers(database), range(16)))
    assert views == [list(range(200))] * 16
    with closing(Database(database.path)) as again:
        assert numbers(again) == list(range(200))


def test_a_write_that_fails_takes_none_of_its_neighbours_with_it(database: Database) -> None:
    insert(database, 5)
    with ThreadPoolExecutor(32) as pool:
        outcomes = list(pool.map(lambda number: pool_insert(database, number), range(10)))
    assert [number for number, failed in enumerate(outcomes) if failed] == [5]
    assert numbers(database) == list(range(10))


def pool_insert(database: Database, number: int) -> bool:
    try:
        insert(database, number)
    except sqlite3.IntegrityError:
        return True
    return False


def test_half_a_write_is_none(database: Database) -> None:
    def half(connection: sqlite3.Connection) -> None:
        connection.execute("INSERT INTO numbers VALUES (1)")
        raise KeyError("the other half")

    with pytest.raises(KeyError):
        database.write(half)
    assert numbers(database) == []


def test_reading_from_ever_new_threads_does_not_pile_up_connections(database: Database) -> None:
    def files() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    insert(database, 1)
    numbers(database)
    before = files()
    for _ in range(50):
        thread = threading.Thread(target=numbers, args=(database,))
        thread.start()
        thread.join()
    assert files() <= before + 2


def test_what_sqlite_refuses_can_be_tried_again(database: Database) -> None:
    with pytest.raises(TransientError, match="can't be read"):
        database.read("SELECT * FROM nowhere")
    with pytest.raises(TransientError, match="can't be written"):
        database.write(lambda connection: connection.execute("INSERT INTO nowhere VALUES (1)"))


def test_a_database_that_can_not_be_opened_says_which(tmp_path: Path) -> None:
    (tmp_path / "folder.db").mkdir()
    with pytest.raises(TransientError, match=r"folder\.db can't be opened"):
        Database(tmp_path / "folder.db")

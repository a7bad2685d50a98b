"""What is old is removed, but not because a clock says so."""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from linegate.adapters.local.database import Database
from linegate.adapters.local.store import SqliteOutbox
from linegate.edge.housekeeping import DAY_S, Housekeeper
from linegate.inspection import OutboxEntry, OutboxState
from linegate.sections import Edge, Line
from linegate.settings import Recipe, Settings

HOUR_S = 3600.0


@dataclass
class Clocks:
    """The time of day, which may be set, and the time that goes on."""

    wall: float = 1_800_000_000.0
    running: float = 0.0

    def advance(self, seconds: float) -> None:
        self.wall += seconds
        self.running += seconds


@dataclass
class House:
    database: Database
    settings: Settings
    clocks: Clocks
    count: int = 0

    def start(self) -> Housekeeper:
        return Housekeeper(self.database, self.settings, lambda: self.clocks.wall, lambda: self.clocks.running)

    def left(self) -> int:
        return int(self.database.read("SELECT count(*) FROM inspections")[0][0])

    def received(self, seconds_ago: float) -> None:
        self.count += 1
        row = (f"{self.count:032x}", 0.0, self.clocks.wall - seconds_ago, 1, "{}")
        self.database.write(
            lambda connection: connection.execute("INSERT INTO inspections VALUES (?, ?, ?, ?, ?)", row)
        )


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    settings = Settings(
        recipes={"pcb": Recipe(golden="g.png")},
        lines={"smt-1": Line(recipe="pcb")},
        edge=Edge(data=str(tmp_path), retention_days=30),
    )
    with closing(Database(tmp_path / "linegate.db")) as database:
        yield House(database, settings, Clocks())


def test_each_board_is_removed_when_its_time_has_come(house: House) -> None:
    for days in range(30):
        house.received(days * DAY_S)
    keeper = house.start()
    for _ in range(10 * 24):
        house.clocks.advance(HOUR_S)
        house.received(0)
        keeper.run()
    oldest = house.database.read("SELECT min(received_at) FROM inspections")[0][0]
    assert 30 * DAY_S - 2 * HOUR_S <= house.clocks.wall - oldest <= 30 * DAY_S + 2 * HOUR_S
    assert house.left() > 10 * 24, "and no other"


def test_a_clock_that_is_forty_days_ahead_at_the_start_removes_nothing_for_a_day_and_then_little(house: House) -> None:
    for days in range(30):
        house.received(days * DAY_S)
    house.clocks.wall += 40 * DAY_S
    keeper = house.start()
    for _ in range(23):
        assert keeper.run() == 0
        house.clocks.advance(HOUR_S)
        house.received(0)
    house.clocks.advance(2 * HOUR_S)
    assert keeper.run() <= 2, "a day's worth at once"


def test_a_clock_that_is_set_while_the_gate_runs_removes_nothing_for_a_day(house: House) -> None:
    for days in range(30):
        house.received(days * DAY_S)
    keeper = house.start()
    keeper.run()
    house.clocks.wall += 40 * DAY_S
    for _ in range(23):
        house.clocks.advance(HOUR_S)
        assert keeper.run() == 0
    assert house.left() == 30


def test_records_of_the_future_remove_nothing(house: House) -> None:
    house.received(31 * DAY_S)
    house.received(-2 * DAY_S)
    assert house.start().run() == 0


def test_reports_of_old_shifts_are_removed_and_what_is_still_to_be_told_stays(house: House) -> None:
    outbox = SqliteOutbox(house.database)
    for number, (days, state) in enumerate([(40, "SENT"), (40, "PENDING"), (40, "HELD"), (10, "SENT")]):
        made_at = datetime.fromtimestamp(house.clocks.wall - days * DAY_S, UTC)
        about = f"report:2026-03-01:{number}"
        outbox.add(OutboxEntry(f"{about}_r1_hmi", about, "", 1, "hmi", "{}", made_at, OutboxState(state)))
    house.received(40 * DAY_S)
    keeper = house.start()
    for _ in range(60 * 24):
        house.clocks.advance(HOUR_S)
        house.received(0)
        keeper.run()
        if not house.database.read("SELECT 1 FROM outbox WHERE id LIKE '%:0\\_r1%' ESCAPE '\\'"):
            break
    left = [row[0] for row in house.database.read("SELECT id FROM outbox ORDER BY id")]
    assert left == [f"report:2026-03-01:{number}_r1_hmi" for number in (1, 2, 3)]

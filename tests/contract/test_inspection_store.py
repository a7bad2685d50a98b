"""The port InspectionStore: what every adapter must do, crashes, repeats and races included."""

import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from linegate.adapters.local.database import Database
from linegate.adapters.local.store import SqliteInspections
from linegate.errors import PermanentError
from linegate.inspection import (
    Check,
    Decider,
    Inspection,
    Manifest,
    ObjectRef,
    OutboxEntry,
    OutboxState,
    Place,
    Result,
    Revision,
    outbox_id,
)
from linegate.ports import InspectionStore
from linegate.verdict import decide
from tests.fakes import START, MemoryInspections, detection

ID = "0" * 32


@pytest.fixture(params=["sqlite", "memory", "firestore"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[InspectionStore]:
    if request.param == "memory":  # the fake is held to the contract too, or tests on it would prove nothing
        yield MemoryInspections()
        return
    if request.param == "firestore":
        yield request.getfixturevalue("firestore_inspections")
        return
    with closing(Database(tmp_path / "linegate.db")) as database:
        yield SqliteInspections(database)


def board(inspection_id: str = ID, deadline_s: float = 60) -> Inspection:
    return Inspection(
        inspection_id=inspection_id,
        image=ObjectRef("b", "uploads/l/s/ü.jpg", 7),
        place=Place("l", "s", "ü"),
        recipe="pcb",
        uploaded_at=START,
        received_at=START,
        deadline=START + timedelta(seconds=deadline_s),
    )


def manifest(*classes: str) -> Manifest:
    return Manifest.of((detection(name) for name in classes), width=64, height=64, detector="d", doubts=("hm",))


def revision(number: int = 1, by: str = "check:0") -> Revision:
    return Revision(number, Decider.parse(by), START, decide(None, {}), "results/x/r1.jpg")


def entry(number: int = 1, target: str = "hmi") -> OutboxEntry:
    return OutboxEntry(outbox_id(ID, number, target), ID, "l", number, target, '{"a":"ü"}', START)


def test_an_inspection_comes_back_as_it_was_stored(store: InspectionStore) -> None:
    assert store.get(ID) is None
    assert store.open(board()) == board()
    assert store.get(ID) == board()


def test_opening_twice_keeps_the_first(store: InspectionStore) -> None:
    store.open(board(deadline_s=60))
    assert store.open(board(deadline_s=90)).deadline == board(deadline_s=60).deadline


def test_the_first_manifest_wins_and_is_returned_to_all(store: InspectionStore) -> None:
    store.open(board())
    first, second = manifest("short"), manifest("spur", "spur")
    assert store.store_manifest(ID, first, 5) == first
    assert store.store_manifest(ID, second, 9) == first
    stored = store.get(ID)
    assert stored is not None
    assert stored.manifest == first


def test_a_manifest_needs_its_inspection(store: InspectionStore) -> None:
    with pytest.raises(PermanentError):
        store.store_manifest(ID, manifest(), 1)


def test_a_fault_is_remembered(store: InspectionStore) -> None:
    store.open(board())
    store.note_fault(ID, "no golden picture")
    stored = store.get(ID)
    assert stored is not None
    assert stored.fault == "no golden picture"


def test_the_first_check_of_an_index_counts(store: InspectionStore) -> None:
    store.open(board())
    assert store.record_check(ID, Check(0, Result.FAIL, "first")) == 1
    assert store.record_check(ID, Check(0, Result.PASS, "second")) == 1
    assert store.record_check(ID, Check(2, Result.PASS, "other")) == 2
    assert (store.has_check(ID, 0), store.has_check(ID, 1)) == (True, False)
    assert store.checks(ID, 2) == {0: Check(0, Result.FAIL, "first")}


def test_of_32_checks_at_once_somebody_is_told_of_all(store: InspectionStore) -> None:
    store.open(board())
    with ThreadPoolExecutor(32) as pool:
        counts = list(pool.map(lambda index: store.record_check(ID, Check(index, Result.PASS, "fine")), range(32)))
    assert max(counts) == 32
    assert len(store.checks(ID, 32)) == 32


def test_a_revision_is_committed_once_with_all_that_belongs_to_it(store: InspectionStore) -> None:
    store.open(board())
    store.store_manifest(ID, manifest("short"), 5)
    decided = replace(board(), revision=revision(), told=("hmi", "slack"))
    assert store.commit(decided, revision(), [entry(), entry(target="slack")])
    assert not store.commit(replace(decided, told=()), revision(by="sweep"), [entry(target="late")])
    stored = store.get(ID)
    assert stored is not None
    assert (stored.revision, stored.told) == (revision(), ("hmi", "slack"))
    assert stored.manifest == manifest("short"), "committing a verdict must not touch the manifest"
    assert {pending.target for pending in store.pending(ID, 1)} == {"hmi", "slack"}
    assert store.outbox(ID, "late") == []


def test_a_manifest_that_comes_after_a_verdict_leaves_the_verdict(store: InspectionStore) -> None:
    store.open(board())
    store.commit(replace(board(), revision=revision(by="sweep")), revision(by="sweep"), [])
    store.store_manifest(ID, manifest("short"), 5)
    stored = store.get(ID)
    assert stored is not None
    assert (stored.revision, stored.manifest) == (revision(by="sweep"), manifest("short"))


@pytest.mark.parametrize("decided_by", ["check:31", "detect", "sweep", "person:Ada Lovelace"])
def test_who_decided_is_kept(store: InspectionStore, decided_by: str) -> None:
    store.open(board())
    store.commit(replace(board(), revision=revision(by=decided_by)), revision(by=decided_by), [])
    stored = store.get(ID)
    assert stored is not None and stored.revision is not None
    assert stored.revision.decided_by == Decider.parse(decided_by)


def test_of_32_deciding_at_once_one_wins(store: InspectionStore) -> None:
    store.open(board())

    def attempt(number: int) -> bool:
        mine = revision(by=f"check:{number}")
        return store.commit(replace(board(), revision=mine), mine, [entry(target=f"t{number}")])

    with ThreadPoolExecutor(32) as pool:
        won = [number for number, success in enumerate(pool.map(attempt, range(32))) if success]
    assert len(won) == 1
    stored = store.get(ID)
    assert stored is not None
    assert stored.revision == revision(by=f"check:{won[0]}")
    assert [pending.target for pending in store.pending(ID, 1)] == [f"t{won[0]}"]


def test_an_outbox_entry_changes_its_state(store: InspectionStore) -> None:
    store.open(board())
    store.commit(replace(board(), revision=revision()), revision(), [entry()])
    assert store.outbox(ID, "hmi") == [entry()]
    sent = replace(entry(), state=OutboxState.SENT, attempts=2, attempted_at=START, last_error="it answered 503")
    assert store.update_outbox(sent)
    assert store.outbox(ID, "hmi") == [sent]
    assert store.pending(ID, 1) == []


def test_an_entry_is_updated_only_by_who_knows_its_present_state(store: InspectionStore) -> None:
    store.open(board())
    store.commit(replace(board(), revision=revision()), revision(), [entry()])
    (read,) = store.outbox(ID, "hmi")
    assert store.update_outbox(replace(read, state=OutboxState.SENT))
    assert not store.update_outbox(replace(read, attempts=1)), "a stale duplicate must not write PENDING over SENT"
    (sent,) = store.outbox(ID, "hmi")
    assert (sent.state, sent.attempts) == (OutboxState.SENT, 0)
    assert store.update_outbox(replace(sent, attempts=2))
    assert not store.update_outbox(entry(target="nobody"))


def test_of_16_updating_an_entry_at_once_one_wins(store: InspectionStore) -> None:
    store.open(board())
    store.commit(replace(board(), revision=revision()), revision(), [entry()])
    (read,) = store.outbox(ID, "hmi")
    with ThreadPoolExecutor(16) as pool:
        won = list(pool.map(lambda number: store.update_outbox(replace(read, attempts=number)), range(16)))
    assert won.count(True) == 1
    assert [known.attempts for known in store.outbox(ID, "hmi")] == [won.index(True)]


def test_what_a_target_is_told_of_a_board_comes_in_the_order_of_its_revisions(store: InspectionStore) -> None:
    store.open(board())
    store.commit(replace(board(), revision=revision()), revision(), [entry(), entry(1, "mes")])
    store.commit(replace(board(), revision=revision(2)), revision(2), [entry(2)])
    assert store.outbox(ID, "hmi") == [entry(1), entry(2)]


def test_a_postponed_board_waits_behind_the_others(store: InspectionStore) -> None:
    for number in range(3):
        store.open(board(f"{number:032}", number))
    now = START + timedelta(seconds=100)
    store.postpone(f"{0:032}", now + timedelta(seconds=60))
    assert [late.inspection_id for late in store.overdue(now, 10)] == [f"{1:032}", f"{2:032}"]
    later = store.overdue(now + timedelta(seconds=60), 10)
    assert [late.inspection_id for late in later] == [f"{1:032}", f"{2:032}", f"{0:032}"]


def _execute(query: str, key: str, connection: sqlite3.Connection) -> None:
    connection.execute(query, (key,))


def test_a_record_that_can_not_be_read_keeps_no_other_from_its_verdict(tmp_path: Path) -> None:
    with closing(Database(tmp_path / "linegate.db")) as database:
        store = SqliteInspections(database)
        for number in range(3):
            store.open(board(f"{number:032}", number))
        store.commit(replace(board(), revision=revision()), revision(), [entry(target="a"), entry(target="b")])
        for table, key in (("inspections", f"{1:032}"), ("outbox", entry(target="a").entry_id)):
            broken = f"UPDATE {table} SET document = replace(document, '\"20', '\"x') WHERE id = ?"
            database.write(partial(_execute, broken, key))
        later = START + timedelta(seconds=100)
        with capture_logs() as logged:
            assert [late.inspection_id for late in store.overdue(later, 10)] == [f"{2:032}"]
            assert [left.target for left in store.stranded(later, later, 10)] == ["b"]
        assert [line["id"] for line in logged] == [f"{1:032}", entry(target="a").entry_id]


def test_overdue_are_the_undecided_past_their_deadline_oldest_first(store: InspectionStore) -> None:
    for number, deadline_s in enumerate((30, 10, 20, 99)):
        store.open(board(f"{number:032}", deadline_s))
    decided = board(f"{2:032}", 20)
    store.commit(replace(decided, revision=revision()), revision(), [])
    late = store.overdue(START + timedelta(seconds=30), 10)
    assert [found.inspection_id for found in late] == [f"{1:032}", f"{0:032}"]
    assert [found.inspection_id for found in store.overdue(START + timedelta(seconds=30), 1)] == [f"{1:032}"]


def test_stranded_are_pending_entries_that_nobody_has_tried_for_long(store: InspectionStore) -> None:
    store.open(board())
    store.commit(
        replace(board(), revision=revision()),
        revision(),
        [entry(target=name) for name in ("new", "tried", "sent", "lost")],
    )
    assert store.update_outbox(replace(entry(target="new"), created_at=START + timedelta(seconds=100)))
    store.update_outbox(replace(entry(target="tried"), attempts=1, attempted_at=START + timedelta(seconds=100)))
    store.update_outbox(replace(entry(target="sent"), state=OutboxState.SENT, attempted_at=START))
    found = store.stranded(START + timedelta(seconds=50), START + timedelta(seconds=50), 10)
    assert [stranded.target for stranded in found] == ["lost"]
    found = store.stranded(START + timedelta(seconds=50), START + timedelta(seconds=100), 10)
    assert [stranded.target for stranded in found] == ["lost", "tried"]


def test_a_disabled_target_holds_its_entries_until_it_is_enabled(store: InspectionStore) -> None:
    store.open(board())
    entries = [replace(entry(number), state=OutboxState.HELD) for number in (1, 2)]
    store.commit(board(), revision(1), [entries[0], entry(1, "mes")])
    store.commit(board(), revision(2), [entries[1]])
    store.disable_target("hmi", "it answered 410", START)
    store.disable_target("hmi", "again", START)
    assert store.disabled_targets() == {"hmi": "it answered 410"}
    assert store.stranded(START + timedelta(days=1), START, 10) == [entry(1, "mes")]
    freed = store.enable_target("hmi")
    assert sorted(freed, key=lambda held: held.revision) == [
        replace(held, state=OutboxState.PENDING) for held in entries
    ]
    assert store.outbox(ID, "hmi") == [replace(held, state=OutboxState.PENDING) for held in entries]
    assert store.disabled_targets() == {}
    assert store.enable_target("hmi") == []

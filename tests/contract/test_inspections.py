"""The port Inspections: what every adapter must do, crashes, repeats and races included."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

import pytest

from linegate.deciders import Decider
from linegate.errors import PermanentError
from linegate.inspection import Check, Result
from tests.contract.examples import ID, Store, board, entry, manifest, revision
from tests.fakes import START


def test_an_inspection_comes_back_as_it_was_stored(store: Store) -> None:
    assert store.inspections.get(ID) is None
    assert store.inspections.open(board()) == board()
    assert store.inspections.get(ID) == board()


def test_opening_twice_keeps_the_first(store: Store) -> None:
    store.inspections.open(board(deadline_s=60))
    assert store.inspections.open(board(deadline_s=90)).deadline == board(deadline_s=60).deadline


def test_the_first_manifest_wins_and_is_returned_to_all(store: Store) -> None:
    store.inspections.open(board())
    first, second = manifest("short"), manifest("spur", "spur")
    assert store.inspections.store_manifest(ID, first, 5) == first
    assert store.inspections.store_manifest(ID, second, 9) == first
    stored = store.inspections.get(ID)
    assert stored is not None
    assert stored.manifest == first


def test_of_16_storing_a_manifest_at_once_all_go_on_with_the_one_that_stands(store: Store) -> None:
    """Crops of two manifests would mix: their checks have the same indices."""
    store.inspections.open(board())
    with ThreadPoolExecutor(16) as pool:
        told = list(
            pool.map(lambda number: store.inspections.store_manifest(ID, manifest(f"class {number}"), 5), range(16))
        )
    stored = store.inspections.get(ID)
    assert stored is not None and stored.manifest is not None
    assert {one.detections[0].class_name for one in told} == {stored.manifest.detections[0].class_name}


def test_a_manifest_needs_its_inspection(store: Store) -> None:
    with pytest.raises(PermanentError):
        store.inspections.store_manifest(ID, manifest(), 1)


def test_a_fault_is_remembered(store: Store) -> None:
    store.inspections.open(board())
    store.inspections.note_fault(ID, "no golden picture")
    stored = store.inspections.get(ID)
    assert stored is not None
    assert stored.fault == "no golden picture"


def test_late_fails_are_remembered_each_once(store: Store) -> None:
    store.inspections.open(board())
    for indices in ([3], [0, 3], [3]):
        store.inspections.note_late_fails(ID, indices)
    stored = store.inspections.get(ID)
    assert stored is not None
    assert sorted(stored.late_fails) == [0, 3]


def test_the_first_check_of_an_index_counts(store: Store) -> None:
    store.inspections.open(board())
    assert store.inspections.record_check(ID, Check(0, Result.FAIL, "first")) == 1
    assert store.inspections.record_check(ID, Check(0, Result.PASS, "second")) == 1
    assert store.inspections.record_check(ID, Check(2, Result.PASS, "other")) == 2
    assert (store.inspections.has_check(ID, 0), store.inspections.has_check(ID, 1)) == (True, False)
    assert store.inspections.checks(ID, 2) == {0: Check(0, Result.FAIL, "first")}


def test_of_32_checks_at_once_somebody_is_told_of_all(store: Store) -> None:
    store.inspections.open(board())
    with ThreadPoolExecutor(32) as pool:
        counts = list(
            pool.map(lambda index: store.inspections.record_check(ID, Check(index, Result.PASS, "fine")), range(32))
        )
    assert max(counts) == 32
    assert len(store.inspections.checks(ID, 32)) == 32


def test_a_revision_is_committed_once_with_all_that_belongs_to_it(store: Store) -> None:
    store.inspections.open(board())
    store.inspections.store_manifest(ID, manifest("short"), 5)
    decided = replace(board(), revision=revision(), told=("hmi", "slack"))
    assert store.inspections.commit(decided, revision(), [entry(), entry(target="slack")])
    assert not store.inspections.commit(replace(decided, told=()), revision(by="sweep"), [entry(target="late")])
    stored = store.inspections.get(ID)
    assert stored is not None
    assert (stored.revision, stored.told) == (revision(), ("hmi", "slack"))
    assert stored.manifest == manifest("short"), "committing a verdict must not touch the manifest"
    assert {pending.target for pending in store.outbox.pending(ID, 1)} == {"hmi", "slack"}
    assert store.outbox.entries(ID, "late") == []


def test_a_manifest_that_comes_after_a_verdict_leaves_the_verdict(store: Store) -> None:
    store.inspections.open(board())
    store.inspections.commit(replace(board(), revision=revision(by="sweep")), revision(by="sweep"), [])
    store.inspections.store_manifest(ID, manifest("short"), 5)
    stored = store.inspections.get(ID)
    assert stored is not None
    assert (stored.revision, stored.manifest) == (revision(by="sweep"), manifest("short"))


@pytest.mark.parametrize("decided_by", ["check:31", "detect", "sweep", "person:Ada Lovelace"])
def test_who_decided_is_kept(store: Store, decided_by: str) -> None:
    store.inspections.open(board())
    store.inspections.commit(replace(board(), revision=revision(by=decided_by)), revision(by=decided_by), [])
    stored = store.inspections.get(ID)
    assert stored is not None and stored.revision is not None
    assert stored.revision.decided_by == Decider.parse(decided_by)


def test_of_32_deciding_at_once_one_wins(store: Store) -> None:
    store.inspections.open(board())

    def attempt(number: int) -> bool:
        mine = revision(by=f"check:{number}")
        return store.inspections.commit(replace(board(), revision=mine), mine, [entry(target=f"t{number}")])

    with ThreadPoolExecutor(32) as pool:
        won = [number for number, success in enumerate(pool.map(attempt, range(32))) if success]
    assert len(won) == 1
    stored = store.inspections.get(ID)
    assert stored is not None
    assert stored.revision == revision(by=f"check:{won[0]}")
    assert [pending.target for pending in store.outbox.pending(ID, 1)] == [f"t{won[0]}"]


def test_a_postponed_board_waits_behind_the_others(store: Store) -> None:
    for number in range(3):
        store.inspections.open(board(f"{number:032}", number))
    now = START + timedelta(seconds=100)
    store.inspections.postpone(f"{0:032}", now + timedelta(seconds=60))
    assert [late.inspection_id for late in store.inspections.overdue(now, 10)] == [f"{1:032}", f"{2:032}"]
    later = store.inspections.overdue(now + timedelta(seconds=60), 10)
    assert [late.inspection_id for late in later] == [f"{1:032}", f"{2:032}", f"{0:032}"]


def test_overdue_are_the_undecided_past_their_deadline_oldest_first(store: Store) -> None:
    for number, deadline_s in enumerate((30, 10, 20, 99)):
        store.inspections.open(board(f"{number:032}", deadline_s))
    decided = board(f"{2:032}", 20)
    store.inspections.commit(replace(decided, revision=revision()), revision(), [])
    late = store.inspections.overdue(START + timedelta(seconds=30), 10)
    assert [found.inspection_id for found in late] == [f"{1:032}", f"{0:032}"]
    assert [found.inspection_id for found in store.inspections.overdue(START + timedelta(seconds=30), 1)] == [
        f"{1:032}"
    ]

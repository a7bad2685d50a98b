"""The port Outbox: what every adapter must do, stale writers and races included."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

from linegate.inspection import OutboxState
from tests.contract.examples import ID, Store, board, entry, revision
from tests.fakes import START


def test_an_outbox_entry_changes_its_state(store: Store) -> None:
    store.inspections.open(board())
    store.inspections.commit(replace(board(), revision=revision()), revision(), [entry()])
    assert store.outbox.entries(ID, "hmi") == [entry()]
    sent = replace(entry(), state=OutboxState.SENT, attempts=2, attempted_at=START, last_error="it answered 503")
    assert store.outbox.update(sent)
    assert store.outbox.entries(ID, "hmi") == [sent]
    assert store.outbox.pending(ID, 1) == []


def test_an_entry_is_updated_only_by_who_knows_its_present_state(store: Store) -> None:
    store.inspections.open(board())
    store.inspections.commit(replace(board(), revision=revision()), revision(), [entry()])
    (read,) = store.outbox.entries(ID, "hmi")
    assert store.outbox.update(replace(read, state=OutboxState.SENT))
    assert not store.outbox.update(replace(read, attempts=1)), "a stale duplicate must not write PENDING over SENT"
    (sent,) = store.outbox.entries(ID, "hmi")
    assert (sent.state, sent.attempts) == (OutboxState.SENT, 0)
    assert store.outbox.update(replace(sent, attempts=2))
    assert not store.outbox.update(entry(target="nobody"))


def test_of_16_updating_an_entry_at_once_one_wins(store: Store) -> None:
    store.inspections.open(board())
    store.inspections.commit(replace(board(), revision=revision()), revision(), [entry()])
    (read,) = store.outbox.entries(ID, "hmi")
    with ThreadPoolExecutor(16) as pool:
        won = list(pool.map(lambda number: store.outbox.update(replace(read, attempts=number)), range(16)))
    assert won.count(True) == 1
    assert [known.attempts for known in store.outbox.entries(ID, "hmi")] == [won.index(True)]


def test_what_a_target_is_told_of_a_board_comes_in_the_order_of_its_revisions(store: Store) -> None:
    store.inspections.open(board())
    store.inspections.commit(replace(board(), revision=revision()), revision(), [entry(), entry(1, "mes")])
    store.inspections.commit(replace(board(), revision=revision(2)), revision(2), [entry(2)])
    assert store.outbox.entries(ID, "hmi") == [entry(1), entry(2)]


def test_stranded_are_pending_entries_that_nobody_has_tried_for_long(store: Store) -> None:
    store.inspections.open(board())
    store.inspections.commit(
        replace(board(), revision=revision()),
        revision(),
        [entry(target=name) for name in ("new", "tried", "sent", "lost")],
    )
    assert store.outbox.update(replace(entry(target="new"), created_at=START + timedelta(seconds=100)))
    store.outbox.update(replace(entry(target="tried"), attempts=1, attempted_at=START + timedelta(seconds=100)))
    store.outbox.update(replace(entry(target="sent"), state=OutboxState.SENT, attempted_at=START))
    found = store.outbox.stranded(START + timedelta(seconds=50), START + timedelta(seconds=50), 10)
    assert [stranded.target for stranded in found] == ["lost"]
    found = store.outbox.stranded(START + timedelta(seconds=50), START + timedelta(seconds=100), 10)
    assert [stranded.target for stranded in found] == ["lost", "tried"]


def test_a_disabled_target_holds_its_entries_until_it_is_enabled(store: Store) -> None:
    store.inspections.open(board())
    entries = [replace(entry(number), state=OutboxState.HELD) for number in (1, 2)]
    store.inspections.commit(board(), revision(1), [entries[0], entry(1, "mes")])
    store.inspections.commit(board(), revision(2), [entries[1]])
    store.outbox.disable_target("hmi", "it answered 410", START)
    store.outbox.disable_target("hmi", "again", START)
    assert store.outbox.disabled_targets() == {"hmi": "it answered 410"}
    assert store.outbox.stranded(START + timedelta(days=1), START, 10) == [entry(1, "mes")]
    freed = store.outbox.enable_target("hmi")
    assert sorted(freed, key=lambda held: held.revision) == [
        replace(held, state=OutboxState.PENDING) for held in entries
    ]
    assert store.outbox.entries(ID, "hmi") == [replace(held, state=OutboxState.PENDING) for held in entries]
    assert store.outbox.disabled_targets() == {}
    assert store.outbox.enable_target("hmi") == []

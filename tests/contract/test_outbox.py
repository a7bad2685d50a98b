"""The port Outbox: what every adapter must do, stale writers and races included."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta

from linegate.inspection import OutboxEntry, OutboxState, outbox_id
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


def told_of_a_shift(target: str = "hmi") -> OutboxEntry:
    about = "report:2026-03-01:early"
    return OutboxEntry(outbox_id(about, 1, target), about, "", 1, target, '{"a":"ü"}', START)


def test_an_entry_that_hangs_on_no_revision_is_made_once(store: Store) -> None:
    report = told_of_a_shift()
    assert store.outbox.add(report)
    assert not store.outbox.add(replace(report, body="another", created_at=START + timedelta(hours=1)))
    assert store.outbox.entries(report.inspection_id, "hmi") == [report]
    assert store.outbox.add(told_of_a_shift("mes"))
    assert store.outbox.stranded(START, START, 10) == [report, told_of_a_shift("mes")]
    assert store.outbox.update(replace(report, state=OutboxState.SENT, attempts=1))
    assert not store.outbox.add(report), "what was sent is not made anew"


def test_of_8_making_an_entry_at_once_one_does(store: Store) -> None:
    bodies = [str(number) for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda body: store.outbox.add(replace(told_of_a_shift(), body=body)), bodies))
    assert made.count(True) == 1
    (entry_,) = store.outbox.entries(told_of_a_shift().inspection_id, "hmi")
    assert entry_.body == bodies[made.index(True)]


def test_a_report_is_held_for_a_disabled_target_as_any_notification(store: Store) -> None:
    store.outbox.add(replace(told_of_a_shift(), state=OutboxState.HELD))
    assert [each.state for each in store.outbox.enable_target("hmi")] == [OutboxState.PENDING]


def test_how_far_each_target_has_heard_of_shifts_is_remembered(store: Store) -> None:
    assert store.outbox.reported_until("hmi") is None
    store.outbox.note_reported("hmi", START)
    store.outbox.note_reported("mes", START + timedelta(hours=8))
    store.outbox.note_reported("hmi", START + timedelta(hours=1))
    assert store.outbox.reported_until("hmi") == START + timedelta(hours=1)
    assert store.outbox.reported_until("mes") == START + timedelta(hours=8)

"""The port Queries: what every adapter answers, however the store keeps it."""

from dataclasses import replace
from datetime import timedelta

from linegate.answers import Refusal
from linegate.inspection import Inspection, OutboxState
from linegate.ports import Undelivered
from linegate.search import Page, Wanted
from tests.contract.examples import ID, Store, answered, board, entry, review, revision
from tests.fakes import START


def ids(found: list[Inspection]) -> list[str]:
    return [inspection.inspection_id for inspection in found]


def numbered(number: int, line: str = "l", serial: str = "A") -> Inspection:
    """The board that was received `number` seconds after the start, with a deadline ten seconds later."""
    at = START + timedelta(seconds=number)
    one = board(f"{number:032}", number + 10)
    return replace(one, place=replace(one.place, line=line, serial=serial), received_at=at)


def test_an_empty_store_has_an_answer_to_everything(store: Store) -> None:
    queries = store.queries
    assert queries.undecided(START) == (0, 0)
    assert (queries.decided(), queries.newest(), queries.find("A", 5)) == ([], None, [])
    assert (queries.search(Wanted()), queries.waiting()) == (Page(), Page(count=0))
    assert queries.counts(None, None, START - timedelta(days=9), START + timedelta(days=9)) == []
    assert (queries.revisions(ID), queries.notifications(ID), queries.undelivered()) == ([], [], [])


def test_what_waits_is_counted_and_so_is_what_is_overdue(store: Store) -> None:
    for number in range(4):
        store.inspections.open(numbered(number))
    store.inspections.commit(replace(numbered(3), revision=revision()), revision(), [])
    assert store.queries.undecided(START + timedelta(seconds=11)) == (3, 2)
    assert store.queries.decided() == [f"{3:032}"]


def test_the_newest_is_the_one_that_was_received_last(store: Store) -> None:
    for number in (1, 2, 0):
        store.inspections.open(numbered(number))
    assert store.queries.newest() == START + timedelta(seconds=2)


def test_a_board_is_found_by_its_serial_or_by_how_its_id_begins(store: Store) -> None:
    for number, serial in enumerate(("A", "B", "A", "000000")):
        store.inspections.open(numbered(number, serial=serial))
    other = replace(board("abcdef" + "0" * 26), received_at=START - timedelta(seconds=1))
    store.inspections.open(other)
    find = store.queries.find
    assert ids(find("A", 9)) == [f"{2:032}", f"{0:032}"]
    assert ids(find("A", 1)) == [f"{2:032}"]
    assert ids(find("abcdef", 9)) == [other.inspection_id]
    assert find("abcde", 9) == [], "too short for an id"
    assert find("ABCDEF", 9) == []
    assert ids(find("000000", 9)) == [f"{number:032}" for number in (3, 2, 1, 0)], "by either, each once"


def test_what_became_of_a_board_is_told_in_order(store: Store) -> None:
    store.inspections.open(board())
    second = revision(2, "sweep")
    store.inspections.commit(replace(board(), revision=revision()), revision(), [entry(1, "mes"), entry(1)])
    store.inspections.commit(replace(board(), revision=second), second, [entry(2)])
    assert store.queries.revisions(ID) == [revision(), second]
    assert store.queries.notifications(ID) == [entry(1), entry(1, "mes"), entry(2)]


def test_what_persons_said_is_kept_as_it_was_and_so_is_what_was_refused(store: Store) -> None:
    store.inspections.open(board())
    store.inspections.commit(replace(board(), revision=revision()), revision(), [])
    store.inspections.commit(replace(board(), revision=answered()), answered(), [])
    assert store.queries.revisions(ID) == [revision(), answered()]
    stored = store.inspections.get(ID)
    assert stored is not None
    assert stored.revision == answered()
    late = Refusal(review("Ada"), "Zoë was first.", START, 2, "person:Zoë")
    later = Refusal(review("Bob"), "Zoë was first.", START + timedelta(seconds=1), 2, "person:Zoë")
    for refusal in (later, late, replace(late, reason="told again")):
        store.inspections.refuse(refusal)
    assert store.queries.refusals(ID) == [late, later], "the first refusal of a review counts"
    assert store.queries.refusals("1" * 32) == []


def test_what_was_not_delivered_is_summed_up_by_target_and_state(store: Store) -> None:
    store.inspections.open(board())
    later = START + timedelta(seconds=5)
    store.inspections.commit(
        replace(board(), revision=revision()),
        revision(),
        [
            replace(entry(1), state=OutboxState.SENT),
            replace(entry(2), attempts=3, last_error="it answered 503", created_at=later),
            entry(3),
            replace(entry(1, "mes"), state=OutboxState.DEAD, attempts=9),
            replace(entry(2, "mes"), state=OutboxState.HELD),
            replace(entry(3, "mes"), state=OutboxState.SUPERSEDED),
        ],
    )
    assert store.queries.undelivered() == [
        Undelivered("hmi", OutboxState.PENDING, 2, 3, START, "it answered 503"),
        Undelivered("mes", OutboxState.DEAD, 1, 9, START),
        Undelivered("mes", OutboxState.HELD, 1, 0, START),
    ]

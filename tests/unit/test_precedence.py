"""Which revision may follow which: the table whole, and what holds for every history."""

from datetime import UTC, datetime
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linegate.codec import codec
from linegate.inspection import DETECT, SWEEP, Decider, Decision, Revision, Role, Verdict
from linegate.precedence import Step, step

NEXT, REPEAT, STANDS = Step
ADA, BOB = Decider.person("Ada"), Decider.person("Bob")
FIRST, SECOND = Decider.check(0), Decider.check(1)
MACHINES = (FIRST, SECOND, DETECT, SWEEP)


def revision(decided_by: Decider, *, complete: bool = True, number: int = 2) -> Revision:
    decision = Decision(Verdict.FAIL, complete, 0, (), "")
    return Revision(number, decided_by, datetime(2026, 3, 1, tzinfo=UTC), decision)


@pytest.mark.parametrize("decided_by", [*MACHINES, ADA])
@pytest.mark.parametrize("complete", [True, False])
def test_whoever_comes_first_decides(decided_by: Decider, *, complete: bool) -> None:
    assert step(None, decided_by, complete=complete) is NEXT


@pytest.mark.parametrize("standing", MACHINES)
@pytest.mark.parametrize("decided_by", MACHINES)
@pytest.mark.parametrize(
    ("stands_complete", "complete", "becomes"),
    [(False, False, STANDS), (False, True, NEXT), (True, False, STANDS), (True, True, STANDS)],
)
def test_a_machine_follows_a_machine_only_with_what_was_missing(
    standing: Decider, decided_by: Decider, *, stands_complete: bool, complete: bool, becomes: Step
) -> None:
    wanted = REPEAT if standing == decided_by else becomes
    assert step(revision(standing, complete=stands_complete), decided_by, complete=complete) is wanted


@pytest.mark.parametrize("decided_by", MACHINES)
@pytest.mark.parametrize("complete", [True, False])
@pytest.mark.parametrize("stands_complete", [True, False])
def test_no_machine_follows_a_person(decided_by: Decider, *, complete: bool, stands_complete: bool) -> None:
    assert step(revision(ADA, complete=stands_complete), decided_by, complete=complete) is STANDS


@pytest.mark.parametrize("standing", MACHINES)
@pytest.mark.parametrize("stands_complete", [True, False])
@pytest.mark.parametrize("seen", [0, 1, 2])
def test_a_person_follows_any_machine(standing: Decider, *, stands_complete: bool, seen: int) -> None:
    assert step(revision(standing, complete=stands_complete), ADA, complete=True, seen=seen) is NEXT


@pytest.mark.parametrize(
    ("decided_by", "seen", "becomes"),
    [(BOB, 0, STANDS), (BOB, 1, STANDS), (BOB, 2, NEXT), (ADA, 0, REPEAT), (ADA, 1, REPEAT), (ADA, 2, NEXT)],
)
def test_a_person_follows_a_person_whose_revision_they_saw(decided_by: Decider, seen: int, becomes: Step) -> None:
    assert step(revision(ADA), decided_by, complete=True, seen=seen) is becomes


deciders = st.sampled_from([*MACHINES, ADA, BOB])
told = st.tuples(deciders, st.booleans(), st.integers(0, 3))


def after(history: list[Revision], decisions: list[tuple[Decider, bool, int]]) -> list[Revision]:
    """The history once these decisions were told, one after the other; nobody has seen what was not there."""
    history = list(history)
    for decided_by, complete, seen in decisions:
        standing = history[-1] if history else None
        whole = complete or decided_by.is_person
        if step(standing, decided_by, complete=whole, seen=min(seen, len(history))) is NEXT:
            history.append(revision(decided_by, complete=whole, number=len(history) + 1))
    return history


@given(st.lists(told, max_size=12))
def test_in_every_history_people_have_the_last_word_and_machines_only_complete_what_machines_began(
    decisions: list[tuple[Decider, bool, int]],
) -> None:
    history = after([], decisions)
    for earlier, later in pairwise(history):
        if not later.decided_by.is_person:
            assert not earlier.decided_by.is_person
            assert (earlier.decision.complete, later.decision.complete) == (False, True)
    assert bool(history) == bool(decisions)
    assert sum(not one.decided_by.is_person for one in history) <= 2


@given(st.lists(told, max_size=8), st.data())
def test_what_was_told_once_changes_nothing_when_it_is_told_again(
    decisions: list[tuple[Decider, bool, int]], data: st.DataObject
) -> None:
    history: list[Revision] = []
    made: list[tuple[Decider, bool, int]] = []
    for decided_by, complete, seen in decisions:
        decision = (decided_by, complete, min(seen, len(history)))  # what somebody saw is part of what is told
        history = after(history, [decision])
        made.append(decision)
    assert after(history, data.draw(st.permutations(made))) == history


# --- who decides


@pytest.mark.parametrize(
    ("decider", "text"),
    [
        (DETECT, "detect"),
        (SWEEP, "sweep"),
        (Decider.check(31), "check:31"),
        (Decider.person("Zoë: QA"), "person:Zoë: QA"),
    ],
)
def test_who_decided_is_written_as_in_the_first_release_and_read_again(decider: Decider, text: str) -> None:
    written = codec(Revision).dump_python(revision(decider))
    assert written["decided_by"] == text
    assert codec(Revision).validate_python(written) == revision(decider)
    assert codec(Revision).validate_json(codec(Revision).dump_json(revision(decider))) == revision(decider)
    assert str(Decider.parse(text)) == text


@pytest.mark.parametrize("text", ["", "check", "check:", "check:-1", "check:01", "sweep:", "sweep:1", "person:", "Ada"])
def test_a_text_that_names_nobody_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="names nobody who decides"):
        Decider.parse(text)


@pytest.mark.parametrize(
    ("role", "index", "name"), [(Role.CHECK, None, "x"), (Role.SWEEP, 1, ""), (Role.PERSON, 1, "x")]
)
def test_nobody_decides_in_two_roles(role: Role, index: int | None, name: str) -> None:
    with pytest.raises(ValueError, match="nobody decides"):
        Decider(role, index, name)

"""Which revision may follow which: the table whole, and what holds for every history."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from linegate.answers import Review
from linegate.codec import codec
from linegate.deciders import DETECT, SWEEP, Decider, Role
from linegate.inspection import Decision, Revision, Verdict
from linegate.precedence import Step, step

NEXT, REPEAT, STANDS, REFUSED = Step
AT = datetime(2026, 3, 1, tzinfo=UTC)
FIRST, SECOND = Decider.check(0), Decider.check(1)
MACHINES = (FIRST, SECOND, DETECT, SWEEP)


def said(author: str = "Ada", seen: int = 1) -> Review:
    return Review("id", author, "test", seen, AT)


ADA = said()


def revision(decided_by: Decider | Review, *, complete: bool = True, number: int = 2) -> Revision:
    decision = Decision(Verdict.FAIL, complete, 0, (), "")
    if isinstance(decided_by, Review):
        return Revision(number, Decider.person(decided_by.author), AT, decision, review=decided_by)
    return Revision(number, decided_by, AT, decision)


def becomes(standing: Revision | None, who: Decider | Review, *, complete: bool = True) -> Step:
    if isinstance(who, Review):
        return step(standing, Decider.person(who.author), complete=True, review=who)
    return step(standing, who, complete=complete)


@pytest.mark.parametrize("decided_by", MACHINES)
@pytest.mark.parametrize("complete", [True, False])
def test_the_machine_that_comes_first_decides(decided_by: Decider, *, complete: bool) -> None:
    assert becomes(None, decided_by, complete=complete) is NEXT


@pytest.mark.parametrize("seen", [0, 1])
def test_a_person_decides_nothing_before_there_is_something_to_see(seen: int) -> None:
    assert becomes(None, said(seen=seen)) is REFUSED


@pytest.mark.parametrize("standing", MACHINES)
@pytest.mark.parametrize("decided_by", MACHINES)
@pytest.mark.parametrize(
    ("stands_complete", "complete", "wanted"),
    [(False, False, STANDS), (False, True, NEXT), (True, False, STANDS), (True, True, STANDS)],
)
def test_a_machine_follows_a_machine_only_with_what_was_missing(
    standing: Decider, decided_by: Decider, *, stands_complete: bool, complete: bool, wanted: Step
) -> None:
    wanted = REPEAT if standing == decided_by else wanted
    assert becomes(revision(standing, complete=stands_complete), decided_by, complete=complete) is wanted


@pytest.mark.parametrize("decided_by", MACHINES)
@pytest.mark.parametrize("complete", [True, False])
def test_no_machine_follows_a_person(decided_by: Decider, *, complete: bool) -> None:
    assert becomes(revision(ADA), decided_by, complete=complete) is STANDS


@pytest.mark.parametrize("standing", [*MACHINES, said("Eve")])
@pytest.mark.parametrize("stands_complete", [True, False])
@pytest.mark.parametrize(("seen", "wanted"), [(0, REFUSED), (1, REFUSED), (2, NEXT), (3, REFUSED)])
@pytest.mark.parametrize("author", ["Ada", "Eve"])
def test_a_person_follows_whatever_they_saw_and_nothing_else(
    standing: Decider | Review, seen: int, wanted: Step, author: str, *, stands_complete: bool
) -> None:
    assert becomes(revision(standing, complete=stands_complete), said(author, seen)) is (
        REPEAT if said(author, seen) == standing else wanted
    )


def test_a_review_that_is_told_again_is_itself() -> None:
    again = replace(ADA, at=AT + timedelta(seconds=9), origin="from somewhere else")
    assert becomes(revision(ADA), again) is REPEAT
    assert becomes(revision(ADA), replace(ADA, comment="And yet.")) is REFUSED


reviews = st.builds(said, st.sampled_from(["Ada", "Bob"]), st.integers(0, 3))
told = st.tuples(st.sampled_from(MACHINES) | reviews, st.booleans())


def after(history: list[Revision], decisions: list[tuple[Decider | Review, bool]]) -> list[Revision]:
    """The history once these decisions were told, one after the other."""
    history = list(history)
    for who, complete in decisions:
        if becomes(history[-1] if history else None, who, complete=complete) is NEXT:
            whole = complete or isinstance(who, Review)
            history.append(revision(who, complete=whole, number=len(history) + 1))
    return history


@given(st.lists(told, max_size=12))
def test_in_every_history_people_have_the_last_word_and_machines_only_complete_what_machines_began(
    decisions: list[tuple[Decider | Review, bool]],
) -> None:
    history = after([], decisions)
    for earlier, later in pairwise(history):
        if later.review is None:
            assert earlier.review is None
            assert (earlier.decision.complete, later.decision.complete) == (False, True)
        else:
            assert later.review.seen == earlier.number, "nobody decides over what they had not seen"
    assert bool(history) == any(isinstance(who, Decider) for who, _ in decisions)
    assert sum(one.review is None for one in history) <= 2


@given(st.lists(told, max_size=8), st.data())
def test_what_was_told_once_changes_nothing_when_it_is_told_again(
    decisions: list[tuple[Decider | Review, bool]], data: st.DataObject
) -> None:
    history = after([], decisions)
    # What a person said of a revision that was not there yet is kept as refused, which is not this rule's to know.
    taken = [revision.review for revision in history]
    machines = [each for each in decisions if isinstance(each[0], Decider)]
    again = [*machines, *((review, True) for review in taken if review is not None)]
    assert after(history, data.draw(st.permutations(again))) == history


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

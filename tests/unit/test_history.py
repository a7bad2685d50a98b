"""What a line's history says of its gate: only what persons looked at, and only as far as that goes."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from linegate.answers import Disposition, Review, Ruling
from linegate.bounds import upper
from linegate.deciders import Decider, Role
from linegate.evaluation.history import Decided, assess, decided, lines
from linegate.inspection import Decision, Inspection, ObjectRef, Place, Revision, Verdict

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def revision(number: int, verdict: Verdict, by: Decider) -> Revision:
    return Revision(number, by, NOW, Decision(verdict, True, 0, (), ""))


def inspection(serial: str, latest: Revision | None) -> Inspection:
    image = ObjectRef("uploads", f"uploads/smt-1/aoi/{serial}.jpg", 1)
    place = Place("smt-1", "aoi", serial)
    return Inspection(image.inspection_id, image, place, "pcb", NOW, NOW, NOW, revision=latest)


GATE = revision(1, Verdict.REVIEW, Decider(Role.DETECT))
PERSON = revision(2, Verdict.PASS, Decider.person("Ada"))


def test_a_person_is_told_beside_what_the_gate_had_said() -> None:
    history = {inspection("1", PERSON).inspection_id: [GATE, PERSON]}
    found = decided([inspection("1", PERSON), inspection("2", GATE), inspection("3", None)], history.__getitem__)
    assert found == [Decided(Verdict.REVIEW, Verdict.PASS), Decided(Verdict.REVIEW)]


def test_a_product_that_was_repaired_was_bad_when_it_came() -> None:
    review = Review("id", "Ada", "test", 1, NOW, (Ruling(0, Disposition.REPAIRED),))
    latest = replace(PERSON, review=review)
    found = decided([inspection("1", latest)], lambda _: [GATE, latest])
    assert found == [Decided(Verdict.REVIEW, Verdict.FAIL)]


def test_a_board_that_was_inspected_twice_is_one_board() -> None:
    again = inspection("1", revision(1, Verdict.PASS, Decider(Role.DETECT)))
    assert decided([again, inspection("1", GATE)], lambda _: []) == [Decided(Verdict.PASS)]
    assert len(decided([inspection("", GATE)] * 2, lambda _: [])) == 2, "of boards without a serial nobody knows"


def test_without_any_person_nothing_is_known_and_what_is_needed_is_told() -> None:
    told = assess([Decided(Verdict.PASS)] * 500, 0.95)
    assert told["passed_and_bad_at_most"] is None
    said = " ".join(lines(told))
    assert "No person has decided" in said
    assert "persons' decisions on 373 boards that passed, drawn at random" in said


def test_boards_that_passed_and_were_looked_at_bound_what_passes_bad() -> None:
    boards = [*[Decided(Verdict.PASS, Verdict.PASS)] * 99, Decided(Verdict.PASS, Verdict.FAIL), Decided(Verdict.PASS)]
    told = assess(boards, 0.95)
    assert told["passed_and_bad_at_most"] == pytest.approx(upper(1, 100, 0.95))
    assert any("of 100 boards that passed, persons called 1 bad" in line for line in lines(told))


def test_persons_who_only_looked_at_what_was_held_say_nothing_of_escapes() -> None:
    told = assess([Decided(Verdict.FAIL, Verdict.PASS), Decided(Verdict.REVIEW, Verdict.FAIL)], 0.95)
    said = " ".join(lines(told))
    assert "nothing is known of escapes" in said
    assert "of 1 boards that failed, persons called 1 good" in said

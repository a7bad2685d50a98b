"""A person's decision: what it needs, what it makes of a product, and that nobody undoes it or is overruled unseen."""

import json
from dataclasses import replace
from typing import Any

import pytest

from linegate.answers import Disposition, Missed, Review, Ruling
from linegate.deciders import DETECT
from linegate.errors import MessageError, PermanentError
from linegate.events import parse, push_body, to_message
from linegate.handlers.revise import drawing
from linegate.imaging import decode
from linegate.inspection import Check, Manifest, Result, Revision, Verdict
from linegate.messages import ImageUploaded, ReviewGiven
from linegate.shapes import Box
from linegate.verdict import answered, decide, lacking, rejected
from tests.fakes import START, detection
from tests.harness import Gate

TRUE, FALSE, ACCEPTED, REPAIRED = Disposition
BOX = Box(20, 20, 8, 8)
PASSED, FAILED, UNSURE = (Check(index, result, "why") for index, result in enumerate(Result))
SOUND = Manifest.of([detection(name) for name in ("a", "b", "c")], width=64, height=64)
DOUBTED = replace(SOUND, doubts=("It is dark.",))


def said(*rulings: tuple[int, Disposition], **fields: Any) -> Review:
    return Review("id", "Ada", "test", 1, START, tuple(Ruling(*ruling) for ruling in rulings), **fields)


def seen(manifest: Manifest | None, *checks: Check, fault: str = "") -> Revision:
    return Revision(1, DETECT, START, decide(manifest, {check.index: check for check in checks}, fault))


MIXED = seen(SOUND, PASSED, FAILED, UNSURE)


# --- the rule


@pytest.mark.parametrize(
    ("review", "missing"),
    [
        (said(), "finding 1, 2"),
        (said((1, FALSE)), "finding 2"),
        (said((0, FALSE), (2, FALSE), looked=True), "finding 1"),
        (said((1, FALSE), (3, FALSE)), "no finding 3"),
        (said((7, TRUE)), "no finding 7"),
    ],
)
def test_what_was_not_ruled_on_is_named_and_passes_nothing(review: Review, missing: str) -> None:
    (told,) = lacking(SOUND, MIXED, review)
    assert missing in told


@pytest.mark.parametrize("words", [(FALSE, FALSE), (ACCEPTED, REPAIRED), (REPAIRED, FALSE)])
def test_a_person_passes_what_they_ruled_on(words: tuple[Disposition, Disposition]) -> None:
    review = said((1, words[0]), (2, words[1]))
    assert not lacking(SOUND, MIXED, review)
    decision = answered(SOUND, MIXED, review)
    assert (decision.verdict, decision.complete, decision.fail_count) == (Verdict.PASS, True, 0)
    assert decision.checks == MIXED.decision.checks, "what the machine said is kept"


@pytest.mark.parametrize(
    ("review", "count"),
    [
        (said((1, TRUE)), 1),
        (said((0, TRUE)), 1),  # the machine had cleared it
        (said((0, TRUE), (1, TRUE), (2, FALSE)), 2),
        (said(missed=(Missed("crack", BOX),)), 1),
        (said((1, FALSE), (2, FALSE), missed=(Missed("crack"),), looked=True), 1),
    ],
)
def test_one_defect_fails_the_product_whatever_else_is_said(review: Review, count: int) -> None:
    assert not lacking(SOUND, MIXED, review)
    decision = answered(SOUND, MIXED, review)
    assert (decision.verdict, decision.fail_count, len(decision.reasons)) == (Verdict.FAIL, count, count)
    assert all("Ada" in reason for reason in decision.reasons)


@pytest.mark.parametrize(
    ("manifest", "standing"),
    [
        (DOUBTED, seen(DOUBTED, PASSED, PASSED, PASSED)),
        (None, seen(None)),
        (None, Revision(1, DETECT, START, rejected("It is no picture."))),
        (SOUND, seen(SOUND, PASSED)),  # at the deadline
        (SOUND, seen(None)),  # a detector answered after the deadline
    ],
)
def test_where_the_machine_did_not_see_all_a_person_passes_only_what_they_looked_at(
    manifest: Manifest | None, standing: Revision
) -> None:
    every = [(index, FALSE) for index in range(3)] if manifest else []
    (told,) = lacking(manifest, standing, said(*every))
    assert "look at the whole product" in told
    assert not lacking(manifest, standing, said(*every, looked=True))
    assert answered(manifest, standing, said(*every, looked=True)).verdict is Verdict.PASS


def test_a_finding_that_came_after_what_they_saw_needs_their_word_as_well() -> None:
    told = lacking(SOUND, seen(None), said(looked=True))
    assert "finding 0, 1, 2" in told[0]


def test_a_product_without_a_picture_may_be_failed() -> None:
    standing = Revision(1, DETECT, START, rejected("It is no picture."))
    decision = answered(None, standing, said(missed=(Missed("crack"),)))
    assert (decision.verdict, decision.fail_count, decision.checks) == (Verdict.FAIL, 1, ())


def test_whoever_passes_what_a_person_failed_looks_at_it_and_answers_their_word() -> None:
    first = said((0, TRUE), missed=(Missed("crack", BOX),))
    standing = Revision(2, DETECT, START, answered(SOUND, MIXED, first), review=first)
    second = said((1, FALSE), (2, FALSE))
    told = " ".join(lacking(SOUND, standing, second))
    assert "finding 0" in told
    assert "Ada failed it" in told
    assert not lacking(SOUND, standing, said((0, REPAIRED), (1, FALSE), (2, FALSE), looked=True))


@pytest.mark.parametrize(
    "fields",
    [
        {"author": " "},
        {"author": "Machine"},
        {"author": "x" * 201},
        {"author": "a\x1b[2J"},
        {"seen": -1},
        {"comment": "x" * 1001},
        {"comment": "\ud800"},
        {"rulings": (Ruling(0, FALSE), Ruling(0, TRUE))},
        {"rulings": (Ruling(-1, FALSE),)},
        {"missed": (Missed(""),)},
        {"missed": (Missed("x", Box(1, 1, 0, 1)),)},
        {"missed": (Missed("x", Box(float("nan"), 1, 1, 1)),)},
        {"missed": (Missed("x"),) * 101},
        {"at": START.replace(tzinfo=None)},
    ],
)
def test_a_review_that_nobody_could_keep_or_understand_is_none(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"a review|a comment|a person|the box"):
        replace(said(), **fields)


# --- the message


def delivered(event: ReviewGiven, **changed: Any) -> ReviewGiven | None:
    message = to_message(event)
    data = json.loads(message.data)
    data["review"] |= changed
    body = push_body(
        replace(message, data=json.dumps(data).encode()), message_id="1", publish_time="", subscription="s", attempt=1
    )
    return parse("google.cloud.pubsub.topic.v1.messagePublished", body, ReviewGiven)


def test_a_review_arrives_as_it_was_given_and_a_broken_one_is_told() -> None:
    event = ReviewGiven("id", "smt-1", said((1, TRUE), missed=(Missed("crack", BOX),), looked=True, comment="Hm."))
    assert delivered(event) == event
    for changed in ({"author": ""}, {"inspection_id": "other"}, {"rulings": [{"index": 0, "disposition": "maybe"}]}):
        with pytest.raises(MessageError):
            delivered(event, **changed)


# --- the handler


@pytest.fixture
def gate() -> Gate:
    gate = Gate()
    gate.finds("short", "spur")
    gate.verifier.answers = {"short": Result.UNSURE, "spur": Result.PASS}
    return gate


def decided(gate: Gate) -> tuple[ImageUploaded, str]:
    upload = gate.upload()
    gate.run()
    return upload, upload.image.inspection_id


def test_a_review_is_answered_and_everybody_hears_of_it(gate: Gate) -> None:
    upload, identity = decided(gate)
    assert gate.verdict(upload) == "REVIEW"
    review = gate.answer(identity, rulings=(Ruling(0, FALSE),), comment="Dust.")
    gate.run()
    latest = gate.board(upload).revision
    assert latest is not None
    assert (latest.number, latest.decision.verdict, str(latest.decided_by)) == (2, Verdict.PASS, "person:Ada")
    assert latest.review == review, "who, when, from where, and what they saw is kept"
    first, second = gate.told("hmi")
    assert (first["decided_by"], first["review"]) == ("machine", None)
    assert (second["decided_by"], second["verdict"], second["corrects"]["verdict"]) == ("Ada", "PASS", "REVIEW")
    assert second["review"]["comment"] == "Dust."
    assert "origin" not in second["review"]
    assert [defect.get("disposition") for defect in second["defects"]] == ["false_call", None]


def test_the_picture_shows_their_words_and_what_they_missed(gate: Gate) -> None:
    upload, identity = decided(gate)
    gate.answer(identity, rulings=(Ruling(0, ACCEPTED),), missed=(Missed("crack", Box(40, 40, 9, 9)),))
    gate.run()
    board = gate.board(upload)
    assert board.revision is not None
    drawn = gate.images.objects["results", f"results/{identity}/r2.jpg"][1]
    upright = decode(gate.images.objects["uploads", board.image.name][1])
    assert drawn == drawing(upright, board, board.revision.decision, board.revision.review)
    assert drawn != drawing(upright, board, board.revision.decision)


def test_the_same_decision_twice_is_one_and_another_is_refused(gate: Gate) -> None:
    upload, identity = decided(gate)
    gate.answer(identity, rulings=(Ruling(0, FALSE),))
    gate.clock.advance(5)
    gate.answer(identity, rulings=(Ruling(0, FALSE),))
    gate.answer(identity, "Bob", rulings=(Ruling(0, TRUE),))
    gate.run()
    gate.answer(identity, "Cem", seen=2, rulings=(Ruling(0, TRUE),))
    gate.run()
    gate.answer(identity, rulings=(Ruling(0, FALSE),))  # Ada's first one, delivered once more after Cem's
    gate.run()
    history = gate.inspections.history[identity]
    assert [str(revision.decided_by) for revision in history] == ["check:1", "person:Ada", "person:Cem"]
    (refusal,) = gate.context.queries.refusals(identity)
    assert refusal.review.author == "Bob"
    assert refusal.reason == "Ada was first: revision 2 is PASS. Look again."
    assert (refusal.standing, refusal.first) == (2, "person:Ada")
    assert gate.verdict(upload) == "FAIL"


def test_what_is_left_out_is_told_and_kept(gate: Gate) -> None:
    upload, identity = decided(gate)
    gate.answer(identity)
    gate.answer(identity)
    gate.run()
    assert gate.verdict(upload) == "REVIEW"
    (refusal,) = gate.context.queries.refusals(identity)
    assert refusal.reason == "Nothing is said of finding 0."


def late(gate: Gate) -> tuple[ImageUploaded, str]:
    """A board that was decided at its deadline; its checks still lie on the bus."""
    upload = gate.upload()
    gate.run("uploads", "crops")
    gate.clock.advance(61)
    gate.sweep()
    gate.run("notifications")
    return upload, upload.image.inspection_id


def test_a_person_who_saw_what_a_machine_has_completed_since_must_look_again(gate: Gate) -> None:
    upload, identity = late(gate)
    gate.run()
    gate.answer(identity, rulings=(Ruling(0, FALSE), Ruling(1, FALSE)), looked=True)
    gate.run()
    (refusal,) = gate.context.queries.refusals(identity)
    assert refusal.reason == "The machine decided again meanwhile: revision 2 is REVIEW. Look again."
    assert gate.verdict(upload) == "REVIEW"


@pytest.mark.parametrize("lost", [False, True])
def test_a_late_machine_undoes_no_persons_pass_and_its_fail_is_kept_and_shown(gate: Gate, *, lost: bool) -> None:
    gate.verifier.answers = {"short": Result.FAIL, "spur": Result.PASS}
    upload, identity = late(gate)
    gate.answer(identity, rulings=(Ruling(0, FALSE), Ruling(1, FALSE)), looked=True)
    gate.run("reviews")
    if lost:  # of the two checks only the one that failed comes at all
        gate.bus.messages = gate.bus.messages[:1]
    gate.run()
    assert gate.verdict(upload) == "PASS"
    assert [str(revision.decided_by) for revision in gate.inspections.history[identity]] == ["sweep", "person:Ada"]
    assert gate.board(upload).contradicted == (0,)
    assert 0 in gate.inspections.recorded[identity]


def test_a_fail_that_a_person_saw_contradicts_nobody_however_late_it_came(gate: Gate) -> None:
    gate.verifier.answers = {"short": Result.FAIL, "spur": Result.PASS}
    upload = gate.upload()
    gate.run("uploads", "crops")
    gate.clock.advance(61)
    gate.run()
    gate.answer(upload.image.inspection_id, rulings=(Ruling(0, FALSE),))
    gate.run()
    board = gate.board(upload)
    assert (gate.verdict(upload), board.late_fails, board.contradicted) == ("PASS", (0,), ())


def test_what_a_late_machine_clears_contradicts_nobody(gate: Gate) -> None:
    upload, identity = late(gate)
    gate.answer(identity, rulings=(Ruling(0, FALSE), Ruling(1, FALSE)), looked=True)
    gate.run("reviews")
    gate.run()
    assert gate.board(upload).contradicted == ()


def test_a_decision_about_nothing_that_is_known_is_permanent() -> None:
    gate = Gate()
    upload = gate.upload()
    gate.run()
    message = to_message(ReviewGiven("f" * 32, "smt-1", replace(said(), inspection_id="f" * 32)))
    with pytest.raises(PermanentError):
        gate.handle("reviews", message)
    assert gate.verdict(upload) == "PASS"

"""A line whose gate has not failed its challenge boards in time passes nothing, and says why."""

import hashlib
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from linegate.challenges import Challenge, standing
from linegate.config import parse
from linegate.errors import ConfigError, TransientError
from linegate.handlers.challenge import standings
from linegate.inspection import Place, Result
from linegate.messages import ImageUploaded
from linegate.ports import Found, Reference
from linegate.sight import Sight, measure
from tests.boards import draw
from tests.fakes import START, detection
from tests.harness import CONFIG, Gate

EVERY = timedelta(hours=8)
CHALLENGED = CONFIG.replace("smt-2: {recipe: trusting}", "smt-2: {recipe: trusting, challenge_every: 8h}")
GOLDEN = b"the golden picture's file"
A_CHALLENGE = Challenge("smt-2", "trusting", "setup", START, boards=5)
instants = st.datetimes(
    min_value=(START - timedelta(days=9)).replace(tzinfo=None), max_value=START.replace(tzinfo=None)
)


@dataclass
class FiledBoard:
    """A registrar that knows its golden picture's file, and which names it was asked for."""

    file: bytes = GOLDEN

    def sight(self, golden: str) -> Sight:
        return replace(measure(draw()), digest=hashlib.sha256(self.file + golden.encode()).hexdigest())

    def register(self, picture: Image.Image, golden: str) -> Reference:
        return Reference(Image.new("RGB", picture.size, "green"))


@pytest.fixture
def gate() -> Gate:
    return Gate(settings=parse(CHALLENGED, Path(), {}), registrar=FiledBoard())


def product(gate: Gate, serial: str = "A1") -> ImageUploaded:
    upload = gate.upload(f"uploads/smt-2/aoi/{serial}.png")
    gate.run()
    return upload


def challenge(gate: Gate, *, passed: int = 0) -> Challenge:
    """As the command does: known-bad pictures through the line of its own, and what became of them put down."""
    gate.finds("short")
    upload = gate.upload("uploads/smt-2-challenge/aoi/bad.png")
    gate.run()
    assert gate.verdict(upload) == "FAIL"
    gate.finds()
    board = gate.board(upload)
    assert board.manifest is not None
    put_down = Challenge("smt-2", board.recipe, board.manifest.setup, board.received_at, 5, passed)
    gate.challenges.record(put_down)
    return put_down


def reasons(gate: Gate, upload: ImageUploaded) -> str:
    revision = gate.board(upload).revision
    assert revision is not None
    return " ".join(revision.decision.reasons)


def test_a_gate_that_was_never_challenged_passes_nothing_and_says_what_to_do(gate: Gate) -> None:
    upload = product(gate)
    assert gate.verdict(upload) == "REVIEW"
    assert "No challenge board has been failed yet; run `linegate challenge --line smt-2`." in reasons(gate, upload)


def test_a_bad_board_fails_all_the_same(gate: Gate) -> None:
    gate.finds("short")
    assert gate.verdict(product(gate)) == "FAIL"


def test_a_challenge_counts_until_the_next_is_due(gate: Gate) -> None:
    challenge(gate)
    gate.clock.advance(8 * 3600 - 1)
    assert gate.verdict(product(gate, "A1")) == "PASS"
    gate.clock.advance(2)
    late = product(gate, "A2")
    assert gate.verdict(late) == "REVIEW"
    assert f"since {START.astimezone():%Y-%m-%d %H:%M}" in reasons(gate, late)
    challenge(gate)
    assert gate.verdict(product(gate, "A3")) == "PASS"


def test_a_known_bad_board_that_passed_ends_the_trust_at_once(gate: Gate) -> None:
    challenge(gate)
    challenge(gate, passed=1)
    upload = product(gate)
    assert gate.verdict(upload) == "REVIEW"
    assert "Of 5 challenge boards, all known to be bad, 1 PASSED" in reasons(gate, upload)


def test_another_golden_picture_or_recipe_has_to_be_proved_anew(gate: Gate) -> None:
    challenge(gate)
    gate.registrar = FiledBoard(b"another picture")
    assert "another than at the challenge of" in reasons(gate, product(gate, "A1"))
    gate.registrar = FiledBoard()
    assert gate.verdict(product(gate, "A2")) == "PASS"
    laxer = CHALLENGED.replace(
        "{golden: golden.png, verifier: none}", "{golden: golden.png, verifier: none, confidence: 0.8}"
    )
    gate.settings = parse(laxer, Path(), {})
    assert "another than at the challenge of" in reasons(gate, product(gate, "A3"))


def test_a_challenge_never_reaches_who_hears_of_the_line(gate: Gate) -> None:
    challenge(gate)
    assert gate.told("hmi") == gate.told("alarm") == []
    assert gate.outbox.held == {}
    product(gate)
    assert [told["line"] for told in gate.told("hmi")] == ["smt-2"]


def test_a_challenge_is_no_board_of_the_line_and_is_inspected_by_its_recipe_and_golden_picture() -> None:
    text = CHALLENGED.replace("trusting: {golden: golden.png,", 'trusting: {golden: "{line}/{station}.png",')
    gate = Gate(settings=parse(text, Path(), {}), registrar=FiledBoard())
    put_down = challenge(gate)
    assert put_down.recipe == "trusting"
    assert gate.verdict(product(gate)) == "PASS", "the golden picture of smt-2, for both"
    (bad, good) = sorted(gate.inspections.inspections.values(), key=lambda one: one.place.line, reverse=True)
    assert (bad.place, good.place.line) == (Place("smt-2-challenge", "aoi", "bad"), "smt-2")


def test_a_challenge_itself_waits_for_none(gate: Gate) -> None:
    upload = gate.upload("uploads/smt-2-challenge/aoi/good.png")
    gate.run()
    assert gate.verdict(upload) == "PASS", "so that a good picture among them is told"


def test_a_line_that_has_no_challenges_needs_none_and_nothing_is_stored_for_it(gate: Gate) -> None:
    upload = gate.upload("uploads/smt-1/aoi/A1.png")
    gate.run()
    assert gate.verdict(upload) == "PASS"
    manifest = gate.board(upload).manifest
    assert manifest is not None
    assert manifest.setup == ""


def test_what_was_decided_with_the_manifest_stays(gate: Gate) -> None:
    """A check that comes late does not make a board of an unproved gate pass, nor the other way round."""
    gate.settings = parse(
        CHALLENGED.replace("smt-1: {recipe: pcb, recipes: [trusting]}", "smt-1: {recipe: pcb, challenge_every: 8h}"),
        Path(),
        {},
    )
    gate.finds("short")
    gate.verifier.answers = {"short": Result.PASS}
    upload = gate.upload("uploads/smt-1/aoi/A1.png")
    gate.run("uploads")
    manifest = gate.board(upload).manifest
    assert manifest is not None
    gate.challenges.record(Challenge("smt-1", "pcb", manifest.setup, gate.clock.now(), 5))
    gate.clock.advance(100)
    gate.sweep()
    gate.run()
    assert gate.verdict(upload) == "REVIEW"


@given(
    st.lists(
        st.builds(Challenge, st.just("l"), st.just("r"), st.sampled_from("ab"), instants, st.just(5), st.integers(0, 1))
    ),
    instants,
)
def test_nothing_but_a_challenge_of_this_setup_in_the_last_hours_that_all_failed_keeps_the_trust(
    naive: list[Challenge], now: object
) -> None:
    known = [replace(one, at=one.at.replace(tzinfo=START.tzinfo)) for one in naive]
    moment = now.replace(tzinfo=START.tzinfo)  # type: ignore[attr-defined]
    stands = standing("l", known, "a", EVERY, moment)
    counts = [
        one
        for one in known
        if one.setup == "a" and one.passed == 0 and timedelta(minutes=-1) <= moment - one.at <= EVERY
    ]
    assert (stands.due is None) == bool(stands.overdue)
    if stands.due:
        assert counts
        assert moment <= stands.due


def test_a_challenge_of_the_future_does_not_count() -> None:
    stands = standing("l", [A_CHALLENGE], "setup", EVERY, START - timedelta(minutes=5))
    assert "lies in the future by this clock" in stands.overdue
    assert standing("l", [A_CHALLENGE], "setup", EVERY, START - timedelta(seconds=5)).due, "clocks differ a little"


@pytest.mark.parametrize(
    "span", ["8", "8 h", "0h", "-8h", "1.5h", "8H", "90s", "soon", "99999h", "yes", "8h30m", "[8h]"]
)
def test_what_is_no_span_is_refused(span: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(CHALLENGED.replace("8h", span), Path(), {})
    assert any(fault.startswith("lines.smt-2.challenge_every: ") for fault in caught.value.faults), caught.value.faults


def test_a_number_lacks_its_unit() -> None:
    with pytest.raises(ConfigError) as caught:
        parse(CHALLENGED.replace("8h", "8"), Path(), {})
    assert caught.value.faults == [
        "lines.smt-2.challenge_every: must be a span of time: a whole number with its unit, e.g. 30m, 8h or 2d"
    ]


@pytest.mark.parametrize(
    ("smt_2", "fault"),
    [
        ("challenge_line: smt-1", "lines.smt-2.challenge_line: 'smt-1' is a line of its own already"),
        ("challenge_line: smt-2", "lines.smt-2.challenge_line: 'smt-2' is a line of its own already"),
        ("challenge_line: bad, recipes: [pcb]", "lines.smt-2.recipes: a line with challenge_every has one recipe"),
    ],
)
def test_a_challenge_that_would_lie_among_a_products_boards_or_prove_too_little_is_refused(
    smt_2: str, fault: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(CHALLENGED.replace("challenge_every: 8h", f"challenge_every: 8h, {smt_2}"), Path(), {})
    assert caught.value.faults[0].startswith(fault)


def test_two_lines_have_challenge_lines_of_their_own() -> None:
    both = "challenge_every: 8h, challenge_line: bad"
    text = CHALLENGED.replace("challenge_every: 8h", both).replace(
        "smt-3: {recipe: remote", f"smt-3: {{recipe: remote, {both}"
    )
    with pytest.raises(ConfigError) as caught:
        parse(text, Path(), {})
    assert caught.value.faults == [
        "lines.smt-2.challenge_line: 'bad' is that of another line too",
        "lines.smt-3.challenge_line: 'bad' is that of another line too",
    ]


def test_status_knows_whether_the_golden_picture_is_still_the_one(gate: Gate) -> None:
    class Named(FiledBoard):
        def sight(self, golden: str) -> Sight:
            return replace(measure(draw()), digest=hashlib.sha256(self.file).hexdigest())

    gate.registrar = Named()
    put_down = challenge(gate)

    def told(file: bytes | None) -> str:
        ((line, stands),) = standings(gate.settings, gate.challenges, None if file is None else lambda _: file, START)
        assert line == "smt-2"
        return stands.overdue or str(stands.due)

    assert told(GOLDEN) == told(None) == str(put_down.at + EVERY)
    assert "another than at the challenge of" in told(b"another picture")

    def missing(name: str) -> bytes:
        raise TransientError(f"{name} is missing")

    ((_, stands),) = standings(gate.settings, gate.challenges, missing, START)
    assert stands.overdue


def test_a_golden_picture_that_is_replaced_while_a_board_is_looked_at_is_asked_for_again(gate: Gate) -> None:
    """Else a picture that nobody challenged would pass it by the challenge of the one before."""

    @dataclass
    class Replaced(FiledBoard):
        def register(self, picture: Image.Image, golden: str) -> Reference:
            return replace(super().register(picture, golden), digest="of another file")

    challenge(gate)
    gate.registrar = Replaced()
    with pytest.raises(TransientError, match="replaced"):
        product(gate)


def test_another_model_file_has_to_be_proved_anew() -> None:
    """Its name in the recipe says nothing of which model lies there."""
    learned = CHALLENGED.replace(
        "trusting: {golden: golden.png, verifier: none}", "trusting: {detector: anomaly, model: m.npz, verifier: none}"
    )
    gate = Gate(settings=parse(learned, Path(), {}))
    gate.detector.found = Found((), "anomaly-learned", "0123456789ab")

    def challenged() -> None:
        gate.detector.found = replace(gate.detector.found, detections=(detection("anomaly"),))
        upload = gate.upload("uploads/smt-2-challenge/aoi/bad.png")
        gate.run()
        gate.detector.found = replace(gate.detector.found, detections=())
        manifest = gate.board(upload).manifest
        assert manifest is not None
        gate.challenges.record(Challenge("smt-2", "trusting", manifest.setup, gate.clock.now(), 1))

    challenged()
    assert gate.verdict(product(gate, "A1")) == "PASS"
    gate.detector.found = Found((), "anomaly-learned", "ba9876543210")
    assert "another than at the challenge of" in reasons(gate, product(gate, "A2"))
    challenged()
    assert gate.verdict(product(gate, "A3")) == "PASS"
    ((_, stands),) = standings(gate.settings, gate.challenges, lambda _: b"", gate.clock.now())
    assert not stands.overdue

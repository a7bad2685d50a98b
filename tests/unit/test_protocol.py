"""Every step may be repeated, reordered, or cut off by a crash: random histories, and what must hold after each."""

import json
import random
from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest

from linegate.answers import Disposition, Missed, Ruling
from linegate.deciders import SWEEP
from linegate.errors import TransientError
from linegate.handlers.revise import drawing
from linegate.imaging import decode
from linegate.inspection import OutboxState, Result
from linegate.ports import Found
from linegate.shapes import Box
from tests.fakes import Crash, MemoryInspections, MemoryOutbox, detection
from tests.harness import Gate

HISTORIES = 400
# Beyond the leash (`clear_below`): what the verifier says of it clears nothing.
SURE = {"class_1": 0.95}


class Fate:
    """Decides at each call of a port whether the process dies before it, after it, or the port fails."""

    def __init__(self, rng: random.Random, rate: float) -> None:
        self.rng = rng
        self.rate = rate

    def wrap(self, port: Any, methods: tuple[str, ...]) -> None:
        for name in methods:
            setattr(port, name, self._fateful(getattr(port, name)))

    def _fateful(self, method: Any) -> Any:
        def call(*arguments: Any) -> Any:
            roll = self.rng.random()
            if roll < self.rate / 3:
                raise Crash
            if roll < 2 * self.rate / 3:
                raise TransientError("the store is away")
            result = method(*arguments)
            if self.rng.random() < self.rate / 3:
                raise Crash
            return result

        return call


@dataclass
class History:
    """One random history: messages delivered in any order, some twice, with crashes, and a clock that runs on."""

    seed: int
    gate: Gate = field(default_factory=Gate)
    persons: tuple[str, ...] = ()

    def play(self) -> None:
        rng = random.Random(self.seed)
        gate, fate = self.gate, Fate(rng, rng.choice([0.0, 0.1, 0.3]))
        for port, methods in ((gate.inspections, MemoryInspections), (gate.outbox, MemoryOutbox)):
            fate.wrap(port, tuple(name for name in vars(methods) if not name.startswith("_")))
        fate.wrap(gate.images, ("read", "write", "create", "copy", "size"))
        fate.wrap(gate.bus, ("publish",))
        for target in gate.targets.values():
            fate.wrap(target, ("send",))
        late = rng.random() < (0.8 if self.persons else 0.5)
        for _ in range(rng.randint(0, 30 if self.persons else 80)):
            if gate.bus.messages and not (self.persons and rng.random() < 0.4):
                self._deliver(rng)
            if rng.random() < (0.1 if late else 0.0) * (3 if self.persons else 1):
                gate.clock.advance(rng.choice([1, 45, 400]))
                self._attempt(gate.sweep)
        fate.rate = 0.0
        self._finish(rng)

    def _deliver(self, rng: random.Random) -> None:
        topic, message = self.gate.bus.messages.pop(rng.randrange(len(self.gate.bus.messages)))
        if not self._attempt(lambda: self.gate.handle(topic, message)) or rng.random() < 0.15:
            self.gate.bus.messages.append((topic, message))  # not acknowledged, or delivered twice

    def _attempt(self, work: Any) -> bool:
        try:
            work()
        except (Crash, TransientError):
            return False
        return True

    def _finish(self, rng: random.Random) -> None:
        """The world calms down: everything is delivered at last, and the sweep comes by."""
        for number in range(6):
            if self.persons and number < 2:
                self._answer(rng)
            for _ in range(10_000):
                if not self.gate.bus.messages:
                    break
                self._deliver(rng)
            self.gate.clock.advance(1000)
            self.gate.sweep()

    def _answer(self, rng: random.Random) -> None:
        """A person says something about some board: of what stands or stood, of all its findings or of some, now or twice."""
        boards = [board for board in self.gate.inspections.inspections.values() if board.revision is not None]
        if not boards:
            return
        board = rng.choice(boards)
        assert board.revision is not None
        latest, findings = board.revision.number, len(board.manifest.detections) if board.manifest else 0
        words = [rng.choice([*Disposition, Disposition.FALSE_CALL]) for _ in range(findings)]
        rulings = [Ruling(*ruling) for ruling in enumerate(words) if rng.random() < 0.9]
        missed = (Missed("crack", Box(9, 9, 5, 5)),) if rng.random() < 0.1 else ()
        for _ in range(rng.choice([1, 1, 2])):
            self.gate.answer(
                board.inspection_id,
                rng.choice(self.persons),
                seen=rng.choice([latest, latest, latest, latest - 1]),
                rulings=tuple(rulings),
                missed=missed,
                looked=rng.random() < 0.7,
            )


def boards(rng: random.Random) -> tuple[list[str], dict[str, Result]]:
    classes = [f"class_{index}" for index in range(rng.randint(0, 5))]
    return classes, {name: rng.choice([*Result, Result.PASS, Result.PASS]) for name in classes}


@pytest.mark.slow
@pytest.mark.parametrize(
    "seeds", [range(start, start + HISTORIES // 4) for start in range(0, HISTORIES, HISTORIES // 4)]
)
def test_whatever_happens_each_board_gets_the_right_verdict_and_everybody_hears_of_it(seeds: range) -> None:
    for seed in seeds:
        rng = random.Random(seed)
        classes, answers = boards(rng)
        history = History(seed)
        gate = history.gate
        gate.detector.found = Found(
            tuple(detection(name, confidence=SURE.get(name, 0.9)) for name in classes), "static"
        )
        gate.verifier.answers = answers
        uploads = [gate.upload(f"uploads/smt-1/aoi/{number}.png") for number in range(rng.randint(1, 2))]
        history.play()
        for upload in uploads:
            counting = {
                name: Result.UNSURE if result is Result.PASS and name in SURE else result
                for name, result in answers.items()
            }
            check_board(gate, upload.image.inspection_id, classes, counting, seed)


@pytest.mark.slow
@pytest.mark.parametrize(
    "seeds", [range(start, start + HISTORIES // 8) for start in range(0, HISTORIES // 2, HISTORIES // 8)]
)
def test_no_machine_undoes_what_a_person_decided_and_no_person_what_they_had_not_seen(seeds: range) -> None:
    for seed in seeds:
        rng = random.Random(f"persons {seed}")
        classes, answers = boards(rng)
        history = History(seed, persons=("Ada", "Bob"))
        gate = history.gate
        gate.detector.found = Found(tuple(map(detection, classes)), "static")
        gate.verifier.answers = answers
        upload = gate.upload()
        history.play()
        identity = upload.image.inspection_id
        check_people(gate, identity, seed)
        check_told(gate, identity, seed)


def check_people(gate: Gate, inspection_id: str, seed: int) -> None:
    history, board = gate.inspections.history[inspection_id], gate.inspections.inspections[inspection_id]
    assert [revision.number for revision in history] == list(range(1, len(history) + 1)), seed
    machines = [revision for revision in history if revision.review is None]
    assert history[: len(machines)] == machines, f"a machine undid a person: {seed}"
    assert 1 <= len(machines) <= 2, seed
    ids = [revision.review.review_id for revision in history if revision.review is not None]
    assert len(set(ids)) == len(ids), f"one decision became two revisions: {seed}"
    refusals = gate.context.queries.refusals(inspection_id)
    assert not set(ids) & {refusal.review.review_id for refusal in refusals}, seed
    for before, revision in pairwise(history):
        review = revision.review
        if review is None:
            continue
        assert (review.seen, str(revision.decided_by)) == (before.number, f"person:{review.author}"), seed
        defects = [each for each in review.rulings if each.disposition is Disposition.TRUE_DEFECT]
        assert revision.decision.verdict.value == ("FAIL" if defects or review.missed else "PASS"), seed
        if revision.decision.verdict.value == "PASS":
            ruled = {ruling.index for ruling in review.rulings}
            cleared = {check.index for check in before.decision.checks if check.result is Result.PASS}
            assert len(revision.decision.checks) == len(cleared | ruled), f"passed unseen: {seed}"
            assert review.looked or (before.decision.complete and before.decision.verdict.value != "ERROR"), seed
    last = history[-1]
    if last.review is not None and last.decision.verdict.value == "PASS":
        failed = {
            i for i, check in gate.inspections.recorded.get(inspection_id, {}).items() if check.result is Result.FAIL
        }
        known = {check.index for check in last.decision.checks if check.result is Result.FAIL}
        assert set(board.contradicted) == failed - known, f"a late FAIL was not kept: {seed}"


def check_board(gate: Gate, inspection_id: str, classes: list[str], answers: dict[str, Result], seed: int) -> None:
    history = gate.inspections.history[inspection_id]
    last = history[-1]
    assert [revision.number for revision in history] == list(range(1, len(history) + 1)), seed
    results = [answers[name] for name in classes]
    expected = "FAIL" if Result.FAIL in results else "REVIEW" if Result.UNSURE in results else "PASS"
    assert (last.decision.verdict.value, last.decision.complete) == (expected, True), seed
    # At most one correction: what was decided at the deadline without all answers, and then with them.
    assert len(history) <= 2, seed
    if len(history) == 2:
        assert (history[0].decided_by, history[0].decision.complete) == (SWEEP, False), seed
        assert history[0].decision.verdict.value != "PASS", "an incomplete board must never pass"
    assert gate.inspections.inspections[inspection_id].manifest is not None
    check_told(gate, inspection_id, seed)


def check_told(gate: Gate, inspection_id: str, seed: int) -> None:
    """The picture is that of the latest revision, and each target that is due heard it last."""
    history, board = gate.inspections.history[inspection_id], gate.inspections.inspections[inspection_id]
    last = history[-1]
    assert bool(last.annotated) != bool(last.annotated_why), "a verdict without its picture says why"
    upright = decode(gate.images.objects["uploads", board.image.name][1])
    drawn = gate.images.objects["results", last.annotated][1] if last.annotated else None
    assert drawn is None or drawn == drawing(upright, board, last.decision, last.review)
    for target in ("hmi", "alarm"):
        wanted = [r for r in history if target == "hmi" or r.decision.verdict.value in ("FAIL", "ERROR")]
        bodies = [(entry_id, body) for entry_id, body in gate.targets[target].sent if inspection_id in entry_id]
        states = [entry.state for entry in gate.outbox.held.values() if entry.inspection_id == inspection_id]
        assert OutboxState.PENDING not in states, seed
        if wanted:
            heard = [json.loads(body)["data"]["revision"] for _, body in bodies]
            assert heard[-1] == last.number, "the last word must be the last one heard"
        for entry_id, body in gate.targets[target].sent:
            assert gate.outbox.held[entry_id].body == body, "one webhook-id always carries the same bytes"


@pytest.mark.slow
def test_the_fakes_can_crash_and_do() -> None:
    """A guard on the test itself: histories do contain crashes, late boards and corrections."""
    corrected = crashed = 0
    for seed in range(60):
        history = History(seed)
        history.gate.detector.found = Found((detection(),), "static")
        upload = history.gate.upload()
        history.play()
        corrected += len(history.gate.inspections.history[upload.image.inspection_id]) == 2
        crashed += history.gate.detector.calls > 1
    assert corrected > 0
    assert crashed > 0


@pytest.mark.slow
def test_the_persons_decide_and_collide() -> None:
    """A guard on the test itself: persons pass and fail, come second, and are contradicted."""
    seen: Counter[str] = Counter()
    for seed in range(60):
        history = History(seed, persons=("Ada", "Bob"))
        history.gate.detector.found = Found((detection(), detection("spur")), "static")
        history.gate.verifier.answers = {"short": Result.FAIL, "spur": Result.UNSURE}
        identity = history.gate.upload().image.inspection_id
        history.play()
        revisions = history.gate.inspections.history[identity]
        seen.update(revision.decision.verdict.value for revision in revisions if revision.review)
        seen.update(each.reason.partition(":")[0] for each in history.gate.context.queries.refusals(identity))
        seen["contradicted"] += bool(history.gate.inspections.inspections[identity].contradicted)
    for what in ("PASS", "FAIL", "contradicted", "Ada was first", "The machine decided again meanwhile"):
        assert seen[what], seen

"""Two decide the same product in the same moment: one of them has decided, and what is shown and told is theirs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from linegate.config import parse
from linegate.deciders import Decider
from linegate.events import to_message
from linegate.inspection import (
    Decision,
    Inspection,
    Manifest,
    ObjectRef,
    OutboxEntry,
    Result,
    Revision,
    Verdict,
)
from linegate.messages import ImageUploaded
from linegate.ports import Found
from linegate.settings import Settings
from linegate.stages import CHECKS, CROPS, NOTIFICATIONS, UPLOADS
from tests.fakes import MemoryInspections, detection
from tests.harness import CONFIG, Gate


@dataclass
class Contended(MemoryInspections):
    """What is in `meanwhile` happens right before the next commit, or before the next manifest is stored."""

    meanwhile: list[Callable[[], None]] = field(default_factory=list)
    manifests: list[Callable[[], None]] = field(default_factory=list)

    def commit(self, inspection: Inspection, revision: Revision, outbox: Sequence[OutboxEntry]) -> bool:
        if self.meanwhile:
            self.meanwhile.pop()()
        return super().commit(inspection, revision, outbox)

    def store_manifest(self, inspection_id: str, manifest: Manifest, manifest_ms: float) -> Manifest:
        if self.manifests:
            self.manifests.pop()()
        return super().store_manifest(inspection_id, manifest, manifest_ms)


def contended(*classes: str, settings: Settings | None = None) -> tuple[Gate, Contended, ImageUploaded]:
    """A gate with a product of these findings, all of them published as crops."""
    store = Contended()
    gate = Gate(inspections=store, settings=settings or parse(CONFIG, Path(), {}))
    gate.finds(*classes)
    gate.verifier.answers = dict.fromkeys(classes, Result.PASS)
    upload = gate.upload()
    gate.run(UPLOADS, CROPS)
    return gate, store, upload


def annotated(gate: Gate, upload: ImageUploaded, number: int = 1) -> bytes:
    name = f"results/{upload.image.inspection_id}/r{number}.jpg"
    return gate.images.read(ObjectRef("results", name, gate.images.objects["results", name][0]))


def test_the_picture_is_of_the_decision_that_stands_whoever_drew_last() -> None:
    """A check and the sweep: the sweep is first, though the check had drawn before it."""
    gate, store, upload = contended("short")
    gate.clock.advance(61)
    pictures: list[bytes] = []

    def sweeps_first() -> None:
        store.recorded[upload.image.inspection_id].clear()  # it read the checks before this one came
        gate.sweep()
        pictures.append(annotated(gate, upload))

    store.meanwhile = [sweeps_first]
    gate.run(CHECKS)
    first, second = store.history[upload.image.inspection_id]
    assert [str(first.decided_by), first.decision.verdict.value] == ["sweep", "REVIEW"]
    assert (second.decision.verdict.value, second.decision.complete) == ("PASS", True)
    assert annotated(gate, upload) == pictures[0]
    assert annotated(gate, upload, 2) != pictures[0]


def test_who_loses_against_a_complete_decision_writes_nothing() -> None:
    gate, store, upload = contended("short")
    gate.clock.advance(61)
    (check,) = gate.bus.take(CHECKS)
    pictures: list[bytes] = []

    def check_first() -> None:
        gate.handle(CHECKS, check)
        pictures.append(annotated(gate, upload))

    store.meanwhile = [check_first]
    gate.sweep()
    (only,) = store.history[upload.image.inspection_id]
    assert only.decision.verdict.value == "PASS"
    assert annotated(gate, upload) == pictures[0]
    assert gate.images.names("results") == {f"results/{upload.image.inspection_id}/r1.jpg"}
    gate.run(NOTIFICATIONS)
    assert [told["verdict"] for told in gate.told("hmi")] == ["PASS"]


def test_who_decides_after_the_other_knows_who_was_told() -> None:
    """Who asked for REVIEW only has heard of one from the sweep, so they must hear of the PASS that follows."""
    settings = parse(CONFIG.replace("verdicts: [FAIL, ERROR]", "verdicts: [REVIEW]"), Path(), {})
    gate, store, upload = contended("short", settings=settings)
    gate.clock.advance(61)

    def sweeps_first() -> None:
        store.recorded[upload.image.inspection_id].clear()
        gate.sweep()

    store.meanwhile = [sweeps_first]
    gate.run(CHECKS)
    gate.run(NOTIFICATIONS)
    assert [told["verdict"] for told in gate.told("alarm")] == ["PASS"]


def test_of_two_that_detect_the_first_manifest_counts_for_both() -> None:
    store = Contended()
    gate = Gate(inspections=store)
    gate.finds("short")
    upload = gate.upload()
    (event,) = gate.bus.take(UPLOADS)

    def other_one_first() -> None:
        gate.detector.found = Found((detection("short"), detection("spur")), "static")
        gate.handle(UPLOADS, event)

    store.manifests = [other_one_first]
    gate.handle(UPLOADS, event)
    manifest = gate.board(upload).manifest
    assert manifest is not None and manifest.expected == 2
    gate.run(CROPS, CHECKS)
    assert sorted(gate.inspections.recorded[upload.image.inspection_id]) == [0, 1]


@pytest.mark.parametrize(("person", "late"), [(True, (0,)), (False, ())])
def test_a_defect_that_comes_while_a_person_passes_the_product_is_kept(person: bool, late: tuple[int, ...]) -> None:
    """Their decision stands, and that a machine contradicts it is not lost; of two machines there is nothing to keep."""
    gate, store, upload = contended("short", "spur")
    gate.verifier.answers["short"] = Result.FAIL
    gate.bus.messages.clear()
    gate.bus.publish(UPLOADS, [to_message(upload)])
    gate.run(UPLOADS, CROPS)
    gate.handle(CHECKS, gate.bus.take(CHECKS)[0])
    gate.clock.advance(61)
    passed = Decision(Verdict.PASS, True, 0, (), "It was passed.")
    decided_by = Decider.person("Ada") if person else Decider.check(1)
    revision = Revision(1, decided_by, gate.clock.now(), passed)
    before = gate.board(upload)

    def other_one_first() -> None:
        assert store.commit(replace(before, revision=revision), revision, [])

    store.meanwhile = [other_one_first]
    gate.sweep()
    assert store.history[upload.image.inspection_id] == [revision]
    assert gate.board(upload).late_fails == gate.board(upload).contradicted == late

"""Two decide the same product in the same moment: one of them has decided, and what is shown and told is theirs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from linegate.config import parse
from linegate.inspection import Inspection, Manifest, ObjectRef, OutboxEntry, Result, Revision
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

"""What Firestore costs a board, and that it holds under contention: against Google's emulator."""

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from linegate.adapters.gcp.firestore import (
    SHARDS,
    Firestore,
    FirestoreChallenges,
    FirestoreInspections,
    FirestoreOutbox,
)
from linegate.adapters.gcp.queries import FirestoreQueries
from linegate.config import parse
from linegate.errors import TransientError
from linegate.inspection import OutboxState, Verdict
from linegate.ports import Found
from linegate.search import Wanted
from linegate.stages import CHECKS, CROPS, UPLOADS
from linegate.stored import dump
from linegate.verdict import decide, rejected
from tests.contract.examples import ID, board, entry, manifest, revision
from tests.emulators import PROJECT
from tests.fakes import START, detection
from tests.harness import CONFIG, Gate


class Counting:
    """The client's API, counting what Firestore bills: documents read (a query costs one at least) and written."""

    def __init__(self, api: Any, counts: Counter[str]) -> None:
        self._api, self._counts = api, counts

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._api, name)
        if name not in ("commit", "batch_get_documents", "run_query", "run_aggregation_query"):
            return call

        def counted(*args: Any, **kwargs: Any) -> Any:
            request = kwargs["request"]
            if name == "commit":
                self._counts["writes"] += len(request["writes"])
                return call(*args, **kwargs)
            answers = list(call(*args, **kwargs))
            documents = len(request["documents"]) if name == "batch_get_documents" else len(answers)
            self._counts["reads"] += max(1, documents)
            return iter(answers)

        return counted


@pytest.fixture
def counts(firestore: Firestore) -> Counter[str]:
    counted: Counter[str] = Counter()
    client = firestore.client
    client._firestore_api_internal = Counting(client._firestore_api, counted)  # the library offers no hook for it
    return counted


def _gate(firestore: Firestore) -> Gate:
    gate = Gate()
    gate.inspections = FirestoreInspections(firestore)  # type: ignore[assignment]
    gate.outbox = FirestoreOutbox(firestore)  # type: ignore[assignment]
    return gate


@pytest.mark.parametrize(("crops", "verifier"), [(0, "pcb"), (1, "pcb"), (8, "pcb"), (3, "trusting")])
def test_a_board_stays_within_its_budget_of_reads_and_writes(
    firestore: Firestore, counts: Counter[str], crops: int, verifier: str
) -> None:
    """N + 5 + 2E writes and 2N + 4 + 2E reads with N crops and E targets, checks arriving one at a time."""
    gate = _gate(firestore)
    gate.detector.found = Found(tuple(detection("short", 10 + index) for index in range(crops)), "static")
    gate.upload(f"uploads/{'smt-1' if verifier == 'pcb' else 'smt-2'}/aoi/A.png")
    gate.run()
    checks, targets = (crops if verifier == "pcb" else 0), len(gate.told("hmi")) + len(gate.told("alarm"))
    assert targets == (2 if crops else 1)
    assert counts["writes"] <= checks + 5 + 2 * targets
    assert counts["reads"] <= 2 * checks + 4 + 2 * targets


def test_a_line_with_challenges_costs_its_boards_no_read_but_now_and_then(
    firestore: Firestore, counts: Counter[str]
) -> None:
    gate = _gate(firestore)
    gate.challenges = FirestoreChallenges(firestore)  # type: ignore[assignment]
    text = CONFIG.replace("smt-2: {recipe: trusting}", "smt-2: {recipe: trusting, challenge_every: 8h}")
    reads: list[int] = []
    for settings in (CONFIG, CONFIG, text, text):
        gate.settings = parse(settings, Path(), {})
        before = counts["reads"]
        gate.upload(f"uploads/smt-2/aoi/A{len(reads)}.png")
        gate.run()
        reads.append(counts["reads"] - before)
    usual = reads[1]  # the first board also asks which targets are disabled
    assert reads[2:] == [usual + 1, usual]


def test_32_checks_arriving_at_once_are_decided_once(firestore: Firestore) -> None:
    gate = _gate(firestore)
    gate.detector.found = Found(tuple(detection("short", 10 + index) for index in range(32)), "static")
    upload = gate.upload()
    gate.run(UPLOADS, CROPS)
    waiting = gate.bus.take(CHECKS)
    with ThreadPoolExecutor(32) as pool:
        list(pool.map(lambda message: gate.handle(CHECKS, message), waiting))
    stored = FirestoreInspections(firestore).get(upload.image.inspection_id)
    assert stored is not None
    assert stored.revision is not None
    assert (stored.revision.number, stored.revision.decision.fail_count, stored.complete) == (1, 32, True)
    gate.run()
    assert len(gate.told("hmi")) == 1


def test_every_document_carries_the_time_it_expires(firestore: Firestore) -> None:
    gate = _gate(firestore)
    gate.detector.found = Found((detection("short"),), "static")
    gate.upload()
    gate.run()
    client = firestore.client
    names = {"inspections": 1, "outbox": 2, "checks": 1, "revisions": 1, "rollups": 1}
    found = [snapshot for name in names for snapshot in client.collection_group(name).stream()]
    assert Counter(snapshot.reference.parent.id for snapshot in found) == names
    assert all(snapshot.get("expire_at") > START + timedelta(days=29) for snapshot in found)


def test_documents_are_plain_for_whoever_reads_them(firestore: Firestore) -> None:
    gate = _gate(firestore)
    gate.detector.found = Found((detection("short"),), "static")
    upload = gate.upload()
    gate.run()
    document = firestore.client.collection("inspections").document(upload.image.inspection_id).get().to_dict()
    assert document is not None
    assert document["place"] == {"line": "smt-1", "station": "aoi", "serial": "A1"}
    assert document["revision"]["decision"]["verdict"] == "FAIL"
    assert document["manifest"]["detections"][0]["class_name"] == "short"
    assert "expire_at" in document
    assert json.dumps(document, default=str)


def test_a_page_reads_what_it_holds_and_counts_a_few_documents_for_each_day(
    firestore: Firestore, counts: Counter[str]
) -> None:
    inspections, queries = FirestoreInspections(firestore), FirestoreQueries(firestore)
    for number in range(120):
        one = replace(
            board(f"{number:08x}{0:024}"),
            received_at=START + timedelta(hours=number / 10),
            manifest=manifest("short"),
        )
        first = replace(revision(), decision=decide(one.manifest, {}))
        inspections.open(one)
        assert inspections.commit(replace(one, revision=first), first, [])
    for ask, most in (
        (lambda: queries.search(Wanted(line="l"), limit=10), 11),
        (lambda: queries.search(Wanted(verdict=Verdict.PASS, class_name="short"), limit=10), 1),
        (lambda: queries.waiting(limit=10), 11 + 1),  # and its count
        (lambda: queries.counts("l", None, START, START + timedelta(days=365)), SHARDS),
        (queries.newest, 1),
        (lambda: queries.find("ü", 5), 5),
    ):
        before = counts["reads"]
        assert ask() is not None
        assert counts["reads"] - before <= most
    (day,) = queries.counts(None, None, START, START + timedelta(days=1), "day")
    assert day.counts.products == 120
    written = list(firestore.client.collection("rollups").stream())
    assert len(written) == SHARDS, "a document of Firestore takes about one write a second for long"


def test_a_correction_costs_a_read_for_each_revision_before_it(firestore: Firestore, counts: Counter[str]) -> None:
    inspections = FirestoreInspections(firestore)
    inspections.open(board())
    assert inspections.commit(replace(board(), revision=revision()), revision(), [])
    before = Counter(counts)
    second = replace(revision(2), decision=rejected("no picture"))
    assert inspections.commit(replace(board(), revision=second), second, [])
    assert counts - before == {"reads": 1, "writes": 3}


def test_what_an_earlier_release_decided_is_counted_with_its_next_revision(firestore: Firestore) -> None:
    inspections, queries = FirestoreInspections(firestore), FirestoreQueries(firestore)
    one = board()
    inspections.open(one)
    document = firestore.client.collection("inspections").document(one.inspection_id)
    document.collection("revisions").document("1").set(dump(revision()))  # as it wrote them, and counted nothing
    document.update({"revision": dump(revision()), "decided": True})
    assert inspections.commit(replace(one, revision=revision(2)), revision(2), [])
    (slot,) = queries.counts(None, None, START, START + timedelta(hours=1))
    assert (slot.counts.first, slot.counts.latest) == ({Verdict.REVIEW: 1}, {Verdict.REVIEW: 1})


def test_counters_that_have_grown_too_large_keep_no_verdict_up(firestore: Firestore) -> None:
    inspections, queries = FirestoreInspections(firestore), FirestoreQueries(firestore)
    which = {"line": "l", "recipe": "pcb", "day": f"{START:%Y-%m-%d}"}
    filling = firestore.rollup(**which, shard=0)
    filling.set({**which, "hours": {}, "filling": "x" * 1_048_370})  # a mebibyte, but for some bytes
    inspections.open(board())
    with capture_logs() as logged:
        assert inspections.commit(replace(board(), revision=revision()), revision(), [entry()])
    assert [line["event"] for line in logged] == ["rollup.left_out"]
    assert [one.state for one in queries.notifications(ID)] == [OutboxState.PENDING]
    second = revision(2)
    filling.delete()
    assert inspections.commit(replace(board(), revision=second), second, [])
    (slot,) = queries.counts(None, None, START, START + timedelta(hours=1))
    assert slot.counts.first == {Verdict.REVIEW: 1}, "what was left out comes with the next revision"


def test_a_store_that_can_not_be_reached_is_a_transient_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", "127.0.0.1:1")
    monkeypatch.setattr("linegate.adapters.gcp.firestore.RETRY", None)
    monkeypatch.setattr("linegate.adapters.gcp.firestore.BUDGET_S", 1.0)
    with pytest.raises(TransientError, match="Firestore"):
        FirestoreInspections(Firestore(PROJECT, "(default)", timedelta(days=1))).get("x")

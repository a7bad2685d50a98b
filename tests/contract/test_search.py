"""The port Queries over many inspections: pages and counts are the same on every adapter, whatever happened in which order."""

import base64
import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from linegate.answers import Disposition, Missed, Review, Ruling
from linegate.deciders import Decider
from linegate.errors import CursorError
from linegate.inspection import Check, Inspection, Manifest, Result, Revision, Verdict
from linegate.ports import Queries
from linegate.rollups import Counts, State
from linegate.search import MOST_CLASSES, By, Page, Wanted, pages
from linegate.verdict import decide, rejected
from tests.contract.examples import Store, board
from tests.fakes import START, MemoryInspections, MemoryQueries, detection

LONG_AGO, LATER = START - timedelta(days=30), START + timedelta(days=30)
CLASSES = ("short", "spur", "a.b:c|`/")


def numbered(number: int, line: str = "l", recipe: str = "pcb", minutes: float = 1) -> Inspection:
    at = START + timedelta(minutes=minutes * number)
    one = board(f"{number:032x}")
    place = replace(one.place, line=line, serial=f"S{number % 7}")
    return replace(one, place=place, recipe=recipe, received_at=at)


def of(*classes: str) -> Manifest:
    return Manifest.of((detection(name) for name in classes), width=64, height=64)


def judged(number: int, manifest: Manifest, results: str, by: str = "check:0", after_s: float = 1) -> Revision:
    """By a machine: P, F or U for each finding."""
    words = {"P": Result.PASS, "F": Result.FAIL, "U": Result.UNSURE}
    checks = {index: Check(index, words[letter], "so") for index, letter in enumerate(results)}
    at = START + timedelta(seconds=after_s)
    return Revision(number, Decider.parse(by), at, decide(manifest, checks))


def answered(standing: Revision, verdict: Verdict, *rulings: Disposition, missed: tuple[str, ...] = ()) -> Revision:
    """The next revision, by a person who said this of the first findings."""
    review = Review(
        "x",
        "Ada",
        "api",
        standing.number,
        START,
        tuple(Ruling(index, word) for index, word in enumerate(rulings)),
        tuple(Missed(name) for name in missed),
    )
    decision = replace(standing.decision, verdict=verdict, complete=True)
    return Revision(standing.number + 1, Decider.person("Ada"), START, decision, review=review)


def put(store: Store | MemoryInspections, one: Inspection, manifest: Manifest | None, *revisions: Revision) -> None:
    inspections = store.inspections if isinstance(store, Store) else store
    inspections.open(one)
    if manifest is not None:
        inspections.store_manifest(one.inspection_id, manifest, 1)
    for revision in revisions:
        assert inspections.commit(replace(one, manifest=manifest, revision=revision), revision, [])


def ids(page: Page[Inspection]) -> list[int]:
    return [int(one.inspection_id, 16) for one in page.items]


def all_of(queries: Queries, wanted: Wanted, limit: int = 3) -> list[int]:
    return [number for page in pages(lambda cursor: queries.search(wanted, cursor, limit)) for number in ids(page)]


def counts(store: Store, line: str | None = None, recipe: str | None = None) -> Counts:
    slots = store.queries.counts(line, recipe, LONG_AGO, LATER)
    return sum((slot.counts for slot in slots), Counts())


def test_pages_hold_each_once_in_order_while_new_ones_arrive(store: Store) -> None:
    for number in range(7):
        put(store, numbered(number, minutes=0 if number < 3 else 1), None)  # three of the same moment
    search = store.queries.search
    first = search(Wanted(), limit=2)
    put(store, numbered(50), None)
    second = search(Wanted(), first.next, 2)
    third = search(Wanted(), second.next, 3)
    assert [*ids(first), *ids(second)] == [6, 5, 4, 3]
    assert (sorted(ids(third)), third.next) == ([0, 1, 2], "")
    oldest = Wanted(oldest_first=True)
    found = search(oldest, limit=4)
    put(store, numbered(60), None)
    assert [*sorted(ids(found)[:3]), *ids(found)[3:], *ids(search(oldest, found.next, 9))] == [
        0,
        1,
        2,
        3,
        4,
        5,
        6,
        50,
        60,
    ]
    assert ids(search(Wanted(), limit=9)) == [60, 50, 6, 5, 4, 3, *reversed(ids(found)[:3])]


def test_a_cursor_that_is_damaged_or_of_another_question_is_refused(store: Store) -> None:
    for number in range(3):
        put(store, numbered(number), of("short"), judged(1, of("short"), "F"))
    queries = store.queries
    cursor = queries.search(Wanted(line="l"), limit=1).next
    for foreign in (
        "x",
        "ü",
        "A" * 4000,
        cursor[:-3],
        cursor[1:],
        base64.urlsafe_b64encode(b"[1,2,3]").decode(),
        "e30",
    ):
        with pytest.raises(CursorError, match="begin with the first page"):
            queries.search(Wanted(line="l"), foreign)
    for other in (Wanted(), Wanted(line="m"), Wanted(line="l", oldest_first=True)):
        with pytest.raises(CursorError):
            queries.search(other, cursor)
    with pytest.raises(CursorError):
        queries.waiting(cursor=cursor)
    with pytest.raises(CursorError):
        queries.waiting(["m"], queries.waiting(["l"], limit=1).next)


def test_inspections_are_found_by_each_of_their_parts_and_by_all_together(store: Store) -> None:
    shorts, both = of("short"), of("short", "spur")
    failed = judged(1, shorts, "F")
    put(store, numbered(0), shorts, failed)
    put(store, numbered(1), both, judged(1, both, "PU"))
    put(store, numbered(2, "m", "other"), None)
    put(store, numbered(3, "m"), None, Revision(1, Decider.parse("detect"), START, rejected("no picture")))
    put(store, numbered(4), shorts, failed, answered(failed, Verdict.PASS, Disposition.FALSE_CALL, missed=("scratch",)))
    queries = store.queries
    for wanted, found in (
        (Wanted(), [4, 3, 2, 1, 0]),
        (Wanted(line="m"), [3, 2]),
        (Wanted(recipe="other"), [2]),
        (Wanted(serial="S4"), [4]),
        (Wanted(serial=""), []),
        (Wanted(verdict=Verdict.FAIL), [0]),
        (Wanted(verdict=Verdict.ERROR), [3]),
        (Wanted(line="l", verdict=Verdict.REVIEW), [1]),
        (Wanted(line="m", verdict=Verdict.REVIEW), []),
        (Wanted(class_name="short"), [4, 0]),
        (Wanted(class_name="spur"), [1]),
        (Wanted(class_name="scratch"), [4]),
        (Wanted(class_name="nothing"), []),
        (Wanted(disposition=Disposition.FALSE_CALL), [4]),
        (Wanted(disposition=Disposition.FALSE_CALL, class_name="short"), [4]),
        (Wanted(disposition=Disposition.FALSE_CALL, class_name="scratch"), []),
        (Wanted(disposition=Disposition.REPAIRED), []),
        (Wanted(decided_by=By.PERSON), [4]),
        (Wanted(decided_by=By.MACHINE), [3, 1, 0]),
        (Wanted(decided_by=By.MACHINE, class_name="short"), [0]),
        (Wanted(decided_by=By.PERSON, line="l", recipe="pcb", serial="S4", class_name="short"), [4]),
        (Wanted(since=START + timedelta(minutes=1), until=START + timedelta(minutes=3)), [2, 1]),
        (Wanted(line="l", since=START + timedelta(minutes=1), oldest_first=True), [1, 4]),
    ):
        assert all_of(queries, wanted, 2) == found, wanted


def test_what_waits_for_a_person_comes_oldest_first_until_one_has_answered(store: Store) -> None:
    shorts = of("short")
    failed, review, passed = (judged(1, shorts, letter) for letter in "FUP")
    for number, first in enumerate((failed, review, passed, failed)):
        put(store, numbered(number, "lm"[number % 2]), shorts, first)
    put(store, numbered(4, "n"), shorts, review)
    put(store, numbered(5), None)
    queries = store.queries
    everything = queries.waiting()
    assert (ids(everything), everything.count) == ([0, 1, 3, 4], 4)
    assert (ids(queries.waiting(["m"])), queries.waiting(["m"]).count) == ([1, 3], 2)
    begin = queries.waiting(["m", "l"], limit=2)
    end = queries.waiting(["l", "m"], begin.next, 2)
    assert (ids(begin), begin.count, ids(end), end.next) == ([0, 1], 3, [3], "")
    put(store, numbered(0, "l"), None, answered(failed, Verdict.FAIL, Disposition.TRUE_DEFECT))
    assert (ids(queries.waiting()), queries.waiting().count) == ([1, 3, 4], 3)


def test_what_passed_and_was_drawn_for_an_audit_waits_among_the_others_and_counts_by_what_was_found(
    store: Store,
) -> None:
    shorts, drawn = of("short"), replace(of("short"), audit=True)
    put(store, numbered(0), shorts, judged(1, shorts, "P"))
    for number in (1, 2, 3):
        put(store, numbered(number), drawn, judged(1, drawn, "P"))
    put(store, numbered(4), shorts, judged(1, shorts, "F"))
    put(store, numbered(5), drawn, judged(1, drawn, "U"))  # it waits as it is: nothing escaped
    queries = store.queries
    assert ids(queries.waiting()) == [1, 2, 3, 4, 5]
    assert counts(store).audited == {None: 3}
    escaped = answered(judged(1, drawn, "P"), Verdict.FAIL, missed=("scratch",))
    good = answered(judged(1, drawn, "P"), Verdict.PASS)
    for number, answer in ((1, escaped), (2, good)):
        one = replace(numbered(number), manifest=drawn, revision=answer)
        assert store.inspections.commit(one, answer, [])
    assert ids(queries.waiting()) == [3, 4, 5]
    told = counts(store)
    assert told.audited == {None: 1, State.DEFECTIVE: 1, State.GOOD: 1}
    assert (told.escapes, told.answered[Verdict.PASS, Verdict.FAIL]) == (1, 1)


def test_a_product_counts_once_in_its_hour_and_a_correction_moves_it(store: Store) -> None:
    both = of("short", "spur")
    late = judged(1, both, "U", "sweep", after_s=60)
    assert not late.decision.complete
    corrected = judged(2, both, "FP", after_s=9999)
    put(store, numbered(0), both, late)
    before = counts(store)
    assert (before.first, before.latest) == ({Verdict.REVIEW: 1}, {Verdict.REVIEW: 1})
    assert before.findings == {"short": {Result.UNSURE: 1}, "spur": {Result.UNSURE: 1}}
    put(store, numbered(0), None, replace(corrected))  # the first writer's manifest stands
    after = counts(store)
    assert (after.first, after.latest, after.products) == ({Verdict.REVIEW: 1}, {Verdict.FAIL: 1}, 1)
    assert after.latency_ms == pytest.approx(60_000)
    assert after.answered == {}


def test_a_revision_that_exists_counts_no_second_time(store: Store) -> None:
    shorts = of("short")
    put(store, numbered(0), shorts, judged(1, shorts, "F"))
    before = store.queries.counts(None, None, LONG_AGO, LATER)
    for by in ("check:0", "sweep"):
        again = judged(1, shorts, "U", by)
        one = replace(numbered(0), manifest=shorts, revision=again)
        assert not store.inspections.commit(one, again, [])
    assert store.queries.counts(None, None, LONG_AGO, LATER) == before


def test_what_persons_say_is_counted_beside_what_the_gate_said(store: Store) -> None:
    both = of("short", "spur")
    failed = judged(1, both, "FU")
    ada = answered(failed, Verdict.FAIL, Disposition.TRUE_DEFECT, Disposition.FALSE_CALL, missed=("scratch",))
    later = answered(ada, Verdict.PASS, Disposition.FALSE_CALL)
    put(store, numbered(0), both, failed, ada)
    told = counts(store)
    assert told.answered == {(Verdict.FAIL, Verdict.FAIL): 1}
    assert told.ruled == {"short": {Disposition.TRUE_DEFECT: 1}, "spur": {Disposition.FALSE_CALL: 1}}
    assert (told.missed, told.false_calls) == ({"scratch": 1}, 1)
    assert (told.judged, told.unruled) == ({(Verdict.FAIL, State.DEFECTIVE): 1}, {})
    one = replace(numbered(0), manifest=both, revision=later)
    assert store.inspections.commit(one, later, [])
    told = counts(store)
    assert told.answered == {(Verdict.FAIL, Verdict.PASS): 1}
    assert told.findings == {"short": {Result.FAIL: 1}, "spur": {Result.UNSURE: 1}}
    assert told.missed == {}, "the later review stands for the whole product"
    assert (told.false_calls, told.first, told.latest) == (2, {Verdict.FAIL: 1}, {Verdict.PASS: 1})
    assert told.judged == {(Verdict.FAIL, State.GOOD): 1}


@pytest.mark.parametrize(
    ("words", "missed", "state"),
    [
        ((), (), State.GOOD),
        ((Disposition.FALSE_CALL, Disposition.ACCEPTED), (), State.ACCEPTED),
        ((Disposition.ACCEPTED, Disposition.REPAIRED), (), State.DEFECTIVE),
        ((), ("scratch",), State.DEFECTIVE),
    ],
)
def test_a_product_counts_by_the_state_in_which_it_came(
    store: Store, words: tuple[Disposition, ...], missed: tuple[str, ...], state: State
) -> None:
    three = of("short", "spur", "open")
    held = judged(1, three, "FUP")
    put(store, numbered(0), three, held)
    assert counts(store).unruled == {"short": {Result.FAIL: 1}, "spur": {Result.UNSURE: 1}}
    ada = answered(held, Verdict.PASS, *words, missed=missed)
    assert store.inspections.commit(replace(numbered(0), manifest=three, revision=ada), ada, [])
    told = counts(store)
    assert told.judged == {(Verdict.FAIL, state): 1}
    assert sum(sum(by.values()) for by in told.unruled.values()) == 2 - len(words)


def test_lines_recipes_and_hours_are_counted_apart_and_days_by_the_callers_clocks(store: Store) -> None:
    shorts = of("short")
    for number in range(5):  # 12:00, 13:00 … 16:00
        one = numbered(number, "lm"[number % 2], "ab"[number // 3], minutes=60)
        put(store, one, shorts, judged(1, shorts, "F"))
    queries = store.queries
    told = [
        (slot.start.hour, slot.line, slot.recipe, slot.counts.products)
        for slot in queries.counts(None, None, LONG_AGO, LATER)
    ]
    assert told == [(12, "l", "a", 1), (13, "m", "a", 1), (14, "l", "a", 1), (15, "m", "b", 1), (16, "l", "b", 1)]
    assert [slot.start.hour for slot in queries.counts("l", None, LONG_AGO, LATER)] == [12, 14, 16]
    assert [slot.start.hour for slot in queries.counts(None, "b", LONG_AGO, LATER)] == [15, 16]
    assert [slot.start.hour for slot in queries.counts("l", "a", START + timedelta(hours=1), LATER)] == [14]
    assert [slot.start.hour for slot in queries.counts(None, None, START, START + timedelta(hours=2))] == [12, 13]
    tokyo = ZoneInfo("Asia/Tokyo")  # midnight there is 15:00
    by_day = queries.counts(None, None, LONG_AGO, LATER, "day", tokyo)
    first, second = datetime(2026, 3, 1, tzinfo=tokyo), datetime(2026, 3, 2, tzinfo=tokyo)
    assert [(slot.start, slot.line, slot.recipe, slot.counts.products) for slot in by_day] == [
        (first, "l", "a", 2),
        (first, "m", "a", 1),
        (second, "l", "b", 1),
        (second, "m", "b", 1),
    ]


def test_quantiles_of_latency_come_close(store: Store) -> None:
    manifest = of()
    rng = random.Random(5)
    times = sorted(rng.lognormvariate(5, 1) for _ in range(40))
    for number, ms in enumerate(times):
        one = numbered(number, minutes=0)
        put(store, one, manifest, judged(1, manifest, "", after_s=ms / 1000))
    told = counts(store)
    for part in (0.5, 0.95):
        assert told.latency_quantile_ms(part) == pytest.approx(times[int(part * 40) - 1], rel=0.2)
    assert told.latency_ms == pytest.approx(sum(times) / 40, abs=1)
    assert Counts().latency_quantile_ms(0.5) is None


def test_a_detector_that_makes_up_classes_fills_no_store(store: Store) -> None:
    wild = of(*(f"{number} " + "ü" * 300 for number in range(200)))
    put(store, numbered(0), wild, judged(1, wild, "F" * 200))
    told = counts(store)
    assert len(told.findings) == MOST_CLASSES + 1
    assert sum(by[Result.FAIL] for by in told.findings.values()) == 200
    assert all_of(store.queries, Wanted(class_name="3 " + "ü" * 300)) == [0]


def _histories(rng: random.Random) -> Iterator[tuple[Inspection, Manifest | None, list[Revision]]]:
    for number in range(24):
        one = numbered(number, rng.choice("lm"), rng.choice("ab"), minutes=rng.choice([0, 1, 30]))
        if rng.random() < 0.15:
            yield one, None, [Revision(1, Decider.parse("detect"), START, rejected("no picture"))]
            continue
        manifest = of(*(rng.choice(CLASSES) for _ in range(rng.randrange(4))))
        size = len(manifest.detections)
        revisions: list[Revision] = []
        if rng.random() < 0.5:
            revisions.append(judged(1, manifest, "PFU"[: rng.randrange(size + 1)], "sweep", rng.random() * 100))
        if rng.random() < 0.7:
            results = "".join(rng.choice("PFU") for _ in range(size))
            revisions.append(judged(len(revisions) + 1, manifest, results, after_s=rng.random() * 100))
        while revisions and rng.random() < 0.5:
            words = [rng.choice(list(Disposition)) for _ in range(rng.randrange(size + 1))]
            missed = tuple(rng.choice(CLASSES) for _ in range(rng.randrange(2)))
            revisions.append(answered(revisions[-1], rng.choice(list(Verdict)), *words, missed=missed))
        yield one, manifest, revisions


@pytest.mark.parametrize("seed", range(3))
def test_random_histories_in_any_order_are_found_and_counted_as_if_anew(store: Store, seed: int) -> None:
    rng = random.Random(seed)
    truth = MemoryInspections()
    steps = []
    for one, manifest, revisions in _histories(rng):
        put(store, one, manifest)
        put(truth, one, manifest)
        steps += [(rng.random() + revision.number, one, manifest, revision) for revision in revisions]
    for _, one, manifest, revision in sorted(steps, key=lambda step: step[0]):
        committed = replace(one, manifest=manifest, revision=revision)
        assert store.inspections.commit(committed, revision, [])
        assert truth.commit(committed, revision, [])
        if rng.random() < 0.2:
            assert not store.inspections.commit(committed, revision, [])
    queries, known = store.queries, MemoryQueries(truth)
    for by in ("hour", "day"):
        zone = ZoneInfo("Asia/Kolkata") if by == "day" else UTC
        for line, recipe in ((None, None), ("l", None), (None, "a"), ("m", "b")):
            asked = (line, recipe, LONG_AGO, LATER, by, zone)
            assert queries.counts(*asked) == known.counts(*asked)  # type: ignore[arg-type]
    for _ in range(12):
        wanted = Wanted(
            line=rng.choice([None, None, "l"]),
            recipe=rng.choice([None, None, "a"]),
            verdict=rng.choice([None, None, Verdict.FAIL]),
            decided_by=rng.choice([None, None, *By]),
            class_name=rng.choice([None, None, *CLASSES]),
            disposition=rng.choice([None, None, Disposition.FALSE_CALL]),
            oldest_first=rng.random() < 0.5,
        )
        assert sorted(all_of(queries, wanted)) == sorted(all_of(known, wanted)), wanted
    assert sorted(ids(queries.waiting(limit=99))) == sorted(ids(known.waiting(limit=99)))
    assert queries.waiting(["l", "m"]).count == known.waiting(["l", "m"]).count

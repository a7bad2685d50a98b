"""What must hold after any history, whatever happened in it. Each law says what it found, not only that it was broken."""

import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Final

from linegate.answers import Disposition
from linegate.handlers.revise import drawing
from linegate.imaging import decode
from linegate.inspection import OutboxState, Result, Revision, Verdict
from linegate.stages import REVIEWS
from tests.torture.histories import TARGETS, History, configured

WANTED: Final = {name: frozenset(configured().targets[name].verdicts) for name in TARGETS}


def violations(history: History) -> list[str]:
    """The laws that this history broke, in words; empty for none."""
    laws = (_served, _answered, _numbered, _passed, _decided_by_persons, _told, _drawn, _kept)
    return [f"seed {history.seed}: {found}" for law in laws for found in law(history)]


def _answered(history: History) -> Iterator[str]:
    """Every upload gets a verdict."""
    for upload in history.uploads:
        product = history.inspections.inspections.get(upload.image.inspection_id)
        revision = product.revision if product else None
        broken = upload.image.inspection_id in history.broken
        if revision is None:
            yield f"{upload.image.name} has no verdict"
        elif broken and revision.review is None and revision.decision.verdict in (Verdict.PASS, Verdict.FAIL):
            yield f"{upload.image.name} can't be opened, and is {revision.decision.verdict}"


def _served(history: History) -> Iterator[str]:
    """Nothing is left over but what somebody claims to have seen who can't have."""
    for topic, message in history.dead:
        if topic != REVIEWS:
            yield f"{topic} could not be served: {message.data[:200]!r}"


def _numbered(history: History) -> Iterator[str]:
    """Revision 1 is unique, and each has the next number."""
    for identity, revisions in history.inspections.history.items():
        numbers = [revision.number for revision in revisions]
        if numbers != list(range(1, len(numbers) + 1)):
            yield f"{identity[:6]} has the revisions {numbers}"
        standing = history.inspections.inspections[identity].revision
        if standing != revisions[-1]:
            yield f"{identity[:6]} shows revision {standing and standing.number}, not its latest"


def _passed(history: History) -> Iterator[str]:
    """No PASS of the machine unless every check of the stored manifest is PASS, and every detector could see."""
    for identity, revisions in history.inspections.history.items():
        product = history.inspections.inspections[identity]
        for revision in revisions:
            if revision.decision.verdict is not Verdict.PASS or revision.review is not None:
                continue
            manifest = product.manifest
            if manifest is None:
                yield f"{identity[:6]} passed without a manifest"
                continue
            recorded = history.inspections.recorded.get(identity, {})
            checks = [each.settled or recorded.get(n) for n, each in enumerate(manifest.detections)]
            if manifest.doubts or not all(check and check.result is Result.PASS for check in checks):
                yield f"{identity[:6]} passed with {manifest.doubts} and {checks}"
            if not all(each.clearable for n, each in enumerate(manifest.detections) if each.settled is None):
                yield f"{identity[:6]} passed beyond the leash"
            least = configured().recipes[product.recipe].least_coverage
            if manifest.coverage is not None and manifest.coverage.part < least:
                yield f"{identity[:6]} passed with a coverage of {manifest.coverage.part}"
            if not revision.decision.complete:
                yield f"{identity[:6]} passed incomplete"


def _decided_by_persons(history: History) -> Iterator[str]:
    """A person's decision is undone by no machine, and by no person who had not seen it."""
    for identity, revisions in history.inspections.history.items():
        for before, after in pairwise(revisions):
            if before.review is not None and after.review is None:
                yield f"{identity[:6]}: {after.decided_by} undid {before.decided_by}"
            if after.review is not None and after.review.seen != before.number:
                yield f"{identity[:6]}: {after.decided_by} decided about {after.review.seen} and overwrote {before.number}"
        said = [revision.review.review_id for revision in revisions if revision.review is not None]
        if len(set(said)) != len(said):
            yield f"{identity[:6]}: one decision became two revisions"
        refused = history.inspections.refused.get(identity, {})
        if set(said) & set(refused):
            yield f"{identity[:6]}: a decision became a revision, and was refused"
        for revision in revisions:
            yield from _rightly(identity, revision)


def _rightly(identity: str, revision: Revision) -> Iterator[str]:
    review = revision.review
    if review is None:
        return
    bad = bool(review.missed) or any(each.disposition is Disposition.TRUE_DEFECT for each in review.rulings)
    if revision.decision.verdict is not (Verdict.FAIL if bad else Verdict.PASS):
        yield f"{identity[:6]}: {review.author} said {review.rulings}, and it is {revision.decision.verdict}"
    ruled = {each.index for each in review.rulings}
    open_ones = {check.index for check in revision.decision.checks if check.result is not Result.PASS}
    if not bad and open_ones - ruled:
        yield f"{identity[:6]}: {review.author} passed {open_ones - ruled} unseen"


def _told(history: History) -> Iterator[str]:
    """Each due target hears the latest revision, hears it last, and one id always carries the same bytes."""
    outbox = history.inspections.outbox.held
    for identity, revisions in history.inspections.history.items():
        for target in TARGETS:
            sent = [(entry, body) for entry, body in history.targets[target].sent if identity in entry]
            due = [each.number for each in revisions if each.decision.verdict in WANTED[target]]
            heard = [json.loads(body)["data"]["revision"] for _, body in sent]
            if due and (not heard or heard[-1] < due[-1]):
                yield f"{identity[:6]}: {target} heard {heard}, and {due} are due"
            if heard and heard[-1] != max(heard):
                yield f"{identity[:6]}: the last word that {target} heard was {heard}"
            if heard and heard[-1] != revisions[-1].number:
                yield f"{identity[:6]}: {target} heard {heard}, and was not told of {revisions[-1].number}"
            if any(outbox[entry].body != body for entry, body in sent):
                yield f"{identity[:6]}: {target} was sent other bytes than were frozen"
    waiting = [entry.entry_id for entry in outbox.values() if entry.state is OutboxState.PENDING]
    if waiting:
        yield f"{waiting} wait for ever"


def _drawn(history: History) -> Iterator[str]:
    """The annotated picture of the latest revision shows its checks; without one, it says why."""
    for identity, revisions in history.inspections.history.items():
        product, last = history.inspections.inspections[identity], revisions[-1]
        if bool(last.annotated) == bool(last.annotated_why):
            yield f"{identity[:6]}: revision {last.number} has the picture {last.annotated!r} and {last.annotated_why!r}"
        if last.annotated:
            upright = decode(history.images.objects[product.image.bucket, product.image.name][1])
            drawn = history.images.objects["results", last.annotated][1]
            if drawn != drawing(upright, product, last.decision, last.review):
                yield f"{identity[:6]}: the picture of revision {last.number} shows another decision"


def _kept(history: History) -> Iterator[str]:
    """Where a person passed a product and a machine fails it afterwards, that is kept."""
    for identity, revisions in history.inspections.history.items():
        product, last = history.inspections.inspections[identity], revisions[-1]
        if last.review is None or last.decision.verdict is not Verdict.PASS:
            continue
        failed = {
            n for n, check in history.inspections.recorded.get(identity, {}).items() if check.result is Result.FAIL
        }
        seen = {check.index for check in last.decision.checks if check.result is Result.FAIL}
        if not failed - seen <= set(product.contradicted):
            yield f"{identity[:6]}: contradicted by {failed - seen}, kept are {product.contradicted}"

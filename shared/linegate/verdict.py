"""The pure rules that decide a product and say who is to hear of it.

A product never passes by accident: PASS needs a PASS for every detection of the manifest and a detector without doubts.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from linegate.answers import Missed, Review
from linegate.inspection import Check, Decision, Detection, LeftOut, Manifest, Result, Revision, Verdict
from linegate.search import audited
from linegate.shapes import whereabouts

# Of all reasons of a decision, and of all its checks' reasons, each: Firestore holds a mebibyte for a product, manifest and
# all. Up to 120 findings no reason is ever cut.
MOST_BYTES: Final = 150_000


def decide(manifest: Manifest | None, checks: Mapping[int, Check], fault: str = "") -> Decision:
    """Decide a product from its manifest and the checks that have come so far; `fault` is what kept detect from its end.

    One FAIL is a FAIL; else any UNSURE is REVIEW, and so is a missing check, a missing manifest or a doubt of the
    detector; PASS is what is left. The decision is complete when nothing is missing.
    """
    late = f"before the deadline{f' ({fault})' if fault else ''}."
    if manifest is None:
        reason = f"The detector gave no answer {late}"
        return Decision(Verdict.REVIEW, False, 0, (reason,), f"A person must look at this product. {reason}")
    results = tuple(
        _held(detection, detection.settled or checks.get(index) or Check(index, Result.UNSURE, f"No check {late}"))
        for index, detection in enumerate(manifest.detections)
    )
    failed = sum(check.result is Result.FAIL for check in results)
    unsure = sum(check.result is Result.UNSURE for check in results)
    if failed:
        verdict = Verdict.FAIL
    elif unsure or manifest.doubts:
        verdict = Verdict.REVIEW
    else:
        verdict = Verdict.PASS
    reasons = manifest.doubts + tuple(
        f"{_what_and_where(detection, manifest)}: {check.reason}"
        for detection, check in zip(manifest.detections, results, strict=True)
        if check.result is not Result.PASS
    )
    return Decision(
        verdict=verdict,
        complete=all(index in checks for index in range(manifest.expected)),
        fail_count=failed,
        reasons=_storable(reasons),
        summary=f"{_summary(verdict, manifest, results)}{_left_out(manifest.left_out)}",
        checks=tuple(
            replace(check, reason=reason)
            for check, reason in zip(results, _storable([check.reason for check in results]), strict=True)
        ),
    )


def _held(detection: Detection, check: Check) -> Check:
    """The check as it counts: a verifier clears nothing that the detector was too sure of. What is stored stays what it said."""
    if check.result is not Result.PASS or detection.clearable:
        return check
    reason = (
        f"The detector and the verifier disagree: detected with confidence {_figure(detection)}, above "
        f"{detection.clear_below:g} (clear_below), and cleared: {check.reason}"
    )
    return replace(check, result=Result.UNSURE, reason=reason, overruled=True)


def _figure(detection: Detection) -> str:
    """The confidence, to as many digits as tell it from the bound."""
    figure = f"{detection.confidence:.2f}"
    return figure if float(figure) > detection.clear_below else f"{detection.confidence:.6g}"


def _storable(texts: Sequence[str]) -> tuple[str, ...]:
    """Each text cut to its share of what a store can hold, where there are hundreds."""
    share = MOST_BYTES // max(1, len(texts))
    return tuple(text.encode("utf-8", "replace")[:share].decode("utf-8", "ignore") for text in texts)


def _left_out(left_out: LeftOut) -> str:
    """What policy did not let count, as further sentences."""
    parts = (
        (left_out.confidence, "below the recipe's confidence"),
        (left_out.ignored, "in ignored parts of the picture"),
    )
    return "".join(
        f" {_count(number, 'finding')} {why} {'was' if number == 1 else 'were'} left out."
        for number, why in parts
        if number
    )


def rejected(reason: str) -> Decision:
    """The decision for a picture that can't be inspected."""
    return Decision(Verdict.ERROR, True, 0, (reason,), f"No inspection took place: {reason}")


def lacking(manifest: Manifest | None, seen: Revision, review: Review) -> tuple[str, ...]:
    """What a review of this revision still has to say, as sentences; nothing can be passed unseen.

    A FAIL needs one defect. A PASS needs a ruling on every detection that the machine did not clear, and a look at the whole
    product where the machine has doubts, did not see all of it, or a person failed it.
    """
    checks = _seen(manifest, seen)
    unknown = [ruling.index for ruling in review.rulings if ruling.index >= len(checks)]
    if unknown:
        return (f"There is no finding {_listed(unknown)}: this product has {_count(len(checks), 'finding')}.",)
    if _defects(review):
        return ()
    ruled = {ruling.index for ruling in review.rulings}
    unruled = [index for index in open_findings(manifest, seen) if index not in ruled]
    said = (f"Nothing is said of finding {_listed(unruled)}.",) if unruled else ()
    unseen = unseen_by_machine(manifest, seen)
    return said if review.looked or not unseen else (*said, f"Somebody must look at the whole product: {unseen}.")


def open_findings(manifest: Manifest | None, seen: Revision) -> tuple[int, ...]:
    """The findings that a PASS needs a ruling on, by index: what the machine did not clear, and what a person called a defect."""
    called = seen.review.rulings if seen.review else ()
    found = {check.index for check in _seen(manifest, seen) if check.result is not Result.PASS}
    return tuple(sorted(found | {ruling.index for ruling in called if ruling.disposition.fails}))


def answered(manifest: Manifest | None, seen: Revision, review: Review) -> Decision:
    """What a person decides who lacks nothing: FAIL if they found or confirmed a defect, else PASS.

    Its checks are the machine's, as the person saw them; their word on each is in the review.
    """
    checks, defects = _seen(manifest, seen), _defects(review)
    words = [f"{_defect_text(defect, manifest)}: {review.author} says so" for defect in defects]
    if defects:
        more = f" and {len(words) - 3} more" if len(words) > 3 else ""
        places = [_defect_text(defect, manifest) for defect in defects[:3]]
        summary = f"{review.author} found {_count(len(defects), 'defect')}: {'; '.join(places)}{more}."
    else:
        counts = Counter(ruling.disposition.words for ruling in review.rulings)
        ruled = ", ".join(f"{number} {word}" for word, number in counts.items())
        summary = f"{review.author} passed this product{f': {ruled}' if ruled else ''}."
    return Decision(
        verdict=Verdict.FAIL if defects else Verdict.PASS,
        complete=True,
        fail_count=len(defects),
        reasons=_storable([f"{word}." for word in words]),
        summary=summary,
        checks=checks,
    )


def _seen(manifest: Manifest | None, seen: Revision) -> tuple[Check, ...]:
    """One check for each detection, as whoever looked at the revision saw it."""
    known = {check.index: check for check in seen.decision.checks}
    detections = manifest.detections if manifest else ()
    return tuple(
        known.get(index, Check(index, Result.UNSURE, "No check when it was decided."))
        for index in range(len(detections))
    )


def _defects(review: Review) -> list[int | Missed]:
    """The indices that the person called defects, and what was missed."""
    return [
        *(ruling.index for ruling in review.rulings if ruling.disposition.fails),
        *review.missed,
    ]


def unseen_by_machine(manifest: Manifest | None, seen: Revision) -> str:
    """Why rulings on findings alone pass nothing, as the end of a sentence; empty where they do."""
    if manifest is None:
        return "no detector has seen it"
    author = seen.review.author if seen.review is not None else ""
    reasons = (
        (audited(manifest, seen) and not author, "it was drawn for an audit"),
        (manifest.doubts, "the machine has doubts"),
        (not seen.decision.complete, "not all answers had come"),
        (seen.decision.verdict is Verdict.ERROR, "no inspection took place"),
        (author and seen.decision.verdict is Verdict.FAIL, f"{author} failed it"),
    )
    return next((reason for holds, reason in reasons if holds), "")


def _defect_text(defect: int | Missed, manifest: Manifest | None) -> str:
    if isinstance(defect, Missed):
        where = f" at the {whereabouts(defect.box, manifest.width, manifest.height)}" if defect.box and manifest else ""
        return f"{defect.class_name.replace('_', ' ')}{where} (missed by the machine)"
    assert manifest is not None
    return _what_and_where(manifest.detections[defect], manifest)


def _listed(numbers: Sequence[int]) -> str:
    """At most ten of them."""
    more = f" and {len(numbers) - 10} more" if len(numbers) > 10 else ""
    return ", ".join(map(str, numbers[:10])) + more


def recipients(subscribed: Mapping[str, Sequence[Verdict]], verdict: Verdict, told: Iterable[str]) -> list[str]:
    """Names of the targets to notify: those that asked for this verdict, and those that must hear of a correction.

    `subscribed` maps each target of the line to the verdicts it asked for; `told` were sent an earlier revision.
    """
    known = set(told)
    return [name for name, verdicts in subscribed.items() if verdict in verdicts or name in known]


def _what_and_where(detection: Detection, manifest: Manifest) -> str:
    return (
        f"{detection.class_name.replace('_', ' ')} at the {whereabouts(detection.box, manifest.width, manifest.height)}"
    )


def _summary(verdict: Verdict, manifest: Manifest, checks: tuple[Check, ...]) -> str:
    """One or two plain sentences that a quality report can carry."""
    pairs = list(zip(manifest.detections, checks, strict=True))

    def listed(result: Result) -> str:
        places = [
            f"{_what_and_where(detection, manifest)} ({check.reason.rstrip('.')})"
            for detection, check in pairs
            if check.result is result
        ]
        more = f" and {len(places) - 3} more" if len(places) > 3 else ""
        return "; ".join(places[:3]) + more

    failed = sum(check.result is Result.FAIL for check in checks)
    unsure = sum(check.result is Result.UNSURE for check in checks)
    if verdict is Verdict.FAIL:
        also = f" {_count(unsure, 'further finding')} could not be judged." if unsure else ""
        return f"{_count(failed, 'defect')} confirmed: {listed(Result.FAIL)}.{also}"
    if verdict is Verdict.REVIEW:
        causes = [doubt.rstrip(".") for doubt in manifest.doubts]
        causes += [f"{_count(unsure, 'finding')} could not be judged: {listed(Result.UNSURE)}"] if unsure else []
        return f"A person must look at this product. {'. '.join(causes)}."
    measured = sum(detection.measure is not None for detection, _ in pairs)
    said = [f"{_count(measured, 'measure')} inside the limits"] if measured else []
    said += [f"{_count(len(pairs) - measured, 'suspected place')} checked and cleared"] if len(pairs) > measured else []
    if said:
        return f"No defect: {', '.join(said)}."
    return "No defect was found on this product."


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"

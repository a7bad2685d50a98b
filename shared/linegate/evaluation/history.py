"""What a line's own history says of its gate: the boards that persons decided on, beside what the gate had said.

Persons look at what the gate held. How many bad boards it let pass can be told only from boards that passed and were looked
at all the same, and only where those were drawn at random.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from linegate.bounds import boards_needed, percent, upper
from linegate.inspection import Inspection, Revision, Verdict

LIKELY: Final = 0.008  # a rate for which it is told how many boards it takes, where none was named


@dataclass(frozen=True, slots=True)
class Decided:
    """What the gate said of a board, and what a person did; None where nobody looked."""

    gate: Verdict
    person: Verdict | None = None


def decided(inspections: Iterable[Inspection], revisions: Callable[[str], Sequence[Revision]]) -> list[Decided]:
    """The boards that the gate has decided, each by its latest inspection; `inspections` are the newest first."""
    seen = set[tuple[str, str]]()
    found = []
    for inspection in inspections:
        latest, board = inspection.revision, (inspection.place.line, inspection.place.serial)
        if latest is None or board in seen:
            continue
        if board[1]:
            seen.add(board)
        if not latest.decided_by.is_person:
            found.append(Decided(latest.decision.verdict))
            continue
        own = [each for each in revisions(inspection.inspection_id) if not each.decided_by.is_person]
        if own:
            found.append(Decided(own[-1].decision.verdict, _truth(latest)))
    return found


def _truth(revision: Revision) -> Verdict:
    """What a person said of the product as it came: one that was repaired passes, and was bad all the same."""
    repaired = revision.review is not None and revision.review.defective
    return Verdict.FAIL if repaired else revision.decision.verdict


def assess(boards: Sequence[Decided], certainty: float, escape_rate: float | None = None) -> dict[str, Any]:
    """How often persons agreed, by what the gate had said; `needed` is how many passed boards they must look at."""
    table = Counter((board.gate, board.person) for board in boards)
    looked_at = {
        gate.value: {person.value: table[gate, person] for person in (Verdict.PASS, Verdict.FAIL)} for gate in Verdict
    }
    audited = looked_at[Verdict.PASS.value]
    total = sum(audited.values())
    return {
        "certainty": certainty,
        "decided": {verdict.value: sum(board.gate is verdict for board in boards) for verdict in Verdict},
        "by_persons": sum(board.person is not None for board in boards),
        "looked_at": looked_at,
        "passed_and_bad_at_most": upper(audited[Verdict.FAIL.value], total, certainty) if total else None,
        "escape_rate": escape_rate or LIKELY,
        "needed": boards_needed(escape_rate or LIKELY, certainty, audited[Verdict.FAIL.value]),
    }


def lines(told: dict[str, Any]) -> list[str]:
    """The same for a person."""
    counted = ", ".join(f"{count} {verdict}" for verdict, count in told["decided"].items() if count) or "none"
    said = [f"boards that the gate decided: {counted}; persons decided on {told['by_persons']} of them"]
    audited, failed = told["looked_at"]["PASS"], told["looked_at"]["FAIL"]
    total, certainty = sum(audited.values()), f"{100 * told['certainty']:g} % certainty"
    if not told["by_persons"]:
        said.append("No person has decided on any of these boards, so nothing is known of escapes or false alarms.")
    if sum(failed.values()):
        said.append(f"of {sum(failed.values())} boards that failed, persons called {failed['PASS']} good")
    if total:
        said.append(
            f"of {total} boards that passed, persons called {audited['FAIL']} bad: at most "
            f"{percent(told['passed_and_bad_at_most'])} of what passes is bad with {certainty}, if these were drawn at random"
        )
    elif told["by_persons"]:
        said.append("persons looked at no board that had passed, so nothing is known of escapes")
    bad = f"no more than {audited['FAIL']} are" if audited["FAIL"] else "none is"
    said.append(
        f"What is needed: persons' decisions on {told['needed']} boards that passed, drawn at random, of which {bad} bad, "
        f"show that at most {100 * told['escape_rate']:g} % of what passes is bad with {certainty}. "
        "Kappa and effectiveness need boards that were drawn whatever the gate said: a DATASET."
    )
    return said

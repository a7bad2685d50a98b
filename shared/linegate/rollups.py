"""Counts by line, recipe and hour, kept up with each revision: what one adds to which counter, and what the sums tell.

A product counts in the hour (UTC) in which it was received, for good: a correction days later moves it from one verdict to the
other there. What an inspection adds in all is a function of its manifest and revisions (`counted`); a new revision adds the
difference (`added`), in the batch that creates it, so that each is counted exactly once. Counters are texts:

    first|VERDICT                    products by their first verdict
    latest|VERDICT                   products by their latest verdict
    finding|RESULT|class             findings by what the gate said of them last
    unruled|RESULT|class             those of them that it did not clear and that no person spoke of
    ruled|disposition|class          findings by what persons said of them last
    missed||class                    defects that only a person found
    answered|VERDICT|VERDICT         products that a person decided: the gate's last verdict, the person's latest
    judged|VERDICT|state             the same products by the gate's last verdict and the state in which they came
    audit|state                      products that passed and were drawn for an audit, by what a person found; none yet: ""
    latency_ms, latency|n            of first verdicts, since the picture was received: their sum, and a histogram
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from enum import StrEnum
from typing import Final

from linegate.answers import Disposition
from linegate.inspection import Inspection, Result, Revision, Verdict
from linegate.search import MOST_CLASSES, audited, class_of, machine_checks, missed, rulings

# The first bucket of latencies ends here, in ms; each of the next is a quarter wider, the last holds all that is longer (1.8 h).
FIRST_MS: Final = 10.0
WIDER: Final = 1.25
LAST: Final = 60


class State(StrEnum):
    """How a product came to the gate, as a person tells it: one that was repaired since came defective, and one that is
    accepted as it is was no false call either.
    """

    DEFECTIVE = "defective"
    ACCEPTED = "accepted"
    GOOD = "good"


# All classes beyond MOST_CLASSES of one product
OTHER: Final = "(others)"


@dataclass(frozen=True, slots=True)
class Counts:
    """Counters by their texts. Sums of counts are counts."""

    counters: Mapping[str, int] = field(default_factory=dict)

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(_without_zeros(Counter(self.counters), other.counters, 1))

    @property
    def products(self) -> int:
        """That have a verdict."""
        return sum(self.first.values())

    @property
    def first(self) -> dict[Verdict, int]:
        """Products by their first verdict."""
        return {Verdict(verdict): count for verdict, _, count in self._of("first")}

    @property
    def latest(self) -> dict[Verdict, int]:
        """Products by their latest verdict."""
        return {Verdict(verdict): count for verdict, _, count in self._of("latest")}

    @property
    def findings(self) -> dict[str, dict[Result, int]]:
        """By class, and by what the gate said of them last."""
        found: dict[str, dict[Result, int]] = {}
        for result, name, count in self._of("finding"):
            found.setdefault(name, {})[Result(result)] = count
        return found

    @property
    def unruled(self) -> dict[str, dict[Result, int]]:
        """Findings that no person spoke of, by class, and by what the gate said of them last: FAIL or UNSURE."""
        found: dict[str, dict[Result, int]] = {}
        for result, name, count in self._of("unruled"):
            found.setdefault(name, {})[Result(result)] = count
        return found

    @property
    def ruled(self) -> dict[str, dict[Disposition, int]]:
        """Findings that a person spoke of, by class and by what they said last."""
        found: dict[str, dict[Disposition, int]] = {}
        for disposition, name, count in self._of("ruled"):
            found.setdefault(name, {})[Disposition(disposition)] = count
        return found

    @property
    def false_calls(self) -> int:
        """Findings that a person called false."""
        return sum(by.get(Disposition.FALSE_CALL, 0) for by in self.ruled.values())

    @property
    def missed(self) -> dict[str, int]:
        """Defects that only a person found, by class."""
        return {name: count for _, name, count in self._of("missed")}

    @property
    def answered(self) -> dict[tuple[Verdict, Verdict], int]:
        """Products that a person decided, by (the gate's last verdict, the person's latest)."""
        return {(Verdict(gate), Verdict(person)): count for gate, person, count in self._of("answered")}

    @property
    def judged(self) -> dict[tuple[Verdict, State], int]:
        """Products that a person decided, by (the gate's last verdict, the state in which they came)."""
        return {(Verdict(gate), State(state)): count for gate, state, count in self._of("judged")}

    @property
    def audited(self) -> dict[State | None, int]:
        """Products that passed and were drawn for an audit, by the state in which a person found them; None: nobody has yet."""
        return {State(state) if state else None: count for state, _, count in self._of("audit")}

    @property
    def escapes(self) -> int:
        """Those of them that had come defective."""
        return self.audited.get(State.DEFECTIVE, 0)

    @property
    def latency_ms(self) -> float | None:
        """The mean, from the picture's receipt to the first verdict; None where there is none."""
        return self.counters.get("latency_ms", 0) / self.products if self.products else None

    def latency_quantile_ms(self, part: float) -> float | None:
        """The latency that this part (0 … 1) of first verdicts stay within, to an eighth; None where there is none."""
        buckets = sorted((int(number), count) for number, _, count in self._of("latency"))
        rank, passed = part * sum(count for _, count in buckets), 0
        for number, count in buckets:
            if passed + count >= rank:
                within = (rank - passed) / count
                return FIRST_MS * WIDER ** (number - 1 + within) if number else FIRST_MS * within
            passed += count
        return None

    def _of(self, kind: str) -> Iterable[tuple[str, str, int]]:
        for text, count in self.counters.items():
            begins, *more = text.split("|", 2)
            if begins == kind:
                yield (*more, "")[0], (*more, "", "")[1], count


@dataclass(frozen=True, slots=True)
class Slot:
    """The counts of an hour, or of a day, of one line and recipe. `start` is when it begins."""

    start: datetime
    line: str
    recipe: str
    counts: Counts


def hour(inspection: Inspection) -> datetime:
    """In which an inspection counts, UTC."""
    return inspection.received_at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)


def counted(inspection: Inspection, revisions: Sequence[Revision]) -> Counter[str]:
    """All that an inspection with these revisions, the first one first, adds to the counts of its hour."""
    found: Counter[str] = Counter()
    if not revisions:
        return found
    first, latest, manifest = revisions[0], revisions[-1], inspection.manifest
    latency_ms = max(0.0, 1000 * (first.decided_at - inspection.received_at).total_seconds())
    found[f"first|{first.decision.verdict}"] += 1
    found[f"latest|{latest.decision.verdict}"] += 1
    found[f"latency|{bucket(latency_ms)}"] += 1
    found["latency_ms"] += round(latency_ms)
    own = [revision for revision in revisions if not revision.decided_by.is_person]
    if latest.decided_by.is_person and own:
        found[f"answered|{own[-1].decision.verdict}|{latest.decision.verdict}"] += 1
        found[f"judged|{own[-1].decision.verdict}|{_state(revisions)}"] += 1
    if own and audited(manifest, own[-1]):
        found[f"audit|{_state(revisions) if latest.decided_by.is_person else ''}"] += 1
    checks, ruled = machine_checks(revisions), rulings(revisions)
    said = [(f"finding|{check.result}", class_of(manifest, index)) for index, check in enumerate(checks)]
    said += [
        (f"unruled|{check.result}", class_of(manifest, index))
        for index, check in enumerate(checks)
        if check.result is not Result.PASS and index not in ruled
    ]
    said += [(f"ruled|{word}", class_of(manifest, index)) for index, word in ruled.items()]
    said += [("missed|", name) for name in missed(revisions)]
    names = set(list(dict.fromkeys(name for _, name in said))[:MOST_CLASSES])
    for what, name in said:
        found[f"{what}|{name if name in names else OTHER}"] += 1
    return found


def _state(revisions: Sequence[Revision]) -> State:
    """By the last word of persons on each finding, and by what the latest of them found missed."""
    words = set(rulings(revisions).values())
    if missed(revisions) or words & {Disposition.TRUE_DEFECT, Disposition.REPAIRED}:
        return State.DEFECTIVE
    return State.ACCEPTED if Disposition.ACCEPTED in words else State.GOOD


def added(inspection: Inspection, revisions: Sequence[Revision], known: int) -> dict[str, int]:
    """What the revisions from number `known` + 1 on add to the counters where those up to it are counted; some less than 0."""
    more = counted(inspection, revisions)
    return _without_zeros(more, counted(inspection, revisions[:known]), -1)


def days(hours: Iterable[Slot], zone: tzinfo) -> list[Slot]:
    """The sums of each day by the clocks of `zone`; an hour belongs to the day in which it begins."""
    sums: dict[tuple[datetime, str, str], Counter[str]] = {}
    for slot in hours:
        start = slot.start.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
        into = sums.setdefault((start, slot.line, slot.recipe), Counter())
        for text, count in slot.counts.counters.items():
            into[text] += count
    return ordered(Slot(*key, Counts(_without_zeros(counters, {}, 1))) for key, counters in sums.items())


def spans(since: datetime, until: datetime, zone: tzinfo | None) -> list[tuple[datetime, datetime, datetime]]:
    """(day, first, behind) for each day of `zone` between: the hours that count for it begin in first ≤ t < behind.

    Without a zone one span, of all. `since` lies before `until`.
    """
    if zone is None:
        return [(since, since, until)]
    day = since.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    found = []
    while day < until:
        behind = (day + timedelta(hours=30)).replace(hour=0, minute=0)  # on the wall, whatever the clocks do that day
        found.append((day, max(day, since), min(behind, until)))
        day = behind
    return found


def ordered(slots: Iterable[Slot]) -> list[Slot]:
    return sorted(slots, key=lambda slot: (slot.start, slot.line, slot.recipe))


def bucket(latency_ms: float) -> int:
    """0 for FIRST_MS and less; `n` ends at FIRST_MS · WIDER**n."""
    if latency_ms <= FIRST_MS:
        return 0
    return min(LAST, math.ceil(math.log(latency_ms / FIRST_MS, WIDER)))


def _without_zeros(into: Counter[str], other: Mapping[str, int], sign: int) -> dict[str, int]:
    for text, count in other.items():
        into[text] += sign * count
    return {text: count for text, count in into.items() if count}

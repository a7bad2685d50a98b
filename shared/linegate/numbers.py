"""What counts tell of a line: yields, false calls, escapes, defects; each with the words that say what was divided by what.

The field disputes all of these. So a share carries its formula, and how many products may count yet that nobody has answered.
A product is one inspection: one that is photographed again counts again. Where the gate's word is meant, it is the last one
that it gave by itself, whatever persons said later.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from linegate.answers import Disposition
from linegate.bounds import lower, upper
from linegate.inspection import Result, Verdict
from linegate.rollups import Counts, Slot, State

K = TypeVar("K")

CERTAINTY: Final = 0.95
MILLION: Final = 1_000_000
INSPECTED: Final = (Verdict.PASS, Verdict.FAIL, Verdict.REVIEW)
CONFIRMED: Final = (Disposition.TRUE_DEFECT, Disposition.REPAIRED)
HELD: Final = (Verdict.FAIL, Verdict.REVIEW)


@dataclass(frozen=True, slots=True)
class Share:
    """A share of products, and its formula in words: `counted` ÷ `of`. `note` says what it is good for."""

    key: str
    name: str
    counted: str
    of: str
    note: str
    count: Callable[[Counts], int]
    total: Callable[[Counts], int]
    open: Callable[[Counts], int] = lambda _: 0

    def measured(self, counts: Counts) -> "Measured":
        return Measured(self, self.count(counts), self.total(counts), self.open(counts))


@dataclass(frozen=True, slots=True)
class Measured:
    """A share as these counts have it. `open` of `total` may count yet: nobody has answered them."""

    share: Share
    count: int
    total: int
    open: int = 0

    @property
    def rate(self) -> float | None:
        """None where there is nothing to divide by: unknown, not zero."""
        return self.count / self.total if self.total else None

    @property
    def interval(self) -> tuple[float, float]:
        """Between which the true share lies with CERTAINTY, after Clopper and Pearson; 0 and 1 where nothing is known.

        What is open counts for neither bound, so that the interval holds however it will be answered.
        """
        if not self.total:
            return 0.0, 1.0
        each = (1 + CERTAINTY) / 2
        most = min(self.total, self.count + self.open)
        return lower(self.count, self.total, each), upper(most, self.total, each)


def gate_said(counts: Counts) -> dict[Verdict, int]:
    """Products by the last verdict that the gate gave by itself."""
    said = Counter(counts.latest)
    for (gate, person), count in counts.answered.items():
        said[person] -= count
        said[gate] += count
    return {verdict: said[verdict] for verdict in Verdict}


def waiting(counts: Counts) -> int:
    """FAIL and REVIEW that no person has answered."""
    answered = sum(count for (_, person), count in counts.answered.items() if person in HELD)
    return sum(counts.latest.get(verdict, 0) for verdict in HELD) - answered


def _first(*verdicts: Verdict) -> Callable[[Counts], int]:
    return lambda counts: sum(counts.first.get(verdict, 0) for verdict in verdicts)


def _said(*verdicts: Verdict) -> Callable[[Counts], int]:
    return lambda counts: sum(gate_said(counts)[verdict] for verdict in verdicts)


def _judged(gate: Iterable[Verdict], *states: State) -> Callable[[Counts], int]:
    wanted = {(verdict, state) for verdict in gate for state in states or State}
    return lambda counts: sum(count for key, count in counts.judged.items() if key in wanted)


def _came_good(counts: Counts) -> int:
    passed = gate_said(counts)[Verdict.PASS] - _judged([Verdict.PASS], State.DEFECTIVE)(counts)
    return passed + _judged(HELD, State.GOOD, State.ACCEPTED)(counts)


FIRST_PASS: Final = Share(
    "first_pass_yield",
    "First-pass yield",
    "products whose first verdict is PASS",
    "products whose first verdict is PASS, FAIL or REVIEW",
    "The gate alone, before any person looked: what is held in vain lowers it.",
    _first(Verdict.PASS),
    _first(*INSPECTED),
)
REVIEWED: Final = Share(
    "reviewed_yield",
    "First-pass yield after review",
    "products that came good: PASS, less those that a person found defective; "
    "and FAIL or REVIEW that a person called good or accepted",
    "products that the gate called PASS, FAIL or REVIEW",
    "Products that were repaired came defective. PASS that nobody audited counts as good.",
    _came_good,
    _said(*INSPECTED),
    waiting,
)
FALSE_CALLS: Final = Share(
    "false_call_rate",
    "False-call rate",
    "products that the gate called FAIL or REVIEW, and a person good",
    "products that the gate called PASS, FAIL or REVIEW",
    "Per product inspected. What was accepted as it is (a process indicator) is no false call.",
    _judged(HELD, State.GOOD),
    _said(*INSPECTED),
    waiting,
)
IN_VAIN: Final = Share(
    "held_in_vain",
    "Held in vain",
    "products that the gate called FAIL or REVIEW, and a person good",
    "products that the gate called FAIL or REVIEW, and a person answered",
    "What people at the line feel: how many of those that they look at are good.",
    _judged(HELD, State.GOOD),
    _judged(HELD),
)
ESCAPES: Final = Share(
    "escape_rate",
    "Escape rate",
    "products that passed and were drawn for an audit, and that a person found defective",
    "products that passed and were drawn for an audit, and that a person looked at",
    "Of passed products. Only an audit measures it, for chance draws it: without one it is unknown, not zero.",
    lambda counts: counts.escapes,
    lambda counts: sum(counts.audited.get(state, 0) for state in State),
)
REVIEW_SHARE: Final = Share(
    "review_share",
    "REVIEW share",
    "products whose first verdict is REVIEW",
    "products whose first verdict is PASS, FAIL or REVIEW",
    "How often the gate asks a person.",
    _first(Verdict.REVIEW),
    _first(*INSPECTED),
)
ERRORS: Final = Share(
    "error_share",
    "ERROR share",
    "products whose first verdict is ERROR",
    "all products",
    "No inspection took place. ERROR counts in no other figure here.",
    _first(Verdict.ERROR),
    lambda counts: counts.products,
)
SHARES: Final = (FIRST_PASS, REVIEWED, FALSE_CALLS, IN_VAIN, ESCAPES, REVIEW_SHARE, ERRORS)


def escaped(counts: Counts) -> tuple[int, int] | None:
    """How many of the passed products that nobody audited are defective, at least and at most; None without an audit."""
    audited = ESCAPES.measured(counts)
    if not audited.total:
        return None
    unseen = gate_said(counts)[Verdict.PASS] - audited.total
    low, high = audited.interval
    return math.floor(low * unseen), math.ceil(high * unseen)


@dataclass(frozen=True, slots=True)
class Defects:
    """The findings of one class. `claimed` are the gate's FAIL of which no person spoke, `unsure` what it left open so."""

    class_name: str
    claimed: int = 0
    confirmed: int = 0  # by a person, those that were repaired included
    missed: int = 0  # found by a person only
    false_calls: int = 0
    accepted: int = 0
    unsure: int = 0

    @property
    def defects(self) -> int:
        """What counts as a defect: what was claimed and not denied, confirmed, or missed."""
        return self.claimed + self.confirmed + self.missed


def _defects(counts: Counts) -> int:
    """Of all classes together."""
    claimed = sum(by.get(Result.FAIL, 0) for by in counts.unruled.values())
    confirmed = sum(by.get(word, 0) for by in counts.ruled.values() for word in CONFIRMED)
    return claimed + confirmed + sum(counts.missed.values())


def pareto(counts: Counts) -> list[Defects]:
    """By class: most defects first, then most false calls."""
    ruled, unruled = counts.ruled, counts.unruled
    found = []
    for name in {*ruled, *unruled, *counts.missed}:
        words, left = ruled.get(name, {}), unruled.get(name, {})
        found.append(
            Defects(
                name,
                claimed=left.get(Result.FAIL, 0),
                confirmed=sum(words.get(word, 0) for word in CONFIRMED),
                missed=counts.missed.get(name, 0),
                false_calls=words.get(Disposition.FALSE_CALL, 0),
                accepted=words.get(Disposition.ACCEPTED, 0),
                unsure=left.get(Result.UNSURE, 0),
            )
        )
    return sorted(found, key=lambda one: (-one.defects, -one.false_calls, -one.unsure, one.class_name))


@dataclass(frozen=True, slots=True)
class Rate:
    """Defects per unit and per million opportunities, of products of which the opportunities are known."""

    defects: int
    products: int
    known_defects: int  # of products of these recipes alone
    opportunities: int  # of all those products together
    without: tuple[str, ...] = ()  # recipes whose opportunities are not known

    FORMULA = "defects · 1 000 000 ÷ (products · opportunities of each, as its recipe has them)"
    PER_UNIT = "defects ÷ products that the gate called PASS, FAIL or REVIEW"
    DEFECTS = "what the gate called FAIL and nobody denied, what a person confirmed, repaired or found missed"

    @property
    def dpu(self) -> float | None:
        """Defects per unit."""
        return self.defects / self.products if self.products else None

    @property
    def dpmo(self) -> float | None:
        """Defects per million opportunities; None where no recipe tells its own."""
        return self.known_defects * MILLION / self.opportunities if self.opportunities else None


def defect_rate(by_recipe: Mapping[str, Counts], opportunities: Mapping[str, int]) -> Rate:
    """`opportunities` of one product of each recipe, as far as they are known."""
    defects = {name: _defects(counts) for name, counts in by_recipe.items()}
    products = {name: _said(*INSPECTED)(counts) for name, counts in by_recipe.items()}
    return Rate(
        sum(defects.values()),
        sum(products.values()),
        sum(count for name, count in defects.items() if name in opportunities),
        sum(count * opportunities[name] for name, count in products.items() if name in opportunities),
        tuple(sorted(name for name in by_recipe if name not in opportunities)),
    )


def total(counts: Iterable[Counts]) -> Counts:
    into: dict[str, int] = {}
    for each in counts:
        for text, count in each.counters.items():
            into[text] = into.get(text, 0) + count
    return Counts(into)


def grouped(slots: Iterable[Slot], key: Callable[[Slot], K]) -> dict[K, Counts]:
    """The sums of the slots of each key, by key in the order in which they come."""
    found: dict[K, list[Counts]] = {}
    for slot in slots:
        found.setdefault(key(slot), []).append(slot.counts)
    return {name: total(those) for name, those in found.items()}

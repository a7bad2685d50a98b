"""The gate as an attribute gauge: effectiveness, miss rate, false-alarm rate and kappa, with exact bounds.

After "Measurement Systems Analysis" (AIAG, 4th edition, 2010), attribute studies; Cohen, "A coefficient of agreement for
nominal scales" (1960). What that manual has no word for is REVIEW: a board for a person is neither passed nor failed. It is
no miss and no false alarm, but no right decision either, so it lowers the effectiveness and nothing else.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import permutations
from typing import Any, Final

from linegate.bounds import interval, upper
from linegate.inspection import Verdict

SURE: Final = frozenset({Verdict.PASS, Verdict.FAIL})


class Band(StrEnum):
    """AIAG's words for a gauge, the best first. What is not known may be anything, but mends nothing that is unacceptable."""

    ACCEPTABLE = "acceptable"
    MARGINAL = "marginal"
    UNKNOWN = "not known"
    UNACCEPTABLE = "unacceptable"


# Effectiveness at least, miss rate and false-alarm rate at most, for "acceptable" and for "marginal"
EFFECTIVENESS: Final = (0.90, 0.80)
MISS_RATE: Final = (0.02, 0.05)
FALSE_ALARM_RATE: Final = (0.05, 0.10)
KAPPA: Final = (0.75, 0.40)  # above the one agreement is good to excellent, below the other poor


@dataclass(frozen=True, slots=True)
class Study:
    """One board: what it is by its labels, and the verdict of each look at it. Looks at one board are not independent."""

    name: str
    classes: frozenset[str]  # of its labelled defects; none on a good board
    looks: tuple[Verdict, ...]

    @property
    def bad(self) -> bool:
        return bool(self.classes)

    @property
    def right(self) -> bool:
        """Whether every look decided as the reference does."""
        return all(verdict is (Verdict.FAIL if self.bad else Verdict.PASS) for verdict in self.looks)


def assess(boards: Sequence[Study], certainty: float) -> dict[str, Any]:
    """The figures of a study. Rates are of looks, as AIAG counts them; bounds are of boards.

    A board is missed where any look at it passed: whoever bounds that bounds the escapes of a single look as well, and it
    needs nothing to be independent but the boards.
    """
    bad, good = ([board for board in boards if board.bad is kind] for kind in (True, False))
    right = sum(board.right for board in boards)
    low, high = interval(right, len(boards), certainty)
    effectiveness = right / len(boards) if boards else None
    missed, alarmed = _rate(bad, Verdict.PASS, certainty), _rate(good, Verdict.FAIL, certainty)
    reference = kappa(
        ((Verdict.FAIL if board.bad else Verdict.PASS), look)
        for board in boards
        for look in board.looks
        if look in SURE
    )
    within = kappa(pair for board in boards for pair in permutations(board.looks, 2))
    # What the bounds and not only the values keep to
    shown = {
        "effectiveness": at_least(low if boards else None, EFFECTIVENESS),
        "miss_rate": at_most(missed["at_most"] if bad else None, MISS_RATE),
        "false_alarm_rate": at_most(alarmed["at_most"] if good else None, FALSE_ALARM_RATE),
    }
    bands = {
        "effectiveness": at_least(effectiveness, EFFECTIVENESS),
        "miss_rate": at_most(missed["rate"], MISS_RATE),
        "false_alarm_rate": at_most(alarmed["rate"], FALSE_ALARM_RATE),
        "kappa_reference": _kappa_band(reference),
        "kappa_within": _kappa_band(within),
    }
    return {
        "boards": len(boards),
        "bad": len(bad),
        "good": len(good),
        "looks": max((len(board.looks) for board in boards), default=0),
        "certainty": certainty,
        "effectiveness": {"right": right, "rate": effectiveness, "low": low, "high": high},
        "miss_rate": missed,
        "false_alarm_rate": alarmed,
        "review": {"bad": _rate(bad, Verdict.REVIEW, certainty), "good": _rate(good, Verdict.REVIEW, certainty)},
        "not_inspected": sum(look is Verdict.ERROR for board in boards for look in board.looks),
        "kappa_reference": reference,
        "kappa_within": within,
        "bands": {name: band.value for name, band in bands.items()},
        "shown": {name: band.value for name, band in shown.items()},
        "band": max(bands.values(), key=list(Band).index).value,
        "shown_band": max(shown.values(), key=list(Band).index).value,
        "table": {
            kind: {verdict.value: sum(look is verdict for board in some for look in board.looks) for verdict in Verdict}
            for kind, some in (("bad", bad), ("good", good))
        },
        "per_class": _per_class(bad, certainty),
        "missed": sorted(board.name for board in bad if Verdict.PASS in board.looks),
        "alarmed": sorted(board.name for board in good if Verdict.FAIL in board.looks),
    }


def _rate(boards: Sequence[Study], verdict: Verdict, certainty: float) -> dict[str, Any]:
    """Of looks that ended so, and of boards of which any did, with what the part of such boards is at most."""
    looks = [look is verdict for board in boards for look in board.looks]
    any_look = sum(verdict in board.looks for board in boards)
    return {
        "looks": len(looks),
        "so": sum(looks),
        "rate": sum(looks) / len(looks) if looks else None,
        "boards": len(boards),
        "boards_so": any_look,
        "at_most": upper(any_look, len(boards), certainty),
    }


def _per_class(bad: Sequence[Study], certainty: float) -> dict[str, dict[str, Any]]:
    """Of boards with defects of one class only: where there are several, one that is found holds the board for all."""
    told = {}
    for name in sorted({name for board in bad for name in board.classes}):
        alone = [board for board in bad if board.classes == {name}]
        missed = _rate(alone, Verdict.PASS, certainty)
        told[name] = {
            **missed,
            "review": sum(Verdict.REVIEW in board.looks for board in alone),
            "with_others": sum(name in board.classes for board in bad) - len(alone),
            "band": at_most(missed["rate"], MISS_RATE).value,
        }
    return told


def kappa(pairs: Iterable[tuple[Verdict, Verdict]]) -> float | None:
    """Cohen's kappa of two who name the same things; None where chance alone would have them agree, or there is nothing.

    Within the gate, each look is paired with each other one at the same board, in both orders.
    """
    table = Counter(pairs)
    total = sum(table.values())
    if not total:
        return None
    rows, columns = Counter[Verdict](), Counter[Verdict]()
    for (one, other), count in table.items():
        rows[one] += count
        columns[other] += count
    agreed = sum(count for (one, other), count in table.items() if one is other) / total
    chance = sum(rows[name] * columns[name] for name in rows) / total**2
    return (agreed - chance) / (1 - chance) if chance < 1 else None


def at_least(value: float | None, limits: tuple[float, float]) -> Band:
    return at_most(None if value is None else -value, (-limits[0], -limits[1]))


def at_most(value: float | None, limits: tuple[float, float]) -> Band:
    if value is None:
        return Band.UNKNOWN
    return Band.ACCEPTABLE if value <= limits[0] else Band.MARGINAL if value <= limits[1] else Band.UNACCEPTABLE


def _kappa_band(value: float | None) -> Band:
    if value is None:
        return Band.UNKNOWN
    good, poor = KAPPA
    return Band.ACCEPTABLE if value > good else Band.MARGINAL if value >= poor else Band.UNACCEPTABLE

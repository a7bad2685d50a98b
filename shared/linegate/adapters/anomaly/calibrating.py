"""Scores of good pictures ▶ the thresholds of a model, and what they promise."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from linegate.adapters.anomaly.calibration import Promise, Threshold, threshold
from linegate.adapters.anomaly.scores import Scores

FALSE_CALL_RATE: Final = 0.005
CERTAINTY: Final = 0.95


@dataclass(frozen=True, slots=True)
class Calibrated:
    """The thresholds of places and of the whole picture, as far as there are such scores, and the promise they keep together."""

    place: Threshold | None
    whole: Threshold | None
    promise: Promise


def calibrate(good: Sequence[Scores], rate: float = FALSE_CALL_RATE, certainty: float = CERTAINTY) -> Calibrated:
    """From the scores of good pictures that nothing was learned from.

    A picture is called where either score is above its threshold. Where there are both, each may call half of `rate`, and
    each is told with half of the doubt, so that their sum holds (Bonferroni). Raises ValueError without scores.
    """
    peaks = [scores.peak for scores in good if scores.peak is not None]
    wholes = [scores.whole for scores in good if scores.whole is not None]
    kinds = [kind for kind in (peaks, wholes) if kind]
    share, each = rate / max(1, len(kinds)), 1 - (1 - certainty) / max(1, len(kinds))
    levels = {id(kind): threshold(kind, share, each) for kind in kinds}
    if not levels:
        raise ValueError("a threshold needs scores")
    (place, _), (whole, _) = (levels.get(id(kind), (None, None)) for kind in (peaks, wholes))
    promises = [promise for _, promise in levels.values()]
    called = sum(
        (place is not None and scores.peak is not None and place.exceeded(scores.peak))
        or (whole is not None and scores.whole is not None and whole.exceeded(scores.whole))
        for scores in good
    )
    together = Promise(
        len(good),
        called,
        certainty,
        min(1.0, sum(promise.rate for promise in promises)),
        max(promise.needed for promise in promises),
    )
    return Calibrated(place, whole, together)


def _percent(rate: float) -> str:
    """Two digits: 0.50, 18, 100."""
    return f"{100 * rate:.0f}" if rate >= 0.1 else f"{100 * rate:.2g}"


def told(promise: Promise) -> str:
    """One line for a person, kept in the model's file."""
    return (
        f"at most {_percent(promise.rate)} % false calls with {promise.certainty:.0%} certainty "
        f"({promise.called} of {promise.pictures} good pictures were called)"
    )

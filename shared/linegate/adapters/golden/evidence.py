"""What pieces of evidence say together: how likely a difference is a defect."""

from collections.abc import Mapping
from typing import Final

import numpy as np

MOST_CERTAIN: Final = 0.99  # a comparison is never certain


def probability(evidence: Mapping[str, float], weights: Mapping[str, float]) -> float:
    """Logistic regression: each weight is what its piece of evidence adds to the log-odds; a piece without one adds nothing."""
    odds = sum(weights.get(name, 0.0) * value for name, value in evidence.items())
    return float(1 / (1 + np.exp(-np.clip(odds, -30, 30))))

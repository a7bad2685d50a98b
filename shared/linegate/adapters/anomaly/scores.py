"""What a model says of a picture before any threshold is asked."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Scores:
    """The anomaly map (rows x columns, spread evenly over the picture), if there is one, and the score of the whole picture.

    Higher is stranger. `lost` are parts of the picture's area (0 … 1) that were not judged, and why.
    """

    map: NDArray[np.float32] | None
    whole: float | None = None
    lost: tuple[tuple[str, float], ...] = ()

    @property
    def peak(self) -> float | None:
        """The highest score of any place."""
        return None if self.map is None else float(self.map.max())

"""The map of a self-test: where on the golden picture which size is found."""

from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from linegate.adapters.golden.selftest import Report, Trial

Picture = NDArray[np.uint8]  # height x width x 3, RGB

CELLS: Final = 24  # along the shorter side
DIM: Final = 0.55  # part of the golden picture that shows through
LEGEND, TEXT = 46, 0.5  # pixels, and the size of its letters
UNTRIED: Final = (120, 120, 120)
# From the largest size on that was found there (pixels at a side of 640), a colour
COLOURS: Final = ((3.0, (40, 170, 60)), (5.0, (150, 190, 40)), (8.0, (240, 200, 30)), (16.0, (240, 130, 20)))
NOTHING: Final = (220, 30, 30)


def chart(golden: Picture, report: Report) -> bytes:
    """A PNG: each cell in the colour of the size from which on all that was planted there was found."""
    height, width = golden.shape[:2]
    scale = max(1.0, min(height, width) / 640)
    side = max(8, min(height, width) // CELLS)
    cells: dict[tuple[int, int], list[Trial]] = {}
    for trial in report.trials:
        if not trial.row.startswith("stain"):  # all of one size
            cells.setdefault((int(trial.y) // side, int(trial.x) // side), []).append(trial)
    shown = golden.copy()
    for row in range((height + side - 1) // side):
        for column in range((width + side - 1) // side):
            window = np.s_[row * side : (row + 1) * side, column * side : (column + 1) * side]
            colour = _colour(cells.get((row, column), []), scale)
            shown[window] = (DIM * golden[window] + (1 - DIM) * np.array(colour)).astype(np.uint8)
    enlarged = max(1, round(640 / max(height, width)))
    shown = np.asarray(cv2.resize(shown, None, fx=enlarged, fy=enlarged, interpolation=cv2.INTER_NEAREST), np.uint8)
    made = np.concatenate([shown, _legend(shown.shape[1], scale)])
    return cv2.imencode(".png", cv2.cvtColor(made, cv2.COLOR_RGB2BGR))[1].tobytes()


def _colour(trials: list[Trial], scale: float) -> tuple[int, int, int]:
    """Of the least size from which on nothing was missed there."""
    if not trials:
        return UNTRIED
    missed = max((trial.size for trial in trials if not trial.found), default=0.0)
    above = [trial.size for trial in trials if trial.size > missed]
    if not above:
        return NOTHING
    return next((colour for size, colour in COLOURS if min(above) <= size * scale), COLOURS[-1][1])


def _legend(width: int, scale: float) -> Picture:
    made = np.full((LEGEND, width, 3), 255, np.uint8)
    entries = [(f"{size * scale:.0f} px", colour) for size, colour in COLOURS]
    every = (*entries, ("nothing", NOTHING), ("not tried", UNTRIED))
    step = max(1, width // len(every))
    for index, (text, colour) in enumerate(every):
        left = index * step + 8
        cv2.rectangle(made, (left, 14), (left + 16, 30), colour, -1)
        cv2.putText(made, text, (left + 22, 28), cv2.FONT_HERSHEY_SIMPLEX, TEXT, (0, 0, 0), 1, cv2.LINE_AA)
    return made

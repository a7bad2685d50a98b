"""How steeply grey levels rise, in bands of rows: as many at once as stay near the processor."""

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from linegate.adapters.golden.materials import BAND, Grey

Slope = NDArray[np.float32]  # rows x width, in eighths of a grey level a pixel


def slopes(pictures: Sequence[Grey], rows: int = 0) -> Iterator[tuple[slice, list[tuple[Slope, Slope]]]]:
    """Band by band which rows of the pictures, all of one size, it holds; and of each picture the slopes across and down.

    A band has `rows` rows, by default as many as are quick. The slopes may be written over.
    """
    height, width = pictures[0].shape
    rows = rows or max(1, BAND // width)
    for top in range(0, height, rows):
        bottom = min(height, top + rows)
        first, last = max(0, top - 1), min(height, bottom + 1)  # with the neighbours
        inner = slice(top - first, bottom - first)
        found = [
            cv2.spatialGradient(grey[first:last]) for grey in pictures
        ]  # in whole numbers, which takes a fifth of the time
        yield (
            slice(top, bottom),
            [(across[inner].astype(np.float32), down[inner].astype(np.float32)) for across, down in found],
        )

"""The golden picture of a drawn product, built of several good pieces as `linegate golden build` does it."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import numpy as np

from linegate.adapters.golden.picture import Golden, encode
from linegate.samples.camera import Picture

PIECES: Final = 9
SEED: Final = 7


def write_golden(file: Path, draw: Callable[[np.random.Generator], Picture]) -> None:
    """Write the median of good pieces, all in one pose and light, and by how many grey levels they differ from it."""
    rng = np.random.default_rng(SEED)
    pictures = np.stack([draw(rng) for _ in range(PIECES)])
    middle = np.median(pictures, axis=0).astype(np.uint8)
    apart = np.abs(pictures.astype(np.int16) - middle).max(axis=3)
    variation = np.sort(apart, axis=0)[-2].astype(np.uint8)
    file.write_bytes(encode(Golden(middle, variation)))

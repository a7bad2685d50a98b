"""What a bench measures, told apart from how: the boards of one line and the calls that every gate would have to make."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from linegate.edge.runtime import Runtime
from linegate.settings import Settings

LINE: Final = "bench"
SEED: Final = 11


@dataclass(frozen=True, slots=True)
class Setup:
    """What is measured: boards with each number of `findings`, against the calls of `bare` alone.

    `settings` of the recipe `LINE` in a folder; `picture` of a board with that many findings; `bare` milliseconds.
    """

    findings: Sequence[int]
    settings: Callable[[Path], Settings]
    picture: Callable[[int], bytes]
    bare: Callable[[Runtime, bytes], float]

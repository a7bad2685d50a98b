"""`linegate bench --materials`: drawn boards of every mask colour and finish, by the golden comparison."""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import product
from typing import Any, Final

from rich.table import Table

from linegate.adapters.golden.materials import Picture
from linegate.adapters.golden.picture import Golden
from linegate.commands.golden.median import build
from linegate.evaluation.materials import WAYS, Looked, look_at, tally
from linegate.samples import FINISHES, MASKS
from linegate.settings import CORES

# What a row tells, and how it is headed: of defects how many were missed.
COLUMNS: Final = {
    "boards": "boards",
    "defects": "defects",
    "defects_missed": "missed",
    "pale": "pale",
    "pale_missed": "missed",
    "small": "small",
    "small_missed": "missed",
    "print": "print",
    "print_missed": "missed",
    "escapes": "escapes",
    "good": "good",
    "false_calls": "false calls",
    "reviews": "REVIEW",
}


def measure() -> dict[str, dict[str, dict[str, int]]]:
    """What came of the boards, by colour and finish, by way, and of all."""
    kinds = list(product(MASKS, FINISHES))
    with ProcessPoolExecutor(CORES) as pool:
        looked = [board for boards in pool.map(_boards, *zip(*kinds, strict=True)) for board in boards]
    return {
        "materials": {
            f"{mask}, {finish}": tally([one for one in looked if (one.mask, one.finish) == (mask, finish)])
            for mask, finish in kinds
        },
        "ways": {way: tally([one for one in looked if one.way == way]) for way in WAYS},
        "all": {"all": tally(looked)},
    }


def _boards(mask: str, finish: str) -> list[Looked]:
    return list(look_at(mask, finish, _golden))


def _golden(good: Sequence[Picture]) -> Golden:
    return build(good, [f"board {number}" for number in range(1, len(good) + 1)]).golden


def table(report: dict[str, Any]) -> Table:
    """The same for a person."""
    told = Table("", *COLUMNS.values(), box=None, header_style="bold")
    for part in report.values():
        for name, counts in part.items():
            told.add_row(name, *(str(counts[key]) for key in COLUMNS))
        told.add_section()
    return told

"""Tables as CSV for spreadsheets (RFC 4180): UTF-8 that begins with a byte order mark, for Excel takes it for Latin-1 without.

Numbers have a decimal point. A text that a spreadsheet would calculate begins with an apostrophe, after OWASP's "CSV injection":
class names come from models, lines and recipes from file names.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Final

from linegate.texts import printable

LONGEST: Final = 2000
# In their wide forms as well
_FORMULA: Final = ("=", "+", "-", "@", "\uff1d", "\uff0b", "\uff0d", "\uff20")

Cell = str | int | float | None


def table(heading: Sequence[str], rows: Iterable[Sequence[Cell]]) -> bytes:
    """The whole file. None is an empty cell: unknown, where a number would stand."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer)
    writer.writerow(heading)
    writer.writerows([_cell(cell) for cell in row] for row in rows)
    return buffer.getvalue().encode("utf-8-sig", "replace")


def harmless(text: str) -> str:
    """A text from outside as a cell may hold it: one line, calculated by nobody."""
    line = printable(" ".join(text.split()), LONGEST)
    return f"'{line}" if line.startswith(_FORMULA) else line


def _cell(cell: Cell) -> str | int:
    if isinstance(cell, str):
        return harmless(cell)
    if isinstance(cell, float):
        return f"{cell:.6g}"
    return "" if cell is None else cell

"""Pictures that a command is given: each must show something of its own."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from linegate.errors import UsageError

# Names that are told one by one
TOLD: Final = 10


def refuse_twice(files: Sequence[Path], contents: Sequence[bytes]) -> None:
    """A picture that is there twice counts twice, and says no more than once. `contents` are told apart. Raises UsageError."""
    twice = [name for at, name in enumerate(files) if contents[at] in contents[:at]]
    if twice:
        raise UsageError(f"the same picture is there twice: {listed(twice)}; take another one each time")


def listed(files: Sequence[Path]) -> str:
    """Their names, or the first of many."""
    more = f" and {len(files) - TOLD} more" if len(files) > TOLD else ""
    return ", ".join(map(str, files[:TOLD])) + more

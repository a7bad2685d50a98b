"""The lock of a gate's folder: whoever has it serves the folder. It goes with its process, however that ends."""

import fcntl
import os
from pathlib import Path
from typing import Final

LOCK: Final = ".lock"


def holder(data: Path) -> tuple[int | None, float | None]:
    """The process that serves the folder and since when (seconds since 1970); nothing if none does."""
    try:
        with (data / LOCK).open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                said = file.read().strip()
                return int(said) if said.isdigit() else 0, os.fstat(file.fileno()).st_mtime
    except OSError:
        pass  # never started here, or not ours to read
    return None, None

"""Ctrl-C while a command has folders to remove: they go, then the process does.

No KeyboardInterrupt is raised: OpenCV dies of an exception that reaches it in the middle of a call.
"""

import multiprocessing.util
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Final

_SHOW_CURSOR: Final = "\x1b[?25h"
_folders: set[Path] = set()


@contextmanager
def temporary_folder(prefix: str) -> Iterator[Path]:
    """A folder that is gone after the block, however it is left."""
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    with removed_if_interrupted(folder):
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def removed_if_interrupted(folder: Path) -> Iterator[None]:
    """The folder stays after the block, but not if Ctrl-C ends it."""
    _folders.add(folder)
    try:
        yield
    finally:
        _folders.discard(folder)


def leave(number: int, _: FrameType | None) -> None:
    """Handles a signal: removes what is temporary, and ends the process as a shell tells it (130 for Ctrl-C)."""
    signal.signal(number, signal.SIG_DFL)  # a second one is obeyed at once
    folders = set(_folders)
    if "multiprocessing.forkserver" in sys.modules:
        # Where this process and its workers meet; an exit that waits for threads, which this one does not, removes it.
        folders.add(Path(str(multiprocessing.util.get_temp_dir())))
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
    for stream in (sys.stdout, sys.stderr):
        if stream is not None and stream.isatty():  # a table under way hides it
            os.write(stream.fileno(), _SHOW_CURSOR.encode())
    os._exit(128 + number)

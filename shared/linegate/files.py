"""Files that a person named, looked at before any work begins: they can be read, or written."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from linegate.errors import ImageRejectedError, UsageError


def readable(path: Path, what: str) -> Path:
    """A file that can be read. Raises UsageError, which calls it `what`."""
    try:
        if path.is_dir():
            raise UsageError(f"{what} {path} is a folder")
        if path.exists() and not path.is_file():  # opening a pipe would wait for whoever writes into it
            raise UsageError(f"{what} {path} is no file but a pipe or a device")
        with path.open("rb"):
            return path
    except FileNotFoundError as error:
        raise UsageError(f"there is no {what} {path}") from error
    except (OSError, ValueError) as error:
        raise UsageError(f"{what} {path} can't be read: {_why(error)}") from error


def golden_picture(path: Path) -> Path:
    """A golden picture that can be decoded: told now, not when a board has waited for it. Raises UsageError."""
    from linegate.adapters.golden.picture import decode  # with OpenCV: no other command waits for it

    try:
        decode(readable(path, "golden picture").read_bytes())
    except ImageRejectedError as error:
        raise UsageError(f"golden picture {path}: {error}") from error
    return path


def writable(path: Path) -> Path:
    """A file that can be written, tried without leaving anything behind. Raises UsageError."""
    import tempfile  # whatever is imported before a command begins is time in which Ctrl-C ends in a traceback

    if path.is_dir():
        raise UsageError(f"{path} is a folder; name a file")
    if not path.parent.is_dir():
        raise UsageError(f"{path} can't be written: there is no folder {path.parent}")
    if path.exists() and not path.is_file():  # a pipe, a device: only trying will tell
        return path
    with writing(path), path.open("r+b") if path.exists() else tempfile.TemporaryFile(dir=path.parent):
        return path


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """What can't be written inside the block is the fault of the disk or of whoever named `path`.

    Half a file is not left behind. Raises UsageError.
    """
    ours = not path.exists()
    try:
        yield
    except BrokenPipeError:  # nobody reads what is said about it
        raise
    except (OSError, ValueError) as error:
        if ours and path.is_file():
            path.unlink(missing_ok=True)
        raise UsageError(f"{path} can't be written: {_why(error)}") from error


def _why(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)

"""Files below a folder, reached without following a link.

Whoever may write below the gate's folder may put a link, a pipe or a device where a folder or a picture was expected, also
between a look at it and its opening. So every way starts at the root and goes down folder by folder, each opened as what it
must be.
"""

import errno
import fcntl
import hashlib
import os
import signal
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
# Opening a pipe without O_NONBLOCK waits for a writer.
_FILE: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
# What says that a file is not there, or that something else stands in its place.
GONE: Final = frozenset(
    {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.EINVAL, errno.ENXIO, errno.ENODEV}
)
# Pictures lie below a line and a station. A tree that is deeper than this would cost descriptors, and at last the stack.
MOST_FOLDERS: Final = 16


@dataclass(frozen=True, slots=True)
class Identity:
    """What tells one version of a file from the next."""

    size: int
    mtime_ns: int
    inode: int

    @classmethod
    def of(cls, status: os.stat_result) -> "Identity":
        return cls(status.st_size, status.st_mtime_ns, status.st_ino)


@contextmanager
def entered(root: Path, parts: Sequence[str], *, create: bool = False) -> Iterator[int]:
    """A descriptor of the folder `root`/`parts`, made on the way if `create`. Raises OSError where something else stands."""
    folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in parts:
            if create:
                with suppress(FileExistsError):
                    os.mkdir(part, dir_fd=folder)
            below = os.open(part, _FOLDER, dir_fd=folder)
            os.close(folder)
            folder = below
        yield folder
    finally:
        os.close(folder)


def walk(folder: int, at: Path = Path()) -> Iterator[tuple[Path, list[str], int]]:
    """An open folder and all below it: the way to each, the names of what is no folder in it, and its descriptor.

    No link is followed and no hidden folder entered. A folder that lies too deep is among the names of the one above.
    """
    with os.scandir(folder) as entries:
        found = {entry.name: entry.is_dir(follow_symlinks=False) for entry in entries}
    deep = len(at.parts) >= MOST_FOLDERS
    yield at, [name for name, is_folder in found.items() if deep or not is_folder], folder
    for name, is_folder in found.items():
        if deep or not is_folder or name.startswith("."):
            continue
        try:
            below = os.open(name, _FOLDER, dir_fd=folder)
        except OSError:  # gone or replaced by now, or not ours to look into
            continue
        try:
            yield from walk(below, at / name)
        finally:
            os.close(below)


def opened(name: str, folder: int) -> int:
    """A descriptor, for reading, of the regular file of that name in a folder. Raises OSError for everything else."""
    descriptor = os.open(name, _FILE, dir_fd=folder)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no regular file")
    return descriptor


def status(name: str, folder: int) -> os.stat_result | None:
    """What the file system says of a regular file; None if it is gone, or something else."""
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
    except OSError:
        return None
    return found if stat.S_ISREG(found.st_mode) else None


def link(source: str, source_folder: int, target: str, target_folder: int) -> None:
    """Give a file a second name, creating and checking in one step. Raises FileExistsError.

    Where the file system knows no hard links the file is moved instead.
    """
    try:
        os.link(source, target, src_dir_fd=source_folder, dst_dir_fd=target_folder, follow_symlinks=False)
    except FileExistsError:
        raise
    except OSError:
        try:
            os.stat(target, dir_fd=target_folder, follow_symlinks=False)
        except FileNotFoundError:
            os.rename(source, target, src_dir_fd=source_folder, dst_dir_fd=target_folder)
        else:
            raise FileExistsError(errno.EEXIST, "it exists", target) from None


def is_one(one: os.stat_result | None, other: os.stat_result | None) -> bool:
    """Whether two names are names of one file."""
    return one is not None and other is not None and (one.st_dev, one.st_ino) == (other.st_dev, other.st_ino)


def sync(folder: int) -> None:
    """Make a rename survive power loss."""
    with suppress(OSError):  # not every file system knows it
        os.fsync(folder)


def being_written(descriptor: int) -> bool | None:
    """Whether any process has this file open for writing; None where that can't be told.

    A read lease is only given on a file that nobody writes to (fcntl(2), F_SETLEASE): on local file systems, to the file's
    owner and to root.
    """
    try:
        # A writer that comes while the lease is held is told by a signal, which is SIGIO and fatal unless another is named.
        fcntl.fcntl(descriptor, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    except BlockingIOError:
        return True
    except (OSError, AttributeError):  # another's file, a network share; not Linux
        return None
    fcntl.fcntl(descriptor, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    return False


def digest(descriptor: int) -> str:
    """SHA-256 of the whole content of an open file, in hex."""
    hashed, place = hashlib.sha256(), 0
    while chunk := os.pread(descriptor, 1 << 20, place):
        hashed.update(chunk)
        place += len(chunk)
    return hashed.hexdigest()

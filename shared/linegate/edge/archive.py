"""Moves decided uploads to `archive/`. At every moment the index names a path where the file is, and no link is followed."""

import os
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from linegate.adapters.local import folders
from linegate.adapters.local.database import Database
from linegate.adapters.local.folders import Identity
from linegate.inspection import archived_file
from linegate.logs import log

UPLOADS_FOLDER: Final = "uploads"
ARCHIVE_FOLDER: Final = "archive"
# Where a file is moved to be looked at before its first name is given up.
ASIDE_FOLDER: Final = ".aside"
BATCH: Final = 200


@dataclass(frozen=True, slots=True)
class _Decided:
    generation: int
    path: Path  # below uploads/
    identity: Identity
    digest: str


class Archive:
    """Of the data folder `root`."""

    def __init__(self, database: Database, root: Path) -> None:
        self._database = database
        self._root = root

    def move(self) -> set[Path]:
        """Archive decided uploads; the paths (below uploads/) whose file has changed since, and is to be inspected again."""
        prefix = os.fsencode(self._root / UPLOADS_FOLDER) + b"/"
        rows = self._database.read(
            """SELECT o.generation, o.path, o.digest, o.size, o.mtime_ns, o.inode
            FROM objects o JOIN inspections i ON i.id = o.inspection_id
            WHERE i.revision > 0 AND o.path >= ? AND o.path < ? ORDER BY o.generation LIMIT ?""",
            (prefix, prefix[:-1] + b"0", BATCH),
        )
        placed: list[tuple[bytes, int, Path]] = []
        changed: set[Path] = set()
        for generation, raw, digest, *identity in rows:
            path = Path(os.fsdecode(raw)).relative_to(self._root / UPLOADS_FOLDER)
            decided = _Decided(generation, path, Identity(*identity), digest)
            try:
                target = self._second_name(decided)
            except _ChangedError:
                changed.add(path)
                target = self._target(decided)  # what the index names is gone, here or there
            except OSError as error:
                log.warning("upload.not_archived", path=str(path), reason=error.strerror)
                continue
            if target is not None:
                placed.append((os.fsencode(self._root / target), generation, path))
        if placed:
            self._database.write(
                lambda connection: connection.executemany(
                    "UPDATE objects SET path = ? WHERE generation = ?",
                    [(target, generation) for target, generation, _ in placed],
                )
            )
        for raw, _, path in placed:
            self._drop_first_name(path, Path(os.fsdecode(raw)).relative_to(self._root))
        return changed

    def put_back(self) -> None:
        """What a crash left aside goes back: decided, it is archived once more; new, it is taken up."""
        with suppress(FileNotFoundError), folders.entered(self._root, [ASIDE_FOLDER]) as top:
            for folder, _, names, descriptor in os.fwalk(".", dir_fd=top):
                for name in names:
                    path = Path(folder, name)
                    with (
                        suppress(FileExistsError),  # a still newer version stands there by now
                        folders.entered(self._root, [UPLOADS_FOLDER, *path.parts[:-1]], create=True) as uploads,
                    ):
                        folders.link(name, descriptor, name, uploads)
                    with suppress(FileNotFoundError):
                        os.unlink(name, dir_fd=descriptor)

    def _second_name(self, decided: _Decided) -> Path | None:
        """Give the file a name below archive/, relative to the root. None if that has to wait. Raises OSError."""
        target = self._target(decided)
        with ExitStack() as stack:
            try:
                uploads = stack.enter_context(folders.entered(self._root, [UPLOADS_FOLDER, *decided.path.parts[:-1]]))
                descriptor = folders.opened(decided.path.name, uploads)
            except OSError as error:
                if error.errno in folders.GONE:
                    return target  # taken away: what the index names is gone, here or there
                raise
            stack.callback(os.close, descriptor)
            if folders.being_written(descriptor):
                return None
            found = Identity.of(os.fstat(descriptor))
            if folders.digest(descriptor) != decided.digest if decided.digest else found != decided.identity:
                raise _ChangedError
            archive = stack.enter_context(folders.entered(self._root, target.parts[:-1], create=True))
            with suppress(FileExistsError):  # a crash came between linking and removing
                folders.link(decided.path.name, uploads, target.name, archive)
        return target

    @staticmethod
    def _target(decided: _Decided) -> Path:
        """archive/line/station/serial.generation.ext"""
        path = decided.path
        return Path(ARCHIVE_FOLDER) / path.parent / archived_file(path.name, decided.generation)

    def _drop_first_name(self, path: Path, target: Path) -> None:
        """Remove the name below uploads/, unless a camera has put a newer version there: that one is put back."""
        try:
            with (
                folders.entered(self._root, [UPLOADS_FOLDER, *path.parts[:-1]]) as uploads,
                folders.entered(self._root, target.parts[:-1]) as archive,
            ):
                kept = folders.status(target.name, archive)
                if not folders.is_one(folders.status(path.name, uploads), kept):
                    return
                with folders.entered(self._root, [ASIDE_FOLDER, *path.parts[:-1]], create=True) as aside:
                    os.rename(path.name, path.name, src_dir_fd=uploads, dst_dir_fd=aside)
                    if not folders.is_one(folders.status(path.name, aside), kept):
                        folders.link(path.name, aside, path.name, uploads)
                    os.unlink(path.name, dir_fd=aside)
                with suppress(FileNotFoundError):  # its checksum has done its duty
                    os.unlink(f"{path.name}.sha256", dir_fd=uploads)
        except FileNotFoundError:
            pass  # the camera has taken it away itself
        except OSError as error:
            log.warning("upload.not_removed", path=str(path), reason=error.strerror)


class _ChangedError(Exception):
    pass

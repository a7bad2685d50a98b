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
        self._after = 0

    def move(self) -> set[Path]:
        """Archive decided uploads; the paths (below uploads/) whose file has changed since, and is to be inspected again."""
        prefix = os.fsencode(self._root / UPLOADS_FOLDER) + b"/"
        rows = self._database.read(
            """SELECT o.generation, o.path, o.digest, o.size, o.mtime_ns, o.inode
            FROM objects o JOIN inspections i ON i.id = o.inspection_id
            WHERE i.revision > 0 AND o.path >= ? AND o.path < ? AND o.generation > ? ORDER BY o.generation LIMIT ?""",
            (prefix, prefix[:-1] + b"0", self._after, BATCH),
        )
        # Page by page, so that what can't be moved does not keep everything behind it here.
        self._after = rows[-1][0] if len(rows) == BATCH else 0
        placed: list[tuple[bytes, int, Path, Identity | None]] = []
        changed: set[Path] = set()
        for generation, raw, digest, *identity in rows:
            path = Path(os.fsdecode(raw)).relative_to(self._root / UPLOADS_FOLDER)
            decided = _Decided(generation, path, Identity(*identity), digest)
            target, found = self._target(decided), None
            try:
                found = self._second_name(decided, target)
            except _WrittenError:
                continue
            except _ChangedError:
                changed.add(path)  # what the index names is gone, here or there
            except OSError as error:
                log.warning("upload.not_archived", path=str(path), reason=error.strerror)
                continue
            placed.append((os.fsencode(self._root / target), generation, path, found))
        if placed:
            self._database.write(
                lambda connection: connection.executemany(
                    "UPDATE objects SET path = ? WHERE generation = ?",
                    [(target, generation) for target, generation, _, _ in placed],
                )
            )
        for raw, _, path, found in placed:
            if found and not self._drop_first_name(path, Path(os.fsdecode(raw)).relative_to(self._root), found):
                changed.add(path)
        return changed

    def put_back(self) -> None:
        """What a crash left aside goes back: decided, it is archived once more; new, it is taken up."""
        with suppress(FileNotFoundError), folders.entered(self._root, [ASIDE_FOLDER]) as top:
            for folder, names, descriptor in folders.walk(top):
                for name in names:
                    path = folder / name
                    with (
                        suppress(FileExistsError),  # a still newer version stands there by now
                        folders.entered(self._root, [UPLOADS_FOLDER, *path.parts[:-1]], create=True) as uploads,
                    ):
                        folders.link(name, descriptor, name, uploads)
                    with suppress(FileNotFoundError):
                        os.unlink(name, dir_fd=descriptor)

    def _second_name(self, decided: _Decided, target: Path) -> Identity | None:
        """Give the file a name below archive/, and tell what was found; None if it was taken away. Raises OSError."""
        with ExitStack() as stack:
            try:
                uploads = stack.enter_context(folders.entered(self._root, [UPLOADS_FOLDER, *decided.path.parts[:-1]]))
                descriptor = folders.opened(decided.path.name, uploads)
            except OSError as error:
                if error.errno in folders.GONE:
                    return None
                raise
            stack.callback(os.close, descriptor)
            if folders.being_written(descriptor):
                raise _WrittenError
            found = Identity.of(os.fstat(descriptor))
            if folders.digest(descriptor) != decided.digest if decided.digest else found != decided.identity:
                raise _ChangedError
            archive = stack.enter_context(folders.entered(self._root, target.parts[:-1], create=True))
            with suppress(FileExistsError):  # a crash came between linking and removing
                folders.link(decided.path.name, uploads, target.name, archive)
        return found

    @staticmethod
    def _target(decided: _Decided) -> Path:
        """archive/line/station/serial.generation.ext"""
        path = decided.path
        return Path(ARCHIVE_FOLDER) / path.parent / archived_file(path.name, decided.generation)

    def _drop_first_name(self, path: Path, target: Path, found: Identity) -> bool:
        """Remove the name below uploads/. False where it has to stay: a newer version stands there by now, or a writer opened
        the file after it was looked at. Nobody can open it any more once it lies aside, so what is seen there is the last word.
        """
        try:
            with (
                folders.entered(self._root, [UPLOADS_FOLDER, *path.parts[:-1]]) as uploads,
                folders.entered(self._root, target.parts[:-1]) as archive,
            ):
                kept = folders.status(target.name, archive)
                present = folders.status(path.name, uploads)
                if present is None and kept and _written_since(target.name, archive, found):
                    # It was moved, where no second name can be given: it goes the way back.
                    folders.link(target.name, archive, path.name, uploads)
                    with suppress(FileNotFoundError):
                        os.unlink(target.name, dir_fd=archive)
                    return False
                if not folders.is_one(present, kept):
                    return True
                with folders.entered(self._root, [ASIDE_FOLDER, *path.parts[:-1]], create=True) as aside:
                    os.rename(path.name, path.name, src_dir_fd=uploads, dst_dir_fd=aside)
                    stays = not folders.is_one(folders.status(path.name, aside), kept)
                    if not stays and _written_since(path.name, aside, found):
                        stays = True
                        os.unlink(target.name, dir_fd=archive)  # it is not what was decided
                    if stays:
                        folders.link(path.name, aside, path.name, uploads)
                    os.unlink(path.name, dir_fd=aside)
                    if stays:
                        return False
                with suppress(FileNotFoundError):  # its checksum has done its duty
                    os.unlink(f"{path.name}.sha256", dir_fd=uploads)
        except FileNotFoundError:
            pass  # the camera has taken it away itself
        except OSError as error:
            log.warning("upload.not_removed", path=str(path), reason=error.strerror)
        return True


def _written_since(name: str, folder: int, found: Identity) -> bool:
    descriptor = folders.opened(name, folder)
    try:
        return folders.being_written(descriptor) is True or Identity.of(os.fstat(descriptor)) != found
    finally:
        os.close(descriptor)


class _ChangedError(Exception):
    pass


class _WrittenError(Exception):
    pass

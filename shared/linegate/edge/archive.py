"""Moves decided uploads to `archive/`. At every moment the index names a path where the file is, and no link is followed."""

import os
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final

from linegate.adapters.local import folders
from linegate.adapters.local.database import Database
from linegate.adapters.local.folders import Identity
from linegate.adapters.local.uploads import Upload, decided_below, relocate
from linegate.inspection import ObjectRef, archived_file
from linegate.logs import log

UPLOADS_FOLDER: Final = "uploads"
ARCHIVE_FOLDER: Final = "archive"
# Where a file is moved to be looked at before its first name is given up.
ASIDE_FOLDER: Final = ".aside"
# A file beside a picture, as `sha256sum` writes it: the picture counts when its content fits.
CHECKSUM_SUFFIX: Final = ".sha256"
BATCH: Final = 200


class Archive:
    """Of the data folder `root`."""

    def __init__(self, database: Database, root: Path) -> None:
        self._database = database
        self._root = root
        self._after = 0

    def move(self) -> set[Path]:
        """Archive decided uploads; the paths (below uploads/) whose file has changed since, and is to be inspected again."""
        folder = self._root / UPLOADS_FOLDER
        decided = decided_below(self._database, folder, self._after, BATCH)
        # Page by page, so that what can't be moved does not keep everything behind it here.
        self._after = decided[-1].generation if len(decided) == BATCH else 0
        placed: list[tuple[Upload, Path, Identity | None]] = []
        changed: set[Path] = set()
        for upload in decided:
            path = upload.path.relative_to(folder)
            target, found = _target(path, upload.generation), None
            try:
                found = self._second_name(upload, path, target)
            except _WrittenError:
                continue
            except _ChangedError:
                changed.add(path)  # what the index names is gone, here or there
            except OSError as error:
                log.warning("upload.not_archived", path=str(path), reason=error.strerror)
                continue
            placed.append((upload, target, found))
        if placed:
            relocate(self._database, [(upload.generation, self._root / target) for upload, target, _ in placed])
        for upload, target, found in placed:
            path = upload.path.relative_to(folder)
            if found and not self._drop_first_name(path, target, found):
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

    def _second_name(self, upload: Upload, path: Path, target: Path) -> Identity | None:
        """Give the file a name below archive/, and tell what was found; None if it was taken away. Raises OSError."""
        with ExitStack() as stack:
            try:
                uploads = stack.enter_context(folders.entered(self._root, [UPLOADS_FOLDER, *path.parts[:-1]]))
                descriptor = folders.opened(path.name, uploads)
            except OSError as error:
                if error.errno in folders.GONE:
                    return None
                raise
            stack.callback(os.close, descriptor)
            if folders.being_written(descriptor):
                raise _WrittenError
            found = Identity.of(os.fstat(descriptor))
            if folders.digest(descriptor) != upload.digest if upload.digest else found != upload.identity:
                raise _ChangedError
            archive = stack.enter_context(folders.entered(self._root, target.parts[:-1], create=True))
            with suppress(FileExistsError):  # a crash came between linking and removing
                folders.link(path.name, uploads, target.name, archive)
        return found

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
                    os.unlink(f"{path.name}{CHECKSUM_SUFFIX}", dir_fd=uploads)
        except FileNotFoundError:
            pass  # the camera has taken it away itself
        except OSError as error:
            log.warning("upload.not_removed", path=str(path), reason=error.strerror)
        return True


def archived_uploads(root: Path, bucket: str) -> dict[str, str]:
    """Inspection ▶ the name of its upload in `bucket`, as the files of the archive tell."""
    found = {}
    for folder, _, files in os.walk(root / ARCHIVE_FOLDER):
        place = Path(UPLOADS_FOLDER, Path(folder).relative_to(root / ARCHIVE_FOLDER))
        for file in files:
            stem, _, last = file.rpartition(".")
            for name, generation in ((stem.rpartition(".")[0] + f".{last}", stem.rpartition(".")[2]), (stem, last)):
                if generation.isascii() and generation.isdigit() and len(generation) < 20:
                    upload = (place / name).as_posix()
                    image = ObjectRef(bucket, upload, int(generation))
                    found[image.inspection_id] = upload
    return found


def _target(path: Path, generation: int) -> Path:
    """archive/line/station/serial.generation.ext"""
    return Path(ARCHIVE_FOLDER) / path.parent / archived_file(path.name, generation)


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

"""A key that a machine makes for itself, once, and keeps in the gate's folder."""

import os
import secrets
from pathlib import Path
from typing import Final

from linegate.errors import TransientError

BYTES: Final = 32


def key(path: Path) -> bytes:
    """The key in this file, made if it is not there; nobody but the gate's own account may read it. Raises TransientError."""
    try:
        return _read(path)
    except FileNotFoundError:
        pass
    made, temporary = secrets.token_bytes(BYTES), path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(made)
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(temporary, path)  # whoever is first makes it
        except FileExistsError:
            return _read(path)
        finally:
            temporary.unlink()
    except OSError as error:
        raise TransientError(f"{path} can't be written: {error.strerror}") from error
    return made


def _read(path: Path) -> bytes:
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
            found = file.read(BYTES + 1)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise TransientError(f"{path} can't be read: {error.strerror}") from error
    if len(found) != BYTES:
        raise TransientError(f"{path} holds no key; remove it and everybody enters anew")
    return found

"""Errors are part of the interface: their class decides what becomes of a message.

A `TransientError` leaves the function as a 503, so the message is delivered again and at last reaches the dead letter,
from where a person can replay it; so does a `ConfigError`. A `DeferredError` leaves it as a 429. A `PermanentError` would
fail the same way every time: it is logged and the message is acknowledged; a `MessageError` goes to the dead letter at
once. Anything else is a bug of ours and is treated like a `TransientError`.
"""

from linegate.redaction import redact


class LinegateError(Exception):
    """Base of every error that Linegate raises on purpose; its text is written for a person, and holds no secret."""

    def __str__(self) -> str:
        return redact(super().__str__())


class TransientError(LinegateError):
    """May succeed later: a service is down, a key is wrong until somebody mends it, a database is locked.

    `retry_after_s` is how many seconds whoever refused asked to be left alone; None if nothing was said.
    """

    def __init__(self, *args: object, retry_after_s: float | None = None) -> None:
        super().__init__(*args)
        self.retry_after_s = retry_after_s


class DeferredError(TransientError):
    """It is not its turn: a lane is full, a wait that somebody asked for still runs, a service's quota is used up.

    It comes again as any TransientError does; beside a line, and in the outbox, it is counted as no attempt.
    """


class PermanentError(LinegateError):
    """Fails the same way however often it is tried."""


class ImageRejectedError(PermanentError):
    """The picture can't be inspected; the text says why. The board's verdict is ERROR."""


class ObjectMissingError(PermanentError):
    """The store holds no object of that name and generation (any more)."""


class RegistrationError(PermanentError):
    """The picture can't be laid over its golden picture; nothing can be said about it by comparison."""


class TargetGoneError(PermanentError):
    """A target asked to be sent nothing any more (410). It stays disabled until a person enables it again."""


class MessageError(PermanentError):
    """A message can't be parsed; it belongs into the dead letter of its stage."""


class CursorError(PermanentError):
    """A page was asked for by a cursor that is damaged, or was made for another question."""


class ConfigError(LinegateError):
    """The configuration is at fault. `faults` holds one line for each, in words of the file."""

    def __init__(self, faults: list[str], source: str = "configuration") -> None:
        self.faults = [redact(fault) for fault in faults]
        self.source = source
        super().__init__(f"{source}: " + "; ".join(faults))


class UsageError(LinegateError):
    """A command was called with something that it can't work with."""

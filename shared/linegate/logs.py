"""Structured logs: one event name and its ids per line, as JSON for machines or readable on a terminal.

Fields are facts, never prose, image bytes or secrets: those are taken out of every line, of tracebacks and of what libraries
log, too. `bound()` adds fields to every line of a block.
"""

import logging
import sys
import threading
from collections.abc import Callable, MutableMapping
from traceback import format_exception
from typing import Any, TextIO

import structlog
from structlog.contextvars import bound_contextvars as bound
from structlog.contextvars import merge_contextvars

from linegate.inspection import Place
from linegate.redaction import redact
from linegate.texts import brief, visible

__all__ = ["bound", "configure", "log"]

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

# What the verdict that follows tells anyway
TOLD_BY_VERDICT = {
    "product.unseen",
    "product.overdue",
    "upload.rejected",
    "detections.too_many",
    "detection.unknown_class",
}

# What Cloud Logging calls the levels: https://cloud.google.com/logging/docs/structured-logging
_SEVERITY = {"debug": "DEBUG", "info": "INFO", "warning": "WARNING", "error": "ERROR", "critical": "CRITICAL"}


def configure(
    level: str = "INFO", stream: TextIO | None = None, readable: bool | None = None, *, one_line_a_board: bool = False
) -> None:
    """Send logs of `level` and above to `stream` (standard error). Readable by default where that is a terminal.

    With `one_line_a_board` people are told the verdicts, and what needs them, and not each step.
    """
    target = stream or sys.stderr
    people = target.isatty() if readable is None else readable
    shared: list[structlog.typing.Processor] = [
        merge_contextvars,
        structlog.processors.TimeStamper(fmt="%H:%M:%S.%f" if people else "iso", utc=not people, key="time"),
    ]
    if people:
        tail: list[structlog.typing.Processor] = [
            structlog.processors.add_log_level,
            *[_told_to_people] * one_line_a_board,
            _readable,
            structlog.dev.ConsoleRenderer(
                colors=target.isatty(), timestamp_key="time", exception_formatter=_write_traceback
            ),
        ]
    else:
        tail = [
            structlog.processors.format_exc_info,
            _without_secrets,
            _severity,
            structlog.processors.EventRenamer("message"),
            structlog.processors.JSONRenderer(default=str),
        ]
    structlog.configure(
        processors=[*shared, *tail],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping().get(level, logging.INFO)),
        logger_factory=structlog.WriteLoggerFactory(target),
        cache_logger_on_first_use=False,
    )
    logging.setLogRecordFactory(_record)
    threading.excepthook = _thread_crashed


def forward(send: Callable[[str, dict[str, Any]], None], level: str = "INFO") -> None:
    """Hand each line of `level` and above to `send`, as its level's name and its fields, instead of writing it here."""

    def sent(_: Any, method: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        send(method, dict(fields))
        raise structlog.DropEvent

    structlog.configure(
        processors=[merge_contextvars, structlog.processors.format_exc_info, sent],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping().get(level, logging.INFO)),
        cache_logger_on_first_use=False,
    )


def _told_to_people(_: Any, method: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A verdict as a line to read; else warnings, errors, start and stop."""
    event = fields["event"]
    if event == "product.decided":
        line = [_place(fields).board]
        if fields["revision"] > 1:
            line.append(f"(revision {fields['revision']})")
        if fields["fail_count"]:
            line.append(f"{fields['fail_count']} defect{'' if fields['fail_count'] == 1 else 's'}:")
        told = brief(" ".join([*line, "; ".join(fields["reasons"])]))
        return {"time": fields["time"], "event": f"{fields['verdict']:6} {told}"}
    if event in TOLD_BY_VERDICT or (method == "info" and not event.startswith("runtime.")):
        raise structlog.DropEvent
    return fields


def _place(fields: MutableMapping[str, Any]) -> Place:
    return Place(*(str(fields.get(key, "")) for key in ("line", "station", "serial")))


def _severity(_: Any, method: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {"severity": _SEVERITY.get(method, "DEFAULT"), **fields}


def _without_secrets(_: Any, __: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {key: value if key == "exc_info" else _shown(value) for key, value in fields.items()}


def _readable(logger: Any, method: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """As `_without_secrets`; and what a name from outside holds can't steer the terminal."""
    shown = _without_secrets(logger, method, fields)
    return {key: visible(value, keep="\n") if isinstance(value, str) else value for key, value in shown.items()}


def _shown(value: Any) -> Any:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {redact(str(key)): _shown(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_shown(item) for item in value]
    return value if value is None or isinstance(value, bool | int | float) else redact(str(value))


def _write_traceback(stream: TextIO, error: "structlog.typing.ExcInfo") -> None:
    stream.write(visible(redact("".join(format_exception(*error)).rstrip()), keep="\n"))


def _record(*args: Any, **kwargs: Any) -> logging.LogRecord:
    """A record of the standard library's logging, as other libraries use it, without secrets."""
    record = logging.LogRecord(*args, **kwargs)
    record.msg, record.args = redact(record.getMessage()), ()
    if record.exc_info:
        record.exc_text = redact("".join(format_exception(*record.exc_info)).rstrip())
    return record


def _thread_crashed(crash: threading.ExceptHookArgs) -> None:
    if crash.exc_type is not SystemExit:
        error = crash.exc_value or crash.exc_type()
        log.error("thread.crashed", exc_info=(crash.exc_type, error, crash.exc_traceback))

"""Structured logs: one event name and its ids per line, as JSON for machines or readable on a terminal.

Fields are facts, never prose, image bytes or secrets. `bound()` adds fields to every line of a block.
"""

import logging
import sys
from collections.abc import Callable, MutableMapping
from typing import Any, TextIO

import structlog
from structlog.contextvars import bound_contextvars as bound
from structlog.contextvars import merge_contextvars

__all__ = ["bound", "configure", "log"]

log: structlog.typing.FilteringBoundLogger = structlog.get_logger()

# What Cloud Logging calls the levels: https://cloud.google.com/logging/docs/structured-logging
_SEVERITY = {"debug": "DEBUG", "info": "INFO", "warning": "WARNING", "error": "ERROR", "critical": "CRITICAL"}


def configure(level: str = "INFO", stream: TextIO | None = None, readable: bool | None = None) -> None:
    """Send logs of `level` and above to `stream` (standard error). Readable by default where that is a terminal."""
    target = stream or sys.stderr
    people = target.isatty() if readable is None else readable
    shared: list[structlog.typing.Processor] = [
        merge_contextvars,
        structlog.processors.TimeStamper(fmt="%H:%M:%S.%f" if people else "iso", utc=not people, key="time"),
    ]
    if people:
        tail: list[structlog.typing.Processor] = [
            structlog.processors.add_log_level,
            structlog.dev.ConsoleRenderer(colors=target.isatty(), timestamp_key="time"),
        ]
    else:
        tail = [
            structlog.processors.format_exc_info,
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


def _severity(_: Any, method: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {"severity": _SEVERITY.get(method, "DEFAULT"), **fields}

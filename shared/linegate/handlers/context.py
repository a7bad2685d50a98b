"""What every handler works with. The ports that only one handler needs are handed to it one by one."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass
from typing import TypeVar

from linegate.ports import Challenges, Clock, ImageStore, Inspections, Outbox, Publisher, Queries
from linegate.settings import Settings

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Context:
    settings: Settings
    clock: Clock
    images: ImageStore
    inspections: Inspections
    outbox: Outbox
    queries: Queries
    publisher: Publisher
    challenges: Challenges


def in_background(work: Callable[[], T]) -> Callable[[], T]:
    """Start `work` in a thread of its own; what is returned waits for its result, or raises what it raised."""
    pool = ThreadPoolExecutor(1)
    future = pool.submit(copy_context().run, work)
    pool.shutdown(wait=False)
    return future.result

"""The gate that a command is about, looked at from a desk: the one on this machine, or the one on Google Cloud."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

from linegate import bootstrap
from linegate.adapters.local.queries import SqliteQueries
from linegate.adapters.local.storage import FolderReader
from linegate.commands.records import opened
from linegate.errors import UsageError
from linegate.handlers.context import Context
from linegate.inspection import ObjectRef
from linegate.ports import Queries
from linegate.settings import Settings


@dataclass(frozen=True, slots=True)
class Looked:
    """What can be asked of a gate without changing anything. `read` is that of the port ImageStore."""

    queries: Queries
    read: Callable[[ObjectRef], bytes]


@contextmanager
def looked_at(settings: Settings, *, cloud: bool) -> Iterator[Looked]:
    """A gate that may be running, or stopped. Raises UsageError, TransientError."""
    if cloud:
        context = cloud_context(settings)
        yield Looked(context.queries, context.images.read)
        return
    with closing(opened(settings)) as rows:
        yield Looked(SqliteQueries(rows), FolderReader(rows, settings.data).read)


def cloud_context(settings: Settings) -> Context:
    """The ports of the gate on Google Cloud. Raises UsageError where the file names none."""
    return cloud_app(settings).context


def cloud_app(settings: Settings) -> bootstrap.App:
    """The same with what is built on it. Raises UsageError."""
    if settings.cloud is None:
        raise UsageError("--cloud: the file has no section cloud")
    return bootstrap.cloud(settings)

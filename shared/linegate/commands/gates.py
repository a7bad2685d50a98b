"""The gate that a command is about, looked at from a desk: the one on this machine, or the one on Google Cloud."""

from linegate import bootstrap
from linegate.errors import UsageError
from linegate.handlers.context import Context
from linegate.settings import Settings


def cloud_context(settings: Settings) -> Context:
    """The ports of the gate on Google Cloud. Raises UsageError where the file names none."""
    return cloud_app(settings).context


def cloud_app(settings: Settings) -> bootstrap.App:
    """The same with what is built on it. Raises UsageError."""
    if settings.cloud is None:
        raise UsageError("--cloud: the file has no section cloud")
    return bootstrap.cloud(settings)

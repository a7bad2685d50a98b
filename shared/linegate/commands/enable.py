"""`linegate enable`: a target that was disabled by its answer is sent to again."""

import argparse
from contextlib import closing

from linegate import bootstrap, config
from linegate.commands.arguments import add_cloud, add_config
from linegate.commands.gates import cloud_context
from linegate.edge.runtime import open_database
from linegate.errors import UsageError
from linegate.handlers.context import Context
from linegate.handlers.outbox import publish_outbox


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("target", metavar="TARGET")
    add_cloud(parser)
    add_config(parser)


def run(options: argparse.Namespace) -> int:
    """Send to a disabled target again, first what was held meanwhile. Returns 0. Raises UsageError for one nobody knows."""
    if options.cloud:
        return enable(cloud_context(config.without_secrets(options.config)), options.target)
    settings = config.load(options.config)
    with closing(open_database(settings)) as database:
        return enable(bootstrap.local(settings, database).context, options.target)


def enable(context: Context, target: str) -> int:
    """In the gate that `context` reaches."""
    disabled, known = context.outbox.disabled_targets(fresh=True), context.settings.targets
    if target not in known and target not in disabled:
        raise UsageError(f"there is no target {target!r}; there is {', '.join(known) or 'none'}")
    entries = context.outbox.enable_target(target)
    publish_outbox(context, entries)
    print(f"target {target} is enabled; {len(entries)} held notification{'' if len(entries) == 1 else 's'} on the way")
    return 0

"""`linegate replay`: dead letters back to work."""

import argparse
from contextlib import closing

from linegate import config
from linegate.adapters.local.bus import LocalBus
from linegate.commands.arguments import add_cloud, add_config
from linegate.edge.runtime import open_database
from linegate.errors import UsageError
from linegate.settings import Settings
from linegate.stages import STAGES, TOPICS


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--topic", choices=TOPICS, help="only those of this topic")
    add_cloud(parser)
    add_config(parser)


def run(options: argparse.Namespace) -> int:
    """Put dead letters back to work. Returns 0. Raises ConfigError, UsageError, TransientError."""
    if options.cloud:
        return _in_cloud(config.without_secrets(options.config), options.topic)
    return _here(config.load(options.config), options.topic)


def _here(settings: Settings, topic: str | None) -> int:
    with closing(open_database(settings)) as database:
        count = LocalBus(database).replay(topic)
    print(f"{count} dead letter{'' if count == 1 else 's'} put back to work")
    return 0


def _in_cloud(settings: Settings, topic: str | None) -> int:
    from linegate.adapters.gcp.replay import replay as replay_letters

    if settings.cloud is None:
        raise UsageError("--cloud: the file has no section cloud")
    for name, stage in STAGES.items():
        if topic in (None, stage.topic):
            count = replay_letters(
                settings.cloud.project, settings.cloud.prefix, name, stage.topic, config.emulator("PUBSUB")
            )
            print(f"{name}: {count} dead letter{'' if count == 1 else 's'} put back to work")
    return 0

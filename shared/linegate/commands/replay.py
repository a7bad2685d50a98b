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
    parser.add_argument("--force", action="store_true", help="also those that could not be read")
    add_cloud(parser)
    add_config(parser)


def run(options: argparse.Namespace) -> int:
    """Put dead letters back to work. Returns 0. Raises ConfigError, UsageError, TransientError."""
    if options.cloud:
        return _in_cloud(config.without_secrets(options.config), options.topic, force=options.force)
    return _here(config.load(options.config), options.topic, force=options.force)


def _here(settings: Settings, topic: str | None, *, force: bool) -> int:
    with closing(open_database(settings)) as database:
        print(_told(*LocalBus(database).replay(topic, force=force)))
    return 0


def _told(again: int, left: int) -> str:
    put_back = f"{again} dead letter{'' if again == 1 else 's'} put back to work"
    return f"{put_back}; {left} that could not be read left (--force)" if left else put_back


def _in_cloud(settings: Settings, topic: str | None, *, force: bool) -> int:
    from linegate.adapters.gcp.replay import replay as replay_letters

    if settings.cloud is None:
        raise UsageError("--cloud: the file has no section cloud")
    for name, stage in STAGES.items():
        if topic in (None, stage.topic):
            done = replay_letters(
                settings.cloud.project,
                settings.cloud.prefix,
                name,
                stage.topic,
                config.emulator("PUBSUB"),
                force=force,
            )
            print(f"{name}: {_told(done.again, done.left)}")
    return 0

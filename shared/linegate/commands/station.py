"""`linegate station`: the pages of a gate on this machine, whether it runs or not, until they are stopped."""

import argparse

from linegate import config, logs
from linegate.commands.arguments import add_config
from linegate.station.serving import listening, serve, url_of


def arguments(parser: argparse.ArgumentParser) -> None:
    add_config(parser)


def run(options: argparse.Namespace) -> int:
    """Serve until SIGTERM or Ctrl-C. Returns 0. Raises ConfigError, TransientError."""
    logs.configure(config.log_level())
    settings = config.load(options.config)
    listener = listening(settings)
    print(f"The station is at {url_of(listener)}; Ctrl-C ends it.", flush=True)
    serve(settings, listener)
    return 0

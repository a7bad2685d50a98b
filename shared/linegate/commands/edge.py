"""`linegate edge`: the gate beside a line, until it is stopped."""

import argparse
import os
import signal
import sys
import threading
from types import FrameType

from linegate import config, logs
from linegate.commands.arguments import add_config
from linegate.edge.runtime import Runtime
from linegate.station.serving import StationProcess


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--verbose", action="store_true", help="each step on a terminal, not one line a board")
    add_config(parser)


def run(options: argparse.Namespace) -> int:
    """Run until SIGTERM or Ctrl-C. Returns 0. Raises ConfigError, TransientError."""
    logs.configure(config.log_level(), one_line_a_board=not options.verbose)
    settings = config.load(options.config)
    runtime = Runtime(settings)
    station = StationProcess(settings)
    stop = threading.Event()

    came: list[str] = []

    def stopped(number: int, _: FrameType | None) -> None:
        came.append(signal.Signals(number).name)  # told later: whoever was interrupted may hold the log's lock
        stop.set()

    signal.signal(signal.SIGTERM, stopped)
    signal.signal(signal.SIGINT, stopped)
    runtime.start()
    station.start()
    stop.wait()
    logs.log.info("runtime.stopping", signal=came[0])
    station.stop()
    if not runtime.stop():
        sys.stderr.flush()
        os._exit(0)  # a call that hangs would keep the interpreter; nothing of it is lost
    return 0

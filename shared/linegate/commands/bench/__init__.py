"""`linegate bench`: where the time of a board goes, how many boards a second there may be, and on which materials."""

import argparse
import json
from pathlib import Path

from rich.console import RenderableType

from linegate import logs
from linegate.commands.arguments import positive
from linegate.commands.interrupt import clean_up_first
from linegate.console import console
from linegate.errors import UsageError


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--services", nargs=2, metavar=("ROBOFLOW_URL", "GEMINI_URL"), help="measure these (stand-ins)")
    parser.add_argument(
        "--throughput", action="store_true", help="boards a second instead, with and without worker processes"
    )
    parser.add_argument(
        "--cold", action="store_true", help="instances of a function instead: from their start to the first verdict"
    )
    parser.add_argument(
        "--materials",
        action="store_true",
        help="how well instead: drawn boards of every mask colour and finish, by the golden comparison",
    )
    parser.add_argument(
        "--images", type=Path, metavar="DIR", help="pictures for --throughput, as `demo --images` takes them"
    )
    parser.add_argument("--golden", type=Path, metavar="FILE", help="golden picture for those without NAME_temp beside")
    parser.add_argument("--boards", type=positive, default=15, metavar="N", help="boards of each kind (15)")
    parser.add_argument("--json", action="store_true", help="as one JSON object")


def run(options: argparse.Namespace) -> int:
    """Measure and print medians. Returns 0. Raises UsageError, TransientError."""
    if not options.throughput and (options.images or options.golden):
        raise UsageError("--images and --golden belong to --throughput")
    if options.golden and not options.images:
        raise UsageError("--golden FILE goes with --images DIR")
    if sum((bool(options.services), options.throughput, options.cold, options.materials)) > 1:
        raise UsageError("--services, --throughput, --cold and --materials measure different things; choose one")
    clean_up_first()
    logs.configure("CRITICAL" if options.services else "ERROR")
    told: RenderableType
    if options.throughput:
        from linegate.commands.bench import throughput

        report = throughput.measure(options.images, options.golden)
        told = throughput.sentence(report)
    elif options.materials:
        from linegate.commands.bench import materials

        report = materials.measure()
        told = materials.table(report)
    elif options.cold:
        from linegate.commands.bench import cold

        report = cold.measure()
        told = cold.table(report)
    else:
        from linegate.commands.bench import latency, services

        setup = services.at(*options.services) if options.services else latency.here()
        report = latency.measure(options.boards, setup)
        told = latency.table(report)
    if options.json:
        print(json.dumps(report, indent=2))
    else:
        console().print(told)
    return 0

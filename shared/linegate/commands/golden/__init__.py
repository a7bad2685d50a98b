"""`linegate golden`: golden pictures out of several good boards, and what comparison with one of them finds."""

import argparse
from pathlib import Path

from linegate.commands.arguments import ratio, real, whole


def arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    build = actions.add_parser("build", help="one golden picture out of several good boards")
    build.add_argument("good", type=Path, nargs="+", metavar="GOOD", help="pictures of good boards, three or more")
    build.add_argument("-o", "--output", type=Path, default=Path("golden.png"), metavar="FILE", help="(golden.png)")
    build.add_argument("--no-check", action="store_true", help="do not try what it shows")
    build.set_defaults(action=_build)
    check = actions.add_parser("check", help="the smallest defects that are found with a golden picture")
    check.add_argument("golden", type=Path, metavar="GOLDEN", help="the golden picture")
    check.add_argument("--config", type=Path, metavar="FILE", help="with the confidence and the demands of its recipe")
    check.add_argument("--line", metavar="NAME", help="whose recipe (the first of the file)")
    check.add_argument("--confidence", type=ratio, metavar="X", help="that a finding needs, instead of the recipe's")
    check.add_argument(
        "--mm-per-px", type=real(1e-4, 1000), metavar="X", help="millimetres for each pixel, for the table"
    )
    check.add_argument("--quick", action="store_true", help="fewer sizes, fewer of each, less certain")
    check.add_argument("--keep", action="store_true", help="keep the result in the golden picture's file, for `find`")
    check.add_argument("--map", type=Path, metavar="FILE", help="a PNG that shows where which size is found")
    check.add_argument("--seed", type=whole(0, 2**31), default=0, metavar="N", help="of what is drawn by lot (0)")
    check.add_argument("--json", action="store_true", help="as one JSON object")
    check.set_defaults(action=_check)


def run(options: argparse.Namespace) -> int:
    """See `median.run` and `check.run`."""
    answer: int = options.action(options)
    return answer


def _build(options: argparse.Namespace) -> int:
    from linegate.commands.golden import median  # with OpenCV: no other action waits for it

    return median.run(options)


def _check(options: argparse.Namespace) -> int:
    from linegate.commands.golden import check

    return check.run(options)

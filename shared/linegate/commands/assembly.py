"""`linegate assembly propose`: zones for the detector `assembly`, drafted from a golden picture."""

import argparse
import sys
from pathlib import Path

import numpy as np

from linegate import imaging
from linegate.adapters.assembly.proposal import drawn, propose
from linegate.errors import ImageRejectedError, UsageError
from linegate.files import readable, writable, writing
from linegate.texts import visible


def arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    propose_ = actions.add_parser("propose", help="print zones for what stands out on a golden picture, and draw them")
    propose_.add_argument("golden", type=Path, metavar="GOLDEN", help="the golden picture")
    propose_.add_argument("-o", "--output", type=Path, metavar="FILE", help="the drawing (GOLDEN-zones.png)")


def run(options: argparse.Namespace) -> int:
    """Print YAML to paste into a recipe, and draw it. Returns 0; 1 if nothing stands out. Raises UsageError."""
    file, target = options.golden, options.output or options.golden.with_name(f"{options.golden.stem}-zones.png")
    try:
        picture = np.asarray(imaging.decode(readable(file, "golden picture").read_bytes()))
    except ImageRejectedError as error:
        raise UsageError(f"golden picture {file}: {error}") from error
    if target.exists():
        raise UsageError(f"{target} exists and is left as it is; name another file or remove it")
    proposed = propose(picture)
    for why in proposed.blind:
        print(f"left out: {why}", file=sys.stderr)
    if not proposed.zones:
        print("nothing on this picture stands out from its ground; draw the zones by hand", file=sys.stderr)
        return 1
    with writing(writable(target)):
        drawn(picture, proposed.zones).save(target)
    print("# Name each zone, and take out what need not be looked at.\nzones:")
    for zone in proposed.zones:
        sides = ", ".join(f"{side}: {getattr(zone, side):g}" for side in ("left", "top", "right", "bottom"))
        turn = "" if zone.may_turn == "never" else f", may_turn: {zone.may_turn}"
        print(f"  - {{name: {zone.name}, {sides}{turn}}}")
    print(f"drew {visible(str(target))}", file=sys.stderr)
    return 0

"""Random histories of the gate, on all cores: `python -m tests.torture 20000`; `python -m tests.torture --seed N` tells one."""

import argparse
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor

from linegate import logs
from tests.torture.histories import replayed
from tests.torture.laws import violations
from tests.torture.remembered import pictures_are_remembered

CHUNK = 250


def played(seeds: range) -> list[str]:
    """The violations that these seeds bring out."""
    logs.configure("CRITICAL")
    with pictures_are_remembered():
        return [found for seed in seeds for found in violations(replayed(seed))]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.torture", description=__doc__)
    parser.add_argument("histories", type=int, nargs="?", default=20_000, help="how many (20000)")
    parser.add_argument("--first", type=int, default=0, metavar="SEED", help="the first seed (0)")
    parser.add_argument("--seed", type=int, help="play this one and print what happened in it")
    options = parser.parse_args()
    if options.seed is not None:
        with pictures_are_remembered():
            history = replayed(options.seed)
            found = violations(history)
        print(*history.scheduler.trace, *found, sep="\n")
        return bool(found)
    began, end = time.monotonic(), options.first + options.histories
    chunks = [range(start, min(start + CHUNK, end)) for start in range(options.first, end, CHUNK)]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        found = [each for chunk in pool.map(played, chunks) for each in chunk]
    print(*found, sep="\n", end="\n" if found else "")
    print(f"{options.histories:,} histories in {time.monotonic() - began:.0f} s, {len(found)} violations")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())

"""Run a command against stand-ins: `python -m tests.standins [OPTIONS] -- COMMAND {roboflow} {gemini}`."""

import argparse
import random
import subprocess
import sys
import time
from collections.abc import Callable

from tests.standins import gemini, roboflow
from tests.standins.service import Service, every, never, status


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.standins", description=__doc__)
    parser.add_argument("--detector-ms", type=float, default=150)
    parser.add_argument("--check-ms", type=float, default=1000)
    parser.add_argument("--jitter", type=float, default=0, help="spread of both, as a share of them (0)")
    parser.add_argument("--fail-every", type=int, default=0, metavar="N", help="answer every Nth check with a 503")
    parser.add_argument("command", nargs="*", help="after --; {roboflow} and {gemini} become addresses")
    options = parser.parse_args()

    def delay(milliseconds: float) -> Callable[[], float]:
        return lambda: milliseconds / 1000 * random.uniform(1 - options.jitter, 1 + options.jitter)

    detector = Service(roboflow.Workflows(find=roboflow.find_cells, keep=False), delay_s=delay(options.detector_ms))
    faults = every(options.fail_every, status(503)) if options.fail_every else never
    verifier = Service(gemini.Model(), delay_s=delay(options.check_ms), faults=faults)
    with detector, verifier:
        urls = {"{roboflow}": detector.url, "{gemini}": verifier.url}
        if not options.command:
            print(*(f"{name} {url}" for name, url in urls.items()), sep="\n", flush=True)
            time.sleep(1e9)
        return subprocess.run([urls.get(word, word) for word in options.command], check=False).returncode


sys.exit(main())

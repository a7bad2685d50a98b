"""What a process needs of memory for pictures of these sides, in MiB at its peak:

    uv run python -m tests.memory golden|asked|drawn SIDE …

`golden` detects by comparison, `asked` lays the golden picture over a picture that somebody else looks at, `drawn` opens one as a
camera may turn it and draws its annotated picture, as aggregate and sweep do.
"""

import io
import json
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Final

from PIL import Image

from linegate import bootstrap, imaging
from linegate.config import parse
from linegate.handlers.detect import detect
from linegate.handlers.revise import drawing
from linegate.handlers.shot import new_inspection
from linegate.inspection import Answer, Manifest
from linegate.ports import Found
from linegate.verdict import decide
from tests.fakes import StaticDetector, detection
from tests.harness import Gate

CONFIG: Final = """
recipes: {pcb: {golden: golden.jpg}}
lines: {smt-1: {recipe: pcb}}
images: {max_bytes: 400000000, max_pixels: 1000000000}
"""
MEASURING: Final = CONFIG.replace(
    "golden.jpg}",
    "golden.jpg, verifier: none, detector: measure, gauges: [{tool: edge, name: side, low: 0, high: 99999, take: first, "
    "zone: {left: 0.1, top: 0.1, right: 0.9, bottom: 0.9}}]}",
)
FOUND: Final = tuple(detection(name) for name in ("short", "spur"))


def peak_mib() -> int:
    (line,) = (each for each in Path("/proc/self/status").read_text().splitlines() if each.startswith("VmHWM"))
    return int(line.split()[1]) // 1024


@cache
def board(side: int, *, defective: bool, turned: bool = False) -> bytes:
    """A JPEG, made of a small drawing so that making it takes no more memory than reading it."""
    from tests.boards import draw

    exif = Image.Exif()
    exif[0x0112] = 6 if turned else 1  # orientation: a quarter turn
    buffer = io.BytesIO()
    draw(defective=defective).resize((side, side)).save(buffer, "JPEG", quality=92, exif=exif)
    return buffer.getvalue()


def detected(side: int, *, asked: bool, config: str = CONFIG) -> None:
    gate = Gate(settings=parse(config, Path(), {}))
    app = bootstrap.App(gate.settings, gate.context, lambda _: board(side, defective=False))
    upload = gate.upload(data=board(side, defective=True))
    somebody = StaticDetector(Found(FOUND, "somebody"))
    detect(gate.context, upload, app.registrar, (lambda _: (somebody,)) if asked else app.detectors)


def drawn(side: int) -> None:
    gate = Gate(settings=parse(CONFIG, Path(), {}))
    upload = gate.upload(data=board(side, defective=True, turned=True))
    inspection, _, _ = new_inspection(gate.settings, upload, gate.clock.now())
    manifest = Manifest.of(FOUND, width=side, height=side, answers=(Answer("somebody", "somebody"),), detector_ms=1.0)
    upright = imaging.decode(gate.images.read(upload.image), gate.settings.images.max_pixels)
    drawing(upright, inspection, decide(manifest, {}))


WORK: Final[dict[str, Callable[[int], None]]] = {
    "golden": lambda side: detected(side, asked=False),
    "measured": lambda side: detected(side, asked=False, config=MEASURING),
    "asked": lambda side: detected(side, asked=True),
    "drawn": drawn,
}


def main(work: str, *sides: str) -> None:
    peaks = []
    for side in map(int, sides):
        WORK[work](side)
        peaks.append(peak_mib())
    print(json.dumps(peaks))


if __name__ == "__main__":
    main(*sys.argv[1:])

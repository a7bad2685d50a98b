"""How long the golden comparison takes of one core: registration and detection, without reading any file.

uv run python -m linegate.evaluation.speed GOLDEN PICTURE
"""

import argparse
import time
from pathlib import Path
from typing import Final

from linegate import imaging
from linegate.adapters.golden.adapters import GoldenDetector, GoldenRegistrar

ROUNDS: Final = 10


def measure(golden: bytes, picture: bytes) -> tuple[float, float, float]:
    """Milliseconds of registration and of detection, the least of ROUNDS, and the picture's megapixels."""
    registrar, detector, shown = GoldenRegistrar(lambda _: golden), GoldenDetector(), imaging.decode(picture)
    registrar.sight("")  # decoded, as it is after a line's first board
    laying, comparing = [], []
    for _ in range(ROUNDS):
        started = time.thread_time()
        reference = registrar.register(shown, "")
        laid = time.thread_time()
        detector.detect(shown, picture, reference)
        laying.append(1000 * (laid - started))
        comparing.append(1000 * (time.thread_time() - laid))
    return min(laying), min(comparing), shown.width * shown.height / 1e6


def main(golden: Path, picture: Path) -> None:
    laid, compared, megapixels = measure(golden.read_bytes(), picture.read_bytes())
    both = laid + compared
    print(
        f"{megapixels:.2f} Mpx: registration {laid:.0f} ms, detection {compared:.0f} ms of one core, "
        f"together {both:.0f} ms or {both / megapixels:.0f} ms a megapixel"
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser("linegate.evaluation.speed", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("golden", type=Path, metavar="GOLDEN")
    parser.add_argument("picture", type=Path, metavar="PICTURE")
    main(**vars(parser.parse_args()))

"""What one product costs of a core with the golden comparison, stage by stage from its file to its annotated picture.

uv run python -m linegate.evaluation.speed GOLDEN PICTURE
"""

import argparse
from itertools import pairwise
from pathlib import Path
from time import thread_time
from typing import Final

from linegate import imaging, sight
from linegate.adapters.golden.adapters import GoldenDetector, GoldenRegistrar
from linegate.annotate import annotate
from linegate.inspection import Verdict

ROUNDS: Final = 10
STAGES: Final = ("decoding", "input gate", "registration", "comparison", "crops", "drawing")


def measure(golden: bytes, file: bytes, rounds: int = ROUNDS) -> tuple[dict[str, float], float]:
    """Milliseconds of processor time of each of STAGES, the least of `rounds`, and the picture's megapixels.

    All of them in one thread. Neither the golden picture, which is decoded once, nor store, messages and checks are in it.
    """
    registrar, detector = GoldenRegistrar(lambda _: golden), GoldenDetector()
    registrar.sight("")  # decoded, as it is after a line's first board
    took = [_round(registrar, detector, file) for _ in range(rounds)]
    width, height = imaging.decode(file).size
    return {stage: min(times) for stage, *times in zip(STAGES, *took, strict=True)}, width * height / 1e6


def _round(registrar: GoldenRegistrar, detector: GoldenDetector, file: bytes) -> list[float]:
    started = thread_time()
    picture = imaging.decode(file)
    decoded = thread_time()
    sight.measure(picture)
    seen = thread_time()
    reference = registrar.register(picture, "")
    laid = thread_time()
    found = detector.detect(picture, file, reference)
    compared = thread_time()
    for one in found.detections:
        imaging.cut(picture, one.box)
        imaging.cut(reference.picture, one.box)
    cut = thread_time()
    annotate(picture, found.detections, (), Verdict.REVIEW, len(found.detections), coverage=found.coverage)
    times = started, decoded, seen, laid, compared, cut, thread_time()
    return [1000 * (end - start) for start, end in pairwise(times)]


def main(golden: Path, picture: Path) -> None:
    stages, megapixels = measure(golden.read_bytes(), picture.read_bytes())
    whole, detector = sum(stages.values()), stages["registration"] + stages["comparison"]
    print(f"{megapixels:.2f} Mpx, ms of one core: " + ", ".join(f"{name} {ms:.1f}" for name, ms in stages.items()))
    print(f"registration and comparison {detector:.0f} ms, {detector / megapixels:.0f} ms a megapixel")
    print(f"all of it {whole:.0f} ms, {whole / megapixels:.0f} ms a megapixel")


if __name__ == "__main__":
    parser = argparse.ArgumentParser("linegate.evaluation.speed", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("golden", type=Path, metavar="GOLDEN")
    parser.add_argument("picture", type=Path, metavar="PICTURE")
    main(**vars(parser.parse_args()))

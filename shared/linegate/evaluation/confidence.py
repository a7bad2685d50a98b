"""The weights of the golden detector's confidence (`WEIGHTS` in adapters/golden/comparison.py), fitted on labelled pairs.

    uv run python -m linegate.evaluation.confidence FOLDER

FOLDER holds pairs in DeepPCB's layout, each with a number for its name. Board types (the first five digits) of TUNED are
fitted, all others are held out. Each pair counts as it is and degraded: its edges roughened, its golden picture displaced.
"""

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from linegate.adapters.golden.comparison import WEIGHTS, Candidate, candidates
from linegate.adapters.golden.evidence import probability
from linegate.adapters.golden.materials import Picture
from linegate.adapters.golden.registration import register
from linegate.errors import RegistrationError, UsageError
from linegate.evaluation.datasets import read
from linegate.evaluation.labels import Sample
from linegate.evaluation.metrics import Match, match, overlap, rates
from linegate.inspection import Detection

TUNED: Final = frozenset({"00041", "20085", "77000"})
HIT: Final = 0.33  # DeepPCB's IoU
RIDGE: Final = 0.01  # keeps weights finite where a piece of evidence separates all defects from all else
LEVELS: Final = (0.3, 0.5)  # confidences that are reported


@dataclass(frozen=True, slots=True)
class Degradation:
    """How a pair is made worse."""

    roughness: float = 0.0  # of an edge blurred by 1.5 pixels, in grey levels
    displaced: bool = False  # the golden picture, by up to 15 pixels, 2 % and 2 degrees
    breadth: float = 0.0  # by how many grey levels conductors grow or shrink at most

    def __str__(self) -> str:
        return f"roughness {self.roughness:g}, breadth {self.breadth:g}" + (", displaced" if self.displaced else "")


DEGRADATIONS: Final = (
    Degradation(),
    Degradation(displaced=True),
    Degradation(roughness=20),
    Degradation(roughness=35),
    Degradation(roughness=20, displaced=True),
    Degradation(roughness=35, displaced=True),
    Degradation(roughness=18, displaced=True, breadth=20),
)


@dataclass(frozen=True, slots=True)
class Measured:
    """The candidates of one labelled pair, degraded in one way."""

    sample: Sample
    degradation: Degradation
    candidates: Sequence[Candidate]

    @property
    def tuned(self) -> bool:
        return self.sample.name[:5] in TUNED

    def defect(self, candidate: Candidate) -> bool:
        """Whether a labelled defect lies where this candidate does."""
        return any(overlap(candidate.box, truth.box) >= HIT for truth in self.sample.truths)


def measure(sample: Sample, degradation: Degradation) -> Measured:
    """A pair that can't be registered has no candidates and is named on standard error. Raises UsageError."""
    cv2.setNumThreads(1)
    rng = np.random.default_rng(int(sample.name))
    picture, golden = degraded(_picture(sample.picture), _picture(sample.golden), degradation, rng)
    try:
        found, _ = candidates(picture, register(picture, golden))
    except RegistrationError as error:
        print(f"{sample.name} ({degradation}): {error}", file=sys.stderr)
        found = []
    return Measured(sample, degradation, found)


def _picture(file: Path | None) -> Picture:
    content = cv2.imread(str(file), cv2.IMREAD_COLOR_RGB) if file else None
    if content is None:
        raise UsageError(f"{file} is no picture")
    return content.astype(np.uint8)


def degraded(
    picture: Picture, golden: Picture, degradation: Degradation, rng: np.random.Generator
) -> tuple[Picture, Picture]:
    """The picture and its golden picture made worse; both are black and white scans, height x width x 3."""
    if degradation.displaced:
        height, width = golden.shape[:2]
        turned = cv2.getRotationMatrix2D((width / 2, height / 2), rng.uniform(-2, 2), rng.uniform(0.98, 1.02))
        pose = np.asarray(turned, np.float64)
        pose[:, 2] += rng.uniform(-15, 15, 2)
        golden = cv2.warpAffine(golden, pose, (width, height), borderValue=(255, 255, 255)).astype(np.uint8)
    if degradation.roughness or degradation.breadth:
        breadth = degradation.breadth
        picture = roughened(picture, degradation.roughness, rng, rng.uniform(-breadth, breadth))
        golden = roughened(golden, degradation.roughness, rng, rng.uniform(-breadth, breadth))
    return picture, golden


def roughened(picture: Picture, roughness: float, rng: np.random.Generator, breadth: float = 0.0) -> Picture:
    """A scan with edges as ragged as poor etching and thresholding leave them: `roughness` of 255 at an edge."""
    soft = cv2.GaussianBlur(picture[:, :, 0].astype(np.float32), (0, 0), 1.5)
    noise = cv2.GaussianBlur(np.asarray(rng.standard_normal(soft.shape), np.float32), (0, 0), 1.2)
    ragged: NDArray[np.float32] = soft + roughness * noise / noise.std() + breadth
    level = np.where(ragged > 127, 255, 0).astype(np.uint8)
    return np.dstack([level] * 3)


def fit(measured: Iterable[Measured]) -> dict[str, float]:
    """The weight of each piece of evidence, rounded to a hundredth. Raises UsageError where there are no candidates."""
    known = [(candidate.evidence, pair.defect(candidate)) for pair in measured for candidate in pair.candidates]
    if not known:
        raise UsageError(f"no pair of the board types {', '.join(sorted(TUNED))} has a candidate to fit on")
    evidence = np.array([list(pieces.values()) for pieces, _ in known], np.float64)
    weights = regression(evidence, np.array([defect for _, defect in known], np.float64))
    return {name: round(float(weight), 2) for name, weight in zip(known[0][0], weights, strict=True)}


def regression(evidence: NDArray[np.float64], defect: NDArray[np.float64], ridge: float = RIDGE) -> NDArray[np.float64]:
    """Logistic regression with a ridge by Newton's method, its steps bounded. `evidence` is candidates x pieces."""
    weights = np.zeros(evidence.shape[1])
    for _ in range(50):
        chance = 1 / (1 + np.exp(-np.clip(evidence @ weights, -30, 30)))
        curvature = (evidence * (chance * (1 - chance) + 1e-6)[:, None]).T @ evidence + ridge * np.eye(len(weights))
        step = np.linalg.solve(curvature, evidence.T @ (defect - chance) - ridge * weights)
        weights += step * 3 / max(3.0, float(np.abs(step).max()))
    return weights


def matches(pair: Measured, weights: Mapping[str, float], least: float, *, class_aware: bool) -> list[Match]:
    """The candidates of at least this confidence and the labelled defects that they hit."""
    found = [Detection(one.class_name, probability(one.evidence, weights), one.box) for one in pair.candidates]
    counted = sorted((one for one in found if one.confidence >= least), key=lambda one: -one.confidence)
    return match(counted, pair.sample.truths, HIT, class_aware=class_aware)


def lines(measured: Sequence[Measured], weights: Mapping[str, float], least: float) -> list[str]:
    """F1 with classes and without, precision and recall, for each way in which the pairs were degraded."""
    told = []
    for degradation in DEGRADATIONS:
        pairs = [pair for pair in measured if pair.degradation == degradation]
        aware, alone = (
            rates(one for pair in pairs for one in matches(pair, weights, least, class_aware=class_aware))
            for class_aware in (True, False)
        )
        figures = (aware["f1"], alone["f1"], alone["precision"], alone["recall"])
        f1, boxes, precision, recall = ("none" if figure is None else f"{figure:.3f}" for figure in figures)
        told.append(
            f"  {degradation!s:36} F1 {f1} class-aware, {boxes} boxes alone; precision {precision}, recall {recall}"
        )
    return told


def main(folder: Path) -> None:
    """Print the fitted weights and how good they are. Raises UsageError."""
    samples = read(folder, "deeppcb").samples
    jobs = [(sample, degradation) for sample in samples for degradation in DEGRADATIONS]
    with ProcessPoolExecutor() as pool:
        measured = list(pool.map(measure, *zip(*jobs, strict=True), chunksize=8))
    tuned = [pair for pair in measured if pair.tuned]
    held_out = [pair for pair in measured if not pair.tuned]
    weights = fit(tuned)
    print(f"{sum(len(pair.candidates) for pair in tuned)} candidates\nWEIGHTS = {weights}")
    for title, pairs in (("fitted on", tuned), ("held out", held_out)):
        for least in LEVELS:
            print(f"{title}, confidence {least}", *lines(pairs, weights, least), sep="\n")
    print(
        f"held out, with the weights as they are, confidence {LEVELS[0]}",
        *lines(held_out, WEIGHTS, LEVELS[0]),
        sep="\n",
    )


if __name__ == "__main__":
    parser = argparse.ArgumentParser("linegate.evaluation.confidence", description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="labelled pairs in DeepPCB's layout")
    try:
        main(parser.parse_args().folder)
    except UsageError as error:
        parser.error(str(error))

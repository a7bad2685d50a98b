#!/usr/bin/env -S uv run python
"""Fit the weights of the golden detector's confidence (`WEIGHTS` in adapters/golden/comparison.py) on labelled pairs.

    .ci/fit_confidence.py FOLDER

FOLDER holds pairs in DeepPCB's layout. Board types (the first five letters of a name) of TUNED are fitted, all others
are held out. Each pair counts as it is and made worse: its edges roughened, its golden picture displaced.
"""

import sys
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from linegate.adapters.golden.comparison import WEIGHTS, Candidate, candidates
from linegate.adapters.golden.registration import register
from linegate.errors import RegistrationError
from linegate.evaluation.datasets import read
from linegate.evaluation.labels import Sample
from linegate.evaluation.metrics import overlap

Picture = NDArray[np.uint8]

TUNED: Final = {"00041", "20085", "77000"}
HIT: Final = 0.33  # DeepPCB's IoU
# Roughness in grey levels on an edge blurred by 1.5 pixels; whether the golden picture is displaced; change of breadth.
WORSE: Final = (
    (0, False, 0),
    (0, True, 0),
    (20, False, 0),
    (35, False, 0),
    (20, True, 0),
    (35, True, 0),
    (18, True, 20),
)


@dataclass(frozen=True)
class Measured:
    """The candidates of one labelled pair, made worse in one way."""

    sample: Sample
    kind: int
    candidates: list[Candidate]


def measure(job: tuple[Sample, int]) -> Measured:
    cv2.setNumThreads(1)
    sample, kind = job
    picture, golden = (cv2.imread(str(file)) for file in (sample.picture, sample.golden))
    picture, golden = worse(picture, golden, kind, np.random.default_rng(int(sample.name)))
    try:
        return Measured(sample, kind, candidates(picture, register(picture, golden))[0])
    except RegistrationError as error:
        print(f"{sample.name} ({kind}): {error}", file=sys.stderr)
        return Measured(sample, kind, [])


def worse(picture: Picture, golden: Picture, kind: int, rng: np.random.Generator) -> tuple[Picture, Picture]:
    roughness, displaced, breadth = WORSE[kind]
    if displaced:
        height, width = golden.shape[:2]
        pose = cv2.getRotationMatrix2D((width / 2, height / 2), rng.uniform(-2, 2), rng.uniform(0.98, 1.02))
        pose[:, 2] += rng.uniform(-15, 15, 2)
        golden = cv2.warpAffine(golden, pose, (width, height), borderValue=(255, 255, 255))
    if roughness or breadth:
        picture, golden = (roughened(one, roughness, rng.uniform(-breadth, breadth), rng) for one in (picture, golden))
    return picture, golden


def roughened(picture: Picture, roughness: float, breadth: float, rng: np.random.Generator) -> Picture:
    soft = cv2.GaussianBlur(picture[:, :, 0].astype(np.float32), (0, 0), 1.5)
    noise = cv2.GaussianBlur(rng.standard_normal(soft.shape).astype(np.float32), (0, 0), 1.2)
    level = np.where(soft + roughness * noise / noise.std() + breadth > 127, 255, 0).astype(np.uint8)
    return np.dstack([level] * 3)


def fit(evidence: NDArray[np.float64], defect: NDArray[np.float64], ridge: float = 0.01) -> NDArray[np.float64]:
    """Logistic regression by Newton's method, its steps bounded."""
    weights = np.zeros(evidence.shape[1])
    for _ in range(50):
        chance = 1 / (1 + np.exp(-np.clip(evidence @ weights, -30, 30)))
        curvature = (evidence * (chance * (1 - chance) + 1e-6)[:, None]).T @ evidence + ridge * np.eye(len(weights))
        step = np.linalg.solve(curvature, evidence.T @ (defect - chance) - ridge * weights)
        weights += step * min(1.0, 3 / float(np.abs(step).max()))
    return weights


def report(measured: list[Measured], weights: dict[str, float], least: float) -> None:
    """F1 with classes and without, at this confidence, for each way in which the pairs were made worse."""
    for kind in range(len(WORSE)):
        hits = classes = told = known = 0
        for pair in (pair for pair in measured if pair.kind == kind):
            known += len(pair.sample.truths)
            free = list(pair.sample.truths)
            for candidate in pair.candidates:
                if probability(candidate, weights) < least:
                    continue
                told += 1
                best = max(free, key=lambda truth: overlap(candidate.box, truth.box), default=None)
                if best and overlap(candidate.box, best.box) > HIT:
                    free.remove(best)
                    hits, classes = hits + 1, classes + (best.class_name == candidate.class_name)
        print(
            f"  {WORSE[kind]!s:18} F1 {2 * classes / (told + known):.3f} class-aware, {2 * hits / (told + known):.3f} "
            f"boxes alone; precision {hits / max(1, told):.3f}, recall {hits / known:.3f}"
        )


def probability(candidate: Candidate, weights: dict[str, float]) -> float:
    odds = sum(weights[name] * value for name, value in candidate.evidence.items())
    return float(1 / (1 + np.exp(-np.clip(odds, -30, 30))))


def main(folder: Path) -> None:
    jobs = [(sample, kind) for sample in read(folder, "deeppcb").samples for kind in range(len(WORSE))]
    with ProcessPoolExecutor() as pool:
        measured = list(pool.map(measure, jobs, chunksize=8))
    tuned = [pair for pair in measured if pair.sample.name[:5] in TUNED]
    samples = [
        (
            list(candidate.evidence.values()),
            any(overlap(candidate.box, truth.box) > HIT for truth in pair.sample.truths),
        )
        for pair in tuned
        for candidate in pair.candidates
    ]
    named = next(pair.candidates[0].evidence for pair in tuned if pair.candidates)
    fitted = fit(np.array([sample[0] for sample in samples]), np.array([sample[1] for sample in samples], float))
    weights = dict(zip(named, (round(float(weight), 2) for weight in fitted), strict=True))
    print(f"{len(samples)} candidates\nWEIGHTS = {weights}")
    held = [pair for pair in measured if pair.sample.name[:5] not in TUNED]
    for title, pairs in (("fitted on", tuned), ("held out", held)):
        for least in (0.3, 0.5):
            print(f"{title}, confidence {least}: roughness, displaced, breadth")
            report(pairs, weights, least)
    if WEIGHTS:
        print("held out, with the weights as they are, confidence 0.3")
        report(held, dict(WEIGHTS), 0.3)


if __name__ == "__main__":
    main(Path(sys.argv[1]))

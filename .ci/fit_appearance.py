#!/usr/bin/env -S uv run python
"""Fit the weights of what looks unlike the golden picture (`WEIGHTS` in adapters/golden/appearance.py) on drawn boards.

    .ci/fit_appearance.py

Boards of the designs of FITTED are drawn in each mask colour, as they are and with tracks that differ from their ground by
FAINT grey levels, clean and with one defect of each class, and made worse as cameras and files do. Other designs are held out.
"""

import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Final

import cv2
import numpy as np
from fit_confidence import fit
from numpy.typing import NDArray
from PIL import Image

from linegate.adapters.golden.appearance import WEIGHTS, Unlike, unlike
from linegate.adapters.golden.registration import register
from linegate.inspection import Box
from linegate.samples import DEFECTS, FINISHES, MASKS, Board, golden_board, sample

Picture = NDArray[np.uint8]

FITTED, HELD_OUT = range(1, 4), range(301, 303)
FAINT: Final = 12
CONFIDENCES: Final = (0.3, 0.5, 0.7)
TOUCH: Final = 2.0  # pixels by which boxes must overlap for a hit


def main() -> None:
    cv2.setNumThreads(1)
    fitted = [case for design in FITTED for case in cases(design)]
    evidence = np.array([list(one.evidence.values()) for _, one, _ in fitted])
    weights = fit(evidence, np.array([hit for _, _, hit in fitted], float), 0.1)
    print("WEIGHTS =", dict(zip(WEIGHTS, (round(float(weight), 1) for weight in weights), strict=True)))
    report("fitted on, with these weights", fitted, weights)
    held = [case for design in HELD_OUT for case in cases(design)]
    report("held out, with these weights", held, weights)
    report("held out, with the weights as they are", held, np.array(list(WEIGHTS.values())))


def cases(design: int) -> Iterator[tuple[str, Unlike, bool]]:
    """How the picture was made worse, a candidate on it, and whether that is a defect."""
    for index, mask in enumerate(MASKS):
        board = golden_board(design, mask=mask, finish=list(FINISHES)[(design + index) % len(FINISHES)])
        for drawn in (board, faint(board, mask)):
            for way, worse in WORSE.items():
                for defects in ((), DEFECTS):
                    rng = np.random.default_rng(1000 + design + 7 * len(defects))
                    shown = sample(drawn, rng, defects)
                    picture, golden = worse(shown.picture, drawn.picture, rng)
                    for one in unlike(picture, register(picture, golden))[0]:
                        yield way, one, any(touch(one.box, box) for _, box in shown.truth)


def faint(board: Board, mask: str) -> Board:
    levels = -FAINT if mask == "white" else FAINT
    red, green, blue = board.palette.mask
    return replace(board, palette=replace(board.palette, copper=(red + levels, green + levels, blue + levels)))


def touch(one: Box, other: Box) -> bool:
    return (
        abs(one.x - other.x) <= (one.width + other.width) / 2 - TOUCH
        and abs(one.y - other.y) <= (one.height + other.height) / 2 - TOUCH
    )


def report(title: str, found: list[tuple[str, Unlike, bool]], weights: NDArray[np.float64]) -> None:
    print(f"{title}: of {sum(hit for _, _, hit in found)} defects and {sum(not hit for _, _, hit in found)} others")
    for least in CONFIDENCES:
        odds = np.log(least / (1 - least))
        told = [np.dot(list(one.evidence.values()), weights) >= odds for _, one, _ in found]
        missed = sum(hit and not counts for (_, _, hit), counts in zip(found, told, strict=True))
        false = [way for (way, _, hit), counts in zip(found, told, strict=True) if counts and not hit]
        ways = ", ".join(f"{false.count(way)} {way}" for way in dict.fromkeys(false))
        print(f"  confidence {least}: {missed} missed, {len(false)} false ({ways})")


def compressed(picture: Picture, quality: int) -> Picture:
    """As JPEG with colour at half the resolution."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=quality, subsampling=2)
    return np.asarray(Image.open(buffer).convert("RGB"))


def levels(values: NDArray[Any]) -> Picture:
    return np.clip(values, 0, 255).astype(np.uint8)


def soft(picture: Picture) -> Picture:
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), 0.9), np.uint8)


def shaded(picture: Picture, rng: np.random.Generator) -> Picture:
    light = cv2.resize(
        rng.uniform(0.7, 1.2, (3, 3)).astype(np.float32), picture.shape[1::-1], interpolation=cv2.INTER_CUBIC
    )
    return levels(picture * light[..., None])


WORSE: Final[dict[str, Callable[[Picture, Picture, np.random.Generator], tuple[Picture, Picture]]]] = {
    "as it is": lambda picture, golden, _: (picture, golden),
    "compressed": lambda picture, golden, _: (compressed(picture, 75), compressed(golden, 80)),
    "softer": lambda picture, golden, _: (soft(picture), golden),
    "sharper": lambda picture, golden, _: (picture, soft(golden)),
    "noisy": lambda picture, golden, rng: (levels(picture + rng.normal(0, 6, picture.shape)), golden),
    "of another tint": lambda picture, golden, rng: (levels(picture * rng.uniform(0.88, 1.12, 3)), golden),
    "of another gamma": lambda picture, golden, rng: (
        levels(255 * (picture / 255) ** rng.uniform(0.85, 1.15)),
        golden,
    ),
    "shaded": lambda picture, golden, rng: (shaded(picture, rng), golden),
    "golden larger": lambda picture, golden, _: (
        picture,
        np.asarray(cv2.resize(golden, None, fx=1.5, fy=1.5), np.uint8),
    ),
}


if __name__ == "__main__":
    main()

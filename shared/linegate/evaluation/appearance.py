"""The weights of what looks unlike the golden picture (`WEIGHTS` in adapters/golden/appearance.py), fitted on drawn boards.

    uv run python -m linegate.evaluation.appearance

Boards of the designs of FITTED are drawn in each mask colour, as they are and with tracks that differ from their ground by
FAINT grey levels, clean and with one defect of each class, and made worse as cameras and files do. They are compared with
the design itself, which they differ from in nothing, and as boards of a line, which differ from each other (`SPREAD`), with
a golden picture built of some of them. Other designs are held out.
"""

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from linegate.adapters.golden.appearance import WEIGHTS, Unlike, unlike
from linegate.adapters.golden.building import built, laid_over
from linegate.adapters.golden.evidence import probability
from linegate.adapters.golden.materials import Picture
from linegate.adapters.golden.picture import Golden
from linegate.adapters.golden.registration import beyond, lay, lay_variation, lies, pose
from linegate.evaluation.confidence import regression
from linegate.samples import DEFECTS, FINISHES, MASKS, Design, Spread, golden_board, sample
from linegate.shapes import Box

# Seeds of designs
FITTED, HELD_OUT = range(1, 4), range(301, 303)
RIDGE: Final = 0.1
FAINT: Final = 12
GOOD: Final = 5  # boards that a golden picture is built of
SPREAD: Final = Spread()
CONFIDENCES: Final = (0.3, 0.5, 0.7)
TOUCH: Final = 2.0  # pixels by which boxes must overlap for a hit


@dataclass(frozen=True, slots=True)
class Case:
    """A difference on a picture, how that was made worse, and whether the difference is a defect."""

    way: str
    unlike: Unlike
    defect: bool


def cases(seed: int, masks: Sequence[str] = tuple(MASKS), ways: Sequence[str] = ()) -> Iterator[Case]:
    """The differences on drawn boards of one design, in these mask colours, made worse in these ways (all, if left out)."""
    for index, mask in enumerate(masks):
        design = golden_board(seed, mask=mask, finish=list(FINISHES)[(seed + index) % len(FINISHES)])
        for drawn in (design, faint(design, mask)):
            for spread, golden in ((None, Golden(drawn.picture)), (SPREAD, _of_a_line(drawn, seed))):
                for way in ways or WORSE:
                    for defects in ((), DEFECTS):
                        rng = np.random.default_rng(1000 + seed + 7 * len(defects))
                        shown = sample(drawn, rng, defects, spread)
                        picture, wanted = WORSE[way](shown.picture, golden.picture, rng)
                        for one in _differences(picture, fitting(golden, wanted)):
                            yield Case(way, one, any(touch(one.box, box) for _, box in shown.truth))


def _of_a_line(design: Design, seed: int) -> Golden:
    boards = [sample(design, np.random.default_rng((seed, board)), (), SPREAD).picture for board in range(GOOD)]
    return built([boards[0], *(laid_over(boards[0], board) for board in boards[1:])]).golden


def _differences(picture: Picture, golden: Golden) -> list[Unlike]:
    warp = pose(picture, golden.picture)
    variation, broad = (
        None if kept is None else lay_variation(kept, picture.shape, warp) for kept in (golden.variation, golden.broad)
    )
    outside = beyond(lies(golden.picture.shape, warp), picture.shape)
    return unlike(picture, lay(golden.picture, picture, warp), variation, None, broad, outside)[0]


def fitting(golden: Golden, wanted: Picture) -> Golden:
    """What goes with a golden picture in the size of what was made of it."""
    size = wanted.shape[1::-1]
    variation, broad = (
        None if kept is None else np.asarray(cv2.resize(kept, size), np.uint8)
        for kept in (golden.variation, golden.broad)
    )
    return Golden(wanted, variation, broad)


def fit(fitted: Sequence[Case]) -> dict[str, float]:
    """The weight of each piece of evidence, rounded to a tenth."""
    evidence = np.array([list(case.unlike.evidence.values()) for case in fitted])
    weights = regression(evidence, np.array([case.defect for case in fitted], np.float64), RIDGE)
    return {name: round(float(weight), 1) for name, weight in zip(WEIGHTS, weights, strict=True)}


def faint(design: Design, mask: str, by: int = FAINT) -> Design:
    """With covered tracks that differ from the mask beside them by so many grey levels."""
    levels = -by if mask == "white" else by
    red, green, blue = design.palette.mask
    return replace(design, palette=replace(design.palette, copper=(red + levels, green + levels, blue + levels)))


def touch(one: Box, other: Box) -> bool:
    """Whether boxes overlap by more than TOUCH pixels."""
    return (
        abs(one.x - other.x) <= (one.width + other.width) / 2 - TOUCH
        and abs(one.y - other.y) <= (one.height + other.height) / 2 - TOUCH
    )


def lines(title: str, found: Sequence[Case], weights: Mapping[str, float]) -> list[str]:
    """How many defects these weights miss, and what else they take for one."""
    said = [f"{title}: of {sum(one.defect for one in found)} defects and {sum(not one.defect for one in found)} others"]
    for least in CONFIDENCES:
        told = [probability(one.unlike.evidence, weights) >= least for one in found]
        missed = sum(one.defect and not counts for one, counts in zip(found, told, strict=True))
        false = [one.way for one, counts in zip(found, told, strict=True) if counts and not one.defect]
        ways = ", ".join(f"{false.count(way)} {way}" for way in dict.fromkeys(false))
        said.append(f"  confidence {least}: {missed} missed, {len(false)} false ({ways})")
    return said


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


def main() -> None:
    cv2.setNumThreads(1)
    fitted = [case for seed in FITTED for case in cases(seed)]
    held_out = [case for seed in HELD_OUT for case in cases(seed)]
    weights = fit(fitted)
    print("WEIGHTS =", weights)
    for title, found, used in (
        ("fitted on, with these weights", fitted, weights),
        ("held out, with these weights", held_out, weights),
        ("held out, with the weights as they are", held_out, WEIGHTS),
    ):
        print(*lines(title, found, used), sep="\n")


if __name__ == "__main__":
    main()

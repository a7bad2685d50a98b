"""Learning from good pictures alone, and scoring others by it: finding what no good picture showed."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from linegate.adapters.anomaly.features import (
    MEDIAN_DEVIATION,
    PLACED,
    Features,
    Picture,
    luminance,
    places,
    reduced,
    texture,
)
from linegate.adapters.anomaly.neighbours import Memory, remember, soft
from linegate.adapters.anomaly.scores import Scores
from linegate.adapters.golden.registration import pose
from linegate.errors import ImageRejectedError, RegistrationError

Floats = NDArray[np.float32]
FEWEST: Final = 10  # good pictures; fewer don't tell what good ones have in common
SEED: Final = 1  # which cells are remembered is drawn by lot, the same at each learning
# Longest side to which a picture is reduced, about, where nobody says by how much: of a surface, and of what lies still.
SURFACE_SIDE, STILL_SIDE = 320, 640
# Part by which a picture's sides may leave what the good ones had.
OTHER_SIZE: Final = 0.25
# Of the whole picture's figures: least spread among good pictures, so that ten equal ones allow for another.
LEAST_WHOLE: Final = 0.05
# Still: of a feature at a place, least spread as a part of what it is on average; grey levels; and the power by which
# features are put together, so that one that is far off is not lost among those that are not.
PART_OF_TYPICAL, GREY_LEVELS, POWER = 0.5, 1.0, 4
# Cells that a place may have moved by
TOLERANCE: Final = 1


@dataclass(frozen=True, slots=True)
class Surface:
    """Learned of a product that does not lie still: a texture. `middle` and `spread` are of the whole picture's figures."""

    step: int
    sides: tuple[int, int]  # least and greatest side of the good pictures, in pixels
    energies: Memory
    derivatives: Memory
    middle: Floats
    spread: Floats

    def scores(self, picture: Picture) -> Scores:
        """Raises ImageRejectedError for a picture of another size than the good ones had."""
        least, most = self.sides
        height, width = picture.shape[:2]
        if min(height, width) < (1 - OTHER_SIZE) * least or max(height, width) > (1 + OTHER_SIZE) * most:
            raise ImageRejectedError(
                f"the picture has {width} by {height} px, the good ones' sides had {least} to {most}"
            )
        energies, derivatives, whole = texture(reduced(picture, self.step))
        distances = soft(self.energies.distances(energies) + self.derivatives.distances(derivatives))
        return Scores(np.asarray(distances / 2, np.float32), float((np.abs(whole - self.middle) / self.spread).max()))


@dataclass(frozen=True, slots=True)
class Still:
    """Learned of a product that lies still: `mean` and `spread` of each feature at each place, rows x columns x d.

    `reference` is the reduced picture that others are laid over; `size` the width and height of the good pictures.
    """

    step: int
    size: tuple[int, int]
    reference: Picture
    mean: Floats
    spread: Floats

    def scores(self, picture: Picture) -> Scores:
        """Raises ImageRejectedError for a picture of another size, RegistrationError for one that can't be laid over."""
        if picture.shape[1::-1] != self.size:
            sizes = [f"{width} by {height}" for width, height in (picture.shape[1::-1], self.size)]
            raise ImageRejectedError(f"the picture has {sizes[0]} px, the good ones had {sizes[1]}")
        small = reduced(picture, self.step)
        laid, warp, seen = _laid(small, self.reference)
        apart = _apart(places(laid), self.mean, self.spread)
        rows, columns = self.mean.shape[:2]
        beyond = np.asarray(cv2.resize(seen, (columns, rows), interpolation=cv2.INTER_AREA) < 255)
        apart[beyond] = 0.0
        # Back to where the product lies on the picture.
        back = self._back(apart, warp, small.shape)
        lost = float((self._back(1.0 - beyond, warp, small.shape) < 0.5).mean())
        # Of a product that was only moved, as much lies beyond the picture; of one that is nearer to the camera, more.
        cut_off = 1 - float(seen.mean()) / 255 - lost
        losses = (("where the good pictures do not reach", lost), ("outside the picture", cut_off))
        told = tuple(loss for loss in losses if loss[1] > 0)
        return Scores(np.ascontiguousarray(back[::PLACED, ::PLACED]), None, told)

    def _back(self, places: NDArray[Any], warp: NDArray[np.float32], shape: tuple[int, ...]) -> Floats:
        """What is known at each place, in the picture's frame; 0 where the good pictures do not reach."""
        height, width = self.reference.shape[:2]
        whole = cv2.resize(places.astype(np.float32), (width, height), interpolation=cv2.INTER_LINEAR)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        return np.asarray(cv2.warpAffine(whole, warp, shape[1::-1], flags=flags), np.float32)


Learned = Surface | Still


def learn(
    pictures: Sequence[Picture],
    *,
    still: bool,
    step: int | None = None,
    track: Callable[[Sequence[Picture]], Iterable[Picture]] = iter,
) -> Learned:
    """What good pictures (height x width x 3, RGB) have in common.

    Raises ValueError where they can't be learned from, with the place of the picture at fault in `args[1]`, if it is one.
    """
    if len(pictures) < FEWEST:
        raise ValueError(f"{len(pictures)} pictures; {FEWEST} or more are needed to tell what good ones have in common")
    step = step or max(
        1, round(max(max(picture.shape[:2]) for picture in pictures) / (STILL_SIDE if still else SURFACE_SIDE))
    )
    return _still(pictures, step, track) if still else _surface(pictures, step, track)


def _surface(
    pictures: Sequence[Picture], step: int, track: Callable[[Sequence[Picture]], Iterable[Picture]]
) -> Surface:
    seen = [texture(reduced(picture, step)) for picture in track(pictures)]
    rng = np.random.default_rng(SEED)
    energies, derivatives = (remember([banks[bank] for banks in seen], rng) for bank in (0, 1))
    wholes = np.stack([banks[2] for banks in seen])
    middle = np.median(wholes, axis=0)
    spread = MEDIAN_DEVIATION * np.median(np.abs(wholes - middle), axis=0)
    sides = [side for picture in pictures for side in picture.shape[:2]]
    return Surface(
        step,
        (min(sides), max(sides)),
        energies,
        derivatives,
        np.asarray(middle, np.float32),
        np.asarray(np.maximum(spread, LEAST_WHOLE), np.float32),
    )


def _still(pictures: Sequence[Picture], step: int, track: Callable[[Sequence[Picture]], Iterable[Picture]]) -> Still:
    height, width = pictures[0].shape[:2]
    for at, picture in enumerate(pictures):
        if picture.shape != pictures[0].shape:
            other, here = f"{picture.shape[1]} by {picture.shape[0]}", f"{width} by {height}"
            raise ValueError(f"it has {other} px, the first one {here}: a product that lies still has one size", at)
    reference = reduced(pictures[0], step)
    seen: list[Features] = []
    for at, picture in enumerate(track(pictures)):
        try:
            laid, _, _ = _laid(reduced(picture, step), reference)
        except RegistrationError as error:
            raise ValueError(f"it can't be laid over the first one: {error}", at) from error
        seen.append(places(laid))
    stacked = np.stack(seen)
    mean = np.median(stacked, axis=0)
    # The spread that so few tell, a little more than they show: a sample's own is too small (factor of Student's t at n).
    spread = np.sqrt(((stacked - mean) ** 2).sum(axis=0) / (len(seen) - 1)) * (1 + 2 / len(seen))
    typical = np.median(spread, axis=(0, 1))
    spread = np.maximum(spread, np.maximum(PART_OF_TYPICAL * typical, GREY_LEVELS))
    return Still(step, (width, height), reference, np.asarray(mean, np.float32), np.asarray(spread, np.float32))


def _laid(picture: Picture, reference: Picture) -> tuple[Picture, NDArray[np.float32], NDArray[np.uint8]]:
    """The picture where the reference lies and in its light; the warp; and where the picture reaches (255)."""
    warp = pose(picture, reference)
    size = reference.shape[1::-1]
    laid = cv2.warpAffine(picture, warp, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    seen = cv2.warpAffine(np.full(picture.shape[:2], 255, np.uint8), warp, size, flags=cv2.INTER_LINEAR)
    return _in_the_light_of(reference, np.asarray(laid, np.uint8)), warp, np.asarray(seen, np.uint8)


def _in_the_light_of(reference: Picture, picture: Picture) -> Picture:
    """Brightness and shade as on the reference, slowly over the picture (a plane of ratios); colours stay what they are."""
    blocks = [
        cv2.resize(luminance(shown), (16, 16), interpolation=cv2.INTER_AREA) + 8 for shown in (reference, picture)
    ]
    ratio = np.log(blocks[0]) - np.log(blocks[1])
    places_of = np.indices((16, 16)) / 7.5 - 1
    y, x = places_of[0], places_of[1]
    known = np.stack([np.ones(256), x.ravel(), y.ravel()], axis=1)
    weights = np.ones(256)
    plane = np.zeros(3)
    for _ in range(4):  # a defect is no light: what is far off hardly counts (Cauchy's weights)
        weighted = known * weights[:, None]
        plane = np.linalg.solve(weighted.T @ known, weighted.T @ ratio.ravel())
        weights = 1 / (1 + ((ratio.ravel() - known @ plane) / 0.05) ** 2)
    height, width = picture.shape[:2]
    down, across = np.linspace(-1, 1, height, dtype=np.float32)[:, None], np.linspace(-1, 1, width, dtype=np.float32)
    gain = np.exp(np.clip(plane[0] + plane[1] * across + plane[2] * down, -0.7, 0.7)).astype(np.float32)
    return np.asarray(np.clip((picture + 8.0) * gain[..., None] - 8.0, 0, 255).round(), np.uint8)


def _apart(features: Features, mean: Floats, spread: Floats) -> Floats:
    """Rows x columns: by how many spreads a place differs, where it may have moved by TOLERANCE."""
    least = np.full(features.shape[:2], np.inf, np.float32)
    rows, columns = features.shape[:2]
    around = ((TOLERANCE, TOLERANCE), (TOLERANCE, TOLERANCE), (0, 0))
    means, spreads = np.pad(mean, around, mode="edge"), np.pad(spread, around, mode="edge")
    for down in range(2 * TOLERANCE + 1):
        for across in range(2 * TOLERANCE + 1):
            window = np.s_[down : down + rows, across : across + columns]
            off = (features - means[window]) / spreads[window]
            off *= off
            least = np.minimum(least, (off ** (POWER // 2)).mean(axis=-1))
    return np.asarray(least ** (1 / POWER), np.float32)

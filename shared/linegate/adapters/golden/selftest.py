"""What is the smallest defect that comparison with this golden picture finds for certain?

Defects of graded size and contrast are planted on the golden picture, photographed as the line's camera would, and looked
for with the comparison itself. A size counts as found where an exact bound (Clopper and Pearson 1934) on the part that is
found says so with CERTAINTY. Sizes are tried from the largest down and the first that fails ends it, so no correction for trying
several is needed (fixed-sequence testing: Maurer, Hothorn and Lehmacher 1995).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from linegate import imaging, sight
from linegate.adapters.golden.comparison import examine
from linegate.adapters.golden.layers import Layer, Layers, layers_of
from linegate.adapters.golden.materials import Copper, Picture
from linegate.adapters.golden.picture import Golden
from linegate.adapters.golden.planting import SORTS, Place, Planted, inner_places, paint, plant, sorts_of, stain
from linegate.adapters.golden.registration import lay, lay_variation, pose
from linegate.adapters.golden.verifier import GoldenVerifier
from linegate.bounds import lower
from linegate.errors import RegistrationError
from linegate.inspection import Detection, Result
from linegate.shapes import Box

CERTAINTY: Final = 0.95
# Sizes in pixels at a side of 640; of scratches, and how many grey levels a stain differs by, and its diameter.
SIZES: Final = (16, 10, 7, 5, 4, 3, 2)
SCRATCHES: Final = (6, 4, 3, 2, 1)
LEVELS: Final = (40, 24, 18, 12, 9, 6)
STAIN: Final = 8
FEWEST_PLACES: Final = 6
# Defects on one picture: no closer than this (at a side of 640), and no more than this part of it.
APART, PLANTED = 26, 0.012
GRID, ATTEMPTS = 4, 500  # pixels to which it is told what is taken; places that are tried for one defect
CLEAN: Final = 3  # photographs without any defect
# The camera: shift in parts of the side, degrees, scale, light from corner to corner, and grey levels of noise at least.
SHIFT, TURN, STRETCH, DIMMEST, BRIGHTEST, NOISE = 0.006, 0.5, 0.004, 0.9, 1.06, 1.5
# Of a scan: blur in pixels and grey levels of noise before it becomes black and white, which makes its edges ragged.
SCAN_BLUR, SCAN_NOISE = 1.2, 10.0
# How wide an edge is measured to be for one pixel of blur, and how much noise makes good boards differ by a grey level.
EDGE_OF_BLUR, NOISE_OF_VARIATION = 2.5, 1.3
SOFTEST: Final = 4.0

Warp = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Effort:
    """How often each size is tried, how many misses are forgiven, and what part must then be found for certain."""

    tries: int
    misses: int
    rate: float
    every: int  # of so many sizes one is tried


FULL: Final = Effort(93, 1, 0.95, 1)
QUICK: Final = Effort(29, 0, 0.9, 2)


@dataclass(frozen=True, slots=True)
class Gate:
    """What a finding must be to count: as sure as the recipe says, and not cleared by the golden verifier."""

    copper: Copper = "auto"
    confidence: float = 0.3
    crop_padding: float = 0.25
    verified: bool = True


@dataclass(frozen=True, slots=True)
class Step:
    """One size (or contrast) and how many of those that were tried were found."""

    size: float
    tried: int
    found: int

    @property
    def at_least(self) -> float:
        """The part that is found at least, with CERTAINTY."""
        return lower(self.found, self.tried, CERTAINTY)


@dataclass(frozen=True, slots=True)
class Trial:
    """One planted defect: where on the golden picture (pixels), of which row and size, and whether it was found."""

    x: float
    y: float
    row: str
    size: float
    found: bool


@dataclass(frozen=True, slots=True)
class Row:
    """One sort of defect. `smallest` is the least size that is found for certain, None where none is."""

    name: str
    unit: str  # "px" or "grey levels"
    steps: tuple[Step, ...] = ()
    smallest: float | None = None
    why_not: str = ""  # nothing could be planted


@dataclass(frozen=True, slots=True)
class Report:
    rows: tuple[Row, ...]
    effort: Effort
    size: tuple[int, int]
    seed: int
    false_findings: int  # on CLEAN photographs without a defect
    pictures: int
    trials: tuple[Trial, ...]


@dataclass
class _Course:
    """How far one row has come."""

    name: str
    unit: str
    ladder: Sequence[float]
    places: Callable[[float, np.random.Generator], list[tuple[Layer, Place]]]
    make: Callable[[Layer, Place, float], Planted]
    steps: list[Step] = field(default_factory=list)
    at: int = 0
    tried: int = 0
    found: int = 0
    waiting: list[tuple[Layer, Place]] = field(default_factory=list)
    ended: bool = False
    planted: bool = False

    @property
    def size(self) -> float:
        return self.ladder[self.at]

    def ready(self, rng: np.random.Generator) -> None:
        """Places for the present size; sizes for which there are too few are left out."""
        while self.at < len(self.ladder):
            self.waiting = self.places(self.size, rng)
            if len(self.waiting) >= FEWEST_PLACES:
                self.planted = True
                return
            self.at += 1
        self.ended = True

    def close(self, effort: Effort) -> None:
        """The present size is done, or has failed."""
        self.steps.append(Step(self.size, self.tried, self.found))
        failed = self.tried - self.found > effort.misses
        self.at, self.tried, self.found = self.at + 1, 0, 0
        self.ended = failed or self.at >= len(self.ladder)

    def row(self, effort: Effort) -> Row:
        if not self.planted:
            return Row(self.name, self.unit, why_not="the golden picture shows nothing that it could be planted on")
        proven = [step.size for step in self.steps if step.at_least >= effort.rate]
        return Row(self.name, self.unit, tuple(self.steps), min(proven, default=None))


def self_test(
    golden: Golden, gate: Gate, effort: Effort = FULL, seed: int = 0, tell: Callable[[str], None] = lambda _: None
) -> Report:
    """Plant, photograph and look for defects on `golden`. The same seed gives the same report. `tell` hears of progress.

    FULL takes about a minute of one core for a megapixel, QUICK a quarter of that.
    """
    layers = layers_of(golden.picture, gate.copper)
    camera = _Camera.of(golden, scan=layers.scan)
    courses = list(_courses(golden.picture, layers, effort))
    scale = max(1.0, min(golden.picture.shape[:2]) / 640)
    rng = np.random.default_rng((seed, 0))
    false_findings = sum(len(_seen(camera.shot(golden.picture, rng)[0], golden, gate)) for _ in range(CLEAN))
    trials: list[Trial] = []
    for course in courses:
        course.ready(rng)
    pictures = CLEAN
    while going := [course for course in courses if not course.ended]:
        tell(", ".join(f"{course.name} {course.size:g}" for course in going[:3]) + f": {len(trials)} defects planted")
        rng = np.random.default_rng((seed, pictures))
        picture, placed = _planted(golden.picture, going, effort, camera.softness, scale, rng)
        shown, warp = camera.shot(picture, rng)
        found = _seen(shown, golden, gate)
        pictures += 1
        for course, planted in placed:
            hit = any(_touch(box, _moved(planted.box, warp)) for box in found)
            course.tried, course.found = course.tried + 1, course.found + hit
            trials.append(Trial(planted.box.x, planted.box.y, course.name, course.size, hit))
        for course in going:
            if course.tried >= effort.tries or course.tried - course.found > effort.misses:
                course.close(effort)
                if not course.ended:
                    course.ready(rng)
    size = golden.picture.shape[1], golden.picture.shape[0]
    rows = tuple(course.row(effort) for course in courses)
    return Report(rows, effort, size, seed, false_findings, pictures, tuple(trials))


def _courses(golden: Picture, layers: Layers, effort: Effort) -> Iterator[_Course]:
    scale = max(1.0, min(golden.shape[:2]) / 640)

    def ladder(sizes: Sequence[float]) -> list[float]:
        return list(dict.fromkeys(float(max(1, round(size * scale))) for size in sizes[:: effort.every]))

    for name, on in sorts_of(layers).items():
        if name == "filled hole":
            diameters = sorted({float(round(d)) for layer in on for d in layer.holes[:, 2]}, reverse=True)
            yield _of_sort(name, diameters, name, on)
        else:
            yield _of_sort(name, ladder(SCRATCHES if name == "scratch" else SIZES), name, on)
    if layers.scan:
        return
    for layer in (*layers.conductors, *layers.prints):
        name = f"spot, {layer.figure_name} and {layer.ground_name}"
        yield _of_sort(name, ladder(SIZES), "island", (layer, layer.swapped))
    for name, mask in layers.grounds:
        ground = Layer(mask, np.asarray(1 - mask, np.uint8), name, "")
        yield _of_stains(ground, STAIN * scale, [float(level) for level in LEVELS[:: effort.every]])


def _of_sort(name: str, ladder: Sequence[float], sort_name: str, on: Sequence[Layer]) -> _Course:
    sort = SORTS[sort_name]

    def places(size: float, rng: np.random.Generator) -> list[tuple[Layer, Place]]:
        return _in_turn([[(layer, place) for place in sort.find(layer, size, rng)] for layer in on])

    return _Course(name, "px", ladder, places, partial(plant, sort))


def _of_stains(ground: Layer, diameter: float, ladder: Sequence[float]) -> _Course:
    def places(_: float, rng: np.random.Generator) -> list[tuple[Layer, Place]]:
        return [(ground, place) for place in inner_places(ground, diameter, rng)]

    def make(_: Layer, place: Place, levels: float) -> Planted:
        lighter = 1 if round(place.x + place.y) % 2 else -1
        return stain(place, diameter, lighter * levels)

    return _Course(f"stain of {diameter:.0f} px, on {ground.figure_name}", "grey levels", ladder, places, make)


def _in_turn(every: Sequence[list[tuple[Layer, Place]]]) -> list[tuple[Layer, Place]]:
    """One of each list after the other, so that no layer has more than its share as long as it has places."""
    return [one[at] for at in range(max(map(len, every), default=0)) for one in every if at < len(one)]


def _planted(
    golden: Picture,
    going: Sequence[_Course],
    effort: Effort,
    softness: float,
    scale: float,
    rng: np.random.Generator,
) -> tuple[Picture, list[tuple[_Course, Planted]]]:
    """A board with as many defects as find room far enough from one another, of each row in turn."""
    picture = golden.copy()
    taken = np.zeros((picture.shape[0] // GRID + 1, picture.shape[1] // GRID + 1), np.bool_)
    placed: list[tuple[_Course, Planted]] = []
    room = PLANTED * picture.shape[0] * picture.shape[1]
    wanted = {course.name: effort.tries - course.tried for course in going}
    starts = {course.name: int(rng.integers(0, len(course.waiting))) for course in going}
    used = dict.fromkeys(wanted, 0)
    rarest_first = sorted(going, key=lambda course: len(course.waiting))
    while room > 0:
        before = len(placed)
        for course in rarest_first:
            if not wanted[course.name]:
                continue
            for _ in range(min(ATTEMPTS, len(course.waiting) - used[course.name])):
                layer, place = course.waiting[(starts[course.name] + used[course.name]) % len(course.waiting)]
                used[course.name] += 1
                if taken[int(place.y) // GRID, int(place.x) // GRID]:
                    continue
                planted = course.make(layer, place, course.size)
                window = _around(planted.box, APART * scale)
                if taken[window].any():
                    continue
                paint(picture, golden, planted, softness)
                taken[window] = True
                placed.append((course, planted))
                room -= float(cv2.contourArea(planted.outline.astype(np.float32)))
                wanted[course.name] -= 1
                break
        if len(placed) == before:
            break
    return picture, placed


def _around(box: Box, distance: float) -> tuple[slice, slice]:
    left, top, right, bottom = (int(side) for side in box.corners)
    half = distance / 2  # as much again is around the other one
    return (
        slice(max(0, int(top - half)) // GRID, int(bottom + half) // GRID + 1),
        slice(max(0, int(left - half)) // GRID, int(right + half) // GRID + 1),
    )


@dataclass(frozen=True, slots=True)
class _Camera:
    """How the line's camera shows boards, as far as the golden picture tells."""

    softness: float  # standard deviation of its blur in pixels
    noise: float  # of its noise in grey levels
    scan: bool

    @classmethod
    def of(cls, golden: Golden, *, scan: bool) -> "_Camera":
        figures = sight.measure(Image.fromarray(golden.picture)).figures
        noise = max(NOISE, figures.noise)
        if golden.variation is not None:
            noise = max(noise, NOISE_OF_VARIATION * float(np.median(golden.variation)))
        return cls(float(np.clip(figures.edge / EDGE_OF_BLUR, 0.3, SOFTEST)), noise, scan)

    def shot(self, board: Picture, rng: np.random.Generator) -> tuple[Picture, Warp]:
        """A photograph of the board, and the warp (2 x 3) from the board to it."""
        height, width = board.shape[:2]
        side = min(height, width)
        warp = np.asarray(
            cv2.getRotationMatrix2D(
                (width / 2, height / 2), rng.uniform(-TURN, TURN), 1 + rng.uniform(-STRETCH, STRETCH)
            ),
            np.float64,
        )
        warp[:, 2] += rng.uniform(-SHIFT, SHIFT, 2) * side
        shown = cv2.warpAffine(board, warp, (width, height), borderMode=cv2.BORDER_REPLICATE)
        if self.scan:
            soft = cv2.GaussianBlur(cv2.cvtColor(shown, cv2.COLOR_RGB2GRAY), (0, 0), SCAN_BLUR).astype(np.float32)
            noise = cv2.GaussianBlur(rng.standard_normal((height, width), np.float32), (0, 0), SCAN_BLUR)
            soft += noise * np.float32(SCAN_NOISE / noise.std())
            return np.repeat(np.where(soft > 127, 255, 0).astype(np.uint8)[..., None], 3, axis=2), warp
        corners = rng.uniform(DIMMEST, BRIGHTEST, (2, 2)).astype(np.float32)
        light = cv2.resize(corners, (width, height), interpolation=cv2.INTER_LINEAR)
        noise = rng.standard_normal((height, width, 1), np.float32) * np.float32(self.noise)
        return np.clip(shown * light[..., None] + noise, 0, 255).astype(np.uint8), warp


def _seen(picture: Picture, golden: Golden, gate: Gate) -> list[Box]:
    """The boxes of the findings that count and that the verifier does not clear; none where the board can't be compared.

    Such a board goes to a person in the end, but nothing was found on it: all that was planted counts as missed.
    """
    try:
        warp = pose(picture, golden.picture)
        laid = lay(golden.picture, picture, warp)
        variation, broad = (
            None if kept is None else lay_variation(kept, picture.shape, warp)
            for kept in (golden.variation, golden.broad)
        )
        detections = examine(picture, laid, gate.copper, variation, broad)[0]
    except RegistrationError:
        return []
    counting = [one for one in detections if one.confidence >= gate.confidence]
    if not gate.verified:
        return [one.box for one in counting]
    image, reference = Image.fromarray(picture), Image.fromarray(laid)
    return [one.box for one in counting if not _cleared(image, reference, one, gate.crop_padding)]


def _cleared(picture: Image.Image, golden: Image.Image, detection: Detection, padding: float) -> bool:
    crop, reference = (imaging.cut(shown, detection.box, padding) for shown in (picture, golden))
    return GoldenVerifier().verify(crop, reference, detection).result is Result.PASS


def _moved(box: Box, warp: Warp) -> Box:
    """Where it lies on the photograph; turns are too small to matter to its size."""
    x, y = warp[:, :2] @ np.array([box.x, box.y]) + warp[:, 2]
    return Box(float(x), float(y), box.width, box.height)


def _touch(one: Box, other: Box) -> bool:
    return _near(one, other, 0.0)


def _near(one: Box, other: Box, distance: float) -> bool:
    return (
        abs(one.x - other.x) <= (one.width + other.width) / 2 + distance
        and abs(one.y - other.y) <= (one.height + other.height) / 2 + distance
    )

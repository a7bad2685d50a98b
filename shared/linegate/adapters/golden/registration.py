"""Laying the golden picture over a picture of another board of the same design."""

from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
from numpy.typing import NDArray

from linegate.adapters.golden.materials import Shown, resized
from linegate.adapters.golden.slopes import slopes
from linegate.errors import RegistrationError
from linegate.sight import TILES

Picture = NDArray[np.uint8]  # height x width x 3, RGB
Grey = NDArray[np.uint8]  # height x width
Vector = NDArray[Any]  # one number for each edge pixel
Warp = NDArray[np.float32]  # 2 x 3, from picture to golden coordinates

SMALLEST_SIDE = 32  # pixels; below, there is hardly an edge to go by
# Side to which the longer side is reduced to find the pose, and which motions are tried, in this order, with how many
# iterations.
COARSE_SIDE = 128
MOTIONS = {cv2.MOTION_EUCLIDEAN: 50, cv2.MOTION_TRANSLATION: 30}
# Levels of a golden picture that are kept: three for each size of picture.
MOST_LEVELS: Final = 6
# Sides at which the pose is refined on the edges, with how many steps.
FINE = {320: 5, 640: 3}
# Edge pixels that a step looks at; a part of the strongest gradient makes an edge.
EDGE_PIXELS, EDGE_STRENGTH = 8_000, 0.15
# Pixels of displacement at which an edge counts half: a defect's edges lie elsewhere altogether.
HALF_WEIGHT = 1.0
# Below this many edge pixels nothing is refined; a step must better the mean weight by this much; and of a motion that is
# told by less than this part of what the best told one is, nothing is known.
FEWEST_EDGES, LEAST_GAIN, WELL_TOLD = 200, 1e-4, 0.001
# Grey levels of deviation below which a golden picture is taken as it lies: an empty stretch of a scan, say.
FEATURELESS = 2.0
ALIGNED: Final = 0.9  # correlation of edges from which they tell light
# Correlation below which nothing can be said about a board. Boards of one design reach 0.9 and more, different designs
# stay below 0.5.
MINIMUM_CORRELATION = 0.70
# From here on a start needs no alternative.
GOOD = 0.85
# Parts of the picture's side, and of its size.
MAXIMUM_SHIFT, MAXIMUM_STRETCH = 0.12, 0.06
# Part of the picture, and of the golden picture, that must show what the other shows: what lies outside is not
# inspected. A shift of a dozen pixels, 3 degrees and 2 % together leave a tenth of a picture of 640 x 640.
MINIMUM_COMMON = 0.9
# Pixels of the golden picture at its border that are not compared.
BORDER: Final = 1.5
INSIDE: Final = 3.0  # pixels of a picture by which its border surely reaches into it
# Shorter side at which it is looked for what the picture does not show, and blur beforehand, in pixels there.
UNSEEN_SIDE, UNSEEN_BLUR = 640, 1.5
# A tile is unseen where, across or down, the picture's edges have less than the first part of the golden picture's energy,
# or follow them by less than the second. It tells nothing below the third part of the energy that a tile has on average.
FADED, FOLLOWING, TELLING = 0.3, 0.2, 0.5


def register(picture: Picture, golden: Picture) -> Picture:
    """The golden picture warped onto `picture`, in its size; where the golden picture ends, `picture` itself.

    Raises RegistrationError when the two do not match, or have too little in common to inspect.
    """
    return lay(golden, picture, pose(picture, golden))


class Template:
    """A golden picture with what registration needs of it: its levels, each made once and kept."""

    def __init__(self, golden: Picture) -> None:
        self.shape = golden.shape[:2]
        self._grey = _grey(golden)
        self._levels: dict[float, _Level] = {}

    def level(self, scale: float) -> "_Level":
        """Reduced by `scale`."""
        known = self._levels.get(scale)
        if known is None:
            if len(self._levels) >= MOST_LEVELS:
                self._levels.clear()
            known = self._levels[scale] = _Level.of(_reduced(self._grey, scale))
        return known


@dataclass(frozen=True, slots=True)
class _Level:
    """One level of a golden picture, and its edges."""

    grey: Grey
    edges: "_Edges"

    @classmethod
    def of(cls, grey: Grey) -> "_Level":
        return cls(grey, _Edges.of(_smooth(grey)))


def pose(picture: Picture, golden: Picture | Template) -> Warp:
    """The affine warp, from picture to golden coordinates, under which the golden picture lies on `picture`.

    It is found on reduced pictures by maximising the enhanced correlation coefficient (Evangelidis and Psarakis
    2008), which light that differs in gain and offset leaves alone, starting at the shift that phase correlation finds;
    then it becomes affine on the edges of finer pictures. Raises RegistrationError when the two do not match.
    """
    for what, shape in (("picture", picture.shape), ("golden picture", golden.shape)):
        if min(shape[:2]) < SMALLEST_SIDE:
            height, width = shape[:2]
            raise RegistrationError(f"the {what} of {width} x {height} pixels is too small to be compared")
    template = golden if isinstance(golden, Template) else Template(golden)
    lies = np.array(
        [[template.shape[1] / picture.shape[1], 0, 0], [0, template.shape[0] / picture.shape[0], 0]], np.float32
    )
    longest = max(picture.shape[:2])
    finest = _grey(picture)
    levels: dict[float, Grey] = {}  # each made of the next finer one
    for side in sorted((COARSE_SIDE, *FINE), reverse=True):
        scale = min(1.0, side / longest)
        levels[scale] = finest = resized(finest, tuple(round(scale * side) for side in picture.shape[:2]))
    coarse = min(levels)
    target, source = levels[coarse], template.level(coarse).grey
    if source.std() < FEATURELESS:
        return lies
    found = _climb(_Pose.of(lies, target, source), lies, target, source)
    if found.correlation < GOOD:
        shifted = _shifted(lies, source, target)
        if _plausible(shifted, lies, target):
            other = _climb(_Pose.of(shifted, target, source), lies, target, source)
            found = max(found, other, key=lambda tried: tried.correlation)
    warp = _at_scale(found.warp, 1 / coarse)
    for side, steps in FINE.items():
        fine = min(1.0, side / longest)
        target, level = levels[fine], template.level(fine)
        found = _Pose.of(_on_edges(_at_scale(warp, fine), lies, target, level.edges, steps), target, level.grey)
        if found.correlation < MINIMUM_CORRELATION:
            raise RegistrationError(
                f"the picture does not match the golden picture: they correlate by {found.correlation:.2f}, "
                f"{MINIMUM_CORRELATION:.2f} is needed"
            )
        warp = _at_scale(found.warp, 1 / fine)
    return warp


@dataclass(frozen=True, slots=True)
class _Pose:
    """A warp and how well the pictures agree under it (correlation coefficient, -1 … 1)."""

    warp: Warp
    correlation: float

    @classmethod
    def of(cls, warp: Warp, target: Grey, moving: Grey) -> "_Pose":
        laid = _laid(moving, warp, target.shape)
        (mean, spread), (laid_mean, laid_spread) = (
            (float(told[0][0, 0]), float(told[1][0, 0])) for told in map(cv2.meanStdDev, (target, laid))
        )
        if spread * laid_spread == 0:
            return cls(warp, 0.0)
        # By the spread of their difference, which takes no picture in between.
        apart = cv2.norm(target, laid, cv2.NORM_L2SQR) / target.size - (mean - laid_mean) ** 2
        return cls(warp, (spread**2 + laid_spread**2 - apart) / (2 * spread * laid_spread))


def _climb(pose: _Pose, lies: Warp, target: Grey, moving: Grey) -> _Pose:
    """The pose after the first of MOTIONS that is plausible and helps.

    A board of parallel stripes does not say where it lies along them: a free motion runs away there, a stiffer one
    is tried instead.
    """
    for motion, iterations in MOTIONS.items():
        criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, iterations, 1e-3)
        try:
            # Blurred, so that a pose that is a few pixels off still sees the edges it must move to.
            _, found = cv2.findTransformECC(target, moving, pose.warp.copy(), motion, criteria, None, 5)  # type: ignore[call-overload]
        except cv2.error:
            continue
        warp = np.asarray(found, np.float32)
        if _plausible(warp, lies, target):
            tried = _Pose.of(warp, target, moving)
            if tried.correlation > pose.correlation:
                return tried
    return pose


def _on_edges(warp: Warp, lies: Warp, target: Grey, edges: "_Edges", steps: int) -> Warp:
    """The best warp among Gauss-Newton steps on the edges' displacement along their normals, affine.

    Each pixel of an edge of the golden picture looks where it lies in the picture, and says how far it is off; the farther,
    the less it counts (Cauchy's weights), so defects hardly do.
    """
    smooth_target = _smooth(target)
    best, least = warp, np.inf
    for _ in range(steps):
        if edges.level.size < FEWEST_EDGES:
            break
        x, y = edges.places(warp)
        seen = cv2.remap(smooth_target, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE).ravel()
        off = seen - _in_light(edges.level, seen)
        gradient = edges.gradient_in(warp)
        weights = 1 / (1 + (off / np.hypot(*gradient) / HALF_WEIGHT) ** 2)
        height, width = target.shape
        weights *= (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
        if (cost := float(1 - weights.mean())) < least - LEAST_GAIN:
            best, least = warp, cost
        else:
            break
        warp = _moved(
            warp, _step((x - width / 2) / width, (y - height / 2) / width, gradient, off, weights), target.shape
        )
        if not _plausible(warp, lies, target):
            break
    return best


def _in_light(level: Vector, seen: Vector) -> Vector:
    """Grey levels of the golden picture in the light of those that are seen, by gain and offset: light moves no edge.

    Only where edges lie on one another nearly: those that lie aside would tell a weaker light than there is.
    """
    apart, lit = level - level.mean(), seen - seen.mean()
    alike = float(apart @ lit)
    if alike < ALIGNED * float(np.linalg.norm(apart) * np.linalg.norm(lit)):
        return level
    return np.asarray(apart * (alike / max(1e-6, float(apart @ apart))) + seen.mean(), np.float32)


@dataclass(frozen=True, slots=True)
class _Edges:
    """Pixels on edges of the golden picture: where they lie (2 x n), their grey level (n) and its gradient (2 x n)."""

    place: NDArray[np.float32]
    level: Vector
    gradient: NDArray[np.float32]

    @classmethod
    def of(cls, grey: NDArray[np.float32]) -> "_Edges":
        along_x, along_y = (cv2.Sobel(grey, cv2.CV_32F, *order, scale=1 / 8) for order in ((1, 0), (0, 1)))
        strength = cv2.magnitude(along_x, along_y)
        where = np.flatnonzero(strength > max(2.0, EDGE_STRENGTH * float(strength.max())))
        where = where[:: where.size // EDGE_PIXELS + 1]
        place = np.stack([where % grey.shape[1], where // grey.shape[1]]).astype(np.float32)
        gradient = np.stack([along_x.ravel()[where], along_y.ravel()[where]])
        return cls(place, grey.ravel()[where], np.asarray(gradient, np.float32))

    def places(self, warp: Warp) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Where they lie in the picture, across and down."""
        across, down = self.place - warp[:, 2:]
        back = np.linalg.inv(warp[:, :2])
        return back[0, 0] * across + back[0, 1] * down, back[1, 0] * across + back[1, 1] * down

    def gradient_in(self, warp: Warp) -> tuple[Vector, Vector]:
        """The gradient along the picture's axes instead of the golden picture's."""
        along_x, along_y = self.gradient
        return warp[0, 0] * along_x + warp[1, 0] * along_y, warp[0, 1] * along_x + warp[1, 1] * along_y


def _step(x: Vector, y: Vector, gradient: tuple[Vector, Vector], off: Vector, weights: Vector) -> NDArray[np.float64]:
    """Affine motion in pixels, by least squares: x along x and y, x, y along x and y, y; lengths in widths of the picture.

    What no edge tells, as the place along parallel stripes, stays as it is.
    """
    gx, gy = gradient
    unknowns = np.stack([gx * x, gx * y, gx, gy * x, gy * y, gy], axis=1).astype(np.float64)
    weighted = unknowns * weights[:, None]
    strengths, directions = np.linalg.eigh(weighted.T @ unknowns)
    told = strengths > WELL_TOLD * strengths[-1]
    pulls = directions[:, told].T @ (weighted.T @ off)
    return np.asarray(directions[:, told] @ (pulls / strengths[told]), np.float64)


def _moved(warp: Warp, change: NDArray[np.float64], shape: tuple[int, ...]) -> Warp:
    height, width = shape
    moved = np.eye(3)
    moved[:2, :2] += np.array([[change[0], change[1]], [change[3], change[4]]]) / width
    centre = np.array([width, height]) / 2
    moved[:2, 2] = np.array([change[2], change[5]]) + centre - moved[:2, :2] @ centre
    return np.asarray((np.vstack([warp, [0, 0, 1]]) @ moved)[:2], np.float32)


def _plausible(warp: Warp, lies: Warp, target: Grey) -> bool:
    """Whether a board in the same holder could lie so; otherwise it is an accident of the search."""
    height, width = target.shape
    expected = np.diag(lies[:, :2])
    stretch = np.linalg.svd(warp[:, :2] / expected[:, None], compute_uv=False)
    centre = np.array([width, height]) / 2
    shift = np.abs((warp[:, :2] @ centre + warp[:, 2]) / expected - centre) / np.array([width, height])
    return bool(np.abs(stretch - 1).max() <= MAXIMUM_STRETCH and shift.max() <= MAXIMUM_SHIFT)


def _shifted(warp: Warp, moving: Grey, target: Grey) -> Warp:
    """`warp` with the shift that phase correlation sees between the reduced pictures."""
    window = cv2.createHanningWindow(target.shape[::-1], cv2.CV_32F)
    # Copies: phaseCorrelate multiplies the window into its arguments in place.
    laid = _laid(moving, warp, target.shape).astype(np.float32)
    (shift_x, shift_y), _ = cv2.phaseCorrelate(target.astype(np.float32), laid, window)
    moved = warp.copy()
    moved[:, 2] += warp[:, :2] @ np.array([shift_x, shift_y], np.float32)
    return moved


def _laid(moving: Grey, warp: Warp, shape: tuple[int, ...]) -> Grey:
    flags = cv2.WARP_INVERSE_MAP | cv2.INTER_LINEAR
    laid = cv2.warpAffine(moving, warp, (shape[1], shape[0]), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(laid, np.uint8)


def lay(golden: Picture, picture: Picture, warp: Warp) -> Picture:
    """The golden picture in the picture's frame; the picture's own pixels, which differ in nothing, where it ends.

    Raises RegistrationError when that is too much of it.
    """
    height, width = picture.shape[:2]
    flags = cv2.WARP_INVERSE_MAP | cv2.INTER_LINEAR
    laid = cv2.warpAffine(golden, warp, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    outside = _outside(golden.shape, warp, (height, width))
    common = 1 - cv2.countNonZero(outside) / outside.size
    # The same area in pixels of the golden picture: the determinant is how many there are for one of the picture.
    seen = common * abs(float(np.linalg.det(warp[:, :2]))) * outside.size / (golden.shape[0] * golden.shape[1])
    if min(common, seen) < MINIMUM_COMMON:
        raise RegistrationError(
            f"the picture and the golden picture show only {min(common, seen):.0%} of the board in common, "
            f"{MINIMUM_COMMON:.0%} is needed"
        )
    return np.asarray(cv2.copyTo(picture, outside, laid), np.uint8)


def _outside(golden: tuple[int, ...], warp: Warp, shape: tuple[int, int]) -> NDArray[np.uint8]:
    """1 where a picture of this shape shows what lies outside of the golden one, and along its border."""
    height, width = golden[:2]
    # Interpolation mixes the last pixels with what lies beyond.
    corners = np.array([(x, y) for x, y in ((BORDER, BORDER), (width - 1 - BORDER, BORDER))], np.float64)
    corners = np.vstack([corners, [(width - 1 - BORDER, height - 1 - BORDER), (BORDER, height - 1 - BORDER)]])
    there = (corners - warp[:, 2]) @ np.linalg.inv(warp[:, :2]).T
    outside = np.ones(shape, np.uint8)
    bits = 4  # of a pixel's fraction
    cv2.fillConvexPoly(outside, (there * 2**bits).round().astype(np.int32), (0,), shift=bits)
    return outside


def lay_variation(variation: NDArray[np.uint8], shape: tuple[int, ...], warp: Warp) -> NDArray[np.uint8]:
    """What goes with the golden picture pixel by pixel, in the picture's frame; 0 where the golden picture ends."""
    flags = cv2.WARP_INVERSE_MAP | cv2.INTER_LINEAR
    return np.asarray(cv2.warpAffine(variation, warp, (shape[1], shape[0]), flags=flags), np.uint8)


def lies(shape: tuple[int, ...], warp: Warp) -> tuple[float, float, float, float, float, float]:
    """Where the golden picture of this shape lies: from parts of it to pixels of the picture, as `ports.Reference` has it.

    `warp` leads from the middle of a pixel to the middle of another; parts and edges are counted from the corner.
    """
    back = np.linalg.inv(warp[:, :2].astype(np.float64))
    start = back @ (np.array([-0.5, -0.5]) - warp[:, 2]) + 0.5
    (a, b), (c, d) = back * (shape[1], shape[0])
    return float(a), float(b), float(start[0]), float(c), float(d), float(start[1])


def beyond(lies: tuple[float, ...], shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """255 where a picture of this shape shows what lies outside of the golden one, and along its border.

    `lies` as the function `lies` tells it.
    """
    along = np.array(lies, np.float64).reshape(2, 3)
    near = INSIDE / np.hypot(*along[:, :2])  # parts of its width and of its height
    corners = np.array([(x, y) for x, y in (near, (1 - near[0], near[1]), 1 - near, (near[0], 1 - near[1]))])
    mask = np.full(shape[:2], 255, np.uint8)
    bits = 4  # of a pixel's fraction
    there = corners @ along[:, :2].T + along[:, 2] - 0.5
    cv2.fillConvexPoly(mask, (there * 2**bits).round().astype(np.int32), (0,), shift=bits)
    return mask


def unseen(picture: Picture | Shown, laid: Picture | Shown) -> tuple[int, ...]:
    """The tiles of `linegate.sight` in which the picture shows next to nothing of what the golden one laid over it does.

    What is covered, hazy or blurred has no edges there, or soft ones; what is coarse, shaken or a negative has others.
    """
    scale = min(1.0, UNSEEN_SIDE / min(picture.shape[:2]))
    have, want = (
        np.asarray(cv2.GaussianBlur(_fewer(Shown.of(shown), scale), (0, 0), UNSEEN_BLUR), np.uint8)
        for shown in (picture, laid)
    )
    energies = [
        [
            [_tiles(product) for product in (good * good, seen * seen, seen * good)]
            for seen, good in zip(of_have, of_want, strict=True)
        ]
        for _, (of_have, of_want) in slopes((have, want), have.shape[0] // TILES)
    ]
    wanted, kept, followed = np.moveaxis(np.asarray(energies[:TILES]), (2, 1, 0), (0, 1, 2))  # each 2 x TILES x TILES
    blind = (wanted > TELLING * wanted.mean()) & ((kept < FADED * wanted) | (followed < FOLLOWING * wanted))
    return tuple(int(tile) for tile in np.flatnonzero(blind.any(axis=0)))


def _tiles(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """The means of TILES parts of a band that are as wide as each other, the last columns left out."""
    width = max(TILES, values.shape[1] // TILES * TILES)
    return np.asarray(cv2.resize(values[:, :width], (TILES, 1), interpolation=cv2.INTER_AREA)[0], np.float32)


def _fewer(picture: Shown, scale: float) -> Grey:
    """The lightness of a picture, reduced by `scale`; first in colour by a whole number, which is quicker."""
    return resized(picture.light(int(1 / scale)), tuple(round(scale * side) for side in picture.shape[:2]))


def _grey(picture: Picture) -> NDArray[np.uint8]:
    return np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.uint8)


def _smooth(grey: Grey) -> NDArray[np.float32]:
    return np.asarray(cv2.GaussianBlur(grey.astype(np.float32), (0, 0), 1.5), np.float32)


def _reduced(picture: Grey, scale: float) -> Grey:
    return resized(picture, tuple(round(scale * side) for side in picture.shape[:2]))


def _at_scale(warp: Warp, scale: float) -> Warp:
    """The same warp between pictures reduced by `scale`."""
    scaled = warp.copy()
    scaled[:, 2] *= scale
    return scaled

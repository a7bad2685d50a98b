"""Laying the golden picture over a picture of another board of the same design."""

from collections.abc import Mapping
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from linegate.errors import RegistrationError

Picture = NDArray[np.uint8]  # height x width x 3, RGB
Grey = NDArray[np.float32]  # height x width
Warp = NDArray[np.float32]  # 2 x 3, from picture to golden coordinates

# Sides to which the longer side is reduced, coarse to fine: each finds what the next one starts from. The finest leaves
# about a tenth of its pixels, well inside the tolerance that ragged edges need anyway.
COARSE_SIDE, FINE_SIDE = 160, 320
# Which motions are tried on each, in this order, with how many iterations.
COARSE = {cv2.MOTION_EUCLIDEAN: 50, cv2.MOTION_TRANSLATION: 30}
FINE = {cv2.MOTION_AFFINE: 12, cv2.MOTION_EUCLIDEAN: 12, cv2.MOTION_TRANSLATION: 12}
# Grey levels of deviation below which a golden picture is taken as it lies: an empty stretch of a scan, say.
FEATURELESS = 2.0
# Correlation below which nothing can be said about a board. Boards of one design reach 0.9 and more, different designs
# stay below 0.5.
MINIMUM_CORRELATION = 0.70
# From here on a start needs no alternative.
GOOD = 0.85
# Parts of the picture's side, and of its size.
MAXIMUM_SHIFT, MAXIMUM_STRETCH = 0.12, 0.06
# Part of the picture, and of the golden picture, that must show what the other shows: what lies outside is not
# inspected. A shift of a dozen pixels, 3 degrees and 2 % together leave a tenth of a picture of 640 x 640.
MINIMUM_COMMON = 0.85


def register(picture: Picture, golden: Picture) -> Picture:
    """The golden picture warped onto `picture`, in its size; where the golden picture ends, `picture` itself.

    Affine, by maximising the enhanced correlation coefficient (Evangelidis and Psarakis 2008), which light that differs
    in gain and offset leaves alone; from a reduced picture to a finer one, starting at the shift that phase
    correlation finds. Raises RegistrationError when the two do not match, or have too little in common to inspect.
    """
    moving, fixed = _grey(golden), _grey(picture)
    lies = np.array(
        [[golden.shape[1] / picture.shape[1], 0, 0], [0, golden.shape[0] / picture.shape[0], 0]], np.float32
    )
    longest = max(picture.shape[:2])
    coarse, fine = min(1.0, COARSE_SIDE / longest), min(1.0, FINE_SIDE / longest)
    target, source = _reduced(fixed, coarse), _reduced(moving, coarse)
    if source.std() < FEATURELESS:
        return _warped(golden, picture, lies)
    pose = _climb(_Pose.of(lies, target, source), lies, target, source, COARSE)
    if pose.correlation < GOOD:
        shifted = _shifted(lies, source, target)
        if _plausible(shifted, lies, target):
            other = _climb(_Pose.of(shifted, target, source), lies, target, source, COARSE)
            pose = max(pose, other, key=lambda tried: tried.correlation)
    target, source = _reduced(fixed, fine), _reduced(moving, fine)
    pose = _climb(_Pose.of(_at_scale(pose.warp, fine / coarse), target, source), lies, target, source, FINE)
    if pose.correlation < MINIMUM_CORRELATION:
        raise RegistrationError(
            f"the picture does not match the golden picture: they correlate by {pose.correlation:.2f}, "
            f"{MINIMUM_CORRELATION:.2f} is needed"
        )
    return _warped(golden, picture, _at_scale(pose.warp, 1 / fine))


@dataclass(frozen=True, slots=True)
class _Pose:
    """A warp and how well the pictures agree under it (correlation coefficient, -1 … 1)."""

    warp: Warp
    correlation: float

    @classmethod
    def of(cls, warp: Warp, target: Grey, moving: Grey) -> "_Pose":
        laid = _laid(moving, warp, target.shape)
        deviations = (target - target.mean(), laid - laid.mean())
        norm = float(np.linalg.norm(deviations[0]) * np.linalg.norm(deviations[1]))
        return cls(warp, float((deviations[0] * deviations[1]).sum()) / norm if norm > 0 else 0.0)


def _climb(pose: _Pose, lies: Warp, target: Grey, moving: Grey, motions: Mapping[int, int]) -> _Pose:
    """The pose after the first of `motions` (with its number of iterations) that is plausible and helps.

    A board of parallel stripes does not say where it lies along them: a free motion runs away there, a stiffer one
    is tried instead.
    """
    for motion, iterations in motions.items():
        criteria = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, iterations, 1e-4)
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
    # A copy: phaseCorrelate multiplies the window into its arguments in place.
    (shift_x, shift_y), _ = cv2.phaseCorrelate(target.copy(), _laid(moving, warp, target.shape), window)
    moved = warp.copy()
    moved[:, 2] += warp[:, :2] @ np.array([shift_x, shift_y], np.float32)
    return moved


def _laid(moving: Grey, warp: Warp, shape: tuple[int, ...]) -> Grey:
    flags = cv2.WARP_INVERSE_MAP | cv2.INTER_LINEAR
    laid = cv2.warpAffine(moving, warp, (shape[1], shape[0]), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(laid, np.float32)


def _warped(golden: Picture, picture: Picture, warp: Warp) -> Picture:
    """The golden picture in the picture's frame; the picture's own pixels, which differ in nothing, where it ends.

    Raises RegistrationError when that is too much of it.
    """
    height, width = picture.shape[:2]
    flags = cv2.WARP_INVERSE_MAP | cv2.INTER_LINEAR
    laid = cv2.warpAffine(golden, warp, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    inside = cv2.warpAffine(np.full(golden.shape[:2], 255, np.uint8), warp, (width, height), flags=flags)
    # Interpolation mixes the last pixels with what lies beyond.
    outside = cv2.dilate(np.asarray(inside < 255, np.uint8), np.ones((3, 3), np.uint8)) > 0
    common = 1 - float(outside.mean())
    # The same area in pixels of the golden picture: the determinant is how many there are for one of the picture.
    seen = common * abs(float(np.linalg.det(warp[:, :2]))) * outside.size / (golden.shape[0] * golden.shape[1])
    if min(common, seen) < MINIMUM_COMMON:
        raise RegistrationError(
            f"the picture and the golden picture show only {min(common, seen):.0%} of the board in common, "
            f"{MINIMUM_COMMON:.0%} is needed"
        )
    laid[outside] = picture[outside]
    return np.asarray(laid, np.uint8)


def _grey(picture: Picture) -> Grey:
    return cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)


def _reduced(picture: Grey, scale: float) -> Grey:
    if scale == 1.0:
        return picture
    return np.asarray(cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.float32)


def _at_scale(warp: Warp, scale: float) -> Warp:
    """The same warp between pictures reduced by `scale`."""
    scaled = warp.copy()
    scaled[:, 2] *= scale
    return scaled

"""The port Verifier by comparison with a golden board."""

import io
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from linegate.adapters.golden.adapters import MODEL, VERSION
from linegate.adapters.golden.materials import bilevel, lightness
from linegate.adapters.golden.topology import disc
from linegate.errors import PermanentError
from linegate.inspection import Detection, Result
from linegate.ports import Judgement

# Grey levels, as parts of the reference's contrast, by which a pixel must leave what its neighbourhood allows.
DIFFERENT: Final = 0.25
# Connected pixels of such difference: from the first on it may be a defect, from the second on it is one.
DOUBTFUL_AREA, CERTAIN_AREA = 3, 6
# A defect stands out from what ragged edges do all over the crop: it is this many times as large as the third largest
# difference (two may be two defects), or larger in pixels than the first of these, which leaves a doubt, or than the second.
STANDS_OUT, RAGGED_AREA, DEFECT_AREA = 3, 20, 30
ALIGNMENT: Final = 3
MINIMUM_SIDE: Final = 16
_WORDS: Final = {
    "open_circuit": "the copper is interrupted over about {size} px",
    "short": "copper joins conductors that are separate on the golden board, over about {size} px",
    "mouse_bite": "about {size} px of the conductor's edge are missing",
    "spur": "copper of about {size} px stands out from the conductor",
    "spurious_copper": "copper of about {size} px stands where the golden board has none",
    "missing_hole": "the hole of the golden board is filled over about {size} px",
    "pin_hole": "the copper has a void of about {size} px",
}


class GoldenVerifier:
    """Looks at one crop beside the golden board's: are its grey levels explained by a slightly shifted, ragged edge?

    Works on grey levels and realigns the crop by itself, where the detector compared thresholded copper: what one of
    them takes for a defect by accident of threshold or alignment, the other does not.
    """

    def verify(self, crop: bytes, reference: bytes | None, detection: Detection) -> Judgement:
        if reference is None:
            return Judgement(Result.UNSURE, "there is no reference crop to compare with", MODEL, VERSION)
        seen, golden = _grey(crop), _grey(reference)
        if seen.shape != golden.shape or min(seen.shape) < MINIMUM_SIDE:
            return Judgement(Result.UNSURE, "crop and reference crop can't be compared", MODEL, VERSION)
        result, reason = _judged(seen, golden, detection.class_name)
        return Judgement(result, reason, MODEL, VERSION)


def _judged(seen: NDArray[np.float32], golden: NDArray[np.float32], class_name: str) -> tuple[Result, str]:
    aligned, model, contrast = _aligned(seen, golden)
    # An edge may lie a little to either side: between the darkest and the brightest nearby, all is explained.
    beyond = _differences(aligned, model, contrast, disc(2 if bilevel(golden) else 1))
    if beyond.largest < DOUBTFUL_AREA:
        reason = "the crop differs from the golden board by no more than a ragged edge"
        return Result.PASS, reason
    all_of_it = _differences(aligned, model, contrast, disc(1))
    alike = all_of_it.largest < STANDS_OUT * all_of_it.third
    if alike and all_of_it.largest < RAGGED_AREA:
        reason = "the crop differs from the golden board there by no more than its other edges do"
        return Result.PASS, reason
    area, size = beyond.largest, beyond.size
    if area < CERTAIN_AREA:
        return Result.UNSURE, f"the crop differs from the golden board in only {area} px"
    if alike and all_of_it.largest < DEFECT_AREA:
        reason = f"the crop differs over about {size} px, hardly more than its other edges do"
        return Result.UNSURE, reason
    said = _WORDS.get(class_name, "the crop differs from the golden board over about {size} px")
    return Result.FAIL, said.format(size=size)


@dataclass(frozen=True, slots=True)
class _Differences:
    """In pixels: the areas of the largest connected difference and of the third largest, and the largest one's longer side."""

    largest: int
    third: int
    size: int


def _aligned(
    seen: NDArray[np.float32], golden: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32], float]:
    """The crop where it fits the golden one best and in its light, the golden one, and the contrast of the two."""
    inner = golden[ALIGNMENT:-ALIGNMENT, ALIGNMENT:-ALIGNMENT]
    inner_contrast = float(np.percentile(inner, 95) - np.percentile(inner, 5))
    if inner_contrast > 1:
        agreement = cv2.matchTemplate(seen, inner, cv2.TM_CCOEFF_NORMED)
        left, top = cv2.minMaxLoc(agreement)[3]
    else:
        left = top = ALIGNMENT
    height, width = inner.shape
    aligned = seen[top : top + height, left : left + width]
    contrast = max(inner_contrast, float(np.percentile(aligned, 95) - np.percentile(aligned, 5)), 40.0)
    # Gain and offset by the medians of dark and bright, which a small defect does not move.
    low, high = np.percentile(inner, (10, 90)), np.percentile(aligned, (10, 90))
    if high[1] - high[0] > 20 and low[1] - low[0] > 20:
        aligned = (aligned - high[0]) * ((low[1] - low[0]) / (high[1] - high[0])) + low[0]
    smooth = np.asarray(cv2.GaussianBlur(np.asarray(aligned, np.float32), (3, 3), 0), np.float32)
    model = np.asarray(cv2.GaussianBlur(inner, (3, 3), 0), np.float32)
    return smooth, model, contrast


def _differences(
    seen: NDArray[np.float32], golden: NDArray[np.float32], contrast: float, kernel: NDArray[np.uint8]
) -> _Differences:
    """What differs by more than an edge that lies within reach of `kernel` explains."""
    excess = np.maximum(_unexplained(seen, golden, kernel), _unexplained(golden, seen, kernel))
    different = np.asarray(excess > DIFFERENT * contrast, np.uint8)
    _, _, statistics, _ = cv2.connectedComponentsWithStats(different, connectivity=8)
    areas = np.append(statistics[1:, cv2.CC_STAT_AREA], (0, 0, 0))
    third, _, largest = np.sort(areas)[-3:]
    if not largest:
        return _Differences(0, 0, 0)
    part = statistics[1 + int(areas.argmax())]
    return _Differences(int(largest), int(third), int(max(part[cv2.CC_STAT_WIDTH], part[cv2.CC_STAT_HEIGHT])))


def _unexplained(grey: NDArray[np.float32], by: NDArray[np.float32], kernel: NDArray[np.uint8]) -> NDArray[np.float32]:
    """By how much each pixel is brighter or darker than all that `by` has within reach of `kernel`.

    Asked both ways round: a track thinner than the kernel is explained away by its surroundings in the one direction,
    and its gap shows in the other.
    """
    return np.asarray(np.maximum(grey - cv2.dilate(by, kernel), cv2.erode(by, kernel) - grey), np.float32)


def _grey(data: bytes) -> NDArray[np.float32]:
    """The brightest of the three colours, as the detector sees them, in 0 … 255."""
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG",)) as picture:
            return lightness(np.asarray(picture.convert("RGB"))).astype(np.float32)
    except OSError as error:
        raise PermanentError(f"the crop can't be decoded: {error}") from error

"""The port Verifier by comparison with a golden board."""

import io
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from linegate.adapters.golden.adapters import MODEL
from linegate.adapters.golden.appearance import MOST_LEFT, blurred, blurred_away, luminance_and_colour, smooth
from linegate.adapters.golden.classes import LOOKS
from linegate.adapters.golden.materials import Mask, Picture, bilevel, lightness, two_levels
from linegate.adapters.golden.proof import VERSION
from linegate.adapters.golden.robust import fitted
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
# Pixels by which the crop may lie off the reference, each way; and by how much it must correlate better there than where it
# was laid, or it is noise that does.
ALIGNMENT, BETTER = 3, 0.02
# Percentiles: the outer two span the contrast, the inner two the light.
LEVELS: Final = (5, 10, 90, 95)
MINIMUM_SIDE: Final = 16
# Looks: grey levels that count as nothing, times the median difference, and part of the contrast next to a pixel.
LEAST_LEVELS, TIMES_MEDIAN, EDGE_PART = 6.0, 4.0, 0.3
DARK: Final = 8.0  # grey levels added before a ratio is taken
LIT: Final = 2  # every so many pixels across and down tell the light
_WORDS: Final = {
    "open_circuit": "the copper is interrupted over about {size} px",
    "short": "copper joins conductors that are separate on the golden board, over about {size} px",
    "mouse_bite": "about {size} px of the conductor's edge are missing",
    "spur": "copper of about {size} px stands out from the conductor",
    "spurious_copper": "copper of about {size} px stands where the golden board has none",
    "missing_hole": "the hole of the golden board is filled over about {size} px",
    "pin_hole": "the copper has a void of about {size} px",
    "foreign": "something of about {size} px is there that the golden board does not have",
    "missing": "something of about {size} px that the golden board has is gone",
    "changed": "about {size} px look otherwise than on the golden board",
}


class GoldenVerifier:
    """Looks at one crop beside the golden board's: are its grey levels explained by a slightly shifted, ragged edge?

    Works on grey levels and realigns the crop by itself, where the detector compared thresholded copper: what one of
    them takes for a defect by accident of threshold or alignment, the other does not. Grey levels are measured by the
    contrast of the whole crop, so what is faint beside something bright is explained away: on photographs nothing is
    cleared that looks otherwise, in luminance or colour, than the golden board does.
    """

    def verify(self, crop: bytes, reference: bytes | None, detection: Detection) -> Judgement:
        if reference is None:
            return Judgement(Result.UNSURE, "there is no reference crop to compare with", MODEL, VERSION)
        seen, golden = _decoded(crop), _decoded(reference)
        if seen.shape != golden.shape or min(seen.shape[:2]) < MINIMUM_SIDE:
            return Judgement(Result.UNSURE, "crop and reference crop can't be compared", MODEL, VERSION)
        result, reason = _judged(seen, golden, detection.class_name)
        return Judgement(result, reason, MODEL, VERSION)


def _judged(seen: Picture, golden: Picture, class_name: str) -> tuple[Result, str]:
    scan = two_levels(golden)
    if class_name in LOOKS and not scan:
        return _judged_by_looks(seen, golden, class_name)
    light, wanted = lightness(seen).astype(np.float32), lightness(golden).astype(np.float32)
    result, reason = _judged_by_light(light, wanted, class_name)
    if result is not Result.PASS or scan:
        return result, reason
    looks, why = _judged_by_looks(seen, golden, class_name)
    return (result, reason) if looks is not Result.FAIL else (Result.UNSURE, f"no edge is out of place, but {why}")


def _judged_by_looks(seen: Picture, golden: Picture, class_name: str) -> tuple[Result, str]:
    """By luminance and colour, whatever the materials: beyond noise and what edges and focus explain."""
    top, left = _lies(lightness(seen).astype(np.float32), lightness(golden).astype(np.float32))
    want = golden[ALIGNMENT:-ALIGNMENT, ALIGNMENT:-ALIGNMENT]
    height, width = want.shape[:2]
    have, want = smooth(seen[top : top + height, left : left + width]), smooth(want)
    want = _in_the_light_of(have, want)
    have, want = luminance_and_colour(have), luminance_and_colour(want)
    # What light left of a difference all over the crop, of clipped channels or dark ones, is of another tint alike.
    left = np.clip(np.median(have.astype(np.int16) - want, axis=(0, 1)), -MOST_LEFT, MOST_LEFT)
    want = np.asarray(np.clip(want + left, 0, 255), np.uint8)
    # What is faint stands out of noise and ragged edges where both are blurred.
    looks = (_beyond(have, want), _beyond(blurred(have), blurred(want)))
    beyond = max(looks, key=lambda differences: differences.largest)
    if beyond.largest < DOUBTFUL_AREA:
        return Result.PASS, "the crop looks as the golden board does"
    said = _WORDS[class_name if class_name in LOOKS else "changed"].format(size=beyond.size)
    return (Result.FAIL if beyond.largest >= CERTAIN_AREA else Result.UNSURE), said


def _in_the_light_of(have: Picture, want: Picture) -> Picture:
    """Most of the crop is as it should be; light changes across it, though by no more than a slope."""
    every = np.s_[::LIT, ::LIT]
    rows, columns = np.indices(want.shape[:2])
    places = np.stack([np.ones(rows.shape), rows / rows.size**0.5, columns / rows.size**0.5], axis=-1)
    known = places[every].reshape(-1, 3)
    ratio = (have[every] + DARK) / (want[every] + DARK)
    gain = np.stack([places @ fitted(known, ratio[..., channel].ravel()) for channel in range(3)], axis=-1)
    return np.asarray(np.clip(want * gain, 0, 255).round(), np.uint8)


def _beyond(have: Picture, want: Picture) -> "_Differences":
    """What looks otherwise by more than noise, edges and another focus explain."""
    apart = lightness(np.asarray(cv2.absdiff(have, want), np.uint8))
    contrast = lightness(np.asarray(cv2.subtract(cv2.dilate(want, disc(1)), cv2.erode(want, disc(1))), np.uint8))
    noise = max(LEAST_LEVELS, TIMES_MEDIAN * float(np.median(apart)))
    explained = np.maximum(EDGE_PART * contrast, blurred_away(want))
    return _connected(np.asarray(apart > np.maximum(noise, explained), np.uint8))


def _judged_by_light(seen: NDArray[np.float32], golden: NDArray[np.float32], class_name: str) -> tuple[Result, str]:
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
    wanted = np.percentile(inner, LEVELS)
    top, left = _lies(seen, golden)
    height, width = inner.shape
    aligned = seen[top : top + height, left : left + width]
    given = np.percentile(aligned, LEVELS)
    contrast = max(float(wanted[3] - wanted[0]), float(given[3] - given[0]), 40.0)
    # Gain and offset by the medians of dark and bright, which a small defect does not move.
    if given[2] - given[1] > 20 and wanted[2] - wanted[1] > 20:
        aligned = (aligned - given[1]) * ((wanted[2] - wanted[1]) / (given[2] - given[1])) + wanted[1]
    smooth = np.asarray(cv2.GaussianBlur(np.asarray(aligned, np.float32), (3, 3), 0), np.float32)
    model = np.asarray(cv2.GaussianBlur(inner, (3, 3), 0), np.float32)
    return smooth, model, contrast


def _lies(seen: NDArray[np.float32], golden: NDArray[np.float32]) -> tuple[int, int]:
    """Top and left of the part of `seen` that shows what `golden` does without its margin."""
    inner = golden[ALIGNMENT:-ALIGNMENT, ALIGNMENT:-ALIGNMENT]
    low, *_, high = np.percentile(inner, LEVELS)
    return _place(seen, inner) if high - low > 1 else (ALIGNMENT, ALIGNMENT)


def _place(seen: NDArray[np.float32], inner: NDArray[np.float32]) -> tuple[int, int]:
    """Top and left of the part of `seen` that correlates best with `inner`.

    There are few places to try, so their sums are taken one by one: through Fourier transforms, as OpenCV takes them for a
    template of this size, they cost five times as much.
    """
    height, width = inner.shape
    places = np.lib.stride_tricks.sliding_window_view(seen, inner.shape)
    products = np.einsum("ijkl,kl->ij", places, inner - inner.mean())
    sums, squares = (
        cv2.boxFilter(values, cv2.CV_64F, (width, height), normalize=False) for values in (seen, seen * seen)
    )
    inside = np.s_[height // 2 : height // 2 + places.shape[0], width // 2 : width // 2 + places.shape[1]]
    deviations = np.maximum(squares[inside] - sums[inside] ** 2 / inner.size, 1e-6)
    correlations = products / np.sqrt(deviations) / max(1e-6, float(np.linalg.norm(inner - inner.mean())))
    top, left = np.unravel_index(np.argmax(correlations), correlations.shape)
    if correlations[top, left] < correlations[ALIGNMENT, ALIGNMENT] + BETTER:
        return ALIGNMENT, ALIGNMENT
    return int(top), int(left)


def _differences(
    seen: NDArray[np.float32], golden: NDArray[np.float32], contrast: float, kernel: NDArray[np.uint8]
) -> _Differences:
    """What differs by more than an edge that lies within reach of `kernel` explains."""
    excess = np.maximum(_unexplained(seen, golden, kernel), _unexplained(golden, seen, kernel))
    return _connected(np.asarray(excess > DIFFERENT * contrast, np.uint8))


def _connected(different: Mask) -> _Differences:
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


def _decoded(data: bytes) -> Picture:
    try:
        with Image.open(io.BytesIO(data), formats=("JPEG",)) as picture:
            return np.asarray(picture.convert("RGB"))
    except OSError as error:
        raise PermanentError(f"the crop can't be decoded: {error}") from error

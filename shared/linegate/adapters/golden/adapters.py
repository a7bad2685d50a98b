"""The ports Registrar, Detector and Verifier by comparison with a golden board."""

import hashlib
import io
from collections import OrderedDict
from collections.abc import Callable
from threading import Lock
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from linegate.adapters.golden.comparison import compare
from linegate.adapters.golden.materials import Copper, bilevel, lightness
from linegate.adapters.golden.picture import Golden, decode
from linegate.adapters.golden.registration import lay, lay_variation, pose
from linegate.adapters.golden.topology import disc
from linegate.errors import ImageRejectedError, PermanentError, RegistrationError, TransientError
from linegate.inspection import Detection, Result
from linegate.ports import Found, Judgement, Reference

MODEL: Final = "golden-comparison"
VERSION: Final = "1"
# Boards are inspected side by side; threads within one board would only get in the others' way.
cv2.setNumThreads(1)
KEPT: Final = 4  # decoded golden pictures; a line has one or two, a large one takes a hundred megabytes


class GoldenRegistrar:
    """Lays golden pictures over others. `load` returns the file of a golden picture by its name."""

    def __init__(self, load: Callable[[str], bytes]) -> None:
        self._load = load
        self._decoded: OrderedDict[str, Golden] = OrderedDict()
        self._lock = Lock()

    def register(self, picture: Image.Image, golden: str) -> Reference:
        known, seen = self._golden(golden), np.asarray(picture)
        warp = pose(seen, known.picture)
        laid = Image.fromarray(lay(known.picture, seen, warp))
        if known.variation is None:
            return Reference(laid)
        return Reference(laid, Image.fromarray(lay_variation(known.variation, seen.shape, warp)))

    def _golden(self, name: str) -> Golden:
        """The decoded golden picture; known by its content, so that a new file under the name counts at once."""
        data = self._load(name)
        key = hashlib.sha256(data).hexdigest()
        with self._lock:
            if key in self._decoded:
                self._decoded.move_to_end(key)
                return self._decoded[key]
        try:
            decoded = decode(data)
        except ImageRejectedError as error:  # a person can put a sound one there
            raise TransientError(f"the golden picture {name!r} can't be used: {error}") from error
        with self._lock:
            self._decoded[key] = decoded
            while len(self._decoded) > KEPT:
                self._decoded.popitem(last=False)
        return decoded


class GoldenDetector:
    """Finds where a board differs from the golden one laid over it."""

    def __init__(self, copper: Copper = "auto") -> None:
        self._copper: Copper = copper

    def detect(self, picture: Image.Image, file: bytes, reference: Callable[[], Reference | None]) -> Found:
        try:
            golden = reference()
            if golden is None:
                raise PermanentError("comparison needs a golden picture; name one in the recipe (recipes.NAME.golden)")
            variation = None if golden.variation is None else np.asarray(golden.variation)
            found = compare(np.asarray(picture), np.asarray(golden.picture), self._copper, variation)
        except RegistrationError as error:
            return Found((), MODEL, VERSION, doubts=(f"Not compared: {error}.",))
        return Found(tuple(found), MODEL, VERSION)


# Grey levels, as parts of the reference's contrast, by which a pixel must leave what its neighbourhood allows.
DIFFERENT: Final = 0.25
# Connected pixels of such difference: from the first on it may be a defect, from the second on it is one.
DOUBTFUL_AREA, CERTAIN_AREA = 3, 6
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
        area, size = _difference(seen, golden)
        if area < DOUBTFUL_AREA:
            reason = "the crop differs from the golden board by no more than a ragged edge"
            return Judgement(Result.PASS, reason, MODEL, VERSION)
        if area < CERTAIN_AREA:
            return Judgement(Result.UNSURE, f"the crop differs from the golden board in only {area} px", MODEL, VERSION)
        said = _WORDS.get(detection.class_name, "the crop differs from the golden board over about {size} px")
        return Judgement(Result.FAIL, said.format(size=size), MODEL, VERSION)


def _difference(seen: NDArray[np.float32], golden: NDArray[np.float32]) -> tuple[int, int]:
    """Area and longer side, in pixels, of the largest connected difference after realignment."""
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
    # An edge may lie a little to either side: between the darkest and the brightest nearby, all is explained.
    kernel = disc(2 if bilevel(golden) else 1)
    excess = np.maximum(_unexplained(smooth, model, kernel), _unexplained(model, smooth, kernel))
    different = np.asarray(excess > DIFFERENT * contrast, np.uint8)
    _, _, statistics, _ = cv2.connectedComponentsWithStats(different, connectivity=8)
    if len(statistics) < 2:
        return 0, 0
    largest = max(statistics[1:], key=lambda part: int(part[cv2.CC_STAT_AREA]))
    return int(largest[cv2.CC_STAT_AREA]), int(max(largest[cv2.CC_STAT_WIDTH], largest[cv2.CC_STAT_HEIGHT]))


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

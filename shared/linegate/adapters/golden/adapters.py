"""The ports Registrar and Detector by comparison with a golden board."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import Final

import cv2
import numpy as np
from PIL import Image

from linegate.adapters.golden.comparison import examine
from linegate.adapters.golden.coverage import Ground, coverage, ground_of, unmatched
from linegate.adapters.golden.materials import Copper, Grey, Shown
from linegate.adapters.golden.picture import Golden, decode
from linegate.adapters.golden.proof import VERSION, Demand, shortfalls, text_of
from linegate.adapters.golden.registration import Template, beyond, lay, lay_variation, lies, pose, unseen
from linegate.errors import ImageRejectedError, PermanentError, RegistrationError, TransientError
from linegate.ports import Found, Reference
from linegate.sight import Sight, measure

MODEL: Final = "golden-comparison"
# Boards are inspected side by side; threads within one board would only get in the others' way.
cv2.setNumThreads(1)
KEPT: Final = 4  # decoded golden pictures; a line has one or two, a large one takes a hundred megabytes


@dataclass(frozen=True, slots=True, eq=False)
class _Known:
    """A golden picture, and what is reckoned of it once."""

    file: bytes
    golden: Golden
    sight: Sight
    template: Template
    ground: Ground
    proof: str


@dataclass(frozen=True, slots=True, eq=False)
class _Laid(Reference):
    """What the two pictures were when one was laid over the other: the detector has no need to read them out anew.

    Its pictures are made of that when somebody asks for them: most products have nothing that is cut out.
    """

    picture: Image.Image = field(init=False)
    variation: Image.Image | None = field(init=False)
    broad: Image.Image | None = field(init=False)
    over: Image.Image = field(kw_only=True)
    arrays: "_Arrays" = field(kw_only=True)

    def __getattr__(self, name: str) -> Image.Image | None:
        """What is missing so far; asked for by Python, for a slot that holds nothing."""
        if name not in ("picture", "variation", "broad"):
            raise AttributeError(name)
        layer = self.arrays.want.pixels if name == "picture" else getattr(self.arrays, name)
        picture = None if layer is None else Image.fromarray(layer)
        object.__setattr__(self, name, picture)
        return picture


@dataclass(frozen=True, slots=True, eq=False)
class _Arrays:
    have: Shown
    want: Shown
    variation: Grey | None
    outside: Grey | None
    broad: Grey | None

    @classmethod
    def of(cls, picture: Image.Image, golden: Reference) -> "_Arrays":
        if isinstance(golden, _Laid) and golden.over is picture:
            return golden.arrays
        variation, outside, broad = (
            None if layer is None else np.asarray(layer) for layer in (golden.variation, golden.outside, golden.broad)
        )
        return cls(Shown(np.asarray(picture)), Shown(np.asarray(golden.picture)), variation, outside, broad)


class GoldenRegistrar:
    """Lays golden pictures over others. `load` returns the file of a golden picture by its name."""

    def __init__(self, load: Callable[[str], bytes]) -> None:
        self._load = load
        self._known: list[_Known] = []  # what was asked for last stands last
        self._lock = Lock()

    def sight(self, golden: str) -> Sight:
        return self._golden(golden).sight

    def register(self, picture: Image.Image, golden: str) -> Reference:
        known, seen = self._golden(golden), np.asarray(picture)
        good = known.golden
        try:
            warp = pose(seen, known.template)
            have, want = Shown(seen), Shown(lay(good.picture, seen, warp))
            variation, broad = (
                None if kept is None else lay_variation(kept, seen.shape, warp) for kept in (good.variation, good.broad)
            )
            outside, cut_off = unmatched(have, known.ground, warp)
            return _Laid(
                unseen=unseen(have, want),
                lies=lies(good.picture.shape, warp),
                outside=Image.fromarray(255 * outside),
                cut_off=cut_off,
                proof=known.proof,
                scale=good.picture.shape[1] / seen.shape[1],
                digest=known.sight.digest,
                over=picture,
                arrays=_Arrays(have, want, variation, outside, broad),
            )
        except (MemoryError, cv2.error) as error:  # OpenCV says so where it gets no memory
            raise RegistrationError(
                f"laying the golden picture over it needs more memory than there is ({_first(error)})"
            ) from error

    def _golden(self, name: str) -> _Known:
        """The decoded golden picture; known by its content, so that a new file under the name counts at once."""
        data = self._load(name)
        with self._lock:
            known = next((known for known in self._known if known.file == data), None)
            if known is not None:
                self._known.remove(known)
                self._known.append(known)
                return known
        try:
            golden = decode(data)
        except ImageRejectedError as error:  # a person can put a sound one there
            raise TransientError(f"the golden picture {name!r} can't be used: {error}") from error
        seen = replace(measure(Image.fromarray(golden.picture)), digest=hashlib.sha256(data).hexdigest())
        known = _Known(data, golden, seen, Template(golden.picture), ground_of(golden.picture), text_of(data))
        with self._lock:
            self._known = [*self._known, known][-KEPT:]
        return known


class GoldenDetector:
    """Finds where a board differs from the golden one laid over it."""

    def __init__(self, copper: Copper = "auto", demands: tuple[Demand, ...] = (), confidence: float = 0.0) -> None:
        self._copper: Copper = copper
        self._demands, self._confidence = demands, confidence

    def detect(self, picture: Image.Image, file: bytes, golden: Reference | None) -> Found:
        if golden is None:
            raise PermanentError("comparison needs a golden picture; name one in the recipe (recipes.NAME.golden)")
        try:
            laid = _Arrays.of(picture, golden)
            covered = coverage(laid.have, laid.want, laid.outside, golden.cut_off, laid.variation)
            outside = None if golden.lies is None else beyond(golden.lies, laid.have.shape)
            found, doubts = examine(laid.have, laid.want, self._copper, laid.variation, laid.broad, outside)
            doubts += shortfalls(golden.proof, self._demands, self._copper, self._confidence, golden.scale)
        except RegistrationError as error:
            return Found((), MODEL, VERSION, doubts=(f"Not compared: {error}.",))
        except (MemoryError, cv2.error) as error:
            raise PermanentError(f"comparing the picture needs more memory than there is ({_first(error)})") from error
        return Found(tuple(found), MODEL, VERSION, doubts, covered)


def _first(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__

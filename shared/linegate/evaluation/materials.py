"""Drawn boards of every mask colour and finish through the golden comparison: what escapes, and what is called falsely.

    uv run linegate bench --materials

Each colour and finish has a design of its own, twice: with tracks as they are, and with tracks that differ from the mask
by FAINT grey levels. Its golden picture is built of a few good boards. The boards that are looked at differ from each
other (`linegate.samples.Spread`), and each is photographed in one of WAYS.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from PIL import Image

from linegate import imaging, sight
from linegate.adapters.golden.adapters import GoldenDetector, GoldenRegistrar
from linegate.adapters.golden.materials import Picture
from linegate.adapters.golden.picture import Golden, encode
from linegate.adapters.golden.verifier import GoldenVerifier
from linegate.errors import RegistrationError
from linegate.evaluation.appearance import GOOD, SPREAD, WORSE, faint, fitting, levels, touch
from linegate.inspection import Check, Detection, Manifest, Result, Verdict
from linegate.samples import DEFECTS, FINISHES, LOST_PRINT, MASKS, Design, Photograph, golden_board, sample
from linegate.settings import Recipe
from linegate.shapes import Box
from linegate.verdict import decide

SEEDS: Final = 7000  # of the designs, one for each colour and finish; nothing was chosen or fitted by these
FAINT: Final = 16  # grey levels of faint tracks: 12 are left of them where light is least
SMALL: Final = 6  # pixels of the shorter side of a defect's box from which it must be found
PALE: Final = 12.0  # grey levels that its materials differ by on the picture, from which it must be found
AROUND: Final = 30  # pixels each way by which light is told
BAD: Final = (*DEFECTS, LOST_PRINT)
# A spot of glare: grey levels in its middle, softness of its border in pixels
GLARE, SOFTNESS = (60, 120), (10, 25)


@dataclass(frozen=True, slots=True)
class Drawn:
    """One drawn defect; `side` is the shorter one of its box, in pixels."""

    name: str
    side: float
    told: bool  # by a finding that touches it and was not cleared, or by a board that was not compared
    contrast: float = 255.0  # grey levels that light left between the covered copper and the mask there

    @property
    def sort(self) -> str:
        """Those of the sort `defects` must be found."""
        if self.name == LOST_PRINT:
            return "print"
        if self.side < SMALL:
            return "small"
        return "defects" if self.contrast >= PALE else "pale"


@dataclass(frozen=True, slots=True)
class Looked:
    """One board and what came of it."""

    mask: str
    finish: str
    way: str
    verdict: Verdict
    defects: tuple[Drawn, ...]
    false: tuple[str, ...]  # the classes of findings that were not cleared and touch no defect
    doubts: tuple[str, ...]


def glared(picture: Picture, rng: np.random.Generator) -> Picture:
    """With light thrown back by the surface: a spot of 120 x 50 px, somewhere on the board."""
    spot = np.zeros(picture.shape[:2], np.float32)
    x, y = (int(at) for at in rng.integers(120, min(picture.shape[:2]) - 120, 2))
    cv2.ellipse(spot, (x, y), (60, 25), float(rng.uniform(0, 180)), 0, 360, (1,), -1)
    soft = np.asarray(cv2.GaussianBlur(spot, (0, 0), rng.uniform(*SOFTNESS)), np.float32)
    return levels(picture + rng.uniform(*GLARE) * (soft / soft.max())[..., None])


def larger(golden: Picture) -> Picture:
    """By a quarter: the input gate sends a golden picture that is larger by half to a person."""
    return np.asarray(cv2.resize(golden, None, fx=1.25, fy=1.25), np.uint8)


WAYS: Final[dict[str, Callable[[Picture, Picture, np.random.Generator], tuple[Picture, Picture]]]] = {
    **WORSE,
    "golden larger": lambda picture, golden, _: (picture, larger(golden)),
    "glaring": lambda picture, golden, rng: (glared(picture, rng), golden),
}
# Each board of a colour and finish: with faint tracks or not, and bad or good. All of WAYS are gone through for each.
ROUNDS: Final = ((False, False), (False, True), (True, False), (True, True), (False, False))


def look_at(
    mask: str, finish: str, build: Callable[[Sequence[Picture]], Golden], seeds: int = SEEDS, ways: Sequence[str] = ()
) -> Iterator[Looked]:
    """Boards of one colour and finish, len(ROUNDS) in each way; `build` makes a golden picture of good boards."""
    seed = seeds + list(MASKS).index(mask) * len(FINISHES) + list(FINISHES).index(finish)
    plain = golden_board(seed, mask=mask, finish=finish)
    designs = {False: plain, True: faint(plain, mask, FAINT)}
    goldens = {hard: build(_good(design, seed)) for hard, design in designs.items()}
    for way in ways or WAYS:
        for number, (hard, bad) in enumerate(ROUNDS):
            rng = np.random.default_rng((seed, list(WAYS).index(way), number))
            shown = sample(designs[hard], rng, BAD if bad else (), SPREAD)
            golden = goldens[hard]
            picture, wanted = WAYS[way](shown.picture, golden.picture, rng)
            shows = [  # a hole shows bare metal's contrast
                255.0 if name == "missing_hole" else contrast(designs[hard], picture, box) for name, box in shown.truth
            ]
            yield _looked(mask, finish, way, shown, picture, fitting(golden, wanted), shows)


def _good(design: Design, seed: int) -> list[Picture]:
    return [sample(design, np.random.default_rng((seed, 99, board)), (), SPREAD).picture for board in range(GOOD)]


def contrast(design: Design, picture: Picture, box: Box) -> float:
    """Grey levels that light leaves on the picture, around the box, between the mask and the copper below it.

    By how much lighter or darker the picture is there than the design, which lies a few pixels aside at most. Glare counts
    as light, though it adds nothing to a contrast: then more is demanded than can be seen.
    """
    around = np.s_[max(0, int(box.y - AROUND)) : int(box.y + AROUND), max(0, int(box.x - AROUND)) : int(box.x + AROUND)]
    light = picture[around].mean(axis=(0, 1)) / np.maximum(design.picture[around].mean(axis=(0, 1)), 1)
    mask, copper = (np.array(colour, np.float64) for colour in (design.palette.mask, design.palette.copper))
    return float((np.abs(copper - mask) * light).max())


def _looked(
    mask: str,
    finish: str,
    way: str,
    shown: Photograph,
    picture: Picture,
    golden: Golden,
    shows: Sequence[float],
) -> Looked:
    image, file, recipe = Image.fromarray(picture), encode(golden), Recipe()
    registrar = GoldenRegistrar(lambda _: file)
    doubts = sight.doubts(sight.measure(image), registrar.sight(""), recipe.limits)
    detections: list[Detection] = []
    crops: list[tuple[bytes, bytes]] = []
    compared = not doubts
    if compared:
        try:
            reference = registrar.register(image, "")
            found = GoldenDetector().detect(image, b"", reference)
            detections = [one for one in found.detections if one.confidence >= recipe.confidence]
            crops = [(imaging.cut(image, one.box), imaging.cut(reference.picture, one.box)) for one in detections]
            doubts = (*found.doubts, *sight.unseen(reference.unseen, recipe.limits))
            if found.coverage and found.coverage.part < recipe.least_coverage:
                doubts = (*doubts, f"Only {found.coverage} of the picture could be judged.")
        except RegistrationError as error:
            doubts = (f"Not compared: {error}.",)
            compared = False
    verifier = GoldenVerifier()
    checks = []
    for index, (crop, one) in enumerate(zip(crops, detections, strict=True)):
        judged = verifier.verify(*crop, one)
        checks.append(Check(index, judged.result, judged.reason))
    height, width = picture.shape[:2]
    manifest = Manifest(width, height, tuple(detections), len(detections), doubts=doubts)
    told = [one for one, check in zip(detections, checks, strict=True) if check.result is not Result.PASS]
    return Looked(
        mask,
        finish,
        way,
        decide(manifest, dict(enumerate(checks))).verdict,
        tuple(
            Drawn(name, min(box.width, box.height), not compared or any(touch(one.box, box) for one in told), left)
            for (name, box), left in zip(shown.truth, shows, strict=True)
        ),
        tuple(one.class_name for one in told if not any(touch(one.box, box) for _, box in shown.truth)),
        doubts,
    )


def tally(looked: Sequence[Looked]) -> dict[str, int]:
    """How many boards there are among these, how many defects and how many of them nothing was said of, and verdicts.

    `defects` are those that must be found, `small` those of less than SMALL pixels, `pale` those that light left less than
    PALE grey levels of, `print` lost print. An escape is a bad board that passed, a false call a good one that failed.
    """
    sorts: dict[str, list[Drawn]] = {"defects": [], "pale": [], "small": [], "print": []}
    for one in looked:
        for defect in one.defects:
            sorts[defect.sort].append(defect)
    counts = {"boards": len(looked), "good": sum(not one.defects for one in looked)}
    for sort, some in sorts.items():
        counts[sort] = len(some)
        counts[f"{sort}_missed"] = sum(not defect.told for defect in some)
    return counts | {
        "escapes": sum(bool(one.defects) and one.verdict is Verdict.PASS for one in looked),
        "false_calls": sum(not one.defects and one.verdict is Verdict.FAIL for one in looked),
        "reviews": sum(one.verdict is Verdict.REVIEW for one in looked),
    }

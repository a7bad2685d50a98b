"""A drawn textured surface: a woven fabric that never lies still, with what goes wrong on it.

Each picture shows another stretch of the same weave. Its model is learned from good pictures, so it has no golden picture.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from linegate.samples.camera import expose
from linegate.samples.product import Drawn, Product
from linegate.shapes import Box

SIZE: Final = 480
MODEL: Final = "surface.npz"
SEED: Final = 20
# Good pictures that the model is learned from, and others that tell its thresholds
LEARNED, CALIBRATED = 12, 40
PITCH: Final = 11.0  # pixels from thread to thread
THREAD: Final = (150.0, 142.0, 126.0)  # RGB
MARGIN: Final = 44  # pixels from the picture's edge to the middle of a fault
CLEARANCE: Final = 90.0  # between the middles of two

Plane = NDArray[np.float32]
Spot = tuple[int, int]
# What one fault does to the surface (height x width x 3, in place)
Painter = Callable[[NDArray[np.float32], Spot, np.random.Generator], None]

RECIPE: Final = f"""\
# Finds what no good picture showed. Learn a model of your own with
#   linegate anomaly learn GOOD/ -o {MODEL}
# and its thresholds, from other good pictures, with
#   linegate anomaly calibrate OTHER_GOOD/ --model {MODEL}
detector: anomaly
model: {MODEL}
# There is no golden picture to look at a finding again: each counts as a defect.
verifier: none
"""


def draw(rng: np.random.Generator, faults: Sequence[str] = ()) -> Drawn:
    """A stretch of the weave with these faults: the light, the place and the threads differ each time.

    Raises ValueError for a fault that is not known, or for which there is no place left.
    """
    surface = _weave(rng)
    spots: list[Spot] = []
    truth: list[tuple[str, Box]] = []
    for fault in faults:
        if fault not in PAINTERS:
            raise ValueError(f"there is no fault {fault!r}; there is {', '.join(PAINTERS)}")
        spots.append(_spot(rng, spots, fault))
        before = surface.copy()
        PAINTERS[fault](surface, spots[-1], rng)
        changed = (np.abs(surface - before).max(axis=2) > 4).astype(np.uint8)
        left, top, width, height = cv2.boundingRect(changed)
        truth.append((fault, Box(left + width / 2, top + height / 2, float(width), float(height))))
    soft = cv2.GaussianBlur(surface, (0, 0), 0.8)
    return Drawn(expose(np.asarray(np.clip(soft, 0, 255), np.uint8), rng), tuple(truth))


def prepare(folder: Path) -> None:
    """Learn the model from drawn good pictures and find its thresholds on others."""
    # A sample that is never drawn needs no model: what learns is loaded here.
    from linegate.adapters.anomaly import file
    from linegate.adapters.anomaly.calibrating import calibrate
    from linegate.adapters.anomaly.learned import learn

    rng = np.random.default_rng(SEED)
    good = [draw(rng).picture for _ in range(LEARNED)]
    model = file.Model(learn(good, still=False), file.digests(good))
    others = [draw(rng).picture for _ in range(CALIBRATED)]
    made = calibrate([model.learned.scores(picture) for picture in others])
    folder.joinpath(MODEL).write_bytes(file.write(file.calibrated(model, made)))


def _weave(rng: np.random.Generator) -> NDArray[np.float32]:
    """Threads over and under one another, each a little lighter or darker and thicker or thinner than the next."""
    y, x = (np.asarray(axis, np.float32) for axis in np.mgrid[:SIZE, :SIZE])
    turn = np.deg2rad(rng.uniform(-3, 3))
    across = (x * np.cos(turn) + y * np.sin(turn)) / PITCH + rng.uniform(0, 100)
    down = (y * np.cos(turn) - x * np.sin(turn)) / PITCH + rng.uniform(0, 100)
    across += 0.12 * _slow(rng)
    down += 0.12 * _slow(rng)
    warp_tone, weft_tone = (rng.normal(1.0, 0.05, 512).astype(np.float32) for _ in range(2))
    column, row = np.floor(across).astype(int) % 512, np.floor(down).astype(int) % 512
    over = (column + row) % 2 == 0
    ridge = np.where(over, np.sin(np.pi * (across % 1)), np.sin(np.pi * (down % 1)))
    tone = np.where(over, warp_tone[column], weft_tone[row])
    light = tone * (0.55 + 0.45 * ridge) * (1 + 0.02 * rng.standard_normal((SIZE, SIZE)))
    return np.asarray(light[..., None] * np.array(THREAD), np.float32)


def _slow(rng: np.random.Generator) -> Plane:
    """Noise that changes over about a fifth of the picture."""
    coarse = rng.standard_normal((6, 6)).astype(np.float32)
    return np.asarray(cv2.resize(coarse, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC), np.float32)


def _spot(rng: np.random.Generator, others: Sequence[Spot], fault: str) -> Spot:
    for _ in range(400):
        x, y = (int(value) for value in rng.integers(MARGIN, SIZE - MARGIN, 2))
        if all(np.hypot(x - other[0], y - other[1]) > CLEARANCE for other in others):
            return x, y
    raise ValueError(f"there is no place left on this surface for a {fault}")


def _scratch(surface: NDArray[np.float32], spot: Spot, rng: np.random.Generator) -> None:
    angle, length = rng.uniform(0, np.pi), rng.uniform(56, 80)
    step = np.array([np.cos(angle), np.sin(angle)]) * length / 2
    ends = [tuple(int(value) for value in np.array(spot) + sign * step) for sign in (-1, 1)]
    cv2.line(surface, ends[0], ends[1], (238.0, 234.0, 226.0), 4, cv2.LINE_AA)


def _stain(surface: NDArray[np.float32], spot: Spot, rng: np.random.Generator) -> None:
    mask = np.zeros(surface.shape[:2], np.float32)
    axes = (int(rng.integers(14, 24)), int(rng.integers(10, 18)))
    cv2.ellipse(mask, spot, axes, float(rng.uniform(0, 180)), 0, 360, 1.0, -1, cv2.LINE_AA)
    mask = np.asarray(cv2.GaussianBlur(mask, (0, 0), 2.0), np.float32)[..., None]
    surface *= 1 - mask * np.array([0.45, 0.55, 0.7], np.float32)


def _hole(surface: NDArray[np.float32], spot: Spot, rng: np.random.Generator) -> None:
    cv2.circle(surface, spot, int(rng.integers(7, 12)), (24.0, 24.0, 26.0), -1, cv2.LINE_AA)


def _missing_thread(surface: NDArray[np.float32], spot: Spot, rng: np.random.Generator) -> None:
    """A thread is gone over some length: what lies below is seen, darker and without its ridge."""
    length = int(rng.integers(40, 64))
    left, right = max(0, spot[0] - length // 2), min(SIZE, spot[0] + length // 2)
    top, bottom = spot[1] - 5, spot[1] + 5
    stretch = surface[top:bottom, left:right]
    stretch[:] = stretch.mean(axis=(0, 1)) * 0.55


PAINTERS: Final[Mapping[str, Painter]] = {
    "scratch": _scratch,
    "stain": _stain,
    "hole": _hole,
    "missing_thread": _missing_thread,
}

PRODUCT: Final = Product("surface", "a textured surface: anomalies", tuple(PAINTERS), RECIPE, prepare, draw)

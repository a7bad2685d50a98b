"""The defects of drawn boards: each paints on the copper (or fills a hole) and says whether it could."""

import math
from collections.abc import Callable, Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from linegate.samples.design import MARGIN, SIZE, Design, Mask

CLEARANCE: Final = 34.0  # between the centres of two defects
TRIES: Final = 400
BITE: Final = (0.3, 0.6)  # how much of the width a mouse bite takes
RING: Final = 5  # a bite of a narrower annular ring would be smaller than a defect is

LOST_PRINT: Final = "lost_print"  # not among DEFECTS, which all are of the copper
LOST: Final = (24, 60)  # how much of a text is lost

Placed = tuple[str, NDArray[np.float64]]  # a defect and the 4 x 2 corners of what it changed; oversampled


def place(
    design: Design, rng: np.random.Generator, name: str, conductors: Mask, holes: Mask, placed: Sequence[Placed]
) -> NDArray[np.float64]:
    """Put one defect on the board, away from the others; the 4 x 2 corners of what it changed, oversampled."""
    others = [corners.mean(0) for _, corners in placed]
    again = name == "short" and any(other == name for other, _ in placed)
    for _ in range(TRIES):
        trial, drilled = conductors.copy(), holes.copy()
        spot = _PAINTERS[name](design, rng, trial, drilled)
        if spot is None or any(math.dist(spot, other) < CLEARANCE * design.unit for other in others):
            continue
        # A first short joins two nets by its construction; a second may find them joined already.
        if again and _count(trial) != _count(conductors) - 1:
            continue
        left, top, width, height = cv2.boundingRect((trial ^ conductors) | (drilled ^ holes))
        if width:
            conductors[:], holes[:] = trial, drilled
            return _corners(left, top, width, height)
    raise ValueError(f"there is no place left on this board for a {name}")


def lose_print(design: Design, rng: np.random.Generator, ground: Mask) -> NDArray[np.float64]:
    """Take a stretch of a text off the ground; the 4 x 2 corners of what is gone, oversampled."""
    before = ground.copy()
    for _ in range(TRIES):
        across, down = rng.uniform(190, 500), 598
        corner, end = design.pixel(across, down - 20), design.pixel(across + rng.uniform(*LOST), down + 20)
        stretch = np.s_[corner[1] : end[1], corner[0] : end[0]]
        ground[stretch] = design.bare_ground[stretch]
        left, top, width, height = cv2.boundingRect(before ^ ground)
        if min(width, height) > 6 * design.unit:
            return _corners(left, top, width, height)
        ground[:] = before
    raise ValueError("there is no print on this board that could be lost")


def _corners(left: int, top: int, width: int, height: int) -> NDArray[np.float64]:
    return np.array([(x, y) for x in (left, left + width) for y in (top, top + height)], np.float64)


def _count(conductors: Mask) -> int:
    return int(cv2.connectedComponents(conductors)[0])


Spot = tuple[float, float]  # oversampled


def _missing_hole(design: Design, rng: np.random.Generator, conductors: Mask, holes: Mask) -> Spot | None:
    pad = design.pads[int(rng.integers(len(design.pads)))]
    if not pad.hole:
        return None
    spot = design.pixel(pad.x, pad.y)
    cv2.circle(holes, spot, round((pad.hole + 1) * design.unit), 0, -1)
    return spot


def _open_circuit(design: Design, rng: np.random.Generator, conductors: Mask, holes: Mask) -> Spot | None:
    at, along, width = _on_track(design, rng)
    gap = rng.uniform(5, 9) * design.unit
    _stroke(conductors, at - along * gap / 2, at + along * gap / 2, width + 4 * design.unit, 0, flat=True)
    return float(at[0]), float(at[1])


def _mouse_bite(design: Design, rng: np.random.Generator, conductors: Mask, holes: Mask) -> Spot | None:
    edge = _on_rim(design, rng) if rng.random() < 0.25 else _on_edge(design, rng)
    if edge is None:
        return None
    at, outwards, width = edge
    depth = rng.uniform(*BITE) * width
    # No less than 4, for a shallow bite is long as well: real ones are.
    radius = max(depth, 4 * design.unit)
    cv2.circle(conductors, _pixel(at + outwards * (radius - depth)), round(radius), 0, -1)
    return float(at[0]), float(at[1])


Edge = tuple[NDArray[np.float64], NDArray[np.float64], float]  # a point, the way out of the copper, the copper's width


def _on_edge(design: Design, rng: np.random.Generator) -> Edge:
    """A point on the edge of a track; oversampled."""
    at, along, width = _on_track(design, rng)
    outwards = np.array([-along[1], along[0]]) * rng.choice([-1, 1])
    return at + outwards * width / 2, outwards, width


def _on_rim(design: Design, rng: np.random.Generator) -> Edge | None:
    """A point on the rim of a pad where no track leaves it; the width is the annular ring's; oversampled."""
    pad = design.pads[int(rng.integers(len(design.pads)))]
    # The middle of a side, so that round and square pads are as wide there.
    quarter = int(rng.integers(4)) * np.pi / 2
    outwards = np.array([np.cos(quarter), np.sin(quarter)])
    at = np.array([pad.x, pad.y]) * design.unit + outwards * pad.radius * design.unit
    ring = (pad.radius - pad.hole) * design.unit
    if ring < RING * design.unit or design.room[_index(at + outwards * 7 * design.unit)] < 6 * design.unit:
        return None
    return at, outwards, ring


def _spur(design: Design, rng: np.random.Generator, conductors: Mask, holes: Mask) -> Spot | None:
    at, along, width = _on_track(design, rng)
    across = np.array([-along[1], along[0]]) * rng.choice([-1, 1])
    length = rng.uniform(6, 9) * design.unit
    tip = at + across * (width / 2 + length)
    own = design.nets[_index(at)]
    reach = round(length / 2 + 5 * design.unit)
    x, y = _pixel(at + across * (width / 2 + length / 2))
    nearby = design.nets[max(0, y - reach) : y + reach, max(0, x - reach) : x + reach]
    if ((nearby > 0) & (nearby != own)).any():
        return None
    _stroke(conductors, at, tip, rng.uniform(3.5, 5) * design.unit, 255)
    return float(tip[0]), float(tip[1])


def _short(design: Design, rng: np.random.Generator, conductors: Mask, holes: Mask) -> Spot | None:
    at, along, width = _on_track(design, rng)
    across = np.array([-along[1], along[0]]) * rng.choice([-1, 1])
    own = design.nets[_index(at)]
    reach = np.arange(width / 2, 36 * design.unit)
    line = (at + across * reach[:, None]).astype(int)
    if line.min() < 0 or line.max() >= design.canvas:
        return None
    crossed = design.nets[line[:, 1], line[:, 0]]
    foreign = np.nonzero((crossed > 0) & (crossed != own))[0]
    if not foreign.size or (crossed[: foreign[0]] == own)[4:].any():
        return None
    far = at + across * (reach[foreign[0]] + 2 * design.unit)
    _stroke(conductors, at, far, rng.uniform(4, 6) * design.unit, 255)
    middle = (at + far) / 2
    return float(middle[0]), float(middle[1])


def _spurious_copper(design: Design, rng: np.random.Generator, conductors: Mask, holes: Mask) -> Spot | None:
    low, high = (MARGIN + 20) * design.unit, (SIZE - MARGIN - 55) * design.unit
    at = rng.uniform(low, high, 2)
    radius = rng.uniform(4, 6.5) * design.unit
    if design.room[_index(at)] < 1.5 * radius + 5 * design.unit:
        return None
    lobes = rng.uniform(-0.6, 0.6, (3, 2)) * radius
    for lobe in lobes:
        cv2.circle(conductors, _pixel(at + lobe), round(0.75 * radius), 255, -1)
    # Lobes far apart would be two pieces, or leave a hole between them.
    cv2.circle(conductors, _pixel(at + lobes.mean(0)), round(0.5 * radius), 255, -1)
    return float(at[0]), float(at[1])


def _on_track(design: Design, rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """A point in the middle of a straight stretch clear of pads, the direction of the track there, and its width; oversampled."""
    while True:
        track = design.tracks[int(rng.integers(len(design.tracks)))]
        corner = int(rng.integers(len(track.points) - 1))
        start, end = (np.array(point, np.float64) for point in track.points[corner : corner + 2])
        length = float(np.linalg.norm(end - start))
        if length < 30:
            continue
        along = (end - start) / length
        at = start + along * rng.uniform(12, length - 12)
        if all(math.dist(at, (pad.x, pad.y)) > pad.radius + 14 for pad in design.pads):
            return at * design.unit, along, float(track.width * design.unit)


def _stroke(
    mask: Mask, start: NDArray[np.float64], end: NDArray[np.float64], width: float, value: int, *, flat: bool = False
) -> None:
    """A line of this width; with `flat` ends it is a rotated rectangle, else it is rounded."""
    if not flat:
        cv2.line(mask, _pixel(start), _pixel(end), value, round(width))
        return
    along = (end - start) / np.linalg.norm(end - start)
    side = np.array([-along[1], along[0]]) * width / 2
    corners = np.array([start + side, end + side, end - side, start - side])
    cv2.fillPoly(mask, [corners.round().astype(np.int32)], value)


def _pixel(point: NDArray[np.float64]) -> tuple[int, int]:
    return round(float(point[0])), round(float(point[1]))


def _index(point: NDArray[np.float64]) -> tuple[int, int]:
    """Row and column."""
    return round(float(point[1])), round(float(point[0]))


_PAINTERS: Final[dict[str, Callable[[Design, np.random.Generator, Mask, Mask], Spot | None]]] = {
    "missing_hole": _missing_hole,
    "mouse_bite": _mouse_bite,
    "open_circuit": _open_circuit,
    "short": _short,
    "spur": _spur,
    "spurious_copper": _spurious_copper,
}
DEFECTS: Final = tuple(_PAINTERS)

"""Drawn pictures of bare printed circuit boards, clean or with the six defect classes of the field.

A board is drawn twice as large as its picture and reduced by the camera's pose, which smooths its edges. All lengths
are pixels of the golden picture unless a name says otherwise.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from linegate.inspection import Box

Mask = NDArray[np.uint8]
Picture = NDArray[np.uint8]  # height x width x 3, RGB

SIZE: Final = 640
OVERSAMPLING: Final = 2
DEFECTS: Final = ("missing_hole", "mouse_bite", "open_circuit", "short", "spur", "spurious_copper")
MARGIN: Final = 22
CLEARANCE: Final = 34.0  # between the centres of two defects
TRIES: Final = 400
# Conveyor, solder mask, copper below the mask, bare pad, drilled hole, silk screen
PALETTE: Final = np.array(
    [(44, 45, 48), (16, 88, 46), (52, 148, 84), (214, 178, 104), (22, 20, 20), (222, 226, 216)], np.uint8
)
_CONVEYOR, _MASK, _COPPER, _PAD, _HOLE, _SILK = range(6)


@dataclass(frozen=True, slots=True)
class Track:
    points: tuple[tuple[int, int], ...]
    width: int


@dataclass(frozen=True, slots=True)
class Pad:
    x: int
    y: int
    radius: int
    hole: int  # radius of the drilled hole; 0 for none
    square: bool = False


@dataclass(frozen=True)
class Board:
    """A design: what is copper, what is drilled, and the golden picture of it."""

    tracks: tuple[Track, ...]
    pads: tuple[Pad, ...]

    @cached_property
    def conductors(self) -> Mask:
        """Tracks and pads as drawn (255), holes not yet drilled; oversampled."""
        return self._draw(self.tracks, self.pads)

    @cached_property
    def pad_area(self) -> Mask:
        """Where the copper is bare (255); oversampled."""
        return self._draw((), self.pads)

    @cached_property
    def holes(self) -> Mask:
        """Where it is drilled through (255); oversampled."""
        drilled = np.zeros((SIZE * OVERSAMPLING,) * 2, np.uint8)
        for pad in self.pads:
            if pad.hole:
                cv2.circle(drilled, _oversampled(pad.x, pad.y), pad.hole * OVERSAMPLING, 255, -1)
        return drilled

    @cached_property
    def copper(self) -> Mask:
        """Copper that is really there (255); oversampled."""
        return _drilled(self.conductors, self.holes)

    @cached_property
    def nets(self) -> NDArray[np.int32]:
        """Each conductor's number, 0 where there is none; oversampled."""
        return np.asarray(cv2.connectedComponents(self.conductors)[1], np.int32)

    @cached_property
    def room(self) -> NDArray[np.float32]:
        """Distance to the nearest conductor, in oversampled pixels."""
        return np.asarray(cv2.distanceTransform(cv2.bitwise_not(self.conductors), cv2.DIST_L2, 5), np.float32)

    @cached_property
    def picture(self) -> Picture:
        """The golden picture: straight, evenly lit, without noise."""
        return _photograph(self.surface(self.conductors, self.holes), _pose(0, 0, 0, 1))

    def surface(self, conductors: Mask, holes: Mask) -> Picture:
        """The board as the camera would see it without any optics; oversampled."""
        kinds = np.full(conductors.shape, _CONVEYOR, np.uint8)
        edge = MARGIN * OVERSAMPLING
        kinds[edge:-edge, edge:-edge] = _MASK
        for text, spot in (("LINEGATE  DEMO BOARD", (190, 606)), ("A1", (560, 606))):
            cv2.putText(kinds, text, _oversampled(*spot), cv2.FONT_HERSHEY_SIMPLEX, 1.0, _SILK, 2, cv2.LINE_8)
        kinds[conductors > 0] = _COPPER
        kinds[(conductors > 0) & (self.pad_area > 0)] = _PAD
        kinds[holes > 0] = _HOLE
        return PALETTE[kinds]

    def _draw(self, tracks: Sequence[Track], pads: Sequence[Pad]) -> Mask:
        mask = np.zeros((SIZE * OVERSAMPLING,) * 2, np.uint8)
        for track in tracks:
            points = np.array([_oversampled(*point) for point in track.points], np.int32)
            cv2.polylines(mask, [points], False, 255, track.width * OVERSAMPLING)
        for pad in pads:
            x, y = _oversampled(pad.x, pad.y)
            radius = pad.radius * OVERSAMPLING
            if pad.square:
                cv2.rectangle(mask, (x - radius, y - radius), (x + radius, y + radius), 255, -1)
            else:
                cv2.circle(mask, (x, y), radius, 255, -1)
        return mask


@dataclass(frozen=True)
class Sample:
    """One photographed board. `truth` names each defect and boxes it in pixels of `picture`."""

    picture: Picture
    truth: tuple[tuple[str, Box], ...]
    copper: Mask  # what is left of the design's copper, oversampled and without the camera's pose


def golden_board(seed: int) -> Board:
    """A board design of 640 x 640; the same seed draws the same board."""
    rng = np.random.default_rng(seed)
    tracks: list[Track] = []
    pads = [Pad(x, y, 15, 8) for x in (48, 592) for y in (48, 592)]
    # A bus from one connector to the other, each track with a 45° jog further along than the one above it.
    jog = int(rng.integers(14, 26)) * int(rng.choice([-1, 1]))
    starts = int(rng.integers(170, 220))
    for row in range(6):
        y = 88 + 30 * row + max(0, -jog)
        bend = starts + (30 * row if jog < 0 else 30 * (5 - row))
        width = (7, 7, 9, 7, 9, 7)[row]
        tracks.append(Track(((96, y), (bend, y), (bend + abs(jog), y + jog), (544, y + jog)), width))
        pads += [Pad(96, y, 10, 5), Pad(544, y + jog, 10, 5, square=row % 2 == 0)]
    # Two rows of an integrated circuit, joined pin by pin or led to a via between them.
    for pin in range(9):
        x = 112 + 52 * pin
        pads += [Pad(x, 318, 11, 5, square=pin == 0), Pad(x, 452, 11, 5)]
        if rng.random() < 0.6:
            shift = int(rng.integers(8, 14)) * int(rng.choice([-1, 1]))
            tracks.append(
                Track(
                    (
                        (x, 318),
                        (x, 360),
                        (x + shift, 360 + abs(shift)),
                        (x + shift, 400),
                        (x, 400 + abs(shift)),
                        (x, 452),
                    ),
                    8,
                )
            )
        else:
            tracks += [Track(((x, 318), (x, 366)), 8), Track(((x, 408), (x, 452)), 8)]
            pads += [Pad(x, 366, 8, 4), Pad(x, 408, 8, 4)]
    # Supply: wide tracks below.
    for row, width in enumerate((13, 11, 15)):
        y = 496 + 30 * row
        left, right = int(rng.integers(96, 130)), int(rng.integers(510, 544))
        tracks.append(Track(((left, y), (right, y)), width))
        pads += [Pad(left, y, 11, 5), Pad(right, y, 11, 5)]
    return Board(tuple(tracks), tuple(pads))


def sample(board: Board, rng: np.random.Generator, defects: Sequence[str] = ()) -> Sample:
    """Photograph `board` with these defects, each really doing to the copper what its name says.

    The camera adds shift (6 px), rotation (0.8°), scale (0.5 %), uneven light, blur and noise. Raises ValueError for a
    class that is not in DEFECTS or for which there is no place left.
    """
    conductors, holes = board.conductors.copy(), board.holes.copy()
    placed: list[tuple[str, NDArray[np.float64]]] = []
    for name in defects:
        if name not in DEFECTS:
            raise ValueError(f"there is no defect {name!r}; there is {', '.join(DEFECTS)}")
        changed = _place(board, rng, name, conductors, holes, [corners.mean(0) for _, corners in placed])
        rows, columns = np.nonzero(changed)
        box = np.array([(columns.min(), rows.min()), (columns.max() + 1, rows.max() + 1)], np.float64)
        placed.append((name, np.array([(x, y) for x in box[:, 0] for y in box[:, 1]])))
    pose = _pose(rng.uniform(-6, 6), rng.uniform(-6, 6), rng.uniform(-0.8, 0.8), rng.uniform(0.995, 1.005))
    picture = _expose(_photograph(board.surface(conductors, holes), pose), rng)
    truth = tuple((name, _seen(corners, pose)) for name, corners in placed)
    return Sample(picture, truth, _drilled(conductors, holes))


def _drilled(conductors: Mask, holes: Mask) -> Mask:
    return np.asarray(cv2.bitwise_and(conductors, cv2.bitwise_not(holes)), np.uint8)


def jpeg(picture: Picture, quality: int = 92) -> bytes:
    """The picture as a JPEG file."""
    parameters = [
        cv2.IMWRITE_JPEG_QUALITY,
        quality,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    ]
    return cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), parameters)[1].tobytes()


# --- defects: each paints on the copper (or fills a hole) and says whether it could


def _place(
    board: Board,
    rng: np.random.Generator,
    name: str,
    conductors: Mask,
    holes: Mask,
    others: list[NDArray[np.float64]],
) -> NDArray[np.bool_]:
    """Put one defect on the board, away from the others; which oversampled pixels it changed."""
    paint = _PAINTERS[name]
    for _ in range(TRIES):
        trial, drilled = conductors.copy(), holes.copy()
        spot = paint(board, rng, trial, drilled)
        if spot is None or any(math.dist(spot, other) < CLEARANCE * OVERSAMPLING for other in others):
            continue
        changed = np.asarray((trial != conductors) | (drilled != holes))
        if changed.any():
            conductors[:], holes[:] = trial, drilled
            return changed
    raise ValueError(f"there is no place left on this board for a {name}")


Spot = tuple[float, float]  # oversampled


def _missing_hole(board: Board, rng: np.random.Generator, conductors: Mask, holes: Mask) -> Spot | None:
    pad = board.pads[int(rng.integers(len(board.pads)))]
    if not pad.hole:
        return None
    spot = _oversampled(pad.x, pad.y)
    cv2.circle(holes, spot, (pad.hole + 1) * OVERSAMPLING, 0, -1)
    return spot


def _open_circuit(board: Board, rng: np.random.Generator, conductors: Mask, holes: Mask) -> Spot | None:
    at, along, width = _on_track(board, rng)
    gap = rng.uniform(5, 9) * OVERSAMPLING
    _stroke(conductors, at - along * gap / 2, at + along * gap / 2, width + 4 * OVERSAMPLING, 0, flat=True)
    return float(at[0]), float(at[1])


def _mouse_bite(board: Board, rng: np.random.Generator, conductors: Mask, holes: Mask) -> Spot | None:
    at, along, width = _on_track(board, rng)
    across = np.array([-along[1], along[0]]) * rng.choice([-1, 1])
    depth = rng.uniform(0.5, 0.6) * width
    radius = max(depth, 4 * OVERSAMPLING)
    centre = at + across * (width / 2 + radius - depth)
    cv2.circle(conductors, _pixel(centre), round(radius), 0, -1)
    return float(at[0]), float(at[1])


def _spur(board: Board, rng: np.random.Generator, conductors: Mask, holes: Mask) -> Spot | None:
    at, along, width = _on_track(board, rng)
    across = np.array([-along[1], along[0]]) * rng.choice([-1, 1])
    length = rng.uniform(6, 9) * OVERSAMPLING
    tip = at + across * (width / 2 + length)
    own = board.nets[_index(at)]
    reach = round(length / 2 + 5 * OVERSAMPLING)
    x, y = _pixel(at + across * (width / 2 + length / 2))
    nearby = board.nets[max(0, y - reach) : y + reach, max(0, x - reach) : x + reach]
    if ((nearby > 0) & (nearby != own)).any():
        return None
    _stroke(conductors, at, tip, rng.uniform(3.5, 5) * OVERSAMPLING, 255)
    return float(tip[0]), float(tip[1])


def _short(board: Board, rng: np.random.Generator, conductors: Mask, holes: Mask) -> Spot | None:
    at, along, width = _on_track(board, rng)
    across = np.array([-along[1], along[0]]) * rng.choice([-1, 1])
    own = board.nets[_index(at)]
    reach = np.arange(width / 2, 36 * OVERSAMPLING)
    line = (at + across * reach[:, None]).astype(int)
    if line.min() < 0 or line.max() >= SIZE * OVERSAMPLING:
        return None
    crossed = board.nets[line[:, 1], line[:, 0]]
    foreign = np.nonzero((crossed > 0) & (crossed != own))[0]
    if not foreign.size or (crossed[: foreign[0]] == own)[4:].any():
        return None
    far = at + across * (reach[foreign[0]] + 2 * OVERSAMPLING)
    _stroke(conductors, at, far, rng.uniform(4, 6) * OVERSAMPLING, 255)
    middle = (at + far) / 2
    return float(middle[0]), float(middle[1])


def _spurious_copper(board: Board, rng: np.random.Generator, conductors: Mask, holes: Mask) -> Spot | None:
    low, high = (MARGIN + 20) * OVERSAMPLING, (SIZE - MARGIN - 55) * OVERSAMPLING
    at = rng.uniform(low, high, 2)
    radius = rng.uniform(4, 6.5) * OVERSAMPLING
    if board.room[_index(at)] < 1.5 * radius + 5 * OVERSAMPLING:
        return None
    for lobe in rng.uniform(-0.6, 0.6, (3, 2)) * radius:
        cv2.circle(conductors, _pixel(at + lobe), round(0.75 * radius), 255, -1)
    return float(at[0]), float(at[1])


_PAINTERS: Final[dict[str, Callable[[Board, np.random.Generator, Mask, Mask], Spot | None]]] = {
    "missing_hole": _missing_hole,
    "mouse_bite": _mouse_bite,
    "open_circuit": _open_circuit,
    "short": _short,
    "spur": _spur,
    "spurious_copper": _spurious_copper,
}


def _on_track(board: Board, rng: np.random.Generator) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """A point in the middle of a straight stretch clear of pads, the direction of the track there, and its width; oversampled."""
    while True:
        track = board.tracks[int(rng.integers(len(board.tracks)))]
        corner = int(rng.integers(len(track.points) - 1))
        start, end = (np.array(point, np.float64) for point in track.points[corner : corner + 2])
        length = float(np.linalg.norm(end - start))
        if length < 30:
            continue
        along = (end - start) / length
        at = start + along * rng.uniform(12, length - 12)
        if all(math.dist(at, (pad.x, pad.y)) > pad.radius + 14 for pad in board.pads):
            return at * OVERSAMPLING, along, float(track.width * OVERSAMPLING)


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


# --- the camera


def _pose(shift_x: float, shift_y: float, degrees: float, scale: float) -> NDArray[np.float64]:
    """2 x 3: from oversampled board to picture."""
    centre = SIZE * OVERSAMPLING / 2
    pose = cv2.getRotationMatrix2D((centre, centre), degrees, scale / OVERSAMPLING)
    pose[:, 2] += np.array([SIZE / 2 - centre + shift_x, SIZE / 2 - centre + shift_y])
    return np.asarray(pose, np.float64)


def _photograph(surface: Picture, pose: NDArray[np.float64]) -> Picture:
    soft = cv2.blur(surface, (OVERSAMPLING + 1, OVERSAMPLING + 1))
    conveyor = tuple(int(value) for value in PALETTE[_CONVEYOR])
    return np.asarray(cv2.warpAffine(soft, pose, (SIZE, SIZE), borderValue=conveyor), np.uint8)


def _expose(picture: Picture, rng: np.random.Generator) -> Picture:
    """Uneven light, gain and sensor noise."""
    corners = rng.uniform(0.88, 1.08, (2, 2)).astype(np.float32)
    light = cv2.resize(corners, (SIZE, SIZE), interpolation=cv2.INTER_LINEAR)
    noise = rng.standard_normal((SIZE, SIZE, 1), np.float32) * 2.5 + rng.standard_normal((SIZE, SIZE, 3), np.float32)
    return np.clip(picture * light[:, :, None] + noise, 0, 255).astype(np.uint8)


def _seen(corners: NDArray[np.float64], pose: NDArray[np.float64]) -> Box:
    """The upright box around points of the board, as the picture shows them."""
    points = corners @ pose[:, :2].T + pose[:, 2]
    low, high = points.min(0), points.max(0)
    return Box(*(float(value) for value in (*((low + high) / 2), *(high - low))))


def _oversampled(x: int, y: int) -> tuple[int, int]:
    return x * OVERSAMPLING, y * OVERSAMPLING


def _pixel(point: NDArray[np.float64]) -> tuple[int, int]:
    return round(float(point[0])), round(float(point[1]))


def _index(point: NDArray[np.float64]) -> tuple[int, int]:
    """Row and column."""
    return round(float(point[1])), round(float(point[0]))

"""Drawn pictures of bare printed circuit boards, clean or with the six defect classes of the field.

A board is drawn twice as large as its picture and reduced by the camera's pose, which smooths its edges. Designs are
laid out on 640 x 640 and grow with the picture: lengths are 1/640 of the golden picture's side unless a name says
otherwise, each `unit` oversampled pixels long. Masks are square, `canvas` oversampled pixels wide, 0 or 255.
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
BITE: Final = (0.3, 0.6)  # how much of the width a mouse bite takes
RING: Final = 5  # a bite of a narrower annular ring would be smaller than a defect is
# Conveyor, solder mask, copper below the mask, bare pad, drilled hole, silk screen
PALETTE: Final = np.array(
    [(44, 45, 48), (16, 88, 46), (52, 148, 84), (214, 178, 104), (22, 20, 20), (222, 226, 216)], np.uint8
)
_CONVEYOR, _MASK, _COPPER, _PAD, _HOLE, _SILK = range(6)
# Bits above the ground's kind; a table of all their combinations colours a board in one pass.
_IS_COPPER, _IS_PAD, _IS_HOLE = 8, 16, 32


def _colours() -> Picture:
    """256 x 1 x 3: what is seen of each combination of the ground's kind and the bits; the topmost layer wins."""
    code = np.arange(256)
    seen = np.minimum(code & 7, len(PALETTE) - 1)
    seen[(code & _IS_COPPER) > 0] = _COPPER
    seen[(code & _IS_COPPER > 0) & (code & _IS_PAD > 0)] = _PAD
    seen[(code & _IS_HOLE) > 0] = _HOLE
    return np.asarray(PALETTE[seen][:, None], np.uint8)


_COLOURS: Final = _colours()


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
    size: int = SIZE  # side of the golden picture in pixels

    @property
    def canvas(self) -> int:
        """Side of the masks in oversampled pixels."""
        return self.size * OVERSAMPLING

    @property
    def unit(self) -> float:
        """Oversampled pixels for a length of 1 in the design."""
        return self.canvas / SIZE

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
        drilled = np.zeros((self.canvas,) * 2, np.uint8)
        for pad in self.pads:
            if pad.hole:
                cv2.circle(drilled, self.pixel(pad.x, pad.y), round(pad.hole * self.unit), 255, -1)
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
        return _photograph(self.surface(self.conductors, self.holes), _pose(self.size, 0, 0, 0, 1))

    @cached_property
    def ground(self) -> Mask:
        """What lies where there is no copper: the number of its colour in PALETTE instead of 0 or 255."""
        kinds = np.full((self.canvas,) * 2, _CONVEYOR, np.uint8)
        edge = round(MARGIN * self.unit)
        kinds[edge:-edge, edge:-edge] = _MASK
        scale, stroke = self.unit / OVERSAMPLING, round(self.unit)
        for text, spot in (("LINEGATE  DEMO BOARD", (190, 606)), ("A1", (560, 606))):
            cv2.putText(kinds, text, self.pixel(*spot), cv2.FONT_HERSHEY_SIMPLEX, scale, _SILK, stroke, cv2.LINE_8)
        return kinds

    def surface(self, conductors: Mask, holes: Mask) -> Picture:
        """The board as the camera would see it without any optics; canvas x canvas x 3."""
        code = self.ground | (conductors & _IS_COPPER) | (self.pad_area & _IS_PAD) | (holes & _IS_HOLE)
        return np.asarray(cv2.applyColorMap(code, _COLOURS), np.uint8)

    def pixel(self, x: float, y: float) -> tuple[int, int]:
        """The oversampled pixel of a point of the design."""
        return round(x * self.unit), round(y * self.unit)

    def _draw(self, tracks: Sequence[Track], pads: Sequence[Pad]) -> Mask:
        mask = np.zeros((self.canvas,) * 2, np.uint8)
        for track in tracks:
            points = np.array([self.pixel(*point) for point in track.points], np.int32)
            cv2.polylines(mask, [points], False, 255, round(track.width * self.unit))
        for pad in pads:
            x, y = self.pixel(pad.x, pad.y)
            radius = round(pad.radius * self.unit)
            if pad.square:
                cv2.rectangle(mask, (x - radius, y - radius), (x + radius, y + radius), 255, -1)
            else:
                cv2.circle(mask, (x, y), radius, 255, -1)
        return mask


@dataclass(frozen=True)
class Sample:
    """One photographed board. `truth` names each defect and boxes it in pixels of `picture`."""

    picture: Picture  # size x size x 3
    truth: tuple[tuple[str, Box], ...]
    copper: Mask  # what is left of the design's copper, oversampled and without the camera's pose
    pose: NDArray[np.float64]  # 2 x 3: from oversampled pixels of the design to pixels of `picture`


def golden_board(seed: int, size: int = SIZE) -> Board:
    """A board design; the same seed draws the same board, whatever the size of its picture.

    Raises ValueError for less than 640 pixels: defects would be too small to be seen.
    """
    if size < SIZE:
        raise ValueError(f"a board has {SIZE} pixels a side or more, not {size}")
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
            down = (
                (x, 318),
                (x, 360),
                (x + shift, 360 + abs(shift)),
                (x + shift, 400),
                (x, 400 + abs(shift)),
                (x, 452),
            )
            tracks.append(Track(down, 8))
        else:
            tracks += [Track(((x, 318), (x, 366)), 8), Track(((x, 408), (x, 452)), 8)]
            pads += [Pad(x, 366, 8, 4), Pad(x, 408, 8, 4)]
    # Supply: wide tracks below.
    for row, width in enumerate((13, 11, 15)):
        y = 496 + 30 * row
        left, right = int(rng.integers(96, 130)), int(rng.integers(510, 544))
        tracks.append(Track(((left, y), (right, y)), width))
        pads += [Pad(left, y, 11, 5), Pad(right, y, 11, 5)]
    return Board(tuple(tracks), tuple(pads), size)


def sample(board: Board, rng: np.random.Generator, defects: Sequence[str] = ()) -> Sample:
    """Photograph `board` with these defects, each really doing to the copper what its name says.

    The camera adds shift (6 px), rotation (0.8°), scale (0.5 %), uneven light, blur and noise. Raises ValueError for a
    class that is not in DEFECTS or for which there is no place left.
    """
    conductors, holes = board.conductors.copy(), board.holes.copy()
    placed: list[Placed] = []
    for name in defects:
        if name not in DEFECTS:
            raise ValueError(f"there is no defect {name!r}; there is {', '.join(DEFECTS)}")
        placed.append((name, _place(board, rng, name, conductors, holes, placed)))
    pose = _pose(board.size, rng.uniform(-6, 6), rng.uniform(-6, 6), rng.uniform(-0.8, 0.8), rng.uniform(0.995, 1.005))
    picture = _expose(_photograph(board.surface(conductors, holes), pose), rng)
    truth = tuple((name, _seen(corners, pose)) for name, corners in placed)
    return Sample(picture, truth, _drilled(conductors, holes), pose)


def _drilled(conductors: Mask, holes: Mask) -> Mask:
    return np.asarray(cv2.bitwise_and(conductors, cv2.bitwise_not(holes)), np.uint8)


def jpeg(picture: Picture, quality: int = 92) -> bytes:
    """The picture as a JPEG file without chroma subsampling; by OpenCV, which takes 2 ms for 640 x 640 and Pillow 5."""
    parameters = [
        cv2.IMWRITE_JPEG_QUALITY,
        quality,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR,
        cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444,
    ]
    return cv2.imencode(".jpg", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR), parameters)[1].tobytes()


# --- defects: each paints on the copper (or fills a hole) and says whether it could


Placed = tuple[str, NDArray[np.float64]]  # a defect and the 4 x 2 corners of what it changed; oversampled


def _place(
    board: Board, rng: np.random.Generator, name: str, conductors: Mask, holes: Mask, placed: Sequence[Placed]
) -> NDArray[np.float64]:
    """Put one defect on the board, away from the others; the 4 x 2 corners of what it changed, oversampled."""
    others = [corners.mean(0) for _, corners in placed]
    again = name == "short" and any(other == name for other, _ in placed)
    for _ in range(TRIES):
        trial, drilled = conductors.copy(), holes.copy()
        spot = _PAINTERS[name](board, rng, trial, drilled)
        if spot is None or any(math.dist(spot, other) < CLEARANCE * board.unit for other in others):
            continue
        # A first short joins two nets by its construction; a second may find them joined already.
        if again and _count(trial) != _count(conductors) - 1:
            continue
        left, top, width, height = cv2.boundingRect((trial ^ conductors) | (drilled ^ holes))
        if width:
            conductors[:], holes[:] = trial, drilled
            return np.array([(x, y) for x in (left, left + width) for y in (top, top + height)], np.float64)
    raise ValueError(f"there is no place left on this board for a {name}")


def _count(conductors: Mask) -> int:
    return int(cv2.connectedComponents(conductors)[0])


Spot = tuple[float, float]  # oversampled


def _missing_hole(board: Board, rng: np.random.Generator, conductors: Mask, holes: Mask) -> Spot | None:
    pad = board.pads[int(rng.integers(len(board.pads)))]
    if not pad.hole:
        return None
    spot = board.pixel(pad.x, pad.y)
    cv2.circle(holes, spot, round((pad.hole + 1) * board.unit), 0, -1)
    return spot


def _open_circuit(board: Board, rng: np.random.Generator, conductors: Mask, holes: Mask) -> Spot | None:
    at, along, width = _on_track(board, rng)
    gap = rng.uniform(5, 9) * board.unit
    _stroke(conductors, at - along * gap / 2, at + along * gap / 2, width + 4 * board.unit, 0, flat=True)
    return float(at[0]), float(at[1])


def _mouse_bite(board: Board, rng: np.random.Generator, conductors: Mask, holes: Mask) -> Spot | None:
    edge = _on_rim(board, rng) if rng.random() < 0.25 else _on_edge(board, rng)
    if edge is None:
        return None
    at, outwards, width = edge
    depth = rng.uniform(*BITE) * width
    # No less than 4, for a shallow bite is long as well: real ones are.
    radius = max(depth, 4 * board.unit)
    cv2.circle(conductors, _pixel(at + outwards * (radius - depth)), round(radius), 0, -1)
    return float(at[0]), float(at[1])


Edge = tuple[NDArray[np.float64], NDArray[np.float64], float]  # a point, the way out of the copper, the copper's width


def _on_edge(board: Board, rng: np.random.Generator) -> Edge:
    """A point on the edge of a track; oversampled."""
    at, along, width = _on_track(board, rng)
    outwards = np.array([-along[1], along[0]]) * rng.choice([-1, 1])
    return at + outwards * width / 2, outwards, width


def _on_rim(board: Board, rng: np.random.Generator) -> Edge | None:
    """A point on the rim of a pad where no track leaves it; the width is the annular ring's; oversampled."""
    pad = board.pads[int(rng.integers(len(board.pads)))]
    # The middle of a side, so that round and square pads are as wide there.
    quarter = int(rng.integers(4)) * np.pi / 2
    outwards = np.array([np.cos(quarter), np.sin(quarter)])
    at = np.array([pad.x, pad.y]) * board.unit + outwards * pad.radius * board.unit
    ring = (pad.radius - pad.hole) * board.unit
    if ring < RING * board.unit or board.room[_index(at + outwards * 7 * board.unit)] < 6 * board.unit:
        return None
    return at, outwards, ring


def _spur(board: Board, rng: np.random.Generator, conductors: Mask, holes: Mask) -> Spot | None:
    at, along, width = _on_track(board, rng)
    across = np.array([-along[1], along[0]]) * rng.choice([-1, 1])
    length = rng.uniform(6, 9) * board.unit
    tip = at + across * (width / 2 + length)
    own = board.nets[_index(at)]
    reach = round(length / 2 + 5 * board.unit)
    x, y = _pixel(at + across * (width / 2 + length / 2))
    nearby = board.nets[max(0, y - reach) : y + reach, max(0, x - reach) : x + reach]
    if ((nearby > 0) & (nearby != own)).any():
        return None
    _stroke(conductors, at, tip, rng.uniform(3.5, 5) * board.unit, 255)
    return float(tip[0]), float(tip[1])


def _short(board: Board, rng: np.random.Generator, conductors: Mask, holes: Mask) -> Spot | None:
    at, along, width = _on_track(board, rng)
    across = np.array([-along[1], along[0]]) * rng.choice([-1, 1])
    own = board.nets[_index(at)]
    reach = np.arange(width / 2, 36 * board.unit)
    line = (at + across * reach[:, None]).astype(int)
    if line.min() < 0 or line.max() >= board.canvas:
        return None
    crossed = board.nets[line[:, 1], line[:, 0]]
    foreign = np.nonzero((crossed > 0) & (crossed != own))[0]
    if not foreign.size or (crossed[: foreign[0]] == own)[4:].any():
        return None
    far = at + across * (reach[foreign[0]] + 2 * board.unit)
    _stroke(conductors, at, far, rng.uniform(4, 6) * board.unit, 255)
    middle = (at + far) / 2
    return float(middle[0]), float(middle[1])


def _spurious_copper(board: Board, rng: np.random.Generator, conductors: Mask, holes: Mask) -> Spot | None:
    low, high = (MARGIN + 20) * board.unit, (SIZE - MARGIN - 55) * board.unit
    at = rng.uniform(low, high, 2)
    radius = rng.uniform(4, 6.5) * board.unit
    if board.room[_index(at)] < 1.5 * radius + 5 * board.unit:
        return None
    lobes = rng.uniform(-0.6, 0.6, (3, 2)) * radius
    for lobe in lobes:
        cv2.circle(conductors, _pixel(at + lobe), round(0.75 * radius), 255, -1)
    # Lobes far apart would be two pieces, or leave a hole between them.
    cv2.circle(conductors, _pixel(at + lobes.mean(0)), round(0.5 * radius), 255, -1)
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
            return at * board.unit, along, float(track.width * board.unit)


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


def _pose(size: int, shift_x: float, shift_y: float, degrees: float, scale: float) -> NDArray[np.float64]:
    """2 x 3: from oversampled board to picture."""
    centre = size * OVERSAMPLING / 2
    pose = cv2.getRotationMatrix2D((centre, centre), degrees, scale / OVERSAMPLING)
    pose[:, 2] = pose[:, 2] + np.array([size / 2 - centre + shift_x, size / 2 - centre + shift_y])
    return np.asarray(pose, np.float64)


def _photograph(surface: Picture, pose: NDArray[np.float64]) -> Picture:
    """size x size x 3, from a surface twice as large."""
    soft = cv2.blur(surface, (OVERSAMPLING + 1, OVERSAMPLING + 1))
    conveyor = tuple(int(value) for value in PALETTE[_CONVEYOR])
    return np.asarray(cv2.warpAffine(soft, pose, (len(surface) // OVERSAMPLING,) * 2, borderValue=conveyor), np.uint8)


def _expose(picture: Picture, rng: np.random.Generator) -> Picture:
    """Uneven light, gain and sensor noise."""
    size = len(picture)
    corners = rng.uniform(0.88, 1.08, (2, 2)).astype(np.float32)
    light = cv2.resize(corners, (size, size), interpolation=cv2.INTER_LINEAR)
    noise = rng.standard_normal((size, size, 1), np.float32) * 2.5 + rng.standard_normal((size, size, 3), np.float32)
    return np.clip(picture * light[:, :, None] + noise, 0, 255).astype(np.uint8)


def _seen(corners: NDArray[np.float64], pose: NDArray[np.float64]) -> Box:
    """The upright box around points of the board, as the picture shows them."""
    points = corners @ pose[:, :2].T + pose[:, 2]
    low, high = points.min(0), points.max(0)
    return Box(*(float(value) for value in (*((low + high) / 2), *(high - low))))


def _pixel(point: NDArray[np.float64]) -> tuple[int, int]:
    return round(float(point[0])), round(float(point[1]))


def _index(point: NDArray[np.float64]) -> tuple[int, int]:
    """Row and column."""
    return round(float(point[1])), round(float(point[0]))

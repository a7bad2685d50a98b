"""The design of a drawn board: what is copper, what is drilled, and the golden picture of it.

Designs are laid out on 640 x 640 and grow with the picture: lengths are 1/640 of the golden picture's side unless a name
says otherwise, each `unit` oversampled pixels long. Masks are square, `canvas` oversampled pixels wide, 0 or 255.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

from linegate.samples.camera import OVERSAMPLING, Picture, photograph, pose_of

Mask = NDArray[np.uint8]

SIZE: Final = 640
MARGIN: Final = 22
Colour = tuple[int, int, int]  # RGB
_CONVEYOR, _MASK, _COPPER, _PAD, _HOLE, _SILK = range(6)
# Bits above the ground's kind; a table of all their combinations colours a board in one pass.
_IS_COPPER, _IS_PAD, _IS_HOLE = 8, 16, 32
CONVEYOR: Final[Colour] = (44, 45, 48)
_DRILLED: Final[Colour] = (22, 20, 20)
_WHITE_PRINT: Final[Colour] = (222, 226, 216)
_BLACK_PRINT: Final[Colour] = (34, 34, 36)
PRINT: Final = (("LINEGATE  DEMO BOARD", (190, 606)), ("A1", (560, 606)))  # each text and where it begins


@dataclass(frozen=True, slots=True)
class Palette:
    """The colours of a board's materials; `copper` is copper below the mask, `bare` what finishes the bare pads."""

    mask: Colour = (16, 88, 46)
    copper: Colour = (52, 148, 84)
    bare: Colour = (214, 178, 104)
    silk: Colour = _WHITE_PRINT

    def seen(self) -> Picture:
        """256 x 1 x 3: what is seen of each combination of the ground's kind and the bits; the topmost layer wins."""
        colours = np.array([CONVEYOR, self.mask, self.copper, self.bare, _DRILLED, self.silk], np.uint8)
        code = np.arange(256)
        kinds = np.minimum(code & 7, len(colours) - 1)
        kinds[(code & _IS_COPPER) > 0] = _COPPER
        kinds[(code & _IS_COPPER > 0) & (code & _IS_PAD > 0)] = _PAD
        kinds[(code & _IS_HOLE) > 0] = _HOLE
        return np.asarray(colours[kinds][:, None], np.uint8)


# Mask, copper below it, print
MASKS: Final[Mapping[str, tuple[Colour, Colour, Colour]]] = {
    "green": ((16, 88, 46), (52, 148, 84), _WHITE_PRINT),
    "red": ((122, 18, 24), (166, 46, 42), _WHITE_PRINT),
    "blue": ((14, 46, 112), (32, 82, 158), _WHITE_PRINT),
    "black": ((26, 27, 30), (50, 50, 52), _WHITE_PRINT),
    "white": ((216, 218, 214), (194, 194, 184), _BLACK_PRINT),  # the one below which copper is darker
    "yellow": ((186, 148, 22), (216, 182, 58), _BLACK_PRINT),
}
FINISHES: Final[Mapping[str, Colour]] = {"copper": (196, 118, 74), "tin": (196, 198, 200), "gold": (214, 178, 104)}


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
class Design:
    """The design of a board: what is copper, what is drilled, and the golden picture of it."""

    tracks: tuple[Track, ...]
    pads: tuple[Pad, ...]
    size: int = SIZE  # side of the golden picture in pixels
    palette: Palette = Palette()

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
        return drilled_copper(self.conductors, self.holes)

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
        return photograph(self.surface(self.conductors, self.holes), pose_of(self.size, 0, 0, 0, 1), CONVEYOR)

    @cached_property
    def bare_ground(self) -> Mask:
        """The ground without print."""
        kinds = np.full((self.canvas,) * 2, _CONVEYOR, np.uint8)
        edge = round(MARGIN * self.unit)
        kinds[edge:-edge, edge:-edge] = _MASK
        return kinds

    @cached_property
    def ground(self) -> Mask:
        """What lies where there is no copper: the number of its colour instead of 0 or 255."""
        return self.printed(0, 0)

    def printed(self, across: float, down: float) -> Mask:
        """The ground with its print this far from where it belongs."""
        kinds = self.bare_ground.copy()
        scale, stroke = self.unit / OVERSAMPLING, round(self.unit)
        for text, (x, y) in PRINT:
            spot = self.pixel(x + across, y + down)
            cv2.putText(kinds, text, spot, cv2.FONT_HERSHEY_SIMPLEX, scale, _SILK, stroke, cv2.LINE_8)
        return kinds

    def surface(
        self, conductors: Mask, holes: Mask, ground: Mask | None = None, palette: Palette | None = None
    ) -> Picture:
        """The board as the camera would see it without any optics, on its own ground and in its own colours if not said
        otherwise; canvas x canvas x 3."""
        ground = self.ground if ground is None else ground
        code = ground | (conductors & _IS_COPPER) | (self.pad_area & _IS_PAD) | (holes & _IS_HOLE)
        return np.asarray(cv2.applyColorMap(code, (palette or self.palette).seen()), np.uint8)

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


def golden_board(seed: int, size: int = SIZE, *, mask: str = "green", finish: str = "gold") -> Design:
    """A board design; the same seed draws the same board, whatever the size of its picture and its colours.

    `mask` is one of MASKS, `finish` of the bare pads one of FINISHES. Raises ValueError for others, and for less than 640
    pixels: defects would be too small to be seen.
    """
    for what, name, known in (("mask", mask, MASKS), ("finish", finish, FINISHES)):
        if name not in known:
            raise ValueError(f"there is no {what} {name!r}; there is {', '.join(known)}")
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
    below, covered, silk = MASKS[mask]
    return Design(tuple(tracks), tuple(pads), size, Palette(below, covered, FINISHES[finish], silk))


def drilled_copper(conductors: Mask, holes: Mask) -> Mask:
    return np.asarray(cv2.bitwise_and(conductors, cv2.bitwise_not(holes)), np.uint8)

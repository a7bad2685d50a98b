"""Components as they are drawn: each a patch with its shape, to be put on a surface in any pose.

Lengths are in pixels of the picture; patches are oversampled as surfaces are. Good ones differ from piece to piece: in the
print of a date or a serial number, in tone, and a little in where they lie.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from linegate.samples.camera import OVERSAMPLING, Picture

Colour = Sequence[int]  # RGB
TIN: Colour = (188, 190, 192)
BLACK: Colour = (34, 34, 37)


@dataclass(frozen=True, slots=True)
class Component:
    """`patch` is height x width x 3, RGB; `shape` is 255 where it covers what lies below, of the same height and width."""

    patch: Picture
    shape: NDArray[np.uint8]


class Pen:
    """Draws on one patch, in pixels of the picture from its centre."""

    def __init__(self, width: float, height: float) -> None:
        self._size = (round(height * OVERSAMPLING), round(width * OVERSAMPLING))
        self.patch: Picture = np.zeros((*self._size, 3), np.uint8)
        self.shape: NDArray[np.uint8] = np.zeros(self._size, np.uint8)

    def at(self, x: float, y: float) -> tuple[int, int]:
        return round(self._size[1] / 2 + x * OVERSAMPLING), round(self._size[0] / 2 + y * OVERSAMPLING)

    def box(self, x: float, y: float, width: float, height: float, colour: Colour) -> None:
        """A filled rectangle around (x, y)."""
        corners = self.at(x - width / 2, y - height / 2), self.at(x + width / 2, y + height / 2)
        cv2.rectangle(self.patch, *corners, tuple(colour), -1)
        cv2.rectangle(self.shape, *corners, (255,), -1)

    def disc(self, x: float, y: float, radius: float, colour: Colour) -> None:
        cv2.circle(self.patch, self.at(x, y), round(radius * OVERSAMPLING), tuple(colour), -1, cv2.LINE_AA)
        cv2.circle(self.shape, self.at(x, y), round(radius * OVERSAMPLING), (255,), -1)

    def line(self, start: tuple[float, float], end: tuple[float, float], width: float, colour: Colour) -> None:
        """On what is drawn already: it covers nothing new."""
        stroke = max(1, round(width * OVERSAMPLING))
        cv2.line(self.patch, self.at(*start), self.at(*end), tuple(colour), stroke, cv2.LINE_AA)

    def write(self, text: str, x: float, y: float, height: float, colour: Colour) -> None:
        """A line of print whose middle is (x, y)."""
        scale = height * OVERSAMPLING / 22
        stroke = max(1, round(scale * 1.6))
        (width, _), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, stroke)
        left, baseline = self.at(x, y + height / 2)
        origin = (left - width // 2, baseline)
        cv2.putText(self.patch, text, origin, cv2.FONT_HERSHEY_SIMPLEX, scale, tuple(colour), stroke, cv2.LINE_AA)

    @property
    def component(self) -> Component:
        return Component(self.patch, self.shape)


def put(surface: Picture, component: Component, x: float, y: float, degrees: float = 0.0) -> NDArray[np.float64]:
    """Lay a component on the surface, centre on (x, y) in pixels of the picture, turned anticlockwise.

    Returns the 4 x 2 corners of the patch, oversampled.
    """
    height, width = component.shape.shape
    pose = np.asarray(cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0), np.float64)
    pose[:, 2] += (x * OVERSAMPLING - width / 2, y * OVERSAMPLING - height / 2)
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float64) @ pose[:, :2].T + pose[:, 2]
    left, top = np.floor(corners.min(0)).astype(int).clip(0)
    right, bottom = np.ceil(corners.max(0)).astype(int) + 1
    window = surface[top:bottom, left:right]
    pose[:, 2] -= (left, top)
    size = (window.shape[1], window.shape[0])
    patch = cv2.warpAffine(component.patch, pose, size, borderMode=cv2.BORDER_REPLICATE)
    alpha = cv2.warpAffine(component.shape, pose, size)[..., None].astype(np.float32) / 255
    window[:] = np.round(window * (1 - alpha) + patch * alpha).astype(np.uint8)
    return np.asarray(corners, np.float64)


def toned(colour: Colour, rng: np.random.Generator, by: float = 4.0) -> Colour:
    """The colour as one piece has it: all channels a little lighter or darker together."""
    return tuple(int(value) for value in np.clip(np.array(colour) + rng.normal(0, by), 0, 255))


def chip(rng: np.random.Generator, side: float, print_: str, pins: int) -> Component:
    """A square one with pins on all sides, a dot at pin 1 and two lines of print: what it is, and when it was made."""
    pen = Pen(side + 14, side + 14)
    for pin in range(pins):
        along = (pin - (pins - 1) / 2) * (side - 14) / (pins - 1)
        for x, y, wide, high in (
            (along, -side / 2, 4, 12),
            (along, side / 2, 4, 12),
            (-side / 2, along, 12, 4),
            (side / 2, along, 12, 4),
        ):
            pen.box(x, y, wide, high, TIN)
    pen.box(0, 0, side, side, toned(BLACK, rng))
    _print(pen, rng, print_, side, 0.0)
    pen.disc(-side / 2 + 10, -side / 2 + 10, 4, (150, 150, 148))
    return pen.component


def small_chip(rng: np.random.Generator, width: float, height: float, print_: str, pins: int) -> Component:
    """One with pins on two sides; a dot at pin 1."""
    pen = Pen(width, height + 16)
    for pin in range(pins):
        along = (pin - (pins - 1) / 2) * (width - 14) / (pins - 1)
        for y in (-height / 2, height / 2):
            pen.box(along, y, 5, 14, TIN)
    pen.box(0, 0, width, height, toned(BLACK, rng))
    _print(pen, rng, print_, height, 3.0)
    pen.disc(-width / 2 + 8, height / 2 - 8, 3.5, (150, 150, 148))
    return pen.component


def _print(pen: Pen, rng: np.random.Generator, text: str, height: float, x: float) -> None:
    ink = toned((168, 168, 164), rng, 8)
    size = min(13.0, height / 4.5)
    pen.write(text, x, -size, size, ink)
    pen.write(f"{rng.integers(20, 27)}{rng.integers(10, 53)}", x, size, size * 0.8, ink)


def ceramic(rng: np.random.Generator, length: float, width: float, body: Colour) -> Component:
    """A capacitor or a resistor: a body between two ends of tin. It looks the same turned by 180°."""
    pen = Pen(length, width)
    pen.box(0, 0, length, width, TIN)
    pen.box(0, 0, length * 0.58, width, toned(body, rng))
    return pen.component


def electrolytic(rng: np.random.Generator, radius: float) -> Component:
    """A can on a square base: a black segment marks its minus."""
    pen = Pen(2 * radius + 8, 2 * radius + 8)
    pen.box(0, 0, 2 * radius + 6, 2 * radius + 6, BLACK)
    pen.disc(0, 0, radius, toned((198, 200, 204), rng))
    segment = pen.at(0, 0), (round(radius * OVERSAMPLING * 0.94),) * 2
    cv2.ellipse(pen.patch, *segment, 0, 125, 235, BLACK, -1, cv2.LINE_AA)
    cv2.ellipse(pen.patch, pen.at(0, 0), (round(radius * OVERSAMPLING * 0.5),) * 2, 0, 0, 360, (204, 206, 208), -1)
    pen.write("47", 3, 0, 9, (70, 70, 74))
    return pen.component


def diode(rng: np.random.Generator, length: float, width: float, body: Colour = BLACK) -> Component:
    """A band marks its cathode."""
    pen = Pen(length + 16, width)
    pen.box(0, 0, length + 14, width * 0.5, TIN)
    pen.box(0, 0, length, width, toned(body, rng))
    pen.box(-length / 2 + 9, 0, 5, width, (200, 200, 196))
    return pen.component


def connector(rng: np.random.Generator, length: float, width: float, ways: int) -> Component:
    """A row of contacts in white plastic; a notch in one long side shows which way round it goes."""
    pen = Pen(length, width)
    pen.box(0, 0, length, width, toned((222, 220, 208), rng))
    for way in range(ways):
        pen.box((way - (ways - 1) / 2) * (length - 20) / (ways - 1), 2, 8, 10, (66, 62, 52))
    pen.box(0, -width / 2 + 4, length * 0.3, 7, (120, 116, 104))
    return pen.component


def screw(rng: np.random.Generator, radius: float) -> Component:
    """A head with a cross slot, which stands at any angle."""
    pen = Pen(2 * radius + 4, 2 * radius + 4)
    pen.disc(0, 0, radius, toned((176, 178, 182), rng))
    pen.disc(0, 0, radius * 0.82, toned((206, 208, 212), rng))
    angle = rng.uniform(0, np.pi / 2)
    for turned in (angle, angle + np.pi / 2):
        x, y = radius * 0.55 * np.cos(turned), radius * 0.55 * np.sin(turned)
        pen.line((-x, -y), (x, y), 3.5, (58, 58, 62))
    return pen.component


def label(rng: np.random.Generator, width: float, height: float) -> Component:
    """A sticker with a line of print that is always the same, and a barcode and a number that never are."""
    pen = Pen(width, height)
    pen.box(0, 0, width, height, toned((232, 232, 226), rng))
    pen.write("LINEGATE", 0, -height / 2 + 10, 10, (40, 40, 44))
    at = -width / 2 + 10.0
    while at < width / 2 - 10:
        wide = float(rng.choice([1.5, 3.0]))
        pen.line((at, -2), (at, height / 2 - 16), wide, (40, 40, 44))
        at += wide + float(rng.choice([2.0, 3.5]))
    pen.write(f"{rng.integers(10**7, 10**8)}", 0, height / 2 - 7, 8, (60, 60, 64))
    return pen.component

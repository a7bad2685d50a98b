"""Zones proposed from a golden picture: what stands out from the ground, one zone for each thing.

The ground is the commonest colour of the product; things are what differs from it and has edges. It is a draft for a person to
name and to prune: print and holes stand out as well.
"""

from dataclasses import dataclass
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from linegate.adapters.assembly.judging import QUARTERS, blindness
from linegate.adapters.assembly.matching import alike
from linegate.adapters.assembly.sections import AssemblyZone, Turn
from linegate.adapters.assembly.views import Sheet
from linegate.sections import Zone

Picture = NDArray[np.uint8]  # height x width x 3, RGB

# Longer side, in pixels, at which things are looked for
SIDE: Final = 480
# Bits of a channel by which colours are counted
BITS: Final = 3
# Grey levels to the colour of the ground from which on it is something else
APART: Final = 40.0
# Part of the picture beyond the product; with more, it is the product's own ground that reaches the border
MOST_BEYOND: Final = 0.6
# Pixels: gaps that one thing may have, and what is too thin to be one
GAP, THIN = 7, 7
# Parts of the picture: the smallest and the largest thing, and the longer side of one; and how much of its box it fills at least
SMALLEST, LARGEST, LONGEST, FILLED = 0.0007, 0.15, 0.5, 0.35
# Parts of a thing's sides that its zone leaves around it
MARGIN: Final = 0.08
# From here on a golden zone looks the same turned
SAME: Final = 0.93
MOST: Final = 100


@dataclass(frozen=True, slots=True)
class Proposed:
    """Zones by which a recipe can begin, from the upper left one, and why nothing can be said about some of the things."""

    zones: tuple[AssemblyZone, ...]
    blind: tuple[str, ...]


def propose(golden: Picture) -> Proposed:
    """The things on a golden picture. Up to a hundred, the largest ones."""
    sheet = Sheet.of(golden, golden, None, None)
    boxes = sorted(_things(golden), key=lambda box: -(box[2] - box[0]) * (box[3] - box[1]))[:MOST]
    zones: list[AssemblyZone] = []
    blind: list[str] = []
    for left, top, right, bottom in sorted(boxes, key=lambda box: (round(box[1], 1), box[0])):
        sides = {"left": left, "top": top, "right": right, "bottom": bottom}
        rounded = {side: round(part, 4) for side, part in sides.items()}
        zone = AssemblyZone(name=f"part-{len(zones) + 1}", may_turn=_may_turn(sheet, Zone(**rounded)), **rounded)
        if why := blindness(sheet, zone):
            blind.append(f"what lies at left {left:.2f}, top {top:.2f} {why}")
        else:
            zones.append(zone)
    return Proposed(tuple(zones), tuple(blind))


def _things(golden: Picture) -> list[tuple[float, float, float, float]]:
    """Left, top, right and bottom of each, in parts of the picture, with a margin."""
    scale = min(1.0, SIDE / max(golden.shape[:2]))
    small = cv2.resize(golden, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    smooth = np.asarray(cv2.medianBlur(small, 5), np.uint8)
    beyond = _beyond(smooth)
    apart = np.linalg.norm(smooth - _commonest(smooth[~beyond]), axis=2)
    stands_out = ((apart > APART) & ~beyond).astype(np.uint8)
    mask = cv2.morphologyEx(stands_out, cv2.MORPH_CLOSE, np.ones((GAP, GAP), np.uint8))
    mask = cv2.morphologyEx(mask, cv2.MORPH_OPEN, np.ones((THIN, THIN), np.uint8))
    count, _, statistics, _ = cv2.connectedComponentsWithStats(mask, connectivity=8)
    height, width = mask.shape
    found = []
    for left, top, wide, high, area in statistics[1:count]:
        part = wide * high / (width * height)
        if SMALLEST <= part <= LARGEST and max(wide / width, high / height) <= LONGEST and area >= FILLED * wide * high:
            by = max(2.0, MARGIN * min(wide, high))
            sides = ((left - by) / width, (top - by) / height, (left + wide + by) / width, (top + high + by) / height)
            found.append(tuple(float(np.clip(side, 0, 1)) for side in sides))
    return found  # type: ignore[return-value]


def _beyond(picture: Picture) -> NDArray[np.bool_]:
    """What the product lies on, where it shows: what has the colour of the picture's border and reaches it."""
    border = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    like = (np.linalg.norm(picture - _commonest(border), axis=2) < APART).astype(np.uint8)
    _, labels = cv2.connectedComponents(like)
    reaching = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    found = np.isin(labels, reaching[reaching > 0])
    return found if found.mean() < MOST_BEYOND else np.zeros(found.shape, bool)


def _commonest(colours: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The mean of those that fall into the fullest cell of colours."""
    flat = colours.reshape(-1, 3)
    codes = (flat >> (8 - BITS)).astype(np.int32) @ np.array([1 << 2 * BITS, 1 << BITS, 1])
    return np.asarray(flat[codes == np.bincount(codes).argmax()].mean(axis=0), np.float32)


def _may_turn(sheet: Sheet, zone: Zone) -> Turn:
    """By which turns it looks the same, so that they can't be faults."""
    whole = sheet.view(zone, 8, round_=False)
    height, width = whole.counts.shape
    if min(height, width) < 2 or max(height, width) <= 1.2 * min(height, width):
        round_ = sheet.view(zone, 8, round_=True)
        if min(alike(round_, (turn,), 4.0) for turn in (45.0, 70.0)) > SAME and alike(round_, QUARTERS, 4.0) > SAME:
            return "any"
    return "half" if alike(whole, (180.0,), 4.0) > SAME else "never"


def drawn(golden: Picture, zones: tuple[AssemblyZone, ...]) -> Image.Image:
    """The golden picture with the zones and their names on it."""
    picture = Image.fromarray(golden).convert("RGB")
    pen, (width, height) = ImageDraw.Draw(picture), picture.size
    line = max(1, round(max(width, height) / 500))
    for zone in zones:
        corners = (zone.left * width, zone.top * height, zone.right * width, zone.bottom * height)
        pen.rectangle(corners, outline=(255, 210, 0), width=line)
        pen.text((corners[0] + 2 * line, corners[1] + 2 * line), zone.name, fill=(255, 60, 60))
    return picture

"""How one zone of the golden picture is found again: by its edges, over shift, small angles and turns.

Edges are compared as vectors, each divided by its own length and a little more, so that neither light nor contrast matters.
The score of a pose is their normalised correlation, -1 … 1, in which what good products differ in hardly counts.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, TypeVar

import cv2
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Picture = NDArray[np.uint8]  # height x width x 3, RGB
Grey = NDArray[np.float32]  # height x width
T = TypeVar("T", bound=np.generic)

# Longer sides of a zone, in pixels, at which it is looked for: the first finds it, the others refine what was found within
# so many pixels of the side before
SIDES, NEAR = (32, 56, 96), 1.5
# Degrees: how far off it is looked for and in which steps; each further side halves them
WIDEST, STEP = 12.0, 3.0
# Pixels of blur before edges are taken, and grey levels of an edge that counts half
BLUR, HALF_EDGE = 1.0, 10.0
# Length of such an edge from which its pixel tells a pose
EDGE: Final = 0.4
# Grey levels by which good products differ at a place that counts half, and the part of the contrast there that is added: so
# much do edges of a part differ that lies a little off
HALF_VARIED, LYING_OFF = 12.0, 0.8
# A place with less than this part of the golden zone's edges is taken for one with as many
EMPTY: Final = 0.15


@dataclass(frozen=True, slots=True)
class View:
    """A zone with a margin around it, upright, as the picture and the golden picture show it; `light` is the golden one in the
    light of the picture.

    All are of one size. `margin` is in pixels, on all sides; `varied` in grey levels; `counts` (0 … 1) is what of the zone
    itself, without margin, belongs to it.
    """

    have: Picture
    want: Picture
    light: Picture
    varied: Grey
    margin: int
    counts: Grey

    @property
    def inside(self) -> tuple[slice, slice]:
        """The zone itself."""
        return tuple(slice(self.margin, side - self.margin) for side in self.have.shape[:2])  # type: ignore[return-value]


@dataclass(frozen=True, slots=True)
class Pose:
    """How the zone's content lies: pixels right and down, degrees anticlockwise beyond its `turn`, and how like the golden
    picture it is there.
    """

    score: float
    x: float = 0.0
    y: float = 0.0
    degrees: float = 0.0
    turn: float = 0.0

    @property
    def shift(self) -> float:
        return float(np.hypot(self.x, self.y))


def find(view: View, turns: Sequence[float], reach: float, widest: float = WIDEST) -> Pose:
    """The best pose of the golden zone in the picture, turned by any of `turns` degrees, up to `reach` pixels off.

    It is looked for up to `widest` degrees off each of them.
    """
    search = _Search.at(view, SIDES[0])
    angles = [float(angle) for angle in np.arange(-widest, widest + STEP / 2, STEP)]
    tried = search.best([turn + angle for turn in turns for angle in angles], Pose(0.0), reach)
    at = max(range(len(tried)), key=lambda index: tried[index].score)
    turn, angle, pose, step = turns[at // len(angles)], angles[at % len(angles)], tried[at], STEP
    for side in SIDES[1:]:
        near, step = NEAR / search.scale, step / 2
        search = _Search.at(view, side)
        around = search.best([turn + angle + off for off in (-step, 0.0, step)], pose, near)
        angle += step * _vertex(*(tried.score for tried in around))[0]
        pose = max((*search.best([turn + angle], pose, near), *around), key=lambda tried: tried.score)
    return replace(pose, degrees=angle, turn=turn)


def alike(view: View, turns: Sequence[float], reach: float) -> float:
    """How like itself the golden zone is when turned: 1 for what looks the same either way."""
    return find(replace(view, have=view.want), turns, reach, 0.0).score


def structure(view: View) -> float:
    """How much of the golden zone tells where it lies: pixels of edges, in the direction that has fewer of them.

    Parallel stripes do not say where along them they end: they count nothing.
    """
    along = _edges(view.want)[view.inside] * np.sqrt(view.counts * _weights(view)[view.inside])[..., None]
    along = np.where(np.linalg.norm(along, axis=2, keepdims=True) > EDGE, along, 0)
    across, down = along[..., :3].ravel(), along[..., 3:].ravel()
    mixed = across @ down
    return float(np.linalg.eigvalsh(np.array([[across @ across, mixed], [mixed, down @ down]]))[0])


def _edges(picture: Picture) -> NDArray[np.float32]:
    """Edges as vectors: height x width x 6, across in three channels, then down."""
    smooth = cv2.GaussianBlur(picture.astype(np.float32), (0, 0), BLUR)
    along = np.concatenate([cv2.Scharr(smooth, cv2.CV_32F, *order, scale=1 / 32) for order in ((1, 0), (0, 1))], axis=2)
    length = np.sqrt(np.einsum("hwc,hwc->hw", along, along))[..., None]
    return np.asarray(along / (length + HALF_EDGE), np.float32)


def _weights(view: View) -> Grey:
    """What each place counts by how much more good products differ there than a part that lies a little off explains."""
    near = np.ones((5, 5), np.uint8)
    level = view.want.max(axis=2)
    contrast = cv2.subtract(cv2.dilate(level, near), cv2.erode(level, near)).astype(np.float32)
    excess = cv2.dilate(view.varied, near) / (HALF_VARIED + LYING_OFF * contrast)
    return np.asarray(1 / (1 + excess**2), np.float32)


@dataclass(frozen=True, slots=True)
class _Search:
    """One zone at one scale: the edges of the picture, and what the golden picture shows and how much of it counts."""

    scale: float
    inside: tuple[slice, slice]
    along: NDArray[np.float32]  # 6 x height x width
    want: Picture
    counts: Grey

    @classmethod
    def at(cls, view: View, side: int) -> "_Search":
        """Reduced so that the longer side of the zone has `side` pixels at most."""
        scale = min(1.0, side / max(view.counts.shape))
        counts = np.zeros(view.want.shape[:2], np.float32)
        counts[view.inside] = view.counts * _weights(view)[view.inside]
        rows, columns = (slice(round(one.start * scale), round(one.stop * scale)) for one in view.inside)
        along = np.ascontiguousarray(np.moveaxis(_edges(_scaled(view.have, scale)), 2, 0))
        return cls(scale, (rows, columns), along, _scaled(view.want, scale), _scaled(counts, scale))

    def best(self, angles: Sequence[float], near: Pose, reach: float) -> list[Pose]:
        """For each angle the best pose within `reach` pixels of `near`, between whole pixels."""
        turned = [self._turned(angle) for angle in angles]
        weights = np.stack([weight for _, weight in turned], axis=-1)  # height x width x angles
        templates = np.stack([template * weight for template, weight in turned], axis=-1)
        own = [float(np.einsum("chw,chw,hw->", template, template, weight)) for template, weight in turned]
        height, width = weights.shape[:2]
        room = max(1, round(reach * self.scale))
        rows, top = _window(self.inside[0].start + near.y * self.scale, height, room, self.along.shape[1])
        columns, left = _window(self.inside[1].start + near.x * self.scale, width, room, self.along.shape[2])
        # Every place at once, as one product of matrices: places x edges by edges x angles
        along = np.ascontiguousarray(self.along[:, rows, columns])
        places = np.moveaxis(sliding_window_view(along, (height, width), axis=(1, 2)), 0, 2)  # type: ignore[call-overload]
        product = _product(places, templates)
        other = _product(sliding_window_view(np.einsum("chw,chw->hw", along, along), (height, width)), weights)
        # An empty place is like nothing: it must not be divided by next to nothing.
        mine = np.array(own, np.float32) + 1e-6
        scores = product / np.sqrt(mine * np.maximum(other, EMPTY * mine))
        return [
            self._pose(scores[..., index], left - self.inside[1].start, top - self.inside[0].start)
            for index in range(len(angles))
        ]

    def _pose(self, scores: Grey, left: float, top: float) -> Pose:
        """Where the best of the scores lies, of which the first belongs to the shift (left, top) in pixels of this scale."""
        row, column = (int(at) for at in np.unravel_index(int(scores.argmax()), scores.shape))
        beyond_x, gain_x = _around(scores[row], column)
        beyond_y, gain_y = _around(scores[:, column], row)
        return Pose(
            min(1.0, float(scores[row, column]) + gain_x + gain_y),
            (left + column + beyond_x) / self.scale,
            (top + row + beyond_y) / self.scale,
        )

    def _turned(self, degrees: float) -> tuple[NDArray[np.float32], Grey]:
        """The edges of the golden zone turned around its middle (6 x height x width), and what each of its pixels counts."""
        want, counts = self.want, self.counts
        if degrees:
            height, width = counts.shape
            pose = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1.0)
            want = np.asarray(cv2.warpAffine(want, pose, (width, height), borderMode=cv2.BORDER_REPLICATE), np.uint8)
            counts = np.asarray(cv2.warpAffine(counts, pose, (width, height)), np.float32)
        return np.moveaxis(_edges(want)[self.inside], 2, 0), counts[self.inside]


def _product(places: NDArray[np.float32], templates: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows x columns x ... by ... x angles. OpenCV's, for NumPy's takes threads of its own while other workers want the cores."""
    few = templates.reshape(-1, templates.shape[-1])
    product = cv2.gemm(places.reshape(-1, len(few)), few, 1, None, 0)  # type: ignore[call-overload]
    return np.asarray(product, np.float32).reshape(*places.shape[:2], -1)


def _window(start: float, side: int, room: int, whole: int) -> tuple[slice, int]:
    """Where a template of this side is looked for, `room` pixels to both sides of `start`, inside the whole."""
    first = min(max(0, round(start) - room), whole - side)
    return slice(first, min(whole, round(start) + room + side)), first


def _scaled(picture: NDArray[T], scale: float) -> NDArray[T]:
    if scale == 1.0:
        return picture
    small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)  # type: ignore[arg-type]
    return np.asarray(small, picture.dtype)


def _around(scores: Grey, at: int) -> tuple[float, float]:
    """Where between its neighbours the best score lies, and how much better it is there."""
    if not 0 < at < len(scores) - 1:
        return 0.0, 0.0
    return _vertex(*(float(score) for score in scores[at - 1 : at + 2]))


def _vertex(before: float, here: float, after: float) -> tuple[float, float]:
    """Of the parabola through three values one step apart: how far its top lies from the middle, and above it."""
    bend = before - 2 * here + after
    if bend >= 0:
        return 0.0, 0.0
    off = float(np.clip((before - after) / (2 * bend), -1, 1))
    return off, max(0.0, -((before - after) ** 2) / (8 * bend))

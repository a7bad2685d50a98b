"""Edges to parts of a pixel: where the mean of a strip of the picture rises or falls most steeply.

A band is cut into strips; the pixels of each are averaged across, which leaves its profile. The profile is smoothed with a
Gaussian as wide as the edge itself, for which its derivative is the best estimator of a blurred step in white noise, and the
place of the steepest slope is the vertex of a parabola through the logarithm of three slopes: exact where blur is Gaussian.
"""

from dataclasses import dataclass
from typing import Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from linegate.adapters.measure import fits
from linegate.adapters.measure.geometry import Band, Line, Ring, UnmeasurableError

Plane = NDArray[np.float32]  # height x width, grey levels
Profiles = NDArray[np.float64]  # length x strips
Polarity = Literal["any", "to_dark", "to_bright"]
Take = Literal["strongest", "first", "last"]

SHORTEST, NARROWEST = 8, 6  # pixels of a band
STRIP: Final = 4  # pixels across; narrower strips are noisy, wider ones smear an edge that is not square to the band
FEWEST, MOST = 3, 32  # strips
SMOOTH: Final = 1.0  # pixels, to find edges with
SHARPEST, SOFTEST = 0.8, 4.0  # pixels of blur that smoothing is fitted to
ROUNDS, CLOSE = 4, 0.1  # in which smoothing is fitted to the blur, until it is so close
CLIMB, REACH = 3, 6  # samples that a vertex is followed in a round, and in all
LOBE: Final = 0.1  # of its steepest slope: so far an edge reaches to both sides
WIDEST: Final = 15.0  # pixels over which an edge may rise
RIVAL: Final = 0.8  # of the strongest edge: one that is as strong may be meant as well
RIVALS, FOUND = 0.5, 0.6  # parts of the strips: so many rivals are too many; so many edges are needed
WHOLE: Final = 0.95  # part of the rays that must show a rim whose roundness is asked for
STRONGEST: Final = 24  # edges of a profile that are looked at for a pair
SIGNS: Final = {"any": (1, -1), "to_bright": (1,), "to_dark": (-1,)}


@dataclass(frozen=True, slots=True)
class Candidate:
    """An edge on one profile: between which samples, by how many grey levels, up (1) or down (-1)."""

    index: int
    rise: float
    sign: int


def find(plane: Plane, band: Band, polarity: Polarity, take: Take, contrast: float, scatter: float) -> Line:
    """The line through the edge that each strip of the band shows. Raises UnmeasurableError."""
    across, profiles = cut(plane, band)
    slopes = _slopes(profiles, SMOOTH)
    chosen = [_choose(_candidates(column, contrast), polarity, take) for column in slopes.T]
    _enough(sum(one is not None for one, _ in chosen), len(chosen), contrast, band)
    _unrivalled(sum(rival for _, rival in chosen), len(chosen), band)
    there = np.array([one is not None for one, _ in chosen])
    places = _places(profiles[:, there], [one for one, _ in chosen if one is not None])
    return _line(across[there], places, band, len(chosen), scatter)


def find_pair(
    plane: Plane, band: Band, between: Literal["any", "dark", "bright"], contrast: float, scatter: float
) -> tuple[Line, Line]:
    """The lines through the two opposite edges that each strip of the band shows. Raises UnmeasurableError."""
    across, profiles = cut(plane, band)
    first_signs = {"any": (1, -1), "bright": (1,), "dark": (-1,)}[between]
    found = [_pair(_candidates(column, contrast), first_signs) for column in _slopes(profiles, SMOOTH).T]
    pairs = [pair for pair, _ in found]
    kept = [pair is not None for pair in pairs]
    _enough(sum(kept), len(pairs), contrast, band, "two opposite edges")
    _unrivalled(sum(rival for _, rival in found), len(pairs), band)
    there = np.array(kept)
    known = [pair for pair in pairs if pair is not None]
    gap = float(np.median([last.index - first.index for first, last in known]))
    sides = [_places(profiles[:, there], [pair[side] for pair in known], gap) for side in (0, 1)]
    first, last = (_line(across[there], places, band, len(pairs), scatter) for places in sides)
    return first, last


def find_ring(
    plane: Plane,
    band: Band,
    inside: float,
    look: Literal["out", "in"],
    polarity: Polarity,
    take: Take,
    contrast: float,
    scatter: float,
) -> Ring:
    """The circle through the edges around the middle of the band. Raises UnmeasurableError."""
    outer = min(band.length, band.width) / 2
    radii = np.arange(max(1.0, inside * outer), outer, 1.0)
    if radii.size < SHORTEST:
        raise UnmeasurableError(f"the zone leaves {radii.size} pixels to look for a circle in", band.outline)
    _within(plane, band)
    rays = int(np.clip(2 * np.pi * outer / STRIP, 24, 128))
    fine = 3  # rays that are averaged into one
    angles = 2 * np.pi * (np.arange(rays * fine) - (fine - 1) / 2) / (rays * fine)
    x = band.centre[0] + radii[:, None] * np.cos(angles)
    y = band.centre[1] + radii[:, None] * np.sin(angles)
    profiles = _sampled(plane, x, y).reshape(radii.size, rays, fine).mean(axis=2)
    if look == "in":
        profiles = profiles[::-1]
    slopes = _slopes(profiles, SMOOTH)
    chosen = [_choose(_candidates(column, contrast), polarity, take) for column in slopes.T]
    _enough(sum(one is not None for one, _ in chosen), rays, contrast, band)
    _unrivalled(sum(rival for _, rival in chosen), rays, band)
    there = np.array([one is not None for one, _ in chosen])
    places = _places(profiles[:, there], [one for one, _ in chosen if one is not None]) + (radii.size - 1) / 2
    at = radii[0] + places if look == "out" else radii[-1] - places
    middles = 2 * np.pi * np.arange(rays)[there] / rays
    points = band.centre + at[:, None] * np.stack([np.cos(middles), np.sin(middles)], axis=1)
    fit = fits.circle(points)
    _fits(fit, rays, scatter, band, "circle")
    # Of all its points, strays as well: a bite out of the rim is what roundness is about.
    from_centre = np.hypot(*(points - fit.values[:2]).T)
    whole = len(points) >= WHOLE * rays
    centre_u, radius_u = float(np.hypot(*fit.u[:2])), float(fit.u[2])
    return Ring(
        fit.values[:2], float(fit.values[2]), centre_u, radius_u, float(np.ptp(from_centre)) if whole else np.nan
    )


def cut(plane: Plane, band: Band) -> tuple[NDArray[np.float64], Profiles]:
    """Where the strips lie across the band, from its middle, and their profiles along it. Raises UnmeasurableError."""
    if band.length < SHORTEST or band.width < NARROWEST:
        raise UnmeasurableError(
            f"its zone is {band.length} pixels long and {band.width} wide; {SHORTEST} and {NARROWEST} are needed",
            band.outline,
        )
    _within(plane, band)
    along = np.arange(band.length, dtype=np.float64) - (band.length - 1) / 2
    across = np.arange(band.width, dtype=np.float64) - (band.width - 1) / 2
    strips = np.array_split(across, int(np.clip(band.width // STRIP, FEWEST, MOST)))
    profiles = [_profile(plane, band, along, strip) for strip in strips]
    return np.array([strip.mean() for strip in strips]), np.stack(profiles, axis=1)


def _profile(plane: Plane, band: Band, along: NDArray[np.float64], strip: NDArray[np.float64]) -> NDArray[np.float64]:
    """The means across one strip of a band."""
    x, y = (
        middle + along[:, None] * way + strip * side
        for middle, way, side in zip(band.centre, band.along, band.across, strict=True)
    )
    return np.asarray(_sampled(plane, x, y).mean(axis=1), np.float64)


def _within(plane: Plane, band: Band) -> None:
    corners, (height, width) = np.array(band.outline), plane.shape
    if (corners < -1).any() or (corners > np.array([width, height]) + 1).any():
        raise UnmeasurableError("its zone reaches beyond the picture", band.outline)


def _sampled(plane: Plane, x: NDArray[np.float64], y: NDArray[np.float64]) -> Profiles:
    """The plane between its pixels. OpenCV's own remap knows only 32 places between two of them."""
    height, width = plane.shape
    x, y = np.clip(x - 0.5, 0, width - 1), np.clip(y - 0.5, 0, height - 1)
    left, top = (np.minimum(np.floor(each).astype(int), side - 2) for each, side in ((x, width), (y, height)))
    u, v = x - left, y - top
    if not (u % 1).any() and not (v % 1).any():  # on whole pixels
        return np.asarray(plane[y.astype(int), x.astype(int)], np.float64)
    upper = plane[top, left] * (1 - u) + plane[top, left + 1] * u
    lower = plane[top + 1, left] * (1 - u) + plane[top + 1, left + 1] * u
    return np.asarray(upper * (1 - v) + lower * v, np.float64)


def _slopes(profiles: Profiles, smooth: float) -> Profiles:
    """Grey levels from each sample of the smoothed profiles to the next."""
    size = 2 * int(np.ceil(4 * smooth)) + 1
    kernel = cv2.getGaussianKernel(size, smooth)
    smoothed = cv2.sepFilter2D(profiles, cv2.CV_64F, np.ones(1), kernel, borderType=cv2.BORDER_REPLICATE)
    return np.diff(np.asarray(smoothed, np.float64), axis=0)


def _candidates(slopes: NDArray[np.float64], contrast: float) -> list[Candidate]:
    """The edges of one profile that rise or fall by `contrast` at least, in the order in which they are met."""
    found = []
    for sign in (1, -1):
        steep = sign * slopes
        peaks = np.flatnonzero(
            (steep[1:-1] > steep[:-2]) & (steep[1:-1] >= steep[2:]) & (steep[1:-1] > contrast / WIDEST)
        )
        for index in peaks + 1:
            flat = np.flatnonzero(steep < LOBE * steep[index])
            start, end = np.searchsorted(flat, index), flat.size
            first = flat[start - 1] + 1 if start else 0
            last = flat[start] if start < end else steep.size
            rise = float(steep[first:last].sum())
            # Noise on one slope has several vertices: the steepest of them is the edge's.
            if rise >= contrast and steep[index] >= steep[first:last].max():
                found.append(Candidate(int(index), rise, sign))
    return sorted(found, key=lambda one: one.index)


def _choose(candidates: list[Candidate], polarity: Polarity, take: Take) -> tuple[Candidate | None, bool]:
    """The edge that is meant, and whether there is another one about as strong."""
    meant = [one for one in candidates if one.sign in SIGNS[polarity]]
    if not meant:
        return None, False
    if take != "strongest":
        return meant[0 if take == "first" else -1], False
    order = sorted(meant, key=lambda one: -one.rise)
    return order[0], len(order) > 1 and order[1].rise > RIVAL * order[0].rise


def _pair(candidates: list[Candidate], first_signs: tuple[int, ...]) -> tuple[tuple[Candidate, Candidate] | None, bool]:
    """Of two opposite edges in this order, those of which the weaker one is the strongest; and whether two others are, too."""
    strong = sorted(sorted(candidates, key=lambda one: -one.rise)[:STRONGEST], key=lambda one: one.index)
    pairs = [
        (first, last)
        for number, first in enumerate(strong)
        for last in strong[number + 1 :]
        if first.sign in first_signs and last.sign == -first.sign
    ]
    rises = sorted((min(first.rise, last.rise) for first, last in pairs), reverse=True)
    best = max(pairs, key=lambda pair: min(pair[0].rise, pair[1].rise), default=None)
    return best, len(rises) > 1 and rises[1] > RIVAL * rises[0]


def _places(profiles: Profiles, edges: list[Candidate], gap: float = np.inf) -> NDArray[np.float64]:
    """Where these edges lie, one on each profile, from the middle; `gap` is how near another edge of the same thing is."""
    index = np.array([edge.index for edge in edges])
    sign = np.array([edge.sign for edge in edges])
    smooth, column, start = SMOOTH, np.arange(index.size), index
    fine = index.astype(np.float64)
    for _ in range(ROUNDS):
        slopes = _slopes(profiles, smooth) * sign
        for _ in range(CLIMB):  # smoothing moves the vertex on a slope that is not even
            at = np.clip(index, 1, len(slopes) - 2)
            up = slopes[at + 1, column] > slopes[at, column]
            down = slopes[at - 1, column] > slopes[at, column]
            index = np.where(np.abs(at - start) < REACH, at + up.astype(int) - (down & ~up), at)
        fine, variance = _vertices(slopes, index, max(1, round(smooth)))
        blur = float(np.sqrt(max(0.0, float(np.median(variance)) - smooth**2)))
        wanted = float(np.clip(min(blur, gap / 4), SHARPEST, SOFTEST))
        if abs(wanted - smooth) < CLOSE:
            break
        smooth = wanted
    return fine + 0.5 - (len(profiles) - 1) / 2


def _vertices(slopes: Profiles, index: NDArray[np.int_], apart: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The vertex and the variance of the Gaussian through three slopes of each profile, `apart` samples apart."""
    at, column = np.clip(index, apart, len(slopes) - 1 - apart), np.arange(index.size)
    before, here, after = (np.log(np.maximum(slopes[at + step, column], 1e-6)) for step in (-apart, 0, apart))
    bend = np.minimum((before - 2 * here + after) / apart**2, -1e-6)
    shift = np.clip((before - after) / (2 * apart * bend), -apart, apart)
    return at + shift, np.minimum(-1 / bend, WIDEST**2)


def _enough(found: int, strips: int, contrast: float, band: Band, what: str = "an edge") -> None:
    if found < max(FEWEST, FOUND * strips):
        raise UnmeasurableError(
            f"only {found} of {strips} strips show {what} of {contrast:g} grey levels (contrast)", band.outline
        )


def _unrivalled(rivals: int, strips: int, band: Band) -> None:
    if rivals > RIVALS * strips:
        raise UnmeasurableError(
            "two edges are about as strong; narrow the zone, or say which is meant (polarity, take, between)",
            band.outline,
        )


def _line(across: NDArray[np.float64], places: NDArray[np.float64], band: Band, strips: int, scatter: float) -> Line:
    fit = fits.line(across, places)
    _fits(fit, strips, scatter, band, "line")
    offset, slope = fit.values
    length = float(np.hypot(1.0, slope))
    direction = (band.across + slope * band.along) / length
    return Line(
        band.at(float(offset), 0.0),
        direction,
        band.width / 2 * length,
        float(fit.u[0]) / length,
        float(fit.u[1]) / length**2,
    )


def _fits(fit: fits.Fit, asked: int, scatter: float, band: Band, shape: str) -> None:
    if fit.scatter > scatter:
        raise UnmeasurableError(
            f"its points scatter by {fit.scatter:.1f} pixels about a {shape} (scatter is {scatter:g})", band.outline
        )
    if fit.counting < FOUND * asked:
        raise UnmeasurableError(f"only {fit.counting} of {asked} points lie on one {shape}", band.outline)

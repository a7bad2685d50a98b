"""The input gate: can anything be seen on this picture, before anybody is asked what?

A detector that looks at a black, blurred or tiny picture finds nothing, which reads like a clean board. So each picture
is measured first and held against the golden picture, or against what the recipe allows where there is none. Pillow
only, and registration is not needed: what is compared holds for boards that lie a little differently.
"""

import math
from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate
from operator import mul
from typing import TYPE_CHECKING, Final

from PIL import Image, ImageChops

from linegate.inspection import Figures
from linegate.sections import Limits
from linegate.shapes import Box, whereabouts

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

# Pictures whose shorter side has twice this many pixels are measured at half their size, and so on.
MEASURED_SIDE: Final = 900
# Tiles along each side: for what is hidden, and for where it is out of focus.
TILES, CELLS = 16, 8
# Part of the pixels that is darker, or brighter, than what counts as the darkest, or the brightest.
EXTREME: Final = 0.005
# Grey levels from which a pixel is black or white, and between which it is neither on a black-and-white scan
BLACK, WHITE = 12, 250
DARK, BRIGHT = 40, 215
# Part of the pixels between DARK and BRIGHT below which a picture is a black-and-white scan: black and white are its colours.
SCAN: Final = 0.1
# Median difference of neighbouring pixels for one grey level of noise (normal noise, rounded differences)
MEDIAN_OF_NOISE: Final = 0.954
# Parts of the pixels, on an empty stretch of a scan: of one kind, of neither, and of marks on it.
ONE_KIND, FEW, MARKS = 0.9999, 0.01, 0.0001
# Of a direction's share of the edges, below which nothing is known about its sharpness
TOLD: Final = 0.02
# A tile shows something where its activity is this part of the picture's mean activity.
ACTIVE: Final = 0.25
# A tile is hidden where it shows less than this part of what the golden picture shows all around there.
HIDDEN: Final = 0.4
# A cell has few edges to tell from: they may be this many times as wide again as those of the whole picture.
SOFT_CELL: Final = 1.5
# Contrast of a channel of the golden picture, in grey levels, from which it is missed on a picture
COLOURED: Final = 40
# Mean tint of the golden picture, in grey levels, from which colour is missed: by it glare and copper are told apart.
TINTED: Final = 16
# Pixels of blur that interpolation and thresholding make on their own
OWN_BLUR: Final = 1.0

_SQUARES: Final = [level**2 for level in range(256)]
_FOURTHS: Final = [level**4 for level in range(256)]


@dataclass(frozen=True, slots=True)
class Sight:
    """What was measured of one picture. `activity` and `edges` go row by row over TILES x TILES and CELLS x CELLS."""

    figures: Figures
    activity: tuple[float, ...]  # grey levels that are crossed along the picture's width
    edges: tuple[float, ...]  # width of edges in parts of the picture's; 0 where there is none to tell
    tint: float  # mean difference between a pixel's brightest and darkest channel: 0 on a grey picture
    digest: str = ""  # SHA-256 of a golden picture's file


def measure(picture: Image.Image) -> Sight:
    """The figures of an RGB picture."""
    step = max(1, round(min(picture.size) / MEASURED_SIDE))
    reduced = picture.reduce(step) if step > 1 else picture
    red, green, blue = reduced.split()
    light = ImageChops.lighter(ImageChops.lighter(red, green), blue)
    colour = ImageChops.difference(light, ImageChops.darker(ImageChops.darker(red, green), blue))
    width, height = light.size
    inner = (1, 1, width, height)
    across = ImageChops.difference(light.crop(inner), light.crop((0, 1, width - 1, height)))
    down = ImageChops.difference(light.crop(inner), light.crop((1, 0, width, height - 1)))
    # Counting is what takes time, and four channels are counted as quickly as one, or three.
    *colours, tints = _counts(Image.merge("RGBA", (red, green, blue, colour)))
    cut = Image.merge("RGBA", (light.crop(inner), across, down, down))
    cells = [_counts(cut.crop(box)) for box in _tiles(cut.size, CELLS)]
    together = [_added(counts) for counts in zip(*cells, strict=True)]
    # The cells of a picture with fewer pixels than cells overlap.
    inside, *moves, _ = together if min(cut.size) >= CELLS else _counts(cut)
    levels = _added((inside, light.crop((0, 0, width, 1)).histogram(), light.crop((0, 1, 1, height)).histogram()))
    pixels = width * height
    low, high = _quantiles(levels)
    noise = _median(_added(moves)) / MEDIAN_OF_NOISE
    least = math.ceil(2 + 3 * noise)  # what is less than this may be noise
    steps_across, steps_down = (_powers(counts, least) for counts in together[1:3])
    whole = _Edges(high - low, steps_across, steps_down, least)
    figures = Figures(
        width=picture.width,
        height=picture.height,
        low=low,
        high=high,
        mean=round(_mean(levels), 1),
        black=round(sum(levels[: BLACK + 1]) / pixels, 5),
        white=round(sum(levels[WHITE:]) / pixels, 5),
        between=round(sum(levels[DARK : BRIGHT + 1]) / pixels, 3),
        noise=round(noise, 1),
        edge=round(step * whole.width, 2),
        colours=tuple(_contrast(counts) for counts in colours),
    )
    faintest = max(24, figures.contrast / 4)
    return Sight(
        figures,
        _activity(across, down, least, width),
        tuple(_softness(cell, least, faintest) / width for cell in cells),
        _mean(tints),
    )


def _softness(cell: "Sequence[Sequence[int]]", least: int, faintest: float) -> float:
    """Pixels over which edges rise in a cell of which levels and steps were counted; 0 where there is none to tell."""
    levels, across, down, _ = cell
    contrast = _contrast(levels)
    if contrast < faintest:
        return 0.0
    return _Edges(contrast, _powers(across, least), _powers(down, least), least).width


@dataclass(frozen=True, slots=True)
class _Edges:
    """The sums of the second and fourth powers of the differences of neighbours, and the contrast they belong to."""

    contrast: int
    across: tuple[int, int]
    down: tuple[int, int]
    least: int  # the least difference that was counted

    @property
    def width(self) -> float:
        """Pixels over which an edge rises, in the direction in which it is softer.

        The fourth powers over the second are the square of the slope at the edges, however many of them there are.
        """
        every = self.across[0] + self.down[0]
        slopes = [math.sqrt(fourth / second) for second, fourth in (self.across, self.down) if second > TOLD * every]
        return self.contrast / min(slopes, default=self.least)


def _counts(picture: Image.Image) -> list[list[int]]:
    """How often each of the 256 levels is there, channel by channel."""
    counts = picture.histogram()
    return [counts[start : start + 256] for start in range(0, len(counts), 256)]


def _added(counts: "Iterable[Sequence[int]]") -> list[int]:
    return list(map(sum, zip(*counts, strict=True)))


def _powers(steps: "Sequence[int]", least: int) -> tuple[int, int]:
    """The sums of the second and the fourth powers of those steps between neighbours that are no noise."""
    counts = steps[least:]
    return sum(map(mul, counts, _SQUARES[least:])), sum(map(mul, counts, _FOURTHS[least:]))


def _activity(across: Image.Image, down: Image.Image, least: int, width: int) -> tuple[float, ...]:
    """How much each tile shows beyond noise: a dark, flat or covered one shows nothing, a blurred one as much as before."""
    # Four times the mean of both differences: the mean over a tile is kept in whole numbers.
    curve = [0 if 2 * level < least else min(255, 4 * level) for level in range(256)]
    shown = ImageChops.add(across, down, 2).point(curve).resize((TILES, TILES), Image.Resampling.BOX)
    return tuple(level * width / 2 for level in shown.tobytes())


def _tiles(size: tuple[int, int], count: int) -> "Iterator[tuple[int, int, int, int]]":
    """The boxes of count x count tiles, row by row."""
    width, height = size
    for row in range(count):
        for column in range(count):
            left, top = column * width // count, row * height // count
            right, bottom = (column + 1) * width // count, (row + 1) * height // count
            yield left, top, max(right, left + 1), max(bottom, top + 1)


def _quantiles(counts: "Sequence[int]") -> tuple[int, int]:
    """The levels that EXTREME of the pixels stay below, and above."""
    seen = list(accumulate(counts))
    low, high = (bisect_right(seen, part * seen[-1]) for part in (EXTREME, 1 - EXTREME))
    return min(low, 255), min(high, 255)


def _mean(counts: "Sequence[int]") -> float:
    return float(sum(map(mul, counts, range(256))) / sum(counts))


def _contrast(counts: "Sequence[int]") -> int:
    low, high = _quantiles(counts)
    return high - low


def _median(counts: "Sequence[int]") -> float:
    """With parts of a level: those of one level are spread over it."""
    half, seen = sum(counts) / 2, 0
    for level, count in enumerate(counts):
        if count and seen + count >= half:
            return max(0.0, level - 0.5 + (half - seen) / count) if level else 0.0
        seen += count
    return 0.0


# --- judging what was measured


def blindness(figures: Figures, limits: Limits) -> list[str]:
    """Why nothing can be told on such a picture, whatever it is compared with; each a clause that follows its name."""
    reasons = []
    if min(figures.width, figures.height) < limits.least_side:
        reasons.append(f"has {figures.width} by {figures.height} pixels; a side needs {limits.least_side}")
    if figures.contrast < limits.least_contrast:
        kind = "black" if figures.high <= DARK else "white" if figures.low >= BRIGHT else "of one grey"
        reasons.append(
            f"is nearly {kind}: its contrast is {figures.contrast} grey levels, {limits.least_contrast} are needed"
        )
        return reasons  # what else was measured means nothing
    if not _scan(figures):
        for kind, part, limit in (("black", figures.black, limits.black), ("white", figures.white, limits.white)):
            if limit and part > limit:
                reasons.append(f"is {kind} over {part:.0%} of it, where nothing can be seen")
    soft = figures.edge / min(figures.width, figures.height)
    if limits.softest and soft > limits.softest:
        reasons.append(f"is out of focus: its edges are {figures.edge:.0f} px wide")
    return reasons


def _scan(figures: Figures) -> bool:
    """Black and white are the colours of a black-and-white scan, and of one that was reduced."""
    two = figures.low < DARK and figures.high > BRIGHT
    return two and (figures.between < SCAN or min(figures.black, figures.white) > SCAN / 2)


def _empty_stretch(seen: Figures, golden: Figures) -> bool:
    """Where a black-and-white scan is all of one kind, a picture with marks of the other kind shows that it can see them."""
    one_kind = max(golden.black, golden.white) > ONE_KIND
    return one_kind and seen.black + seen.white > 1 - FEW and min(seen.black, seen.white) > MARKS


def doubts(seen: Sight, golden: Sight | None, limits: Limits) -> tuple[str, ...]:
    """Why a detector's silence about this picture would mean nothing, each a sentence; none if it can be seen."""
    if golden is not None and _empty_stretch(seen.figures, golden.figures):
        return ()
    if golden is not None and (blind := blindness(golden.figures, limits)):
        return tuple(f"The golden picture {reason}: nothing can be compared with it." for reason in blind)
    if golden is not None and _scan(golden.figures):
        limits = limits.model_copy(update={"black": 0.0, "white": 0.0})  # what is black there is meant to be
    reasons = [f"The picture {reason}." for reason in blindness(seen.figures, limits)]
    if golden is not None and (seen.figures.contrast >= limits.least_contrast):
        reasons += [reason for check in _CHECKS for reason in check(seen, golden, limits)]
    return tuple(reasons)


def _resolution(seen: Sight, golden: Sight, limits: Limits) -> "Iterator[str]":
    have, want = seen.figures, golden.figures
    for side, of_have, of_want in (("wide", have.width, want.width), ("high", have.height, want.height)):
        if limits.resolution and min(of_have, of_want) < limits.resolution * max(of_have, of_want):
            sides = f"The picture is {of_have} px {side}, the golden one {of_want}"
            if of_have < of_want:
                yield f"{sides}: defects under {math.ceil(of_want / of_have)} px of the golden picture can't be seen."
            else:
                yield f"{sides}: the golden picture does not show what the picture does."
            return
    stretch = (have.width / have.height) / (want.width / want.height)
    if limits.aspect and not 1 - limits.aspect < stretch < 1 + limits.aspect:
        yield (
            f"The picture has {have.width} by {have.height} px, the golden one {want.width} by {want.height}: "
            "they can't show the same product in the same way."
        )


def _contrasts(seen: Sight, golden: Sight, limits: Limits) -> "Iterator[str]":
    have, want = seen.figures, golden.figures
    said = f"The picture's contrast is {have.contrast} grey levels, the golden picture's {want.contrast}"
    if have.contrast < limits.contrast * want.contrast:
        yield f"{said}: faint defects can't be seen."
    elif limits.contrast and want.contrast < limits.contrast * have.contrast:
        yield f"{said}: light or exposure changed."
    elif limits.brightness and abs(have.mean - want.mean) > limits.brightness * want.contrast:
        kind = "darker" if have.mean < want.mean else "brighter"
        yield (
            f"The picture is much {kind} than the golden one (mean {have.mean:.0f} and {want.mean:.0f} grey levels): "
            "light or exposure changed."
        )
    missed = [
        name
        for name, here, there in zip(("red", "green", "blue"), have.colours, want.colours, strict=True)
        if there >= COLOURED and here < limits.colour * there
    ]
    if missed and have.contrast >= limits.contrast * want.contrast:
        yield f"The picture shows next to nothing in {' and '.join(missed)}, where the golden picture does."
    if golden.tint >= TINTED and seen.tint < limits.colour * golden.tint:
        yield "The picture shows next to no colour, where the golden picture does."


def _focus(seen: Sight, golden: Sight, limits: Limits) -> "Iterator[str]":
    have, want = seen.figures, golden.figures
    scale = want.width / have.width
    if limits.blur and have.edge * scale > limits.blur * want.edge + OWN_BLUR:
        yield (
            f"The picture is out of focus or was enlarged: its edges are {have.edge * scale:.1f} px of the golden "
            f"picture wide, {want.edge:.1f} there."
        )
    if limits.noise:
        here, there = (figures.noise / figures.contrast for figures in (have, want))
        if here > there + limits.noise:
            yield f"The picture is noisy: {here:.0%} of its contrast, the golden picture {there:.0%}."


def _hidden(seen: Sight, golden: Sight, limits: Limits) -> "Iterator[str]":
    """Places where the golden picture shows something, all around, and the picture does not."""
    if not limits.hidden:
        return
    floor = ACTIVE * sum(golden.activity) / len(golden.activity)
    most = _around(seen.activity, TILES, max)
    dark = [
        tile
        for tile, (here, there) in enumerate(zip(most, golden.activity, strict=True))
        if there > floor and here < HIDDEN * there
    ]
    if len(dark) > limits.hidden * TILES**2:
        yield (
            f"Nothing shows in {len(dark) / TILES**2:.0%} of the picture ({_where(dark, TILES)}), where the golden "
            "picture does: something covers it, or no light falls there."
        )
    if not limits.blur:
        return
    known = _around(golden.edges, CELLS, min)
    widest = _around(golden.edges, CELLS, max)
    own = OWN_BLUR / golden.figures.width
    soft = [
        cell
        for cell, (here, there) in enumerate(zip(seen.edges, widest, strict=True))
        if here and known[cell] and here > SOFT_CELL * (limits.blur * there + own)
    ]
    if len(soft) > limits.hidden * CELLS**2:
        yield f"The picture is out of focus in {len(soft) / CELLS**2:.0%} of it ({_where(soft, CELLS)})."


def unseen(tiles: "Sequence[int]", limits: Limits) -> tuple[str, ...]:
    """The doubt about a picture that shows nothing of the golden picture in these tiles, though that was laid over it.

    Sharper than `doubts`, which must allow for boards that lie a little differently.
    """
    part = len(tiles) / TILES**2
    if not limits.hidden or part <= limits.hidden:
        return ()
    said = (
        f"Next to nothing of the golden picture can be made out in {part:.0%} of the picture ({_where(tiles, TILES)})"
    )
    return (f"{said}: it is covered, blurred or disturbed there.",)


_CHECKS: Final = (_resolution, _contrasts, _focus, _hidden)


def _around(values: "Sequence[float]", side: int, pick: "Callable[[Iterable[float]], float]") -> list[float]:
    """The least or largest of each tile and its neighbours: boards lie a little differently."""
    return [
        pick(
            values[side * y + x]
            for y in range(max(0, row - 1), min(side, row + 2))
            for x in range(max(0, column - 1), min(side, column + 2))
        )
        for row in range(side)
        for column in range(side)
    ]


def _where(tiles: "Sequence[int]", side: int) -> str:
    x = sum(tile % side + 0.5 for tile in tiles) / len(tiles)
    y = sum(tile // side + 0.5 for tile in tiles) / len(tiles)
    return whereabouts(Box(x, y, 0, 0), side, side)

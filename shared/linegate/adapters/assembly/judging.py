"""What is said of one zone: nothing, where it holds what it must; else which fault, how sure, and by which number.

Each number has a band around its limit in which a person decides.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import atan2, degrees
from typing import Final, Literal

from linegate.adapters.assembly.looks import bare, blown, unlike, unlike_around
from linegate.adapters.assembly.matching import WIDEST, Pose, View, alike, find, structure
from linegate.adapters.assembly.sections import AssemblyZone, Turn
from linegate.adapters.assembly.views import Sheet
from linegate.inspection import Measure, Result

AssemblyClass = Literal["absent", "turned", "shifted", "wrong"]

# Degrees by which what is in the zone may lie turned
ALLOWED: Final[dict[Turn, tuple[float, ...]]] = {
    "never": (0.0,),
    "half": (0.0, 180.0),
    "any": tuple(float(angle) for angle in range(0, 360, 10)),
}
# The turns that are faults: by a quarter where the sides of a zone differ by no more than this factor
HALF, QUARTERS, SQUARE = (180.0,), (90.0, 180.0, 270.0), 1.25
# Pixels of the shorter side, and of edges in the direction with fewer of them, below which nothing can be told
SMALLEST, FEWEST_EDGES = 10, 12.0
# A turned golden zone that is less unlike itself than this does not tell which way round it lies
LEAST_TOLD: Final = 0.06
SYMMETRIC: Final = (
    "looks the same turned: which way round it lies can't be told; write `may_turn: half` if it may lie either way, or widen "
    "the zone to a mark that tells"
)
# 1 for what lies as in the golden picture, -1 for what lies turned: nearer to 0 a person looks
TOLD: Final = 0.3
# How far it is looked for: pixels, parts of the zone's shorter side, times `within`
REACH, REACH_OF_SIDE, REACH_OF_WITHIN = 8.0, 0.25, 3.0
# What a part (0 … 1) of another colour takes from the likeness; and the likeness from which it is the part itself that lies
# elsewhere, in surroundings that are not its own
OTHER_COLOUR, FOUND = 1.67, 0.5
# Part of what stood out that looks like the surroundings where the part is absent, and of a zone that glare may hide
BARE, GLARE = 0.38, 0.1
# Half the width of the bands in which a person decides: likeness, pixels, degrees
LIKENESS_BAND, SHIFT_BAND, ANGLE_BAND = 0.04, 0.5, 0.5


@dataclass(frozen=True, slots=True)
class Judged:
    """What is not as it must be, or may not be."""

    class_name: AssemblyClass
    result: Result
    reason: str
    measure: Measure


@dataclass(frozen=True, slots=True)
class Limits:
    """What holds for a zone on this picture."""

    within: float  # pixels
    mm_per_px: float | None

    def length(self, name: str, pixels: float, most: float) -> Measure:
        """In mm where that is known."""
        factor, unit = (self.mm_per_px, "mm") if self.mm_per_px else (1.0, "px")
        return Measure(name, round(pixels * factor, 3), unit, high=round(most * factor, 3))


def within_px(zone: AssemblyZone, within: float | None, mm_per_px: float | None, shorter: float) -> float:
    """How many pixels the zone's content may lie off; a tenth of its shorter side where nobody says."""
    asked = zone.within if zone.within is not None else within
    return max(2.0, shorter / 10) if asked is None else asked / (mm_per_px or 1.0)


def blindness(sheet: Sheet, zone: AssemblyZone) -> str:
    """Why nothing can be said about a zone of this golden picture; empty if it can."""
    return _seen(sheet, zone, 0.0).blind


def judge(sheet: Sheet, zone: AssemblyZone, within: float | None, mm_per_px: float | None) -> tuple[Judged | None, str]:
    """What is wrong in a zone, None if nothing is; and why nothing can be said about it, empty if it can."""
    box = sheet.box(zone)
    limits = Limits(within_px(zone, within, mm_per_px, min(box.width, box.height)), mm_per_px)
    seen = _seen(sheet, zone, limits.within)
    if seen.blind:
        return None, seen.blind
    said = list(_faults(seen, zone, limits))
    return next((one for one in said if one.result is Result.FAIL), next(iter(said), None)), ""


@dataclass(frozen=True, slots=True)
class _Seen:
    """A zone with the room in which its content is looked for, and what its golden picture can tell."""

    view: View
    reach: float  # pixels
    turns: tuple[float, ...]  # that are faults
    own: float = 0.0  # how like itself it is when turned
    blind: str = ""  # why nothing can be said about it


def _seen(sheet: Sheet, zone: AssemblyZone, within: float) -> _Seen:
    box = sheet.box(zone)
    shorter = min(box.width, box.height)
    reach = max(REACH, REACH_OF_SIDE * shorter, REACH_OF_WITHIN * within)
    view = sheet.view(zone, round(reach) + 3, round_=zone.may_turn == "any")
    height, width = view.counts.shape
    turns: tuple[float, ...] = ()
    if zone.may_turn == "never":
        turns = QUARTERS if max(height, width) <= SQUARE * min(height, width) else HALF
    if sheet.outside(zone):
        return _Seen(view, reach, turns, blind="lies outside the picture")
    if min(height, width) < SMALLEST:
        return _Seen(view, reach, turns, blind=f"is {min(height, width)} pixels wide; {SMALLEST} are needed")
    if structure(view) < FEWEST_EDGES:
        why = "shows too little in the golden picture to be told from anything else"
        return _Seen(view, reach, turns, blind=why)
    own = alike(view, turns, reach) if turns else 0.0
    return _Seen(view, reach, turns, own, SYMMETRIC if 1 - own < LEAST_TOLD else "")


def _faults(seen: _Seen, zone: AssemblyZone, limits: Limits) -> Iterator[Judged]:
    """All that is not as it must be, the first reason first."""
    view, freely = seen.view, zone.may_turn == "any"
    lies = find(view, ALLOWED[zone.may_turn], seen.reach, 0.0 if freely else WIDEST)
    other = find(view, seen.turns, seen.reach) if seen.turns else None
    best = lies if other is None or lies.score >= other.score else other
    likeness = max(0.0, best.score - OTHER_COLOUR * (unlike_around if freely else unlike)(view, best))
    if likeness >= FOUND:
        if other is not None:
            yield from _turn(lies, other, seen.own)
        yield from _place(best, zone, limits, view)
    # What lies elsewhere has other surroundings, and is less like the golden picture by them: that it does is said already.
    if likeness < FOUND or best.shift <= limits.within - SHIFT_BAND:
        yield from _looks(view, likeness, zone.likeness)


def _turn(lies: Pose, other: Pose, own: float) -> Iterator[Judged]:
    told = (lies.score - other.score) / max(LEAST_TOLD, 1 - own)
    if told <= TOLD:
        sure = told < -TOLD
        said = f"It lies turned by {other.turn:.0f}°." if sure else "Which way round it lies can't be told."
        measure = Measure("turn", other.turn, "°", high=0.0)
        yield Judged("turned", Result.FAIL if sure else Result.UNSURE, said, measure)


def _place(pose: Pose, zone: AssemblyZone, limits: Limits, view: View) -> Iterator[Judged]:
    if pose.shift > limits.within - SHIFT_BAND:
        measure = limits.length("shift", pose.shift, limits.within)
        result = Result.FAIL if pose.shift > limits.within + SHIFT_BAND else Result.UNSURE
        yield Judged("shifted", result, f"It lies {measure.value:.2f} {measure.unit} off.", measure)
    band = ANGLE_BAND + degrees(atan2(SHIFT_BAND, max(view.counts.shape) / 2))
    if zone.may_turn != "any" and abs(pose.degrees) > zone.askew - band:
        measure = Measure("angle", round(abs(pose.degrees), 2), "°", high=zone.askew)
        result = Result.FAIL if abs(pose.degrees) > zone.askew + band else Result.UNSURE
        yield Judged("shifted", result, f"It lies askew by {measure.value:.1f}°.", measure)


def _looks(view: View, likeness: float, least: float) -> Iterator[Judged]:
    if likeness >= least + LIKENESS_BAND:
        return
    empty = bare(view) > BARE
    said = "What was there is absent." if empty else "Something else is there, or it is damaged."
    result = Result.FAIL if likeness < least - LIKENESS_BAND else Result.UNSURE
    if blown(view) > GLARE:
        result, said = Result.UNSURE, "Glare hides what is there."
    measure = Measure("likeness", round(100 * likeness, 1), "%", low=round(100 * least, 1))
    yield Judged("absent" if empty else "wrong", result, said, measure)

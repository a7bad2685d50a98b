"""The sections of the file that say what is measured: one gauge each, told apart by its tool."""

from collections.abc import Iterator, Mapping, Sequence
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, ClassVar, Final, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from linegate.sections import Name, Section, Zone

Dimension = Literal["length", "angle", "part", "count"]
Shape = Literal["", "line", "circle"]


class Gauge(Section):
    """What all gauges have in common. One without limits only finds what others refer to."""

    tool: str
    """Which it is."""
    name: Name
    """What is measured; the class of its findings."""
    low: float | None = None
    """The least that is allowed, in mm where the recipe has `mm_per_px`, else in px; in degrees, % or pieces by its tool."""
    high: float | None = None
    """The most that is allowed."""
    nominal: float | None = None
    """In place of `low` and `high`: what it should be, give or take `tolerance`."""
    tolerance: Annotated[float, Field(ge=0)] | None = None
    """Half the width of what is allowed."""
    repeatability: Annotated[float, Field(ge=0)] = 0.0
    """One standard deviation of the same part's value, as `linegate measure repeat` tells it."""
    guard: Annotated[float, Field(ge=0, le=10)] = 2.0
    """How many standard deviations from a limit a value must lie to be sure of."""

    dimension: ClassVar[Dimension] = "length"
    shape: ClassVar[Shape] = ""  # of the feature that it finds, which others may refer to

    @property
    def limits(self) -> tuple[float | None, float | None]:
        """The least and the most that is allowed."""
        if self.nominal is None:
            return self.low, self.high
        tolerance = self.tolerance or 0.0
        return self.nominal - tolerance, self.nominal + tolerance

    @property
    def judged(self) -> bool:
        """Whether it has limits."""
        return self.limits != (None, None)

    @property
    def measures(self) -> Dimension:
        """What kind of value it is, which tells the unit."""
        return self.dimension

    @property
    def refers_to(self) -> tuple[str, ...]:
        """The names of other gauges that it is measured by."""
        return ()

    @model_validator(mode="after")
    def _sound(self) -> "Gauge":
        if (self.nominal is None) != (self.tolerance is None) and not (self.tolerance is None and self._counts):
            raise ValueError("nominal and tolerance belong together")
        if self.nominal is not None and not (self.low is None and self.high is None):
            raise ValueError("either nominal and tolerance, or low and high")
        low, high = self.limits
        if low is not None and high is not None:
            if low > high or (low == high and not self._counts):
                raise ValueError(f"low must be smaller than high, not {low:g} and {high:g}")
            if not self._counts and 2 * self.guard * self.repeatability >= high - low:
                raise ValueError(
                    f"nothing could pass: guard x repeatability ({self.guard * self.repeatability:g}) at both limits takes "
                    f"all of what is allowed ({high - low:g})"
                )
        return self

    @property
    def _counts(self) -> bool:
        return self.dimension == "count"


class Looking(Gauge):
    """A gauge that looks into a zone of the picture."""

    zone: Zone
    """Where it looks, in parts of the golden picture; of the picture itself where the recipe has none."""
    moves_with: Annotated[list[str], Field(max_length=4)] = []
    """Names of gauges before it: the zone moves and turns as they lie off the middle of their own zones."""
    channel: Literal["grey", "red", "green", "blue"] = "grey"
    """In which light the edges show best."""

    @property
    def refers_to(self) -> tuple[str, ...]:
        return tuple(self.moves_with)


class Edged(Looking):
    """A gauge that looks for edges along a direction."""

    contrast: Annotated[float, Field(ge=4, le=255)] = 20.0
    """Grey levels by which the picture must rise or fall at an edge."""
    scatter: Annotated[float, Field(gt=0, le=50)] = 2.0
    """Pixels by which the points of an edge may scatter about the line or circle through them."""


class CaliperGauge(Edged):
    """The distance between two opposite edges across a zone."""

    tool: Literal["caliper"] = "caliper"
    look: Literal["right", "left", "down", "up"] = "right"
    """From the first edge to the second."""
    turn: Annotated[float, Field(ge=-90, le=90)] = 0.0
    """Degrees by which the zone is turned clockwise about its middle."""
    between: Literal["any", "dark", "bright"] = "any"
    """How that looks which lies between the edges."""

    shape: ClassVar[Shape] = "line"  # in the middle between the edges


class EdgeGauge(Edged):
    """Where an edge lies: how far from the side of the picture at which looking begins."""

    tool: Literal["edge"] = "edge"
    look: Literal["right", "left", "down", "up"] = "right"
    """In which direction the zone is looked through."""
    turn: Annotated[float, Field(ge=-90, le=90)] = 0.0
    """Degrees by which the zone is turned clockwise about its middle."""
    polarity: Literal["any", "to_dark", "to_bright"] = "any"
    """How the picture changes at the edge, in the direction of looking."""
    take: Literal["strongest", "first", "last"] = "strongest"
    """Which edge of several."""

    shape: ClassVar[Shape] = "line"


class CircleGauge(Edged):
    """A circle in the middle of a zone."""

    tool: Literal["circle"] = "circle"
    gives: Literal["diameter", "roundness"] = "diameter"
    """`roundness`: by how much the farthest point lies farther from the centre than the nearest; noise adds to it."""
    inside: Annotated[float, Field(ge=0, le=0.95)] = 0.2
    """No edge is looked for nearer to the zone's middle than this part of half its shorter side."""
    look: Literal["out", "in"] = "out"
    """In which direction the edge is looked for."""
    polarity: Literal["any", "to_dark", "to_bright"] = "any"
    """How the picture changes at the edge, in the direction of looking."""
    take: Literal["strongest", "first", "last"] = "strongest"
    """Which edge of several."""

    shape: ClassVar[Shape] = "circle"


class FillLevelGauge(Edged):
    """How high something stands in a column: above a datum, or in % of the zone."""

    tool: Literal["fill_level"] = "fill_level"
    up: Literal["top", "bottom", "left", "right"] = "top"
    """Where in the picture up is."""
    datum: str | None = None
    """The gauge whose line the level is measured from, above it positive. In % of the zone's height if unset."""
    polarity: Literal["any", "to_dark", "to_bright"] = "any"
    """How the picture changes at the level, from above."""
    take: Literal["strongest", "first", "last"] = "strongest"
    """Which edge of several, from above."""

    shape: ClassVar[Shape] = "line"

    @property
    def measures(self) -> Dimension:
        return "part" if self.datum is None else "length"

    @property
    def refers_to(self) -> tuple[str, ...]:
        return (*self.moves_with, *((self.datum,) if self.datum else ()))


class CountGauge(Looking):
    """How many blobs of a brightness and size lie in a zone."""

    tool: Literal["count"] = "count"
    brighter_than: Annotated[float, Field(ge=0, le=255)] | None = None
    """Grey levels; what is as bright or brighter belongs to a blob."""
    darker_than: Annotated[float, Field(ge=0, le=255)] | None = None
    """Grey levels; what is as dark or darker belongs to a blob. With both, what lies between."""
    margin: Annotated[float, Field(ge=0, le=64)] = 8.0
    """Grey levels by which brightness may be off without changing the count; where it would, it is unsure."""
    smallest: Annotated[float, Field(ge=0)] = 9.0
    """Area of a blob at least, in px² or mm²."""
    largest: Annotated[float, Field(gt=0)] | None = None
    """Area of a blob at most."""

    dimension: ClassVar[Dimension] = "count"

    @model_validator(mode="after")
    def _tells_blobs(self) -> "CountGauge":
        if self.brighter_than is None and self.darker_than is None:
            raise ValueError("give brighter_than or darker_than: what makes a blob")
        if None not in (self.brighter_than, self.darker_than) and self.brighter_than >= self.darker_than:  # type: ignore[operator]
            raise ValueError("brighter_than must be smaller than darker_than: a blob lies between them")
        if self.largest is not None and self.largest <= self.smallest:
            raise ValueError("smallest must be smaller than largest")
        return self


class Between(Gauge):
    """A gauge that puts two features together."""

    between: Annotated[list[str], Field(min_length=2, max_length=2)]
    """The names of two gauges before it."""

    @property
    def refers_to(self) -> tuple[str, ...]:
        return tuple(self.between)


class DistanceGauge(Between):
    """The distance between two features: lines, or centres of circles."""

    tool: Literal["distance"] = "distance"


class AngleGauge(Between):
    """The angle from one line to another, clockwise."""

    tool: Literal["angle"] = "angle"

    dimension: ClassVar[Dimension] = "angle"

    @model_validator(mode="after")
    def _on_both_sides(self) -> "AngleGauge":
        # Lines turn both ways: with one limit only, whatever leans to the other side would pass.
        if None in self.limits:
            raise ValueError("an angle needs nominal and tolerance, or low and high: lines lean to either side")
        low, high = self.limits
        if low is not None and high is not None and high - low >= 180:
            raise ValueError("low and high must be less than 180 degrees apart: lines that far apart are the same")
        return self


TOOLS: Final[tuple[type[Gauge], ...]] = (
    CaliperGauge,
    EdgeGauge,
    CircleGauge,
    DistanceGauge,
    AngleGauge,
    FillLevelGauge,
    CountGauge,
)


def _tool(written: object) -> str | None:
    """The tool of a gauge as it was written, or as it is."""
    tool = written.get("tool") if isinstance(written, Mapping) else getattr(written, "tool", None)
    return tool if isinstance(tool, str) else None


if TYPE_CHECKING:
    AnyGauge = Gauge
else:
    AnyGauge = Annotated[
        reduce(or_, (Annotated[tool, Tag(tool.model_fields["tool"].default)] for tool in TOOLS)), Discriminator(_tool)
    ]


def faults(gauges: Sequence[Gauge]) -> Iterator[str]:
    """Why these can't measure together; each begins with the place of the gauge in their list."""
    before: dict[str, Gauge] = {}
    used = {name for gauge in gauges for name in gauge.refers_to}
    for number, gauge in enumerate(gauges):
        if gauge.name in before:
            yield f"{number}: there are two gauges named {gauge.name!r}"
        for name in gauge.refers_to:
            if name not in before:
                there = f"; there is {', '.join(map(repr, before))}" if before else ""
                yield f"{number}: {gauge.name!r} refers to {name!r}, which must be a gauge before it{there}"
            elif not before[name].shape:
                yield f"{number}: {gauge.name!r} refers to {name!r}, which finds no line and no circle"
            elif before[name].shape != "line" and (
                isinstance(gauge, AngleGauge) or (isinstance(gauge, FillLevelGauge) and name == gauge.datum)
            ):
                yield f"{number}: {gauge.name!r} needs a line, and {name!r} is a {before[name].shape}"
        if not gauge.judged and (gauge.name not in used or not gauge.shape):
            yield f"{number}: {gauge.name!r} has no limits, and no other gauge refers to it: it would tell nothing"
        before[gauge.name] = gauge
    if not any(gauge.judged for gauge in gauges):
        yield "0: no gauge has limits: every picture would pass"

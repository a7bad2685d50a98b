"""What of assembly stands in the file: the zones."""

from typing import Annotated, Literal

from pydantic import Field

from linegate.sections import Ratio, Zone

Turn = Literal["never", "half", "any"]


class AssemblyZone(Zone):
    """A part of the golden picture that must hold what it holds there. Its sides are in parts of the golden picture's."""

    name: Annotated[str, Field(max_length=60)]
    """What findings call it: U7, screw 2."""
    within: Annotated[float, Field(gt=0, le=10_000)] | None = None
    """How far it may lie off, in mm where the recipe has `mm_per_px`, else in pixels; that of the detector, if unset."""
    askew: Annotated[float, Field(gt=0, le=10)] = 5.0
    """How many degrees it may lie askew, where it may not lie at any angle."""
    may_turn: Turn = "never"
    """`half`: it may lie turned by 180°. `any`: at any angle, as a round thing or a screw does."""
    likeness: Ratio = 0.75
    """How like the golden picture it must be, 0 … 1."""

"""The classes of defects that a comparison can tell apart."""

from typing import Final, Literal, get_args

GoldenClass = Literal["open_circuit", "short", "mouse_bite", "spur", "spurious_copper", "missing_hole", "pin_hole"]
GOLDEN_CLASSES: Final[tuple[GoldenClass, ...]] = get_args(GoldenClass)

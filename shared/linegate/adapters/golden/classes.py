"""The classes of defects that a comparison can tell apart."""

from typing import Final, Literal, get_args

# What a difference does to the copper, where copper can be told
CopperClass = Literal["open_circuit", "short", "mouse_bite", "spur", "spurious_copper", "missing_hole", "pin_hole"]
# and where it can't: something is there that should not be, is gone, or has another colour.
LooksClass = Literal["foreign", "missing", "changed"]
GoldenClass = CopperClass | LooksClass
LOOKS: Final[tuple[LooksClass, ...]] = get_args(LooksClass)
GOLDEN_CLASSES: Final[tuple[GoldenClass, ...]] = (*get_args(CopperClass), *LOOKS)

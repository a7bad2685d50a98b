"""Where something lies in a picture: boxes and outlines, in pixels."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle in pixels of the upright picture; `x`, `y` are its centre, as Roboflow returns it."""

    x: float
    y: float
    width: float
    height: float

    @property
    def corners(self) -> tuple[float, float, float, float]:
        """(left, top, right, bottom) in pixels."""
        return (
            self.x - self.width / 2,
            self.y - self.height / 2,
            self.x + self.width / 2,
            self.y + self.height / 2,
        )


class _Flat:
    """How the codec keeps an outline: x and y in turn, since Firestore holds no list of lists."""

    def __get_pydantic_core_schema__(self, source: object, handler: "GetCoreSchemaHandler") -> "CoreSchema":
        from pydantic_core import core_schema

        def paired(given: object) -> object:
            flat = isinstance(given, list | tuple) and all(isinstance(one, int | float) for one in given)
            return list(zip(given[::2], given[1::2], strict=True)) if flat else given  # type: ignore[index]

        return core_schema.no_info_before_validator_function(
            paired,
            handler(source),
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda outline: [round(float(value), 1) for point in outline for value in point]
            ),
        )


# A polygon: the (x, y) of its corners in pixels of the upright picture
Outline = Annotated[tuple[tuple[float, float], ...], _Flat()]


def area(outline: Outline) -> float:
    """Of a polygon, in square pixels."""
    turned = zip(outline, (*outline[1:], *outline[:1]), strict=True)
    return abs(sum(x * next_y - next_x * y for (x, y), (next_x, next_y) in turned)) / 2


def whereabouts(box: Box, width: int, height: int) -> str:
    """In which ninth of the picture the centre of a box lies: "upper left", "centre", "lower edge" …"""
    column = min(2, max(0, int(3 * box.x / max(1, width))))
    row = min(2, max(0, int(3 * box.y / max(1, height))))
    return (
        ("upper left", "upper edge", "upper right"),
        ("left edge", "centre", "right edge"),
        ("lower left", "lower edge", "lower right"),
    )[row][column]

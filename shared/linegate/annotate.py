"""The annotated picture: every detection boxed and labelled, the verdict in a banner above the board."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from PIL import Image, ImageDraw, ImageFont

from linegate.imaging import jpeg
from linegate.inspection import Check, Detection, Result, Verdict

QUALITY: Final = 88
# Below this many pixels of width a banner could not be read: the picture is enlarged.
MINIMUM_WIDTH: Final = 480
WHITE, BLACK, INK = (255, 255, 255), (0, 0, 0), (24, 24, 24)

Colour = tuple[int, int, int]
Rectangle = tuple[int, int, int, int]


@dataclass(frozen=True, slots=True)
class _Style:
    """Colours after Okabe and Ito, which the colour-blind can tell apart; the dashes and words tell without colour."""

    colour: Colour
    text: Colour
    word: str
    dash: tuple[int, int] | None  # lengths of stroke and gap in line widths; None is a solid line
    weight: float


STYLES: Final = {
    Result.FAIL: _Style((213, 94, 0), WHITE, "FAIL", None, 1.5),
    Result.UNSURE: _Style((240, 228, 66), BLACK, "?", (5, 3), 1.0),
    Result.PASS: _Style((86, 180, 233), BLACK, "OK", (1, 3), 1.0),
}
BANNERS: Final = {
    Verdict.FAIL: ((213, 94, 0), WHITE),
    Verdict.REVIEW: ((240, 228, 66), BLACK),
    Verdict.PASS: ((0, 114, 178), WHITE),
    Verdict.ERROR: (BLACK, WHITE),
}


def annotate(
    picture: Image.Image,
    detections: Sequence[Detection],
    checks: Sequence[Check],
    verdict: Verdict,
    total_defects: int,
    max_side: int = 2048,
) -> bytes:
    """The upright RGB `picture` with its detections and verdict, as JPEG; its longer side at most about `max_side`.

    Small pictures are enlarged and large ones reduced, so that the words can be read. `checks` belong to the detections
    in order; a detection without one is shown as unsure.
    """
    scale = min(max_side / max(picture.size), max(1.0, MINIMUM_WIDTH / picture.width))
    board = picture.copy() if scale == 1 else picture.resize(_scaled(picture.size, scale), _filter(scale))
    text_px = max(15, round(min(board.width, 1.5 * board.height) / 32))
    draw = ImageDraw.Draw(board)
    width = max(2, text_px // 8)
    marks = [
        (
            _scaled_box(detection, scale, board.size),
            STYLES[checks[index].result if index < len(checks) else Result.UNSURE],
            detection,
        )
        for index, detection in enumerate(detections)
    ]
    for box, style, _ in marks:
        _frame(draw, box, style, width, board.size)
    # Defects are labelled first: where room is short, they have the better places.
    taken = [box for box, _, _ in marks]
    for box, style, detection in sorted(marks, key=lambda mark: mark[1].word != "FAIL"):
        text = f"{style.word} {detection.class_name.replace('_', ' ')} {detection.confidence:.2f}"
        _label(draw, text, box, style, _font(max(11, text_px * 2 // 3)), board.size, taken)
    return jpeg(_with_banner(board, verdict, total_defects, text_px), QUALITY)


def _with_banner(board: Image.Image, verdict: Verdict, total_defects: int, text_px: int) -> Image.Image:
    """The board below a banner of its own, so that no word hides a part of it."""
    background, ink = BANNERS[verdict]
    lines = (f"Final Result: {verdict.value}", f"Total Defects: {total_defects}")
    font = _font(text_px)
    longest = max(font.getlength(line) for line in lines)
    if longest > 0.96 * board.width:
        font = _font(max(9, int(text_px * 0.96 * board.width / longest)))
    pitch, margin = round(font.size * 1.25), round(font.size * 0.4)
    canvas = Image.new("RGB", (board.width, board.height + 2 * pitch + 2 * margin), background)
    canvas.paste(board, (0, 2 * pitch + 2 * margin))
    draw = ImageDraw.Draw(canvas)
    for number, line in enumerate(lines):
        draw.text((margin, margin + number * pitch), line, ink, font)
    return canvas


def _frame(draw: ImageDraw.ImageDraw, box: Rectangle, style: _Style, width: int, size: tuple[int, int]) -> None:
    """The outline of a box, just outside it, on a dark line that keeps it visible on any board."""
    weight = max(2, round(width * style.weight))
    left, top, right, bottom = box
    outer = (
        max(0, left - weight),
        max(0, top - weight),
        min(size[0] - 1, right + weight),
        min(size[1] - 1, bottom + weight),
    )
    if style.dash is None:
        draw.rectangle(_grown(outer, 1, size), outline=INK, width=weight + 2)
        draw.rectangle(outer, outline=style.colour, width=weight)
        return
    draw.rectangle(outer, outline=INK, width=weight)
    for stroke in _strokes(outer, style.dash, weight):
        draw.rectangle(stroke, fill=style.colour)


def _strokes(outer: Rectangle, dash: tuple[int, int], weight: int) -> Iterator[Rectangle]:
    left, top, right, bottom = outer
    stroke, period = dash[0] * weight, (dash[0] + dash[1]) * weight
    for x in range(left, right, period):
        end = min(x + stroke, right)
        yield x, top, end, top + weight - 1
        yield x, bottom - weight + 1, end, bottom
    for y in range(top, bottom, period):
        end = min(y + stroke, bottom)
        yield left, y, left + weight - 1, end
        yield right - weight + 1, y, right, end


def _label(
    draw: ImageDraw.ImageDraw,
    text: str,
    box: Rectangle,
    style: _Style,
    font: ImageFont.FreeTypeFont,
    size: tuple[int, int],
    taken: list[Rectangle],
) -> None:
    """Write the label beside its box where nothing stands yet; shorter, and at last not at all, if there is no room."""
    for words in (text, text.rsplit(" ", 1)[0], style.word):
        width, height = round(font.getlength(words)) + 6, round(font.size * 1.3)
        place = next((spot for spot in _spots(box, width, height, size) if not _meets(spot, taken)), None)
        if place is not None:
            taken.append(place)
            draw.rectangle(place, fill=style.colour, outline=INK)
            draw.text((place[0] + 3, place[1] + height * 0.08), words, style.text, font)
            return


def _spots(box: Rectangle, width: int, height: int, size: tuple[int, int]) -> Iterator[Rectangle]:
    """Where a label may stand: above, below, right, left of its box, then a line further away."""
    left, top, right, bottom = box
    for away in (5, 5 + height):
        for x, y in (
            (left - 3, top - away - height),
            (left - 3, bottom + away),
            (right - width, top - away - height),
            (right - width, bottom + away),
            (right + away, top),
            (left - away - width, top),
            (right + away, bottom - height),
            (left - away - width, bottom - height),
        ):
            x_inside = min(max(0, x), max(0, size[0] - width - 1))
            if y >= 0 and y + height < size[1] and abs(x_inside - x) <= width:
                yield x_inside, y, x_inside + width, y + height


def _meets(spot: Rectangle, taken: Sequence[Rectangle]) -> bool:
    return any(
        spot[0] < other[2] and other[0] < spot[2] and spot[1] < other[3] and other[1] < spot[3] for other in taken
    )


def _scaled_box(detection: Detection, scale: float, size: tuple[int, int]) -> Rectangle:
    """The box on the scaled picture, inside it and never thinner than two pixels."""
    left, top, right, bottom = (round(value * scale) for value in detection.box.corners)
    left, top = min(max(0, left), size[0] - 3), min(max(0, top), size[1] - 3)
    return left, top, min(max(right, left + 2), size[0] - 1), min(max(bottom, top + 2), size[1] - 1)


def _scaled(size: tuple[int, int], scale: float) -> tuple[int, int]:
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _filter(scale: float) -> Image.Resampling:
    return Image.Resampling.BICUBIC if scale > 1 else Image.Resampling.BOX


def _grown(box: Rectangle, by: int, size: tuple[int, int]) -> Rectangle:
    return max(0, box[0] - by), max(0, box[1] - by), min(size[0] - 1, box[2] + by), min(size[1] - 1, box[3] + by)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    """Pillow's own scalable font: there is nothing to install."""
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont), "this Pillow was built without FreeType"
    return font

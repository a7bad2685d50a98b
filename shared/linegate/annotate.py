"""The annotated picture: every detection boxed and labelled, the verdict in a banner above the board."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from PIL import Image, ImageDraw, ImageFont

from linegate.imaging import jpeg
from linegate.inspection import Check, Detection, Result, Verdict, brief

QUALITY: Final = 88
# Below this many pixels of width labels could not be read: the picture is enlarged.
MINIMUM_WIDTH: Final = 480
# The least room for banner and labels, in heights of the banner's text; a narrower board is given a margin.
MINIMUM_ROOM: Final = (24, 8)
LONGEST_NAME: Final = 32  # characters of a class name on a label
WHITE, BLACK, INK, MARGIN = (255, 255, 255), (0, 0, 0), (24, 24, 24), (96, 96, 96)

Colour = tuple[int, int, int]
Rectangle = tuple[int, int, int, int]  # left, top, right, bottom; the last two belong to it


@dataclass(frozen=True, slots=True)
class _Style:
    """Colours after Okabe and Ito, which the colour-blind can tell apart; the dashes and words tell without colour."""

    colour: Colour
    text: Colour
    word: str
    dash: tuple[int, int] | None  # lengths of stroke and gap in line widths; None is a solid line
    weight: float


# What matters least comes first: it is drawn below the others, and labelled after them.
STYLES: Final = {
    Result.PASS: _Style((86, 180, 233), BLACK, "OK", (1, 2), 0.7),
    Result.UNSURE: _Style((240, 228, 66), BLACK, "?", (5, 3), 1.0),
    Result.FAIL: _Style((213, 94, 0), BLACK, "FAIL", None, 1.5),
}
BANNERS: Final = {
    Verdict.FAIL: ((213, 94, 0), BLACK),
    Verdict.REVIEW: ((240, 228, 66), BLACK),
    Verdict.PASS: ((0, 114, 178), WHITE),
    Verdict.ERROR: (BLACK, WHITE),
}


@dataclass(frozen=True, slots=True)
class _Mark:
    """A detection as it is drawn: its box in pixels of the canvas."""

    box: Rectangle
    style: _Style
    detection: Detection


def annotate(
    picture: Image.Image,
    detections: Sequence[Detection],
    checks: Sequence[Check],
    verdict: Verdict,
    total_defects: int,
    max_side: int = 2048,
) -> bytes:
    """The upright RGB `picture` with its detections below a banner with the verdict, as JPEG.

    Small boards are enlarged and large ones reduced, to at most `max_side` pixels; the banner comes on top of that, and
    so does a margin beside a board too narrow for words. `checks` belong to the detections in order; a detection without
    one is shown as unsure.
    """
    scale = min(max_side / max(picture.size), max(1.0, MINIMUM_WIDTH / picture.width))
    board = picture if scale == 1 else _resized(picture, scale)
    text_px = max(15, round(min(board.width, 1.5 * board.height) / 32))
    canvas, area = _below_banner(board, verdict, total_defects, text_px)
    draw = ImageDraw.Draw(canvas)
    results = [check.result for check in checks[: len(detections)]]
    results += [Result.UNSURE] * (len(detections) - len(results))
    marks = [
        _Mark(_on_canvas(detection, scale, area), STYLES[result], detection)
        for detection, result in zip(detections, results, strict=True)
    ]
    marks.sort(key=lambda mark: mark.style.weight)
    width = max(2, text_px // 8)
    for mark in marks:
        _frame(draw, mark, width, area)
    # Defects are labelled first: where room is short, they have the better places.
    field = (0, area[1], canvas.width - 1, canvas.height - 1)
    taken = [mark.box for mark in marks]
    for mark in reversed(marks):
        _label(draw, mark, _font(max(11, text_px * 2 // 3)), field, taken)
    return jpeg(canvas, QUALITY)


def _resized(picture: Image.Image, scale: float) -> Image.Image:
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    if scale > 1:
        return picture.resize(size, Image.Resampling.BICUBIC)
    # Averaging whole blocks of pixels first halves the time for a picture from a large sensor.
    return picture.resize(size, Image.Resampling.BOX, reducing_gap=1.0)


def _below_banner(
    board: Image.Image, verdict: Verdict, total_defects: int, text_px: int
) -> tuple[Image.Image, Rectangle]:
    """A canvas with the banner and, below it, the board, so that no word of it hides a part; and where the board lies."""
    background, ink = BANNERS[verdict]
    pitch, margin = round(text_px * 1.25), round(text_px * 0.4)
    banner = 2 * pitch + 2 * margin
    width, height = (max(side, room * text_px) for side, room in zip(board.size, MINIMUM_ROOM, strict=True))
    canvas = Image.new("RGB", (width, banner + height), MARGIN)
    draw = ImageDraw.Draw(canvas)
    draw.rectangle((0, 0, width, banner - 1), background)
    for number, line in enumerate((f"Final Result: {verdict.value}", f"Total Defects: {total_defects}")):
        draw.text((margin, margin + number * pitch), line, ink, _font(text_px))
    left, top = (width - board.width) // 2, banner + (height - board.height) // 2
    canvas.paste(board, (left, top))
    return canvas, (left, top, left + board.width - 1, top + board.height - 1)


def _on_canvas(detection: Detection, scale: float, area: Rectangle) -> Rectangle:
    """The pixels of a box on the canvas, inside the board's area and at least three each way."""
    left, top, right, bottom = (round(value * scale) for value in detection.box.corners)
    left = min(max(area[0], area[0] + left), area[2] - 2)
    top = min(max(area[1], area[1] + top), area[3] - 2)
    return left, top, min(max(area[0] + right, left + 2), area[2]), min(max(area[1] + bottom, top + 2), area[3])


def _frame(draw: ImageDraw.ImageDraw, mark: _Mark, width: int, area: Rectangle) -> None:
    """The outline of a box, just outside it, with a dark line that keeps it visible on any board."""
    weight = max(2, round(width * mark.style.weight))
    if mark.style.dash is None:
        outer = _grown(mark.box, weight + 1, area)
        draw.rectangle(_grown(outer, 1, area), outline=INK, width=weight + 2)
        draw.rectangle(outer, outline=mark.style.colour, width=weight)
        return
    outer = _grown(mark.box, weight, area)
    draw.rectangle(outer, outline=INK, width=weight)
    for stroke in _strokes(outer, mark.style.dash, weight):
        draw.rectangle(stroke, fill=mark.style.colour)


def _strokes(outer: Rectangle, dash: tuple[int, int], weight: int) -> Iterator[Rectangle]:
    """Dashes along the four sides, spread so that each side begins and ends with one."""
    left, top, right, bottom = outer
    for start, end in _spread(left, right, dash, weight):
        yield start, top, end, top + weight - 1
        yield start, bottom - weight + 1, end, bottom
    for start, end in _spread(top, bottom, dash, weight):
        yield left, start, left + weight - 1, end
        yield right - weight + 1, start, right, end


def _spread(first: int, last: int, dash: tuple[int, int], weight: int) -> Iterator[tuple[int, int]]:
    length, (stroke, gap) = last - first + 1, dash
    gaps = max(2, round((length / weight - stroke) / (stroke + gap)))
    unit = length / (gaps * (stroke + gap) + stroke)
    for number in range(gaps + 1):
        start = round(number * (stroke + gap) * unit)
        yield first + start, first + max(start, round(start + stroke * unit) - 1)


def _label(
    draw: ImageDraw.ImageDraw, mark: _Mark, font: ImageFont.FreeTypeFont, field: Rectangle, taken: list[Rectangle]
) -> None:
    """Write the label beside its box where nothing stands yet; shorter, and at last not at all, if there is no room."""
    name = f"{mark.style.word} {brief(mark.detection.class_name.replace('_', ' '))[:LONGEST_NAME]}"
    texts = (f"{name} {mark.detection.confidence:.2f}", name, mark.style.word)
    widths = [round(font.getlength(words)) + 6 for words in texts]
    height = round(font.size * 1.3)
    reach = _grown(mark.box, max(widths) + 3 * height, field)
    near = [other for other in taken if _meets(reach, other)]
    for words, width in zip(texts, widths, strict=True):
        free = (spot for spot in _spots(mark.box, width, height, field) if not _meets_any(spot, near))
        spot = next(free, None) or _corner(mark.box, width, height, near)
        if spot is not None:
            taken.append(spot)
            draw.rectangle(spot, fill=mark.style.colour, outline=INK)
            draw.text((spot[0] + 3, spot[1] + height * 0.08), words, mark.style.text, font)
            return


def _spots(box: Rectangle, width: int, height: int, field: Rectangle) -> Iterator[Rectangle]:
    """Where a label may stand: above, below, right, left of its box, then a line further away."""
    left, top, right, bottom = box
    for away in (6, 6 + height):
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
            x_inside = min(max(field[0], x), field[2] - width)
            spot = (x_inside, y, x_inside + width, y + height)
            if x_inside >= field[0] and y >= field[1] and spot[3] <= field[3] and abs(x_inside - x) <= width:
                yield spot


def _corner(box: Rectangle, width: int, height: int, taken: Sequence[Rectangle]) -> Rectangle | None:
    """The upper left corner inside a box so large that a label there hides next to nothing of it, unless it is taken."""
    left, top, right, bottom = box
    spot = (left + 3, top + 3, left + 3 + width, top + 3 + height)
    large = right - left > 1.5 * width and bottom - top > 6 * height
    return spot if large and not _meets_any(spot, [other for other in taken if other != box]) else None


def _meets_any(spot: Rectangle, taken: Sequence[Rectangle]) -> bool:
    return any(_meets(spot, other) for other in taken)


def _meets(one: Rectangle, other: Rectangle) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _grown(box: Rectangle, by: int, bounds: Rectangle) -> Rectangle:
    return (
        max(bounds[0], box[0] - by),
        max(bounds[1], box[1] - by),
        min(bounds[2], box[2] + by),
        min(bounds[3], box[3] + by),
    )


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    """Pillow's own scalable font: there is nothing to install."""
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont), "this Pillow was built without FreeType"
    return font

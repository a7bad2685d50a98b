"""The annotated picture: every detection boxed and labelled, the verdict in a banner above the picture."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Final

from PIL import Image, ImageDraw, ImageFont

from linegate.answers import Disposition, Review
from linegate.imaging import jpeg
from linegate.inspection import Check, Coverage, Detection, Result, Verdict
from linegate.shapes import Box, Outline
from linegate.texts import brief

QUALITY: Final = 88
# Below this many pixels of width labels could not be read: the picture is enlarged.
MINIMUM_WIDTH: Final = 480
# The least room for banner and labels, in heights of the banner's text; a narrower picture is given a margin.
MINIMUM_ROOM: Final = (24, 8)
LONGEST_NAME: Final = 32  # characters of a class name on a label
REASON_LINES: Final = 4  # of the banner
# Labels that find no place at their box are moved away by up to so many of their own heights, and tied to it by a line.
# Among many boxes there is no such place, and looking for it takes seconds.
REACH: Final = 24
FEW: Final = 50
KEPT: Final = 512  # texts that are kept as they were drawn
# What is told without looking at the labels, which a product that was not inspected or not judged may not have
EXPLAINED: Final = (Verdict.REVIEW, Verdict.ERROR)
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


RULED: Final = dict.fromkeys(Disposition, STYLES[Result.PASS]) | {Disposition.TRUE_DEFECT: STYLES[Result.FAIL]}
MISSED: Final = "MISSED"


@dataclass(frozen=True, slots=True)
class _Mark:
    """A detection, or a defect that a person added, as it is drawn: its box in pixels of the canvas, and what its label says."""

    box: Rectangle
    style: _Style
    word: str
    class_name: str
    figure: str
    outline: Outline = ()


def annotate(
    picture: Image.Image,
    detections: Sequence[Detection],
    checks: Sequence[Check],
    verdict: Verdict,
    total_defects: int,
    max_side: int = 2048,
    *,
    heading: str = "",
    reasons: Sequence[str] = (),
    coverage: Coverage | None = None,
    review: Review | None = None,
) -> bytes:
    """The upright RGB `picture` with its detections below a banner with the verdict, as JPEG.

    `heading` says in the banner which product it is; `reasons` are told there if the verdict is REVIEW or ERROR; `coverage` is
    told there where it is known. `review` is a person's: their word stands on the label of what they ruled on, and what they
    missed is boxed as well.

    Small pictures are enlarged and large ones reduced, to at most `max_side` pixels; the banner comes on top of that, and
    so does a margin beside a picture too narrow for words. `checks` belong to the detections in order; a detection without
    one is shown as unsure.
    """
    scale = min(max_side / max(picture.size), max(1.0, MINIMUM_WIDTH / picture.width))
    board = picture if scale == 1 else _resized(picture, scale)
    text_px = max(15, round(min(board.width, 1.5 * board.height) / 32))
    told = [heading] * bool(heading) + [f"Coverage {coverage}"] * (coverage is not None)
    told += [brief(reason) for reason in reasons if verdict in EXPLAINED]
    canvas, area = _below_banner(board, verdict, total_defects, text_px, told)
    draw = ImageDraw.Draw(canvas)
    results = [check.result for check in checks[: len(detections)]]
    results += [Result.UNSURE] * (len(detections) - len(results))
    marks = [
        _mark(detection, result, review.ruling(index) if review else None, _on_canvas(detection.box, scale, area))
        for index, (detection, result) in enumerate(zip(detections, results, strict=True))
    ]
    marks += [
        _Mark(_on_canvas(missed.box, scale, area), STYLES[Result.FAIL], MISSED, missed.class_name, "")
        for missed in (review.missed if review else ())
        if missed.box is not None
    ]
    marks.sort(key=lambda mark: mark.style.weight)
    width = max(2, text_px // 8)
    for mark in marks:
        _frame(draw, mark, width, area)
        _outline(draw, mark, width, scale, area)
    # Defects are labelled first: where room is short, they have the better places.
    field = (0, area[1], canvas.width - 1, canvas.height - 1)
    boxes, labels = [mark.box for mark in marks], list[Rectangle]()
    for mark in reversed(marks):
        _label(canvas, draw, mark, _small(text_px), field, boxes, labels)
    return jpeg(canvas, QUALITY)


def _mark(detection: Detection, result: Result, ruling: Disposition | None, box: Rectangle) -> _Mark:
    style = STYLES[result] if ruling is None else STYLES[Result.FAIL if ruling.fails else Result.PASS]
    word = style.word if ruling is None else ruling.words.upper()
    measure = detection.measure
    figure = measure.figure if measure else f"{detection.confidence:.2f}"
    return _Mark(box, style, word, detection.class_name, figure, detection.outline)


def _resized(picture: Image.Image, scale: float) -> Image.Image:
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    if scale > 1:
        return picture.resize(size, Image.Resampling.BICUBIC)
    # Averaging whole blocks of pixels first halves the time for a picture from a large sensor.
    return picture.resize(size, Image.Resampling.BOX, reducing_gap=1.0)


def _below_banner(
    board: Image.Image, verdict: Verdict, total_defects: int, text_px: int, told: Sequence[str]
) -> tuple[Image.Image, Rectangle]:
    """A canvas with the banner and, below it, the picture, so that no word hides a part of it; and where that lies."""
    background, ink = BANNERS[verdict]
    margin = round(text_px * 0.4)
    width, height = (max(side, room * text_px) for side, room in zip(board.size, MINIMUM_ROOM, strict=True))
    small = _small(text_px)
    lines = [(f"Final Result: {verdict.value}", _font(text_px)), (f"Total Defects: {total_defects}", _font(text_px))]
    lines += [(line, small) for line in _wrapped(told, small, width - 2 * margin)]
    pitches = [round(font.size * 1.25) for _, font in lines]
    banner = sum(pitches) + 2 * margin
    canvas = Image.new("RGB", (width, banner + height), MARGIN)
    draw = ImageDraw.Draw(canvas)
    draw.rectangle((0, 0, width, banner - 1), background)
    for number, (line, font) in enumerate(lines):
        _write(canvas, (margin, margin + sum(pitches[:number])), line, ink, font)
    left, top = (width - board.width) // 2, banner + (height - board.height) // 2
    canvas.paste(board, (left, top))
    return canvas, (left, top, left + board.width - 1, top + board.height - 1)


def _wrapped(texts: Sequence[str], font: ImageFont.FreeTypeFont, width: int) -> list[str]:
    """The texts in lines of at most `width` pixels; what is too much is cut, and shown to be."""
    lines: list[str] = []
    for text in texts[: REASON_LINES + 2]:
        lines.append("")
        left = float(width)
        for word in text.split():
            # A serial may be longer than the picture is wide.
            pieces = [f"{word} "] if _length(word, font) <= width else f"{word} "
            for piece in pieces:
                needed = _length(piece, font)
                if needed - _length(" ", font) > left:
                    lines.append("")
                    left = width
                lines[-1] += piece
                left -= needed
    return lines if len(lines) <= REASON_LINES + 1 else [*lines[:REASON_LINES], f"{lines[REASON_LINES][:-1]}…"]


def _on_canvas(box: Box, scale: float, area: Rectangle) -> Rectangle:
    """The pixels of a box on the canvas, inside the picture's area and at least three each way."""
    left, top, right, bottom = (round(value * scale) for value in box.corners)
    left = min(max(area[0], area[0] + left), area[2] - 2)
    top = min(max(area[1], area[1] + top), area[3] - 2)
    return left, top, min(max(area[0] + right, left + 2), area[2]), min(max(area[1] + bottom, top + 2), area[3])


def _frame(draw: ImageDraw.ImageDraw, mark: _Mark, width: int, area: Rectangle) -> None:
    """The outline of a box, just outside it, with a dark line that keeps it visible on any picture."""
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


def _outline(draw: ImageDraw.ImageDraw, mark: _Mark, width: int, scale: float, area: Rectangle) -> None:
    """What the finding covers inside its box, with a dark line below that keeps it visible on any picture."""
    corners = [(area[0] + x * scale, area[1] + y * scale) for x, y in mark.outline]
    if len(corners) < 3:
        return
    for colour, weight in ((INK, width + 2), (mark.style.colour, max(1, width - 1))):
        draw.line([*corners, corners[0]], colour, weight, joint="curve")


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
    canvas: Image.Image,
    draw: ImageDraw.ImageDraw,
    mark: _Mark,
    font: ImageFont.FreeTypeFont,
    field: Rectangle,
    boxes: Sequence[Rectangle],
    labels: list[Rectangle],
) -> None:
    """Write the label where nothing stands yet, at its box or, tied to it, away from it; shorter if that is needed.

    Not at all only where boxes and labels fill everything around.
    """
    name = f"{mark.word} {brief(mark.class_name.replace('_', ' '))[:LONGEST_NAME]}"
    texts = (f"{name} {mark.figure}".rstrip(), name, mark.word)
    sizes = [(round(_length(words, font)) + 6, round(font.size * 1.3)) for words in texts]
    for number, find in ((0, _beside), (1, _beside), (0, _inside), (0, _away), (1, _away), (2, _beside), (2, _inside)):
        words, size = texts[number], sizes[number]
        spot = find(mark.box, size, field, boxes, labels)
        if spot is None:
            continue
        labels.append(spot)
        if find is _away:
            tie = _tie(mark.box, spot)
            draw.rectangle(_grown(tie, 1, field), fill=INK)
            draw.rectangle(tie, fill=mark.style.colour)
        draw.rectangle(spot, fill=mark.style.colour, outline=INK)
        _write(canvas, (spot[0] + 3, spot[1] + size[1] * 0.08), words, mark.style.text, font)
        return


def _beside(
    box: Rectangle, size: tuple[int, int], field: Rectangle, boxes: Sequence[Rectangle], labels: Sequence[Rectangle]
) -> Rectangle | None:
    """At the box or a line away; or in the corner of one so large that a label there hides next to nothing of it."""
    reach = _grown(box, size[0] + 3 * size[1], field)
    near = [other for other in (*boxes, *labels) if _meets(reach, other)]
    free = (spot for spot in _spots(box, size, field, range(2)) if not _meets_any(spot, near))
    corner = (box[0] + 3, box[1] + 3, box[0] + 3 + size[0], box[1] + 3 + size[1])
    inside = _large(box, size) and not _meets_any(corner, [other for other in near if other != box])
    return next(free, corner if inside else None)


def _inside(
    box: Rectangle, size: tuple[int, int], field: Rectangle, boxes: Sequence[Rectangle], labels: Sequence[Rectangle]
) -> Rectangle | None:
    """Down the left side of a large box, over parts of other large ones: they lie in each other."""
    if not _large(box, size):
        return None
    taken = [*labels, *(other for other in boxes if not _large(other, size))]
    left = min(box[0] + 3, field[2] - size[0])
    rows = range(box[1] + 3, box[3] - size[1], size[1] + 2)
    spots = ((left, y, left + size[0], y + size[1]) for y in rows)
    return next((spot for spot in spots if not _meets_any(spot, taken)), None)


def _away(
    box: Rectangle, size: tuple[int, int], field: Rectangle, boxes: Sequence[Rectangle], labels: Sequence[Rectangle]
) -> Rectangle | None:
    """Further away, over large boxes too; the line that ties it to its box crosses what overlaps the box, and nothing else."""
    if len(boxes) > FEW:
        return None
    small = [box, *(other for other in boxes if not _large(other, size))]
    apart = [*labels, *(other for other in boxes if not _meets(box, other))]
    for spot in _spots(box, size, field, range(REACH)):
        if not (_meets_any(spot, labels) or _meets_any(spot, small) or _meets_any(_tie(box, spot), apart)):
            return spot
    return None


def _tie(box: Rectangle, spot: Rectangle) -> Rectangle:
    """The straight line between a box and a label that lies above, below, right or left of it."""
    x = (max(box[0], spot[0]) + min(box[2], spot[2])) // 2
    y = (max(box[1], spot[1]) + min(box[3], spot[3])) // 2
    if spot[3] <= box[1] or spot[1] >= box[3]:
        return x, min(spot[3], box[3]), x + 1, max(spot[1], box[1])
    return min(spot[2], box[2]), y, max(spot[0], box[0]), y + 1


def _spots(box: Rectangle, size: tuple[int, int], field: Rectangle, steps: range) -> Iterator[Rectangle]:
    """Where a label may stand: above, below, right, left of its box, then further and further away."""
    (left, top, right, bottom), (width, height) = box, size
    for away in (6 + step * height for step in steps):
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


def _large(box: Rectangle, size: tuple[int, int]) -> bool:
    return box[2] - box[0] > 1.5 * size[0] and box[3] - box[1] > 6 * size[1]


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


def _small(text_px: int) -> ImageFont.FreeTypeFont:
    """For labels, and for what the banner adds to the verdict, beside text of `text_px`."""
    return _font(max(11, text_px * 2 // 3))


def _write(
    canvas: Image.Image, spot: tuple[float, float], words: str, ink: Colour, font: ImageFont.FreeTypeFont
) -> None:
    x, y = math.floor(spot[0]), math.floor(spot[1])
    shape, left, top = _shape(words, font, spot[0] - x, spot[1] - y)
    canvas.paste(ink, (x + left, y + top), shape)


@lru_cache(KEPT)
def _shape(words: str, font: ImageFont.FreeTypeFont, x: float, y: float) -> tuple[Image.Image, int, int]:
    """The mask of words, and where it begins as seen from their corner, which lies at such parts of a pixel.

    Most words were drawn before, and letters take more time than all else that is drawn on a small picture.
    """
    box = font.getbbox(words)
    left, top = (min(0, math.floor(corner)) - 1 for corner in box[:2])
    shape = Image.new("L", (math.ceil(box[2]) + 2 - left, math.ceil(box[3]) + 2 - top))
    ImageDraw.Draw(shape).text((x - left, y - top), words, 255, font)
    return shape, left, top


@lru_cache(KEPT)
def _length(words: str, font: ImageFont.FreeTypeFont) -> float:
    return font.getlength(words)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    """Pillow's own scalable font: there is nothing to install."""
    font = ImageFont.load_default(size)
    assert isinstance(font, ImageFont.FreeTypeFont), "this Pillow was built without FreeType"
    return font

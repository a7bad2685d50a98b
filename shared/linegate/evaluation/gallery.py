"""Every escape, false call, missed defect and false finding to look at, truth and findings drawn on the picture."""

import base64
import io
from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import Final

from PIL import Image, ImageDraw

from linegate import imaging
from linegate.errors import ImageRejectedError
from linegate.evaluation.charts import BLUE, ORANGE
from linegate.evaluation.labels import Truth
from linegate.evaluation.metrics import InspectedBoard, Match, match
from linegate.evaluation.outcomes import Outcome
from linegate.evaluation.thresholds import UNKNOWN
from linegate.inspection import Detection, Result, Verdict
from linegate.shapes import Box

BOARD_SIDE, PLACE_SIDE = 520, 240  # pixels of the longer side of a picture
CONTEXT: Final = 1.5  # of a place, how much of its surroundings is shown on each side
MOST: Final = 400  # pictures in one part; what is left out is said
GAP: Final = 4  # pixels between a box and its outline: what is looked at stays visible


def galleries(outcomes: Sequence[Outcome], counts: Callable[[Detection], bool], iou: float) -> Iterable[str]:
    boards = [(outcome, outcome.board) for outcome in outcomes]
    verdicts = [(outcome, board, board.decided(verified=True, counts=counts)) for outcome, board in boards]
    parts: tuple[tuple[str, str, Callable[[bool, Verdict], bool]], ...] = (
        ("Escapes", "Bad boards that passed.", lambda bad, verdict: bad and verdict is Verdict.PASS),
        ("False calls", "Good boards that failed.", lambda bad, verdict: not bad and verdict is Verdict.FAIL),
    )
    for title, told, wanted in parts:
        shown = [(outcome, board) for outcome, board, verdict in verdicts if wanted(board.bad, verdict)]
        some = any(wanted(board.bad, Verdict.PASS if board.bad else Verdict.FAIL) for _, board in boards)
        yield f"<h2>{title}: {len(shown) if some else UNKNOWN}</h2>{_legend(told, len(shown))}"
        figures = (_board(outcome, board, counts) for outcome, board in shown[:MOST])
        yield f'<div class="gallery boards">{"".join(figures)}</div>'
    missed, false = [], []
    for outcome, board in boards:
        found = board.found(verified=True, counts=counts)
        # Whatever its class: what was found at this truth, and which truth lies where something was found.
        anyhow = match(found, board.truths, iou, class_aware=False)
        for pair in match(found, board.truths, iou, class_aware=True):
            if pair.detection is None:
                other = next((each.detection for each in anyhow if each.truth is pair.truth), None)
                missed.append((outcome, Match(other, pair.truth)))
            elif pair.truth is None:
                truth = next((each.truth for each in anyhow if each.detection is pair.detection), None)
                false.append((outcome, Match(pair.detection, truth)))
    for title, told, places in (
        ("Defects not found", "Also those found as another class.", missed),
        ("Findings that are no labelled defect", "Also those of the wrong class.", false),
    ):
        yield f"<h2>{title}: {len(places)}</h2>{_legend(told, len(places))}"
        yield f'<div class="gallery">{"".join(_place(outcome, pair, counts) for outcome, pair in places[:MOST])}</div>'


def _legend(told: str, count: int) -> str:
    if not count:
        return ""
    more = f" The first {MOST} are shown." if count > MOST else ""
    return (
        f'<p>{told} What is <span class="truth">labelled</span> is dashed and blue, what was '
        f'<span class="found">found</span> solid and orange.{more}</p>'
    )


def _board(outcome: Outcome, board: InspectedBoard, counts: Callable[[Detection], bool]) -> str:
    found = board.found(verified=False, counts=counts)
    picture = _drawn(outcome, None, board.truths, found, BOARD_SIDE)
    said = "; ".join(_said(detection) for detection in found) or "nothing found"
    named = ", ".join(sorted({truth.class_name for truth in board.truths})) or "no defect"
    return _figure(picture, f"<b>{escape(board.name)}</b>: {escape(named)} labelled; {escape(said)}")


def _place(outcome: Outcome, pair: Match, counts: Callable[[Detection], bool]) -> str:
    """A truth that was missed or a finding that is none; where both are there, one was taken for the other."""
    board = outcome.board
    detection, truth = pair.detection, pair.truth
    subject = detection.box if detection else truth.box if truth else None
    assert subject is not None
    picture = _drawn(outcome, subject, board.truths, board.found(verified=False, counts=counts), PLACE_SIDE)
    if detection and truth:
        told = f"{truth.class_name} found as {_said(detection)}"
    else:
        told = _said(detection) if detection else f"{truth.class_name} not found" if truth else ""
    return _figure(picture, f"<b>{escape(board.name)}</b>: {escape(told)}")


def _said(detection: Detection) -> str:
    check = detection.settled
    cleared = f", {check.result.value}: {check.reason}" if check and check.result is not Result.FAIL else ""
    return f"{detection.class_name} {detection.confidence:.2f}{cleared}"


def _figure(picture: str, caption: str) -> str:
    image = f'<img src="{picture}" alt="" loading="lazy">' if picture else "<p>The picture can't be read.</p>"
    return f"<figure>{image}<figcaption>{caption}</figcaption></figure>"


def _drawn(outcome: Outcome, around: Box | None, truths: Sequence[Truth], found: Sequence[Detection], side: int) -> str:
    """The picture, or the part of it around a box, with truth and findings drawn; a data URL, empty if it can't be read."""
    try:
        picture = imaging.decode(outcome.sample.picture.read_bytes())
    except (OSError, ImageRejectedError):
        return ""
    left, top, right, bottom = 0.0, 0.0, float(picture.width), float(picture.height)
    if around is not None:
        reach = max(around.width, around.height) * (0.5 + CONTEXT)
        left, top, right, bottom = (
            max(left, around.x - reach),
            max(top, around.y - reach),
            min(right, around.x + reach),
            min(bottom, around.y + reach),
        )
    scale = side / max(right - left, bottom - top)
    size = (max(1, round((right - left) * scale)), max(1, round((bottom - top) * scale)))
    shown = picture.resize(size, Image.Resampling.LANCZOS, box=(left, top, right, bottom))
    draw = ImageDraw.Draw(shown)
    drawn = [(truth.box, BLUE, True) for truth in truths] + [(detection.box, ORANGE, False) for detection in found]
    for box, colour, dashed in drawn:
        corners = box.corners
        placed = [round((corners[i] - (left if i % 2 == 0 else top)) * scale) for i in range(4)]
        _outline(draw, placed, colour, dashed=dashed)
    covered = [(border, BLUE) for truth in truths if truth.mask for border in truth.mask.borders()]
    covered += [(detection.outline, ORANGE) for detection in found]
    for line, colour in covered:
        points = [((x - left) * scale, (y - top) * scale) for x, y in line]
        draw.line(points + points[:1], colour, 2)
    buffer = io.BytesIO()
    shown.save(buffer, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _outline(draw: ImageDraw.ImageDraw, box: Sequence[int], colour: str, *, dashed: bool) -> None:
    """An outline with white beside it, so that it is seen on any board; findings lie just inside of labels."""
    out = GAP + 3 if dashed else GAP
    left, top, right, bottom = box[0] - out, box[1] - out, box[2] + out, box[3] + out
    draw.rectangle((left - 1, top - 1, right + 1, bottom + 1), outline="white", width=4)
    if not dashed:
        draw.rectangle((left, top, right, bottom), outline=colour, width=2)
        return
    for start in range(left, right, 10):
        for y in (top, bottom - 1):
            draw.rectangle((start, y, min(start + 5, right), y + 1), fill=colour)
    for start in range(top, bottom, 10):
        for x in (left, right - 1):
            draw.rectangle((x, start, x + 1, min(start + 5, bottom)), fill=colour)

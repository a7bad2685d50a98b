"""The evaluation as one HTML file that needs nothing else: figures, curves, and every escape and false call to look at."""

import base64
import io
from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import Any, Final

from PIL import Image, ImageDraw

from linegate import imaging
from linegate.edge.evaluation.labels import Truth
from linegate.edge.evaluation.running import Outcome
from linegate.edge.evaluation.scoring import NONE, Board, Match, match
from linegate.errors import ImageRejectedError
from linegate.inspection import Box, Detection, Result, Verdict

TRUTH, FOUND = "#0a7d33", "#c81e1e"
BOARD_SIDE, PLACE_SIDE = 520, 240  # pixels of the longer side of a picture in the gallery
CONTEXT: Final = 1.5  # of a place, how much of its surroundings is shown on each side
MOST: Final = 400  # pictures in one part of the gallery; what is left out is said

STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1d2329; max-width: 1100px; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.6rem; margin-bottom: .2rem } h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; break-after: avoid }
p { max-width: 46rem } code { background: #eef1f4; padding: .1rem .35rem; border-radius: 3px }
table { border-collapse: collapse; margin: .4rem 0 1rem } caption { text-align: left; color: #55606b; padding-bottom: .2rem }
th, td { padding: .22rem .7rem; text-align: right; border-bottom: 1px solid #dde2e7; font-variant-numeric: tabular-nums }
th:first-child, td:first-child { text-align: left } tr.sum td { font-weight: 600 }
td.hit { background: #dff2e5 } td.miss { background: #fbe3e3 }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(150px, 1fr)); gap: .8rem; margin: 1.2rem 0 }
.figure { border: 1px solid #dde2e7; border-radius: 6px; padding: .6rem .8rem }
.figure b { display: block; font-size: 1.5rem } .figure span { color: #55606b; font-size: .85rem }
.bad b { color: #c81e1e } .curves { display: flex; flex-wrap: wrap; gap: 1.5rem } svg text { font: 11px system-ui, sans-serif }
.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(240px, 1fr)); gap: 1rem }
.boards { grid-template-columns: repeat(auto-fill, minmax(420px, 1fr)) }
figure { margin: 0; break-inside: avoid } figure img { max-width: 100%; border: 1px solid #dde2e7; display: block }
figcaption { font-size: .82rem; color: #39424b; overflow-wrap: anywhere }
.truth { color: #0a7d33 } .found { color: #c81e1e }
@media print { body { max-width: none; margin: 0; font-size: 11px } .gallery { grid-template-columns: repeat(3, 1fr) } }
"""


def page(
    report: dict[str, Any], advice: Sequence[str], outcomes: Sequence[Outcome], counts: Callable[[Detection], bool]
) -> str:
    """The whole report as HTML; pictures are read from the dataset and put into it."""
    data, gate = report["dataset"], report["gate"]
    models = ", ".join(dict.fromkeys(gate["detector_model"] + gate["verifier_model"]))
    measured = (
        f"<p>{data['pictures']} pictures of <code>{escape(data['path'])}</code> with {data['defects']} labelled "
        f"defects. Detector <b>{gate['detector']}</b>, verifier <b>{gate['verifier']}</b> ({escape(models)}), "
        f"confidence {gate['confidence']:g}. A defect counts as found where boxes overlap by {report['iou']:g} "
        "(intersection over union) and the class is right.</p>"
    )
    return "".join(
        (
            '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Linegate evaluation</title>',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<style>{STYLE}</style></head><body><h1>How good is this gate?</h1>",
            measured,
            _headline(report),
            "<h2>What verification buys and costs</h2>",
            _before_and_after(report),
            "<h2>By class</h2>",
            _classes(report),
            "<h2>Which confidence to choose</h2>",
            *(f"<p>{escape(line)}</p>" for line in advice),
            f'<div class="curves">{_precision_recall(report)}{_by_confidence(report)}</div>',
            _calibration(report["before_verification"]["calibration"]),
            "<h2>What was taken for what</h2>",
            _confusion(report["confusion"]),
            *_galleries(outcomes, counts, report["iou"]),
            _faults(data),
            "</body></html>\n",
        )
    )


def _headline(report: dict[str, Any]) -> str:
    boards, latency, cost = report["boards"], report["latency_ms"], report["cost"]
    figures = (
        ("escapes", boards["escapes"], f"of {boards['bad']} bad boards passed", boards["escapes"] > 0),
        ("false calls", boards["false_calls"], f"of {boards['good']} good boards failed", boards["false_calls"] > 0),
        ("to review", boards["review"], f"of {boards['total']} boards", False),
        ("recall", _number(report["overall"]["recall"]), "of the labelled defects found", False),
        ("precision", _number(report["overall"]["precision"]), "of what was found is a defect", False),
        ("AP@50", _number(report["overall"]["ap50"]), "mean over the classes", False),
        ("ms a board", latency["board"]["p50"], f"median; p95 {latency['board']['p95']}", False),
        ("US$ a board", f"{cost['per_board']:.4f}", f"on Google Cloud, {cost['crops_per_board']:.1f} crops", False),
    )
    tiles = (
        f'<div class="figure{" bad" if bad else ""}"><b>{value}</b>{name}<br><span>{told}</span></div>'
        for name, value, told, bad in figures
    )
    return f'<div class="figures">{"".join(tiles)}</div>'


def _before_and_after(report: dict[str, Any]) -> str:
    rows = []
    for name, part in (("detector alone", report["before_verification"]), ("after verification", report)):
        whole, boards = part["overall"], part["boards"]
        rates = (_number(whole[key]) for key in ("precision", "recall", "f1", "ap50"))
        rows.append((name, *rates, boards["escapes"], boards["false_calls"], boards["review"]))
    return _table(("", "precision", "recall", "F1", "AP@50", "escapes", "false calls", "review"), rows)


def _classes(report: dict[str, Any]) -> str:
    at = f"AP@{round(100 * report['iou'])}"
    named = [*report["per_class"].items(), ("overall", report["overall"]), ("boxes alone", report["localisation"])]
    keys = ("precision", "recall", "f1", "ap50", "ap")
    rows = [(name, *(_number(values[key]) for key in keys), values["support"]) for name, values in named]
    return _table(("class", "precision", "recall", "F1", "AP@50", at, "defects"), rows, sums=2)


def _confusion(table: dict[str, dict[str, int]]) -> str:
    columns = list(table)
    head = "".join(f"<th>{escape(name)}</th>" for name in ("truth \\ found", *columns))
    body = ""
    for row, counts in table.items():
        cells = ""
        for column in columns:
            count = counts[column]
            kind = "" if not count or row == column == NONE else ' class="hit"' if row == column else ' class="miss"'
            cells += f"<td{kind}>{count or ''}</td>"
        body += f"<tr><td>{escape(row)}</td>{cells}</tr>"
    return f"<table><tr>{head}</tr>{body}</table>"


def _calibration(fifths: Sequence[dict[str, Any]]) -> str:
    rows = [
        (
            f"{fifth['from']:.1f} … {fifth['to']:.1f}",
            fifth["count"],
            _number(fifth["confidence"]),
            _number(fifth["precision"]),
        )
        for fifth in fifths
    ]
    caption = (
        "Does the detector's confidence mean what it says? Mean confidence should be near the part that are defects."
    )
    return _table(("confidence", "detections", "mean confidence", "are defects"), rows, caption=caption)


def _faults(data: dict[str, Any]) -> str:
    if not data["faults"]:
        return ""
    rows = [(fault["file"], fault["line"] or "", fault["reason"]) for fault in data["faults"]]
    return f"<h2>{data['bad_labels']} labels that could not be used</h2>" + _table(("file", "line", "reason"), rows)


def _table(head: Sequence[str], rows: Iterable[Sequence[object]], *, sums: int = 0, caption: str = "") -> str:
    """`sums` rows at the end are set in bold."""
    listed = list(rows)
    titles = "".join(f"<th>{escape(title)}</th>" for title in head)
    body = ""
    for index, row in enumerate(listed):
        kind = ' class="sum"' if index >= len(listed) - sums else ""
        cells = "".join(f"<td>{escape(str(cell))}</td>" for cell in row)
        body += f"<tr{kind}>{cells}</tr>"
    told = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f"<table>{told}<tr>{titles}</tr>{body}</table>"


# --- curves, as SVG

Point = tuple[float, float]
Curve = tuple[str, str, Sequence[Point]]  # name, colour, points in 0 … 1


def _precision_recall(report: dict[str, Any]) -> str:
    def curve(points: Sequence[dict[str, Any]]) -> list[Point]:
        return [(p["recall"], p["precision"]) for p in points if p["recall"] is not None and p["precision"] is not None]

    before = ("detector alone", "#8894a0", curve(report["before_verification"]["sweep"]))
    return _chart(
        "Precision and recall",
        "recall",
        "precision",
        (before, ("after verification", "#1f5fbf", curve(report["sweep"]))),
    )


def _by_confidence(report: dict[str, Any]) -> str:
    def curve(key: str) -> list[Point]:
        return [(point["confidence"], point[key]) for point in report["sweep"] if point[key] is not None]

    curves = (
        ("recall", TRUTH, curve("recall")),
        ("precision", "#1f5fbf", curve("precision")),
        ("escape rate", FOUND, curve("escape_rate")),
        ("false call rate", "#b0731a", curve("false_call_rate")),
    )
    return _chart("What the recipe's confidence decides", "confidence", "", [one for one in curves if one[2]])


def _chart(title: str, across: str, up: str, curves: Sequence[Curve]) -> str:
    left, top, side = 44, 30, 280

    def place(point: Point) -> str:
        return f"{left + side * point[0]:.1f},{top + side * (1 - point[1]):.1f}"

    grid = ""
    for step in range(6):
        value = step / 5
        x, y = left + side * value, top + side * (1 - value)
        grid += (
            f'<path d="M{left},{y}H{left + side}M{x},{top}V{top + side}" stroke="#e3e7eb"/>'
            f'<text x="{left - 6}" y="{y + 4}" text-anchor="end">{value:g}</text>'
            f'<text x="{x}" y="{top + side + 15}" text-anchor="middle">{value:g}</text>'
        )
    drawn = ""
    for row, (name, colour, points) in enumerate(curves):
        drawn += f'<polyline points="{" ".join(map(place, points))}" fill="none" stroke="{colour}" stroke-width="2"/>'
        y = top + side - 14 * (len(curves) - row)
        drawn += f'<path d="M{left + 10},{y}h16" stroke="{colour}" stroke-width="2"/>'
        drawn += f'<text x="{left + 30}" y="{y + 4}">{name}</text>'
    return (
        f'<svg width="{side + 70}" height="{side + 70}" role="img" aria-label="{title}">'
        f'<text x="{left}" y="16" style="font-weight:600">{title}</text>{grid}{drawn}'
        f'<text x="{left + side / 2}" y="{top + side + 32}" text-anchor="middle">{across}</text>'
        f'<text x="12" y="{top + side / 2}" transform="rotate(-90 12 {top + side / 2})" text-anchor="middle">{up}</text></svg>'
    )


# --- the gallery


def _galleries(outcomes: Sequence[Outcome], counts: Callable[[Detection], bool], iou: float) -> Iterable[str]:
    boards = [(outcome, outcome.board) for outcome in outcomes]
    verdicts = [(outcome, board, board.decided(verified=True, counts=counts)) for outcome, board in boards]
    parts: tuple[tuple[str, str, Callable[[bool, Verdict], bool]], ...] = (
        ("Escapes", "Bad boards that passed.", lambda bad, verdict: bad and verdict is Verdict.PASS),
        ("False calls", "Good boards that failed.", lambda bad, verdict: not bad and verdict is Verdict.FAIL),
    )
    for title, told, wanted in parts:
        shown = [(outcome, board) for outcome, board, verdict in verdicts if wanted(board.bad, verdict)]
        yield f"<h2>{title}: {len(shown)}</h2><p>{told} {_legend(len(shown))}</p>"
        figures = (_board(outcome, board, counts) for outcome, board in shown[:MOST])
        yield f'<div class="gallery boards">{"".join(figures)}</div>'
    matched = [
        (outcome, pair)
        for outcome, board in boards
        for pair in match(board.found(verified=True, counts=counts), board.truths, iou, class_aware=True)
    ]
    missed = [(outcome, pair) for outcome, pair in matched if pair.detection is None]
    false = [(outcome, pair) for outcome, pair in matched if pair.truth is None]
    for title, told, places in (
        ("Defects not found", "Also those found as another class.", missed),
        ("Findings that are no labelled defect", "Also those of the wrong class.", false),
    ):
        yield f"<h2>{title}: {len(places)}</h2><p>{told} {_legend(len(places))}</p>"
        yield f'<div class="gallery">{"".join(_place(outcome, pair, counts) for outcome, pair in places[:MOST])}</div>'


def _legend(count: int) -> str:
    if not count:
        return ""
    more = f" The first {MOST} are shown." if count > MOST else ""
    return f'<span class="truth">Truth is green</span>, <span class="found">what was found is red</span>.{more}'


def _board(outcome: Outcome, board: Board, counts: Callable[[Detection], bool]) -> str:
    found = board.found(verified=False, counts=counts)
    picture = _drawn(outcome, None, board.truths, found, BOARD_SIDE)
    said = "; ".join(_said(detection) for detection in found) or "nothing found"
    named = ", ".join(sorted({truth.class_name for truth in board.truths})) or "no defect"
    return _figure(picture, f"<b>{escape(board.name)}</b>: {escape(named)} labelled; {escape(said)}")


def _place(outcome: Outcome, pair: Match, counts: Callable[[Detection], bool]) -> str:
    board = outcome.board
    subject = pair.detection.box if pair.detection else pair.truth.box if pair.truth else None
    assert subject is not None
    picture = _drawn(outcome, subject, board.truths, board.found(verified=False, counts=counts), PLACE_SIDE)
    told = _said(pair.detection) if pair.detection else f"{pair.truth.class_name} not found" if pair.truth else ""
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
    boxes = [(truth.box, TRUTH, 3) for truth in truths] + [(detection.box, FOUND, 1) for detection in found]
    for box, colour, width in boxes:
        corners = box.corners
        placed = [(corners[i] - (left if i % 2 == 0 else top)) * scale for i in range(4)]
        draw.rectangle(placed, outline=colour, width=width)
    buffer = io.BytesIO()
    shown.save(buffer, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"

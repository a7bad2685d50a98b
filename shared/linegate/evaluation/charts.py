"""Curves as SVG. Each has a colour, after Okabe and Ito, and a dash of its own, so that none is told by colour alone."""

from collections.abc import Sequence
from typing import Any, Final

BLUE, ORANGE, GREEN, PURPLE, GREY = "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#6b7680"
SIDE: Final = 280  # pixels of a chart's area
LEFT, TOP = 48, 30

Point = tuple[float, float]
Curve = tuple[str, str, str, Sequence[Point]]  # name, colour, dash, points in 0 … 1


def precision_recall(report: dict[str, Any]) -> str:
    def curve(points: Sequence[dict[str, Any]]) -> list[Point]:
        return [(p["recall"], p["precision"]) for p in points if p["recall"] is not None and p["precision"] is not None]

    curves = (
        ("detector alone", GREY, "5 3", curve(report["before_verification"]["sweep"])),
        ("after verification", BLUE, "", curve(report["sweep"])),
    )
    return _chart("Precision and recall", "recall", "precision", [one for one in curves if one[3]])


def by_confidence(report: dict[str, Any]) -> str:
    def curve(key: str) -> list[Point]:
        return [(point["confidence"], point[key]) for point in report["sweep"] if point[key] is not None]

    curves = (
        ("recall", BLUE, "", curve("recall")),
        ("precision", GREEN, "7 3", curve("precision")),
        ("escape rate", ORANGE, "2 3", curve("escape_rate")),
        ("false call rate", PURPLE, "9 3 2 3", curve("false_call_rate")),
    )
    return _chart("What the recipe's confidence decides", "confidence", "share", [one for one in curves if one[3]])


def _chart(title: str, across: str, up: str, curves: Sequence[Curve]) -> str:
    """Empty where there is nothing to draw."""
    if not curves:
        return ""

    def place(point: Point) -> str:
        return f"{LEFT + SIDE * point[0]:.1f},{TOP + SIDE * (1 - point[1]):.1f}"

    grid = ""
    for step in range(6):
        value = step / 5
        x, y = LEFT + SIDE * value, TOP + SIDE * (1 - value)
        grid += (
            f'<path d="M{LEFT},{y}H{LEFT + SIDE}M{x},{TOP}V{TOP + SIDE}" stroke="#e3e7eb"/>'
            f'<text x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{value:g}</text>'
            f'<text x="{x}" y="{TOP + SIDE + 15}" text-anchor="middle">{value:g}</text>'
        )
    drawn, below = "", TOP + SIDE + 52
    for row, (name, colour, dash, points) in enumerate(curves):
        stroke = f'stroke="{colour}" stroke-width="2.5" stroke-dasharray="{dash}"'
        drawn += f'<polyline points="{" ".join(map(place, points))}" fill="none" {stroke}/>'
        x, y = LEFT + SIDE / 2 * (row % 2), below + 18 * (row // 2)
        drawn += f'<path d="M{x},{y}h30" {stroke}/><text x="{x + 36}" y="{y + 4}">{name}</text>'
    height = below + 18 * ((len(curves) + 1) // 2)
    middle = TOP + SIDE / 2
    return (
        f'<svg width="{LEFT + SIDE + 20}" height="{height}" role="img" aria-label="{title}">'
        f'<text x="{LEFT}" y="16" style="font-weight:600">{title}</text>{grid}{drawn}'
        f'<text x="{LEFT + SIDE / 2}" y="{TOP + SIDE + 32}" text-anchor="middle">{across}</text>'
        f'<text x="12" y="{middle}" transform="rotate(-90 12 {middle})" text-anchor="middle">{up}</text></svg>'
    )

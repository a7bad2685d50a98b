"""Charts as SVG for pages and files: places across in percent, so that one drawing fits every screen and its texts stay legible.

Colours are classes of the sheet, light and dark; whatever a colour tells, a shape, a dash or a pattern tells as well.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Final

from markupsafe import Markup

from linegate.control import Chart, Point, Signal
from linegate.numbers import Defects
from linegate.texts import visible
from linegate.wording import share

HEIGHT: Final = 260  # of the plot, px
TICKS: Final = 4
LABELS: Final = 8
DENSE: Final = 80  # more points are drawn smaller
SHOWN: Final = 60
_BEYOND: Final = (Signal.ABOVE, Signal.BELOW)


def p_chart(chart: Chart, what: str, per: str) -> Markup:
    """`what` is charted, `per` group; empty where there are no points."""
    if chart.centre is None:
        return Markup("")
    points, top = chart.points, _top(chart)
    alarms = f"{len(chart.alarms)} alarm{'' if len(chart.alarms) == 1 else 's'}" if chart.alarms else "no alarm"
    told = (
        f"{len(points)} points, one per {per}; centre {share(chart.centre)}, "
        f"from {share(min(point.rate for point in points))} to {share(max(point.rate for point in points))}; {alarms}."
    )
    drawn = [*_grid(top), *_limits(points, top), *_centre(chart.centre, top), *_line(points, top)]
    drawn += [mark for number, point in enumerate(points) for mark in _mark(point, number, len(points), top)]
    drawn += _labels(points)
    title = f"p-chart: {what}, per {per}"
    return Markup(
        '<svg class="plot" role="img" width="100%" height="{}" aria-label="{}"><title>{}</title><desc>{}</desc>{}</svg>'
    ).format(HEIGHT + 44, f"{title}. {told}", title, told, Markup("").join(drawn))


def bar(one: Defects, most: int) -> Markup:
    """The defects of a class beside those of the class that has `most`: claimed, confirmed and missed one after the other."""
    parts, at = [], 0.0
    said = []
    for kind, count in (("confirmed", one.confirmed), ("missed", one.missed), ("claimed", one.claimed)):
        width = 100 * count / most if most else 0
        if count:
            said.append(f"{count} {kind}")
            parts.append(
                Markup('<rect class="{}" x="{:.2f}%" y="2" width="{:.2f}%" height="18"/>').format(kind, at, width)
            )
        at += width
    label = f"{visible(one.class_name)}: {', '.join(said) or 'no defects'}"
    return Markup(
        '<svg class="bar" role="img" width="100%" height="22" aria-label="{}"><title>{}</title>{}</svg>'
    ).format(label, label, Markup("").join(parts))


def _top(chart: Chart) -> float:
    """Of the scale: above all shares; limits of the least groups may lie beyond it."""
    highs = sorted(point.high for point in chart.points)
    most = max(*(point.rate for point in chart.points), highs[len(highs) // 2], 0.001)
    step = _step(most)
    return min(1.0, step * math.ceil(most / step - 1e-9))


def _step(most: float) -> float:
    rough = most / TICKS
    scale: float = 10 ** math.floor(math.log10(rough))
    return next(factor * scale for factor in (1, 2, 2.5, 5, 10) if factor * scale >= rough * 0.999)


def _y(part: float, top: float) -> float:
    return 8 + (HEIGHT - 16) * (1 - part / top)


def _x(number: float, total: int) -> float:
    return 100 * (number + 0.5) / total


def _grid(top: float) -> Iterator[Markup]:
    step = _step(top)
    for number in range(round(top / step) + 1):
        y = _y(number * step, top)
        yield Markup('<line class="grid" x1="0" x2="100%" y1="{0:.1f}" y2="{0:.1f}"/>').format(y)
        yield Markup('<text class="tick" x="-8" y="{:.1f}" text-anchor="end">{}</text>').format(
            y + 4, f"{100 * number * step:.4g} %"
        )


def _limits(points: Sequence[Point], top: float) -> Iterator[Markup]:
    """Steps: they are wider where a group has fewer products. Neighbours that are alike are one line."""
    total = len(points)
    for side in ("low", "high"):
        begun = 0
        for number in range(1, total + 1):
            value = getattr(points[begun], side)
            if number < total and getattr(points[number], side) == value:
                continue
            if 0 < value <= top:
                yield Markup('<line class="limit" x1="{:.3f}%" x2="{:.3f}%" y1="{:.1f}" y2="{:.1f}"/>').format(
                    100 * begun / total, 100 * number / total, _y(value, top), _y(value, top)
                )
            begun = number


def _centre(centre: float, top: float) -> Iterator[Markup]:
    yield Markup('<line class="centre" x1="0" x2="100%" y1="{0:.1f}" y2="{0:.1f}"/>').format(_y(centre, top))


def _line(points: Sequence[Point], top: float) -> Iterator[Markup]:
    for number in range(len(points) - 1):
        yield Markup('<line class="curve" x1="{:.3f}%" y1="{:.1f}" x2="{:.3f}%" y2="{:.1f}"/>').format(
            _x(number, len(points)),
            _y(points[number].rate, top),
            _x(number + 1, len(points)),
            _y(points[number + 1].rate, top),
        )


def _mark(point: Point, number: int, total: int, top: float) -> Iterator[Markup]:
    """A disc; a diamond beyond a limit, a square at the end of a run."""
    x, y, size = _x(number, total), _y(point.rate, top), 2.4 if total > DENSE else 4
    if not point.signals:
        yield Markup('<circle class="point" cx="{:.3f}%" cy="{:.1f}" r="{}">{}</circle>').format(
            x, y, size, _title(point)
        )
        return
    beyond = any(signal in _BEYOND for signal in point.signals)
    path = "M0-9 9 0 0 9-9 0z" if beyond else "M-6-6H6V6H-6z"
    yield Markup('<svg x="{:.3f}%" y="{:.1f}" overflow="visible"><path class="{}" d="{}">{}</path></svg>').format(
        x, y, "beyond" if beyond else "run", path, _title(point)
    )


def _title(point: Point) -> Markup:
    return Markup("<title>{}</title>").format(in_words(point))


def in_words(point: Point) -> str:
    """One point in words."""
    signals = "".join(f"; {signal.value}" for signal in point.signals)
    return f"{point.label}: {point.count} of {point.total}, {share(point.rate)}{signals}"


def _labels(points: Sequence[Point]) -> Iterator[Markup]:
    """Evenly, the time or shift above the day; every other one is left out on a narrow screen."""
    total = len(points)
    every = max(1, math.ceil(total / LABELS))
    day = ""
    for place, number in enumerate(range(0, total, every)):
        first, _, rest = points[number].label.partition(" ")
        lines = [rest, first[5:] if first != day else ""] if rest else [first[5:], ""]
        day = first
        minor = " minor" if place % 2 else ""
        for line, text in enumerate(lines):
            if text:
                yield Markup('<text class="tick{}" x="{:.3f}%" y="{}" text-anchor="middle">{}</text>').format(
                    minor, _x(number, total), HEIGHT + 16 + 17 * line, text
                )

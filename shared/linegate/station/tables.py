"""The tables of a period as plain cells, for spreadsheets: what each column holds stands in its heading."""

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Final

from linegate.cells import Cell
from linegate.inspection import Verdict
from linegate.numbers import CERTAINTY, SHARES
from linegate.period import Figures, Row

Table = tuple[Sequence[str], list[Sequence[Cell]]]


def _shares(told: Figures) -> Table:
    bounds = f"{100 * CERTAINTY:g}_percent"
    heading = (
        "figure",
        "share",
        f"low_{bounds}",
        f"high_{bounds}",
        "count",
        "of",
        "unanswered",
        "counted",
        "divided_by",
    )
    rows: list[Sequence[Cell]] = []
    for one in told.whole.shares:
        low, high = one.interval if one.total else (None, None)
        rows.append(
            (one.share.name, one.rate, low, high, one.count, one.total, one.open, one.share.counted, one.share.of)
        )
    return heading, rows


def _classes(told: Figures) -> Table:
    heading = (
        "class",
        "defects",
        "share",
        "cumulative",
        "confirmed",
        "missed",
        "claimed",
        "false_calls",
        "accepted",
        "unsure",
    )
    total = sum(one.defects for one in told.defects)
    rows: list[Sequence[Cell]] = [
        (
            one.class_name,
            one.defects,
            one.defects / total if total else None,
            up_to / total if total else None,
            one.confirmed,
            one.missed,
            one.claimed,
            one.false_calls,
            one.accepted,
            one.unsure,
        )
        for one, up_to in zip(told.defects, accumulate(one.defects for one in told.defects), strict=True)
    ]
    return heading, rows


def _by(what: str) -> Callable[[Figures], Table]:
    def table(told: Figures) -> Table:
        heading = [what, "products", *(f"first_{verdict.value}" for verdict in Verdict)]
        for share in SHARES:
            heading += [share.key, f"{share.key}_count", f"{share.key}_of"]
        heading += ["defects", "dpu", "dpmo", "latency_median_ms", "latency_p95_ms"]
        return heading, [_row(row) for row in (*told.tables[what], told.whole)]

    return table


def _row(row: Row) -> list[Cell]:
    counts = row.counts
    cells: list[Cell] = [row.name, counts.products, *(counts.first.get(verdict, 0) for verdict in Verdict)]
    for one in row.shares:
        cells += [one.rate, one.count, one.total]
    return [
        *cells,
        row.rate.defects,
        row.rate.dpu,
        row.rate.dpmo,
        counts.latency_quantile_ms(0.5),
        counts.latency_quantile_ms(0.95),
    ]


def _chart(told: Figures) -> Table:
    heading = (
        told.per.value,
        "not_passed_at_first",
        "products",
        "share",
        "lower_limit",
        "upper_limit",
        "centre",
        "alarm",
    )
    rows: list[Sequence[Cell]] = [
        (
            point.label,
            point.count,
            point.total,
            point.rate,
            point.low,
            point.high,
            told.chart.centre,
            "; ".join(signal.value for signal in point.signals),
        )
        for point in told.chart.points
    ]
    return heading, rows


# By the name that stands in an address
TABLES: Final[dict[str, Callable[[Figures], Table]]] = {
    "shares": _shares,
    "classes": _classes,
    "lines": _by("line"),
    "recipes": _by("recipe"),
    "shifts": _by("shift"),
    "days": _by("day"),
    "chart": _chart,
}

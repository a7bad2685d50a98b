"""The evaluation as one HTML file that needs nothing else: figures, curves, and every escape and false call to look at."""

from collections.abc import Callable, Iterable, Sequence
from html import escape
from typing import Any, Final

import yaml

from linegate.evaluation.charts import by_confidence, precision_recall
from linegate.evaluation.gallery import galleries
from linegate.evaluation.metrics import NONE
from linegate.evaluation.outcomes import Outcome
from linegate.evaluation.terminal import counted, header, measures, rows
from linegate.evaluation.thresholds import UNKNOWN, number
from linegate.inspection import Detection

MOST: Final = 500  # rows of a table of faults or boards; --json holds all

# Colours after Okabe and Ito; whatever one tells, a word, a sign or a dash tells as well.
STYLE: Final = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1d2329; max-width: 1100px; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.6rem; margin-bottom: .2rem } h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; break-after: avoid }
p { max-width: 46rem } code { background: #eef1f4; padding: .1rem .35rem; border-radius: 3px; overflow-wrap: anywhere }
.made { color: #39424b; max-width: none; overflow-wrap: anywhere } .wide { overflow-x: auto }
table { border-collapse: collapse; margin: .4rem 0 1rem } caption { text-align: left; color: #55606b; padding-bottom: .2rem }
th, td { padding: .22rem .7rem; text-align: right; border-bottom: 1px solid #dde2e7; font-variant-numeric: tabular-nums }
th:first-child, td:first-child { text-align: left } tr.sum td { font-weight: 600 } tr { break-inside: avoid }
table.words td { text-align: left; vertical-align: top; overflow-wrap: anywhere } table.words th { text-align: left }
td.hit { background: #d9ebf7; font-weight: 600 } td.miss { background: #fbe5d6 }
td.hit::after { content: " \\2713" } td.miss::after { content: " \\2717" }
.figures { display: grid; grid-template-columns: repeat(4, 1fr); gap: .8rem; margin: 1.2rem 0 }
@media (max-width: 700px) { .figures { grid-template-columns: repeat(2, 1fr) } }
.figure { border: 1px solid #dde2e7; border-radius: 6px; padding: .6rem .8rem; break-inside: avoid }
.figure b { display: block; font-size: 1.5rem } .figure span { color: #55606b; font-size: .85rem }
.bad { border: 2px solid #d55e00 } .bad b::before { content: "\\25B2\\00A0"; color: #d55e00 }
.warning { border-left: 4px solid #d55e00; padding: .3rem .8rem; background: #fdf3ec; max-width: none; break-inside: avoid }
.curves { display: flex; flex-wrap: wrap; gap: 1.5rem } svg { break-inside: avoid } svg text { font: 11px system-ui, sans-serif }
.gallery { display: grid; grid-template-columns: repeat(auto-fill, minmax(240px, 1fr)); gap: 1rem }
.boards { grid-template-columns: repeat(auto-fill, minmax(420px, 1fr)) }
figure { margin: 0; break-inside: avoid } figure img { max-width: 100%; border: 1px solid #dde2e7; display: block }
figcaption { font-size: .82rem; color: #39424b; overflow-wrap: anywhere } pre { white-space: pre-wrap; overflow-wrap: anywhere }
.truth { border-bottom: 3px dashed #0072b2 } .found { border-bottom: 3px solid #d55e00 }
@page { margin: 14mm }
@media print {
  body { max-width: none; margin: 0; padding: 0; font-size: 11px; print-color-adjust: exact; -webkit-print-color-adjust: exact }
  .gallery { grid-template-columns: repeat(4, 1fr) }
  .boards { grid-template-columns: repeat(2, 1fr) } .wide { overflow: visible; font-size: 9px }
  .wide th, .wide td { padding: .15rem .3rem }
}
"""


def page(
    report: dict[str, Any], advice: Sequence[str], outcomes: Sequence[Outcome], counts: Callable[[Detection], bool]
) -> str:
    """The whole report as HTML; pictures are read from the dataset and put into it."""
    return "".join(
        (
            '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Linegate evaluation</title>',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<style>{STYLE}</style></head><body><h1>How good is this gate?</h1>",
            f'<p class="made">{"<br>".join(map(escape, header(report)))}</p>',
            f"<p>A defect counts as found where boxes overlap by {report['iou']:g} and the class is right.</p>",
            *(f'<p class="warning"><b>Note:</b> {escape(line)}</p>' for line in report["dataset"]["warnings"]),
            _headline(report),
            _not_judged(report["not_judged"]),
            "<h2>What verification buys and costs</h2>",
            _before_and_after(report),
            "<h2>By class</h2>",
            _classes(report),
            "<h2>Which confidence to choose</h2>",
            *(f"<p>{escape(line)}</p>" for line in advice),
            f'<div class="curves">{precision_recall(report)}{by_confidence(report)}</div>',
            _calibration(report["before_verification"]["calibration"]),
            "<h2>What was taken for what</h2>",
            _confusion(report["confusion"]),
            *galleries(outcomes, counts, report["iou"]),
            _faults(report["dataset"]),
            _recipe(report),
            "</body></html>\n",
        )
    )


def _headline(report: dict[str, Any]) -> str:
    boards, latency, cost = report["boards"], report["latency_ms"], report["cost"]
    bad, good = boards["bad"], boards["good"]
    figures = [
        ("escapes", counted(boards["escapes"], bad), f"of {bad} bad boards passed", boards["escapes"]),
        ("false calls", counted(boards["false_calls"], good), f"of {good} good boards failed", boards["false_calls"]),
        ("to review", boards["review"], f"of {boards['total']} boards", boards["review"]),
        ("not inspected", boards["error"], f"of {boards['total']} boards (ERROR)", boards["error"]),
        ("recall", number(report["overall"]["recall"]), "of the labelled defects found", False),
        ("precision", number(report["overall"]["precision"]), "of what was found is a defect", False),
        ("ms a board", latency["board"]["p50"] or UNKNOWN, f"median; p95 {latency['board']['p95'] or UNKNOWN}", False),
        ("US$ a board", f"{cost['per_board']:.4f}", f"on Google Cloud, {cost['crops_per_board']:.1f} crops", False),
    ]
    tiles = (
        f'<div class="figure{" bad" if alarming else ""}"><b>{value}</b>{name}<br><span>{told}</span></div>'
        for name, value, told, alarming in figures
    )
    elsewhere = boards["failed_elsewhere"]
    told = (
        f"<p>{elsewhere} bad boards failed without any of their labelled defects being found.</p>" if elsewhere else ""
    )
    return f'<div class="figures">{"".join(tiles)}</div>{told}'


def _not_judged(reasons: Sequence[dict[str, Any]]) -> str:
    if not reasons:
        return ""
    listed = [(each["verdict"], each["count"], each["reason"], ", ".join(each["boards"][:MOST])) for each in reasons]
    table = _table(("verdict", "boards", "reason", "which"), listed[:MOST], kind="words")
    return f"<h2>Why boards were not judged</h2>{table}"


def _before_and_after(report: dict[str, Any]) -> str:
    listed = []
    for name, part in (("detector alone", report["before_verification"]), ("after verification", report)):
        whole, boards = part["overall"], part["boards"]
        rates = (number(whole[key]) for key in ("precision", "recall", "f1", "ap50"))
        escapes = counted(boards["escapes"], boards["bad"])
        listed.append((name, *rates, escapes, counted(boards["false_calls"], boards["good"]), boards["review"]))
    return _table(("", "precision", "recall", "F1", "AP@50", "escapes", "false calls", "review"), listed)


def _classes(report: dict[str, Any]) -> str:
    titles = measures(report)
    listed = [(name, *(number(values[key]) for key in titles), values["support"]) for name, values in rows(report)]
    return _table(("class", *titles.values(), "defects"), listed, sums=3)


def _confusion(table: dict[str, dict[str, int]]) -> str:
    columns = list(table)
    if not any(any(counts.values()) for counts in table.values()):
        return "<p>Nothing is labelled, and nothing was found.</p>"
    head = "".join(f"<th>{escape(name)}</th>" for name in ("truth \\ found", *columns))
    body = ""
    for row, counts in table.items():
        cells = ""
        for column in columns:
            count = counts[column]
            kind = "" if not count or row == column == NONE else ' class="hit"' if row == column else ' class="miss"'
            cells += f"<td{kind}>{count or ''}</td>"
        body += f"<tr><td>{escape(row)}</td>{cells}</tr>"
    return f'<div class="wide"><table><tr>{head}</tr>{body}</table></div>'


def _calibration(fifths: Sequence[dict[str, Any]]) -> str:
    listed = [
        (
            f"{fifth['from']:.1f} … {fifth['to']:.1f}",
            fifth["count"],
            number(fifth["confidence"]),
            number(fifth["precision"]),
        )
        for fifth in fifths
    ]
    caption = (
        "Does the detector's confidence mean what it says? Mean confidence should be near the part that are defects."
    )
    return _table(("confidence", "detections", "mean confidence", "are defects"), listed, caption=caption)


def _faults(data: dict[str, Any]) -> str:
    if not data["faults"]:
        return ""
    listed = [(fault["kind"], fault["file"], fault["line"] or "", fault["reason"]) for fault in data["faults"]]
    more = f"<p>The first {MOST} of {len(listed)}; the JSON lists all.</p>" if len(listed) > MOST else ""
    table = _table(("what", "file", "line", "reason"), listed[:MOST], kind="words")
    return f"<h2>What is wrong with the dataset</h2>{more}{table}"


def _recipe(report: dict[str, Any]) -> str:
    recipe = report["configuration"]["recipe"]
    text = yaml.safe_dump(recipe, allow_unicode=True, sort_keys=False) if recipe else "all defaults"
    return f"<h2>The recipe</h2><p>Keys that are not here have their defaults.</p><pre>{escape(text)}</pre>"


def _table(
    head: Sequence[str], listed: Iterable[Sequence[object]], *, sums: int = 0, caption: str = "", kind: str = ""
) -> str:
    """`sums` rows at the end are set in bold."""
    lines = list(listed)
    titles = "".join(f"<th>{escape(title)}</th>" for title in head)
    body = ""
    for index, row in enumerate(lines):
        bold = ' class="sum"' if index >= len(lines) - sums else ""
        cells = "".join(f"<td>{escape(str(cell))}</td>" for cell in row)
        body += f"<tr{bold}>{cells}</tr>"
    told = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f'<div class="wide"><table class="{kind}">{told}<tr>{titles}</tr>{body}</table></div>'

"""The evaluation as one HTML file that needs nothing else: figures, curves, and every escape and false call to look at."""

from collections.abc import Callable, Sequence
from html import escape
from typing import Any, Final

import yaml

from linegate.bounds import percent
from linegate.evaluation.charts import by_confidence, precision_recall
from linegate.evaluation.gallery import galleries
from linegate.evaluation.metrics import NONE
from linegate.evaluation.outcomes import Outcome
from linegate.evaluation.pages import STYLE, table
from linegate.evaluation.terminal import counted, header, judged, measures, off, rows, share
from linegate.evaluation.thresholds import UNKNOWN, number
from linegate.inspection import Detection

MOST: Final = 500  # rows of a table of faults or boards; --json holds all


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
            _masks(report["masks"]),
            _coverage(report["coverage"]),
            _detectors(report),
            "<h2>What verification buys and costs</h2>",
            _before_and_after(report),
            "<h2>By class</h2>",
            _classes(report),
            "<h2>What these boards promise, and what to choose</h2>",
            *(f"<p>{escape(line)}</p>" for line in advice),
            f'<div class="curves">{precision_recall(report)}{by_confidence(report)}</div>',
            _calibration(report["before_verification"]["calibration"]),
            "<h2>Was the verifier right to clear?</h2>",
            _clearing(report["clearing"]),
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
    listing = table(("verdict", "boards", "reason", "which"), listed[:MOST], kind="words")
    return f"<h2>Why boards were not judged</h2>{listing}"


def _masks(told: dict[str, Any] | None) -> str:
    if told is None:
        return ""
    listed = [
        (
            name,
            *(number(each[key]) for key in ("precision", "recall", "f1")),
            each["compared"],
            *(number(each[key]) for key in ("mean_iou", "mean_box_iou")),
            off(each["area"], told["unit"]) if each["compared"] else UNKNOWN,
        )
        for name, each in (("class and place", told["overall"]), ("place alone", told["localisation"]))
    ]
    head = ("", "precision", "recall", "F1", "compared", "mean IoU", "of their boxes", "area")
    caption = (
        f"{told['labelled']} labelled defects have a mask, {told['found']} findings an outline; where either lacks, boxes count. "
        "Compared are the hits that have both."
    )
    return f"<h2>How well outlines fit</h2>{table(head, listed, caption=caption)}"


def _coverage(told: dict[str, Any]) -> str:
    if not told["known"]:
        return ""
    said = f"<p>Least {judged(told['least'])}, p5 {judged(told['p5'])}, p50 {judged(told['p50'])}, of {told['known']} boards. "
    said += f"Below the recipe's {judged(told['wanted'])}: {len(told['below'])}.</p>"
    if told["below"]:
        more = f" and {len(told['below']) - MOST} more" if len(told["below"]) > MOST else ""
        said += f"<p>{escape(', '.join(told['below'][:MOST]))}{more}</p>"
    causes = [(cause["why"], share(cause["part"]), share(cause["most"]), cause["boards"]) for cause in told["lost"]]
    listing = table(("lost to", "on average", "at most", "boards"), causes) if causes else ""
    return f"<h2>How much of the pictures could be judged</h2>{said}{listing}"


def _detectors(report: dict[str, Any]) -> str:
    if len(report["detectors"]) < 2:
        return ""
    keys = ("detector", "answered", "true_alone", "true_together", "false_alone", "false_together")
    listed = [(*(each[key] for key in keys), each["took_ms"]["p50"] or UNKNOWN) for each in report["detectors"]]
    head = ("detector", "boards", "defects alone", "with others", "false alone", "with others", "ms, median")
    caption = "Findings before verification. What is alone a detector's would be missing without it."
    return f"<h2>What each detector brings</h2>{table(head, listed, caption=caption)}"


def _before_and_after(report: dict[str, Any]) -> str:
    listed = []
    for name, part in (("detector alone", report["before_verification"]), ("after verification", report)):
        whole, boards = part["overall"], part["boards"]
        rates = (number(whole[key]) for key in ("precision", "recall", "f1", "ap50"))
        escapes = counted(boards["escapes"], boards["bad"])
        listed.append((name, *rates, escapes, counted(boards["false_calls"], boards["good"]), boards["review"]))
    return table(("", "precision", "recall", "F1", "AP@50", "escapes", "false calls", "review"), listed)


def _classes(report: dict[str, Any]) -> str:
    titles = measures(report)
    listed = [(name, *(number(values[key]) for key in titles), values["support"]) for name, values in rows(report)]
    return table(("class", *titles.values(), "defects"), listed, sums=3)


def _clearing(told: dict[str, Any]) -> str:
    if not told["all"]["cleared"]:
        return "<p>The verifier cleared nothing.</p>"
    listed = [
        (
            name,
            f"{each['above']:g} … {each['to']:g}",
            each["cleared"],
            each["right"],
            percent(each["right_at_least"], least=True),
        )
        for name, figures in (("all classes", told["all"]), *told["per_class"].items())
        for each in figures["ranges"]
        if each["cleared"]
    ]
    caption = (
        "Findings that the verifier cleared, by the detector's confidence. One that touches a labelled defect was cleared "
        f"wrongly. The last column holds with {100 * told['certainty']:g} % certainty, each row by itself."
    )
    return table(("class", "confidence", "cleared", "rightly", "rightly at least"), listed, caption=caption)


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
    return table(("confidence", "detections", "mean confidence", "are defects"), listed, caption=caption)


def _faults(data: dict[str, Any]) -> str:
    if not data["faults"]:
        return ""
    listed = [(fault["kind"], fault["file"], fault["line"] or "", fault["reason"]) for fault in data["faults"]]
    more = f"<p>The first {MOST} of {len(listed)}; the JSON lists all.</p>" if len(listed) > MOST else ""
    listing = table(("what", "file", "line", "reason"), listed[:MOST], kind="words")
    return f"<h2>What is wrong with the dataset</h2>{more}{listing}"


def _recipe(report: dict[str, Any]) -> str:
    recipe = report["configuration"]["recipe"]
    text = yaml.safe_dump(recipe, allow_unicode=True, sort_keys=False) if recipe else "all defaults"
    return f"<h2>The recipe</h2><p>Keys that are not here have their defaults.</p><pre>{escape(text)}</pre>"

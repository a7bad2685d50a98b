"""An evaluation on the terminal."""

import sys
from typing import Any, Final

from rich.table import Table
from rich.text import Text

from linegate.console import console
from linegate.evaluation.thresholds import UNKNOWN, advice, number
from linegate.inspection import Coverage

MOST: Final = 10  # faults, reasons and boards of one reason that are listed; --json holds all


def header(report: dict[str, Any]) -> list[str]:
    """What was evaluated, when, by which software and settings: the lines that make a report one to file."""
    data, gate, configuration, golden = (report[key] for key in ("dataset", "gate", "configuration", "golden"))
    of = f" of {data['asked_for']}, stopped early," if data["pictures"] < data["asked_for"] else ""
    file = f"{configuration['file']} (sha256 {configuration['sha256'][:12]})" if configuration["file"] else "none"
    file += "".join(f", {change}" for change in configuration["changes"])
    if golden["file"]:
        compared = f"golden picture {golden['file']} (sha256 {golden['sha256'][:12]})"
    else:
        compared = f"{golden['pictures']} golden pictures" if golden["pictures"] else "no golden picture"
    pictures = _plural(data["pictures"], "picture") + of
    limits = f"confidence {gate['confidence']:g}, IoU {report['iou']:g}"
    return [
        f"{report['evaluated_at']}, {report['software']}",
        f"{pictures} with {_plural(data['defects'], 'labelled defect')}: {data['path']} ({data['format']})",
        f"detector {gate['detector']}, verifier {gate['verifier']}, {limits}",
        f"configuration {file}, line {configuration['line']}, recipe {configuration['recipe_name']}; {compared}",
    ]


def counted(count: int, whole: int) -> str:
    """A count where there was something to count: of no boards at all, nobody knows."""
    return str(count) if whole else UNKNOWN


def rows(report: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """What precision and recall are told of, and their figures."""
    return [
        *report["per_class"].items(),
        ("overall", report["overall"]),
        ("overall, before verification", report["before_verification"]["overall"]),
        ("boxes alone, whatever the class", report["localisation"]),
    ]


def measures(report: dict[str, Any]) -> dict[str, str]:
    """Key and title of what is told of each row; AP at the chosen overlap only where that is another than 0.5."""
    titles = {"precision": "precision", "recall": "recall", "f1": "F1", "ap50": "AP@50"}
    return titles if report["iou"] == 0.5 else {**titles, "ap": f"AP@{100 * report['iou']:g}"}


def show(report: dict[str, Any]) -> None:
    """Print the figures; what is wrong with the dataset goes to standard error."""
    out = console()

    def line_out(text: str) -> None:
        out.print(Text(text), soft_wrap=True)

    for line in header(report):
        line_out(line)
    table = Table(box=None, header_style="bold")
    table.add_column("")
    titles = measures(report)
    for title in (*titles.values(), "defects"):
        table.add_column(title, justify="right")
    for name, values in rows(report):
        if name == "overall":
            table.add_section()
        table.add_row(Text(name), *(number(values[key]) for key in titles), str(values["support"]))
    out.print(table)
    for title, part in (("boards", report), ("before verification", report["before_verification"])):
        line_out(f"{title}: {_boards(part['boards'])}")
    for reason in report["not_judged"][:MOST]:
        more = f" and {len(reason['boards']) - MOST} more" if len(reason["boards"]) > MOST else ""
        line_out(f"{reason['verdict']}, {_plural(reason['count'], 'board')}: {reason['reason']}")
        line_out(f"    {', '.join(reason['boards'][:MOST])}{more}")
    if len(report["not_judged"]) > MOST:
        line_out(f"… and {len(report['not_judged']) - MOST} more reasons; --json lists all")
    for line in beside(report):
        line_out(line)
    latency, cost = report["latency_ms"], report["cost"]
    line_out(
        f"latency: board p50 {_ms(latency['board']['p50'])}, p95 {_ms(latency['board']['p95'])}, detector p50 "
        f"{_ms(latency['detector']['p50'])}, with {_plural(latency['under_way'], 'board')} under way"
    )
    line_out(f"on Google Cloud: US$ {cost['per_board']:.4f} a board, {cost['crops_per_board']:.1f} crops each")
    for line in advice(report):
        line_out(line)
    _faults(report["dataset"])


def beside(report: dict[str, Any]) -> list[str]:
    """How well outlines fit, how much could be judged, what each of several detectors brought; where there is such to tell."""
    told, detectors = report["coverage"], report["detectors"]
    lines = _masks(report["masks"])
    if told["known"]:
        lines.append(
            f"coverage: least {judged(told['least'])}, p5 {judged(told['p5'])}, p50 {judged(told['p50'])}; "
            f"{_plural(len(told['below']), 'board')} of {told['known']} below {judged(told['wanted'])}"
        )
        lines += [
            f"    lost to {cause['why']}: {share(cause['part'])} on average, at most {share(cause['most'])} "
            f"({_plural(cause['boards'], 'board')})"
            for cause in told["lost"][:MOST]
        ]
        more = f" and {len(told['below']) - MOST} more" if len(told["below"]) > MOST else ""
        if told["below"]:
            lines.append(f"    below: {', '.join(told['below'][:MOST])}{more}")
    if len(detectors) > 1:
        lines += [
            f"detector {each['detector']}: {each['true_alone']} defects found by it alone, {each['true_together']} with others; "
            f"{each['false_alone']} false findings alone, {each['false_together']} with others; "
            f"p50 {_ms(each['took_ms']['p50'])}, answered {each['answered']} of {report['boards']['total']} boards"
            for each in detectors
        ]
    return lines


def _masks(told: dict[str, Any] | None) -> list[str]:
    if told is None:
        return []
    outlined = _plural(told["found"], "finding")
    lines = [
        f"masks: {told['labelled']} labelled defects have one, {outlined} an outline; where either lacks, boxes count"
    ]
    for name, each in (("class and place", told["overall"]), ("place alone", told["localisation"])):
        line = f"    {name}: precision {number(each['precision'])}, recall {number(each['recall'])}"
        if each["compared"]:
            line += f"; of {_plural(each['compared'], 'hit')} mean IoU {number(each['mean_iou'])}, of their boxes "
            line += f"{number(each['mean_box_iou'])}; {off(each['area'], told['unit'])}"
        lines.append(line)
    return lines


def off(area: dict[str, float], unit: str) -> str:
    """By how much areas are off."""
    error, mean, of = (_area(area[key]) for key in ("absolute_error", "error", "labelled"))
    sign = "+" * (area["error"] > 0)
    return f"area off by {error} {unit} on average (mean {sign}{mean}), of {of} {unit}"


def _area(value: float) -> str:
    return f"{value:.3g}" if abs(value) < 100 else f"{value:.0f}"


def judged(value: float) -> str:
    """A coverage in percent, never more than it is."""
    return str(Coverage(value))


def share(value: float) -> str:
    """A part of the picture in percent; next to nothing is not told as nothing."""
    return f"{100 * value:.1f} %" if value >= 0.0005 or not value else "< 0.1 %"


def _boards(boards: dict[str, Any]) -> str:
    parts = [
        f"{counted(boards['escapes'], boards['bad'])} escapes",
        f"{counted(boards['false_calls'], boards['good'])} false calls",
        f"{boards['review']} to review",
    ]
    if boards["error"]:
        parts.append(f"{boards['error']} not inspected (ERROR)")
    if boards["failed_elsewhere"]:
        parts.append(
            f"{boards['failed_elsewhere']} bad boards failed without any of their labelled defects being found"
        )
    return f"{boards['total']} ({boards['bad']} bad, {boards['good']} good); {', '.join(parts)}"


def _faults(data: dict[str, Any]) -> None:
    for line in data["warnings"]:
        print(f"warning: {line}", file=sys.stderr)
    for fault in data["faults"][:MOST]:
        where = f"{fault['file']}:{fault['line']}" if fault["line"] else fault["file"]
        print(f"{fault['kind']}: {where}: {fault['reason']}", file=sys.stderr)
    if len(data["faults"]) > MOST:
        print(f"… and {len(data['faults']) - MOST} more; --json lists all", file=sys.stderr)


def _plural(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _ms(value: float | None) -> str:
    return UNKNOWN if value is None else f"{value} ms"

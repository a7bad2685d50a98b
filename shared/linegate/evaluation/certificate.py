"""A study as one HTML page that prints on A4, to be signed and filed. It needs nothing from anywhere else."""

from html import escape
from typing import Any, Final

from linegate.evaluation.pages import STYLE, table
from linegate.evaluation.qualification import CLASS_HEAD, class_rows, rows

MOST: Final = 100  # names of boards that are listed; --json holds all
SHEET: Final = """
@page { size: A4; margin: 16mm } body { max-width: 180mm }
.shown { border: 1px solid #1d2329; padding: .2rem 1rem; break-inside: avoid } .shown p { max-width: none; margin: .5rem 0 }
.signed { display: grid; grid-template-columns: repeat(3, 1fr); gap: 1.2rem; margin-top: 3.5rem; break-inside: avoid }
.signed div { border-top: 1px solid #1d2329; padding-top: .2rem; font-size: .85rem }
table.facts { table-layout: fixed; width: 100% } table.facts th:first-child { width: 24% } ul { padding-left: 1.2rem }
table:not(.words) td { white-space: nowrap }
"""
SIGNED: Final = ("Made by: name, date, signature", "Quality: name, date, signature", "Released: name, date, signature")


def page(report: dict[str, Any]) -> str:
    """The whole page."""
    study = report["study"]
    return "".join(
        (
            '<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>Linegate: attribute gauge study</title>',
            f'<meta name="viewport" content="width=device-width, initial-scale=1"><style>{STYLE}{SHEET}</style></head><body>',
            "<h1>Attribute gauge study</h1>",
            _facts(report),
            *(f'<p class="warning"><b>Note:</b> {escape(line)}</p>' for line in report["dataset"]["warnings"]),
            "<h2>What is shown</h2>",
            f'<div class="shown">{"".join(f"<p>{escape(line)}</p>" for line in report["statement"])}</div>',
            "<h2>The gauge</h2>",
            table(
                ("", "value", f"with {100 * study['certainty']:g} % certainty", "AIAG's band", "band of the bound"),
                rows(study),
                caption="Values count looks, bounds count boards. Bands after Measurement Systems Analysis, AIAG, 4th edition.",
            ),
            "<h2>Looks by verdict</h2>",
            table(
                ("reference", *study["table"]["bad"]),
                [(kind, *counts.values()) for kind, counts in study["table"].items()],
            ),
            _classes(study),
            _boards("Bad boards that passed at any look", study["missed"]),
            _boards("Good boards that failed at any look", study["alarmed"]),
            "<h2>What is not shown</h2>",
            f"<ul>{''.join(f'<li>{escape(line)}</li>' for line in report['limits'])}</ul>",
            f'<div class="signed">{"".join(f"<div>{line}</div>" for line in SIGNED)}</div>',
            "</body></html>\n",
        )
    )


def _facts(report: dict[str, Any]) -> str:
    """When, with what and on what: what makes it one to file."""
    configuration, golden, data, gate, looks, study = (
        report[key] for key in ("configuration", "golden", "dataset", "gate", "looks", "study")
    )
    file = (
        f"{configuration['file']}, sha256 {configuration['sha256']}" if configuration["file"] else "none: all defaults"
    )
    models = ", ".join(gate["detector_model"])
    pictures = f"{golden['pictures']} golden pictures"
    listed = [
        ("date", report["made_at"]),
        ("software", report["software"]),
        (
            "recipe",
            f"{configuration['recipe_name']} of line {configuration['line']}, confidence {gate['confidence']:g}",
        ),
        ("detector, verifier", f"{gate['detector']} ({models or 'no model'}), {gate['verifier']}"),
        ("configuration", "; ".join((file, *configuration["changes"]))),
        ("golden picture", f"{golden['file']}, sha256 {golden['sha256']}" if golden["file"] else pictures),
        ("dataset", f"{data['path']} ({data['format']}), {study['bad']} bad boards and {study['good']} good ones"),
        ("dataset's sha256", data["sha256"]),
        (
            "looks",
            f"{looks['each']} at each board, seed {looks['seed']}; the first as it is, the others {looks['told']}",
        ),
    ]
    return table(("", ""), listed, kind="words facts")


def _classes(study: dict[str, Any]) -> str:
    if not study["per_class"]:
        return ""
    caption = (
        "Boards with defects of this class alone: with several classes, one that is found holds the board for all."
    )
    return f"<h2>By class</h2>{table(CLASS_HEAD, class_rows(study), caption=caption)}"


def _boards(title: str, names: list[str]) -> str:
    if not names:
        return ""
    more = f" and {len(names) - MOST} more" if len(names) > MOST else ""
    return f"<h2>{title}</h2><p>{escape(', '.join(names[:MOST]))}{more}</p>"

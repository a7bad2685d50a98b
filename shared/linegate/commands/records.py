"""`linegate list` and `linegate show`: what was inspected, read beside a running gate without touching anything."""

import json
import re
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from rich.table import Table
from rich.text import Text

from linegate.console import STYLE, console
from linegate.errors import TransientError, UsageError
from linegate.events import codec
from linegate.inspection import Inspection, OutboxEntry, Revision, brief, printable
from linegate.settings import Settings

_SPANS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400}


def listed(
    settings: Settings, line: str | None, verdict: str | None, since: str | None, limit: int, *, as_json: bool
) -> int:
    """Print the latest inspections, newest first. 0. Raises UsageError, TransientError."""
    conditions, values = ["1"], list[object]()
    if line is not None:
        conditions.append("json_extract(document, '$.place.line') = ?")
        values.append(line)
    if verdict is not None:
        conditions.append("json_extract(document, '$.revision.decision.verdict') = ?")
        values.append(verdict)
    if since is not None:
        conditions.append("received_at >= ?")
        values.append(_moment(since).timestamp())
    query = f"SELECT document FROM inspections WHERE {' AND '.join(conditions)} ORDER BY received_at DESC LIMIT ?"
    with closing(_open(settings)) as connection:
        found = [_inspection(row[0]) for row in _rows(connection, query, [*values, limit])]
    if as_json:
        print(json.dumps([_brief(inspection) for inspection in found], indent=2))
        return 0
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("received", "verdict", "board", "reasons", "id"):
        table.add_column(heading, no_wrap=heading in ("received", "verdict", "id"), overflow="fold")
    for inspection in found:
        told = _brief(inspection)
        reasons = "; ".join(told["reasons"][:2]) + (
            f" and {len(told['reasons']) - 2} more" if told["reasons"][2:] else ""
        )
        cells = (
            _local(inspection.received_at),
            told["verdict"] or "undecided",
            told["board"],
            reasons,
            inspection.inspection_id[:8],
        )
        style = STYLE.get(told["verdict"] or "", "")
        table.add_row(*(Text(printable(cell, 400), style if number == 1 else "") for number, cell in enumerate(cells)))
    out = console()
    out.print(table) if found else out.print("Nothing was inspected that fits.")
    return 0


def shown(settings: Settings, wanted: str, *, as_json: bool) -> int:
    """Print all that is known of each inspection of this serial, or with an id that begins so. 0. Raises UsageError."""
    by_id = bool(re.fullmatch(r"[0-9a-f]{6,32}", wanted))
    query = """SELECT document FROM inspections WHERE json_extract(document, '$.place.serial') = ? OR (? AND id GLOB ?)
        ORDER BY received_at DESC LIMIT 20"""
    with closing(_open(settings)) as connection:
        found = [_inspection(row[0]) for row in _rows(connection, query, [wanted, by_id, f"{wanted}*"])]
        if not found:
            raise UsageError(f"nothing was inspected with the serial or id {printable(wanted)!r}")
        told = [_whole(settings, connection, inspection) for inspection in found]
    if as_json:
        print(json.dumps(told, indent=2))
    else:
        for number, inspection in enumerate(told):
            print("\n" * (number > 0) + "\n".join(_lines(inspection)))
    return 0


def _whole(settings: Settings, connection: sqlite3.Connection, inspection: Inspection) -> dict[str, Any]:
    """An inspection with its revisions, notifications and where its pictures lie, as plain data."""
    identity = inspection.inspection_id
    query = "SELECT document FROM revisions WHERE inspection_id = ? ORDER BY number"
    revisions = [codec(Revision).validate_json(text) for (text,) in _rows(connection, query, [identity])]
    query = "SELECT document FROM outbox WHERE inspection_id = ? ORDER BY revision, target"
    entries = [codec(OutboxEntry).validate_json(text) for (text,) in _rows(connection, query, [identity])]
    query = "SELECT path FROM objects WHERE inspection_id = ?"
    uploads = [Path(bytes(path).decode("utf-8", "surrogateescape")) for (path,) in _rows(connection, query, [identity])]
    revision, manifest = inspection.revision, inspection.manifest
    quarantined = settings.data / "quarantine" / identity
    return {
        **_brief(inspection),
        "recipe": inspection.recipe,
        "summary": revision.decision.summary if revision else "",
        "deadline": inspection.deadline.isoformat(),
        "decided_ms": round(inspection.timings.decided_ms) if revision else None,
        "detector": manifest.detector if manifest else None,
        "findings": [
            {
                "class": detection.class_name,
                "confidence": round(detection.confidence, 3),
                "box": asdict(detection.box),
                "result": check.result.value,
                "reason": check.reason,
            }
            for detection, check in zip(
                manifest.detections if manifest else (), revision.decision.checks if revision else (), strict=False
            )
        ],
        "revisions": [
            {
                "number": each.number,
                "verdict": each.decision.verdict.value,
                "decided_at": each.decided_at.isoformat(),
                "decided_by": each.decided_by,
                "complete": each.decision.complete,
                "annotated": str(settings.data / each.annotated) if each.annotated else None,
            }
            for each in revisions
        ],
        "notifications": [
            {
                "target": entry.target,
                "revision": entry.revision,
                "state": entry.state.value,
                "attempts": entry.attempts,
                "last_error": entry.last_error,
            }
            for entry in entries
        ],
        "picture": next((str(path) for path in uploads if path.is_file()), None),
        "quarantined": str(quarantined) if quarantined.is_file() else None,
    }


def _brief(inspection: Inspection) -> dict[str, Any]:
    revision, place = inspection.revision, inspection.place
    return {
        "inspection_id": inspection.inspection_id,
        "board": "/".join(part or "?" for part in (place.line, place.station, place.serial)),
        "line": place.line,
        "station": place.station,
        "serial": place.serial,
        "received_at": inspection.received_at.isoformat(),
        "decided_at": revision.decided_at.isoformat() if revision else None,
        "verdict": revision.decision.verdict.value if revision else None,
        "reasons": list(revision.decision.reasons) if revision else [],
    }


def _lines(told: dict[str, Any]) -> list[str]:
    """The same for a person."""
    lines = [
        f"{told['verdict'] or 'undecided'}  {printable(told['board'], 400)}",
        f"  {printable(told['summary'], 2000)}",
        f"  received {_local(datetime.fromisoformat(told['received_at']))}"
        + (f", decided after {told['decided_ms']} ms" if told["verdict"] else ""),
        f"  recipe {told['recipe'] or 'none'}, id {told['inspection_id']}",
    ]
    for finding in told["findings"]:
        box = finding["box"]
        where = f"x {box['x']:.0f}, y {box['y']:.0f}, {box['width']:.0f} by {box['height']:.0f} px"
        what = f"{finding['class']} {finding['confidence']:.2f}  {where}: {brief(finding['reason'])}"
        lines.append(f"  {finding['result']:6} {printable(what, 600)}")
    for revision in told["revisions"]:
        when = _local(datetime.fromisoformat(revision["decided_at"]))
        late = "" if revision["complete"] else ", not all answers had come"
        lines.append(
            f"  revision {revision['number']}: {revision['verdict']} at {when} by {revision['decided_by']}{late}"
        )
        if revision["annotated"]:
            lines.append(f"    {printable(revision['annotated'], 600)}")
    for entry in told["notifications"]:
        failed = f": {brief(entry['last_error'])}" if entry["last_error"] else ""
        tried = f"{entry['attempts']} attempt{'' if entry['attempts'] == 1 else 's'}"
        lines.append(f"  {entry['target']} r{entry['revision']}: {entry['state']}, {tried}{failed}")
    for what in ("picture", "quarantined"):
        if told[what]:
            lines.append(f"  {what}: {printable(told[what], 600)}")
    return lines


def _open(settings: Settings) -> sqlite3.Connection:
    """The gate's database, to read only. Raises UsageError, TransientError."""
    path = settings.data / "linegate.db"
    if not path.is_file():
        raise UsageError(f"nothing was inspected here yet: there is no {path}")
    try:
        return sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True, timeout=10, isolation_level=None)
    except sqlite3.Error as error:
        raise TransientError(f"{path} can't be opened: {error}") from error


def _rows(connection: sqlite3.Connection, query: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
    try:
        return connection.execute(query, tuple(values)).fetchall()
    except sqlite3.Error as error:
        raise TransientError(f"linegate.db can't be read: {error}") from error


def _inspection(text: str) -> Inspection:
    return codec(Inspection).validate_json(text)


def _moment(text: str) -> datetime:
    """A time (2026-03-01, 2026-03-01T06:00), or how long ago (90m, 8h, 2d). Raises UsageError."""
    span = re.fullmatch(r"([0-9]{1,6})([smhd])", text)
    if span:
        return datetime.now(UTC) - timedelta(seconds=int(span[1]) * _SPANS[span[2]])
    try:
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError, OSError) as error:
        raise UsageError(f"--since takes a time such as 2026-03-01T06:00, or 90m, 8h, 2d; not {text[:40]!r}") from error


def _local(moment: datetime) -> str:
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")

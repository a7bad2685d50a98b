"""`linegate show`: all that is known of one board, read beside a running gate without touching anything."""

import argparse
import json
from contextlib import closing
from datetime import datetime
from typing import Any, Final

from linegate import config, logs
from linegate.adapters.local.database import Rows
from linegate.adapters.local.queries import SqliteQueries
from linegate.adapters.local.uploads import files
from linegate.answers import Disposition
from linegate.commands.arguments import add_config
from linegate.commands.records import described, local, opened, summary
from linegate.errors import UsageError
from linegate.inspection import Inspection
from linegate.notification import covered, defect, reviewed
from linegate.settings import Settings
from linegate.texts import brief, printable

MOST: Final = 20


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("wanted", metavar="SERIAL|ID", help="of the board, or of the inspection (its first digits)")
    parser.add_argument("--json", action="store_true", help="as JSON")
    add_config(parser)


def run(options: argparse.Namespace) -> int:
    """Print all that is known of each inspection of this serial, or with an id that begins so. Returns 0. Raises UsageError."""
    settings, wanted = config.without_secrets(options.config), options.wanted
    logs.configure("ERROR")
    with closing(opened(settings)) as rows:
        found = SqliteQueries(rows).find(wanted, MOST)
        if not found:
            raise UsageError(f"nothing was inspected with the serial or id {printable(wanted)!r}")
        told = [_whole(settings, rows, inspection) for inspection in found]
    if options.json:
        print(json.dumps(told, indent=2))
    else:
        for number, inspection in enumerate(told):
            print("\n" * (number > 0) + "\n".join(_lines(inspection)))
    return 0


def _whole(settings: Settings, rows: Rows, inspection: Inspection) -> dict[str, Any]:
    """An inspection with its revisions, notifications and where its pictures lie, as plain data."""
    identity = inspection.inspection_id
    queries = SqliteQueries(rows)
    revision, manifest = inspection.revision, inspection.manifest
    data = settings.data.absolute()
    quarantined = data / "quarantine" / identity
    return {
        **summary(inspection),
        "recipe": inspection.recipe,
        "summary": revision.decision.summary if revision else "",
        "deadline": inspection.deadline.isoformat(),
        "decided_ms": round(inspection.timings.decided_ms) if revision else None,
        "detector": manifest.model if manifest else None,
        "coverage": covered(manifest.coverage if manifest else None),
        "findings": [
            defect(detection, check, manifest.mm_per_px if manifest else None, revision.review if revision else None)
            for detection, check in zip(
                manifest.detections if manifest else (), revision.decision.checks if revision else (), strict=False
            )
        ],
        "revisions": [
            {
                "number": each.number,
                "verdict": each.decision.verdict.value,
                "decided_at": each.decided_at.isoformat(),
                "decided_by": str(each.decided_by),
                "complete": each.decision.complete,
                "annotated": str(data / each.annotated) if each.annotated else None,
                "annotated_why": each.annotated_why,
                "review": reviewed(each.review) if each.review else None,
            }
            for each in queries.revisions(identity)
        ],
        "refused": [
            {**reviewed(each.review), "reason": each.reason, "refused_at": each.refused_at.isoformat()}
            for each in queries.refusals(identity)
        ],
        "contradicted": list(inspection.contradicted),
        "notifications": [
            {
                "target": entry.target,
                "revision": entry.revision,
                "state": entry.state.value,
                "attempts": entry.attempts,
                "last_error": entry.last_error,
            }
            for entry in queries.notifications(identity)
        ],
        "picture": next((str(path) for path in files(rows, identity) if path.is_file()), None),
        "quarantined": str(quarantined) if quarantined.is_file() else None,
    }


def _lines(told: dict[str, Any]) -> list[str]:
    """The same for a person."""
    lines = [
        f"{told['verdict'] or 'undecided'}  {printable(told['board'], 400)}",
        *([f"  {printable(told['summary'], 2000)}"] if told["summary"] else []),
        *([f"  fault: {brief(told['fault'])}"] if told["fault"] else []),
        f"  received {local(datetime.fromisoformat(told['received_at']))}"
        + (f", decided after {told['decided_ms']} ms" if told["verdict"] else ""),
        f"  recipe {told['recipe'] or 'none'}, id {told['inspection_id']}",
    ]
    if told["coverage"] and told["coverage"]["part"] < 1:
        lines.append(f"  coverage {told['coverage']['part']:.1%}")
    for finding in told["findings"]:
        what = f"{described(finding)}: {brief(finding['reason'])}"
        ruling = f" [{Disposition(finding['disposition']).words}]" if "disposition" in finding else ""
        lines.append(f"  {finding['index']:3} {finding['result']:6}{ruling} {printable(what, 600)}")
    if told["contradicted"]:
        late = ", ".join(map(str, told["contradicted"]))
        lines.append(f"  CONTRADICTED: only after a person had passed it the machine called a defect: finding {late}")
    for revision in told["revisions"]:
        when = local(datetime.fromisoformat(revision["decided_at"]))
        late = "" if revision["complete"] else ", not all answers had come"
        lines.append(
            f"  revision {revision['number']}: {revision['verdict']} at {when} by {revision['decided_by']}{late}"
        )
        lines += _said(revision["review"]) if revision["review"] else []
        drawn = revision["annotated"] or f"not drawn: {revision['annotated_why']}"
        lines.append(f"    {printable(drawn, 600)}")
    for refused in told["refused"]:
        when = local(datetime.fromisoformat(refused["refused_at"]))
        lines.append(
            f"  refused: {refused['author']}, who saw revision {refused['seen']}, at {when}: {refused['reason']}"
        )
    for entry in told["notifications"]:
        failed = f": {brief(entry['last_error'])}" if entry["last_error"] else ""
        tried = f"{entry['attempts']} attempt{'' if entry['attempts'] == 1 else 's'}"
        lines.append(f"  {entry['target']} r{entry['revision']}: {entry['state']}, {tried}{failed}")
    for what in ("picture", "quarantined"):
        if told[what]:
            lines.append(f"  {what}: {printable(told[what], 600)}")
    return lines


def _said(review: dict[str, Any]) -> list[str]:
    """What a person said who decided, for a person."""
    lines = [f"    saw revision {review['seen']}{' and the whole product' * review['looked']}; from {review['origin']}"]
    for ruling in review["rulings"]:
        lines.append(f"    finding {ruling['index']}: {Disposition(ruling['disposition']).words}")
    lines += [f"    missed by the machine: {missed['class']}" for missed in review["missed"]]
    lines += [f"    {printable(review['comment'], 1000)}"] if review["comment"] else []
    return lines

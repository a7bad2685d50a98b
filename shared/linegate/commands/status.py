"""`linegate status`: what is under way, and what got stuck."""

import argparse
import json
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from linegate import bootstrap, config, logs
from linegate.adapters.local.bus import Backlog, LocalBus
from linegate.adapters.local.database import Database
from linegate.adapters.local.handshakes import controllers
from linegate.adapters.local.queries import SqliteQueries
from linegate.adapters.local.store import SqliteInspections, SqliteOutbox
from linegate.commands.arguments import add_cloud, add_config
from linegate.commands.gates import cloud_context
from linegate.commands.records import local
from linegate.config import command
from linegate.console import console
from linegate.edge.machine import ago, faults, look, worries
from linegate.edge.runtime import open_database
from linegate.errors import TransientError
from linegate.handlers.challenge import standings
from linegate.ports import Challenges
from linegate.settings import Settings
from linegate.stages import STAGES
from linegate.texts import printable


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="as one JSON object")
    add_cloud(parser)
    add_config(parser)


def run(options: argparse.Namespace) -> int:
    """Print how the gate stands. Returns 0. Raises ConfigError, UsageError, TransientError."""
    logs.configure("ERROR")
    if options.cloud:
        return _in_cloud(config.without_secrets(options.config), as_json=options.json)
    return _here(config.load(options.config), as_json=options.json)


def _here(settings: Settings, *, as_json: bool) -> int:
    """How the machine stands, then the state of the runtime's folder, running or not."""
    machine = look(settings)
    out = console()
    try:
        with closing(open_database(settings)) as database:
            state = collect(database)
            newest, waits_for = SqliteQueries(database).newest(), faults(SqliteInspections(database))
            app = bootstrap.local(settings, database)
            lines = challenges(settings, app.context.challenges, app.golden_picture)
    except TransientError:  # on a full disk: what can be told is told, first of all
        if not as_json:
            _print_machine(machine, worries(machine), out)
        raise
    found = worries(machine, newest.timestamp() if newest else None, waits_for) + unproven(lines)
    if as_json:
        print(json.dumps({"worries": found, **_dated(machine), **state, "challenges": lines}, indent=2))
    else:
        _print_machine(machine, found, out)
        _print(state, out)
        _print_challenges(lines)
    return 0


def challenges(
    settings: Settings, store: Challenges, golden: Callable[[str], bytes] | None = None
) -> list[dict[str, str | None]]:
    """When the next challenge of each line is due, or why its boards don't pass, as plain data."""
    return [
        {"line": line, "due": stands.due.isoformat() if stands.due else None, "overdue": stands.overdue}
        for line, stands in standings(settings, store, golden, datetime.now(UTC))
    ]


def unproven(lines: list[dict[str, str | None]]) -> list[str]:
    return [f"Line {line['line']} PASSES NOTHING: {line['overdue']}" for line in lines if line["overdue"]]


def _print_challenges(lines: list[dict[str, str | None]]) -> None:
    for line in lines:
        if line["due"]:
            print(f"Line {line['line']}: the next challenge is due by {local(datetime.fromisoformat(line['due']))}")


def _dated(machine: dict[str, Any]) -> dict[str, Any]:
    """The same with times as text."""
    runtime, uploads = machine["runtime"], machine["uploads"]
    return {
        "at": _time(machine["at"]),
        "runtime": runtime | {"since": _time(runtime["since"]) if runtime["since"] else None},
        "disk": machine["disk"],
        "uploads": uploads | {"oldest": _time(uploads["oldest"]) if uploads["oldest"] else None},
    }


def _print_machine(machine: dict[str, Any], found: list[str], out: Console) -> None:
    for worry in found:
        out.print(Text(worry, "bold red"))
    told, runtime, uploads = _dated(machine), machine["runtime"], machine["uploads"]
    if runtime["running"]:
        up = ago(machine["at"] - runtime["since"])
        out.print(f"Gate: running for {up}, since {told['runtime']['since']} (process {runtime['process']})")
    oldest = f", the oldest for {ago(machine['at'] - uploads['oldest'])}" if uploads["oldest"] else ""
    out.print(f"Pictures in uploads/: {uploads['waiting']}{oldest}")
    free = machine["disk"]["free_bytes"] / (1 << 30)
    out.print(f"Disk: {free:,.1f} GiB free ({machine['disk']['free_part']:.0%})   Clock: {told['at']}")


def _in_cloud(settings: Settings, *, as_json: bool) -> int:
    """Which targets are disabled on Google Cloud, and challenges; messages and dead letters are on its dashboard."""
    context = cloud_context(settings)
    disabled = context.outbox.disabled_targets(fresh=True)
    lines = challenges(settings, context.challenges)
    if as_json:
        targets = [{"target": name, "reason": why} for name, why in disabled.items()]
        print(json.dumps({"disabled_targets": targets, "challenges": lines}, indent=2))
        return 0
    for worry in unproven(lines):
        print(worry)
    _print_challenges(lines)
    for name, why in disabled.items():
        print(
            f"target {name} is disabled: {why}; "
            f"`{command()} enable {name} --cloud` sends again, beginning with what was held"
        )
    if not disabled:
        print("no target is disabled")
    return 0


def collect(database: Database) -> dict[str, Any]:
    """Everything that `status` tells, as plain data."""
    bus = LocalBus(database)
    backlog = bus.backlog()
    queries = SqliteQueries(database)
    undecided, overdue = queries.undecided(datetime.now(UTC))
    disabled = SqliteOutbox(database).disabled_targets()
    return {
        "stages": {name: asdict(backlog.get(stage.topic, Backlog())) for name, stage in STAGES.items()},
        "inspections": {"undecided": undecided, "overdue": overdue},
        "dead_letters": [
            {
                "topic": letter.topic,
                "inspection_id": letter.attributes.get("inspection_id"),
                "object": letter.attributes.get("objectId"),
                "attempts": letter.attempts,
                "reason": letter.reason,
                "at": _time(letter.died_at),
            }
            for letter in bus.dead_letters()
        ],
        "disabled_targets": [{"target": target, "reason": reason} for target, reason in disabled.items()],
        "controllers": [
            {
                "target": each.target,
                "line": each.line,
                "connected": each.connected,
                "said": each.link.said if each.link else "",
                "since": _time(each.link.since.timestamp()) if each.link else None,
                "acknowledged": each.acknowledged,
                "acknowledged_at": _time(each.acknowledged_at.timestamp()) if each.acknowledged_at else None,
                "waiting": each.waiting,
            }
            for each in controllers(database, database.path.parent)
        ],
        "undelivered": [
            {
                "target": each.target,
                "state": each.state.value,
                "notifications": each.count,
                "attempts": each.attempts,
                "oldest": _time(each.oldest.timestamp()),
                "last_error": each.last_error,
            }
            for each in queries.undelivered()
        ],
    }


def _print(state: dict[str, Any], out: Console) -> None:
    stages = _table("Messages", "stage", "waiting", "in work", "retrying")
    for stage, counts in state["stages"].items():
        stages.add_row(*_texts(stage, *(counts[key] for key in ("waiting", "in_work", "retrying"))))
    out.print(stages)
    inspections = state["inspections"]
    out.print(f"Undecided boards: {inspections['undecided']} ({inspections['overdue']} past their deadline)")
    if state["dead_letters"]:
        letters = _table("Dead letters", "topic", "of", "attempts", "since", "reason")
        for letter in state["dead_letters"]:
            of = letter["object"] or letter["inspection_id"] or "?"
            letters.add_row(*_texts(letter["topic"], of, letter["attempts"], letter["at"], letter["reason"]))
        out.print(letters)
        out.print(f"When the cause is mended, `{command()} replay` puts them back to work.")
    else:
        out.print("Dead letters: none")
    if state["disabled_targets"]:
        targets = _table("Disabled targets", "target", "reason")
        for target in state["disabled_targets"]:
            targets.add_row(*_texts(*target.values()))
        out.print(targets)
        out.print(f"They are sent nothing. `{command()} enable TARGET` sends again, beginning with what was held.")
    if state["controllers"]:
        plcs = _table("Controllers", "target", "line", "connected", "last acknowledged", "in queue")
        for each in state["controllers"]:
            connected = (f"{each['said']} since {each['since']}" if each["connected"] else f"NO {each['said']}").strip()
            last = f"{each['acknowledged']} at {each['acknowledged_at']}" if each["acknowledged_at"] else "none"
            plcs.add_row(*_texts(each["target"], each["line"], connected, last, each["waiting"]))
        out.print(plcs)
    if state["undelivered"]:
        entries = _table("Undelivered", "target", "state", "count", "attempts", "oldest", "last error")
        for entry in state["undelivered"]:
            entries.add_row(*_texts(*entry.values()))
        out.print(entries)
    else:
        out.print("Undelivered notifications: none")


def _table(title: str, *headings: str) -> Table:
    return Table(*headings, title=title, title_justify="left")


def _texts(*values: object) -> list[Text]:
    """Cells as they are: an error's brackets are no markup, and a file's name moves no cursor."""
    return [Text(printable(str(value), 1000)) for value in values]


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).astimezone().isoformat(timespec="seconds")

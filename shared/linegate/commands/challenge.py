"""`linegate challenge`: known-bad pictures through the running gate, on a line of its own, which must fail all of them."""

import argparse
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
from PIL import Image
from rich.text import Text

from linegate import bootstrap, config, imaging, logs
from linegate.adapters.local.database import Database
from linegate.challenges import Challenge
from linegate.commands.arguments import add_cloud, add_config, whole
from linegate.commands.gates import cloud_app
from linegate.commands.records import described, local
from linegate.config import command
from linegate.console import STYLE, console
from linegate.edge import scratch
from linegate.edge.machine import look
from linegate.edge.runtime import open_database
from linegate.errors import ImageRejectedError, UsageError
from linegate.files import readable
from linegate.handlers.shot import golden_name
from linegate.inspection import Inspection, ObjectRef, Place, Result, Verdict, place_of
from linegate.notification import defect
from linegate.samples.planted import planted
from linegate.samples.uploads import PICTURES
from linegate.settings import Settings
from linegate.texts import printable, span

PLANTED: Final = 5
STATION: Final = "challenge"
POLL_S: Final = 0.2
# On Google Cloud an instance may have to start, and sweep comes once a minute.
CLOUD_PATIENCE_S: Final = 180.0
FOUND: Final = 3  # findings that are told of each picture
WRONG: Final = {
    None: "no verdict came",
    Verdict.PASS: "a known-bad board PASSED",
    Verdict.REVIEW: "a person would look at it; it did not FAIL",
    Verdict.ERROR: "it was not inspected, so it proves nothing",
}


@dataclass(frozen=True, slots=True)
class Bad:
    """One known-bad picture, and the name of its file."""

    name: str
    content: bytes

    @property
    def serial(self) -> str:
        """As the gate reads it from the object name."""
        return place_of(f"uploads/line/station/{self.name}", {}).serial


Came = Mapping[Bad, Inspection | None]  # None where no verdict came


class Gate(Protocol):
    """The gate that is challenged, beside a line or on Google Cloud."""

    patience_s: float
    app: bootstrap.App

    def leave(self, board: Bad) -> None:
        """Where a camera of the challenge line would. Raises TransientError, OSError."""
        ...

    def inspection(self, board: Bad) -> Inspection | None:
        """What became of it so far. Raises TransientError."""
        ...


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "pictures",
        type=Path,
        nargs="*",
        metavar="PICTURES",
        help="known-bad pictures, or folders of them; without any, simple defects are planted on the golden picture",
    )
    parser.add_argument("--line", metavar="LINE", help="the line that is challenged (the first that has challenges)")
    parser.add_argument(
        "--station",
        default=STATION,
        metavar="NAME",
        help=f"what stands for {{station}} in the name of the golden picture ({STATION})",
    )
    parser.add_argument(
        "--planted", type=whole(1, 100), default=PLANTED, metavar="N", help=f"how many are planted ({PLANTED})"
    )
    parser.add_argument("--json", action="store_true", help="as one JSON object")
    add_cloud(parser)
    add_config(parser)


def run(options: argparse.Namespace) -> int:
    """Challenge the gate and tell; 0 if all FAILED and that counts, else 1. Raises ConfigError, UsageError, TransientError."""
    logs.configure("ERROR")
    settings = config.without_secrets(options.config) if options.cloud else config.load(options.config)
    line = _line(settings, options.line)
    given = list(_given(options.pictures))
    with (_in_cloud if options.cloud else _here)(settings, line, options.station) as gate:
        came = _through(gate, given or _planted(gate.app, line, options.station, options.planted))
        records = _records(line, came)
        for record in records:
            gate.app.context.challenges.record(record)
    met = bool(records) and all(_verdict(inspection) is Verdict.FAIL for inspection in came.values())
    _tell(settings, line, came, records, met=met, planted=not given, as_json=options.json)
    return 0 if met else 1


def _line(settings: Settings, asked: str | None) -> str:
    """The line that is challenged. Raises UsageError."""
    challenged = list(settings.challenge_lines.values())
    if asked is not None and asked not in settings.lines:
        raise UsageError(f"there is no line {asked!r}; there is {', '.join(settings.lines)}")
    line = asked or next(iter(challenged or settings.lines))
    if line not in challenged:
        raise UsageError(f"line {line!r} has no challenges: give it `challenge_every: 8h` and start the gate anew")
    return line


def _given(paths: Sequence[Path]) -> Iterator[Bad]:
    """The pictures that a person named, each under a name of its own. Raises UsageError."""
    names: set[str] = set()
    for path in paths:
        files = sorted(path.iterdir()) if path.is_dir() else [path]
        pictures = [file for file in files if file.suffix.lower() in PICTURES and not file.name.startswith(".")]
        if not pictures:
            raise UsageError(
                f"{path} holds no picture ({', '.join(sorted(PICTURES))})"
                if path.is_dir() or path.exists()
                else f"there is no {path}"
            )
        for file in pictures:
            board = Bad(file.name, readable(file, "picture").read_bytes())
            if board.serial in names:
                raise UsageError(f"two pictures are called {board.serial!r}: their verdicts could not be told apart")
            names.add(board.serial)
            yield board


def _planted(app: bootstrap.App, line: str, station: str, count: int) -> list[Bad]:
    """Known-bad pictures made of the golden one. Raises UsageError, TransientError."""
    known = app.settings.recipe_of(line)
    golden = golden_name(known[1], Place(line, station, "{serial}")) if known else ""
    if not golden or "{serial}" in golden:
        why = "each board has a golden picture of its own" if golden else "the recipe has no golden picture"
        raise UsageError(f"no defect can be planted, since {why}: name known-bad pictures")
    try:
        picture = imaging.decode(app.golden_picture(golden), app.settings.images.max_pixels)
        seed = time.time_ns()
        made = planted(np.asarray(picture), count, seed)
    except (ImageRejectedError, ValueError) as error:
        raise UsageError(f"no defect can be planted on {golden}: {error}") from error
    stamp = f"{datetime.now().astimezone():%Y%m%d-%H%M%S}"
    return [
        Bad(f"planted-{stamp}-{number}.jpg", imaging.jpeg(Image.fromarray(one), 95))
        for number, one in enumerate(made, 1)
    ]


@contextmanager
def _here(settings: Settings, line: str, station: str) -> Iterator[Gate]:
    """The gate beside the line. Raises UsageError where none runs."""
    if not look(settings)["runtime"]["running"]:
        raise UsageError(f"the gate is not running; start it with `{command()} edge`")
    with closing(open_database(settings)) as database:
        yield _Here(settings, database, _challenge_line(settings, line), station)


@contextmanager
def _in_cloud(settings: Settings, line: str, station: str) -> Iterator[Gate]:
    yield _InCloud(cloud_app(settings), _challenge_line(settings, line), station)


def _challenge_line(settings: Settings, line: str) -> str:
    return next(through for through, product in settings.challenge_lines.items() if product == line)


class _Here:
    def __init__(self, settings: Settings, database: Database, line: str, station: str) -> None:
        self.app = bootstrap.local(settings, database)
        self.patience_s = scratch.patience_s(settings, line)
        self._line, self._station = line, station
        self._before: dict[Bad, set[str]] = {}

    def leave(self, board: Bad) -> None:
        self._before[board] = {one.inspection_id for one in self._found(board)}
        with scratch.incoming(self.app.settings.data, self._line, self._station, board.name) as file:
            file.write_bytes(board.content)

    def inspection(self, board: Bad) -> Inspection | None:
        new = (one for one in self._found(board) if one.inspection_id not in self._before[board])
        return next(new, None)

    def _found(self, board: Bad) -> list[Inspection]:
        found = self.app.context.queries.find(board.serial, 1000)
        return [one for one in found if (one.place.line, one.place.station) == (self._line, self._station)]


class _InCloud:
    def __init__(self, app: bootstrap.App, line: str, station: str) -> None:
        self.app = app
        self.patience_s = scratch.patience_s(app.settings, line) + CLOUD_PATIENCE_S
        self._folder = f"uploads/{line}/{station}"
        self._ids: dict[Bad, str] = {}

    def leave(self, board: Bad) -> None:
        bucket, name = self.app.settings.storage.uploads_bucket, f"{self._folder}/{board.name}"
        kind = Image.registered_extensions().get(Path(board.name).suffix.lower(), "JPEG")
        content_type = Image.MIME.get(kind, "application/octet-stream")
        generation = self.app.context.images.write(bucket, name, board.content, content_type)
        self._ids[board] = ObjectRef(bucket, name, generation).inspection_id

    def inspection(self, board: Bad) -> Inspection | None:
        return self.app.context.inspections.get(self._ids[board])


def _through(gate: Gate, boards: Sequence[Bad]) -> Came:
    """Each picture's inspection once it has its verdict, which comes at the deadline at the latest."""
    for board in boards:
        gate.leave(board)
    came: dict[Bad, Inspection | None] = dict.fromkeys(boards)
    until = time.monotonic() + gate.patience_s
    while time.monotonic() < until and None in came.values():
        for board in [board for board, inspection in came.items() if inspection is None]:
            inspection = gate.inspection(board)
            came[board] = inspection if inspection and inspection.revision else None
        time.sleep(POLL_S)
    return came


def _verdict(inspection: Inspection | None) -> Verdict | None:
    return inspection.revision.decision.verdict if inspection and inspection.revision else None


def _records(line: str, came: Came) -> list[Challenge]:
    """What is put down, for each setup by which they were inspected (one, unless something was changed meanwhile).

    A board that passed ends the trust in the gate at once. Boards of which nobody knows, or a person would, change nothing: an
    earlier challenge counts until it is too old.
    """
    boards: dict[tuple[str, str], list[Inspection]] = {}
    for inspection in came.values():
        if inspection is not None and inspection.manifest is not None and inspection.manifest.setup:
            boards.setdefault((inspection.recipe, inspection.manifest.setup), []).append(inspection)
    all_failed = all(_verdict(inspection) is Verdict.FAIL for inspection in came.values())
    records = []
    for (recipe, setup), inspected in boards.items():
        passed = sum(_verdict(one) is Verdict.PASS for one in inspected)
        if passed or all_failed:
            at = min(one.received_at for one in inspected)
            records.append(Challenge(line, recipe, setup, at, len(inspected), passed))
    return records


def _tell(
    settings: Settings,
    line: str,
    came: Came,
    records: Sequence[Challenge],
    *,
    met: bool,
    planted: bool,
    as_json: bool,
) -> None:
    failed = sum(_verdict(inspection) is Verdict.FAIL for inspection in came.values())
    every = settings.lines[line].challenge_every
    due = min(record.at for record in records) + span(every) if met and every else None
    if as_json:
        told: dict[str, Any] = {
            "line": line,
            "boards": [_told(board, inspection) for board, inspection in came.items()],
            "planted": planted,
            "failed": failed,
            "met": met,
            "due": due.isoformat() if due else None,
        }
        print(json.dumps(told, indent=2))
        return
    out = console(soft_wrap=True)
    for board, inspection in came.items():
        one = _told(board, inspection)
        verdict = one["verdict"] or "none"
        defects = [finding for finding in one["findings"] if finding["result"] == Result.FAIL]
        found = "; ".join(described(finding) for finding in defects[:FOUND])
        said = f"{printable(one['name'], 100)}  {one['wrong'] or printable(found, 400)}"
        out.print(Text(f"{verdict:6} ", STYLE.get(verdict, "")), Text(said), sep="")
        for reason in one["reasons"][:FOUND] if one["wrong"] else ():
            out.print(Text(f"       {printable(reason, 400)}"))
    out.print(
        f"{failed} of {len(came)} known-bad boards FAILED on line {line}.{_consequence(line, records, came, met)}"
    )
    if due:
        out.print(f"The next challenge is due by {local(due)}.")
    if planted:
        out.print("The defects were planted on the golden picture, plain to see. Bad boards of your own prove more.")


def _consequence(line: str, records: Sequence[Challenge], came: Came, met: bool) -> str:
    if any(record.passed for record in records):
        return f" From now on no board of {line} passes, until a challenge is met."
    if met:
        return ""
    if any(inspection and inspection.manifest and not inspection.manifest.setup for inspection in came.values()):
        return " The running gate knows of no challenges: start it anew with this file."
    return " It does not count as a challenge."


def _told(board: Bad, inspection: Inspection | None) -> dict[str, Any]:
    """What became of one picture, as plain data."""
    verdict = _verdict(inspection)
    revision = inspection.revision if inspection else None
    manifest = inspection.manifest if inspection else None
    pairs = zip(manifest.detections, revision.decision.checks, strict=True) if manifest and revision else ()
    return {
        "name": board.name,
        "inspection_id": inspection.inspection_id if inspection else None,
        "verdict": verdict.value if verdict else None,
        "wrong": WRONG.get(verdict, ""),
        "reasons": list(revision.decision.reasons) if revision else [],
        "findings": [
            defect(detection, check, manifest.mm_per_px if manifest else None)
            for detection, check in pairs
            if check.result is not Result.PASS
        ],
    }

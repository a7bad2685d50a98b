"""`linegate doctor`: every part of a configuration tried against reality, and for each fault what to do."""

import argparse
import errno
import json
import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path
from typing import Final

from PIL import Image
from rich.text import Text

from linegate import bootstrap, imaging, logs, sight
from linegate.adapters.exchange import Http
from linegate.adapters.golden.proof import parsed, summary, text_of
from linegate.adapters.local.database import Database
from linegate.adapters.local.queries import SqliteQueries
from linegate.adapters.local.store import SqliteOutbox
from linegate.commands.arguments import add_config
from linegate.commands.records import local
from linegate.config import command, load
from linegate.console import console
from linegate.edge.machine import nearly_full
from linegate.edge.runtime import open_database
from linegate.errors import LinegateError
from linegate.handlers.challenge import standings
from linegate.kind import DetectorKind, TargetKind
from linegate.proxies import proxy_for
from linegate.settings import Recipe, Settings
from linegate.texts import printable

# Receivers refuse webhooks that are five minutes off; well before that somebody should look.
SKEW_S: Final = 60.0
ANSWER_S: Final = 10.0
# Why a folder can't be written, and what helps; else it is a matter of rights
_WRITING: Final = {
    errno.ENOSPC: "make room on this disk, or shorten edge.retention_days",
    errno.EDQUOT: "make room, or have this user's quota raised",
    errno.EFBIG: "raise this user's limit on the size of files",
    errno.EROFS: "the disk is mounted read-only: mount it for writing, and look whether it is failing",
    errno.EIO: "the disk is failing: replace it",
    errno.ENOTDIR: "a file stands where the folder should be: name another folder",
    errno.EEXIST: "a file stands where the folder should be: name another folder",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one part of the configuration; `mend` says what to do where it is not sound."""

    part: str
    sound: bool
    said: str
    mend: str = ""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--send", action="store_true", help="also send every target a message that says it is a test")
    parser.add_argument("--json", action="store_true", help="as a JSON list")
    add_config(parser)


def run(options: argparse.Namespace) -> int:
    """Print a finding for each part as it is found; 0 if all are sound, else 1. Raises ConfigError."""
    logs.configure("CRITICAL")
    settings = load(options.config)
    out, findings = console(), []
    for found in examine(settings, options.config, send=options.send):
        finding = replace(found, said=printable(found.said, 600))
        findings.append(finding)
        if not options.json:
            mark = Text("  ok   ", "green") if finding.sound else Text(" FAULT ", "bold red")
            out.print(mark, Text(f"{finding.part}: {finding.said}"), soft_wrap=True)
            if finding.mend:
                out.print(Text(f"        ▸ {finding.mend}"), soft_wrap=True)
    if options.json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
    return 0 if all(finding.sound for finding in findings) else 1


def examine(settings: Settings, configuration: Path, *, send: bool = False) -> Iterator[Finding]:
    """Each part in turn; with `send` every target gets a message that says it is a test."""
    counts = {"recipe": len(settings.recipes), "line": len(settings.lines), "target": len(settings.targets)}
    said = ", ".join(f"{count} {noun}{'' if count == 1 else 's'}" for noun, count in counts.items())
    yield Finding("configuration", True, f"{configuration} is valid: {said}")
    yield _data(settings)
    try:
        opened = open_database(settings)
    except LinegateError as error:
        yield Finding("database", False, str(error), "mend the folder first; the rest was not tried")
        return
    with closing(opened) as database, closing(bootstrap.local(settings, database)) as app:
        yield _clock(settings, configuration, database)
        for name, recipe in settings.recipes.items():
            if recipe.golden and settings.cloud is None:  # in the cloud it lies in a bucket, which the functions read
                yield _golden(name, recipe, settings, configuration)
            yield from _tried_out(name, recipe, app)
        yield from _challenges(app)
        disabled = SqliteOutbox(database).disabled_targets()
        for name, target in settings.targets.items():
            yield _target(name, target, app, disabled.get(name), send=send)


def _data(settings: Settings) -> Finding:
    part = "edge.data"
    try:
        settings.data.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=settings.data) as probe:  # has no name: nothing is left behind
            probe.write(bytes(1 << 16))
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as error:
        mend = _WRITING.get(error.errno or 0, "give this user the folder")
        return Finding(part, False, f"{settings.data} can't be written: {error.strerror}", mend)
    usage = shutil.disk_usage(settings.data)
    said = f"{settings.data} can be written, {usage.free / (1 << 30):.1f} GiB are free"
    if nearly_full(usage.free, usage.free / max(1, usage.total)):
        return Finding(part, False, said, "make room, or shorten edge.retention_days")
    return Finding(part, True, said)


def _clock(settings: Settings, configuration: Path, database: Database) -> Finding:
    """Against the services' clocks where there are any, and against what this machine itself has written before."""
    mend = "set this machine's clock (NTP): webhooks are refused and deadlines are wrong by it"
    now = time.time()
    newest = SqliteQueries(database).newest()
    if max(newest.timestamp() if newest else 0.0, configuration.stat().st_mtime) > now + SKEW_S:
        return Finding("clock", False, "it runs behind what this machine has written before", mend)
    urls = [settings.roboflow.api_url] if settings.roboflow else []
    if settings.gemini:
        urls.append(settings.gemini.api_url or "https://generativelanguage.googleapis.com")
    for url in urls:
        skew = _skew(url)
        if skew is not None:
            said = f"{abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} that of {url}"
            return Finding("clock", abs(skew) <= SKEW_S, said, "" if abs(skew) <= SKEW_S else mend)
    return Finding("clock", True, f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC; there is no service to compare it with")


def _skew(url: str) -> float | None:
    """Seconds by which this machine is ahead of a server, from its header Date; None if it can't be told."""
    try:
        answer = Http(proxy_for=proxy_for).exchange("HEAD", url, headers={}, total_s=ANSWER_S)
        return time.time() - parsedate_to_datetime(answer.headers["date"]).timestamp()
    except (LinegateError, KeyError, ValueError):
        return None


def _golden(name: str, recipe: Recipe, settings: Settings, configuration: Path) -> Finding:
    part, golden = f"recipes.{name}.golden", recipe.golden or ""
    pattern = golden
    for key in ("{line}", "{station}", "{serial}"):
        pattern = pattern.replace(key, "*")
    folder = settings.folder.resolve()
    files = [Path(folder, golden)] if pattern == golden else sorted(folder.glob(pattern))
    mend = "put the picture of a good board there"
    if not files:
        return Finding(part, False, f"no file fits {golden!r} in {folder}", mend)
    sizes = []
    for file in files:
        try:
            picture = imaging.decode(file.read_bytes(), settings.images.max_pixels)
        except OSError as error:
            return Finding(part, False, f"{file} can't be read: {error.strerror}", mend)
        except LinegateError as error:
            return Finding(part, False, f"{file}: {error}", mend)
        if blind := sight.blindness(sight.measure(picture).figures, recipe.limits):
            said = f"{file} {'; it '.join(blind)}: every board would go to REVIEW"
            return Finding(part, False, said, f"take it anew, or mend recipes.{name}.limits if it is as it should be")
        sizes.append(picture.size)
    line = next((line for line, one in settings.lines.items() if one.recipe == name), "")
    keep = " --keep" if files[0].suffix.lower() == ".png" else ""  # nothing else can hold the result
    check = f"{command()} golden check {files[0]}{keep} --config {configuration}" + (f" --line {line}" if line else "")
    return _delivers(part, recipe, files, sizes[0], check)


def _delivers(part: str, recipe: Recipe, files: list[Path], size: tuple[int, int], check: str) -> Finding:
    """Whether these golden pictures were proven to show what the recipe demands, and what the self-test said of the first."""
    for file in files:
        reasons = [reason for one in recipe.detectors for reason in one.shortfalls(recipe, file.read_bytes())]
        if reasons:
            said = f"{file}: {' '.join(reasons)} Every board would go to REVIEW"
            return Finding(
                part, False, said, f"try `{check}`; where it is not found, take a better picture or demand less"
            )
    if len(files) > 1:
        return Finding(part, True, f"{len(files)} pictures can be read")
    said = f"{files[0]}, {size[0]} by {size[1]} pixels"
    if any(type(one).shortfalls is not DetectorKind.shortfalls for one in recipe.detectors):
        proof = parsed(text_of(files[0].read_bytes()))
        said += f"; {summary(proof) if proof else f'what is found with it was never tried: {check}'}"
    return Finding(part, True, said)


def _tried_out(name: str, recipe: Recipe, app: bootstrap.App) -> Iterator[Finding]:
    """Who can be tried out is asked once: about the golden picture if there is one, else about a plain one."""
    picture, verifier = _picture(recipe, app.settings), recipe.verifier
    several = len(recipe.detectors) > 1
    for detector in recipe.detectors:
        if type(detector).try_out is not DetectorKind.try_out:
            mend = f"mend what it says, then try `{command()} inspect` with a board"
            part = f"recipes.{name}.detectors.{detector.called}" if several else f"recipes.{name}.detector"
            yield _timed(part, partial(detector.try_out, recipe, app.around(detector), picture), mend)
    if verifier.asks:
        crop = imaging.jpeg(picture.resize((128, 128)), 90)
        mend = "mend what it says; until then every finding is UNSURE and goes to REVIEW"
        yield _timed(f"recipes.{name}.verifier", lambda: verifier.try_out(recipe, app.around(verifier), crop), mend)


def _challenges(app: bootstrap.App) -> Iterator[Finding]:
    """Whether the gate on this machine has failed known-bad boards in time; `status --cloud` tells of the other one."""
    if app.settings.cloud is not None:
        return
    for line, stands in standings(app.settings, app.context.challenges, app.golden_picture, datetime.now(UTC)):
        part = f"lines.{line}.challenge_every"
        if stands.due:
            yield Finding(part, True, f"the next challenge is due by {local(stands.due)}")
        else:
            mend = f"{command()} challenge --line {line}, while the gate runs; until then no board of the line passes"
            yield Finding(part, False, stands.overdue, mend)


def _target(name: str, target: TargetKind, app: bootstrap.App, disabled: str | None, *, send: bool) -> Finding:
    part = f"targets.{name}"
    if disabled is not None:
        return Finding(part, False, f"it is disabled: {disabled}", f"{command()} enable {name}")

    def ask() -> str:
        if not send or not target.testable:
            more = "--send sends a test message" if target.testable else ""
            return "; ".join(filter(None, (target.try_out(app.around(target)), more)))
        app.target(name).send(f"doctor-{time.time_ns()}", _test_body(), datetime.now(UTC))
        return "took a test message"

    return _timed(part, ask, target.mend)


def _test_body() -> str:
    now = datetime.now(UTC).isoformat()
    return json.dumps({"type": "linegate.test", "timestamp": now, "data": {"message": "This is a test of Linegate."}})


def _timed(part: str, ask: Callable[[], str], mend: str) -> Finding:
    started = time.perf_counter()
    try:
        said = ask()
    except LinegateError as error:
        return Finding(part, False, str(error), mend)
    return Finding(part, True, f"{said} ({1000 * (time.perf_counter() - started):.0f} ms)")


def _picture(recipe: Recipe, settings: Settings) -> Image.Image:
    if recipe.golden and "{" not in recipe.golden:
        try:
            return imaging.decode(
                Path(settings.folder.resolve(), recipe.golden).read_bytes(), settings.images.max_pixels
            )
        except (OSError, LinegateError):  # said by its own finding
            pass
    return Image.new("RGB", (640, 640), (16, 88, 46))

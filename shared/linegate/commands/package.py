"""`linegate package`: each function as the zip that is deployed; byte for byte the same as long as its content is."""

import argparse
import hashlib
import zipfile
from pathlib import Path
from typing import Final

import linegate
from linegate.edge.functions import functions_folder
from linegate.errors import UsageError
from linegate.files import writing
from linegate.stages import STAGES

# What of the package no function carries
LEFT_OUT: Final = {"edge", "commands", "evaluation", "samples", "functions", "__pycache__"}
EPOCH: Final = (1980, 1, 1, 0, 0, 0)


def arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    build = actions.add_parser("build", help="write the zips")
    build.add_argument("-o", "--output", type=Path, default=Path("build"), metavar="DIR", help="(build)")


def run(options: argparse.Namespace) -> int:
    """Write a zip for each function and print its SHA-256. Returns 0. Raises UsageError for an incomplete function."""
    folder = options.output
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    for stage in STAGES:
        target = folder / f"{stage}.zip"
        with writing(target):
            pack(stage, target)
        print(f"{hashlib.sha256(target.read_bytes()).hexdigest()}  {target}")
    return 0


def pack(stage: str, target: Path) -> None:
    """The zip of one function: its own files at the root, and the package `linegate` beside them."""
    source, package = functions_folder() / stage, Path(linegate.__file__).parent
    files = {name: source / name for name in ("main.py", "requirements.txt")}
    missing = [str(path) for path in files.values() if not path.is_file()]
    if missing:
        raise UsageError(f"{missing[0]} is missing; .ci/requirements makes the pins of all functions")
    for path in package.rglob("*.py"):
        inside = path.relative_to(package)
        if not LEFT_OUT & set(inside.parts):
            files[f"linegate/{inside.as_posix()}"] = path
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, files[name].read_bytes(), zipfile.ZIP_DEFLATED)

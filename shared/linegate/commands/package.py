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
from linegate.stages import FUNCTIONS, STATION

# What of the package no function carries
LEFT_OUT: Final = {"edge", "commands", "evaluation", "samples", "functions", "__pycache__"}
# The pages, and what else than code they are made of: for the function of that name only
PAGES: Final = {".html", ".css", ".js", ".svg"}
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
    for function in FUNCTIONS:
        target = folder / f"{function}.zip"
        with writing(target):
            pack(function, target)
        print(f"{hashlib.sha256(target.read_bytes()).hexdigest()}  {target}")
    return 0


def pack(function: str, target: Path) -> None:
    """The zip of one function: its own files at the root, and the package `linegate` beside them."""
    source, package = functions_folder() / function, Path(linegate.__file__).parent
    files = {name: source / name for name in ("main.py", "requirements.txt")}
    missing = [str(path) for path in files.values() if not path.is_file()]
    if missing:
        raise UsageError(f"{missing[0]} is missing; .ci/requirements makes the pins of all functions")
    left_out, kinds = (LEFT_OUT, {".py", *PAGES}) if function == STATION else ({*LEFT_OUT, "station"}, {".py"})
    for path in package.rglob("*"):
        inside = path.relative_to(package)
        if path.suffix in kinds and not left_out & set(inside.parts):
            files[f"linegate/{inside.as_posix()}"] = path
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in sorted(files):
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, files[name].read_bytes(), zipfile.ZIP_DEFLATED)

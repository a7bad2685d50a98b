"""`linegate golden build`: one golden picture out of several pictures of good boards, and what a person should know of it."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image
from rich.console import Console
from rich.progress import track

from linegate import imaging, sight
from linegate.adapters.golden.building import DEVIANT, Built, built, laid_over
from linegate.adapters.golden.materials import Picture
from linegate.adapters.golden.picture import Golden, encode
from linegate.adapters.golden.proof import kept_in, summary
from linegate.adapters.golden.selftest import QUICK, Gate
from linegate.commands.golden.check import proof_of, tried
from linegate.commands.interrupt import clean_up_first
from linegate.commands.pictures import refuse_twice
from linegate.config import command
from linegate.console import console
from linegate.errors import ImageRejectedError, RegistrationError, UsageError
from linegate.files import readable, writable, writing
from linegate.sections import Limits
from linegate.settings import Recipe
from linegate.texts import visible

FEWEST, MOST = 3, 50
SUSPICIOUS: Final = 0.002  # part of the pixels that stand out from which a person should look at a board again
# Part of the picture in which boards may differ by that much before a person should know
VARYING: Final = 0.05


def run(options: argparse.Namespace) -> int:
    """Write the golden picture of these boards and say which of them stands out.

    Returns 0; 1 if it shows so little that every board compared with it would go to REVIEW. Raises UsageError.
    """
    clean_up_first()
    files, target = options.good, options.output
    if not FEWEST <= len(files) <= MOST:
        some = "1 picture" if len(files) == 1 else f"{len(files)} pictures"
        raise UsageError(f"{some}; a median needs {FEWEST} to {MOST} of them, or it keeps a defect that one has")
    if target.exists():
        raise UsageError(f"{target} exists and is left as it is; name another file or remove it")
    if target.suffix.lower() != ".png":
        raise UsageError(f"{target} must end in .png: a golden picture is kept without loss")
    writable(target)
    pictures = [_read(file) for file in files]
    # Good boards that never differ would promise that every difference is a defect.
    refuse_twice(files, [picture.tobytes() for picture in pictures])
    made = build(pictures, [str(file) for file in files])
    with writing(target):
        target.write_bytes(encode(made.golden))
    out = console()
    height, width = made.golden.picture.shape[:2]
    out.print(
        f"wrote {visible(str(target))}, the median of {len(files)} boards and how far they differ, {width} by {height} pixels"
    )
    assert made.golden.variation is not None
    varying = float((made.golden.variation > DEVIANT).mean())
    if varying > VARYING:
        out.print(f"  in {varying:.0%} of it the boards differ so much that a defect there may not be seen")
    for file, part in sorted(zip(files, made.deviant, strict=True), key=lambda pair: -pair[1]):
        if part > SUSPICIOUS:
            out.print(
                f"  {100 * part:.2f} % of {visible(str(file))} stand out: look whether it is a good board",
                highlight=False,
            )
    blind = sight.blindness(sight.measure(Image.fromarray(made.golden.picture)).figures, Limits())
    for reason in blind:
        out.print(f"  FAULT: it {reason}. Every board would go to REVIEW; take the pictures anew", soft_wrap=True)
    if not blind and not options.no_check:
        _try(made.golden, target)
    return 1 if blind else 0


def _try(golden: Golden, target: Path) -> None:
    """Say in short what is found with it, and keep that in its file."""
    gate = Gate(confidence=Recipe().confidence)
    report = tried(golden, gate, QUICK)
    file = target.read_bytes()
    proof = proof_of(report, file, gate)
    with writing(target):
        target.write_bytes(kept_in(file, proof))
    out = console()
    out.print(f"  tried in short, on {report.effort.tries} of each size: {summary(proof)}", soft_wrap=True)
    if report.false_findings:
        out.print(f"  {report.false_findings} findings on photographs of it without any defect: take better pictures")
    out.print(
        f"  all sizes, for certain, and where: {command()} golden check {visible(str(target))} --map map.png",
        soft_wrap=True,
    )


def build(pictures: Sequence[Picture], names: Sequence[str]) -> Built:
    """The median of boards of one design, in the pose and light of the first. Raises UsageError for one that does not fit."""
    first = pictures[0]
    laid = [first]
    others = list(zip(names, pictures, strict=True))[1:]
    progress = Console(stderr=True)
    for name, picture in track(others, "laying boards over each other", console=progress, transient=True):
        try:
            laid.append(laid_over(first, picture))
        except RegistrationError as error:
            raise UsageError(f"{name} can't be laid over {names[0]}: {error}; leave it out") from error
    return built(laid)


def _read(file: Path) -> Picture:
    try:
        return np.asarray(imaging.decode(readable(file, "picture").read_bytes()))
    except OSError as error:
        raise UsageError(f"{file} can't be read: {error.strerror}") from error
    except ImageRejectedError as error:
        raise UsageError(f"{file}: {error}") from error

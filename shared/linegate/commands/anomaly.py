"""`linegate anomaly`: learn what good pictures have in common, and find the threshold above which a score is a finding.

`learn` writes the model of a product from ten or more good pictures. `calibrate` scores other good pictures and tells the
lowest threshold that keeps a wanted rate of false calls, with its exact bound.
"""

import argparse
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from linegate import imaging
from linegate.adapters.anomaly import file
from linegate.adapters.anomaly.calibrating import CERTAINTY, FALSE_CALL_RATE, Calibrated, calibrate, told
from linegate.adapters.anomaly.detector import unsound
from linegate.adapters.anomaly.exported import SATURATED
from linegate.adapters.anomaly.learned import FEWEST, learn
from linegate.adapters.anomaly.models import Opened, Wanted, opened
from linegate.adapters.anomaly.scores import Scores
from linegate.commands.arguments import real, whole
from linegate.commands.interrupt import clean_up_first
from linegate.commands.pictures import TOLD, listed, refuse_twice
from linegate.console import console
from linegate.errors import ImageRejectedError, LinegateError, TransientError, UsageError
from linegate.files import readable, writable, writing
from linegate.texts import visible

T = TypeVar("T")
Picture = NDArray[np.uint8]  # height x width x 3, RGB
SUFFIXES: Final = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"})
MODEL: Final = Path("anomaly.npz")
_GOOD: Final = "a folder of pictures of good products, or the pictures"


def arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    learning = actions.add_parser("learn", help=f"a model from {FEWEST} or more good pictures")
    learning.add_argument("good", type=Path, nargs="+", metavar="GOOD", help=_GOOD)
    learning.add_argument("-o", "--output", type=Path, default=MODEL, metavar="FILE", help=f"({MODEL})")
    learning.add_argument("--still", action="store_true", help="the product lies still: each place has its own measure")
    learning.add_argument(
        "--reduce", type=whole(1, 64), metavar="N", help="reduce pictures by this (chosen by their size)"
    )
    learning.set_defaults(act=_learn)
    finding = actions.add_parser("calibrate", help="the threshold, from good pictures that nothing was learned from")
    finding.add_argument("good", type=Path, nargs="+", metavar="GOOD", help=_GOOD)
    finding.add_argument(
        "--model", type=Path, default=MODEL, metavar="FILE", help=f"a learned model, or an ONNX export ({MODEL})"
    )
    finding.add_argument(
        "--false-call-rate",
        type=real(1e-6, 0.5),
        default=FALSE_CALL_RATE,
        metavar="RATE",
        help=f"part of good products that may be called defective ({FALSE_CALL_RATE})",
    )
    finding.add_argument(
        "--certainty", type=real(0.5, 0.9999), default=CERTAINTY, metavar="P", help=f"of that promise ({CERTAINTY})"
    )
    finding.add_argument("--input-side", type=whole(16, 8192), metavar="N", help="as in the recipe: of an ONNX export")
    finding.add_argument("--center-crop", type=whole(16, 8192), metavar="N", help="as in the recipe: of an ONNX export")
    finding.add_argument(
        "--normalize", choices=("inside", "imagenet"), default="inside", help="as in the recipe: of an ONNX export"
    )
    finding.set_defaults(act=_calibrate)
    for action in (learning, finding):
        action.add_argument("--skip-unreadable", action="store_true", help="go on without pictures that can't be read")


def run(options: argparse.Namespace) -> int:
    """Returns 0; 1 where what was asked of `calibrate` is not promised. Raises UsageError."""
    clean_up_first()
    return int(options.act(options))


def _learn(options: argparse.Namespace) -> int:
    target = options.output
    if target.exists():
        raise UsageError(f"{target} exists and is left as it is; name another file or remove it")
    if target.suffix.lower() != ".npz":
        raise UsageError(f"{target} must end in .npz")
    writable(target)
    files, pictures = _read(options.good, skip=options.skip_unreadable)
    if len(files) < FEWEST:
        raise UsageError(
            f"{len(files)} pictures; {FEWEST} or more are needed to tell what good ones have in common, 20 to 50 are better"
        )
    refuse_twice(files, [file.digest(picture) for picture in pictures])
    try:
        learned = learn(
            pictures, still=options.still, step=options.reduce, track=lambda some: _tracked(some, "learning")
        )
    except ValueError as error:
        at = f"{files[error.args[1]]}: " if len(error.args) > 1 else ""
        raise UsageError(f"{at}{error.args[0]}") from error
    with writing(target):
        target.write_bytes(file.write(file.Model(learned, file.digests(pictures))))
    out = console(soft_wrap=True)
    sort = "a product that lies still" if options.still else "a surface"
    out.print(
        f"wrote {visible(str(target))}, learned of {sort} from {len(files)} pictures, reduced by {learned.step}: "
        f"what is smaller than about {2 * learned.step} px is not seen"
    )
    out.print(
        f"  it has no threshold yet; find it with other good pictures:  linegate anomaly calibrate GOOD/ --model {target}"
    )
    return 0


def _calibrate(options: argparse.Namespace) -> int:
    path = readable(options.model, "model")
    try:
        model = opened(
            Wanted(
                path,
                input_side=options.input_side,
                center_crop=options.center_crop,
                normalize=options.normalize,
            )
        )
    except TransientError as error:
        raise UsageError(str(error)) from error
    if model.learned:
        writable(path)
    files, pictures = _read(options.good, skip=options.skip_unreadable)
    if not files:
        raise UsageError("there is no picture to calibrate with")
    _refuse_learned(model, files, pictures)
    scores = list(_scored(model, files, pictures))
    made = calibrate(scores, options.false_call_rate, options.certainty)
    if model.learned is None:
        _refuse_saturated(made)
    _tell(made, model, path, options.false_call_rate)
    if model.learned:
        with writing(path):
            path.write_bytes(file.write(file.calibrated(model.learned, made)))
    return 0 if made.promise.kept else 1


def _refuse_learned(model: Opened, files: Sequence[Path], pictures: Sequence[Picture]) -> None:
    """A picture that the model was learned from scores too well."""
    known = {bytes(row) for row in model.learned.pictures} if model.learned else set[bytes]()
    digests = [file.digest(picture) for picture in pictures]
    seen = [name for name, digest in zip(files, digests, strict=True) if digest in known]
    if seen:
        raise UsageError(f"the model was learned from {listed(seen)}: calibrate with other good pictures")
    refuse_twice(files, digests)


def _refuse_saturated(made: Calibrated) -> None:
    """Scores of anomalib 2 are cut off at SATURATED: above a threshold there, nothing would ever be found."""
    if any(level is not None and level.value == SATURATED for level in (made.place, made.whole)):
        raise UsageError(
            f"good pictures reach {SATURATED:g}, where this model's scores end: no threshold can part them from bad ones; "
            "export it with normalisation switched off"
        )


def _scored(model: Opened, files: Sequence[Path], pictures: Sequence[Picture]) -> Iterator[Scores]:
    for name, picture in _tracked(list(zip(files, pictures, strict=True)), "scoring"):
        try:
            scores = model.scorer.scores(picture)
        except LinegateError as error:
            raise UsageError(f"{name} can't be judged: {error}") from error
        if fault := unsound(scores):
            raise UsageError(f"{name} can't be judged: {fault}")
        yield scores


def _tell(made: Calibrated, model: Opened, path: Path, rate: float) -> None:
    out = console(soft_wrap=True)
    levels = (("", made.place), ("picture_", made.whole))
    if model.learned:
        out.print(f"wrote the thresholds into {visible(str(path))}:")
    else:
        out.print("these lines belong into the recipe, beside model:")
    for key, level in levels:
        if level is not None:
            out.print(f"  {key}threshold: {level.value:.6g}")
            out.print(f"  {key}typical: {level.typical:.6g}")
    out.print(f"{told(made.promise)}, if products keep looking as these do")
    if not made.promise.kept:
        out.print(
            f"FAULT: that is not {100 * rate:.3g} %. {made.promise.pictures} good pictures are too few for it; "
            f"{made.promise.needed} would do, none of them called"
        )
    if not model.learned:
        out.print("Nobody but you knows what an export was trained on: these pictures must not be among that.")


def _read(named: Sequence[Path], *, skip: bool) -> tuple[list[Path], list[Picture]]:
    """The pictures of folders and files. Raises UsageError, naming those that can't be read unless they may be skipped."""
    files, pictures, faults = [], [], []
    for path in _tracked(_files(named), "reading"):
        try:
            pictures.append(np.asarray(imaging.decode(readable(path, "picture").read_bytes())))
            files.append(path)
        except (OSError, ImageRejectedError) as error:
            faults.append(f"{path}: {error}")
    if faults and not skip:
        more = [f"and {len(faults) - TOLD} more"] if len(faults) > TOLD else []
        raise UsageError(
            "\n  ".join(["these can't be read (--skip-unreadable goes on without them):", *faults[:TOLD], *more])
        )
    out = console(stderr=True, soft_wrap=True)
    for fault in faults:
        out.print(f"left out: {visible(fault)}")
    return files, pictures


def _files(named: Iterable[Path]) -> list[Path]:
    found: list[Path] = []
    for path in named:
        if path.is_dir():
            found += sorted(one for one in path.iterdir() if one.suffix.lower() in SUFFIXES)
        else:
            found.append(readable(path, "picture"))
    return list(dict.fromkeys(found))


def _tracked(some: Sequence[T], doing: str) -> Iterable[T]:
    progress: Callable[..., Iterable[T]] = track
    return progress(some, doing, console=Console(stderr=True), transient=True)

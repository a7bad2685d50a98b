"""`linegate model check`: what a model's file is, whether the gate can ask it, how fast it is here, what it says of a picture."""

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image
from rich.console import Console

from linegate import config, imaging
from linegate.adapters import onnx
from linegate.adapters.rfdetr.detector import RfdetrDetector
from linegate.adapters.rfdetr.kind import RfdetrDetection
from linegate.adapters.rfdetr.model import RfdetrModel, prepared
from linegate.annotate import annotate
from linegate.commands.arguments import ratio, whole
from linegate.console import console
from linegate.errors import ImageRejectedError, LinegateError, UsageError
from linegate.files import readable, writable, writing
from linegate.inspection import Check, Detection, Result, Verdict
from linegate.texts import visible

RUNS, CONFIDENCE = 15, 0.3
MOST_TOLD: Final = 20
PLAIN: Final = (1600, 1200)  # of a picture, where none is given


@dataclass(frozen=True, slots=True)
class _Asked:
    """How the model is to be opened and read."""

    names: tuple[str, ...]  # empty where nobody told them
    providers: tuple[onnx.Provider, ...]
    threads: int
    confidence: float


def arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(required=True, metavar="ACTION")
    check = actions.add_parser("check", help="what an RF-DETR's ONNX file is, and how fast it is here")
    check.add_argument("file", type=Path, metavar="FILE.onnx")
    check.add_argument("--classes", metavar="A,B,C", help="its classes, in the order of its training")
    check.add_argument(
        "--config", type=Path, metavar="FILE", help="take classes, providers … of the recipe that names it"
    )
    check.add_argument("--picture", type=Path, metavar="IMAGE", help="ask it about this picture")
    check.add_argument("--annotated", type=Path, metavar="OUT.jpg", help="write the annotated picture here")
    check.add_argument("--confidence", type=ratio, metavar="C", help=f"tell findings from this on ({CONFIDENCE})")
    check.add_argument("--runs", type=whole(1, 1000), default=RUNS, metavar="N", help=f"timed pictures ({RUNS})")


def run(options: argparse.Namespace) -> int:
    """Print what the file is; 0 if the gate can ask it, else 1. Raises ConfigError, UsageError."""
    file, out = readable(options.file, "model"), console()
    if options.annotated and not options.picture:
        raise UsageError("--annotated needs --picture, which it would show")
    picture = _picture(options.picture) if options.picture else Image.new("RGB", PLAIN, (96, 96, 96))
    if options.annotated:
        writable(options.annotated)
    asked = _asked(options)
    try:
        model = RfdetrModel.of(onnx.opened(file, asked.providers, asked.threads))
        _tell(out, model, asked)
        names = asked.names or tuple(f"class {index}" for index in range(model.classes))
        detector = RfdetrDetector(model, names, asked.confidence)
        if not asked.names:
            _say(out, "its classes are numbered, for the file holds no names: give them with --classes or --config")
        _say(out, _speed(detector, picture, options.runs))
        found = detector.detect(picture, b"", None)
    except LinegateError as error:
        _say(out, f"FAULT: {error}")
        return 1
    if options.picture:
        _say(
            out,
            f"{options.picture}: {_counted(len(found.detections), 'finding')} from confidence {asked.confidence:g} on",
        )
        for one in found.detections[:MOST_TOLD]:
            _say(out, f"  {_finding(one)}")
        for said in (
            *[f"… and {len(found.detections) - MOST_TOLD} more"] * (len(found.detections) > MOST_TOLD),
            *found.doubts,
        ):
            _say(out, f"  {said}")
    if options.annotated:
        with writing(options.annotated):
            options.annotated.write_bytes(_drawn(picture, found.detections))
        _say(out, f"wrote {options.annotated}")
    return 0


def _asked(options: argparse.Namespace) -> _Asked:
    """Raises ConfigError, UsageError."""
    names = tuple(filter(None, (name.strip() for name in (options.classes or "").split(","))))
    if options.config is None:
        confidence = CONFIDENCE if options.confidence is None else options.confidence
        return _Asked(names, (onnx.Provider.CPU,), onnx.THREADS, confidence)
    settings = config.load(options.config)
    for recipe in settings.recipes.values():
        for kind in recipe.detectors:
            if isinstance(kind, RfdetrDetection) and (settings.folder / kind.model).resolve() == options.file.resolve():
                confidence = recipe.lowest_confidence if options.confidence is None else options.confidence
                providers = tuple(map(onnx.Provider, kind.providers))
                return _Asked(names or tuple(kind.class_names), providers, kind.threads or onnx.THREADS, confidence)
    raise UsageError(f"no recipe in {options.config} has {options.file} for its model")


def _tell(out: Console, model: RfdetrModel, asked: _Asked) -> None:
    """What the file is, and what it runs on."""
    file = model.onnx
    out.print(visible(str(model)), highlight=False)
    _say(out, f"{file.path.stat().st_size / 1e6:.1f} MB, opset {file.opset or 'unknown'}, SHA-256 {file.digest}")
    _say(out, f"in: {', '.join(map(str, file.inputs))}; out: {', '.join(map(str, file.outputs))}")
    for key, value in sorted(file.metadata.items()):
        _say(out, f"{key}: {value[:200]}")
    here = ", ".join(onnx.installed())
    _say(out, f"it runs on {asked.providers[0]} with {_counted(asked.threads, 'thread')}; installed here: {here}")


def _speed(detector: RfdetrDetector, picture: Image.Image, runs: int) -> str:
    """In turn, so that whatever else the machine does slows both."""
    model, pixels = detector.model, prepared(picture, detector.model.side)
    alone, all_of_it = list[float](), list[float]()
    for _ in range(runs):
        alone.append(_timed_ms(lambda: model.onnx.unchecked({model.input: pixels}, model.outputs)))
        all_of_it.append(_timed_ms(lambda: detector.detect(picture, b"", None)))
    whole_ms, alone_ms = statistics.median(all_of_it), statistics.median(alone)
    return (
        f"a picture of {picture.width} x {picture.height} takes {whole_ms:.1f} ms, of which onnxruntime's own run takes "
        f"{alone_ms:.1f} ms (ratio {whole_ms / alone_ms:.2f}; medians of {_counted(runs, 'run')})"
    )


def _timed_ms(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - started)


def _finding(one: Detection) -> str:
    left, top, right, bottom = one.box.corners
    outlined = f", outline with {len(one.outline)} corners" if one.outline else ""
    return f"{one.class_name} {one.confidence:.3f} at {left:.1f}, {top:.1f} … {right:.1f}, {bottom:.1f}{outlined}"


def _drawn(picture: Image.Image, detections: tuple[Detection, ...]) -> bytes:
    """With what the model says, which is no verdict: neither limits nor policies nor a verifier were asked."""
    checks = [Check(index, Result.UNSURE, "") for index in range(len(detections))]
    reasons = (f"The model says so by itself: {_counted(len(detections), 'finding')}. No board was inspected.",)
    return annotate(picture, detections, checks, Verdict.REVIEW, 0, heading="model check", reasons=reasons)


def _picture(file: Path) -> Image.Image:
    try:
        return imaging.decode(readable(file, "picture").read_bytes())
    except ImageRejectedError as error:
        raise UsageError(f"{file}: {error}") from error


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _say(out: Console, said: str) -> None:
    out.print(f"  {visible(said)}", highlight=False, markup=False, soft_wrap=True)

"""What the readers of all formats of labels have in common."""

import math
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

from PIL import Image

from linegate.evaluation.labels import Dataset, Kind, Sample, Truth, class_name, shown
from linegate.evaluation.masks import Mask, Points, filled
from linegate.shapes import Box

PICTURES: Final = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
Corners = tuple[float, float, float, float]  # left, top, right, bottom in pixels
# Of a line of labels and the picture's size: the class, the box, and the polygon (in pixels) where there is one
Parse = Callable[[str, tuple[int, int]], tuple[str, Corners, Points]]


def add(
    dataset: Dataset,
    name: str,
    picture: Path,
    labels: Path,
    size: tuple[int, int],
    parse: Parse,
    golden: Path | None = None,
) -> None:
    """Take a picture whose labels are the lines of a file."""
    since, truths = len(dataset.faults), []
    try:
        text = labels.read_text("utf-8-sig", errors="replace")
    except OSError as error:
        told = f"left out: its labels {shown(labels)} can't be read: {error.strerror}"
        dataset.fault(picture, 0, told, Kind.LEFT_OUT)
        return
    for number, line in enumerate(text.splitlines(), start=1):
        if line.strip():
            try:
                class_, corners, polygon = parse(line, size)
                truths.append(truth_of(class_, corners, size, filled([polygon], size) if polygon else None))
            except ValueError as error:
                dataset.fault(labels, number, str(error))
    dataset.add(Sample(shown(name), picture, tuple(truths), golden), since)


def finite(values: Iterable[Any]) -> list[float]:
    """Raises ValueError for what is no number, or none that is finite."""
    try:
        numbers = [float(value) for value in values]
    except OverflowError as error:  # a whole number of hundreds of digits
        raise ValueError("a coordinate is not finite") from error
    if not all(map(math.isfinite, numbers)):
        raise ValueError("a coordinate is not finite")
    return numbers


def truth_of(name: str, corners: Corners, size: tuple[int, int], mask: Mask | None = None) -> Truth:
    """Raises ValueError for a box without area or outside the picture."""
    width, height = size
    left, right = (min(max(edge, 0.0), float(width)) for edge in (corners[0], corners[2]))
    top, bottom = (min(max(edge, 0.0), float(height)) for edge in (corners[1], corners[3]))
    if not (right > left and bottom > top):  # also where a number is none
        told = " ".join(f"{value:g}" for value in corners)
        raise ValueError(f"the box {told} (left top right bottom) has no area inside the picture of {width} x {height}")
    return Truth(class_name(name), Box((left + right) / 2, (top + bottom) / 2, right - left, bottom - top), mask)


def size_of(picture: Path, dataset: Dataset) -> tuple[int, int] | None:
    """Width and height of the upright picture."""
    try:
        with warnings.catch_warnings(), Image.open(picture) as image:
            warnings.simplefilter("ignore")  # of broken EXIF data; the gate judges the picture
            turned = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
            return (image.height, image.width) if turned else image.size
    except Exception as error:  # readers raise what they like
        dataset.fault(picture, 0, f"left out, no picture: {error}", Kind.LEFT_OUT)
        return None


def pictures_in(folder: Path) -> list[Path]:
    """What is hidden is no picture for the gate either: macOS leaves ._NAME.jpg beside NAME.jpg."""
    files = (file for file in folder.rglob("*") if file.suffix.lower() in PICTURES and not file.name.startswith("."))
    return sorted(file for file in files if file.is_file())


def name_of(picture: Path, folder: Path) -> str:
    folder = folder.parent if folder.is_file() else folder
    inside = picture.relative_to(folder) if picture.is_relative_to(folder) else Path(picture.name)
    return shown(inside.with_suffix(""))

"""Labelled pictures in the formats they come in. A bad label is told with its file and line, counted, and left out."""

import json
import os
import re
import xml.sax
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from xml.sax.handler import ContentHandler
from xml.sax.xmlreader import Locator

import yaml
from PIL import Image, UnidentifiedImageError

from linegate.errors import UsageError
from linegate.inspection import Box

PICTURES: Final = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")
# DeepPCB numbers its types; elsewhere people spell the classes in these ways.
DEEPPCB: Final = {
    "1": "open_circuit",
    "2": "short",
    "3": "mouse_bite",
    "4": "spur",
    "5": "spurious_copper",
    "6": "pin_hole",
}
ALIASES: Final = {"open": "open_circuit", "mousebite": "mouse_bite", "copper": "spurious_copper", "pinhole": "pin_hole"}
Corners = tuple[float, float, float, float]  # left, top, right, bottom in pixels


@dataclass(frozen=True, slots=True)
class Truth:
    """One labelled defect."""

    class_name: str
    box: Box


@dataclass(frozen=True, slots=True)
class Sample:
    """One labelled picture; `golden` is its own picture of a good board, where the dataset has one."""

    name: str
    picture: Path
    truths: tuple[Truth, ...]
    golden: Path | None = None

    @property
    def bad(self) -> bool:
        return bool(self.truths)


@dataclass(frozen=True, slots=True)
class Fault:
    """A label that can't be used, where it stands and why; line 0 where the whole file is meant."""

    file: str
    line: int
    reason: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.reason}" if self.line else f"{self.file}: {self.reason}"


@dataclass
class Dataset:
    """What was read, and what could not be used."""

    samples: list[Sample] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)

    def fault(self, file: Path, line: int, reason: str) -> None:
        self.faults.append(Fault(str(file), line, reason))


def read(path: Path, layout: str, limit: int | None = None) -> Dataset:
    """The labelled pictures below `path`, sorted by name; `limit` of them, evenly spread. Raises UsageError."""
    if not path.exists():
        raise UsageError(f"there is no dataset {path}")
    dataset = Dataset()
    READERS[layout](path, dataset)
    if not dataset.samples:
        told = f"; the first of {len(dataset.faults)} faults: {dataset.faults[0]}" if dataset.faults else ""
        raise UsageError(f"{path} holds no labelled picture in {layout} format ({EXPECTED[layout]}){told}")
    dataset.samples.sort(key=lambda sample: sample.name)
    if limit is not None and limit < len(dataset.samples):
        count = len(dataset.samples)
        dataset.samples = [dataset.samples[index * count // limit] for index in range(limit)]
    return dataset


def class_name(text: str) -> str:
    """A class as Linegate spells it: "Missing hole", "missing-hole" and "missing_hole" are one."""
    name = re.sub(r"[\s\-]+", "_", text.strip().casefold())
    return ALIASES.get(name, name)


# --- formats


def _deeppcb(path: Path, dataset: Dataset) -> None:
    """Pairs NAME_test.jpg, NAME_temp.jpg with NAME.txt beside them, or in the folder GROUP_not beside GROUP."""
    for picture in sorted(file for file in path.rglob("*_test.*") if file.suffix.lower() in PICTURES):
        name = picture.stem.removesuffix("_test")
        golden = picture.with_name(f"{name}_temp{picture.suffix}")
        places = (
            picture.with_name(f"{name}.txt"),
            picture.parent.with_name(f"{picture.parent.name}_not") / f"{name}.txt",
        )
        labels = next((place for place in places if place.is_file()), None)
        size = _size(picture, dataset)
        if labels is None or not golden.is_file():
            lacking = places[0].name if labels is None else golden.name
            dataset.fault(picture, 0, f"left out: there is no {lacking}, so nobody can tell whether the board is good")
        elif size:
            truths = tuple(_lines(labels, dataset, size, _deeppcb_line))
            dataset.samples.append(Sample(name, picture, truths, golden))


def _deeppcb_line(text: str, _: tuple[int, int]) -> tuple[str, Corners]:
    numbers = text.replace(",", " ").split()
    if len(numbers) != 5:
        raise ValueError(f"{len(numbers)} values instead of the five of x1 y1 x2 y2 type")
    if numbers[4] not in DEEPPCB:
        raise ValueError(f"type {numbers[4]!r} is none of 1 … 6")
    left, top, right, bottom = (float(number) for number in numbers[:4])
    return DEEPPCB[numbers[4]], (left, top, right, bottom)


def _yolo(path: Path, dataset: Dataset) -> None:
    """`data.yaml` with the class names, and for each images/X.jpg a labels/X.txt; without one the board is good."""
    listing = path if path.is_file() else path / "data.yaml"
    try:
        names = yaml.safe_load(listing.read_text("utf-8"))["names"]
        classes = dict(names if isinstance(names, dict) else enumerate(names))
    except (OSError, yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise UsageError(f"{listing} does not tell the classes' names: {error}") from error

    def line(text: str, size: tuple[int, int]) -> tuple[str, Corners]:
        first, *rest = text.split()
        values = [float(value) for value in rest]
        if int(first) not in classes:
            raise ValueError(f"class {first} is none of the {len(classes)} in {listing.name}")
        if len(values) == 4:
            x, y, width, height = values
            corners = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        elif len(values) >= 6 and len(values) % 2 == 0:  # a polygon
            corners = (min(values[::2]), min(values[1::2]), max(values[::2]), max(values[1::2]))
        else:
            raise ValueError(f"{len(values)} numbers after the class; a box has 4, a polygon 6 or more")
        if max(map(abs, corners)) > 2:
            raise ValueError("coordinates are parts of the picture, 0 … 1")
        return str(classes[int(first)]), _scaled(corners, size)

    for picture in _pictures(listing.parent):
        parts = list(picture.relative_to(listing.parent).parts)
        if "images" not in parts:
            continue
        parts[len(parts) - 1 - parts[::-1].index("images")] = "labels"
        labels = listing.parent.joinpath(*parts).with_suffix(".txt")
        size = _size(picture, dataset)
        if size:
            truths = tuple(_lines(labels, dataset, size, line)) if labels.is_file() else ()
            dataset.samples.append(Sample(_named(picture, listing.parent), picture, truths))


def _voc(path: Path, dataset: Dataset) -> None:
    """One XML file for each picture, beside it or in Annotations with the pictures in JPEGImages or images."""
    pictures = _pictures(path)
    for labels in sorted(path.rglob("*.xml")):
        handler = _Voc()
        try:
            xml.sax.parse(str(labels), handler)
        except xml.sax.SAXParseException as error:
            dataset.fault(labels, error.getLineNumber() or 0, f"no XML: {error.getMessage()}")
            continue
        named = [picture for picture in pictures if picture.name == handler.filename or picture.stem == labels.stem]
        # Splits may hold pictures of one name: the one that lies closest is meant.
        picture = min(named, key=lambda named: _way(labels, named), default=None)
        if picture is None:
            dataset.fault(labels, 0, f"there is no picture {handler.filename or labels.stem}")
            continue
        size = _size(picture, dataset)
        if size is None:
            continue
        truths = []
        for line, values in handler.objects:
            try:
                left, top, right, bottom = (float(values[key]) for key in ("xmin", "ymin", "xmax", "ymax"))
                truths.append(_truth(values["name"], (left, top, right, bottom), size))
            except KeyError as error:
                dataset.fault(labels, line, f"this object has no {error.args[0]}")
            except ValueError as error:
                dataset.fault(labels, line, str(error))
        dataset.samples.append(Sample(_named(picture, path), picture, tuple(truths)))


def _way(one: Path, other: Path) -> int:
    """How many folders lie between two files."""
    common = os.path.commonpath((one, other))
    return len(one.parts) + len(other.parts) - 2 * len(Path(common).parts)


class _Voc(ContentHandler):
    """Collects the file name, and of each object its line and the text of its elements."""

    def __init__(self) -> None:
        super().__init__()
        self.filename = ""
        self.objects: list[tuple[int, dict[str, str]]] = []
        self._path: list[str] = []
        self._text = ""
        self._locator: Locator | None = None

    def setDocumentLocator(self, locator: Locator) -> None:  # noqa: N802
        self._locator = locator

    def startElement(self, name: str, attrs: object) -> None:  # noqa: N802
        self._path.append(name)
        self._text = ""
        if name == "object":
            self.objects.append((self._locator.getLineNumber() or 0 if self._locator else 0, {}))

    def characters(self, content: str) -> None:
        self._text += content

    def endElement(self, name: str) -> None:  # noqa: N802
        self._path.pop()
        if name == "filename":
            self.filename = self._text.strip()
        elif "object" in self._path and "part" not in self._path:
            self.objects[-1][1].setdefault(name, self._text.strip())


def _coco(path: Path, dataset: Dataset) -> None:
    """A COCO file of instances, or the folder with it: Roboflow's exports have one in each split."""
    files = [path] if path.is_file() else sorted({*path.rglob("*.coco.json"), *path.rglob("instances*.json")})
    for file in files or sorted(path.glob("*.json")):
        text = file.read_text("utf-8", errors="replace")
        try:
            listed = json.loads(text)
            images = {image["id"]: image["file_name"] for image in listed["images"]}
            classes = {category["id"]: str(category["name"]) for category in listed["categories"]}
            annotations = listed["annotations"]
        except json.JSONDecodeError as error:
            dataset.fault(file, error.lineno, f"no JSON: {error.msg}")
            continue
        except (KeyError, TypeError) as error:
            dataset.fault(file, 0, f"no COCO file of instances: {error!r}")
            continue
        truths: dict[object, list[Mapping[str, Any]]] = {key: [] for key in images}
        lines = list(_lines_of(text, "annotations"))
        for index, annotation in enumerate(annotations):
            if not isinstance(annotation, dict) or annotation.get("image_id") not in truths:
                dataset.fault(file, lines[index], f"annotations[{index}] belongs to no picture of the file")
                continue
            truths[annotation["image_id"]].append({**annotation, "line": lines[index], "index": index})
        for key, name in images.items():
            picture = next((place for place in _coco_places(file, name) if place.is_file()), None)
            if picture is None:
                dataset.fault(file, 0, f"there is no picture {name}")
            elif size := _size(picture, dataset):
                found = tuple(_coco_truths(file, truths[key], classes, size, dataset))
                dataset.samples.append(Sample(_named(picture, path), picture, found))


def _coco_places(file: Path, name: str) -> Iterator[Path]:
    yield file.parent / name
    for folder in (file.parent, file.parent.parent):
        yield from (folder / "images" / name, folder / "images" / file.stem.removeprefix("instances_") / name)


def _coco_truths(
    file: Path,
    annotations: list[Mapping[str, Any]],
    classes: Mapping[Any, str],
    size: tuple[int, int],
    dataset: Dataset,
) -> Iterator[Truth]:
    for annotation in annotations:
        try:
            left, top, width, height = (float(value) for value in annotation["bbox"])
            yield _truth(classes[annotation["category_id"]], (left, top, left + width, top + height), size)
        except (KeyError, TypeError) as error:
            dataset.fault(file, annotation["line"], f"annotations[{annotation['index']}] lacks {error}")
        except ValueError as error:
            dataset.fault(file, annotation["line"], f"annotations[{annotation['index']}]: {error}")


def _lines_of(text: str, key: str) -> Iterator[int]:
    """The line at which each element of the list of this key begins, in a text that is valid JSON."""
    start = re.search(rf'"{key}"\s*:\s*\[', text)
    decoder, place, line, counted = json.JSONDecoder(), start.end() if start else len(text), 1, 0
    while True:
        element = re.compile(r"[\s,]*").match(text, place)
        place = element.end() if element else place
        if place >= len(text) or text[place] == "]":
            return
        line, counted = line + text.count("\n", counted, place), place
        yield line
        _, place = decoder.raw_decode(text, place)


# --- what they have in common


def _lines(
    file: Path, dataset: Dataset, size: tuple[int, int], parse: Callable[[str, tuple[int, int]], tuple[str, Corners]]
) -> Iterator[Truth]:
    for number, text in enumerate(file.read_text("utf-8", errors="replace").splitlines(), start=1):
        if text.strip():
            try:
                yield _truth(*parse(text, size), size)
            except ValueError as error:
                dataset.fault(file, number, str(error))


def _truth(name: str, corners: Corners, size: tuple[int, int]) -> Truth:
    """Raises ValueError for a box without area or outside the picture."""
    width, height = size
    left, right = (min(max(edge, 0.0), float(width)) for edge in (corners[0], corners[2]))
    top, bottom = (min(max(edge, 0.0), float(height)) for edge in (corners[1], corners[3]))
    if not (right > left and bottom > top):  # also where a number is none
        told = " ".join(f"{value:g}" for value in corners)
        raise ValueError(f"the box {told} (left top right bottom) has no area inside the picture of {width} x {height}")
    return Truth(class_name(name), Box((left + right) / 2, (top + bottom) / 2, right - left, bottom - top))


def _size(picture: Path, dataset: Dataset) -> tuple[int, int] | None:
    """Width and height of the upright picture."""
    try:
        with Image.open(picture) as image:
            turned = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
            return (image.height, image.width) if turned else image.size
    except (OSError, UnidentifiedImageError, SyntaxError) as error:
        dataset.fault(picture, 0, f"left out, no picture: {error}")
        return None


def _pictures(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.suffix.lower() in PICTURES)


def _named(picture: Path, folder: Path) -> str:
    return str(picture.relative_to(folder.parent if folder.is_file() else folder).with_suffix(""))


def _scaled(corners: Corners, size: tuple[int, int]) -> Corners:
    left, top, right, bottom = corners
    return left * size[0], top * size[1], right * size[0], bottom * size[1]


READERS: Final[Mapping[str, Callable[[Path, Dataset], None]]] = {
    "deeppcb": _deeppcb,
    "coco": _coco,
    "voc": _voc,
    "yolo": _yolo,
}
EXPECTED: Final = {
    "deeppcb": "NAME_test.jpg, NAME_temp.jpg, NAME.txt",
    "coco": "_annotations.coco.json or instances*.json with its pictures",
    "voc": "NAME.xml with its pictures",
    "yolo": "data.yaml, images/NAME.jpg, labels/NAME.txt",
}

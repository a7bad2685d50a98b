"""Labels as XML or JSON: Pascal VOC's and COCO's."""

import json
import os
import re
import xml.sax
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from xml.sax.handler import ContentHandler
from xml.sax.xmlreader import Locator

from linegate.adapters.rle import runs_of
from linegate.evaluation.label_files import Corners, finite, name_of, pictures_in, size_of, truth_of
from linegate.evaluation.labels import Dataset, Kind, Sample, Truth, shown
from linegate.evaluation.masks import Mask, filled, of_runs

# By how many pixels a mask may reach beyond its box, and by which part of the box
BEYOND: Final = (4.0, 0.25)


def voc(path: Path, dataset: Dataset, missing_are_good: bool) -> None:
    """One XML file for each picture, beside it or in Annotations with the pictures in JPEGImages or images."""
    folder = path if path.is_dir() else path.parent
    pictures = pictures_in(folder)
    by_name: defaultdict[str, list[Path]] = defaultdict(list)
    for picture in pictures:
        by_name[picture.name].append(picture)
        by_name[picture.stem].append(picture)
    labelled: dict[Path, Path] = {}
    lost: set[Path] = set()  # pictures whose labels can't be read
    for labels in sorted(file for file in folder.rglob("*.xml") if file.is_file()):
        handler = _Voc()
        fault: tuple[int, str] | None = None
        try:
            xml.sax.parse(str(labels), handler)
        except xml.sax.SAXParseException as error:
            fault = error.getLineNumber() or 0, f"no XML: {error.getMessage()}"
        except OSError as error:
            fault = 0, f"can't be read: {error.strerror}"
        named = {*by_name[handler.filename], *by_name[labels.stem]}
        # Splits may hold pictures of one name: the one that lies closest is meant.
        found = min(sorted(named), key=lambda named: _way(labels, named), default=None)
        if fault:
            dataset.fault(labels, *fault)
            lost.update({found} if found else ())
        elif found is None:
            dataset.fault(labels, 0, f"there is no picture {handler.filename or labels.stem}", Kind.NO_PICTURE)
        elif found in labelled:
            dataset.fault(labels, 0, f"left out: {shown(labelled[found])} labels {found.name} too")
        else:
            labelled[found] = labels
            _voc_objects(handler, labels, found, folder, dataset)
    for picture in pictures:
        if picture in lost and picture not in labelled:
            dataset.fault(picture, 0, "left out: its labels can't be read", Kind.LEFT_OUT)
        elif picture not in labelled:
            dataset.add_unlabelled(
                name_of(picture, folder), picture, f"XML file for {picture.name}", good=missing_are_good
            )


def _voc_objects(handler: "_Voc", labels: Path, picture: Path, folder: Path, dataset: Dataset) -> None:
    size = size_of(picture, dataset)
    if size is None:
        return
    since, truths = len(dataset.faults), []
    for line, values in handler.objects:
        try:
            left, top, right, bottom = finite(values[key] for key in ("xmin", "ymin", "xmax", "ymax"))
            truths.append(truth_of(values["name"], (left, top, right, bottom), size))
        except KeyError as error:
            dataset.fault(labels, line, f"this object has no {error.args[0]}")
        except ValueError as error:
            dataset.fault(labels, line, str(error))
    dataset.add(Sample(name_of(picture, folder), picture, tuple(truths)), since)


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


def coco(path: Path, dataset: Dataset, _: bool) -> None:
    """A COCO file of instances, or the folder with it: Roboflow's exports have one in each split.

    A picture that the file lists without annotations is a good board: the file says so.
    """
    files = [path] if path.is_file() else sorted({*path.rglob("*.coco.json"), *path.rglob("instances*.json")})
    listed: set[Path] = set()
    for file in files or sorted(path.glob("*.json")):
        listed.update(_coco_file(file, path, dataset))
    if path.is_dir() and listed:
        for picture in pictures_in(path):
            if picture not in listed:
                told = "left out: no COCO file lists it, so nobody can tell whether the board is good"
                dataset.fault(picture, 0, told, Kind.LEFT_OUT)


def _coco_file(file: Path, root: Path, dataset: Dataset) -> Iterator[Path]:
    """Read one file; the pictures that it lists and that are there."""
    try:
        text = file.read_text("utf-8-sig", errors="replace")
        listed = json.loads(text)
        listed_images = [(image["id"], str(image["file_name"])) for image in listed["images"]]
        classes = {category["id"]: str(category["name"]) for category in listed["categories"]}
        annotations = list(listed["annotations"])
        images = dict(listed_images)
    except json.JSONDecodeError as error:
        dataset.fault(file, error.lineno, f"no JSON: {error.msg}")
        return
    except (OSError, KeyError, TypeError, ValueError, RecursionError) as error:
        dataset.fault(file, 0, f"no COCO file of instances: {error!r}")
        return
    if not images:
        dataset.fault(file, 0, "lists no picture", Kind.EMPTY_SPLIT)
    if len(images) < len(listed_images):
        dataset.fault(file, 0, f"{len(listed_images) - len(images)} pictures share another one's id")
        return
    truths: dict[object, list[Mapping[str, Any]]] = {key: [] for key in images}
    lines = dict(enumerate(_lines_of(text, "annotations")))
    for index, annotation in enumerate(annotations):
        key = annotation.get("image_id") if isinstance(annotation, dict) else None
        if not isinstance(key, (int, str)) or key not in truths:
            dataset.fault(file, lines.get(index, 0), f"annotations[{index}] belongs to no picture of the file")
            continue
        truths[key].append({**annotation, "line": lines.get(index, 0), "index": index})
    for key, name in images.items():
        picture = next((place for place in _coco_places(file, name) if place.is_file()), None)
        if picture is None:
            dataset.fault(file, 0, f"there is no picture {name}", Kind.NO_PICTURE)
            continue
        yield picture
        if size := size_of(picture, dataset):
            since = len(dataset.faults)
            found = tuple(_coco_truths(file, truths[key], classes, size, dataset))
            dataset.add(Sample(name_of(picture, root), picture, found), since)


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
            left, top, width, height = finite(annotation["bbox"])
            box = left, top, left + width, top + height
            name = classes[annotation["category_id"]]
            yield truth_of(name, box, size, _coco_mask(annotation.get("segmentation"), box, size))
        except (KeyError, TypeError) as error:
            dataset.fault(file, annotation["line"], f"annotations[{annotation['index']}] lacks {error}")
        except ValueError as error:
            dataset.fault(file, annotation["line"], f"annotations[{annotation['index']}]: {error}")


def _coco_mask(told: object, box: Corners, size: tuple[int, int]) -> Mask | None:
    """Of a list of polygons or of runs; None where there is neither. Raises ValueError.

    A mask that lies elsewhere than its box belongs to another label.
    """
    if told is None or told == []:
        return None
    if isinstance(told, list):
        polygons = [_coco_polygon(polygon) for polygon in told]
        corners = [corner for polygon in polygons for corner in polygon]
        mask = filled(polygons, size)
    else:
        mask = of_runs(runs_of(told, size), size)
        if mask is None:
            raise ValueError("its mask is empty")
        left, top, right, bottom = mask.box.corners
        corners = [(left, top), (right, bottom)]
    allowed = max(BEYOND[0], BEYOND[1] * max(box[2] - box[0], box[3] - box[1]))
    for x, y in corners:
        if not (box[0] - allowed <= x <= box[2] + allowed and box[1] - allowed <= y <= box[3] + allowed):
            raise ValueError("its mask lies elsewhere than its box")
    return mask


def _coco_polygon(values: object) -> list[tuple[float, float]]:
    if not isinstance(values, list) or len(values) < 6 or len(values) % 2 or {*map(type, values)} - {int, float}:
        raise ValueError("a polygon of its mask is no list of three or more x, y")
    numbers = finite(values)
    return list(zip(numbers[::2], numbers[1::2], strict=True))


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

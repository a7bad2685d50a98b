"""Labelled pictures as a COCO file of instances, in pieces."""

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import PurePosixPath
from typing import Any

from linegate.exports.labels import Label, Labelled


def coco_pieces(pictures: Callable[[], Iterable[Labelled]], classes: Sequence[str]) -> Iterator[str]:
    """The pieces of the file. `pictures` is asked twice for the same ones; a class has its place in `classes`, and one, as id."""
    yield f'{{"info": {{"description": "Linegate"}}, "licenses": [], "categories": {_json(_categories(classes))},\n"images": ['
    yield from _listed(_picture(number, picture) for number, picture in enumerate(pictures(), start=1))
    yield '],\n"annotations": ['
    yield from _listed(_annotations(pictures(), classes))
    yield "]}\n"


def coco_of_one(picture: Labelled) -> str:
    """A file of this picture alone, as Roboflow takes labels: the same text whatever else the dataset holds."""
    classes = sorted({label.class_name for label in picture.labels})
    root = {"id": 0, "name": "defects", "supercategory": "none"}
    annotations = list(_annotations([picture], classes))
    # Without an annotation it is not known as COCO, and the picture not as one of a good product: this one is of no picture.
    nothing = {
        "id": 1,
        "image_id": 2,
        "category_id": 0,
        "bbox": [0, 0, 1, 1],
        "area": 1,
        "segmentation": [],
        "iscrowd": 0,
    }
    return _json(
        {
            "info": {"description": "Linegate"},
            "licenses": [],
            "categories": [root, *_categories(classes)],
            "images": [{**_picture(1, picture), "file_name": PurePosixPath(picture.file).name}],
            "annotations": annotations or [nothing],
        }
    )


def _categories(classes: Sequence[str]) -> list[dict[str, Any]]:
    return [{"id": number, "name": name, "supercategory": "defects"} for number, name in enumerate(classes, start=1)]


def _annotations(pictures: Iterable[Labelled], classes: Sequence[str]) -> Iterator[dict[str, Any]]:
    numbers, count = {name: number for number, name in enumerate(classes, start=1)}, 0
    for picture_number, picture in enumerate(pictures, start=1):
        for label in picture.labels:
            count += 1
            yield _annotation(count, picture_number, numbers[label.class_name], label)


def _picture(number: int, picture: Labelled) -> dict[str, Any]:
    return {"id": number, "file_name": picture.file, "width": picture.width, "height": picture.height}


def _annotation(number: int, picture: int, category: int, label: Label) -> dict[str, Any]:
    return {
        "id": number,
        "image_id": picture,
        "category_id": category,
        "bbox": [label.left, label.top, label.width, label.height],
        "area": round(label.width * label.height, 2),
        "segmentation": [[value for point in label.outline for value in point]] if label.outline else [],
        "iscrowd": 0,
    }


def _listed(objects: Iterable[dict[str, Any]]) -> Iterator[str]:
    for number, each in enumerate(objects):
        yield ("," if number else "") + "\n" + _json(each)


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)

"""Labelled pictures in the formats they come in. A bad label is told with its file and line, counted, and left out."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from linegate.errors import UsageError
from linegate.evaluation import mask_pictures, text_labels, tree_labels
from linegate.evaluation.labels import Dataset, note_duplicates, shown


def read(path: Path, layout: str, limit: int | None = None, *, missing_are_good: bool = False) -> Dataset:
    """The labelled pictures below `path`, sorted by name; `limit` of them, evenly spread. Raises UsageError.

    With `missing_are_good`, a picture without a file of labels is a good board where the format knows no other way to
    say so; without, it is left out and counted.
    """
    if not path.exists():
        raise UsageError(f"there is no dataset {shown(path)}")
    dataset = Dataset()
    READERS[layout](path, dataset, missing_are_good)
    if not dataset.samples:
        told = f"; the first of {len(dataset.faults)} faults: {dataset.faults[0]}" if dataset.faults else ""
        raise UsageError(f"{shown(path)} holds no labelled picture in {layout} format ({EXPECTED[layout]}){told}")
    dataset.samples.sort(key=lambda sample: sample.name)
    if limit is not None and limit < len(dataset.samples):
        count = len(dataset.samples)
        dataset.samples = [dataset.samples[index * count // limit] for index in range(limit)]
    note_duplicates(dataset)
    return dataset


READERS: Final[Mapping[str, Callable[[Path, Dataset, bool], None]]] = {
    "deeppcb": text_labels.deeppcb,
    "coco": tree_labels.coco,
    "voc": tree_labels.voc,
    "yolo": text_labels.yolo,
    "masks": mask_pictures.masks,
}
EXPECTED: Final = {
    "deeppcb": "NAME_test.jpg, NAME_temp.jpg, NAME.txt",
    "coco": "_annotations.coco.json or instances*.json with its pictures",
    "voc": "NAME.xml with its pictures",
    "yolo": "data.yaml, images/NAME.jpg, labels/NAME.txt",
    "masks": "CLASS/NAME.jpg with CLASS/NAME_mask.png, good/NAME.jpg",
}

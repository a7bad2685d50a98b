"""Labelled pictures as YOLO has them: a file of lines for each picture, and one that names the classes."""

from collections.abc import Sequence

import yaml

from linegate.exports.labels import Labelled


def yolo_lines(picture: Labelled, classes: Sequence[str]) -> str:
    """`class x y width height` for each label, as parts of the picture; nothing for a good product."""
    return "".join(
        f"{classes.index(label.class_name)} "
        f"{(label.left + label.width / 2) / picture.width:.8f} {(label.top + label.height / 2) / picture.height:.8f} "
        f"{label.width / picture.width:.8f} {label.height / picture.height:.8f}\n"
        for label in picture.labels
    )


def yolo_classes(classes: Sequence[str]) -> str:
    """`data.yaml`. It names no pictures to validate with: whoever trains divides them."""
    listed = {"train": "images", "nc": len(classes), "names": dict(enumerate(classes))}
    return yaml.safe_dump(listed, allow_unicode=True, sort_keys=False)

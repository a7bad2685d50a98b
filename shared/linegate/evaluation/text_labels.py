"""Labels as lines of text: DeepPCB's and YOLO's."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from linegate.errors import UsageError
from linegate.evaluation.label_files import Corners, add, finite, name_of, pictures_in, size_of
from linegate.evaluation.labels import Dataset, Kind, shown
from linegate.evaluation.masks import Points

# DeepPCB numbers its types.
DEEPPCB: Final = {
    "1": "open_circuit",
    "2": "short",
    "3": "mouse_bite",
    "4": "spur",
    "5": "spurious_copper",
    "6": "pin_hole",
}


def deeppcb(path: Path, dataset: Dataset, _: bool) -> None:
    """Pairs NAME_test.jpg, NAME_temp.jpg with NAME.txt beside them, or in the folder GROUP_not beside GROUP."""
    known: set[Path] = set()
    for picture in (file for file in pictures_in(path) if file.stem.endswith("_test")):
        name = picture.stem.removesuffix("_test")
        golden = picture.with_name(f"{name}_temp{picture.suffix}")
        places = (
            picture.with_name(f"{name}.txt"),
            picture.parent.with_name(f"{picture.parent.name}_not") / f"{name}.txt",
        )
        known.update(places)
        labels = next((place for place in places if place.is_file()), None)
        size = size_of(picture, dataset)
        if labels is None or not golden.is_file():
            lacking = places[0].name if labels is None else golden.name
            told = f"left out: there is no {lacking}, so nobody can tell whether the board is good"
            dataset.fault(picture, 0, told, Kind.LEFT_OUT)
        elif size:
            add(dataset, name, picture, labels, size, _deeppcb_line, golden)
    for labels in sorted({place for folder in {place.parent for place in known} for place in folder.glob("*.txt")}):
        if labels not in known and _is_list_of_defects(labels):
            dataset.fault(labels, 0, f"there is no picture {labels.stem}_test", Kind.NO_PICTURE)


def _is_list_of_defects(file: Path) -> bool:
    try:
        _deeppcb_line(file.read_text("utf-8-sig", errors="replace").strip().partition("\n")[0], (0, 0))
    except (OSError, ValueError):
        return False
    return True


def _deeppcb_line(text: str, _: tuple[int, int]) -> tuple[str, Corners, Points]:
    numbers = text.replace(",", " ").split()
    if len(numbers) != 5:
        raise ValueError(f"{len(numbers)} values instead of the five of x1 y1 x2 y2 type")
    if numbers[4] not in DEEPPCB:
        raise ValueError(f"type {numbers[4]!r} is none of 1 … 6")
    left, top, right, bottom = finite(numbers[:4])
    return DEEPPCB[numbers[4]], (left, top, right, bottom), ()


def yolo(path: Path, dataset: Dataset, missing_are_good: bool) -> None:
    """`data.yaml` with the class names, and for each images/X.jpg a labels/X.txt, which is empty for a good board."""
    listing = path if path.is_file() else path / "data.yaml"
    try:
        listed = yaml.safe_load(listing.read_text("utf-8-sig"))
        names = listed["names"]
        classes = {int(key): name for key, name in (names.items() if isinstance(names, dict) else enumerate(names))}
    except OSError as error:
        raise UsageError(
            f"{shown(listing)}, which tells the classes' names, can't be read: {error.strerror}"
        ) from error
    except (yaml.YAMLError, KeyError, TypeError, ValueError, OverflowError) as error:
        raise UsageError(f"{shown(listing)} does not tell the classes' names: {error}") from error

    def line(text: str, size: tuple[int, int]) -> tuple[str, Corners, Points]:
        first, *rest = text.split()
        values, polygon = finite(rest), list[tuple[float, float]]()
        if int(first) not in classes:
            raise ValueError(f"class {first} is none of the {len(classes)} in {listing.name}")
        if len(values) == 4:
            x, y, width, height = values
            corners = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
        elif len(values) >= 6 and len(values) % 2 == 0:  # a polygon
            corners = (min(values[::2]), min(values[1::2]), max(values[::2]), max(values[1::2]))
            polygon = [(x * size[0], y * size[1]) for x, y in zip(values[::2], values[1::2], strict=True)]
        else:
            raise ValueError(f"{len(values)} numbers after the class; a box has 4, a polygon 6 or more")
        if max(map(abs, corners)) > 2:
            raise ValueError("coordinates are parts of the picture, 0 … 1")
        return str(classes[int(first)]), _scaled(corners, size), polygon

    known: set[Path] = set()
    folders: set[Path] = set()
    for picture in pictures_in(listing.parent):
        parts = list(picture.relative_to(listing.parent).parts)
        if "images" not in parts:
            continue
        at = len(parts) - 1 - parts[::-1].index("images")
        parts[at] = "labels"
        labels = listing.parent.joinpath(*parts).with_suffix(".txt")
        known.add(labels)
        folders.add(listing.parent.joinpath(*parts[: at + 1]))
        size = size_of(picture, dataset)
        name = name_of(picture, listing.parent)
        if size and labels.is_file():
            add(dataset, name, picture, labels, size, line)
        elif size:
            wanted = str(labels.relative_to(listing.parent))
            dataset.add_unlabelled(name, picture, wanted, good=missing_are_good)
    for labels in sorted(place for folder in folders for place in folder.rglob("*.txt")):
        if labels not in known and labels.name != "classes.txt":
            dataset.fault(labels, 0, f"there is no picture images/{labels.stem}", Kind.NO_PICTURE)
    _note_empty_splits(listing, listed, dataset)


def _note_empty_splits(listing: Path, listed: Mapping[str, Any], dataset: Dataset) -> None:
    """Roboflow names splits as ../test/images also where they lie beside the file."""
    for split in ("train", "val", "test"):
        named = listed.get(split)
        if isinstance(named, str) and not named.endswith(".txt"):
            base = listing.parent / str(listed.get("path") or "")
            places = (base / named, listing.parent / named, listing.parent / named.removeprefix("../"))
            if not any(place.is_dir() and pictures_in(place) for place in places):
                dataset.fault(listing, 0, f"the split {split} ({named}) holds no picture", Kind.EMPTY_SPLIT)


def _scaled(corners: Corners, size: tuple[int, int]) -> Corners:
    left, top, right, bottom = corners
    return left * size[0], top * size[1], right * size[0], bottom * size[1]

"""Labels as pictures: beside each picture one of its size in which defects are white. The folder's name is their class."""

import warnings
from collections import defaultdict
from pathlib import Path
from typing import Final

import numpy as np
from PIL import Image

from linegate.evaluation.label_files import name_of, pictures_in, size_of
from linegate.evaluation.labels import Dataset, Kind, Sample, Truth, class_name, shown
from linegate.evaluation.masks import Pixels, regions

MASK: Final = "_mask"
GOOD: Final = "good"  # a folder of this name says so itself
WHITE: Final = 128  # grey levels from which on a pixel is white: masks that were scaled have grey borders
MODES: Final = ("1", "L", "P", "RGB")


def masks(path: Path, dataset: Dataset, missing_are_good: bool) -> None:
    """CLASS/NAME.jpg with CLASS/NAME_mask.png; each connected region is a defect. Pictures in `good` need no mask."""
    by_name: defaultdict[tuple[Path, str], list[Path]] = defaultdict(list)
    pictures: list[Path] = []
    for file in pictures_in(path):
        if file.stem.endswith(MASK):
            by_name[file.parent, file.stem.removesuffix(MASK)].append(file)
        else:
            pictures.append(file)
    for picture in pictures:
        found = by_name.get((picture.parent, picture.stem), [])
        size = size_of(picture, dataset)
        if size is None:
            continue
        name = name_of(picture, path)
        if len(found) > 1:
            dataset.fault(picture, 0, f"left out: it has {len(found)} masks", Kind.LEFT_OUT)
        elif found:
            _add(dataset, name, picture, found[0], size)
        elif picture.parent.name == GOOD:
            dataset.samples.append(Sample(name, picture, ()))
        else:
            dataset.add_unlabelled(name, picture, f"{picture.stem}{MASK}.png", good=missing_are_good)
    known = {(picture.parent, picture.stem) for picture in pictures}
    for (folder, stem), found in by_name.items():
        if (folder, stem) not in known:
            dataset.fault(found[0], 0, f"there is no picture {stem}", Kind.NO_PICTURE)


def _add(dataset: Dataset, name: str, picture: Path, mask: Path, size: tuple[int, int]) -> None:
    since = len(dataset.faults)
    truths: tuple[Truth, ...] = ()
    try:
        named = class_name(picture.parent.name)
        truths = tuple(Truth(named, region.box, region) for region in regions(_white(mask, size)))
    except ValueError as error:
        dataset.fault(mask, 0, str(error))
    if truths and picture.parent.name == GOOD:
        told = f"left out: it lies in {GOOD}, and {shown(mask.name)} shows a defect"
        dataset.fault(picture, 0, told, Kind.LEFT_OUT)
        return
    dataset.add(Sample(name, picture, truths), since)


def _white(file: Path, size: tuple[int, int]) -> Pixels:
    """Rows x columns of a mask for a picture of `size`. Raises ValueError for what is none."""
    try:
        with warnings.catch_warnings(), Image.open(file) as image:
            warnings.simplefilter("ignore")
            shape, mode = image.size, image.mode
            levels = np.asarray(image.convert("L") if shape == size and mode in MODES else (), np.uint8)
    except Exception as error:  # readers raise what they like
        raise ValueError(f"no picture: {error}") from error
    if shape != size:
        raise ValueError(f"a mask of {shape[0]} x {shape[1]} for an upright picture of {size[0]} x {size[1]}")
    if mode not in MODES:
        raise ValueError(f"a mask of mode {mode}; black and white, 8 bits and no transparency are read")
    white = levels >= WHITE
    if levels.any() and not white.any():
        raise ValueError(f"its brightest pixel is {levels.max()}; what is a defect must be white (255)")
    return np.asarray(white, bool)

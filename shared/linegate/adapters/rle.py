"""Masks run-length encoded as COCO has it, read to the letter.

{"size": [height, width], "counts"}: the lengths of runs outside and inside the mask in turn, down the columns, as a list or in
COCO's compressed text.
"""

from collections.abc import Iterator, Mapping
from typing import Final

# Pixels of a mask; the largest picture that is sent has a hundredth of it
MOST_PIXELS: Final = 300_000_000
# Characters of COCO's compressed counts: five bits each, a sixth says that there are more
_FIRST, _LAST, _MORE, _SIGN = 48, 111, 0x20, 0x10


class MaskError(ValueError):
    """It is no mask, or not the one that is meant."""


def runs_of(rle: object, size: tuple[int, int]) -> list[int]:
    """The runs of a mask of a picture of `size` (width, height), which they fill. Raises MaskError."""
    if not isinstance(rle, Mapping) or not isinstance(rle.get("size"), list) or len(rle["size"]) != 2:
        raise MaskError("a mask has no size")
    height, width = rle["size"]
    if not all(type(side) is int and side > 0 for side in (height, width)) or height * width > MOST_PIXELS:
        raise MaskError("a mask's size is none")
    if (width, height) != size:
        raise MaskError("a mask is of another picture")
    counts = rle.get("counts")
    runs = list(_unpacked(counts)) if isinstance(counts, str) else counts
    if not isinstance(runs, list) or not all(type(run) is int and run >= 0 for run in runs):
        raise MaskError("a mask's runs are no numbers")
    if sum(runs) != height * width:
        raise MaskError("a mask's runs do not fill it")
    return runs


def _unpacked(text: str) -> Iterator[int]:
    """The runs of COCO's compressed counts; from the third on each is told by how it differs from the last but one."""
    runs: list[int] = []
    value = shift = 0
    for letter in text:
        code = ord(letter)
        if not _FIRST <= code <= _LAST or shift > 60:
            raise MaskError("a mask's runs can't be read")
        bits = code - _FIRST
        value |= (bits & 0x1F) << shift
        shift += 5
        if bits & _MORE:
            continue
        if bits & _SIGN:
            value -= 1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
        yield runs[-1]
        value = shift = 0
    if shift:
        raise MaskError("a mask's runs are cut short")

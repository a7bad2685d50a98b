"""Reference crop, crop and their difference side by side in one picture, for a model to compare inside it."""

import io
from typing import Final

from PIL import Image, ImageChops

from linegate import imaging
from linegate.errors import ImageRejectedError

GAP: Final = 8  # white pixels between two of the three
# So that what differs by a shade is seen. Fixed: stretched to its own range, the noise of a sound place would look like a defect.
GAIN: Final = 3
QUALITY: Final = 90
SHOWN: Final = (
    "Three views of the same place, side by side. Left: a board known to be good. Middle: the board in question, on which the "
    "defect is suspected. Right: where the two differ, the brighter the more; small shifts and shades show there as well. "
    "Judge the middle one:"
)


def compose(crop: bytes, reference: bytes) -> bytes:
    """One JPEG of two that show the same place. Raises ImageRejectedError where one of them can't be read."""
    suspect, golden = _opened(crop, "crop"), _opened(reference, "reference crop")
    if golden.size != suspect.size:
        golden = golden.resize(suspect.size, Image.Resampling.BILINEAR)
    difference = (
        ImageChops.difference(golden, suspect).convert("L").point([min(255, GAIN * step) for step in range(256)])
    )
    width, height = suspect.size
    sheet = Image.new("RGB", (3 * width + 2 * GAP, height), "white")
    for index, view in enumerate((golden, suspect, difference)):
        sheet.paste(view.convert("RGB"), (index * (width + GAP), 0))
    return imaging.jpeg(sheet, QUALITY)


def _opened(jpeg: bytes, what: str) -> Image.Image:
    try:
        with Image.open(io.BytesIO(jpeg), formats=("JPEG",)) as picture:
            return picture.convert("RGB")
    except Exception as error:  # decoders raise what they like
        raise ImageRejectedError(f"the {what} can't be read ({type(error).__name__})") from error

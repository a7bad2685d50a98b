"""A golden picture as a file: the picture of a good board, and how much good boards differ from it.

Both travel in one PNG, so that they are copied, replaced and read together. The variation is a private chunk that other
programs skip, and that an editor which changes the picture must drop.
"""

import io
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngImageFile, PngInfo

from linegate import imaging
from linegate.errors import ImageRejectedError

# Of its letters' cases: may be skipped, private, of version 1, to be dropped when the picture is changed.
CHUNK: Final = b"lgVR"
BROAD: Final = b"lgVB"
Grey = NDArray[np.uint8]  # height x width


@dataclass(frozen=True, slots=True)
class Golden:
    """`picture` is height x width x 3, RGB; `variation` is in grey levels, at each of its pixels.

    `broad` is the variation that is left when pictures are blurred: where thin strokes lie is in the first only.
    """

    picture: NDArray[np.uint8]
    variation: Grey | None = None
    broad: Grey | None = None


def encode(golden: Golden) -> bytes:
    """The golden picture as a PNG file."""
    info = PngInfo()
    if golden.variation is not None:
        info.add(CHUNK, _png(Image.fromarray(golden.variation)))
    if golden.broad is not None:
        info.add(BROAD, _png(Image.fromarray(golden.broad)))
    return _png(Image.fromarray(golden.picture), info)


def decode(data: bytes) -> Golden:
    """A golden picture from any picture file, with its variation if it was built with one. Raises ImageRejectedError."""
    picture = np.asarray(imaging.decode(data))
    kept = _variation(data, CHUNK), _variation(data, BROAD)
    if any(one is not None and one.shape != picture.shape[:2] for one in kept):
        raise ImageRejectedError("the variation in the file belongs to a picture of another size: build it anew")
    return Golden(picture, *kept)


def _variation(data: bytes, name: bytes) -> Grey | None:
    with Image.open(io.BytesIO(data)) as picture:
        if not isinstance(picture, PngImageFile):
            return None
        kept = next((chunk[1] for chunk in picture.private_chunks if chunk[0] == name), None)
    if kept is None:
        return None
    try:
        with Image.open(io.BytesIO(kept), formats=("PNG",)) as variation:
            return np.asarray(variation.convert("L"))
    except (OSError, SyntaxError, ValueError) as error:
        raise ImageRejectedError(f"the variation in the file is damaged ({error}): build it anew") from error


def _png(picture: Image.Image, info: PngInfo | None = None) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()

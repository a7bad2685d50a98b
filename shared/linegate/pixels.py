"""Decoded pixels of every kind ▶ RGB with 8 bits a channel, in bands, so that memory stays near what the result needs."""

import io
import sys
from collections.abc import Iterator
from typing import Any, Final, Literal

from PIL import Image, ImageChops

from linegate import containers
from linegate.errors import ImageRejectedError
from linegate.logs import log

# The depths of cameras. Where a file doesn't tell, the smallest that holds its brightest value is taken.
DEPTHS: Final = (8, 10, 12, 14, 16)
_BITS_PER_SAMPLE, _MAX_SAMPLE, _S_MAX_SAMPLE = 258, 281, 341
_BAND_PIXELS: Final = 1 << 20
_ALPHA: Final = ("RGBA", "LA", "PA", "La", "RGBa")
# Pillow keeps the high byte of 16-bit colours: which raw mode reads the low one instead.
_LOW_BYTES: Final = {"B": "L", "L": "B", "N": "B" if sys.byteorder == "little" else "L"}

Told = Literal["tag", "range"]


def rgb8(picture: Image.Image, file: bytes) -> Image.Image:
    """The loaded `picture` as RGB with 8 bits a channel; transparent parts on white. `file` is what it was read from.

    More than 8 bits are scaled by the true depth, see `_depth`; what was taken is logged as `picture.depth`.
    Raises ImageRejectedError for pixels that can't be shown faithfully.
    """
    if picture.mode.startswith("I"):
        return _grey(picture, file)
    if picture.mode == "F":
        raise ImageRejectedError("the picture has floating-point pixels; store it with 8 or 16 bits")
    raw = _raw_mode(file) if picture.format in ("PNG", "TIFF") else ""
    if ";16" in raw:
        picture = _colour(picture, file, raw)
    if picture.mode in _ALPHA or "transparency" in picture.info:
        return _in_bands(picture, "RGB", _on_white)
    return picture if picture.mode == "RGB" else _in_bands(picture, "RGB", lambda band: band.convert("RGB"))


def _in_bands(picture: Image.Image, mode: str, change: Any) -> Image.Image:
    """`change` made to a few rows at a time: a whole picture in a wider mode would need several times its memory."""
    made = Image.new(mode, picture.size)
    for box in _bands(picture.size):
        made.paste(change(picture.crop(box)), box)
    return made


def _bands(size: tuple[int, int]) -> Iterator[tuple[int, int, int, int]]:
    width, height = size
    rows = max(1, _BAND_PIXELS // width)
    for top in range(0, height, rows):
        yield 0, top, width, min(height, top + rows)


def _on_white(band: Image.Image) -> Image.Image:
    band = band.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", band.size, "white"), band).convert("RGB")


def _depth(picture: Image.Image, file: bytes, brightest: int) -> int:
    """The bits that a 16-bit picture truly has, of which `brightest` is the largest value; logged.

    Cameras of 10, 12 and 14 bits write them into 16 and leave the upper ones empty. What the file's tags say counts,
    unless the data are brighter than that; else the data's range.
    """
    told: Told = "tag"
    named = _tagged(picture, file)
    if not named or brightest >= 1 << named:
        told, named = "range", brightest.bit_length()
    # A tag may tell the brightest value found instead of the brightest possible one.
    bits = next(depth for depth in DEPTHS if depth >= named)
    log.info("picture.depth", bits=bits, **{"from": told})
    return bits


def _tagged(picture: Image.Image, file: bytes) -> int:
    """The depth that the tags of a TIFF or the sBIT chunk of a PNG name; 0 if there is none to believe."""
    tags = getattr(picture, "tag_v2", None)
    if tags is None:
        bits = max(containers.png_significant_bits(file)[:3], default=16)
        return bits if bits < 16 else 0
    for tag in (_S_MAX_SAMPLE, _MAX_SAMPLE):
        value = tags.get(tag)
        value = max(value) if isinstance(value, tuple) and value else value
        if isinstance(value, int | float) and 0 < value < 65536:
            return int(value).bit_length()
    bits = max(tags.get(_BITS_PER_SAMPLE, (16,)))
    return bits if bits < 16 else 0


def _grey(picture: Image.Image, file: bytes) -> Image.Image:
    """Grey of up to 16 bits; every depth maps its own white to 255."""
    low, high = 0, 0
    for box in _bands(picture.size):
        darkest, brightest = picture.crop(box).convert("I").getextrema()
        low, high = min(low, int(darkest)), max(high, int(brightest))  # type: ignore[arg-type]
    if low < 0 or high > 65535:
        raise ImageRejectedError("the picture has values of grey outside 0 … 65535; store it with 8 or 16 bits")
    factor = 255 / ((1 << _depth(picture, file, high)) - 1)

    def scaled(band: Image.Image) -> Image.Image:
        # Half a step more, because the conversion cuts off.
        return band.convert("I").point(lambda value: value * factor + 0.5).convert("L").convert("RGB")

    return _in_bands(picture, "RGB", scaled)


def _raw_mode(file: bytes) -> str:
    """How the pixels lie in the file, in Pillow's words: `RGB;16B`."""
    with Image.open(io.BytesIO(file), formats=("PNG", "TIFF")) as opened:
        arguments = opened.tile[0].args if opened.tile else ""
    return str(arguments if isinstance(arguments, str) else (arguments or ("",))[0])


def _colour(high: Image.Image, file: bytes, raw: str) -> Image.Image:
    """16-bit colours, of which `high` has the upper bytes: shifted by their true depth."""
    if not raw.startswith("RGB") or high.mode not in ("RGB", "RGBA"):
        raise ImageRejectedError("the picture has 16 bits of neither grey nor RGB; store it as one of these")
    bands = [int(extrema[1]) for extrema in high.getextrema()]  # type: ignore[index]
    # Only whether the values need more than 8 bits is left to know, and the lower bytes are not at hand yet.
    bits = _depth(high, file, max(bands[:3]) << 8 | 255)
    if bits == 16:
        return high
    if high.mode == "RGBA" and bands[3] >= 1 << bits - 8:
        raise ImageRejectedError(f"the picture has colours of {bits} bits, but not its transparency; store it as RGB")
    with Image.open(io.BytesIO(file), formats=("PNG", "TIFF")) as low:
        low.tile = [tile._replace(args=_swapped(tile.args, raw)) for tile in low.tile]
        low.load()
        shift, width = bits - 8, len(bands)
        upper = [min(255, value << 8 - shift) for value in range(256)] * width
        lower = [value >> shift for value in range(256)] * width
        made = Image.new(high.mode, high.size)
        for box in _bands(high.size):
            # The bits of the two never meet: adding is joining.
            made.paste(ImageChops.add(high.crop(box).point(upper), low.crop(box).point(lower)), box)
    return made


def _swapped(arguments: Any, raw: str) -> Any:
    """A tile's arguments, so that it is read for the low bytes of its samples."""
    low = raw[:-1] + _LOW_BYTES[raw[-1]]
    return low if isinstance(arguments, str) else (low, *arguments[1:])

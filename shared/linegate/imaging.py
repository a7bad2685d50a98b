"""Pictures: the guard at the gate, decoding, cutting crops. Pillow only, so that every function can carry it."""

import io
import math
from typing import Final

from PIL import Image, ImageOps, UnidentifiedImageError

from linegate.errors import ImageRejectedError
from linegate.inspection import Box

ALLOWED_FORMATS: Final = ("JPEG", "PNG", "BMP", "TIFF", "WEBP")
MINIMUM_SIDE: Final = 16
CROP_QUALITY: Final = 90
# A message carries the crop as base64; Pub/Sub counts the whole of it.
MAX_CROP_BYTES: Final = 256 * 1024
# Sixteen bits of grey become eight.
_TO_8_BIT: Final = 1 / 257

# The configured bound on pixels is looked at before any is decoded (`_admit`); Pillow's fixed one would only get in its way.
Image.MAX_IMAGE_PIXELS = None


def decode(data: bytes, max_pixels: int = 100_000_000) -> Image.Image:
    """The upright RGB picture in `data`, its pixels loaded.

    Content decides, not the file's name. Raises ImageRejectedError, with a reason for a person, for whatever is no
    single complete picture in one of ALLOWED_FORMATS with at most `max_pixels` pixels.
    """
    if not data:
        raise ImageRejectedError("the file is empty")
    try:
        picture = _open(data)
        _admit(picture, max_pixels)
        picture.load()
        return _rgb(_upright(picture))
    except ImageRejectedError:
        raise
    except MemoryError as error:
        raise ImageRejectedError("the picture needs more memory than there is") from error
    except Exception as error:  # decoders raise what they like: OSError, SyntaxError, struct.error, IndexError …
        raise ImageRejectedError(f"the picture is damaged or incomplete ({error})") from error


def _open(data: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(data), formats=ALLOWED_FORMATS)
    except UnidentifiedImageError as error:
        found = _format_of(data)
        what = f"a {found} file" if found else "no picture"
        raise ImageRejectedError(f"the file is {what}; allowed are {', '.join(ALLOWED_FORMATS)}") from error


def _format_of(data: bytes) -> str:
    """What the file is, if that can be told cheaply and safely from its first bytes."""
    signatures = {
        b"GIF8": "GIF",
        b"%PDF": "PDF",
        b"PK\x03\x04": "ZIP",
        b"<svg": "SVG",
        b"<?xml": "XML",
        b"\x00\x00\x01\x00": "ICO",
    }
    return next((name for start, name in signatures.items() if data.startswith(start)), "")


def _admit(picture: Image.Image, max_pixels: int) -> None:
    """Look at the header before any pixel is decoded."""
    width, height = picture.size
    if width * height > max_pixels:
        raise ImageRejectedError(
            f"the picture has {width:,} by {height:,} pixels; {max_pixels:,} in all are allowed (images.max_pixels)"
        )
    if min(width, height) < MINIMUM_SIDE:
        raise ImageRejectedError(f"the picture has {width} by {height} pixels; a side needs {MINIMUM_SIDE}")
    frames = getattr(picture, "n_frames", 1)
    if frames > 1:
        raise ImageRejectedError(f"the file holds {frames} pictures; which one is the board can't be known")


def _upright(picture: Image.Image) -> Image.Image:
    """Turned as its EXIF orientation says; a picture whose EXIF can't be read is taken as it lies."""
    try:
        return ImageOps.exif_transpose(picture)
    except Exception:  # broken EXIF raises as variously as broken pictures, and must not cost the board
        return picture


def _rgb(picture: Image.Image) -> Image.Image:
    if picture.mode == "RGB":
        return picture
    if picture.mode.startswith("I"):  # 16-bit grey; convert("L") would clip it
        picture = picture.convert("I")
        low, high = picture.getextrema()
        if not (float(low) >= 0 and float(high) <= 65535):  # type: ignore[arg-type]
            raise ImageRejectedError("the picture has more than 16 bits of grey; store it with 8 or 16")
        return picture.point(lambda value: value * _TO_8_BIT).convert("L").convert("RGB")
    if picture.mode == "F":
        raise ImageRejectedError("the picture has floating-point pixels; store it with 8 or 16 bits")
    if picture.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        flat = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(flat, picture).convert("RGB")
    return picture.convert("RGB")


def padded(box: Box, width: int, height: int, padding: float = 0.25, minimum: int = 16) -> tuple[int, int, int, int]:
    """The pixels (left, top, right, bottom) around `box` that are cut out of a picture of `width` by `height`.

    `padding` in parts of the box's longer side, at least `minimum` pixels on each side. Inside the picture, never empty.
    """
    margin = max(minimum, padding * max(box.width, box.height))
    left, top, right, bottom = box.corners
    left_px = min(max(0, math.floor(left - margin)), width - 1)
    top_px = min(max(0, math.floor(top - margin)), height - 1)
    right_px = max(min(width, math.ceil(right + margin)), left_px + 1)
    bottom_px = max(min(height, math.ceil(bottom + margin)), top_px + 1)
    return left_px, top_px, right_px, bottom_px


def cut(
    picture: Image.Image, box: Box, padding: float = 0.25, minimum: int = 16, max_bytes: int = MAX_CROP_BYTES
) -> bytes:
    """The padded cut-out of `box` as a JPEG of at most `max_bytes`; scaled down if it must be. See `padded`."""
    crop = picture.crop(padded(box, picture.width, picture.height, padding, minimum))
    while True:
        data = jpeg(crop, CROP_QUALITY)
        if len(data) <= max_bytes or max(crop.size) <= MINIMUM_SIDE:
            return data
        scale = min(0.9, math.sqrt(max_bytes / len(data)))
        crop = crop.resize(
            (max(1, int(crop.width * scale)), max(1, int(crop.height * scale))), Image.Resampling.LANCZOS
        )


def jpeg(picture: Image.Image, quality: int) -> bytes:
    """RGB JPEG without chroma subsampling: defects are a few pixels wide."""
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality, subsampling=0)
    return buffer.getvalue()

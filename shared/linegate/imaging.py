"""Pictures: the guard at the gate, decoding, cutting crops. Pillow only, so that every function can carry it."""

import io
import math
from dataclasses import dataclass
from typing import Final

from PIL import Image, ImageFile, UnidentifiedImageError
from PIL.ExifTags import Base

from linegate import containers, entropy
from linegate.errors import ImageRejectedError
from linegate.pixels import rgb8
from linegate.shapes import Box

ALLOWED_FORMATS: Final = ("JPEG", "PNG", "BMP", "TIFF", "WEBP")
MINIMUM_SIDE: Final = 16
# Rows at one end of a picture, as a part of all, that may be black: of 400 black-and-white scans none has more than 0.082.
BLACK_END: Final = 0.09
CROP_QUALITY: Final = 90
PAYLOAD_QUALITY: Final = 90
# A message carries the crop as base64; Pub/Sub counts the whole of it.
MAX_CROP_BYTES: Final = 256 * 1024
# How files begin: (where, what, which format). Only for the words of a rejection; Pillow decides what is decoded.
_SIGNATURES: Final = (
    (0, b"\xff\xd8", "JPEG"),
    (0, b"\x89PNG\r\n\x1a\n", "PNG"),
    (8, b"WEBP", "WEBP"),
    (0, b"II*\0", "TIFF"),
    (0, b"MM\0*", "TIFF"),
    (0, b"II+\0", "TIFF"),
    (0, b"MM\0+", "TIFF"),
    (0, b"BM", "BMP"),
    (0, b"GIF8", "GIF"),
    (4, b"ftypavi", "AVIF"),
    (4, b"ftyphe", "HEIC"),
    (4, b"ftypmif1", "HEIC"),
    (4, b"jP  ", "JPEG 2000"),
    (0, b"\0\0\1\0", "ICO"),
    (0, b"8BPS", "PSD"),
    (0, b"%PDF", "PDF"),
    (0, b"PK\3\4", "ZIP"),
    (0, b"<svg", "SVG"),
    (0, b"<?xml", "XML"),
)
# What turns a picture upright, by EXIF orientation; 1 needs nothing.
_TURNS: Final = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

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
        upright = _decoded(data, max_pixels)
    except ImageRejectedError:
        raise
    except MemoryError as error:
        raise ImageRejectedError("the picture needs more memory than there is") from error
    except Exception as error:  # decoders raise what they like: OSError, SyntaxError, struct.error, IndexError …
        raise containers.damaged(str(error) or type(error).__name__) from error
    # Comments and profiles are no part of the board, and Pillow would write them into every crop.
    upright.info.clear()
    return upright


def _decoded(data: bytes, max_pixels: int) -> Image.Image:
    kind = _format_of(data)
    # Pillow walks the tags of these two before it says a picture's size.
    scans = containers.jpeg_scans(data) if kind == "JPEG" else None
    if kind == "TIFF":
        containers.examine(data, kind)
    picture = _open(data)
    _admit(picture, max_pixels)
    containers.not_empty(len(data), *picture.size)
    if kind != "TIFF":
        containers.examine(data, kind)
    if kind == "WEBP":
        containers.webp_zeros(data, *picture.size)
    if kind == "TIFF":  # what is a JPEG inside is read as strictly as one that stands alone
        for part in containers.tiff_jpegs(data):
            with Image.open(io.BytesIO(part), formats=("JPEG",)) as inner:
                entropy.load(inner, part, containers.jpeg_scans(part))
    if scans is None:
        picture.load()
    else:
        entropy.load(picture, data, scans)
    turn = _turn(picture)
    pixels = rgb8(picture, data)
    del picture
    if kind in ("TIFF", "BMP", "WEBP"):  # the formats without checksums or an end that can be missed
        _seen(pixels)
    return pixels if turn is None else pixels.transpose(turn)


def _open(data: bytes) -> ImageFile.ImageFile:
    try:
        return Image.open(io.BytesIO(data), formats=ALLOWED_FORMATS)
    except UnidentifiedImageError as error:
        found = _format_of(data)
        if found in ALLOWED_FORMATS:
            raise containers.damaged(f"it begins like a {found} file and can't be read") from error
        what = f"the file's format is {found}" if found else "the file is no picture"
        raise ImageRejectedError(f"{what}; allowed are {', '.join(ALLOWED_FORMATS)}") from error


def _format_of(data: bytes) -> str:
    """What the file seems to be by its first bytes; empty if that can't be told."""
    return next((name for at, start, name in _SIGNATURES if data.startswith(start, at)), "")


def _admit(picture: Image.Image, max_pixels: int) -> None:
    """Look at the header before any pixel is decoded."""
    width, height = picture.size
    if width * height > max_pixels:
        raise ImageRejectedError(
            f"the picture has {width:,} by {height:,} pixels; {max_pixels:,} in all are allowed (images.max_pixels)"
        )
    if min(width, height) < MINIMUM_SIDE:
        raise ImageRejectedError(f"the picture has {width} by {height} pixels; a side needs {MINIMUM_SIDE}")
    if picture.format == "TIFF":  # whose pictures were counted already; Pillow would walk all of them
        return
    frames = getattr(picture, "n_frames", 1)
    if frames > 1:
        raise containers.several(str(frames))


def _turn(source: Image.Image) -> Image.Transpose | None:
    """What turns the picture upright by its EXIF orientation; None, so that it stays as it lies, if that can't be read.

    ImageOps.exif_transpose would also write the remaining tags anew and fails, unturned, when one of them is broken.
    A TIFF has already been turned by Pillow as it was loaded, and then says so.
    """
    try:
        return _TURNS.get(source.getexif().get(Base.Orientation, 1))
    except Exception:  # broken EXIF raises as variously as broken pictures, and must not cost the board
        return None


def _seen(pixels: Image.Image) -> None:
    """Refuse a picture of which whole rows were never written: a large black end, or stripes where nothing else is black."""
    rows = pixels.convert("L").reduce((pixels.width, 1)).tobytes()
    black = rows.count(0)
    less, more = sorted(len(rows) - len(inner) for inner in (rows.lstrip(b"\0"), rows.rstrip(b"\0")))
    # What is black at both ends is a frame.
    if BLACK_END * len(rows) < more < len(rows) and more > 2 * less:
        raise containers.damaged(f"{more} of its {len(rows)} rows, at one end, are black from side to side")
    if black < max(2, len(rows) // 200) or less:
        return
    all_black = sum(pixels.convert("L").histogram()[:1]) - black * pixels.width
    if all_black < 0.01 * (len(rows) - black) * pixels.width:
        raise containers.damaged(f"{black} of its {len(rows)} rows are black from side to side, and nothing else is")


@dataclass(frozen=True, slots=True)
class Payload:
    """A picture as it is sent to a service: a file, and its width and height in pixels."""

    data: bytes
    size: tuple[int, int]


def payload(picture: Image.Image, file: bytes, longest_side: int) -> Payload:
    """`picture` with no side above `longest_side` pixels, in as few bytes as a good JPEG takes.

    The uploaded `file` itself goes out where it shows the same upright pixels and a JPEG would not be smaller.
    """
    scale = longest_side / max(picture.size)
    if scale < 1:
        width, height = (max(1, round(side * scale)) for side in picture.size)
        # Reducing by whole steps first is twice as fast and no visible loss before the final resampling.
        small = picture.resize((width, height), Image.Resampling.LANCZOS, reducing_gap=3.0)
        return Payload(jpeg(small, PAYLOAD_QUALITY), small.size)
    encoded = jpeg(picture, PAYLOAD_QUALITY)
    return Payload(file if len(file) <= len(encoded) and _as_it_is(file) else encoded, picture.size)


@dataclass(frozen=True, slots=True)
class Upright:
    """A file that shows the pixels that were inspected to any decoder; `size` is their width and height."""

    data: bytes
    extension: str  # ".jpg", ".png"
    size: tuple[int, int]


def upright(file: bytes, max_pixels: int = 100_000_000) -> Upright:
    """The upload `file` as it is, where any decoder shows the same upright pixels; else those pixels as PNG, without loss.

    Raises ImageRejectedError.
    """
    picture = decode(file, max_pixels)
    if _as_it_is(file):
        return Upright(file, ".jpg" if _format_of(file) == "JPEG" else ".png", picture.size)
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return Upright(buffer.getvalue(), ".png", picture.size)


def _as_it_is(file: bytes) -> bool:
    """Whether any decoder shows the file's pixels as `decode` does: upright, 8 bits, no transparency."""
    try:
        with Image.open(io.BytesIO(file), formats=("JPEG", "PNG")) as opened:
            upright = opened.getexif().get(Base.Orientation, 1) == 1
            return upright and opened.mode in ("RGB", "L") and "transparency" not in opened.info
    except Exception:  # as for `_upright`: whatever a decoder says, the picture itself is good
        return False


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

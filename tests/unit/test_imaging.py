"""The image guard: each case ends in an upright RGB picture or in a reason for a person."""

import io
import struct
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from linegate.errors import ImageRejectedError
from linegate.imaging import cut, decode, padded
from linegate.inspection import Box
from tests.boards import draw, encoded

ORIENTATION = 0x0112
BOARD = draw()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *extra: bytes, data: bytes = b"") -> bytes:
    """A PNG whose header may promise anything."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(extra) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def frames(image_format: str) -> bytes:
    return encoded(BOARD, image_format, save_all=True, append_images=[draw(defective=True)])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the file is empty"),
        (b"This is no picture.\n", "the file is no picture; allowed are JPEG, PNG, BMP, TIFF, WEBP"),
        (b"%PDF-1.7\n", "a PDF file; allowed are"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "a SVG file"),
        (encoded(BOARD, "GIF"), "a GIF file"),
        (encoded(BOARD, "JPEG")[:2000], "damaged or incomplete"),
        (encoded(BOARD, "JPEG")[:100], "damaged or incomplete"),
        (encoded(BOARD, "PNG")[:-400], "damaged or incomplete"),
        (encoded(BOARD, "PNG").replace(b"IDAT", b"IDAX"), "no picture"),
        (encoded(BOARD, "TIFF")[:5000], "damaged or incomplete"),
        (encoded(BOARD, "BMP")[:5000], "damaged or incomplete"),
        (png(60_000, 60_000), "60,000 by 60,000 pixels; 1,000,000 in all are allowed"),
        (png(1_001, 1_000), "1,001 by 1,000 pixels"),
        (png(15, 400), "15 by 400 pixels; a side needs 16"),
        (png(64, 64, chunk(b"zTXt", b"k\0\0" + zlib.compress(b"a" * 50_000_000))), "damaged or incomplete"),
        (frames("PNG"), "2 pictures"),
        (frames("TIFF"), "2 pictures"),
        (frames("WEBP"), "2 pictures"),
        (encoded(Image.new("F", (64, 48), 0.5), "TIFF"), "floating-point"),
        (encoded(Image.new("I", (64, 48), 70_000), "TIFF"), "more than 16 bits"),
        (b"\xff\xd8\xff" + b"\0" * 500, "no picture"),
    ],
)
def test_what_can_not_be_inspected_is_refused_with_a_reason(data: bytes, reason: str) -> None:
    with pytest.raises(ImageRejectedError, match=reason.replace("(", r"\(")):
        decode(data, 1_000_000)


@given(st.binary(max_size=300), st.sampled_from(["JPEG", "PNG", "BMP", "TIFF", "WEBP"]), st.data())
def test_spoilt_files_are_decoded_or_refused_never_anything_else(junk: bytes, kind: str, data: st.DataObject) -> None:
    sound = encoded(BOARD.resize((32, 24)), kind)
    start = data.draw(st.integers(0, len(sound)))
    try:
        picture = decode(sound[:start] + junk + sound[start + len(junk) :], 1_000_000)
    except ImageRejectedError:
        return
    assert picture.mode == "RGB"


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (lambda: encoded(Image.new("L", (64, 48), 100), "PNG"), (100, 100, 100)),
        (lambda: encoded(Image.new("1", (64, 48), 1), "PNG"), (255, 255, 255)),
        (lambda: encoded(Image.new("P", (64, 48), 0), "PNG"), (0, 0, 0)),
        (lambda: encoded(Image.new("I;16", (64, 48), 40_000), "PNG"), (155, 155, 155)),
        (lambda: encoded(Image.new("I;16", (64, 48), 40_000), "TIFF"), (155, 155, 155)),
        (lambda: encoded(Image.new("I;16B", (64, 48), 40_000), "TIFF"), (155, 155, 155)),
        (lambda: encoded(Image.new("CMYK", (64, 48), (0, 255, 255, 0)), "TIFF"), (255, 0, 0)),
        (lambda: encoded(Image.new("RGBA", (64, 48), (255, 0, 0, 0)), "PNG"), (255, 255, 255)),
        (lambda: encoded(Image.new("RGBA", (64, 48), (255, 0, 0, 255)), "WEBP", lossless=True), (255, 0, 0)),
        (lambda: encoded(Image.new("LA", (64, 48), (0, 128)), "PNG"), (127, 127, 127)),
        (lambda: encoded(Image.new("P", (64, 48), 0), "PNG", transparency=0), (255, 255, 255)),
    ],
)
def test_every_kind_of_pixel_becomes_rgb(make: Callable[[], bytes], expected: tuple[int, int, int]) -> None:
    picture = decode(make())
    assert (picture.mode, picture.size) == ("RGB", (64, 48))
    found = picture.getpixel((30, 30))
    assert isinstance(found, tuple)
    assert max(abs(a - b) for a, b in zip(found, expected, strict=True)) <= 2


def test_cmyk_jpegs_keep_their_colours() -> None:
    picture = decode(encoded(Image.new("CMYK", (64, 48), (0, 200, 200, 0)), "JPEG"))
    red, green, blue = picture.getpixel((30, 30))  # type: ignore[misc]
    assert red > 200
    assert max(green, blue) < 100


@pytest.mark.parametrize("orientation", range(1, 9))
def test_whatever_way_the_camera_was_held_the_picture_is_upright(orientation: int) -> None:
    upright = Image.new("RGB", (64, 48), "black")
    ImageDraw.Draw(upright).rectangle((0, 0, 20, 15), "red")
    ImageDraw.Draw(upright).rectangle((43, 0, 63, 15), "lime")
    turns = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    turn = turns[orientation]
    stored = upright if turn is None else upright.transpose(turn)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    picture = decode(encoded(stored, "PNG", exif=exif))
    assert picture.size == (64, 48)
    assert [picture.getpixel(spot) for spot in ((5, 5), (58, 5), (5, 42))] == [(255, 0, 0), (0, 255, 0), (0, 0, 0)]


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_a_picture_with_broken_exif_is_taken_as_it_lies() -> None:
    assert decode(encoded(BOARD, "JPEG", exif=b"Exif\0\0MM\0*\xff\xff\xff\xff")).size == BOARD.size


def test_a_picture_at_the_bound_of_pixels_is_let_through() -> None:
    assert decode(encoded(Image.new("RGB", (1000, 1000)), "PNG"), 1_000_000).size == (1000, 1000)


boxes = st.builds(Box, st.floats(-100, 900), st.floats(-100, 900), st.floats(0, 900), st.floats(0, 900))


@given(boxes, st.integers(16, 700), st.integers(16, 700), st.floats(0, 2))
def test_a_crop_lies_inside_the_picture_holds_its_box_and_is_never_empty(
    box: Box, width: int, height: int, padding: float
) -> None:
    left, top, right, bottom = padded(box, width, height, padding)
    assert 0 <= left < right <= width
    assert 0 <= top < bottom <= height
    box_left, box_top, box_right, box_bottom = box.corners
    assert left <= max(0, box_left) or left == width - 1
    assert top <= max(0, box_top) or top == height - 1
    assert right >= min(width, box_right)
    assert bottom >= min(height, box_bottom)


def test_a_crop_shows_the_place_with_room_around_it() -> None:
    picture = Image.new("RGB", (200, 200), "black")
    ImageDraw.Draw(picture).rectangle((90, 90, 109, 109), "white")
    crop = Image.open(io.BytesIO(cut(picture, Box(100, 100, 20, 20))))
    assert crop.size == (52, 52)
    bounds = crop.convert("L").point(lambda value: 255 if value > 128 else 0).getbbox()
    assert bounds == (16, 16, 36, 36)


def test_a_crop_always_fits_into_its_message() -> None:
    noise = Image.effect_noise((1500, 1500), 200).convert("RGB")
    assert len(cut(noise, Box(750, 750, 1400, 1400))) <= 256 * 1024
    assert len(cut(noise, Box(750, 750, 1400, 1400), max_bytes=20_000)) <= 20_000

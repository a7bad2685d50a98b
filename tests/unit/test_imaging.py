"""The image guard: each case ends in an upright RGB picture or in a reason for a person."""

import io
import re
import struct
import zlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageCms, ImageDraw, JpegImagePlugin

from linegate.errors import ImageRejectedError
from linegate.imaging import cut, decode, padded
from linegate.shapes import Box
from tests.boards import draw, encoded

ORIENTATION = 0x0112
BOARD = draw()


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(width: int, height: int, *extra: bytes, data: bytes = b"") -> bytes:
    """A PNG whose header may promise anything."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(extra) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def tiff(width: int, height: int, bits: int, data: bytes) -> bytes:
    """A little-endian grey TIFF of one uncompressed strip."""
    tags = {256: width, 257: height, 258: bits, 259: 1, 262: 1, 273: 8, 277: 1, 278: height, 279: len(data)}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    return b"II*\0" + struct.pack("<I", 8 + len(data)) + data + struct.pack("<H", len(tags)) + entries + b"\0" * 4


def frames(image_format: str) -> bytes:
    return encoded(BOARD, image_format, save_all=True, append_images=[draw(defective=True)])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "the file is empty"),
        (b"This is no picture.\n", "the file is no picture; allowed are JPEG, PNG, BMP, TIFF, WEBP"),
        (b"%PDF-1.7\n", "format is PDF; allowed are JPEG, PNG, BMP, TIFF, WEBP"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "format is SVG"),
        (encoded(BOARD, "GIF"), "format is GIF"),
        (b"\0\0\0\x18ftypheic" + b"\0" * 400, "format is HEIC"),
        (encoded(BOARD, "AVIF"), "format is AVIF"),
        (encoded(BOARD, "JPEG2000"), "format is JPEG 2000"),
        (encoded(BOARD, "JPEG")[:2000], "damaged or incomplete"),
        (encoded(BOARD, "JPEG")[:100], "damaged or incomplete (Truncated File Read); upload it again"),
        (encoded(BOARD, "PNG")[:-400], "damaged or incomplete"),
        (encoded(BOARD, "PNG").replace(b"IDAT", b"IDAX"), "begins like a PNG file"),
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
        (encoded(Image.new("I", (64, 48), 70_000), "TIFF"), "outside 0 … 65535"),
        (encoded(Image.new("I", (64, 48), -1), "TIFF"), "outside 0 … 65535"),
        (b"\xff\xd8\xff" + b"\0" * 500, "damaged or incomplete"),
    ],
)
def test_what_can_not_be_inspected_is_refused_with_a_reason(data: bytes, reason: str) -> None:
    with pytest.raises(ImageRejectedError, match=re.escape(reason)):
        decode(data, 1_000_000)


def test_the_configured_bound_rules_and_not_the_one_of_pillow() -> None:
    # More than Pillow warns of (an error in these tests), less than ours: what is refused is the missing content.
    with pytest.raises(ImageRejectedError, match="that empty") as caught:
        decode(png(9_600, 10_000))
    assert "bomb" not in str(caught.value)
    # More than Pillow refuses.
    with pytest.raises(ImageRejectedError, match=r"100,000,000 in all are allowed \(images.max_pixels\)"):
        decode(png(20_000, 10_000))


# As in production, where a warning is a line in the log.
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("image_format", "options"),
    [
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("PNG", {}),
        ("BMP", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("WEBP", {"lossless": True}),
    ],
)
def test_a_file_cut_off_anywhere_never_becomes_another_picture(image_format: str, options: dict[str, object]) -> None:
    picture = Image.effect_noise((41, 23), 80).convert("RGB")
    whole = encoded(picture, image_format, **options)
    pixels = decode(whole).tobytes()
    refused = 0
    for length in range(len(whole)):
        try:
            assert decode(whole[:length]).tobytes() == pixels, length
        except ImageRejectedError:
            refused += 1
    assert refused > 0.9 * len(whole)


@given(st.binary(max_size=300), st.sampled_from(["JPEG", "PNG", "BMP", "TIFF", "WEBP"]), st.data())
def test_spoilt_files_are_decoded_or_refused_never_anything_else(junk: bytes, kind: str, data: st.DataObject) -> None:
    sound = encoded(BOARD.resize((32, 24)), kind)
    start = data.draw(st.integers(0, len(sound)))
    try:
        picture = decode(sound[:start] + junk + sound[start + len(junk) :], 1_000_000)
    except ImageRejectedError:
        return
    assert picture.mode == "RGB"


def lab(*colour: int) -> Image.Image:
    profiles = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    picture = ImageCms.profileToProfile(Image.new("RGB", (64, 48), colour), *profiles, outputMode="LAB")
    assert picture is not None
    return picture


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
        (lambda: encoded(Image.new("L", (64, 48), 0), "PNG", transparency=0), (255, 255, 255)),
        (lambda: encoded(Image.new("RGB", (64, 48), "red"), "PNG", transparency=(255, 0, 0)), (255, 255, 255)),
        (lambda: encoded(Image.new("P", (64, 48), 0).convert("PA"), "TIFF"), (0, 0, 0)),
        (lambda: encoded(Image.new("RGB", (64, 48), "red"), "TIFF", compression="jpeg"), (254, 0, 0)),
        (lambda: encoded(lab(200, 50, 30), "TIFF"), (200, 50, 30)),
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


@pytest.mark.parametrize(
    ("mode", "image_format"), [("I;16", "PNG"), ("I;16", "TIFF"), ("I;16B", "TIFF"), ("I", "TIFF")]
)
def test_sixteen_bits_of_grey_are_scaled_and_not_clipped(mode: str, image_format: str) -> None:
    picture = Image.new(mode, (64, 48))
    values = (0, 100, 128, 129, 257, 12_850, 32_896, 65_407, 65_535)
    for x, value in enumerate(values):
        picture.putpixel((x, 20), value)
    decoded = decode(encoded(picture, image_format))
    assert [decoded.getpixel((x, 20)) for x in range(len(values))] == [(round(value / 257),) * 3 for value in values]


@pytest.mark.parametrize(("packed", "expected"), [(b"\xff\xff\xff", 255), (b"\x80\x08\x00", 128), (b"\0\0\0", 0)])
def test_twelve_bit_cameras_do_not_deliver_black_boards(packed: bytes, expected: int) -> None:
    assert decode(tiff(64, 48, 12, packed * 32 * 48)).getpixel((30, 30)) == (expected,) * 3


@pytest.mark.parametrize("image_format", ["PNG", "JPEG", "TIFF", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_whatever_way_the_camera_was_held_the_picture_is_upright(orientation: int, image_format: str) -> None:
    upright = Image.new("RGB", (64, 48), (0, 0, 60))
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
    picture = decode(encoded(stored, image_format, exif=exif))
    assert picture.size == (64, 48)
    # Sharp enough for what JPEG leaves of a colour.
    corners = picture.point(lambda value: 255 if value > 128 else 0)
    assert [corners.getpixel(spot) for spot in ((5, 5), (58, 5), (5, 42))] == [(255, 0, 0), (0, 255, 0), (0, 0, 0)]


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize(
    ("image_format", "exif"),
    [("JPEG", b"Exif\0\0MM\0*\xff\xff\xff\xff"), ("PNG", b"garbage!"), ("WEBP", b"Exif\0\0MM\0*")],
)
def test_a_picture_with_broken_exif_is_taken_as_it_lies(image_format: str, exif: bytes) -> None:
    plain = decode(encoded(BOARD, image_format))
    assert decode(encoded(BOARD, image_format, exif=exif)).tobytes() == plain.tobytes()


def test_a_picture_is_upright_even_when_another_tag_can_not_be_written_back() -> None:
    # A maker of floating-point type: readable, but Pillow can't store it again, as exif_transpose would.
    entries = struct.pack(">HHIHH", ORIENTATION, 3, 1, 6, 0) + struct.pack(">HHIf", 0x010F, 11, 1, 1e38)
    exif = b"Exif\0\0MM\0*\0\0\0\x08" + struct.pack(">H", 2) + entries + b"\0" * 4
    assert decode(encoded(Image.new("RGB", (64, 48)), "JPEG", exif=exif)).size == (48, 64)


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


@given(boxes, st.sampled_from([(16, 16), (300, 20), (97, 211)]))
def test_a_crop_is_what_padded_says(box: Box, size: tuple[int, int]) -> None:
    left, top, right, bottom = padded(box, *size)
    crop = Image.open(io.BytesIO(cut(Image.new("RGB", size), box)))
    assert (crop.format, crop.mode, crop.size) == ("JPEG", "RGB", (right - left, bottom - top))


def test_padding_grows_with_the_longer_side_of_the_box() -> None:
    assert padded(Box(500, 500, 200, 40), 1000, 1000) == (350, 430, 650, 570)
    assert padded(Box(500, 500, 200, 40), 1000, 1000, padding=0, minimum=3) == (397, 477, 603, 523)


def test_a_crop_keeps_fine_colours_and_nothing_but_pixels() -> None:
    picture = decode(encoded(BOARD, "JPEG", comment=b"told by the camera" * 1000, exif=Image.Exif()))
    data = cut(picture, Box(90, 90, 20, 20), max_bytes=10_000)
    assert b"told" not in data
    crop = Image.open(io.BytesIO(data))
    assert crop.size == (52, 52), "not scaled down for the sake of a comment"
    assert JpegImagePlugin.get_sampling(crop) == 0, "4:4:4"


def test_a_crop_always_fits_into_its_message() -> None:
    noise = Image.effect_noise((1500, 1500), 200).convert("RGB")
    assert len(cut(noise, Box(750, 750, 1400, 1400))) <= 256 * 1024
    assert len(cut(noise, Box(750, 750, 1400, 1400), max_bytes=20_000)) <= 20_000

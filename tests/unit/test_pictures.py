"""Pictures as cameras and accidents make them: read at their true depth, or refused when they are not whole."""

import io
import random
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from linegate import sight
from linegate.adapters.golden.comparison import compare
from linegate.adapters.golden.registration import register
from linegate.errors import ImageRejectedError, RegistrationError
from linegate.imaging import decode
from linegate.sections import Limits
from tests.boards import clean_board, defective_board, draw, encoded

BOARD = draw(defective=True, noise=1)


def deep(bits: int, image_format: str, **options: object) -> bytes:
    """The board in grey, as a camera of so many bits writes it into 16."""
    grey = np.asarray(BOARD.convert("L"), np.float64)
    values = np.round(grey / 255 * ((1 << bits) - 1)).astype(np.uint16)
    return encoded(Image.fromarray(values), image_format, **options)


@pytest.mark.parametrize("image_format", ["TIFF", "PNG"])
@pytest.mark.parametrize("bits", [10, 12, 14, 16])
def test_pixels_of_any_depth_come_out_as_bright_as_they_are(bits: int, image_format: str) -> None:
    shown = np.asarray(decode(deep(bits, image_format)).convert("L"), int)
    assert np.abs(shown - np.asarray(BOARD.convert("L"), int)).max() <= 1


def test_a_tag_that_names_the_depth_counts_more_than_how_bright_the_picture_is() -> None:
    dark = Image.fromarray((np.asarray(BOARD.convert("L"), np.uint16) << 4) // 8)  # an eighth of the light, 12 bits
    assert np.asarray(decode(encoded(dark, "TIFF", tiffinfo={281: 4095})).convert("RGB"))[..., 0].max() < 40


# --- what is not whole


def zeroed(data: bytes, part: float = 0.1) -> bytes:
    at = len(data) // 2
    length = int(len(data) * part)
    return data[:at] + bytes(length) + data[at + length :]


def cut_and_ended(data: bytes) -> bytes:
    return data[: len(data) // 2] + b"\xff\xd9"


def zero_tail(data: bytes) -> bytes:
    return data[: len(data) // 2] + bytes(len(data) - len(data) // 2)


@pytest.mark.parametrize(
    ("image_format", "options", "harm"),
    [
        ("JPEG", {"quality": 90}, zeroed),
        ("JPEG", {"quality": 90}, cut_and_ended),
        ("JPEG", {"quality": 90}, zero_tail),
        ("JPEG", {"quality": 90, "restart_marker_rows": 2}, zeroed),
        ("JPEG", {"quality": 90, "restart_marker_rows": 2}, cut_and_ended),
        ("JPEG", {"quality": 90, "progressive": True}, cut_and_ended),
        ("PNG", {}, zeroed),
        ("PNG", {}, zero_tail),
        ("TIFF", {"compression": "tiff_lzw"}, zeroed),
        ("TIFF", {"compression": "tiff_adobe_deflate"}, zeroed),
        ("TIFF", {}, zero_tail),
        ("BMP", {}, zero_tail),
        ("WEBP", {"quality": 90}, zero_tail),
        ("WEBP", {"lossless": True}, zeroed),
    ],
)
def test_what_is_damaged_is_refused(
    image_format: str, options: dict[str, object], harm: Callable[[bytes], bytes]
) -> None:
    sound = encoded(BOARD, image_format, **options)
    decode(sound)
    with pytest.raises(ImageRejectedError, match=r"damaged|too few|that empty"):
        decode(harm(sound))


@pytest.mark.parametrize(
    ("image_format", "options"),
    [
        *(("JPEG", {"quality": quality}) for quality in (5, 50, 75, 100)),
        ("JPEG", {"progressive": True}),
        ("JPEG", {"optimize": True, "quality": 20}),
        ("JPEG", {"restart_marker_blocks": 1}),
        ("JPEG", {"subsampling": 2}),
        *(("TIFF", {"compression": kind}) for kind in ("tiff_lzw", "packbits", "tiff_adobe_deflate", "jpeg")),
        ("PNG", {"optimize": True}),
        *(("WEBP", {"quality": quality}) for quality in (20, 100)),
        ("BMP", {}),
    ],
)
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_what_is_sound_is_read_whatever_wrote_it(image_format: str, options: dict[str, object], mode: str) -> None:
    for board in (BOARD, Image.new("RGB", (640, 480), "darkgreen"), BOARD.resize((1001, 333))):
        assert decode(encoded(board.convert(mode), image_format, **options)).size == board.size


@pytest.mark.parametrize(
    ("image_format", "options"), [("BMP", {}), ("TIFF", {}), ("TIFF", {"compression": "packbits"}), ("WEBP", {})]
)
def test_a_black_end_is_refused_also_where_much_else_is_black(image_format: str, options: dict[str, object]) -> None:
    scan = BOARD.convert("L").point(lambda level: 255 * (level > 100))
    decode(encoded(scan, image_format, **options))
    scan.paste(0, (0, scan.height // 2, *scan.size))
    with pytest.raises(ImageRejectedError, match="damaged"):
        decode(encoded(scan, image_format, **options))


def test_the_jpegs_inside_a_tiff_are_read_as_strictly_as_one_alone() -> None:
    sound = encoded(BOARD, "TIFF", compression="jpeg")
    decode(sound)
    rng = random.Random(1)
    start = sound.index(b"\xff\xda")
    for _ in range(20):
        at = rng.randrange(start + 100, sound.index(b"\xff\xd9", start) - 100)
        with pytest.raises(ImageRejectedError, match="damaged"):
            decode(sound[:at] + bytes(40) + sound[at + 40 :])


def test_a_tiff_in_which_damage_can_not_be_told_is_refused() -> None:
    with pytest.raises(ImageRejectedError, match="damage can't be told"):
        decode(encoded(BOARD.convert("1"), "TIFF", compression="group4"))


def harmed(rng: random.Random, data: bytes) -> bytes:
    """The file after one of the accidents that happen to files."""
    changed, at = bytearray(data), rng.randrange(100, len(data) - 100)
    match rng.randrange(5):
        case 0:
            length = int(len(data) * rng.choice([0.01, 0.05, 0.2, 0.4]))
            changed[at : at + length] = bytes(len(changed[at : at + length]))
        case 1:
            for _ in range(rng.choice([1, 20, 200])):
                changed[rng.randrange(100, len(data))] ^= 1 << rng.randrange(8)
        case 2:
            del changed[at:]
        case 3:
            changed[at:] = b"\xff\xd9" + bytes(rng.choice([0, len(data) - at]))
        case _:
            other = rng.randrange(100, len(data) - 50)
            changed[at : at + 64] = data[other : other + 64]
    return bytes(changed)


@pytest.mark.slow
def test_no_harmed_picture_of_a_bad_board_passes() -> None:
    """Refused, for a person, or still seen to be bad: what is left of 300 pictures of a board whose track is cut."""
    rng = random.Random(20261124)
    golden = decode(clean_board())
    kinds: list[tuple[str, dict[str, Any]]]
    kinds = [("JPEG", {"quality": 90}), ("JPEG", {"progressive": True}), ("PNG", {}), ("BMP", {}), ("TIFF", {})]
    kinds += [("TIFF", {"compression": "tiff_adobe_deflate"}), ("WEBP", {"quality": 90}), ("WEBP", {"lossless": True})]
    known, looked_at = sight.measure(golden), 0
    for number in range(300):
        image_format, options = rng.choice(kinds)
        data = encoded(draw(defective=True, noise=number + 1), image_format, **options)
        try:
            picture = decode(harmed(rng, data))
            if sight.doubts(sight.measure(picture), known, Limits()):
                continue
            seen = np.asarray(picture)
            found = compare(seen, register(seen, np.asarray(golden)))
        except (ImageRejectedError, RegistrationError):
            continue
        looked_at += 1
        assert [one for one in found if one.confidence >= 0.3], f"number {number}, {image_format} {options}"
    assert looked_at > 10, "some are harmed so little that they are inspected"


# --- what costs more than it shows


def scan_bomb() -> bytes:
    buffer = io.BytesIO()
    Image.effect_noise((2048, 2048), 8).save(buffer, "JPEG", quality=20, progressive=True)
    data = buffer.getvalue()
    at = data.rindex(b"\xff\xda")
    return data[:-2] + data[at:-2] * 300 + b"\xff\xd9"


def directory_bomb() -> bytes:
    links = b"".join(struct.pack("<HI", 0, 8 + 6 * (number + 1)) for number in range(100_000))
    return b"II*\0" + struct.pack("<I", 8) + links + struct.pack("<HI", 0, 0)


def flat_png(side: int) -> bytes:
    rows = zlib.compressobj(1)
    content = b"".join(rows.compress(bytes(1 + 4 * side)) for _ in range(side)) + rows.flush()

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = struct.pack(">IIBBBBB", side, side, 8, 6, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", content) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("bomb", "reason"),
    [(scan_bomb, r"scans"), (directory_bomb, r"pictures|tags|where its pixels lie")],
)
def test_a_bomb_is_refused_before_it_goes_off(bomb: Callable[[], bytes], reason: str) -> None:
    data = bomb()
    started = time.process_time()
    with pytest.raises(ImageRejectedError, match=reason):
        decode(data)
    assert time.process_time() - started < 1, "decoding these takes many seconds, and gigabytes"


def test_a_flat_picture_takes_no_more_memory_than_its_pixels_in_and_out(tmp_path: Path) -> None:
    side = 5000
    (tmp_path / "flat.png").write_bytes(flat_png(side))
    code = f"""
from linegate.imaging import decode
decode(open({str(tmp_path / "flat.png")!r}, "rb").read())
print(next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) * 1024 < 150_000_000 + 10 * side * side


def test_a_sound_board_is_what_all_of_this_lets_through() -> None:
    assert decode(defective_board()).size == BOARD.size

"""The files around pictures: whether their structure is whole and modest, told before and without decoding a pixel.

Decoders forgive: they fill with zeros what is missing, skip what is too much, and walk whatever they are told to walk.
What is looked at here costs a few passes over the bytes. `jpeg_scans` also tells where the pixels' data end, for `entropy`.
"""

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from linegate.errors import ImageRejectedError

# A progressive JPEG of usual encoders has 6 to 14 scans; each passes over the whole picture once.
MOST_SCANS: Final = 32
MOST_TAGS: Final = 512
# A tag's values may lie anywhere, those of many tags in the same bytes: they are read once for each.
MOST_TAG_BYTES: Final = 32 << 20
MOST_SEGMENTS: Final = 1000
# From 4 megapixels on, less than a byte for 500 pixels is no picture that a camera took.
EMPTY_FROM_PIXELS: Final = 4_000_000
EMPTY_PIXELS_A_BYTE: Final = 500
# A flat part of a lossy WebP can leave zeros in its data, but few for many blocks of 16 by 16 pixels.
_WEBP_ZEROS: Final = 32
_WEBP_BLOCKS_A_ZERO: Final = 16
_JPEG_ZEROS: Final = bytes(17)
_AFTER_ENTROPY: Final = re.compile(rb"\xff[^\x00\xff]")
_TYPE_BYTES: Final = {
    1: 1,
    2: 1,
    3: 2,
    4: 4,
    5: 8,
    6: 1,
    7: 1,
    8: 2,
    9: 4,
    10: 8,
    11: 4,
    12: 8,
    13: 4,
    16: 8,
    17: 8,
    18: 8,
}
_COMPRESSION, _JPEG_TABLES = 259, 347
_JPEG: Final = 7
# Fax codes and the JPEG of old, whose decoder says of damage only that it went on.
_UNTOLD: Final = (2, 3, 4, 6)
_SUB_DIRECTORIES: Final = (0x8769, 0x8825, 0xA005)


def damaged(why: str) -> ImageRejectedError:
    return ImageRejectedError(f"the picture is damaged or incomplete ({why}); upload it again")


def too_many(what: str) -> ImageRejectedError:
    return ImageRejectedError(f"the file has {what}; no camera writes that, so store the picture plainly")


def several(number: str) -> ImageRejectedError:
    return ImageRejectedError(
        f"the file holds {number} pictures; which one is the board can't be known, so store it alone"
    )


def not_empty(size: int, width: int, height: int) -> None:
    """Refuse a large picture in next to no bytes: it is drawn, blank, or a trap."""
    pixels = width * height
    if pixels >= EMPTY_FROM_PIXELS and size * EMPTY_PIXELS_A_BYTE < pixels:
        raise ImageRejectedError(
            f"the file has {size:,} bytes for {width:,} by {height:,} pixels; no camera's picture is that empty"
        )


def examine(data: bytes, kind: str) -> None:
    """Look through a file of Pillow's format `kind`, before Pillow does. Raises ImageRejectedError."""
    match kind:
        case "PNG":
            _examine_png(data)
        case "TIFF":
            _examine_tiff(data)
        case "BMP":
            _examine_bmp(data)
        case "WEBP":
            _examine_webp(data)


@dataclass(frozen=True, slots=True)
class Scan:
    """One pass of a JPEG over the picture: its entropy-coded data lie from `start` to `end`, without the marker there."""

    start: int
    end: int
    restarts: tuple[int, ...]  # where its restart markers lie, in order


@dataclass(frozen=True, slots=True)
class Scans:
    scans: tuple[Scan, ...]
    progressive: bool


def jpeg_scans(data: bytes) -> Scans:
    """The scans of a JPEG, its markers walked from SOI to EOI. Bytes after EOI are none of the picture's.

    Raises ImageRejectedError for a marker out of place, an end that is missing, and more than any encoder writes.
    """
    at, segments, interval, blocks = 2, 0, 0, 0
    progressive = zeros_are_ends = False
    scans: list[Scan] = []
    while True:
        if at + 2 > len(data):
            raise damaged("Truncated File Read")
        if data[at] != 0xFF:
            raise damaged(f"no marker at byte {at:,}")
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if marker == 0xD9:
            break
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        body, after = at + 4, at + 2 + length
        segments += 1
        if segments > MOST_SEGMENTS:
            raise too_many(f"more than {MOST_SEGMENTS} segments")
        if marker in (0, 1) or 0xD0 <= marker <= 0xD8 or length < 2 or after > len(data):
            raise damaged("Truncated File Read" if after > len(data) else f"a wrong marker at byte {at:,}")
        if marker in (0xC0, 0xC1, 0xC2):
            if blocks:
                raise damaged("two frame headers")
            blocks, progressive = _smallest_units(data[body:after]), marker == 0xC2
        elif marker == 0xC4:
            zeros_are_ends = zeros_are_ends or _zeros_are_ends(data[body:after])
        elif marker == 0xDD:
            interval = int.from_bytes(data[body : body + 2], "big")
        elif marker == 0xE1 and data.startswith(b"Exif\0\0", body):
            _modest_tags(data[body + 6 : after])
        elif marker == 0xE2 and data.startswith(b"MPF\0", body):
            _modest_tags(data[body + 4 : after])
        at = after
        if marker == 0xDA:
            scan = _scan(data, after)
            if not (progressive or zeros_are_ends) and _JPEG_ZEROS in data[scan.start : scan.end]:
                raise damaged("a stretch of zeros among its compressed data")
            scans.append(scan)
            if len(scans) > MOST_SCANS:
                raise too_many(f"more than {MOST_SCANS} scans")
            if scan.restarts and not interval:
                raise damaged("restart markers that were not announced")
            at = scan.end
    if not scans or not blocks:
        raise damaged("it has no pixels")
    # No block of pixels takes less than one bit in the first scan of its colour.
    if 8 * sum(scan.end - scan.start for scan in scans) < blocks:
        raise damaged(f"too few data for its {blocks:,} blocks of pixels")
    if data.startswith(b"\xff\xd8\xff", at + 2):
        raise several("2")
    return Scans(tuple(scans), progressive)


def _smallest_units(frame: bytes) -> int:
    """How many 8 by 8 blocks of its first colour a frame header promises at the least."""
    if len(frame) < 9:
        raise damaged("a frame header that is too short")
    height, width = struct.unpack_from(">HH", frame, 1)
    return ((width + 7) // 8) * ((height + 7) // 8) // (1 if frame[5] == 1 else 4) or 1


def _zeros_are_ends(tables: bytes) -> bool:
    """Whether the shortest code of the first AC table, all zeros, says that a block ends: flat parts are zeros then.

    In the standard's table it stands for a coefficient, and no picture has as many of these in a row.
    """
    at = 0
    while at + 17 < len(tables):
        if tables[at] == 0x10:
            return tables[at + 17] == 0
        at += 17 + sum(tables[at + 1 : at + 17])
    return False


def _scan(data: bytes, start: int) -> Scan:
    restarts: list[int] = []
    at = start
    while found := _AFTER_ENTROPY.search(data, at):
        at, marker = found.start(), data[found.start() + 1]
        if not 0xD0 <= marker <= 0xD7:
            end = at
            while end > start and data[end - 1] == 0xFF:  # fill bytes before a marker
                end -= 1
            return Scan(start, end, tuple(restarts))
        if marker != 0xD0 + len(restarts) % 8:
            raise damaged("restart markers out of sequence")
        restarts.append(at)
        at += 2
    raise damaged("its end is missing")


def png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Kind, start and length of the content of each chunk up to IEND, its checksum compared."""
    at = 8
    while True:
        if at + 12 > len(data):
            raise damaged("Truncated File Read")
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if at + 12 + length > len(data):
            raise damaged("Truncated File Read")
        yield kind, at + 8, length
        at += 12 + length
        if kind == b"IEND":
            return


def _examine_png(data: bytes) -> None:
    most = MOST_SEGMENTS + len(data) // 1000
    whole, pixels, raw = memoryview(data), 0, 0
    for number, (kind, start, length) in enumerate(png_chunks(data)):
        if number > most:
            raise too_many(f"more than {most:,} chunks")
        # Ancillary chunks (a small first letter) are no part of the pixels.
        if kind[0] & 0x20 == 0 or kind in (b"tRNS", b"sBIT"):
            found = int.from_bytes(data[start + length : start + length + 4], "big")
            if zlib.crc32(whole[start - 4 : start + length]) != found:
                raise damaged(f"the checksum of its {kind.decode('latin-1')} chunk is wrong")
        if kind == b"IHDR" and length == 13:
            width, height, depth, colour = struct.unpack_from(">IIBB", data, start)
            raw = height * (width * depth * {2: 3, 4: 2, 6: 4}.get(colour, 1) // 8)
        elif kind == b"IDAT":
            pixels += length
        elif kind == b"eXIf":
            _modest_tags(data[start : start + length])
    if pixels * 1032 < raw:  # what deflate can do at most
        raise damaged("too few data for its pixels")


def png_significant_bits(data: bytes) -> tuple[int, ...]:
    """What the sBIT chunk of a sound PNG says of each channel; empty if there is none."""
    for kind, start, length in png_chunks(data):
        if kind == b"sBIT":
            return tuple(data[start : start + length])
        if kind == b"IDAT":
            break
    return ()


@dataclass(frozen=True, slots=True)
class _Tag:
    kind: int
    count: int
    at: int  # where its values lie


def _directory(data: bytes, order: str, at: int, big: bool) -> tuple[dict[int, _Tag], int]:
    """The tags of one directory of a TIFF, and where the next one begins. Raises struct.error where it is cut."""
    head, entry, inline = ("Q", "HHQ", 8) if big else ("H", "HHI", 4)
    (number,) = struct.unpack_from(order + head, data, at)
    if number > MOST_TAGS:
        raise too_many(f"{number:,} tags")
    at += struct.calcsize(order + head)
    tags, size = {}, struct.calcsize(order + entry)
    for _ in range(number):
        tag, kind, count = struct.unpack_from(order + entry, data, at)
        where = at + size
        if count * _TYPE_BYTES.get(kind, 1) > inline:
            (where,) = struct.unpack_from(order + ("Q" if big else "I"), data, where)
        tags[tag] = _Tag(kind, count, where)
        at += size + inline
    (following,) = struct.unpack_from(order + ("Q" if big else "I"), data, at)
    return tags, following


def _header(data: bytes) -> tuple[str, int, bool]:
    order = "<" if data.startswith(b"II") else ">"
    big = struct.unpack_from(order + "H", data, 2)[0] == 43
    return order, struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)[0], big


def _modest_tags(exif: bytes) -> None:
    """Refuse EXIF that would cost more than the picture. What is merely broken is read as far as it goes, or not at all."""
    exif = exif.removeprefix(b"Exif\0\0")
    try:
        order, at, big = _header(exif)
        _modest(_directory(exif, order, at, big)[0])
    except struct.error:
        return


def _modest(tags: dict[int, _Tag]) -> None:
    size = sum(tag.count * _TYPE_BYTES.get(tag.kind, 1) for tag in tags.values())
    if size > MOST_TAG_BYTES:
        raise too_many(f"tags of {size:,} bytes")


def _numbers(data: bytes, order: str, tag: _Tag | None) -> tuple[int, ...]:
    letter = {1: "B", 3: "H", 4: "I", 16: "Q"}.get(tag.kind, "") if tag else ""
    return struct.unpack_from(f"{order}{tag.count}{letter}", data, tag.at) if tag and letter else ()


def _examine_tiff(data: bytes) -> None:
    try:
        order, at, big = _header(data)
        tags, following = _directory(data, order, at, big)
        _modest(tags)
        for group in _SUB_DIRECTORIES:
            for place in _numbers(data, order, tags.get(group))[:1]:
                _modest(_directory(data, order, place, big)[0])
        found = 1
        while following and found < 10:
            _, following = _directory(data, order, following, big)
            found += 1
        if found > 1:
            raise several(f"{found} or more" if following else str(found))
        offsets = _numbers(data, order, tags.get(273) or tags.get(324))
        sizes = _numbers(data, order, tags.get(279) or tags.get(325))
        compression = _numbers(data, order, tags.get(_COMPRESSION))
    except (struct.error, MemoryError, OverflowError) as error:
        raise damaged("its directory is cut") from error
    if len(offsets) != len(sizes) or not offsets or min(sizes) <= 0:
        raise damaged("it doesn't say where its pixels lie")
    if compression and compression[0] in _UNTOLD:
        raise ImageRejectedError("the TIFF is compressed as a fax is, where damage can't be told; store it with LZW")
    end = 0
    for offset, size in sorted(zip(offsets, sizes, strict=True)):
        if offset < end or offset + size > len(data):
            raise damaged("parts of its pixels lie over each other" if offset < end else "Truncated File Read")
        end = offset + size


def tiff_jpegs(data: bytes) -> Iterator[bytes]:
    """The parts of an examined TIFF that are JPEGs, each with the tables that all of them share."""
    order, at, big = _header(data)
    tags, _ = _directory(data, order, at, big)
    if _numbers(data, order, tags.get(_COMPRESSION)) != (_JPEG,):
        return
    shared = tags.get(_JPEG_TABLES)
    tables = data[shared.at : shared.at + shared.count - 2] if shared else b"\xff\xd8"
    offsets = _numbers(data, order, tags.get(273) or tags.get(324))
    for offset, size in zip(offsets, _numbers(data, order, tags.get(279) or tags.get(325)), strict=True):
        yield tables + data[offset + 2 : offset + size]


def _examine_bmp(data: bytes) -> None:
    size = int.from_bytes(data[2:6], "little")
    if size > len(data):
        raise damaged(f"its header tells of {size:,} bytes and {len(data):,} are there")


def _examine_webp(data: bytes) -> None:
    size = int.from_bytes(data[4:8], "little") + 8
    if size > len(data):
        raise damaged(f"its header tells of {size:,} bytes and {len(data):,} are there")
    at, chunks = 12, 0
    while at + 8 <= size:
        kind, length = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        if at + 8 + length > size:
            raise damaged("Truncated File Read")
        chunks += 1
        if chunks > MOST_SEGMENTS:
            raise too_many(f"more than {MOST_SEGMENTS} chunks")
        if kind == b"EXIF":
            _modest_tags(data[at + 8 : at + 8 + length])
        at += 8 + length + length % 2


def webp_zeros(data: bytes, width: int, height: int) -> None:
    """Refuse a WebP whose data are zero for longer than any picture's compressed data are."""
    most = _WEBP_ZEROS + ((width + 15) // 16) * ((height + 15) // 16) // _WEBP_BLOCKS_A_ZERO
    if bytes(most + 1) in data:
        raise damaged(f"more than {most} zeros in a row among its compressed data")

"""JPEGs decoded strictly: the data of each scan must reach to its end, and end with it.

libjpeg fills with grey what is missing, skips what is left over, and warns of both where Pillow doesn't hear it. But it
stops and waits where its data end without a marker. So the data are given to it in pieces, and each piece of entropy-coded
data (a scan, or what lies between two restart markers) is followed by stuffing that is no code of any Huffman table:

- before the last bytes of a piece, a sound one still waits for data; one that doesn't holds something left over;
- after it, sound data have come to their end: libjpeg is looking for the next marker and swallows whatever else it is given,
  byte by byte. Where it still waits for pixels, it takes bytes only by the word: data were missing.
"""

from typing import Any, Final

from PIL import Image, ImageFile

from linegate.containers import Scan, Scans, damaged

# libjpeg looks at most 8 bytes ahead; each pair here is one byte of ones, which is no code.
_STUFFING: Final = b"\xff\x00" * 8
_PROBES: Final = b"\1" * 3
_LAST: Final = 4  # bytes of a piece without which it can't be whole; more than _PROBES, and less than libjpeg's word
_SHORT: Final = 64  # bytes; a shorter piece is looked at only for what is missing
# Beyond this many pieces, as of one block each, only some of them are looked at, evenly spread.
_MOST_PIECES: Final = 600


def load(picture: ImageFile.ImageFile, data: bytes, scans: Scans) -> None:
    """Decode the just opened JPEG `picture` of the file `data`. Raises ImageRejectedError where its data are not whole."""
    tile = picture.tile[0]
    decoder: Any = Image._getdecoder(picture.mode, tile.codec_name, tile.args, picture.decoderconfig)
    picture.load_prepare()
    try:
        decoder.setimage(picture.im, tile.extents)
        _feed(_Feeder(decoder), data, scans)
    finally:
        decoder.cleanup()
    picture.tile = []
    picture.load_end()


class _Feeder:
    """The decoder, and the bytes that it has not taken yet."""

    def __init__(self, decoder: Any) -> None:
        self._decoder, self._left, self.finished = decoder, b"", False

    def give(self, data: bytes) -> bool:
        """Whether all was taken. Nothing more is given to a decoder that has finished."""
        if self.finished:
            return True
        self._left += data
        taken, error = self._decoder.decode(self._left)
        if error < 0:
            raise damaged("its data can't be decoded")
        self.finished = taken < 0
        self._left = b"" if self.finished else self._left[taken:]
        return not self._left

    def takes_each(self, data: bytes) -> bool:
        """Whether it takes every single byte as soon as it comes, as it does only between pixels. Gives all of them."""
        taken = [self.give(data[at : at + 1]) for at in range(len(data))]
        return all(taken)


def _feed(feeder: _Feeder, data: bytes, scans: Scans) -> None:
    at = 0
    pieces = [piece for scan in scans.scans for piece in _pieces(scan)]
    step = 1 + len(pieces) // _MOST_PIECES
    for number, (start, end) in enumerate(pieces):
        if number % step and number + 1 < len(pieces):
            continue
        cut = max(at, end - _LAST)
        feeder.give(data[at:cut])
        if feeder.takes_each(data[cut:end]) and end - start >= _SHORT:
            raise damaged("its data hold more than its pixels")
        feeder.give(_STUFFING)
        if not feeder.takes_each(_PROBES):
            raise damaged("data of its pixels are missing")
        at = end
    feeder.give(data[at:] if not feeder.finished else b"")
    if not feeder.finished:
        raise damaged("its data end too early")


def _pieces(scan: Scan) -> list[tuple[int, int]]:
    starts = [scan.start, *(at + 2 for at in scan.restarts)]
    return list(zip(starts, [*scan.restarts, scan.end], strict=True))

"""What lies among the uploads that is no picture, or a picture made to do harm: sound boards have their verdicts all the same."""

import io
import os
import signal
import socket
import struct
import subprocess
import sys
import time
import zlib
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from tests.boards import clean_board, defective_board
from tests.e2e.conftest import Hmi, Line

Maker = Callable[..., Line]
COMMAND = (sys.executable, "-c", "from linegate.edge.cli import main; raise SystemExit(main())", "edge", "--config")


def scan_bomb(scans: int = 3000, side: int = 2048) -> bytes:
    """A progressive JPEG whose last scan comes again and again: each of them costs a pass over all of the picture."""
    buffer = io.BytesIO()
    Image.effect_noise((side, side), 8).save(buffer, "JPEG", quality=20, progressive=True)
    data = buffer.getvalue()
    at = data.rindex(b"\xff\xda")
    return data[:-2] + data[at:-2][:200] * scans + b"\xff\xd9"


def directory_bomb(directories: int = 50_000) -> bytes:
    """A TIFF that claims as many pictures, each a directory without entries."""
    links = b"".join(struct.pack("<HI", 0, 8 + 6 * (number + 1)) for number in range(directories))
    return b"II*\0" + struct.pack("<I", 8) + links + struct.pack("<HI", 0, 0)


def flat_png(side: int = 9000) -> bytes:
    """RGBA, a few kilobytes on the disk, 324 MB decoded."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    rows = zlib.compressobj(9)
    content = b"".join(rows.compress(bytes(1 + 4 * side)) for _ in range(side)) + rows.flush()
    header = struct.pack(">IIBBBBB", side, side, 8, 6, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", content) + chunk(b"IEND", b"")


def strew(folder: Path, outside: Path) -> None:
    """A pipe, a socket, links, folders named like pictures, and pictures that cost whoever decodes them."""
    folder.mkdir(parents=True, exist_ok=True)
    os.mkfifo(folder / "pipe.jpg")
    # A path of a socket may hold 107 characters: bound from within.
    here = os.open(folder, os.O_RDONLY)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"/proc/self/fd/{here}/socket.jpg")
    os.close(here)
    (folder / "link.jpg").symlink_to(outside)
    (folder / "dangling.jpg").symlink_to(outside / "nowhere")
    (folder / "device.jpg").symlink_to("/dev/zero")
    (folder / "folder.jpg").mkdir()
    for number in range(3):
        (folder / f"scans-{number}.jpg").write_bytes(scan_bomb())
        (folder / f"directories-{number}.tif").write_bytes(directory_bomb())
        (folder / f"flat-{number}.png").write_bytes(flat_png())


def test_sound_boards_have_their_verdicts_in_time_and_a_stop_is_obeyed(
    make_line: Maker, hmi: Hmi, tmp_path: Path
) -> None:
    line = make_line(clean_board(), workers={"processes": 2}, sweep_s=1)
    secret = tmp_path / "secret.txt"
    secret.write_bytes(b"none of the gate's business")
    process = subprocess.Popen([*COMMAND, str(line.config)], stderr=subprocess.DEVNULL)
    try:
        strew(line.data / "uploads" / "smt-1" / "hostile", secret)
        started = time.monotonic()
        for number in range(8):
            good = number % 2
            name = line.upload(f"smt-1/aoi/{number}.png", clean_board(noise=3) if good else defective_board())
            assert hmi.wait_for(name, 60)["verdict"] == ("PASS" if good else "FAIL")
        assert time.monotonic() - started < 60, "within the deadline of one board"
        for number in range(3):
            for name in (f"scans-{number}.jpg", f"directories-{number}.tif", f"flat-{number}.png"):
                assert hmi.wait_for(f"uploads/smt-1/hostile/{name}", 60)["verdict"] != "PASS"
        assert not any("pipe" in data["image"]["name"] or "link" in data["image"]["name"] for data in hmi.data())
        asked = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0
        assert time.monotonic() - asked < 10
    finally:
        process.kill()
    assert secret.read_bytes() == b"none of the gate's business"
    assert not [
        path
        for path in line.data.rglob("*")
        if path.is_file() and not path.is_symlink() and b"none of" in path.read_bytes()
    ]

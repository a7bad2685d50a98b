"""A picture goes in, a verdict comes out, and the HMI hears of it: the runtime of one machine, whole."""

import json
import struct
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from structlog.testing import capture_logs

from linegate.edge.housekeeping import Housekeeper
from linegate.edge.runtime import Runtime
from linegate.errors import ConfigError
from linegate.texts import printable
from tests.boards import clean_board, defective_board, draw, encoded
from tests.e2e.line import Hmi, Line, files, running
from tests.waiting import until

Maker = Callable[..., Line]


def test_a_good_board_passes_a_bad_one_fails_and_each_has_its_picture(make_line: Maker, hmi: Hmi) -> None:
    line = make_line(clean_board())
    with running(line):
        good = hmi.wait_for(line.upload("smt-1/aoi/GOOD.png", clean_board(noise=3)))
        bad = hmi.wait_for(line.upload("smt-1/aoi/BAD.png", defective_board()))
    assert (good["verdict"], good["fail_count"], good["summary"]) == ("PASS", 0, "No defect was found on this product.")
    assert (bad["verdict"], bad["fail_count"], bad["serial"], bad["station"]) == ("FAIL", 1, "BAD", "aoi")
    (defect,) = bad["defects"]
    assert (defect["class"], defect["result"]) == ("open_circuit", "FAIL")
    assert abs(defect["box"]["x"] - 56) < 3
    assert "open circuit at the left edge" in bad["summary"]
    for data in (good, bad):
        with Image.open(line.data / data["annotated_image"]["name"]) as annotated:
            assert annotated.width >= 192


def test_decided_uploads_move_to_the_archive_and_nothing_is_left_over(make_line: Maker, hmi: Hmi) -> None:
    line = make_line(clean_board())
    with running(line) as runtime:
        content = clean_board(noise=3)
        hmi.wait_for(line.upload("smt-1/aoi/A.png", content))
        until(lambda: files(line.data / "uploads") == [] and runtime.dispatcher.idle)
    (archived,) = files(line.data / "archive" / "smt-1" / "aoi")
    assert archived.read_bytes() == content
    assert files(line.data / ".incoming") == []


def test_a_notification_says_where_the_picture_is_kept_whatever_it_is_called(make_line: Maker, hmi: Hmi) -> None:
    line = make_line(clean_board())
    names = ("A.png", "A", "A.", "a.b.c.png", "ü [x].png", "x" * 250 + ".png", "ü" * 120 + ".png", "x." + "y" * 250)
    with running(line):
        kept = [hmi.wait_for(line.upload(f"smt-1/aoi/{name}", clean_board()))["image"]["archived"] for name in names]
        until(lambda: files(line.data / "uploads") == [])
    assert all((line.data / name).is_file() for name in kept), kept


def test_a_camera_that_uses_a_name_twice_gets_two_verdicts(make_line: Maker, hmi: Hmi) -> None:
    line = make_line(clean_board())
    with running(line):
        name = line.upload("smt-1/aoi/A.png", clean_board(noise=3))
        first = hmi.wait_for(name)
        until(lambda: files(line.data / "uploads") == [])
        line.upload("smt-1/aoi/A.png", defective_board())
        until(lambda: len(hmi.data()) == 2 and files(line.data / "uploads") == [])
    second = hmi.data()[1]
    assert (first["verdict"], second["verdict"]) == ("PASS", "FAIL")
    assert int(second["image"]["generation"]) > int(first["image"]["generation"])
    assert len(files(line.data / "archive")) == 2


def test_only_complete_files_count(make_line: Maker, hmi: Hmi) -> None:
    line = make_line(clean_board(), settle_ms=300)
    content = clean_board(noise=3)
    folder = line.data / "uploads" / "smt-1" / "aoi"
    folder.mkdir(parents=True)
    with running(line) as runtime:
        (folder / "never.png.part").write_bytes(content)
        (folder / ".hidden.png").write_bytes(content)
        (folder / "link.png").symlink_to(line.config)
        with (folder / "slow.png").open("wb") as slow:
            for start in range(0, len(content), len(content) // 5 + 1):
                slow.write(content[start : start + len(content) // 5 + 1])
                slow.flush()
                time.sleep(0.1)
                assert hmi.data() == [], "taken up while the camera was still writing"
        closed = time.monotonic()
        data = hmi.wait_for("uploads/smt-1/aoi/slow.png")
        assert time.monotonic() - closed < 5
        until(lambda: runtime.dispatcher.idle)
    assert data["verdict"] == "PASS"
    assert len(hmi.data()) == 1


def test_what_was_uploaded_while_nobody_ran_is_taken_up_at_the_start(make_line: Maker, hmi: Hmi) -> None:
    line = make_line(clean_board())
    names = [line.upload(f"smt-1/aoi/{number}.png", clean_board(noise=3)) for number in range(3)]
    with running(line):
        verdicts = [hmi.wait_for(name)["verdict"] for name in names]
    assert verdicts == ["PASS"] * 3


def test_a_golden_picture_that_is_missing_is_said_at_the_start(make_line: Maker) -> None:
    line = make_line(clean_board())
    (line.folder / "golden.png").unlink()
    with capture_logs() as logged, running(line):
        pass
    (warning,) = (entry for entry in logged if entry["event"] == "golden.unreadable")
    assert warning["recipe"] == "pcb"
    assert "golden.png" in warning["reason"]


def test_a_golden_picture_that_comes_later_is_used_without_a_restart(make_line: Maker, hmi: Hmi) -> None:
    line = make_line(clean_board())
    golden = line.folder / "golden.png"
    content = golden.read_bytes()
    golden.unlink()
    with running(line) as runtime:
        name = line.upload("smt-1/aoi/A.png", clean_board(noise=3))
        until(
            lambda: runtime.bus.backlog().get("uploads") is not None and runtime.bus.backlog()["uploads"].retrying == 1
        )
        golden.write_bytes(content)
        assert hmi.wait_for(name)["verdict"] == "PASS"


def test_a_board_that_can_not_be_compared_goes_to_a_person(make_line: Maker, hmi: Hmi) -> None:
    line = make_line(clean_board())
    with running(line):
        other = Image.effect_noise((192, 192), 90).convert("RGB")
        data = hmi.wait_for(line.upload("smt-1/aoi/A.png", encoded(other)))
    assert data["verdict"] == "REVIEW"
    assert "golden picture" in data["summary"]


def test_an_hmi_that_was_away_hears_of_it_later(make_line: Maker, hmi: Hmi) -> None:
    line = make_line(clean_board())
    here = line.settings.targets["hmi"]
    away = here.model_copy(update={"url": "http://127.0.0.1:1/"})
    line.settings = line.settings.model_copy(update={"targets": {"hmi": away}})
    with running(line) as runtime:
        name = line.upload("smt-1/aoi/A.png", clean_board(noise=3))
        until(lambda: runtime.bus.backlog().get("notifications") is not None)
        until(lambda: runtime.bus.backlog()["notifications"].retrying == 1)
    line.settings = line.settings.model_copy(update={"targets": {"hmi": here}})
    with running(line):
        assert hmi.wait_for(name)["verdict"] == "PASS"


def test_what_a_crash_left_aside_while_archiving_is_settled_at_the_start(make_line: Maker, hmi: Hmi) -> None:
    line = make_line(clean_board())
    with running(line):
        hmi.wait_for(line.upload("smt-1/aoi/A.png", clean_board(noise=3)))
        until(lambda: files(line.data / "uploads") == [])
    (archived,) = files(line.data / "archive")
    aside = line.data / ".aside" / "smt-1" / "aoi"
    aside.mkdir(parents=True, exist_ok=True)
    (aside / "A.png").hardlink_to(archived)  # decided, and cut off before its first name was removed
    (aside / "B.png").write_bytes(defective_board())  # a camera's newer picture, moved aside by mistake
    with running(line):
        assert hmi.wait_for("uploads/smt-1/aoi/B.png")["verdict"] == "FAIL"
        until(lambda: files(line.data / "uploads") == [])
    assert len(hmi.data()) == 2, "what was decided is not inspected again"
    assert len(files(line.data / "archive")) == 2


def test_old_boards_are_removed_with_all_that_hangs_on_them_and_young_ones_stay(make_line: Maker, hmi: Hmi) -> None:
    line = make_line(clean_board())
    with running(line) as runtime:
        old = hmi.wait_for(line.upload("smt-1/aoi/OLD.png", defective_board()))["inspection_id"]
        bad = hmi.wait_for(line.upload("smt-1/aoi/BAD.png", b"no picture"))["inspection_id"]
        young = hmi.wait_for(line.upload("smt-1/aoi/YOUNG.png", clean_board(noise=3)))["inspection_id"]
        until(lambda: files(line.data / "uploads") == [] and runtime.dispatcher.idle)
        long_ago = "UPDATE inspections SET received_at = received_at - 31 * 86400 WHERE id IN (?, ?)"
        runtime.database.write(lambda connection: connection.execute(long_ago, (old, bad)))
        assert Housekeeper(runtime.database, line.settings).run() == 2
        left = {
            table: runtime.database.read(f"SELECT * FROM {table}")
            for table in ("objects", "checks", "revisions", "outbox")
        }
    assert len(left["objects"]) == 2, "the young upload and its annotated picture"
    assert not left["checks"]
    assert [row[0] for row in left["revisions"]] == [young]
    assert [row[1] for row in left["outbox"]] == [young]
    assert len(files(line.data / "archive")) == 1
    assert [path.parent.name for path in files(line.data / "results")] == [young]
    assert files(line.data / "quarantine") == []


def test_two_runtimes_do_not_share_a_folder(make_line: Maker) -> None:
    line = make_line(clean_board())
    with running(line), pytest.raises(ConfigError, match="another runtime"):
        Runtime(line.settings)


def bomb() -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 50_000, 50_000, 1, 0, 0, 0, 0)
    data = zlib.compress(b"\0" * 1_000_000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


BOARD = draw(noise=3)
GREY16 = Image.frombytes("I;16", BOARD.size, b"".join(struct.pack("<H", 257 * v) for v in BOARD.convert("L").tobytes()))
ROTATED = Image.Exif()
ROTATED[0x0112] = 6
GUARD = {
    "empty.png": (b"", "ERROR"),
    "truncated.jpg": (encoded(BOARD, "JPEG")[:3000], "ERROR"),
    "text.jpg": (b"no picture", "ERROR"),
    "animated.gif": (encoded(BOARD, "GIF"), "ERROR"),
    "pages.tiff": (encoded(BOARD, "TIFF", save_all=True, append_images=[BOARD]), "ERROR"),
    "bomb.png": (bomb(), "ERROR"),
    "large.bin": (b"\xff\xd8" + bytes(5_000_001), "ERROR"),
    "png-named.jpg": (encoded(BOARD), "PASS"),
    "no-extension": (encoded(BOARD), "PASS"),
    "rotated.jpg": (encoded(BOARD.transpose(Image.Transpose.ROTATE_90), "JPEG", quality=95, exif=ROTATED), "PASS"),
    "grey16.png": (encoded(GREY16), None),
    "grey.png": (encoded(BOARD.convert("L")), None),
    "cmyk.jpg": (encoded(BOARD.convert("CMYK"), "JPEG", quality=95), None),
    "alpha.png": (encoded(BOARD.convert("RGBA")), "PASS"),
    "palette.webp": (encoded(BOARD, "WEBP", lossless=True), "PASS"),
    "new\nline \x1b[31m.png": (encoded(BOARD), "PASS"),
    "😀" * 60 + ".png": (encoded(BOARD), "PASS"),
    "x" * 251 + ".png": (encoded(BOARD), "PASS"),
}


def test_every_file_gets_a_verdict_whatever_it_is(make_line: Maker, hmi: Hmi) -> None:
    """The image guard, end to end: all of it in one run, since a bad file must not hold up the next."""
    line = make_line(clean_board())
    with running(line) as runtime:
        for name, (content, _) in GUARD.items():
            line.upload(f"smt-1/aoi/{name}", content)
        line.upload("smt-9/aoi/unknown-line.png", encoded(BOARD))
        line.upload("stray.png", encoded(BOARD))
        raw = line.data / "uploads" / "smt-1" / "aoi"
        (Path(str(raw)) / "later.part").write_bytes(encoded(BOARD))
        (raw / "later.part").rename(
            Path(str(raw).encode().decode()) / b"\xff\xfe.png".decode("utf-8", "surrogateescape")
        )
        until(lambda: len(hmi.data()) == len(GUARD) + 3)
        until(lambda: runtime.dispatcher.idle)
        assert runtime.bus.dead_letters() == []
    told = {data["image"]["name"]: data for data in hmi.data()}
    assert len(told) == len(GUARD) + 3
    for name, (_, verdict) in GUARD.items():
        data = told[printable(f"uploads/smt-1/aoi/{name}", 1024)]  # no control character of a name reaches a receiver
        assert data["verdict"] in ({verdict} if verdict else {"PASS", "REVIEW", "FAIL"}), (name, data["summary"])
    assert told["uploads/smt-9/aoi/unknown-line.png"]["verdict"] == "ERROR"
    assert told["uploads/stray.png"]["verdict"] == "ERROR"
    for data in told.values():
        copy = line.data / "quarantine" / data["inspection_id"]
        too_large = "images.max_bytes" in data["summary"]  # it may be as large as the disk
        assert copy.exists() == (data["verdict"] == "ERROR" and not too_large), data
        if data["verdict"] == "ERROR":
            note = json.loads(copy.with_suffix(".json").read_text())
            assert data["reasons"][0] in note["reason"]

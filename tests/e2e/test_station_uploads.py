"""Pictures that cameras send over HTTP: whole or not at all, safe to repeat, and inspected like any other."""

import base64
import hashlib
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

import pytest
import yaml

from linegate.config import load
from linegate.edge.runtime import Runtime
from linegate.inspection import Verdict
from tests.asking import Answered, ask
from tests.boards import clean_board, defective_board
from tests.e2e.line import Hmi, Line, files, running
from tests.stations import station
from tests.waiting import until

CAMERA, OTHER = (f"{name}-{'x' * 24}" for name in ("camera", "other"))


@dataclass
class Camera:
    """A camera that reaches no shared folder."""

    line: Line
    runtime: Runtime
    url: str

    def address(self, serial: str, line: str = "smt-1", station: str = "aoi") -> str:
        return f"{self.url}/api/v1/uploads/{quote(line, safe='')}/{quote(station, safe='')}/{quote(serial, safe='')}"

    def send(
        self, serial: str, data: bytes, token: str = CAMERA, line: str = "smt-1", station: str = "aoi", **headers: str
    ) -> Answered:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return ask(self.address(serial, line, station), "PUT", data, token, named)

    @property
    def stored(self) -> list[str]:
        """What lies anywhere in the gate's folder but its database."""
        return [
            path.relative_to(self.line.data).as_posix()
            for path in files(self.line.data)
            if not path.name.startswith(("linegate.db", ".lock"))
        ]


@pytest.fixture
def camera(make_line: Callable[..., Line]) -> Iterator[Camera]:
    line = make_line(clean_board())
    content = yaml.safe_load(line.config.read_text())
    content["lines"]["smt-2"] = {"recipe": "pcb"}
    content["station"] = {
        "tokens": {
            "camera": {"token": CAMERA, "may": ["upload", "look"], "lines": ["smt-1"]},
            "other": {"token": OTHER, "may": ["upload"], "lines": ["smt-2"]},
        }
    }
    line.config.write_text(yaml.safe_dump(content))
    line = Line(line.folder, load(line.config))
    with running(line) as runtime, station(runtime.app) as url:
        yield Camera(line, runtime, url)


def test_a_picture_that_is_sent_gets_its_verdict_and_the_line_hears_it(camera: Camera, hmi: Hmi) -> None:
    answer = camera.send("A1", defective_board())
    assert (answer.status, answer.json["repeated"]) == (201, False)
    assert answer.json["object_name"] == "uploads/smt-1/aoi/A1.png"
    heard = hmi.wait_for("uploads/smt-1/aoi/A1.png")
    assert (heard["verdict"], heard["serial"]) == ("FAIL", "A1")
    assert (heard["inspection_id"], heard["image"]["generation"]) == (
        answer.json["inspection_id"],
        answer.json["generation"],
    )
    told = ask(f"{camera.url}{answer.headers['location']}", token=CAMERA)
    assert told.json["verdict"] == "FAIL"


def test_it_is_taken_up_at_once(camera: Camera, hmi: Hmi) -> None:
    camera.send("first", clean_board())  # makes the folders
    hmi.wait_for("uploads/smt-1/aoi/first.png")
    sent = time.monotonic()
    identity = camera.send("A1", clean_board()).json["inspection_id"]
    inspections = camera.runtime.app.context.inspections
    until(lambda: inspections.get(identity) is not None, 5)
    assert time.monotonic() - sent < 1


def test_after_a_lost_answer_the_same_picture_is_the_same_inspection(camera: Camera, hmi: Hmi) -> None:
    data = defective_board()
    first = camera.send("A1", data).json
    again = camera.send("A1", data)
    assert (again.status, again.json["repeated"]) == (200, True)
    hmi.wait_for("uploads/smt-1/aoi/A1.png")
    until(lambda: any(name.startswith("archive/") for name in camera.stored), 20)
    late = camera.send("A1", data)  # the picture has been decided and lies in the archive by now
    assert (late.status, late.json["repeated"]) == (200, True)
    assert {again.json["inspection_id"], late.json["inspection_id"]} == {first["inspection_id"]}
    assert again.json["generation"] == first["generation"]
    time.sleep(0.5)
    assert len([data for data in hmi.data() if data["serial"] == "A1"]) == 1


def test_another_picture_of_a_serial_is_another_inspection(camera: Camera, hmi: Hmi) -> None:
    first = camera.send("A1", clean_board()).json
    while (answer := camera.send("A1", defective_board())).status == 503:  # the first one is still to be taken up
        assert answer.json["type"] == "urn:linegate:problem:not-taken-up"
        time.sleep(0.1)
    second = answer.json
    assert int(second["generation"]) > int(first["generation"])
    assert second["inspection_id"] != first["inspection_id"]

    def heard() -> dict[str, str]:
        return {data["inspection_id"]: data["verdict"] for data in hmi.data()}

    until(lambda: len(heard()) == 2, 20)
    assert heard()[second["inspection_id"]] == "FAIL"
    assert heard()[first["inspection_id"]] in (Verdict.PASS, Verdict.ERROR), "inspected, or replaced before it was read"


def sends(camera: Camera, head: str, body: bytes) -> socket.socket:
    """An open connection that has sent this much of a request."""
    parts = urlsplit(camera.url)
    connection = socket.create_connection((parts.hostname, parts.port), timeout=20)
    address = camera.address("A1").removeprefix(camera.url)
    connection.sendall(
        f"PUT {address} HTTP/1.1\r\nHost: {parts.netloc}\r\nAuthorization: Bearer {CAMERA}\r\n{head}\r\n".encode()
        + body
    )
    return connection


@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_that_is_cut_off_leaves_nothing(camera: Camera, hmi: Hmi, chunked: bool) -> None:
    data = defective_board() * 40
    half = data[: len(data) // 2]
    head = "Transfer-Encoding: chunked\r\n" if chunked else f"Content-Length: {len(data)}\r\n"
    begun = f"{len(data):x}\r\n".encode() + half if chunked else half
    sends(camera, head, begun).close()
    time.sleep(1)
    assert camera.stored == []
    assert camera.send("A1", defective_board()).status == 201, "the same serial is free"
    assert hmi.wait_for("uploads/smt-1/aoi/A1.png")["verdict"] == "FAIL"


def test_what_is_too_large_is_refused_before_it_is_sent_and_while_it_is(camera: Camera) -> None:
    with sends(camera, "Content-Length: 5000001\r\nExpect: 100-continue\r\n", b"") as declared:
        assert declared.recv(100).startswith(b"HTTP/1.1 413"), "not a byte of it is taken"
    chunk = b"100000\r\n" + bytes(1 << 20) + b"\r\n"
    with sends(camera, "Transfer-Encoding: chunked\r\n", chunk * 5) as endless:
        assert endless.recv(100).startswith(b"HTTP/1.1 413")
    assert camera.stored == []


def test_what_arrives_otherwise_than_it_was_sent_is_refused(camera: Camera) -> None:
    data = clean_board()
    digest = base64.b64encode(hashlib.sha256(data).digest()).decode()
    refused = camera.send("A1", data[:-1], Content_Digest=f"sha-256=:{digest}:")
    assert (refused.status, refused.json["type"]) == (422, "urn:linegate:problem:digest-differs")
    assert camera.stored == []
    assert camera.send("A1", data, Content_Digest=f"sha-512=:AAAA:, sha-256=:{digest}:").status == 201


def test_only_the_first_picture_of_a_serial_where_the_camera_asks_for_that(camera: Camera) -> None:
    data = clean_board()
    assert camera.send("A1", data, If_None_Match="*").status == 201
    assert camera.send("A1", data, If_None_Match="*").status == 200, "the very same, after a lost answer"
    assert camera.send("A1", defective_board(), If_None_Match="*").status == 412


def test_what_is_no_picture_gets_its_verdict(camera: Camera, hmi: Hmi) -> None:
    answer = camera.send("A1", clean_board()[:1000])
    assert answer.status == 201
    assert hmi.wait_for("uploads/smt-1/aoi/A1.png")["verdict"] == "ERROR"
    camera.send("A2", b"no picture")
    assert hmi.wait_for("uploads/smt-1/aoi/A2.bin")["verdict"] == "ERROR"


@pytest.mark.parametrize(
    "serial", ["..", ".hidden", "a\\b", "../../x", "a/b", " a", "a\nb", "a\u202eb", "a\u200bb", "x" * 201, "ü" * 101]
)
def test_a_name_that_could_lead_elsewhere_or_deceive_is_refused(camera: Camera, serial: str) -> None:
    assert camera.send(serial, clean_board()).status in (400, 404)
    assert camera.send("A1", clean_board(), station=serial).status in (400, 404)
    assert camera.stored == []


@pytest.mark.parametrize(("serial", "name"), [("B.7", "B.7.png"), ("B 7.JPG", "B 7.JPG"), ("Ü-7", "Ü-7.png")])
def test_a_serial_keeps_what_belongs_to_it(camera: Camera, hmi: Hmi, serial: str, name: str) -> None:
    assert camera.send(serial, clean_board()).json["object_name"] == f"uploads/smt-1/aoi/{name}"
    assert hmi.wait_for(f"uploads/smt-1/aoi/{name}")["serial"] == serial.removesuffix(".JPG")


def test_a_token_uploads_to_its_own_lines_only(camera: Camera) -> None:
    data = clean_board()
    assert camera.send("A1", data, token="").status == 401
    assert camera.send("A1", data, token=OTHER).status == 403
    assert camera.send("A1", data, line="smt-2").status == 403
    assert camera.send("A1", data, token=OTHER, line="nowhere").status == 403
    assert camera.stored == []


def test_a_form_is_no_picture(camera: Camera) -> None:
    assert camera.send("A1", b"--x", Content_Type="multipart/form-data; boundary=x").status == 415
    assert camera.send("A1", b"x", Content_Encoding="gzip").status == 415
    assert camera.send("A1", b"x", Content_Range="bytes 0-0/9").status == 400
    assert camera.send("A1", b"").status == 400

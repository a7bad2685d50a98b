"""Pictures over HTTP: in parts, once, and never as anything but a picture."""

import io
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest
from PIL import Image

from linegate.bootstrap import App
from linegate.inspection import Inspection, Result
from linegate.ports import Found
from tests.asking import Answered, ask
from tests.fakes import detection
from tests.harness import Gate, picture
from tests.stations import station

GOLDEN = picture()


@dataclass
class Shown:
    """A gate with its station."""

    gate: Gate
    url: str

    def inspected(self, data: bytes | None = None, name: str = "uploads/smt-1/aoi/A1.png") -> str:
        """Of an upload that went through; its id."""
        event = self.gate.upload(name, data)
        self.gate.run()
        return event.image.inspection_id

    def get(self, identity: str, which: str, method: str = "GET", **headers: str) -> Answered:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return ask(f"{self.url}/pictures/{identity}/{which}", method, headers=named)

    def later(self, identity: str) -> Inspection:
        found = self.gate.inspections.get(identity)
        assert found is not None
        return found


@pytest.fixture
def shown() -> Iterator[Shown]:
    gate = Gate()
    gate.finds("short")
    gate.verifier.answers = {"short": Result.FAIL}
    with station(App(gate.settings, gate.context, lambda _: GOLDEN)) as url:
        yield Shown(gate, url)


def test_the_upload_comes_as_it_was_sent_and_stays_in_the_browser(shown: Shown) -> None:
    identity = shown.inspected()
    answer = shown.get(identity, "upload")
    assert (answer.status, answer.body, answer.headers["content-type"]) == (200, picture(), "image/png")
    assert "immutable" in answer.headers["cache-control"]
    assert "private" in answer.headers["cache-control"], "no proxy keeps what only some may see"
    again = shown.get(identity, "upload", If_None_Match=answer.headers["etag"])
    assert (again.status, again.body) == (304, b"")


def test_a_part_is_sent_alone(shown: Shown) -> None:
    identity, whole = shown.inspected(), picture()
    answer = shown.get(identity, "upload", Range="bytes=100-199")
    assert (answer.status, answer.body) == (206, whole[100:200])
    assert answer.headers["content-range"] == f"bytes 100-199/{len(whole)}"
    assert shown.get(identity, "upload", Range=f"bytes={len(whole)}-").status == 416
    head = shown.get(identity, "upload", "HEAD")
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", str(len(whole)))
    other = shown.get(identity, "upload", Range="bytes=0-9", If_Range='"another"')
    assert (other.status, other.body) == (200, whole)


@pytest.mark.parametrize("kind", ["BMP", "TIFF"])
def test_what_a_browser_can_not_show_is_made_anew(shown: Shown, kind: str) -> None:
    identity = shown.inspected(picture(image_format=kind), f"uploads/smt-1/aoi/A1.{kind.lower()}")
    answer = shown.get(identity, "upload")
    assert (answer.status, answer.headers["content-type"]) == (200, "image/jpeg")
    assert Image.open(io.BytesIO(answer.body)).size == Image.open(io.BytesIO(picture())).size
    assert shown.get(identity, "upload", If_None_Match=answer.headers["etag"]).status == 304


@pytest.mark.parametrize("data", [b"<html><script>alert(1)</script>", b"\x89PNG\r\n\x1a\n<script>alert(1)</script>"])
def test_what_is_no_picture_is_never_sent(shown: Shown, data: bytes) -> None:
    identity = shown.inspected(data)
    answer = shown.get(identity, "upload")
    assert answer.status == 415
    assert b"<script>" not in answer.body


def test_a_sound_picture_that_nobody_inspected_is_shown_all_the_same(shown: Shown) -> None:
    identity = shown.inspected(name="uploads/nowhere/aoi/A1.png")
    assert shown.later(identity).manifest is None
    assert shown.get(identity, "upload").headers["content-type"] == "image/jpeg", "made anew: nobody had opened it"


def test_nothing_that_is_sent_can_run(shown: Shown) -> None:
    identity = shown.inspected()
    for which in ("upload", "annotated", "golden"):
        headers = shown.get(identity, which).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["content-security-policy"] == "default-src 'none'; sandbox"


def test_each_revision_has_its_picture_and_it_is_kept_for_good_once_nothing_draws_it_anew(shown: Shown) -> None:
    identity = shown.inspected()
    fresh = shown.get(identity, "annotated?revision=1")
    assert (fresh.status, fresh.headers["content-type"]) == (200, "image/jpeg")
    assert fresh.headers["cache-control"] == "private, no-cache"
    shown.gate.clock.advance(3600)
    assert "immutable" in shown.get(identity, "annotated?revision=1").headers["cache-control"]
    assert "immutable" not in shown.get(identity, "annotated").headers["cache-control"], "the next one is another"
    missing = shown.get(identity, "annotated?revision=2")
    assert missing.status == 404
    assert b"There is no revision 2." in missing.body


def test_golden_picture_and_heatmaps_are_there(shown: Shown) -> None:
    shown.gate.images.write("results", "results/x/h.png", picture(), "image/png")
    hot = replace(detection("odd"), heatmap="results/x/h.png")
    shown.gate.detector.found = Found((hot,), "static")
    identity = shown.inspected()
    assert shown.get(identity, "golden").body == GOLDEN
    assert shown.get(identity, "heatmap/0").body == picture()
    assert shown.get(identity, "heatmap/1").status == 404
    assert shown.get(identity, "anything").status == 404


def test_what_is_not_kept_any_more_is_told(shown: Shown) -> None:
    identity = shown.inspected()
    shown.gate.images.objects.clear()
    answer = shown.get(identity, "upload")
    assert answer.status == 404
    assert b"not kept any more" in answer.body
    assert shown.get("0" * 32, "upload").status == 404

"""An inspector at the review page: how tests enter, press keys and scan; and products that were decided."""

import time
import urllib.error
import urllib.request
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlencode

from argon2 import PasswordHasher

from linegate import imaging
from linegate.adapters.golden.adapters import GoldenRegistrar
from linegate.bootstrap import App
from linegate.deciders import DETECT
from linegate.inspection import Check, Detection, Inspection, Laid, Manifest, ObjectRef, Place, Result, Revision
from linegate.verdict import decide
from tests.browser import Page

PIN: Final = "2718"
_QUICK: Final = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)
PEOPLE: Final = {
    "Ada": {"role": "review", "pin": _QUICK.hash(PIN)},
    "Bob": {"role": "review", "pin": _QUICK.hash(PIN)},
    "Cyd": {"role": "look", "pin": _QUICK.hash(PIN)},
}


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


def session(url: str, name: str) -> str:
    """The cookie `name=value` of somebody who has entered."""
    sent = urlencode({"name": name, "secret": PIN}).encode()
    try:
        urllib.request.build_opener(_Stay).open(f"{url}/enter", sent, timeout=10)
    except urllib.error.HTTPError as answer:
        with answer:
            assert answer.code == 303, answer.read()
            return str(answer.headers["Set-Cookie"]).partition(";")[0]
    raise AssertionError("nobody was let in")


def enter(page: Page, url: str, name: str) -> None:
    """The page's browser belongs to this person from now on."""
    key, _, value = session(url, name).partition("=")
    page.call("Network.setCookie", url=url, name=key, value=value, httpOnly=True)


def keys(page: Page, *pressed: str) -> None:
    """Keys as a person presses them, one after the other: a scanner is told by its speed."""
    for key in pressed:
        page.press(key)
        time.sleep(0.1)


def write(page: Page, text: str) -> None:
    """A text by hand: whoever ends it with Enter takes their time."""
    page.type(text)
    time.sleep(0.1)


def scan(page: Page, text: str) -> None:
    """Keys as a scanner sends them: together, faster than anybody types. They are real events, with times of their own."""
    for key in (*text, "Enter"):
        typed = "\r" if key == "Enter" else key
        page.call("Input.dispatchKeyEvent", type="keyDown", key=key, text=typed)
        page.call("Input.dispatchKeyEvent", type="keyUp", key=key)


def put(
    app: App, serial: str, picture: bytes, *found: tuple[Detection, Result], line: str = "smt-1", **kept: Any
) -> str:
    """A product that the gate has decided, with the golden picture laid over it; its id. `kept` are fields of the manifest."""
    context, name = app.context, f"uploads/{line}/aoi/{serial}.png"
    image = ObjectRef("uploads", name, context.images.write("uploads", name, picture, "image/png"))
    golden, now = app.settings.recipes["pcb"].golden or "", context.clock.now()
    upright = imaging.decode(picture)
    laid = GoldenRegistrar(app.golden_picture).register(upright, golden)
    assert laid.lies is not None
    one = Inspection(
        image.inspection_id, image, Place(line, "aoi", serial), "pcb", now, now, now + timedelta(minutes=1)
    )
    size = {"width": upright.width, "height": upright.height}
    manifest = Manifest.of(
        (detection for detection, _ in found), **size, laid=Laid(golden, laid.digest, laid.lies), **kept
    )
    checks = {index: Check(index, result, "So it is.", "eyes", "1") for index, (_, result) in enumerate(found)}
    revision = Revision(1, DETECT, now, decide(manifest, checks))
    context.inspections.open(one)
    context.inspections.store_manifest(one.inspection_id, manifest, 1.0)
    assert context.inspections.commit(replace(one, manifest=manifest, revision=revision), revision, [])
    return one.inspection_id

"""What an inspector is shown: cuts beside the same cuts of the golden picture, audits blind, texts as texts, for everybody."""

import http.client
import io
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest
from PIL import Image, ImageChops, ImageStat

from linegate import bootstrap
from linegate.bootstrap import App
from linegate.errors import TransientError
from linegate.inspection import Detection, Result
from linegate.ports import Message
from linegate.shapes import Box
from tests.boards import clean_board, defective_board, draw, encoded
from tests.browser import Browser
from tests.desk import PEOPLE, enter, keys, put, write
from tests.e2e.line import Line
from tests.stations import station

HOSTILE = "<img src=x onerror=alert(1)> \u202eevil\u2066 {{ 7*7 }}"
OPEN = Detection("open_circuit", 0.91, Box(56, 92, 12, 14))


@pytest.fixture
def app(make_line: Callable[..., Line]) -> App:
    line = make_line(clean_board(), station={"people": PEOPLE, "anybody": "look"})
    return bootstrap.local(line.settings)


@pytest.fixture
def url(app: App) -> Iterator[str]:
    with station(app) as url:
        yield url


def ask(url: str, path: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=20)
    connection.request("GET", path)
    with closing(connection), connection.getresponse() as answer:
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()


def apart(one: Image.Image, other: Image.Image) -> float:
    """The mean difference in grey levels."""
    return ImageStat.Stat(ImageChops.difference(one.convert("L"), other.convert("L"))).mean[0]


def test_the_golden_picture_lies_over_a_product_that_was_moved_and_reduced(app: App, url: str) -> None:
    """What is cut of it at a place is what a good product shows there."""
    moved = draw().transform(
        (160, 160), Image.Transform.AFFINE, (1.2, 0.02, -3, -0.02, 1.2, 4), Image.Resampling.BICUBIC
    )
    identity = put(app, "A1", encoded(moved), (Detection("spur", 0.9, Box(60, 70, 20, 20)), Result.FAIL))
    cuts = {}
    for path in ("findings/0/crop", "findings/0/golden", "whole/crop", "whole/golden"):
        status, headers, data = ask(url, f"/pictures/{identity}/{path}")
        assert (status, headers["content-type"]) == (200, "image/jpeg")
        assert "immutable" in headers["cache-control"]
        cuts[path] = Image.open(io.BytesIO(data))
    assert cuts["findings/0/crop"].size == cuts["findings/0/golden"].size == (100, 100)
    assert cuts["whole/crop"].size == (160, 160)
    assert apart(cuts["findings/0/crop"], cuts["findings/0/golden"]) < 3
    assert apart(cuts["findings/0/crop"], cuts["whole/crop"].crop((10, 20, 110, 120))) < 3
    inside = (20, 20, 140, 140)
    assert apart(cuts["whole/crop"].crop(inside), cuts["whole/golden"].crop(inside)) < 3
    assert apart(cuts["whole/crop"].crop(inside), draw().crop((24, 24, 168, 168)).resize((120, 120))) > 6, (
        "it tells shifts"
    )
    for path in ("findings/9/crop", "findings/0/other", "whole/other", "findings/x/crop"):
        assert ask(url, f"/pictures/{identity}/{path}")[0] == 404
    assert ask(url, f"/pictures/{'0' * 32}/whole/crop")[0] == 404


def test_a_golden_picture_that_was_replaced_is_told_and_no_other_is_shown(app: App, url: str, browser: Browser) -> None:
    identity = put(app, "A1", defective_board(), (OPEN, Result.FAIL))
    (app.settings.folder / "golden.png").write_bytes(encoded(draw(defective=True)))
    assert ask(url, f"/pictures/{identity}/findings/0/golden")[0] == 404
    with browser.page() as page:
        page.open(f"{url}/review/{identity}")
        page.wait_for("#good .missing", "The golden picture was replaced after this product was inspected")


def test_an_audit_lies_among_the_others_and_is_looked_at_blind(app: App, url: str, browser: Browser) -> None:
    put(app, "A1", defective_board(), (OPEN, Result.FAIL))
    audit = put(app, "A2", defective_board(), (replace(OPEN, class_name="zapped"), Result.PASS), audit=True)
    put(app, "A3", clean_board(), (OPEN, Result.UNSURE))
    with browser.page() as page:
        enter(page, url, "Ada")
        page.open(url + "/review")
        entries = page.evaluate("[...document.querySelectorAll('.queue ol a')].map(a => a.outerHTML)")
        plain = [entry.replace(f"A{number}", "") for number, entry in enumerate(entries, start=1)]
        assert len(plain) == 3
        assert not [entry for entry in plain if "PASS" in entry or "FAIL" in entry or "udit" in entry]
        page.open(f"{url}/review/{audit}")
        page.until("document.querySelector('#here image.crop.ready') !== null")
        source = page.evaluate("document.documentElement.outerHTML.replace(/<template.*?<[/]template>/gs, '')")
        assert [told for told in ("PASS", "zapped", "So it is") if told in source] == []
        page.wait_for(".notices", "fresh eyes")
        page.wait_for("#lacking", "Somebody must look at the whole product")


def test_a_class_full_of_markup_and_bidi_stays_text(app: App, url: str, browser: Browser) -> None:
    hostile = replace(OPEN, class_name=HOSTILE, note=HOSTILE)
    put(app, "A1", defective_board(), (hostile, Result.FAIL), doubts=(HOSTILE,))
    with browser.page() as page:
        enter(page, url, "Ada")
        page.open(url + "/review")
        page.wait_for("#name", "1. <img src=x onerror=alert(1)> ?evil? {{ 7*7 }}")
        page.wait_for(".doubts", "<img src=x onerror=alert(1)> ?evil? {{ 7*7 }}")
        page.until("document.querySelector('#here image.crop.ready') !== null")
        keys(page, "1", "c")
        write(page, "<b>x</b>")
        keys(page, "Escape", "d")
        page.wait_for("#said", "<b>x</b>")
        keys(page, "Escape", "m", "ArrowUp", "Enter")
        page.wait_for("#classes", "<img src=x")
        assert page.evaluate("document.querySelectorAll('main img, main b b').length") == 0
        assert "\u202e" not in page.evaluate("document.documentElement.outerHTML")


class Flaky:
    """A publisher that can't be reached for the first few times."""

    def __init__(self, times: int) -> None:
        self.left = times
        self.taken: list[Message] = []

    def publish(self, topic: str, messages: Any) -> None:
        if self.left:
            self.left -= 1
            raise TransientError("the database is locked")
        self.taken += messages


def test_a_decision_that_the_station_can_not_take_is_kept_over_a_restart_of_the_browser(
    app: App, browser: Browser
) -> None:
    identity = put(app, "A1", defective_board(), (OPEN, Result.FAIL))
    flaky = Flaky(times=1000)
    down = App(app.settings, replace(app.context, publisher=flaky), app.golden_picture)
    with station(down) as url, browser.page() as page:
        page.forgive("503")
        enter(page, url, "Ada")
        page.open(f"{url}/review/{identity}")
        page.until("document.querySelector('#here image.crop.ready') !== null")
        keys(page, "2", "d", "Enter")
        page.wait_for("#kept", "the station answered 503. What you decided is kept here")
        page.open("about:blank")
        flaky.left = 0
        page.open(f"{url}/review/{identity}")  # it is sent without anybody's doing
        page.until("document.querySelector('#findings .false_call') !== null")
        for _ in range(100):
            if flaky.taken:
                break
            page.evaluate("new Promise(done => setTimeout(done, 50))")
    (message, *_) = flaky.taken
    assert b'"false_call"' in message.data


CONTRAST = """(() => {
  const parse = (text) => (text.match(/[\\d.]+/g) ?? []).map(Number);
  const over = ([r, g, b, a = 1], [x, y, z]) => [r * a + x * (1 - a), g * a + y * (1 - a), b * a + z * (1 - a)];
  const ground = (e) => {
    if (!e) return [255, 255, 255];
    const colour = parse(getComputedStyle(e).backgroundColor);
    return colour[3] === 0 ? ground(e.parentElement) : over(colour, ground(e.parentElement));
  };
  const light = (c) => c.map((v) => v / 255).map((v) => (v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4))
    .reduce((sum, v, at) => sum + v * [.2126, .7152, .0722][at], 0);
  const poor = [];
  for (const e of document.querySelectorAll("body *")) {
    const own = [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    const off = e.closest(":disabled, svg, figure, script, template, noscript, .skip, .unseen");
    if (!own || off || !e.checkVisibility()) continue;
    const [a, b] = [ground(e), over(parse(getComputedStyle(e).color), ground(e))].map(light).sort((p, q) => q - p);
    if ((a + .05) / (b + .05) < 4.5) poor.push(`${e.outerHTML.slice(0, 90)} ${((a + .05) / (b + .05)).toFixed(2)}`);
  }
  return poor;
})()"""

NAMELESS = """
[...document.querySelectorAll("button, a[href], input:not([type=hidden]), textarea, select, svg[role=img], dialog")]
  .filter((e) => !(e.ariaLabel || e.textContent.trim() || e.labels?.length || e.getAttribute("aria-labelledby")))
  .map((e) => e.outerHTML.slice(0, 120))"""

SMALL = """
[...document.querySelectorAll("main button, main .queue a, main label.looked")].filter((e) => e.checkVisibility())
  .filter((e) => { const r = e.getBoundingClientRect(); return r.height < 47.5 || r.width < 47.5 })
  .map((e) => e.outerHTML.slice(0, 120))"""

TWICE = """(ids => ids.filter((id, at) => ids.indexOf(id) !== at))([...document.querySelectorAll("[id]")].map((e) => e.id))"""


@pytest.mark.parametrize(("width", "height"), [(1920, 1080), (390, 844)])
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_everybody_can_use_it(app: App, url: str, browser: Browser, width: int, height: int, theme: str) -> None:
    """WCAG 2.2 as far as it can be computed: names, contrast (AA), landmarks, headings, sizes for gloves, focus in order."""
    both = ((OPEN, Result.FAIL), (replace(OPEN, class_name="spur", box=Box(100, 40, 9, 9)), Result.UNSURE))
    put(app, "A1", defective_board(), *both, (OPEN, Result.PASS), doubts=("It is dark.",))
    put(app, "A2", defective_board(), *both, line="smt-1")
    with browser.page(width, height, theme, mobile=width < 700) as page:
        enter(page, url, "Ada")
        page.open(url + "/review")
        page.until("document.querySelector('#here image.crop.ready') !== null")
        keys(page, "1")
        for _ in ("the page", "a dialog"):
            assert page.evaluate(CONTRAST) == []
            assert page.evaluate(NAMELESS) == []
            assert page.evaluate(SMALL) == []
            keys(page, "d")
            page.wait_for("#summary", "FAIL")
        keys(page, "Escape")
        one = "document.querySelectorAll('{}').length"
        assert [
            page.evaluate(one.format(landmark)) for landmark in ("main", "h1", "main nav", "aside", "header.top")
        ] == [1] * 5
        assert page.evaluate(TWICE) == []
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        page.evaluate("document.getElementById('serial').focus()")
        order = []
        for _ in range(40):
            page.press("Tab")
            order.append(page.evaluate("document.activeElement.closest('.queue, .work, .sheet')?.classList[0] ?? ''"))
        visited = [part for part, before in zip(order, ["", *order], strict=False) if part and part != before]
        assert visited[:3] == ["queue", "work", "sheet"]

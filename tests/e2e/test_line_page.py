"""The page of a line in a real browser: live, honest when it is not, and of use from the keyboard alone."""

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import yaml

from linegate import __version__, bootstrap
from linegate.bootstrap import App
from linegate.config import load
from linegate.inspection import Result
from linegate.stored import dump_json
from tests.boards import clean_board, defective_board
from tests.browser import Browser, Page
from tests.e2e.line import Hmi, Line, running
from tests.products import put
from tests.stations import cable, station

LIVE = '[data-state="live"]'
FAIL = (("open", Result.FAIL), ("spur", Result.PASS))
HOSTILE = "<img src=x onerror=alert(1)>\u202e{{7*7}}"


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    """A gate that stands still: what its pages show is put into its store."""
    (tmp_path / "golden.png").write_bytes(clean_board())
    content = {
        "edge": {"data": "data"},
        "recipes": {"pcb": {"golden": "golden.png"}},
        "lines": {"smt-1": {"recipe": "pcb"}, "smt-2": {"recipe": "pcb", "silence_after": "1m"}},
    }
    (tmp_path / "linegate.yaml").write_text(yaml.safe_dump(content))
    app = bootstrap.local(load(tmp_path / "linegate.yaml"))
    yield app
    app.context.inspections._database.close()  # type: ignore[attr-defined]


def shows(page: Page, word: str, serial: str, seconds: float = 10) -> None:
    page.wait_for(".told .word", word, seconds)
    page.wait_for(".told .serial", serial, seconds)


def coloured(page: Page, selector: str = ".told") -> bool:
    """Whether its ground is that of a verdict, and not of what is not known."""
    red, green, blue = page.evaluate(
        f"getComputedStyle(document.querySelector('{selector}')).backgroundColor.match(/\\d+/g).slice(0, 3).map(Number)"
    )
    return bool(max(red, green, blue) - min(red, green, blue) > 60)


def test_a_verdict_stands_on_the_page_within_a_second_of_the_decision(
    make_line: Callable[..., Line], hmi: Hmi, browser: Browser
) -> None:
    line = make_line(clean_board())
    with running(line) as runtime, station(runtime.app) as url, browser.page(1920, 1080) as page:
        page.open(f"{url}/lines/smt-1")
        page.wait_for(LIVE, "NOTHING YET")
        # The page itself notes when the word stands there: asking it takes time
        page.evaluate(
            "new MutationObserver(() => { const now = document.querySelector('.now').dataset;"
            " if (now.verdict) (window.stood ??= {})[now.serial] ??= Date.now() })"
            ".observe(document.body, {subtree: true, childList: true})"
        )
        took = {}
        for serial, content, verdict in (
            ("A1", defective_board(), "FAIL"),
            ("A2", clean_board(noise=4), "PASS"),
            ("A3", b"no picture", "ERROR"),
        ):
            identity = hmi.wait_for(line.upload(f"smt-1/aoi/{serial}.png", content))["inspection_id"]
            shows(page, verdict, serial)
            assert coloured(page)
            inspection = runtime.app.context.inspections.get(identity)
            assert inspection is not None
            assert inspection.revision is not None
            took[serial] = page.evaluate(f"stood.{serial}") / 1000 - inspection.revision.decided_at.timestamp()
        assert all(seconds < 1 for seconds in took.values()), took
        page.press("ArrowRight", "ArrowRight")
        shows(page, "FAIL", "A1")
        page.until("!picture.hidden && picture.complete && picture.naturalWidth > 0")
        assert page.evaluate("picture.src").endswith("/annotated?revision=1")


def test_a_cable_that_is_pulled_is_told_within_five_seconds_and_no_verdict_keeps_its_colour(
    app: App, browser: Browser
) -> None:
    put(app, "smt-1", "A1", picture=clean_board())
    with station(app) as url, cable(url) as laid, browser.page() as page:
        page.open(f"{laid.url}/lines/smt-1")
        shows(page, "PASS", "A1")
        page.wait_for(LIVE)
        assert coloured(page)
        laid.pull()
        began = time.monotonic()
        page.wait_for("#alarm", "LOST TOUCH", 6)
        assert time.monotonic() - began < 5
        assert not coloured(page)
        assert not coloured(page, ".chip")
        put(app, "smt-1", "A2", FAIL)
        laid.plug()
        shows(page, "FAIL", "A2")  # nothing was missed
        page.wait_gone("#alarm")
        assert coloured(page)


def test_a_station_that_ends_and_comes_again_is_told(app: App, browser: Browser) -> None:
    put(app, "smt-1", "A1")
    with browser.page() as page:
        with station(app) as url:
            port = int(url.rpartition(":")[2])
            page.open(f"{url}/lines/smt-1")
            page.wait_for(LIVE)
        page.wait_for("#alarm", "LOST TOUCH", 6)
        with station(app, port):
            page.wait_for(LIVE, "A1")
        page.forgive("ERR_CONNECTION_REFUSED", "ERR_INCOMPLETE_CHUNKED_ENCODING")


def test_a_line_that_falls_silent_says_so(app: App, browser: Browser) -> None:
    now = app.context.clock.now()
    for number in range(6):
        put(app, "smt-2", f"A{number}", at=now - timedelta(seconds=57 + 10 * (5 - number)))
    with station(app) as url, browser.page() as page:
        page.open(f"{url}/lines/smt-2")
        page.wait_for(LIVE)
        assert coloured(page)
        page.wait_for("#alarm", "Nothing has come for 1 min")
        assert not coloured(page)
        page.open(url)
        page.wait_for(".lane.silent", "smt-2")
        assert not coloured(page, ".lane.silent")
        put(app, "smt-2", "A6", FAIL)
        page.wait_for(".lane.fail", "A6")
        page.wait_gone(".lane.silent")


def test_what_comes_from_outside_stays_text(app: App, browser: Browser) -> None:
    put(app, "smt-1", HOSTILE.replace("/", ""), ((HOSTILE, Result.FAIL),))
    with station(app) as url, browser.page() as page:
        for address, where in (("/lines/smt-1", ".findings"), ("/lines/smt-1", ".told .serial"), ("/", ".lane")):
            page.open(url + address)
            page.wait_for(LIVE)
            page.wait_for(where, "<img src=x onerror=alert(1)>?{{7*7}}")
        assert page.evaluate("document.querySelector('img[src=x]')") is None


def test_a_person_looks_at_an_earlier_product_by_keys_and_the_line_comes_back(app: App, browser: Browser) -> None:
    put(app, "smt-1", "A1", FAIL, picture=defective_board())
    put(app, "smt-1", "A2", picture=clean_board())
    with station(app) as url, browser.page() as page:
        page.open(f"{url}/lines/smt-1")
        page.wait_for(LIVE)
        shows(page, "PASS", "A2")
        page.press("ArrowRight")
        shows(page, "FAIL", "A1")
        page.wait_for("#held", "You look at A1, not at the last product.")
        page.until("!picture.hidden")
        page.press("+", "+")
        assert page.evaluate("zoomed = picture.style.transform").startswith("translate")
        page.press("ArrowDown")
        assert page.evaluate("picture.style.transform !== zoomed")
        put(app, "smt-1", "A3", (("short", Result.UNSURE),))
        page.wait_for(".chip.review", "A3")
        shows(page, "FAIL", "A1")  # the line goes on, and does not take it away
        page.press("Escape")
        shows(page, "REVIEW", "A3")
        page.wait_gone("#held")
        page.click(".chip[data-id]:nth-child(1)")
        shows(page, "REVIEW", "A3")


def test_who_looks_closely_keeps_the_product_and_gets_back_by_a_button(app: App, browser: Browser) -> None:
    put(app, "smt-1", "A1", FAIL, picture=defective_board())
    with station(app) as url, browser.page() as page:
        page.open(f"{url}/lines/smt-1")
        page.wait_for(LIVE)
        page.until("!picture.hidden")
        x, y = page.middle("#view")
        page.mouse("mouseWheel", x, y, deltaX=0, deltaY=-300)
        page.wait_for("#held", "A1")
        put(app, "smt-1", "A2")
        page.wait_for(".chip", "A2")
        shows(page, "FAIL", "A1")
        page.click("#back")
        shows(page, "PASS", "A2")
        assert page.evaluate("picture.style.transform") == ""


def test_two_fingers_zoom(app: App, browser: Browser) -> None:
    put(app, "smt-1", "A1", picture=clean_board())
    with station(app) as url, browser.page(390, 844, mobile=True) as page:
        page.open(f"{url}/lines/smt-1")
        page.wait_for(LIVE)
        page.until("!picture.hidden")
        x, y = page.middle("#view")
        page.touch("touchStart", (x - 20, y), (x + 20, y))
        page.touch("touchMove", (x - 60, y), (x + 60, y))
        page.touch("touchEnd")
        page.until("picture.style.transform.includes('scale(')")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_fail_sounds_for_who_asked_for_it(app: App, browser: Browser) -> None:
    put(app, "smt-1", "A1")
    with station(app) as url, browser.page() as page:
        page.open(f"{url}/lines/smt-1")
        page.wait_for(LIVE)
        put(app, "smt-1", "A2", FAIL)
        shows(page, "FAIL", "A2")
        assert page.evaluate("sound.dataset.played ?? 0") == 0
        page.press("s")
        page.wait_for('#sound[data-sound="on"]', "Sound is on")
        put(app, "smt-1", "A3")
        shows(page, "PASS", "A3")
        assert page.evaluate("sound.dataset.played ?? 0") == 0
        put(app, "smt-1", "A4", FAIL)
        page.until("sound.dataset.played == 1")
        page.open(f"{url}/lines/smt-1")
        page.wait_for('#sound[aria-pressed="true"]')  # kept


def test_a_page_stays_small_however_long_it_is_open(app: App, browser: Browser) -> None:
    with station(app) as url, browser.page() as page:
        page.open(f"{url}/lines/smt-1")
        page.wait_for(LIVE)
        counted = []
        for number in range(60):
            put(app, "smt-1", f"B{number}", FAIL)
            if number in (29, 59):
                page.wait_for(".told .serial", f"B{number}")
                page.call("HeapProfiler.collectGarbage")
                counted.append(page.evaluate("document.querySelectorAll('*').length"))
        assert counted[0] == counted[1]


def test_a_page_loads_itself_anew_when_another_release_serves(app: App, browser: Browser) -> None:
    put(app, "smt-1", "A1")
    with station(app) as url, cable(url) as laid, browser.page() as page:
        page.open(f"{laid.url}/lines/smt-1")
        page.wait_for(LIVE, "A1")
        other = "9" * len(__version__)
        laid.swapped[f'"version":"{__version__}"'.encode()] = f'"version":"{other}"'.encode()
        page.evaluate("window.old = true")
        put(app, "smt-1", "A2")
        page.until("!window.old && document.readyState === 'complete'")
        page.evaluate("window.anew = true")
        shows(page, "PASS", "A2")
        put(app, "smt-1", "A3")
        shows(page, "PASS", "A3")
        assert page.evaluate("window.anew"), "it does so once"


def test_a_line_that_is_not_there_is_told(app: App, browser: Browser) -> None:
    with station(app) as url, browser.page() as page:
        page.open(f"{url}/lines/smt-9")
        page.wait_for("h1", "There is no such line.")
        page.forgive("404")


def test_a_store_that_can_not_be_asked_is_no_verdict(app: App, browser: Browser) -> None:
    inspection = put(app, "smt-1", "A1")
    with station(app) as url, browser.page() as page:
        page.open(f"{url}/lines/smt-1")
        page.wait_for(LIVE, "A1")
        database = app.context.inspections._database  # type: ignore[attr-defined]
        database.write(
            lambda connection: connection.execute(
                "UPDATE inspections SET document = '{' WHERE id = ?", (inspection.inspection_id,)
            )
        )
        page.wait_for(".strip .note", "1 of the last products can't be read")
        database.write(
            lambda connection: connection.execute(
                "UPDATE inspections SET document = ? WHERE id = ?", (dump_json(inspection), inspection.inspection_id)
            )
        )
        page.wait_gone(".strip .note")

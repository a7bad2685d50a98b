"""The page of one product and the list of products: everything is told, to whoever has the link, and nothing of it can run."""

import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from html import unescape
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from linegate import bootstrap
from linegate.answers import Refusal, Review
from linegate.bootstrap import App
from linegate.commands.main import main
from linegate.config import load
from linegate.inspection import Result
from tests import desk
from tests.boards import clean_board, defective_board
from tests.browser import Browser
from tests.e2e.line import Hmi, Line, running
from tests.fakes import detection
from tests.products import put
from tests.stations import ask, station

HOSTILE = "<img src=x onerror=alert(1)>\u202e{{7*7}}"
HARMLESS = "<img src=x onerror=alert(1)>?{{7*7}}"


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    """A gate that stands still: what its pages show is put into its store."""
    (tmp_path / "golden.png").write_bytes(clean_board())
    content = {
        "edge": {"data": "data"},
        "recipes": {"pcb": {"golden": "golden.png"}},
        "lines": {"smt-1": {"recipe": "pcb"}, "smt-2": {"recipe": "pcb"}},
        "station": {"people": desk.PEOPLE, "anybody": "look", "shifts": {"early": "06:00", "late": "14:00"}},
    }
    (tmp_path / "linegate.yaml").write_text(yaml.safe_dump(content))
    app = bootstrap.local(load(tmp_path / "linegate.yaml"))
    yield app
    app.context.inspections._database.close()  # type: ignore[attr-defined]


def text(url: str) -> str:
    """What a page holds, without its tags."""
    status, page = ask(url)
    assert status == 200, page
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page.decode())).split())


def test_the_link_of_a_notification_tells_all_about_the_product(
    make_line: Callable[..., Line], hmi: Hmi, browser: Browser
) -> None:
    line = make_line(
        clean_board(), station={"people": desk.PEOPLE, "anybody": "look", "address": "http://gate.example"}
    )
    with running(line) as runtime, station(runtime.app) as url, browser.page() as page:
        told = hmi.wait_for(line.upload("smt-1/aoi/A1.png", defective_board()))
        link = urlsplit(told["page"])
        assert link.netloc == "gate.example"
        desk.enter(page, url, "Ada")
        page.open(url + link.path)
        page.wait_for(".about .word", "FAIL")
        page.wait_for("h1", "A1")
        page.wait_for(".findings", told["defects"][0]["class"].replace("_", " "))
        page.wait_for(".findings", "golden-comparison")
        page.wait_for(".events", "FAIL is revision 1, by the gate")
        page.until("[...document.querySelectorAll('.pair img')].every(e => e.complete && e.naturalWidth > 0)")
        page.press("g")
        page.until("document.querySelector('.swapped #golden').getAttribute('href').includes('/whole/golden?')")
        page.press("g", "h")
        assert page.evaluate("getComputedStyle(document.querySelector('#marks')).visibility") == "hidden"
        page.click(".spot")
        page.until("picture.style.transform.includes('scale(')")
        assert page.evaluate("getComputedStyle(document.querySelector('#marks')).visibility") == "visible"
        mark = "document.querySelector('.mark rect').getBoundingClientRect()"
        view = "document.querySelector('#view').getBoundingClientRect()"
        assert page.evaluate(f"{mark}.left > {view}.left && {mark}.right < {view}.right && {mark}.width > 20")
        page.press("0")
        assert page.evaluate("picture.style.transform") == ""
        page.click(".acts .main")
        page.wait_for("#title", "A1")
        said = ["--false-call", "all", "--comment", "dust, wiped off", "--as", "Ada", "--config", str(line.config)]
        assert main(["answer", "A1", *said]) == 0
        page.click('a[href^="/boards/"]')
        page.wait_for(".about .word", "PASS")
        page.wait_for(".revisions", "dust, wiped off")
        page.wait_for(".findings", "false call")
        page.wait_for(".findings", "the gate said: defect")
        page.wait_for("#told-title + .wide", "hmi")
        page.open(f"{url}/lines/smt-1")
        page.click(".told .serial a")
        page.wait_for(".revisions", "revision 2")


def test_who_asks_while_it_is_in_work_is_told_the_verdict_as_soon_as_there_is_one(app: App, browser: Browser) -> None:
    young = put(app, "smt-1", "A1", decided=False)
    with station(app) as url, browser.page(390, 844, mobile=True) as page:
        page.open(f"{url}/boards/{young.inspection_id}")
        page.wait_for(".about .word", "IN WORK")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        put(app, "smt-1", "A1", decided=True)
        page.until("document.querySelector('#others-title') !== null")


def test_what_was_not_inspected_says_why_and_shows_no_picture(app: App, browser: Browser) -> None:
    broken = put(app, "smt-1", "A1", picture=b"nothing", error="the file is no picture")
    with station(app) as url, browser.page() as page:
        page.forgive("415")
        page.open(f"{url}/boards/{broken.inspection_id}")
        page.wait_for(".about .word", "ERROR")
        page.wait_for(".reasons", "the file is no picture")
        page.wait_for("#caption", "can't be shown")


def test_a_picture_that_is_not_kept_any_more_is_told(app: App, browser: Browser) -> None:
    known = put(app, "smt-1", "A1", (("short", Result.FAIL),))
    (app.settings.data / known.image.name).unlink()
    with station(app) as url, browser.page() as page:
        page.forgive("404")
        page.open(f"{url}/boards/{known.inspection_id}")
        page.wait_for("#caption", "not kept any more")
        page.wait_for(".findings", "short")


def test_what_comes_from_outside_stays_text(app: App, browser: Browser) -> None:
    serial = HOSTILE.replace("/", "")
    known = put(app, "smt-1", serial, ((HOSTILE, Result.UNSURE),))
    review = Review(known.inspection_id, "Ada", "cli", 1, app.context.clock.now(), comment=HOSTILE)
    app.context.inspections.refuse(Refusal(review, HOSTILE, review.at, 1))
    with station(app) as url, browser.page() as page:
        for address, where in (
            (f"/boards/{known.inspection_id}", "h1"),
            (f"/boards/{known.inspection_id}", ".findings"),
            (f"/boards/{known.inspection_id}", ".revisions"),
            ("/boards", ".products"),
        ):
            page.open(url + address)
            page.wait_for(where, HARMLESS)
        assert page.evaluate("document.querySelector('img[src=x]')") is None


def test_that_a_product_waits_for_an_audit_is_not_told(app: App) -> None:
    audited = desk.put(app, "A1", clean_board(), audit=True)
    failed = desk.put(app, "A2", defective_board(), (detection("short"), Result.FAIL))
    with station(app) as url:
        assert "It waits for a person" in text(f"{url}/boards/{failed}")
        assert "It waits for a person" not in text(f"{url}/boards/{audited}")
        assert "audit" not in text(f"{url}/boards/{audited}").lower()
        assert "all about it" in text(f"{url}/review/{failed}")
        assert "all about it" not in text(f"{url}/review/{audited}")


def test_products_are_found_and_paged(app: App) -> None:
    now = app.context.clock.now()
    for number in range(120):
        found = (("spur" if number % 2 else "short", Result.FAIL),) if number % 10 == 0 else ()
        put(app, "smt-1", f"A{number:03}", found, at=now - timedelta(minutes=number))
    last = put(app, "smt-2", "B", (("open circuit", Result.FAIL),), at=now - timedelta(days=40))

    def listed(address: str) -> list[str]:
        return re.findall(r'class="serial">([^<]*)</b>', ask(f"{url}{address}")[1].decode())

    with station(app) as url:
        serials, address = [], "/boards?line=smt-1"
        while address:
            serials += listed(address)
            onward = re.search(r'href="([^"]*)" rel="next"', ask(f"{url}{address}")[1].decode())
            address = unescape(onward[1]) if onward else ""
        assert serials == [f"A{number:03}" for number in range(120)]
        assert listed("/boards?verdict=FAIL&line=smt-1") == [f"A{number:03}" for number in range(0, 120, 10)]
        assert listed("/boards?class=open+circuit") == ["B"]
        assert listed("/boards?serial=A007") == ["A007"]
        assert listed(f"/boards?serial={last.inspection_id[:12]}") == ["B"]
        day = now - timedelta(days=40, hours=6)  # a day of the plant begins with its first shift
        assert listed(f"/boards?from={day:%Y-%m-%d}&to={day:%Y-%m-%d}") == ["B"]
        assert listed("/boards?disposition=repaired") == []
        assert "No such product" in text(f"{url}/boards?serial=Z")


@pytest.mark.parametrize(
    "query",
    ["verdict=GOOD", "disposition=odd", "from=x", "from=2026-03-02&to=2026-03-01", "cursor=abc", "to=0001-01-01"],
)
def test_what_can_not_be_looked_for_is_refused(app: App, query: str) -> None:
    with station(app) as url:
        assert ask(f"{url}/boards?{query}")[0] == 400


def test_a_figure_leads_to_the_products_that_it_counts(app: App) -> None:
    put(app, "smt-1", "A1", (("open_circuit", Result.FAIL),))
    put(app, "smt-2", "A2")
    with station(app) as url:
        numbers = ask(f"{url}/numbers")[1].decode()
        addresses = [unescape(each) for each in re.findall(r'href="(/boards\?[^"]*)"', numbers)]
        (of_class,) = [each for each in addresses if "class=open_circuit" in each]
        assert "A1" in text(url + of_class)
        assert "A2" not in text(url + of_class)
        (of_line,) = [each for each in addresses if "line=smt-2" in each]
        assert "A2" in text(url + of_line)
        assert "/boards?" not in ask(f"{url}/numbers?shift=early")[1].decode(), "nothing is found by its shift"


def test_a_product_that_nobody_knows_is_told(app: App) -> None:
    with station(app) as url:
        assert ask(f"{url}/boards/{'0' * 32}")[0] == 404
        assert ask(f"{url}/boards/%3Cscript%3E")[0] == 404

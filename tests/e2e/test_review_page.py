"""The review page in a real browser, beside a gate that runs: what is decided there counts, and nothing else does."""

import json
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from PIL import Image

from linegate.edge.runtime import Runtime
from linegate.inspection import Inspection
from tests.boards import clean_board, defective_board, encoded
from tests.browser import Browser, Page
from tests.desk import PEOPLE, enter, keys, scan, session, write
from tests.e2e.line import Hmi, Line, running
from tests.stations import station
from tests.waiting import until

Gate = tuple[Line, Runtime, str]


@pytest.fixture
def gate(make_line: Callable[..., Line], hmi: Hmi) -> Iterator[Gate]:
    """A gate that has failed the product A1, and its station."""
    line = make_line(clean_board(), station={"people": PEOPLE, "anybody": "look"})
    with running(line) as runtime, station(runtime.app) as url:
        hmi.wait_for(line.upload("smt-1/aoi/A1.png", defective_board()))
        yield line, runtime, url


def product(runtime: Runtime, serial: str = "A1") -> Inspection:
    return runtime.app.context.queries.find(serial, 9)[0]


def heard(hmi: Hmi, serial: str, revision: int) -> dict[str, Any]:
    def found() -> list[dict[str, Any]]:
        return [data for data in hmi.data() if (data["serial"], data["revision"]) == (serial, revision)]

    until(lambda: bool(found()))
    return found()[0]


def at(browser_page: Page, url: str, name: str, path: str = "/review") -> Page:
    enter(browser_page, url, name)
    browser_page.open(url + path)
    return browser_page


def seen(page: Page) -> None:
    """The picture of the finding has come."""
    page.until("document.querySelector('#here image.crop.ready') !== null")


def test_a_product_is_answered_by_keys_only_and_the_hmi_hears_of_it(gate: Gate, hmi: Hmi, browser: Browser) -> None:
    line, runtime, url = gate
    gray = Image.new("RGB", (192, 192), (90, 90, 90))
    hmi.wait_for(line.upload("smt-1/aoi/B2.png", encoded(gray)))
    assert product(runtime, "B2").revision.decision.verdict == "REVIEW"  # type: ignore[union-attr]
    with browser.page() as page:
        at(page, url, "Ada")
        page.wait_for("#title", "A1")
        seen(page)
        keys(page, "2", "d")
        page.wait_for("#summary", "1 false call")
        page.press("Enter")
        page.wait_for("#title", "B2")
        page.wait_for("#toast", "A1: PASS is revision 2")
        told = heard(hmi, "A1", 2)
        assert (told["verdict"], told["decided_by"]) == ("PASS", "Ada")
        keys(page, "d")  # nobody has looked at it: there is nothing to decide yet
        page.wait_for("#toast", "Somebody must look at the whole product")
        page.until("document.querySelector('#here image.crop.ready') !== null")
        keys(page, "l", "c")
        page.type("It was dark")
        keys(page, "Escape", "d")
        page.wait_for("#summary", "It was dark")
        page.press("Enter")
        page.wait_for(".nothing", "Nothing waits for a person")
    told = heard(hmi, "B2", 2)
    assert (told["verdict"], told["review"]["comment"], told["review"]["looked"]) == ("PASS", "It was dark", True)
    (review,) = [
        one.review for one in runtime.app.context.queries.revisions(product(runtime).inspection_id) if one.review
    ]
    assert (review.origin, review.seen) == ("127.0.0.1", 1)


def test_two_inspectors_collide_and_the_second_is_told_who_was_first(gate: Gate, browser: Browser) -> None:
    _, runtime, url = gate
    with browser.page() as ada, browser.page() as bob:
        for page, name in ((ada, "Ada"), (bob, "Bob")):
            at(page, url, name)
            seen(page)
        bob.wait_for(".presence", "Ada opened this product")
        keys(ada, "1", "d", "Enter")
        ada.wait_for(".nothing", "Nothing waits")
        bob.forgive("409")
        keys(bob, "2", "d", "Enter")
        bob.wait_for("#refused", "Ada was first: revision 2 is FAIL. Look again.")
        keys(bob, "Enter")
        bob.wait_for(".notices", "Ada decided FAIL")
        seen(bob)
        keys(bob, "2")  # Ada had failed it: whoever passes it has the whole product before them
        bob.until("document.querySelector('#here image.crop.ready')?.width.baseVal.value === 192")
        keys(bob, "l", "d", "Enter")
        bob.wait_for(".nothing", "Nothing waits")
    found = runtime.app.context.queries.revisions(product(runtime).inspection_id)
    assert [(str(one.decided_by), one.decision.verdict.value) for one in found[1:]] == [
        ("person:Ada", "FAIL"),
        ("person:Bob", "PASS"),
    ]
    counts = [
        slot.counts
        for slot in runtime.app.context.queries.counts(
            None, None, found[0].decided_at.replace(year=2000), found[0].decided_at.replace(year=2999)
        )
    ]
    assert {(gate.value, person.value): count for one in counts for (gate, person), count in one.answered.items()} == {
        ("FAIL", "PASS"): 1
    }


def test_nothing_is_ruled_or_decided_that_was_not_on_the_screen(gate: Gate, browser: Browser) -> None:
    _, runtime, url = gate
    with browser.page() as page:
        page.call("Network.setBlockedURLs", urls=["*/crop*"])
        page.forgive("ERR_BLOCKED_BY_CLIENT")
        at(page, url, "Ada")
        page.wait_for("#here .missing", "can't be loaded")
        keys(page, "l")
        page.wait_for("#toast", "This is the whole product")
        assert not page.evaluate("document.getElementById('looked').checked")
        keys(page, "ArrowRight", "2")
        page.wait_for("#toast", "Look at the product itself")
        page.wait_for("#lacking", "One finding has no ruling yet")
        assert page.evaluate("document.getElementById('decide').disabled")
        keys(page, "w", "2")
        page.wait_for("#toast", "Choose a finding first")
    revision = product(runtime).revision
    assert revision is not None
    assert revision.number == 1


def test_a_scan_opens_its_product_from_anywhere_and_rules_on_nothing(gate: Gate, hmi: Hmi, browser: Browser) -> None:
    line, _, url = gate
    hmi.wait_for(line.upload("smt-1/aoi/1221-Bd.png", defective_board()))
    with browser.page() as page:
        at(page, url, "Ada")
        page.wait_for("#title", "A1")
        for where in ("", "comment", "decide"):  # nothing has the focus, a field, a button that could be pressed
            page.open(url + f"/review/{product_id(page, 'A1')}")
            seen(page)
            if where == "decide":
                keys(page, "1", "d")  # the summary is open, Enter would decide
                page.wait_for("#summary", "1 true defect")
            elif where:
                page.evaluate(f"document.getElementById({where!r}).focus()")
                page.type("so")
                page.until("document.getElementById('comment').value === 'so'")
                page.evaluate("new Promise(done => setTimeout(done, 120))")
            scan(page, "1221-Bd")
            page.wait_for("#title", "1221-Bd")
            seen(page)
            assert page.text("#lacking") == "One finding has no ruling yet."
        page.open(url + f"/review/{product_id(page, 'A1')}")
        seen(page)
        page.wait_for("#lacking", "FAIL: 1 defect")
        assert page.evaluate("document.getElementById('comment').value") == "so", "what was entered is there again"
        scan(page, "never-seen")
        page.forgive("404")
        page.wait_for(".nothing", "No product is called never-seen")
    assert len(hmi.data()) == 2, "nobody decided anything"


def product_id(page: Page, serial: str) -> str:
    address = page.evaluate(
        f"[...document.querySelectorAll('.queue li a')].find(a => a.innerText.includes({serial!r})).pathname"
    )
    return str(address).rpartition("/")[2]


def test_keys_as_fast_as_a_scanners_rule_on_nothing(gate: Gate, browser: Browser) -> None:
    _, _, url = gate
    with browser.page() as page:
        at(page, url, "Ada")
        seen(page)
        page.press("1", "1", "1")
        page.wait_for("#toast", "Nothing was ruled")
        assert page.text("#lacking") == "One finding has no ruling yet."


def test_a_missed_defect_is_drawn_and_named_and_arrives(gate: Gate, hmi: Hmi, browser: Browser) -> None:
    _, _, url = gate
    with browser.page() as page:
        at(page, url, "Ada")
        seen(page)
        keys(page, "2", "m")
        page.until("document.querySelector('#here image.crop.ready')?.width.baseVal.value === 192")
        left, top, width, height = page.evaluate(
            "(m => [m.e, m.f, 192 * m.a, 192 * m.d])(document.querySelector('#here svg').getScreenCTM())"
        )
        page.mouse("mousePressed", left + width / 2, top + height / 2, button="left", clickCount=1)
        page.mouse("mouseMoved", left + width * 5 / 8, top + height * 3 / 4, button="left", buttons=1)
        page.mouse("mouseReleased", left + width * 5 / 8, top + height * 3 / 4, button="left", clickCount=1)
        page.wait_for("#naming", "What is it?")
        assert "mouse bite" in page.text("#classes")
        write(page, "scratch")
        keys(page, "Enter")
        page.wait_for("#missed", "M1. scratch")
        keys(page, "m", "ArrowUp", "ArrowLeft", "Shift+ArrowRight", "Enter")  # by keys alone
        page.wait_for("#naming", "What is it?")
        write(page, "dent")
        keys(page, "Enter")
        page.wait_for("#missed", "M2. dent")
        keys(page, "u")
        page.wait_gone("#missed li:nth-child(2)")
        keys(page, "d")
        page.wait_for("#summary", "1 missed by the machine: scratch")
        keys(page, "Enter")
        page.wait_for(".nothing", "Nothing waits")
    told = heard(hmi, "A1", 2)
    (missed,) = told["review"]["missed"]
    assert (told["verdict"], missed["class"]) == ("FAIL", "scratch")
    box = missed["box"]
    assert [box[side] for side in ("x", "y", "width", "height")] == pytest.approx([108, 120, 24, 48], abs=1.5)


def test_a_finger_draws_as_well_and_two_make_it_larger(gate: Gate, browser: Browser) -> None:
    _, _, url = gate
    with browser.page(390, 844, mobile=True) as page:
        at(page, url, "Ada")
        seen(page)
        page.click("[data-do=m]")
        page.until("document.querySelector('#here.drawing') !== null")
        x, y = page.middle("#here svg")
        page.touch("touchStart", (x - 30, y - 20))
        page.touch("touchMove", (x, y + 10))
        page.touch("touchMove", (x + 20, y + 30))
        page.touch("touchEnd")
        page.wait_for("#naming", "What is it?")
        page.click("#classes button")
        page.wait_for("#missed", "M1.")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        page.evaluate("document.getElementById('here').scrollIntoView({block: 'center'})")
        x, y = page.middle("#here svg")
        page.touch("touchStart", (x - 10, y), (x + 10, y))
        page.touch("touchMove", (x - 30, y), (x + 30, y))
        page.touch("touchMove", (x - 50, y), (x + 50, y))
        page.touch("touchEnd")
        page.until("document.querySelector('#here svg').viewBox.baseVal.width < 100")


def test_a_decision_outlives_the_network_and_is_sent_when_it_comes_back(gate: Gate, hmi: Hmi, browser: Browser) -> None:
    _, runtime, url = gate
    with browser.page() as page:
        at(page, url, "Ada")
        seen(page)
        page.offline()
        page.forgive("ERR_INTERNET_DISCONNECTED", "ERR_FAILED")
        keys(page, "2", "d", "Enter")
        page.wait_for("#kept", "the station can't be reached. What you decided is kept here")
        page.offline(gone=False)
        page.wait_for(".nothing", "Nothing waits", 20)
    assert heard(hmi, "A1", 2)["verdict"] == "PASS"
    assert len(runtime.app.context.queries.revisions(product(runtime).inspection_id)) == 2


def test_who_may_only_look_decides_nothing(gate: Gate, browser: Browser) -> None:
    _, runtime, url = gate
    identity = product(runtime).inspection_id
    for name, told in (("Cyd", "To decide takes the role review"), ("", "Anybody may look. Enter to decide")):
        with browser.page() as page:
            if name:
                enter(page, url, name)
            page.open(url + "/review")
            page.wait_for(".notices", told)
            assert page.evaluate("[...document.querySelectorAll('#rulings button')].every(b => b.disabled)")
            page.forgive("403")
            sent = "{method: 'POST', headers: {'Content-Type': 'application/json'}, body: '{}'}"
            assert page.evaluate(f"fetch('/review/{identity}', {sent}).then(answer => answer.status)") == 403
    assert len(runtime.app.context.queries.revisions(identity)) == 1


@pytest.mark.parametrize(
    ("sent", "told"),
    [
        ("{", "no decision"),
        ("[]", "other fields"),
        ('{"seen": 1, "author": "Bob"}', "other fields"),
        ('{"seen": -1}', "below 0"),
        ('{"rulings": []}', "no decision"),
        ('{"seen": 1, "missed": [{"class_name": "a\\u202eb"}]}', "names its author"),
        ('{"seen": 1, "rulings": [{"index": 0, "disposition": "fine"}]}', "no decision"),
    ],
)
def test_what_is_no_decision_is_not_taken(gate: Gate, sent: str, told: str) -> None:
    _, runtime, url = gate
    address = f"{url}/review/{product(runtime).inspection_id}"
    headers = {"Cookie": session(url, "Ada"), "Content-Type": "application/json", "Sec-Fetch-Site": "same-origin"}
    request = urllib.request.Request(address, sent.encode(), headers)
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request, timeout=10)
    with refused.value as answer:
        assert answer.code == 422, answer.read()
        assert told in json.loads(answer.read())["detail"]

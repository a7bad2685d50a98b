"""The station over real HTTP: who may speak to it, what its pages show of a gate that runs, and how it ends."""

from collections.abc import Callable, Iterator

import pytest

from tests.boards import clean_board, defective_board
from tests.browser import Browser
from tests.e2e.line import Hmi, Line, running
from tests.stations import ask, station


@pytest.fixture
def url(make_line: Callable[..., Line], hmi: Hmi) -> Iterator[str]:
    """Of a station whose gate has just failed a board."""
    line = make_line(clean_board())
    with running(line) as runtime, station(runtime.app) as url:
        hmi.wait_for(line.upload("smt-1/aoi/A1.png", defective_board()))
        yield url


def test_the_lines_show_what_they_saw_last(url: str) -> None:
    status, page = ask(url + "/")
    assert status == 200
    assert b"FAIL" in page
    assert b"A1" in page
    assert b"<b>1</b> product waits for a person" in page


def test_a_name_that_nobody_configured_is_refused(url: str) -> None:
    assert ask(url + "/", Host="gate.evil.example")[0] == 421


def test_a_page_of_another_site_changes_nothing(url: str) -> None:
    assert ask(url + "/", "POST", Origin="https://evil.example")[0] == 403
    assert ask(url + "/", "POST", Sec_Fetch_Site="cross-site")[0] == 403


def test_what_is_not_there_is_told_as_a_page(url: str) -> None:
    status, page = ask(url + "/nowhere")
    assert status == 404
    assert b"There is nothing here." in page


def test_a_browser_finds_nothing_to_complain_of(url: str, browser: Browser) -> None:
    with browser.page(theme="dark") as page:
        page.open(url + "/")
        page.wait_for("h1", "Lines")
        page.press("Tab", "Tab")
        assert page.evaluate("document.activeElement.className") == "brand"
        page.click("#theme")
        assert page.evaluate("document.documentElement.dataset.theme") == "light"


def test_what_a_page_may_not_do_is_told(url: str, browser: Browser) -> None:
    """The browser itself enforces the policy, and the tests hear of it."""
    with browser.page() as page:
        page.open(url + "/")
        page.evaluate(
            "document.body.append(Object.assign(document.createElement('script'), {textContent: 'hacked = 1'}))"
        )
        assert page.evaluate("typeof hacked") == "undefined"
        page.until("true")
        assert any("script-src" in each for each in page.problems)
        page.forgive("content security policy", "Content Security Policy")


def test_who_asks_for_the_headers_of_a_stream_gets_them_and_no_stream(url: str) -> None:
    assert ask(url + "/lines/smt-1/live", "HEAD") == (200, b"")

"""People enter the station with a PIN: over real HTTP, as a browser would."""

import http.client
from collections.abc import Callable, Iterator
from urllib.parse import urlencode, urlsplit

import pytest
from argon2 import PasswordHasher

from linegate import bootstrap
from linegate.station.throttle import FREE
from tests.boards import clean_board
from tests.e2e.line import Line
from tests.stations import station

PEOPLE = {
    "Ada": {"role": "review", "pin": PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("2718")},
    "Bob": {
        "role": "look",
        "password": PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash("correct horse"),
    },
}


class Browser:
    """Keeps a cookie and says where its requests come from."""

    def __init__(self, url: str) -> None:
        self.host = urlsplit(url).netloc
        self.cookie = ""

    def ask(self, method: str, path: str, /, **fields: str) -> tuple[int, dict[str, str], str]:
        connection = http.client.HTTPConnection(self.host, timeout=10)
        headers = {"Accept": "text/html", "Cookie": self.cookie, "Sec-Fetch-Site": "same-origin"}
        connection.request(method, path, urlencode(fields) if method == "POST" else None, headers)
        with connection.getresponse() as answer:
            told = {name.lower(): value for name, value in answer.getheaders()}
            self.cookie = told.get("set-cookie", self.cookie).partition(";")[0]
            body = answer.read().decode()
        connection.close()
        return answer.status, told, body


@pytest.fixture
def line(make_line: Callable[..., Line]) -> Line:
    return make_line(clean_board(), station={"people": PEOPLE})


@pytest.fixture
def browser(line: Line) -> Iterator[Browser]:
    with station(bootstrap.local(line.settings)) as url:
        yield Browser(url)


def test_nobody_sees_anything_before_they_have_entered(browser: Browser) -> None:
    status, told, _ = browser.ask("GET", "/lines/smt-1?x=1")
    assert (status, told["location"]) == (303, "/enter?next=/lines/smt-1%3Fx%3D1")
    assert browser.ask("GET", "/pictures/x/upload")[0] == 303
    assert browser.ask("POST", "/leave")[0] == 401


def test_who_enters_is_known_and_goes_on_where_they_wanted(browser: Browser, line: Line) -> None:
    assert "Ada" in browser.ask("GET", "/enter?next=/")[2]
    status, told, _ = browser.ask("POST", "/enter", name="Ada", secret="2718", next="/numbers")
    assert (status, told["location"]) == (303, "/numbers")
    assert "HttpOnly; SameSite=Lax" in told["set-cookie"]
    assert ">Ada<" in browser.ask("GET", "/")[2]
    with station(bootstrap.local(line.settings)) as again:  # a restart ends no session
        second = Browser(again)
        second.cookie = browser.cookie
        assert ">Ada<" in second.ask("GET", "/")[2]
    browser.ask("POST", "/leave")
    assert browser.ask("GET", "/")[0] == 303


def test_a_password_works_like_a_pin(browser: Browser) -> None:
    assert browser.ask("POST", "/enter", name="Bob", secret="correct horse")[1]["location"] == "/"


@pytest.mark.parametrize(
    "elsewhere", ["https://evil.example/", "//evil.example/", "/\\evil.example", "javascript:alert(1)"]
)
def test_the_entrance_leads_nowhere_else(browser: Browser, elsewhere: str) -> None:
    assert browser.ask("POST", "/enter", name="Ada", secret="2718", next=elsewhere)[1]["location"] == "/"


def test_guessing_has_to_wait_even_with_the_right_pin(browser: Browser) -> None:
    for _ in range(FREE):
        status, _, page = browser.ask("POST", "/enter", name="Ada", secret="0000")
        assert (status, "That was not right." in page) == (403, True)
    assert "Too many wrong tries" in browser.ask("POST", "/enter", name="Ada", secret="2718")[2]


def test_a_display_on_the_wall_may_look_without_a_name(make_line: Callable[..., Line]) -> None:
    line = make_line(clean_board(), station={"people": PEOPLE, "anybody": "look"})
    with station(bootstrap.local(line.settings)) as url:
        assert Browser(url).ask("GET", "/")[0] == 200


def test_a_form_of_another_site_is_refused_though_the_cookie_comes_along(browser: Browser) -> None:
    browser.ask("POST", "/enter", name="Ada", secret="2718")
    connection = http.client.HTTPConnection(browser.host, timeout=10)
    for headers in ({"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {}):
        connection.request("POST", "/leave", "", {"Cookie": browser.cookie, **headers})
        with connection.getresponse() as answer:
            answer.read()
            assert answer.status == 403, headers
    connection.close()

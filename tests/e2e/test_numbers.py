"""The page of figures and the shift report over real HTTP: what a gate decides, and a person answers, changes the numbers."""

import csv
import io
import json
import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from linegate import bootstrap
from linegate.adapters.local.database import DATABASE, Database
from linegate.commands.main import main
from linegate.config import load
from tests.boards import clean_board, defective_board
from tests.browser import Browser
from tests.e2e.line import Hmi, Line, running
from tests.stations import ask, station

FILE = """
recipes: {pcb: {golden: golden.png, opportunities: 100}}
lines: {smt-1: {recipe: pcb}, smt-2: {recipe: pcb}}
station: {shifts: {early: "06:00", late: "14:00", night: "22:00"}}
"""
HOSTILE = "=cmd|'<script>alert(1)</script>\u202e"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "linegate.yaml").write_text(FILE)
    (tmp_path / "linegate-data").mkdir()
    Database(tmp_path / "linegate-data" / DATABASE).close()
    return tmp_path


@pytest.fixture
def url(folder: Path) -> Iterator[str]:
    """Of a station whose gate has inspected nothing yet."""
    with station(bootstrap.local(load(folder / "linegate.yaml"))) as url:
        yield url


def count(folder: Path, at: datetime, line: str, **counters: int) -> None:
    """As the gate would have left it."""
    hour = int(at.replace(minute=0, second=0, microsecond=0).timestamp())
    with closing(sqlite3.connect(folder / "linegate-data" / DATABASE)) as rows, rows:
        rows.executemany(
            "INSERT INTO rollups VALUES (?, ?, 'pcb', ?, ?)",
            [(line, hour, text.replace("__", "|"), value) for text, value in counters.items()],
        )


def figure(page: bytes, key: str) -> str:
    """The big number of a card."""
    found = re.search(rf'id="{key}".*?class="big[^"]*">([^<]*)<', page.decode(), re.DOTALL)
    assert found, key
    return found[1]


def test_an_answer_changes_the_numbers(make_line: Callable[..., Line], hmi: Hmi) -> None:
    line = make_line(clean_board())
    with running(line) as runtime, station(runtime.app) as url:
        hmi.wait_for(line.upload("smt-1/aoi/A1.png", clean_board()))
        hmi.wait_for(line.upload("smt-1/aoi/A2.png", defective_board()))
        before = ask(url + "/numbers")[1]
        assert (figure(before, "first_pass_yield"), figure(before, "reviewed_yield")) == ("50.0 %", "50.0 %")
        assert figure(before, "held_in_vain") == "unknown"
        assert b"<b>1</b> of them waits for a person" in before
        assert (
            main(["answer", "A2", "--false-call", "all", "--looked", "--as", "Ada", "--config", str(line.config)]) == 0
        )
        after = ask(url + "/numbers")[1]
        assert (figure(after, "first_pass_yield"), figure(after, "reviewed_yield")) == ("50.0 %", "100.0 %")
        assert (figure(after, "false_call_rate"), figure(after, "held_in_vain")) == ("50.0 %", "100.0 %")
        assert b"for a person" not in after
        assert figure(after, "escape_rate") == "unknown", "nobody audited a PASS"


def test_an_empty_gate_says_so(url: str) -> None:
    status, page = ask(url + "/numbers")
    assert status == 200
    assert b"Nothing was inspected in this time" in page
    status, page = ask(url + "/report")
    assert status == 200
    assert b"No product was inspected in this shift" in page


def test_figures_formulas_and_tables_are_those_of_the_address(url: str, folder: Path) -> None:
    today = datetime.now(UTC).replace(hour=7)
    for days in range(10):
        at = today - timedelta(days=days)
        count(folder, at, "smt-1", first__PASS=8, latest__PASS=8, first__FAIL=2, latest__FAIL=2, unruled__FAIL__short=3)
        count(folder, at, "smt-2", first__PASS=10, latest__PASS=10)
    query = f"from={today:%Y-%m-%d}&to={today:%Y-%m-%d}"
    page = ask(f"{url}/numbers?{query}")[1]
    assert figure(page, "first_pass_yield") == "90.0 %"
    assert figure(page, "dpmo") == "1\u202f500", "3 defects in 20 products of 100 opportunities"
    assert b"products whose first verdict is PASS, FAIL or REVIEW" in page
    assert figure(ask(f"{url}/numbers?{query}&line=smt-1")[1], "first_pass_yield") == "80.0 %"
    assert b"Nothing was inspected" in ask(f"{url}/numbers?{query}&shift=night")[1]
    rows = list(csv.DictReader(io.StringIO(ask(f"{url}/numbers/lines.csv?{query}")[1].decode("utf-8-sig"))))
    assert [(row["line"], row["products"], row["first_pass_yield"]) for row in rows] == [
        ("smt-1", "10", "0.8"),
        ("smt-2", "10", "1"),
        ("all", "20", "0.9"),
    ]
    for table in ("shares", "classes", "recipes", "shifts", "days", "chart"):
        status, data = ask(f"{url}/numbers/{table}.csv?{query}")
        assert status == 200
        assert len(data.splitlines()) > 1
    assert ask(url + "/numbers/secrets.csv")[0] == 404


@pytest.mark.parametrize(
    "query", ["from=x", "to=2026-13-01", "from=2026-01-01&to=2026-12-31", "shift=noon", "per=minute", "from=0001-01-01"]
)
def test_what_makes_no_sense_is_refused_with_a_reason(url: str, query: str) -> None:
    status, page = ask(f"{url}/numbers?{query}")
    assert status == 400
    assert b"<h1>" in page


def test_a_class_name_from_outside_stays_text_on_pages_and_in_spreadsheets(url: str, folder: Path) -> None:
    at = datetime.now(UTC)
    count(folder, at, "smt-1", first__FAIL=1, latest__FAIL=1, **{f"unruled__FAIL__{HOSTILE}": 1})
    for path in ("/numbers", f"/report?day={at - timedelta(hours=6):%Y-%m-%d}"):
        page = ask(url + path)[1].decode()
        assert "<script>alert" not in page
        assert "\u202e" not in page
    cell = next(csv.DictReader(io.StringIO(ask(url + "/numbers/classes.csv")[1].decode("utf-8-sig"))))["class"]
    assert cell == "'=cmd|'<script>alert(1)</script>?"


def test_the_report_of_a_shift_is_a_page_a_file_and_a_text(
    url: str, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    day = datetime(2026, 3, 2, tzinfo=UTC)
    count(folder, day.replace(hour=5), "smt-1", first__PASS=99, latest__PASS=99)  # the night shift of the day before
    count(
        folder,
        day.replace(hour=6),
        "smt-1",
        first__PASS=9,
        latest__PASS=9,
        first__FAIL=1,
        latest__FAIL=1,
        unruled__FAIL__short=1,
    )
    count(folder, day.replace(hour=13), "smt-2", first__PASS=10, latest__PASS=10)
    page = ask(f"{url}/report?day=2026-03-02&shift=early")[1]
    assert b"early, 2026-03-02 06:00 to 14:00" in page
    assert b"95.0 %" in page
    config, path = ("--config", str(folder / "linegate.yaml")), tmp_path / "report.html"
    named = ["report", "--day", "2026-03-02", "--shift", "early"]
    assert main([*named, "--html", str(path), *config]) == 0
    told = capsys.readouterr().out
    assert "Shift report: early, 2026-03-02 06:00 to 14:00" in told
    assert "First-pass yield: 95.0 % (19 of 20; 95 %: 75.1 to 99.9 %)" in told
    assert "Escape rate: unknown" in told
    sheet = path.read_text()
    assert "95.0 %" in sheet
    assert not re.findall(r'(?:src|href)="[^#]', sheet), "it needs nothing else"
    assert main([*named, "--line", "smt-1", "--json", *config]) == 0
    assert json.loads(capsys.readouterr().out)["shares"]["first_pass_yield"]["share"] == 0.9
    assert main(["report", "--day", "2026-03-02", "--shift", "noon", *config]) == 64
    assert "there is no shift 'noon'; there are early, late, night" in capsys.readouterr().err
    assert main(["report", *config]) == 0
    assert "No product was inspected." in capsys.readouterr().out


@pytest.mark.parametrize(("width", "theme"), [(1920, "light"), (390, "dark")])
def test_a_browser_shows_all_of_it_without_a_complaint(
    browser: Browser, url: str, folder: Path, width: int, theme: str
) -> None:
    for hours in range(30):
        at = datetime.now(UTC) - timedelta(hours=hours)
        count(
            folder, at, "smt-1", first__PASS=50, latest__PASS=50, first__FAIL=2, latest__FAIL=2, unruled__FAIL__short=3
        )
        count(folder, at, "smt-2", first__PASS=50, latest__PASS=50)
    with browser.page(width, 900, theme, mobile=width < 500) as page:
        for path, shown in (("/numbers", "Figures, with their formulas"), ("/report", "By line")):
            page.open(url + path)
            page.wait_for("h2", shown)
            page.wait_for(".chart")
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (
                "nothing is wider than the screen"
            )

"""Tables for spreadsheets: nothing in a cell is calculated, and everybody's letters arrive."""

import csv
import io

import pytest

from linegate.cells import harmless, table


@pytest.mark.parametrize(
    ("text", "cell"),
    [
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("+1", "'+1"),
        ("-2+3", "'-2+3"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\uff1d1+1", "'\uff1d1+1"),
        ("\t=1+1", "'=1+1"),
        ("two\r\nlines", "two lines"),
        ("short", "short"),
        ("a\u202eb", "a?b"),
    ],
)
def test_a_text_from_outside_is_no_formula_and_one_line(text: str, cell: str) -> None:
    assert harmless(text) == cell


def test_a_table_is_read_back_as_it_was_written() -> None:
    data = table(("class", "count", "share"), [('say "ü", please', 3, 0.25), ("=1", -4, None)])
    assert data.startswith(b"\xef\xbb\xbf"), "Excel takes it for Latin-1 without"
    assert data.count(b"\r\n") == 3
    rows = list(csv.reader(io.StringIO(data.decode("utf-8-sig"))))
    assert rows == [["class", "count", "share"], ['say "ü", please', "3", "0.25"], ["'=1", "-4", ""]]

"""Which part of a file is sent: RFC 9110, sections 13 and 14."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.datastructures import Headers

from linegate.station.ranges import Part, held, part

ETAG = '"7"'


def asked(text: str, size: int = 10, if_range: str | None = None) -> Part | None:
    headers = {"range": text} | ({"if-range": if_range} if if_range is not None else {})
    return part(Headers(headers), size, ETAG)


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("bytes=0-3", Part(0, 4)),
        ("bytes=4-", Part(4, 6)),
        ("bytes=-3", Part(7, 3)),
        ("bytes=-30", Part(0, 10)),
        ("bytes=0-99", Part(0, 10)),
        ("bytes=9-9", Part(9, 1)),
        ("Bytes=0-0", Part(0, 1)),
    ],
)
def test_one_range_is_sent_as_far_as_there_is_one(text: str, wanted: Part) -> None:
    assert asked(text) == wanted


@pytest.mark.parametrize("text", ["bytes=10-", "bytes=99-100", "bytes=-0"])
def test_what_lies_behind_the_end_is_not_there(text: str) -> None:
    assert asked(text) is None


@pytest.mark.parametrize("text", ["bytes=0-1,3-4", "lines=0-1", "bytes=3-1", "bytes=a-b", "bytes=", "bytes=-", "0-1"])
def test_what_is_not_understood_is_answered_with_the_whole(text: str) -> None:
    assert asked(text) == Part(0, 10, whole=True)


def test_a_range_of_another_version_is_answered_with_the_whole() -> None:
    assert asked("bytes=0-3", if_range=ETAG) == Part(0, 4)
    assert asked("bytes=0-3", if_range='"6"') == Part(0, 10, whole=True)
    assert asked("bytes=0-3", if_range='W/"7"') == Part(0, 10, whole=True), "a weak one is no proof"


@pytest.mark.parametrize(
    ("known", "holds"),
    [('"7"', True), ('W/"7"', True), ('"1", "7"', True), ("*", True), ('"77"', False), ("", False)],
)
def test_who_holds_this_version_is_sent_nothing(known: str, holds: bool) -> None:
    assert held(Headers({"if-none-match": known}), ETAG) is holds


@given(st.text(max_size=40), st.integers(0, 1000))
def test_no_header_asks_for_what_is_not_there(text: str, size: int) -> None:
    found = part(Headers(raw=[(b"range", f"bytes={text}".encode())]), size, ETAG)
    assert found is None or (found.start >= 0 and found.start + found.count <= size)

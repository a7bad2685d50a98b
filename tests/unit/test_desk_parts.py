"""What the review page is made of: pictures that stay open are bounded, and who else looks is said for a while."""

from datetime import timedelta

from PIL import Image

from linegate.station.opened import MOST_PIXELS, Opened
from linegate.station.presence import REMEMBERED, Presence
from tests.fakes import START


def test_what_was_asked_for_last_stays_open_and_no_more_than_memory_is_for() -> None:
    opened, asked = Opened(), []
    side = int((MOST_PIXELS / 3) ** 0.5)

    def get(key: str, size: int = side) -> None:
        def open_() -> Image.Image:
            asked.append(key)
            return Image.new("1", (size, size))

        opened.get(key, open_)

    for key in ("a", "b", "a", "c", "a", "d", "a", "b"):
        get(key)
    assert asked == ["a", "b", "c", "d", "b"], "what was asked for again lately is there"
    get("huge", 3 * side)
    get("huge", 3 * side)
    assert asked[-1:] == ["huge"], "the latest is kept, however large"
    get("a")
    assert asked[-2:] == ["huge", "a"]


def test_who_opened_a_product_lately_is_told_to_the_others_only() -> None:
    presence = Presence()
    assert presence.come("one", "Ada", START) == []
    assert presence.come("one", "Bob", START + timedelta(seconds=9)) == [("Ada", timedelta(seconds=9))]
    assert presence.come("two", "Cyd", START + timedelta(seconds=9)) == []
    assert [name for name, _ in presence.come("one", "", START + timedelta(seconds=10))] == ["Bob", "Ada"]
    presence.go("one", "Bob")
    assert [name for name, _ in presence.come("one", "Cyd", START + timedelta(seconds=11))] == ["Ada"]
    assert [name for name, _ in presence.come("one", "Cyd", START + REMEMBERED)] == []

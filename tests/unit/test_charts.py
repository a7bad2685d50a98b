"""Charts: what a colour tells a shape tells too, and a name from outside stays text."""

from xml.etree import ElementTree

from linegate.control import Group, p_chart
from linegate.numbers import Defects
from linegate.station import charts

SVG = "{http://www.w3.org/2000/svg}"


def drawn(svg: str) -> ElementTree.Element:
    """As a browser takes it: whole, with the namespace that it gives it."""
    return ElementTree.fromstring(str(svg).replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"', 1))


def test_points_beyond_a_limit_have_a_shape_of_their_own_and_all_is_told_in_words() -> None:
    groups = [Group(f"2026-03-02 {hour:02}:00", 4, 100) for hour in range(6, 13)] + [Group("2026-03-02 13:00", 25, 100)]
    svg = drawn(charts.p_chart(p_chart(groups), "share of <products>", "hour"))
    assert len(svg.findall(f".//{SVG}circle")) == 7
    (beyond,) = (path for path in svg.iter(f"{SVG}path") if path.get("class") == "beyond")
    assert beyond.findtext(f"{SVG}title") == "2026-03-02 13:00: 25 of 100, 25.0 %; above the upper limit"
    assert svg.get("role") == "img"
    assert "share of <products>" in (svg.findtext(f"{SVG}title") or "")
    assert "8 points, one per hour; centre 6.6 %, from 4.0 % to 25.0 %; 1 alarm." in (svg.findtext(f"{SVG}desc") or "")


def test_any_number_of_points_is_drawn_inside_its_scale() -> None:
    for counts in ([(0, 1)], [(1, 1)], [(0, 5)] * 3, [(n % 3, 40) for n in range(400)]):
        svg = drawn(charts.p_chart(p_chart(Group(str(n), *pair) for n, pair in enumerate(counts)), "x", "day"))
        heights = [float(line.get(side) or 0) for line in svg.iter(f"{SVG}line") for side in ("y1", "y2")]
        assert all(0 <= height <= charts.HEIGHT for height in heights)
        assert len(svg.findall(f".//{SVG}text")) < 30
    assert charts.p_chart(p_chart([]), "x", "day") == ""


def test_a_bar_tells_its_parts_and_escapes_the_class() -> None:
    svg = drawn(charts.bar(Defects("<b>&", claimed=1, confirmed=2, missed=1), most=8))
    assert [(part.get("class"), part.get("width")) for part in svg.iter(f"{SVG}rect")] == [
        ("confirmed", "25.00%"),
        ("missed", "12.50%"),
        ("claimed", "12.50%"),
    ]
    assert svg.get("aria-label") == "<b>&: 2 confirmed, 1 missed, 1 claimed"

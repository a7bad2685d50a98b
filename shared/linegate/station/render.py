"""Pages out of templates. Whatever is put into one is escaped: class names, file names and comments come from outside."""

from datetime import datetime, tzinfo
from functools import cache
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse

from linegate import __version__
from linegate.inspection import Verdict
from linegate.station.site import Site, site_of
from linegate.station.who import Role, person_of
from linegate.texts import brief, printable, visible
from linegate.wording import between, duration, number, share

HERE: Final = Path(__file__).parent
THEMES: Final = ("light", "dark")
# What stands beside the colour of a verdict, so that it is told without it: drawn in templates/shapes.html
SHAPES: Final = {Verdict.PASS: "disc", Verdict.FAIL: "octagon", Verdict.REVIEW: "diamond", Verdict.ERROR: "square"}


@cache
def templates() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,  # a name that is wrong is an error, not an empty place
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: (
            visible(value, keep="\n") if type(value) is str else value
        ),  # no text turns the others around
    )
    environment.globals |= {"SHAPES": SHAPES, "Role": Role, "version": __version__}
    environment.filters |= {"clock": clock, "day": day, "percent": percent, "minute": minute}
    environment.filters |= {"brief": brief, "printable": printable}
    environment.filters |= {"share": share, "between": between, "number": _number, "duration": duration}
    return environment


def page(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """The page that a template of templates/ makes of these values."""
    site = site_of(request)
    chosen = request.cookies.get("theme", "")
    values |= {
        "site": site,
        "person": person_of(request),
        "path": request.url.path,
        "theme": chosen if chosen in THEMES else "",
        "zone": zone(site.station.time_zone),
    }
    text = templates().get_template(template).render(values)
    return HTMLResponse(text, status, headers={"Cache-Control": "no-store"})


def as_it_is(text: str) -> Markup:
    """A text of our own that is not escaped."""
    return Markup(text)


def _number(value: float | None) -> Markup:
    """With the narrow spaces that keep its digits together."""
    return Markup(number(value))


def fragment(site: Site, template: str, **values: Any) -> Markup:
    """A part of a page, as it is put there while it is open."""
    return Markup(templates().get_template(template).render(values | {"zone": zone(site.station.time_zone)}))


@cache
def zone(name: str) -> tzinfo:
    return ZoneInfo(name)


def clock(at: datetime, where: tzinfo) -> str:
    """14:05:09, by the clocks on the wall."""
    return f"{at.astimezone(where):%H:%M:%S}"


def minute(at: datetime, where: tzinfo) -> str:
    """14:05"""
    return f"{at.astimezone(where):%H:%M}"


def day(at: datetime, where: tzinfo) -> str:
    """2026-11-25"""
    return f"{at.astimezone(where):%Y-%m-%d}"


def percent(part: float | None, digits: int = 1) -> str:
    """93.1 %; "?" where nothing is known."""
    return "?" if part is None else f"{100 * part:.{digits}f} %"

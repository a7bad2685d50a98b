"""Verdicts and dispositions for an MES, page by page: what is not in a page is told in its headers."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from linegate.errors import CursorError
from linegate.exports.cfx import cfx_pieces
from linegate.exports.table import csv_lines
from linegate.exports.told import LeftOut, Told, page_told
from linegate.notification import picture_address
from linegate.search import Wanted
from linegate.station.api import asked
from linegate.station.api.inspections import bad_cursor
from linegate.station.api.operation import ROOT, File, Operation, only
from linegate.station.site import Site, site_of
from linegate.station_section import May

HEADERS: Final = {
    "Link": '`rel="next"`: the next page; absent on the last one.',
    "Linegate-Undecided": "How many inspections of this page have no verdict yet, and are not in it.",
    "Linegate-Unreadable": "The ids of records that belong here and can't be read.",
}


def csv(request: Request, which: asked.Exported, _: None) -> Response:
    return _exported(request, which, "text/csv; charset=utf-8", lambda _, rows: csv_lines(rows))


def cfx(request: Request, which: asked.Exported, _: None) -> Response:
    def pieces(site: Site, rows: Iterable[Told]) -> Iterable[str]:
        return cfx_pieces(rows, partial(picture_address, site.settings.storage, site.station.address))

    return _exported(request, which, "application/json", pieces)


def _exported(
    request: Request, which: asked.Exported, kind: str, pieces: Callable[[Site, Iterable[Told]], Iterable[str]]
) -> Response:
    site, queries = site_of(request), site_of(request).context.queries
    line = only(request, which.line)
    wanted = Wanted(line=line, verdict=which.verdict, since=which.since, until=which.until, oldest_first=True)
    try:
        page = queries.search(wanted, which.cursor, which.limit)
    except CursorError as error:
        raise bad_cursor(error) from error
    left = LeftOut()
    no_products = [each for each in site.settings.challenge_lines if each != line]
    text = "".join(pieces(site, page_told(queries, page, left, no_products)))
    headers = {"Cache-Control": "no-store", "Linegate-Undecided": str(left.undecided)}
    if left.unreadable:
        headers["Linegate-Unreadable"] = ", ".join(left.unreadable)
    if page.next:
        onward = urlencode({**request.query_params, "cursor": page.next})
        headers["Link"] = f'<{request.url.path}?{onward}>; rel="next"'
    return Response(text.encode("utf-8", "replace"), media_type=kind, headers=headers)


OPERATIONS: Final = (
    Operation(
        "export_csv",
        "GET",
        f"{ROOT}/exports/inspections.csv",
        "What the gate and people decided, the oldest first: a line of CSV for each finding.",
        May.LOOK,
        {},
        csv,
        query=asked.Exported,
        file=File("text/csv", {"type": "string"}, "A page of it, with a heading.", HEADERS),
    ),
    Operation(
        "export_cfx",
        "GET",
        f"{ROOT}/exports/units-inspected.json",
        "The same as messages UnitsInspected of IPC-CFX, each with the UniqueID of its revision.",
        May.LOOK,
        {},
        cfx,
        query=asked.Exported,
        file=File("application/json", {"type": "array", "items": {"type": "object"}}, "A page of envelopes.", HEADERS),
    ),
)

"""The gate itself: its lines, its targets, whether it answers."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from linegate.search import Wanted
from linegate.settings import type_of
from linegate.station.api import asked, describe, told
from linegate.station.api.operation import ROOT, Operation, given
from linegate.station.problems import ProblemError
from linegate.station.shield import HEALTH
from linegate.station.site import Site, site_of
from linegate.station.tokens import machine_of, sees
from linegate.station_section import May
from linegate.texts import printable

LONGEST: Final = 2000


def lines(request: Request, _: asked.Nothing, __: None) -> Response:
    site = site_of(request)
    return given(told.Lines(lines=[_line(site, name) for name in sorted(site.settings.lines) if sees(request, name)]))


def _line(site: Site, name: str) -> told.LineTold:
    line, queries = site.settings.lines[name], site.context.queries
    newest = queries.search(Wanted(line=name), limit=1).items
    return told.LineTold(
        name=name,
        recipe=line.recipe,
        recipes=site.settings.allowed_recipes(name),
        notifies=line.notifies,
        waiting=queries.waiting([name], limit=1).count or 0,
        last=describe.inspection(site, newest[0]) if newest else None,
    )


def targets(request: Request, _: asked.Nothing, __: None) -> Response:
    machine = machine_of(request)
    if machine is not None and machine.lines is not None:
        raise ProblemError.of(403, "not-this-line", "Targets belong to all lines.", "Ask with a token for all lines.")
    site = site_of(request)
    disabled, undelivered = site.context.outbox.disabled_targets(), site.context.queries.undelivered()
    return given(
        told.Targets(
            targets=[
                told.TargetTold(
                    name=name,
                    type=type_of(type(kind)),
                    disabled=printable(disabled[name], LONGEST) if name in disabled else None,
                    undelivered=[
                        told.Undelivered(
                            state=each.state,
                            count=each.count,
                            attempts=each.attempts,
                            oldest=each.oldest,
                            last_error=printable(each.last_error, LONGEST),
                        )
                        for each in undelivered
                        if each.target == name
                    ],
                )
                for name, kind in sorted(site.settings.targets.items())
            ]
        )
    )


def health(request: Request, _: asked.Nothing, __: None) -> Response:
    """For load balancers: whether the station's store answers, and nothing else."""
    site_of(request).context.queries.newest()
    return given(told.Health(status="ok"))


OPERATIONS: Final = (
    Operation(
        "lines",
        "GET",
        f"{ROOT}/lines",
        "The lines of the gate, with what each saw last and how many products wait.",
        May.LOOK,
        {200: (told.Lines, "All lines that may be seen.")},
        lines,
    ),
    Operation(
        "targets",
        "GET",
        f"{ROOT}/targets",
        "Who is notified, and what has not been delivered.",
        May.LOOK,
        {200: (told.Targets, "All targets.")},
        targets,
    ),
    Operation(
        "health",
        "GET",
        HEALTH,
        "Whether the station and its store answer. Any name may ask, nobody needs a token.",
        None,
        {200: (told.Health, "They do.")},
        health,
    ),
)

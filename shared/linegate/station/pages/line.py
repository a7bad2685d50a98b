"""`/lines/{line}`: the last product of a line fills the screen, live; what a line wants on its wall."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from linegate.inspection import Check, Detection, Inspection, Result, Verdict
from linegate.ports import Queries
from linegate.search import Wanted
from linegate.station.live import Stream
from linegate.station.render import fragment, page
from linegate.station.rhythm import silent_after
from linegate.station.site import Site, site_of
from linegate.texts import printable

LAST: Final = 20
# A product without a verdict waits so long behind the one before it. On a fast line there always is one in work.
PATIENCE: Final = timedelta(seconds=1)
# What a person wants to see first. A result's word, and the verdict whose colour and shape it has.
RESULTS: Final = {
    Result.FAIL: ("defect", Verdict.FAIL),
    Result.UNSURE: ("not judged", Verdict.REVIEW),
    Result.PASS: ("cleared", Verdict.PASS),
}
MOST_FINDINGS: Final = 100


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the list beside the picture."""

    class_name: str
    word: str
    verdict: str  # whose shape and colour it has; empty where nothing is known yet
    figure: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Line:
    """The products that came last on a line, the newest first, and how many others of them can't be read."""

    items: tuple[Inspection, ...]
    unreadable: int = 0

    def lead(self, now: datetime) -> Inspection | None:
        """The product to show: the newest one, or the one decided last where the newest has only just come."""
        newest = self.items[0] if self.items else None
        if newest is None or newest.revision or now - newest.received_at > PATIENCE:
            return newest
        return next((item for item in self.items if item.revision), newest)


def last(queries: Queries, line: str, limit: int = LAST) -> Line:
    found = queries.search(Wanted(line=line), limit=limit)
    return Line(found.items, len(found.unreadable))


@dataclass(frozen=True, slots=True)
class WatchedLine:
    """A line as pages watch it: see `live.Watched`."""

    name: str

    @property
    def key(self) -> str:
        return f"line {self.name}"

    def load(self, site: Site) -> Line:
        return last(site.context.queries, self.name)

    def probe(self, site: Site) -> object:
        found = site.context.queries.search(Wanted(line=self.name), limit=1)
        return [marker(item) for item in found.items], found.unreadable

    def restless(self, records: Line) -> bool:
        return any(item.revision is None for item in records.items)

    def show(self, site: Site, records: Line, now: datetime) -> dict[str, Any]:
        lead = records.lead(now)
        newest = records.items[0].received_at if records.items else None
        limit = silent_after(site.settings.lines.get(self.name), [item.received_at for item in records.items])
        return {
            "lead": lead.inspection_id if lead else "",
            "marker": marker(lead) if lead else "",
            "verdict": lead.revision.decision.verdict.value if lead and lead.revision else "",
            "newest": newest.isoformat() if newest else "",
            "silent": newest is not None and now - newest > limit,
            "parts": {
                "product": product_part(site, lead),
                "strip": fragment(site, "line_strip.html", line=self.name, records=records),
            },
        }


def marker(inspection: Inspection) -> str:
    """Another one when there is something new to show of a product."""
    revision = inspection.revision.number if inspection.revision else 0
    return f"{inspection.inspection_id}.{revision}.{bool(inspection.manifest):d}.{len(inspection.contradicted)}"


def product_part(site: Site, inspection: Inspection | None) -> str:
    """All that is shown of one product, as HTML."""
    if inspection is None:
        return fragment(site, "line_empty.html")
    return fragment(
        site,
        "line_product.html",
        item=inspection,
        findings=findings(inspection),
        doubts=doubts(inspection),
        counted=_counted(inspection),
        picture=_picture(inspection),
    )


def findings(inspection: Inspection) -> list[Finding]:
    """Defects first, then what was not judged, then what was cleared; at most MOST_FINDINGS."""
    manifest, revision = inspection.manifest, inspection.revision
    detections = manifest.detections if manifest else ()
    if revision is None:
        return [Finding(each.class_name, "in work", "", _figure(each)) for each in detections[:MOST_FINDINGS]]
    review = revision.review
    told = [
        Finding(missed.class_name, "missed by the gate", Verdict.FAIL.value)
        for missed in (review.missed if review else ())
    ]
    ranked = sorted(revision.decision.checks, key=lambda check: list(RESULTS).index(check.result))
    for check in ranked[:MOST_FINDINGS]:
        if check.index >= len(detections):
            continue
        detection, (word, verdict) = detections[check.index], RESULTS[check.result]
        ruling = review.ruling(check.index) if review else None
        word = ruling.words if ruling else word
        told.append(Finding(detection.class_name, word, verdict.value, _figure(detection), _reason(check)))
    return told[:MOST_FINDINGS]


def doubts(inspection: Inspection) -> tuple[str, ...]:
    """What no finding of the list says: why nothing was inspected, or why what was found is not all."""
    revision, manifest = inspection.revision, inspection.manifest
    if revision is None or revision.decision.verdict not in (Verdict.REVIEW, Verdict.ERROR):
        return ()
    if manifest is None or not manifest.detections:
        return revision.decision.reasons
    return manifest.doubts


def _figure(detection: Detection) -> str:
    return str(detection.measure) if detection.measure else f"{detection.confidence:.2f}"


def _reason(check: Check) -> str:
    return printable(check.reason, 300)


def _counted(inspection: Inspection) -> str:
    """2 defects · 1 not judged · 3 cleared"""
    revision, manifest = inspection.revision, inspection.manifest
    if revision is None:
        return f"{len(manifest.detections)} in work" if manifest and manifest.detections else ""
    counts = Counter(check.result for check in revision.decision.checks)
    words = {result: word for result, (word, _) in RESULTS.items()}
    words[Result.FAIL] = "defect" if counts[Result.FAIL] == 1 else "defects"
    return " · ".join(f"{counts[result]} {words[result]}" for result in RESULTS if counts[result])


def _picture(inspection: Inspection) -> str:
    """Where it is had: annotated, or as it came while there is no verdict; empty where nobody could open it."""
    address = f"/pictures/{quote(inspection.inspection_id)}"
    revision = inspection.revision
    if revision and revision.annotated:
        return f"{address}/annotated?revision={revision.number}"
    return f"{address}/upload" if inspection.manifest else ""


def line(request: Request) -> Response:
    site, watched = site_of(request), _watched(request)
    shown = watched.show(site, watched.load(site), site.context.clock.now())
    return page(request, "line.html", line=watched.name, shown=shown)


def product(request: Request) -> Response:
    """One of the line's products as the page shows it, when a person asks for it."""
    site, name = site_of(request), _watched(request).name
    found = site.context.inspections.get(request.path_params["inspection_id"])
    if found is None or found.place.line != name:
        raise HTTPException(404)
    return HTMLResponse(product_part(site, found), headers={"Cache-Control": "no-store"})


async def live(request: Request) -> Response:
    return Stream(request.app.state.hub, _watched(request))


def _watched(request: Request) -> WatchedLine:
    """A line that there is."""
    settings, name = site_of(request).settings, str(request.path_params["line"])
    if name not in settings.lines and name not in settings.challenge_lines:
        raise HTTPException(404, "There is no such line.")
    return WatchedLine(name)


ROUTES: Sequence[Route] = [
    Route("/lines/{line}", line),
    Route("/lines/{line}/live", live),
    Route("/lines/{line}/products/{inspection_id}", product),
]

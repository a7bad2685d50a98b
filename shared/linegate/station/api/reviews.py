"""What a person decided: given to the gate, and what became of it."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from linegate.answers import Missed, Refusal, Review, Ruling
from linegate.handlers import giving
from linegate.inspection import Inspection, Revision
from linegate.shapes import Box
from linegate.station.api import asked, told
from linegate.station.api.inspections import found
from linegate.station.api.operation import INSPECTION, ROOT, Operation, Path, given
from linegate.station.problems import ProblemError
from linegate.station.site import Site, site_of
from linegate.station.tokens import machine_of
from linegate.station.who import person_of
from linegate.station_section import May
from linegate.texts import printable, visible
from linegate.verdict import lacking


def give(request: Request, _: asked.Nothing, said: asked.ReviewAsked) -> Response:
    """Kept as an event in every case; what is known already of its end is told at once."""
    site, known = site_of(request), found(request)
    review = _review(request, site, known, said)
    became = giving.outcome(site.context.queries, known.inspection_id, review.review_id)
    if became is None:
        giving.give(site.context, review, known.place.line)
        doomed = _doomed(site, known, review)
        if doomed is not None:
            raise doomed
    state = _state(known, review.review_id, became)
    if state.state == "refused":
        raise _refused(state.reason, state.first, state.look)
    return given(state, 200 if state.state == "counts" else 202, {"Location": _look(known, review.review_id)})


def state_of(request: Request, _: asked.Nothing, __: None) -> Response:
    site, known, identity = site_of(request), found(request), request.path_params["review_id"]
    became = giving.outcome(site.context.queries, known.inspection_id, identity)
    if became is None:
        raise ProblemError.of(
            404,
            "no-review",
            f"No review {identity[:40]} has been decided about.",
            "If it was answered with 202, the gate has not come to it yet: ask again. Is the gate running?",
            {"Retry-After": "1"},
        )
    return given(_state(known, identity, became))


def _review(request: Request, site: Site, known: Inspection, said: asked.ReviewAsked) -> Review:
    machine, person = machine_of(request), person_of(request)
    if said.author is not None and machine is None:
        raise ProblemError.of(422, "not-yours", "You decide under your own name.", "Leave `author` out.")
    author = f"{said.author.strip()} ({person.name})" if said.author else person.name
    if not author:
        raise ProblemError.of(401, "no-name", "Nobody knows who decides.", "Send a token that may review, or sign in.")
    try:
        return Review(
            known.inspection_id,
            author,
            visible(f"api {person.origin}".strip()),
            said.seen,
            site.context.clock.now(),
            tuple(Ruling(each.index, each.disposition) for each in said.rulings),
            tuple(Missed(each.class_name, Box(**each.box.model_dump()) if each.box else None) for each in said.missed),
            said.looked,
            said.comment,
        )
    except ValueError as error:
        raise ProblemError.of(422, "bad-review", f"{error}.", "Mend it; nothing was kept.") from error


def _state(known: Inspection, review_id: str, became: Revision | Refusal | None) -> told.ReviewState:
    """What became of a review; it waits where nothing is known of it yet."""
    revision = became if isinstance(became, Revision) else None
    refusal = became if isinstance(became, Refusal) else None
    return told.ReviewState(
        review_id=review_id,
        state="counts" if revision else "refused" if refusal else "waiting",
        revision=revision.number if revision else None,
        verdict=revision.decision.verdict if revision else None,
        reason=printable(refusal.reason, 2000) if refusal else "",
        first=visible(refusal.first) if refusal else "",
        look=_look(known, review_id),
    )


def _doomed(site: Site, known: Inspection, review: Review) -> ProblemError | None:
    """What the gate will surely answer: revisions only become more, so what is too late now stays so."""
    look, standing = _look(known, review.review_id), known.revision
    if standing is None:
        return _refused("There is no verdict yet.", "", look)
    if standing.number != review.seen:
        revisions = site.context.queries.revisions(known.inspection_id)
        later = [each for each in revisions if each.number > review.seen]
        first = next((each for each in later if each.decided_by.is_person), later[0] if later else None)
        if first is None:
            return _refused(f"There is no revision {review.seen} to decide about.", "", look)
        who = f"{first.decided_by.name} was first" if first.decided_by.is_person else "The machine decided again"
        verdict = first.decision.verdict
        return _refused(f"{who}: revision {first.number} is {verdict}. Look again.", str(first.decided_by), look)
    faults = lacking(known.manifest, standing, review)
    return _refused(" ".join(faults), "", look) if faults else None


def _refused(reason: str, first: str, look: str) -> ProblemError:
    return ProblemError.of(
        409,
        "refused",
        reason,
        "Look at the product as it stands now, and decide again. This one is kept as refused.",
        first=visible(first),
        look=look,
    )


def _look(known: Inspection, review_id: str) -> str:
    return f"{ROOT}/inspections/{known.inspection_id}/reviews/{review_id}"


OPERATIONS: Final = (
    Operation(
        "review",
        "POST",
        f"{ROOT}/inspections/{{inspection_id}}/reviews",
        "Give the gate what a person decided. Said again, it is the same review.",
        May.REVIEW,
        {
            200: (told.ReviewState, "It counts already."),
            202: (told.ReviewState, "It is kept; `look` tells what becomes of it."),
        },
        give,
        parts=(INSPECTION,),
        body=asked.ReviewAsked,
        problems={
            404: "Nothing is known of the inspection.",
            409: "Refused, and kept as refused: `detail` says why, `first` who was first.",
            413: "The body is too large.",
            415: "The body is no JSON.",
            422: "The body can't be understood; nothing was kept.",
        },
    ),
    Operation(
        "review_state",
        "GET",
        f"{ROOT}/inspections/{{inspection_id}}/reviews/{{review_id}}",
        "What became of a review.",
        May.LOOK,
        {200: (told.ReviewState, "Its state.")},
        state_of,
        parts=(INSPECTION, Path("review_id", "Of the review.", asked.ID, 32)),
        problems={404: "Nothing is known of the inspection, or the gate has not come to the review yet."},
    ),
)

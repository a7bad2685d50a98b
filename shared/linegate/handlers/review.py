"""A person's decision: the next revision, or refused and kept. However often it comes, and whoever was first."""

from dataclasses import asdict

from linegate.answers import Refusal, Review
from linegate.deciders import Decider
from linegate.errors import PermanentError, TransientError
from linegate.handlers.context import Context
from linegate.handlers.revise import resume, revise
from linegate.inspection import Inspection, Revision
from linegate.logs import bound, log
from linegate.messages import ReviewGiven
from linegate.precedence import Step
from linegate.verdict import answered, lacking


def review(context: Context, given: ReviewGiven) -> None:
    """Make what a person decided the next revision, if they had seen what stands and left nothing out; else keep it as refused.

    What was refused once stays so. Raises TransientError, also where they saw a revision that is not there yet, and
    PermanentError for an inspection that does not exist.
    """
    said = given.review
    inspection = context.inspections.get(said.inspection_id)
    if inspection is None:
        raise PermanentError(f"there is no inspection {said.inspection_id} to decide about")
    with bound(**asdict(inspection.place)):
        if any(refusal.review.review_id == said.review_id for refusal in context.queries.refusals(said.inspection_id)):
            log.info("review.already_refused", review=said.review_id)
            return
        _settle(context, inspection, said)


def _settle(context: Context, inspection: Inspection, said: Review) -> None:
    standing, author = inspection.revision, Decider.person(said.author)
    if said.seen > (standing.number if standing else 0):
        # Refused now, its double that is delivered a moment later would count.
        raise TransientError(f"there is no revision {said.seen} of inspection {said.inspection_id} yet")
    if standing is not None and standing.number == said.seen:
        faults = lacking(inspection.manifest, standing, said)
        if faults:
            _refuse(context, inspection, said, " ".join(faults))
            return
        decision = answered(inspection.manifest, standing, said)
        if revise(context, inspection, decision, author, review=said) is not Step.REFUSED:
            return
        inspection = context.inspections.get(said.inspection_id) or inspection
    later = [each for each in context.queries.revisions(said.inspection_id) if each.number > said.seen]
    if any(each.review is not None and each.review.review_id == said.review_id for each in later):
        resume(context, inspection, author)  # it came again
        return
    first = next((each for each in later if each.decided_by.is_person), later[0] if later else None)
    _refuse(context, inspection, said, _too_late(first), first)


def _too_late(first: Revision | None) -> str:
    if first is None:
        return "There is no verdict yet."
    verdict = f"revision {first.number} is {first.decision.verdict}"
    if first.decided_by.is_person:
        return f"{first.decided_by.name} was first: {verdict}. Look again."
    return f"The machine decided again meanwhile: {verdict}. Look again."


def _refuse(context: Context, inspection: Inspection, said: Review, reason: str, first: Revision | None = None) -> None:
    standing = inspection.revision.number if inspection.revision else 0
    refusal = Refusal(said, reason, context.clock.now(), standing, str(first.decided_by) if first else "")
    context.inspections.refuse(refusal)
    log.warning("review.refused", reason=reason, author=said.author, seen=said.seen, standing=standing)

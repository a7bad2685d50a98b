"""Which revision of an inspection may follow which: the one rule, whoever decides and however often it is told.

| stands        | machine, incomplete | machine, complete | same machine | person who saw it | person who did not | same review |
|---------------|---------------------|-------------------|--------------|-------------------|--------------------|-------------|
| nothing       | next                | next              |              |                   | refused            |             |
| an incomplete | stands              | next              | repeat       | next              | refused            |             |
| a complete    | stands              | stands            | repeat       | next              | refused            |             |
| a person's    | stands              | stands            |              | next              | refused            | repeat      |

A machine is a check, detect or sweep. Who saw it names the very revision that stands: what was decided since, by whomever, they
must look at first. The verdict plays no part.
"""

from enum import StrEnum

from linegate.answers import Review
from linegate.deciders import Decider
from linegate.inspection import Revision


class Step(StrEnum):
    """What becomes of a decision."""

    NEXT = "next"  # it is the next revision
    REPEAT = "repeat"  # it is the revision that stands, told again after a crash or by a redelivery
    STANDS = "stands"  # a machine's, and the revision that stands stays the latest
    REFUSED = "refused"  # a person's, who had not seen what stands


def step(standing: Revision | None, decided_by: Decider, *, complete: bool, review: Review | None = None) -> Step:
    """What becomes of a decision where the latest revision is `standing`; `review` is a person's."""
    if review is not None:
        if standing is not None and standing.review is not None and standing.review.review_id == review.review_id:
            return Step.REPEAT
        return Step.NEXT if standing is not None and standing.number == review.seen else Step.REFUSED
    if standing is None:
        return Step.NEXT
    if standing.decided_by == decided_by:
        return Step.REPEAT
    if standing.decided_by.is_person or standing.decision.complete or not complete:
        return Step.STANDS
    return Step.NEXT

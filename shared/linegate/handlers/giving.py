"""What a person decided, given to the gate and followed until it counts or was refused: by the command line and by pages."""

import time
from typing import Final

from linegate.answers import Refusal, Review
from linegate.events import to_message
from linegate.handlers.context import Context
from linegate.inspection import Revision
from linegate.messages import ReviewGiven
from linegate.ports import Queries
from linegate.stages import REVIEWS

POLL_S: Final = 0.1


def give(context: Context, review: Review, line: str) -> None:
    """Hand over a review of a product of this line; the stage `review` decides what becomes of it. Raises TransientError."""
    context.publisher.publish(REVIEWS, [to_message(ReviewGiven(review.inspection_id, line, review))])


def outcome(queries: Queries, inspection_id: str, review_id: str) -> Revision | Refusal | None:
    """The revision that a review made, or its refusal; None if there is neither yet. Raises TransientError."""
    for revision in queries.revisions(inspection_id):
        if revision.review is not None and revision.review.review_id == review_id:
            return revision
    return next((one for one in queries.refusals(inspection_id) if one.review.review_id == review_id), None)


def wait_for(queries: Queries, review: Review, patience_s: float) -> Revision | Refusal | None:
    """The same as soon as there is one; None if none came in time. Raises TransientError."""
    until = time.monotonic() + patience_s
    while True:
        found = outcome(queries, review.inspection_id, review.review_id)
        if found is not None or time.monotonic() >= until:
            return found
        time.sleep(POLL_S)

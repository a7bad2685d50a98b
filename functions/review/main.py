"""A person decided: the next revision, or refused and kept."""

import functions_framework
from cloudevents.http import CloudEvent

from linegate.handlers.review import review as handle
from linegate.messages import ReviewGiven
from linegate.serve import serve
from linegate.startup import make_ready

make_ready("review")


@functions_framework.cloud_event
def review(event: CloudEvent) -> None:
    serve(event, ReviewGiven, lambda app, given: handle(app.context, given))

"""One check: record it; the last one decides the board."""

import functions_framework
from cloudevents.http import CloudEvent

from linegate.handlers.aggregate import aggregate as handle
from linegate.messages import CheckMade
from linegate.serve import serve
from linegate.startup import make_ready

make_ready("aggregate")


@functions_framework.cloud_event
def aggregate(event: CloudEvent) -> None:
    serve(event, CheckMade, lambda app, check: handle(app.context, check))

"""The clock struck: decide what is overdue, publish again what got lost."""

import functions_framework
from cloudevents.http import CloudEvent

from linegate.handlers.sweep import sweep as handle
from linegate.messages import SweepDue
from linegate.serve import serve
from linegate.startup import make_ready

make_ready("sweep")


@functions_framework.cloud_event
def sweep(event: CloudEvent) -> None:
    serve(event, SweepDue, lambda app, _: handle(app.context))

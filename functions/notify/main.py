"""One notification: send it to its target."""

import functions_framework
from cloudevents.http import CloudEvent

from linegate.handlers.notify import notify as handle
from linegate.messages import NotificationDue
from linegate.serve import serve
from linegate.startup import make_ready

make_ready("notify")


@functions_framework.cloud_event
def notify(event: CloudEvent) -> None:
    serve(event, NotificationDue, lambda app, due: handle(app.context, due, app.target))

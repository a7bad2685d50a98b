"""An uploaded picture: find the suspected defects."""

import functions_framework
from cloudevents.http import CloudEvent

from linegate.handlers.detect import detect as handle
from linegate.messages import ImageUploaded
from linegate.serve import serve
from linegate.startup import make_ready

make_ready("detect")


@functions_framework.cloud_event
def detect(event: CloudEvent) -> None:
    serve(event, ImageUploaded, lambda app, upload: handle(app.context, upload, app.registrar, app.detectors))

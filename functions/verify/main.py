"""One crop: is it a defect?"""

import functions_framework
from cloudevents.http import CloudEvent

from linegate.handlers.verify import verify as handle
from linegate.messages import CropReady
from linegate.serve import serve
from linegate.startup import make_ready

make_ready("verify")


@functions_framework.cloud_event
def verify(event: CloudEvent) -> None:
    serve(event, CropReady, lambda app, crop: handle(app.context, crop, app.verifier))

"""A product that can't be inspected ▶ ERROR, with a note where a person looks for what was refused."""

import json

from linegate.deciders import DETECT
from linegate.errors import ObjectMissingError
from linegate.handlers.context import Context
from linegate.handlers.revise import revise
from linegate.inspection import Inspection
from linegate.logs import log
from linegate.verdict import rejected


def refuse(context: Context, inspection: Inspection, reason: str) -> None:
    """May run any number of times: what is decided stays decided, and whoever is to hear of it does. Raises TransientError."""
    _quarantine(context, inspection, reason)
    revise(context, inspection, rejected(reason), DETECT)


def _quarantine(context: Context, inspection: Inspection, reason: str) -> None:
    """Leave a copy and the reason where a person will look for it."""
    bucket = context.settings.storage.results_bucket
    name = f"quarantine/{inspection.inspection_id}"
    try:
        # It may be as large as the disk: it stays where it is.
        if context.images.size(inspection.image) > context.settings.images.max_bytes:
            reason = f"{reason} (too large to be copied)"
        else:
            context.images.copy(inspection.image, bucket, name)
    except ObjectMissingError:
        reason = f"{reason} (so there is no copy)"
    note = {
        "inspection_id": inspection.inspection_id,
        "bucket": inspection.image.bucket,
        "object": inspection.image.name,
        "generation": inspection.image.generation,
        "received_at": inspection.received_at.isoformat(),
        "reason": reason,
    }
    context.images.write(bucket, f"{name}.json", json.dumps(note, indent=2).encode(), "application/json")
    log.warning("upload.rejected", reason=reason, object=inspection.image.name)

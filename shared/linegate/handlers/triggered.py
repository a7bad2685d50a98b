"""A trigger without a picture ▶ the ERROR of its part."""

from typing import Final

from linegate.handlers.context import Context
from linegate.handlers.refuse import refuse
from linegate.handlers.shot import DEFAULT_DEADLINE
from linegate.inspection import Inspection, ObjectRef, Place
from linegate.line.conversation import KeptConversation
from linegate.line.handshake import Job
from linegate.logs import bound, log
from linegate.texts import visible

# What stands for a picture that never came, in the bucket of uploads: no upload can have that name.
FOLDER: Final = "no-picture"


def missing(context: Context, conversation: KeptConversation, job: Job) -> None:
    """The part of a trigger without a picture is ERROR, and everybody is told, as of an upload that is refused.

    May run any number of times: its id is made of line, part and the moment of the trigger. Raises TransientError.
    """
    line, settings, since = conversation.line, context.settings, job.since
    image = ObjectRef(
        settings.storage.uploads_bucket, f"{FOLDER}/{line}/{job.part}", int(1_000_000 * since.timestamp())
    )
    known = settings.recipe_of(line)
    inspection = Inspection(
        inspection_id=image.inspection_id,
        image=image,
        place=Place(line, "", visible(job.part[:200])),
        recipe=known[0] if known else "",
        uploaded_at=since,
        received_at=since,
        deadline=context.clock.now() + DEFAULT_DEADLINE,
    )
    with bound(inspection_id=image.inspection_id, line=line, serial=inspection.place.serial):
        within = f"{conversation.rules.picture_s:g} s of its trigger (job {job.number})"
        log.warning("part.without_picture", job=job.number)
        refuse(context, context.inspections.open(inspection), f"no picture of this part came within {within}")
    conversation.told(job)

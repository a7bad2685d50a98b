"""One crop ▶ one check. What a verifier can't say is UNSURE; it is never redelivered for a service's faults.

A service that is asked too much is another matter: the check waits for its turn on the bus, until the product's deadline.
"""

from collections.abc import Callable
from datetime import timedelta
from time import perf_counter

from linegate.errors import DeferredError, LinegateError
from linegate.events import to_message
from linegate.handlers.context import Context
from linegate.inspection import Check, Result
from linegate.logs import log
from linegate.messages import CheckMade, CropReady
from linegate.ports import Judgement, Verifier
from linegate.settings import Recipe
from linegate.stages import CHECKS
from linegate.texts import brief


def verify(context: Context, crop: CropReady, verifier: Callable[[Recipe], Verifier]) -> None:
    """Judge one crop and publish its check. Raises TransientError if it can't be published, DeferredError while it may wait."""
    if crop.again and context.inspections.has_check(crop.inspection_id, crop.index):
        log.info("crop.already_checked", index=crop.index)
        return
    started = perf_counter()
    recipe = context.settings.recipes.get(crop.recipe)
    if recipe is None:
        judgement = Judgement(Result.UNSURE, f"Recipe {crop.recipe!r} is no longer in the configuration.", "")
    else:
        try:
            judgement = verifier(recipe).verify(crop.crop, crop.reference, crop.detection)
        except DeferredError as error:
            if _can_wait(context, crop, error):
                raise
            judgement = Judgement(Result.UNSURE, f"The verifier had no time for it before the deadline: {error}.", "")
        except LinegateError as error:
            judgement = Judgement(Result.UNSURE, f"The verifier could not answer: {error}.", "")
    check = Check(
        index=crop.index,
        result=judgement.result,
        reason=brief(judgement.reason),
        model=judgement.model,
        model_version=judgement.model_version,
        latency_ms=1000 * (perf_counter() - started),
        tokens=judgement.tokens,
    )
    log.info("crop.checked", index=crop.index, result=check.result.value, latency_ms=round(check.latency_ms))
    made = CheckMade(crop.inspection_id, crop.line, crop.expected, check, crop.deadline)
    context.publisher.publish(CHECKS, [to_message(made)])


def _can_wait(context: Context, crop: CropReady, error: DeferredError) -> bool:
    """Whether it may be asked again, when it is told to, before the product's deadline."""
    wait = timedelta(seconds=error.retry_after_s or 0)
    return crop.deadline is not None and context.clock.now() + wait < crop.deadline

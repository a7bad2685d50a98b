"""The one way a function's `main.py` serves an event: parse, call the handler, answer by the class of the error."""

import base64
import binascii
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from math import ceil
from time import perf_counter
from typing import Any, TypeVar

from cloudevents.http import CloudEvent
from flask import has_request_context, request
from werkzeug.exceptions import HTTPException, ServiceUnavailable, TooManyRequests

from linegate import bootstrap, config
from linegate.admission import admit
from linegate.errors import ConfigError, DeferredError, MessageError, PermanentError, TransientError
from linegate.events import parse
from linegate.inspection import place_of
from linegate.logs import bound, log
from linegate.ports import Message
from linegate.stages import BY_MESSAGE, REASON, dead_letter

T = TypeVar("T")


def serve(event: CloudEvent, wanted: type[T], handle: Callable[[bootstrap.App, T], None]) -> None:
    """Hand the message inside `event` to `handle`, if whoever pushed it may.

    Returning acknowledges it. A message that can't be parsed is published to its stage's dead letter with the reason; a
    PermanentError is logged. Everything else becomes a 5xx, so that the message is delivered again; but the last delivery of
    what sweep publishes again is acknowledged.
    """
    app = bootstrap.app()
    started = perf_counter()
    stage = BY_MESSAGE[wanted]
    attempt = _attempt(event)
    with bound(stage=stage.name, attempt=attempt):
        if not bootstrap.in_use():  # it came through a port
            _admit(app)
        try:
            message = parse(event["type"], event.data, wanted)
        except TransientError as error:
            log.warning("message.newer", reason=str(error))
            raise ServiceUnavailable(str(error)) from error
        except MessageError as error:
            log.error("message.unparseable", reason=str(error))
            app.context.publisher.publish(dead_letter(stage.topic), [_remains(event.data, str(error))])
            return
        if message is None:
            log.info("message.not_for_us", type=event["type"])
            return
        with bound(**_ids(message)):
            try:
                handle(app, message)
            except PermanentError as error:
                log.error("message.refused", reason=str(error), duration_ms=_since(started))
                return
            except (TransientError, ConfigError) as error:
                if stage.swept and (attempt or 0) >= app.settings.retry.attempts:
                    # Its last delivery: a dead letter would say what is not so.
                    log.warning("message.left_to_sweep", reason=str(error), duration_ms=_since(started))
                    return
                log.warning("message.failed", reason=str(error), duration_ms=_since(started))
                wait = error.retry_after_s if isinstance(error, TransientError) else None
                # 429 for what we refused ourselves: at the edge it is no attempt. Pub/Sub counts it; what it buries, sweep
                # publishes again.
                refusal = TooManyRequests if isinstance(error, DeferredError) else ServiceUnavailable
                raise refusal(str(error), retry_after=None if wait is None else ceil(wait)) from error
            except Exception:
                log.exception("message.crashed", duration_ms=_since(started))
                raise
            log.info("message.done", duration_ms=_since(started))


def _admit(app: bootstrap.App) -> None:
    """Nothing of a push is looked at before whoever sent it is known."""
    try:
        cloud = app.settings.cloud is not None
        admit(request.headers.get("authorization", ""), config.push_trust(), cloud=cloud)
    except HTTPException as error:
        log.error("push.refused", reason=error.description)
        raise
    except TransientError as error:
        log.warning("push.unverified", reason=str(error))
        raise ServiceUnavailable(str(error)) from error


def _attempt(event: CloudEvent) -> int | None:
    """Which delivery this is; functions-framework drops it from the event that it makes of a request, which still has it."""
    body = request.get_json(silent=True) if has_request_context() else event.data
    attempt = body.get("deliveryAttempt") if isinstance(body, dict) else None
    return attempt if isinstance(attempt, int) else None


def _ids(message: object) -> dict[str, Any]:
    image = getattr(message, "image", None)
    inspection_id = image.inspection_id if image else getattr(message, "inspection_id", None)
    metadata = getattr(message, "metadata", {})
    place = asdict(place_of(image.name, metadata)) if image else {"line": getattr(message, "line", None)}
    fields = {"inspection_id": inspection_id, **place}
    return {key: value for key, value in fields.items() if value is not None}


def _remains(data: object, reason: str) -> Message:
    """What there is of a message that can't be parsed, kept as it came as far as that is possible."""
    message = data.get("message") if isinstance(data, dict) else None
    attributes: dict[str, str] = {}
    content = data if isinstance(data, bytes) else json.dumps(data, default=repr).encode()
    if isinstance(message, dict):
        if isinstance(message.get("attributes"), dict):
            attributes = {str(key): str(value) for key, value in message["attributes"].items()}
        with suppress(binascii.Error, TypeError, ValueError):  # not base64: the whole event is kept instead
            content = base64.b64decode(message.get("data") or "", validate=True)
    return Message(content, attributes | {REASON: reason[:1000]})


def _since(started: float) -> float:
    return round(1000 * (perf_counter() - started), 1)

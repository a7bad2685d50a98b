"""What a function answers, by what became of the message."""

from pathlib import Path

import pytest
from cloudevents.http import CloudEvent
from flask import Flask
from werkzeug.exceptions import ServiceUnavailable

from linegate import bootstrap
from linegate.config import parse
from linegate.errors import TransientError
from linegate.events import push_body, to_message
from linegate.inspection import Check, Result
from linegate.messages import CheckMade, Event, NotificationDue
from linegate.serve import serve

NOTIFICATION = NotificationDue("id", "smt-1", "hmi", "id_r1_hmi")
CHECK = CheckMade("id", "smt-1", 1, Check(0, Result.PASS, "Only dust."))
CONFIG = "recipes: {pcb: {golden: golden.png}}\nlines: {smt-1: {recipe: pcb}}\nedge: {retry: {attempts: 7}}"


def fails(app: bootstrap.App, message: Event) -> None:
    raise TransientError("it answered 503")


def served(message: Event, attempt: int, folder: Path) -> None:
    """Serve a message that fails, in this delivery."""
    body = push_body(to_message(message), message_id="1", publish_time="", subscription="s", attempt=attempt)
    event = CloudEvent({"type": "google.cloud.pubsub.topic.v1.messagePublished", "source": "s"}, body)
    app = bootstrap.local(parse(CONFIG, folder, {}))
    with bootstrap.use(app), Flask("test").test_request_context(json=body):
        serve(event, type(message), fails)


def test_deliveries_end_before_a_notification_is_given_up_which_is_then_no_dead_letter(tmp_path: Path) -> None:
    """Its last delivery is acknowledged: the entry is PENDING, and sweep publishes it again."""
    served(NOTIFICATION, 7, tmp_path)


@pytest.mark.parametrize(("message", "attempt"), [(NOTIFICATION, 6), (CHECK, 6), (CHECK, 7)])
def test_whatever_else_fails_is_delivered_again_to_the_end(message: Event, attempt: int, tmp_path: Path) -> None:
    with pytest.raises(ServiceUnavailable, match="it answered 503"):
        served(message, attempt, tmp_path)

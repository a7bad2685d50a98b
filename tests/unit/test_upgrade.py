"""While a release takes over, instances of two releases serve the same topics: nothing is lost in either direction.

`tests/fixtures/messages.json` holds messages as release 0.1.0 sent them; that they are read is pinned in test_stored.py.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from linegate.adapters.local.bus import LocalBus
from linegate.bootstrap import local
from linegate.config import parse as read_settings
from linegate.edge.functions import in_process
from linegate.errors import TransientError
from linegate.events import SCHEMA, parse, push_body, to_message
from linegate.ports import Message
from linegate.stages import STAGES
from tests.fakes import holds

SENT = json.loads((Path(__file__).parents[1] / "fixtures" / "messages.json").read_text())
SENT["sweep_due"] = {"data": {"schema": 1}, "attributes": {"type": "sweep.due"}}  # as Cloud Scheduler sends it
TAKES = {stage.type: stage.takes for stage in STAGES.values() if stage.type}
CONFIG = "recipes: {pcb: {golden: golden.png}}\nlines: {smt-1: {recipe: pcb}}"


def pushed(data: dict[str, Any], attributes: dict[str, str]) -> dict[str, Any]:
    message = Message(json.dumps(data).encode(), attributes)
    return push_body(message, message_id="1", publish_time="", subscription="s", attempt=1)


def read(sent: dict[str, Any], **changes: object) -> Any:
    """What an instance makes of a message, with these fields in place of its own or added to them."""
    body = pushed(sent["data"] | changes, sent["attributes"])
    return parse("google.cloud.pubsub.topic.v1.messagePublished", body, TAKES[sent["attributes"]["type"]])


@pytest.mark.parametrize("name", SENT)
def test_what_the_next_release_adds_to_a_message_is_passed_over_by_this_one(name: str) -> None:
    """A field that is new leaves the schema as it is."""
    assert read(SENT[name], added={"by": "the next release"}) == read(SENT[name])


@pytest.mark.parametrize("name", SENT)
def test_what_this_release_sends_is_read_by_the_one_before_which_knows_fewer_fields(name: str) -> None:
    """An instance of the release before passes over what it does not know; all that it does know is still there."""
    today = json.loads(to_message(read(SENT[name])).data)
    assert holds(today, SENT[name]["data"])


@pytest.mark.parametrize("name", SENT)
def test_a_message_of_a_newer_schema_waits_for_the_instance_that_reads_it(name: str) -> None:
    with pytest.raises(TransientError, match=f"schema {SCHEMA + 1} is not known here"):
        read(SENT[name], schema=SCHEMA + 1)


def test_a_function_asks_for_it_again_and_buries_nothing(tmp_path: Path) -> None:
    app = local(read_settings(CONFIG, tmp_path, {}))
    sent = SENT["check_made"]
    response = in_process(app)("aggregate", pushed(sent["data"] | {"schema": SCHEMA + 1}, sent["attributes"]))
    assert (response.status, "schema" in response.said) == (503, True)
    assert isinstance(app.context.publisher, LocalBus)
    assert not app.context.publisher.dead_letters()

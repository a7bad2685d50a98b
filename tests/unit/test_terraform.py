"""What Terraform and the package must have in common, and no plan shows: the order of stages, what filters ask for."""

import re
from pathlib import Path

from linegate.events import to_message
from linegate.messages import NotificationDue
from linegate.stages import BY_TOPIC, STAGES

STAGES_FILE = Path(__file__).parents[2] / "terraform" / "stages.tf"


def waits_for() -> dict[str, set[str]]:
    """Of each stage's module, the stages whose modules are done before it."""
    blocks = re.findall(r'^module "(\w+)" \{\n(.*?)^\}', STAGES_FILE.read_text(), re.MULTILINE | re.DOTALL)
    named = {name: set(re.findall(r"module\.(\w+)", body.partition("depends_on")[2])) for name, body in blocks}
    for _ in named:
        named = {name: first.union(*(named[each] for each in first)) for name, first in named.items()}
    return named


def test_each_stage_is_deployed_after_those_it_writes_to() -> None:
    order = waits_for()
    assert set(order) == set(STAGES)
    for name, stage in STAGES.items():
        assert {BY_TOPIC[topic].name for topic in stage.publishes_to} <= order[name], name


def test_a_notification_carries_what_the_filter_of_its_target_asks_for() -> None:
    """Google's emulator ignores filters: that they hold is Pub/Sub's, that they fit is ours."""
    (attribute,) = re.findall(r'=> "attributes\.(\w+) = \\"\$\{target\}\\""', STAGES_FILE.read_text())
    message = to_message(NotificationDue("1" * 32, "smt-1", "hmi", "entry"))
    assert message.attributes[attribute] == "hmi"

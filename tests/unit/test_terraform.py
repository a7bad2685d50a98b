"""Terraform deploys what reads a message before what writes it. A plan shows no order; its files do."""

import re
from pathlib import Path

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

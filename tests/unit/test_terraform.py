"""What Terraform and the package must have in common, and no plan shows: the order of stages, what filters ask for."""

import re
from pathlib import Path
from typing import Final

import pytest
import yaml

from linegate.config import without_secrets
from linegate.events import to_message
from linegate.messages import NotificationDue, ReviewGiven
from linegate.stages import BY_MESSAGE, BY_TOPIC, STAGES, STATION, STATION_INSTANCE
from linegate.station.addresses import hosts
from linegate.station.live import MOST_STREAMS

ROOT: Final = Path(__file__).parents[2]
TERRAFORM: Final = ROOT / "terraform"
STAGES_FILE: Final = TERRAFORM / "stages.tf"


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


def test_the_station_is_deployed_after_who_reads_what_it_writes() -> None:
    text = (TERRAFORM / "station.tf").read_text()
    (function,) = re.findall(
        r'^resource "google_cloudfunctions2_function" "station" \{\n(.*?)^\}', text, re.MULTILINE | re.DOTALL
    )
    reader = BY_MESSAGE[ReviewGiven].name
    assert f"module.{reader}" in function.partition("depends_on")[2]


def test_an_instance_of_the_station_takes_all_pages_that_it_serves_and_some_requests_beside() -> None:
    assert MOST_STREAMS < STATION_INSTANCE.concurrency <= 1000, "Cloud Run lets in a thousand at most"
    assert STATION_INSTANCE.timeout_s <= 3600, "and ends a request after an hour"


@pytest.mark.parametrize("name", ["dev", "prod"])
def test_the_stations_of_the_examples_know_their_people_and_their_name(name: str) -> None:
    settings = without_secrets(TERRAFORM / "envs" / f"{name}.yaml")
    assert f"gate.{name}.my-plant.example" in hosts(settings)
    assert settings.station.iap_audience
    assert all(person == person.lower() and "@" in person for person in settings.station.people)
    assert settings.targets["quality"].reports


def test_the_door_leads_to_the_function_that_the_gate_deploys() -> None:
    door, gate = ((TERRAFORM / path).read_text() for path in ("station/main.tf", "station.tf"))
    assert f'"${{local.prefix}}-{STATION}"' in door
    assert f'"${{local.prefix}}-{STATION}"' in gate


def test_cloud_build_tries_every_root() -> None:
    steps = {step["id"]: step for step in yaml.safe_load((ROOT / "cloudbuild.yaml").read_text())["steps"]}
    (listed,) = re.findall(r"for root in ([a-z ]+); do", steps["terraform-check"]["args"][1])
    roots = {path.parent.name for path in TERRAFORM.glob("*/versions.tf")}
    assert set(listed.split()) == roots

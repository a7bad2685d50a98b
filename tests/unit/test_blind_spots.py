"""A recipe under which nothing could be seen is refused, in words of the file."""

from pathlib import Path

import pytest

from linegate.adapters.golden.classes import GOLDEN_CLASSES
from linegate.blind_spots import covered
from linegate.config import parse
from linegate.errors import ConfigError
from linegate.sections import Zone


def faults(recipe: str, sections: str = "") -> list[str]:
    try:
        parse(f"recipes: {{pcb: {{{recipe}}}}}\nlines: {{smt-1: {{recipe: pcb}}}}\n{sections}", Path(), {})
    except ConfigError as error:
        return list(error.faults)
    return []


ROBOFLOW = "detector: roboflow, verifier: none, workflow: {id: pcb"


@pytest.mark.parametrize(
    ("recipe", "fault"),
    [
        ("golden: g, confidence: 1", "recipes.pcb.confidence: must be less than 0.99, not 1"),
        ("golden: g, confidence: 0.99", "recipes.pcb.confidence: must be less than 0.99"),
        (
            "golden: g, classes: {spur: {minimum_confidence: 1}}",
            "recipes.pcb.classes.spur.minimum_confidence: must be less than 0.99, not 1",
        ),
        (
            "golden: g, classes: {missing-hole: {verify: never}}",
            "recipes.pcb.classes.missing-hole: detector 'golden' names no such class; there is open_circuit, short",
        ),
        (
            "golden: g, ignore: [{left: 0, top: 0, right: 1, bottom: 1}]",
            "recipes.pcb.ignore: covers 100% of the picture",
        ),
        (
            "golden: g, ignore: [{left: 0, top: 0, right: 0.6, bottom: 1}, {left: 0.5, top: 0, right: 1, bottom: 0.95}]",
            "recipes.pcb.ignore: covers 98% of the picture",
        ),
        ("golden: g, limits: {least_contrast: 0}", "recipes.pcb.limits.least_contrast: "),
        (
            f"{ROBOFLOW}, parameters: {{confidence: 1}}}}",
            "recipes.pcb.workflow.parameters.confidence: 1 hides what the recipe wants to see",
        ),
        (f"{ROBOFLOW}, exclude: [predictions]}}", "recipes.pcb.workflow.exclude: 'predictions' is needed"),
        (f"{ROBOFLOW}, predictions: found, exclude: [found]}}", "recipes.pcb.workflow.exclude: 'found' is needed"),
        (
            f"{ROBOFLOW}}}, deadline_s: 40",
            "roboflow.budget_s: must be shorter than deadline_s of recipe 'pcb' (40), not 45",
        ),
    ],
)
def test_what_blinds_the_gate_is_refused(recipe: str, fault: str) -> None:
    (found,) = faults(recipe, "roboflow: {workspace: w}")
    assert found.startswith(fault)


@pytest.mark.parametrize(
    "recipe",
    [
        "golden: g, confidence: 0.95",
        "golden: g, ignore: [{left: 0, top: 0, right: 0.8, bottom: 1}]",
        f"golden: g, classes: {{{', '.join(f'{name}: {{verify: never}}' for name in GOLDEN_CLASSES)}}}",
        "golden: g, limits: {blur: 0, noise: 0, hidden: 0, contrast: 0, brightness: 0}",
        f"{ROBOFLOW}, parameters: {{confidence: 0.1}}, exclude: [crops]}}, classes: {{my-own: {{verify: never}}}}",
    ],
)
def test_what_only_narrows_its_sight_is_not(recipe: str) -> None:
    assert faults(recipe, "roboflow: {workspace: w}") == []


CLOUD = "cloud: {project: my-plant-dev, golden_bucket: g}"


@pytest.mark.parametrize(
    ("recipe", "service", "fault"),
    [
        (
            f"{ROBOFLOW}}}, deadline_s: 600",
            "roboflow: {workspace: w, budget_s: 110}",
            "roboflow.budget_s: 105 at most on Google Cloud, where detect ends after 120 s, not 110",
        ),
        (
            "golden: g, verifier: gemini, check_budget_s: 170, deadline_s: 600",
            "gemini: {api_key: k}",
            "recipes.pcb.check_budget_s: 165 at most on Google Cloud, where verify ends after 180 s, not 170",
        ),
    ],
)
def test_a_budget_ends_before_the_function_that_waits(recipe: str, service: str, fault: str) -> None:
    assert faults(recipe, service) == [], "beside a line no function ends"
    assert faults(recipe, f"{service}\n{CLOUD}") == [fault]


@pytest.mark.parametrize(
    "network", ["0.0.0.0/0", "0.0.0.0/1", "::/0", "2000::/3", "8.0.0.0/8", "0.0.0.0/8", "192.0.0.0/8"]
)
def test_a_network_of_strangers_is_not_private(network: str) -> None:
    (found,) = faults("golden: g", f'network: {{private_addresses: ["{network}"]}}')
    assert found.startswith(f"network.private_addresses.0: {network} holds public addresses")


@pytest.mark.parametrize("network", ["10.0.0.0/8", "192.168.10.0/24", "127.0.0.1", "146.1.0.0/16", "fd00::/8", "::1"])
def test_a_plants_own_network_is(network: str) -> None:
    assert faults("golden: g", f'network: {{private_addresses: ["{network}"]}}') == []


def test_zones_that_overlap_count_once() -> None:
    def zone(left: float, top: float, right: float, bottom: float) -> Zone:
        return Zone(left=left, top=top, right=right, bottom=bottom)

    assert covered([]) == 0
    assert covered([zone(0, 0, 0.5, 0.5)] * 3) == pytest.approx(0.25)
    assert covered([zone(0, 0, 0.5, 1), zone(0.25, 0, 0.75, 0.5)]) == pytest.approx(0.625)

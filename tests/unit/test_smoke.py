"""What a deployment is tried with: a board that every stage must answer, and the scans of the images that run."""

import sys
from dataclasses import replace
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from typing import Any

import pytest

from linegate.config import without_secrets
from linegate.inspection import Inspection, Result
from linegate.kinds import DETECTORS
from tests.harness import Gate

ROOT = Path(__file__).parents[2]
ENVIRONMENTS = sorted((ROOT / "terraform" / "envs").rglob("*.yaml"))


def script(name: str) -> Any:
    loader = SourceFileLoader(name, str(ROOT / ".ci" / name))
    spec = spec_from_loader(name, loader)
    assert spec is not None
    module = module_from_spec(spec)
    sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
    try:
        loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = before
    return module


smoke, vulnerabilities = script("smoke"), script("vulnerabilities")
faults = smoke.faults


def inspected(gate: Gate, *classes: str) -> Inspection:
    gate.finds(*classes)
    upload = gate.upload()
    gate.run()
    inspection = gate.inspections.get(upload.image.inspection_id)
    assert inspection is not None
    return inspection


def test_a_board_that_every_stage_answered_is_sound() -> None:
    assert faults(inspected(Gate(), "short", "spur")) == []


def test_what_never_came_is_a_fault_of_detect() -> None:
    assert "detect" in faults(None)[0]


def test_nothing_to_verify_is_a_fault() -> None:
    assert faults(inspected(Gate())) == ["detect found nothing to verify on a board with defects"]


def test_a_verifier_that_does_not_answer_is_a_fault() -> None:
    gate = Gate()
    gate.verifier.answers = {"short": Result.UNSURE}
    found = faults(inspected(gate, "short"))
    assert "verify, finding 0: It is unsure." in found
    assert any(fault.startswith("the verdict is REVIEW") for fault in found)


def test_a_board_that_waits_is_a_fault_of_aggregate() -> None:
    assert "aggregate" in faults(replace(inspected(Gate(), "short"), revision=None))[0]


@pytest.mark.parametrize("path", ENVIRONMENTS, ids=lambda path: path.stem)
def test_each_environment_has_the_line_that_nobody_hears_of(path: Path) -> None:
    settings = without_secrets(path)
    known = settings.recipe_of("smoke")
    assert known is not None
    _, recipe = known
    assert settings.subscribed("smoke") == {}
    assert type(recipe.detectors[0]) is DETECTORS[0], "a drawn board has something to verify on any gate"
    assert recipe.golden
    assert smoke.compared_elsewhere(settings, recipe.golden) == []
    others = [settings.recipe_of(line) for line in settings.lines if line != "smoke"]
    assert type(recipe.verifier) in {type(other[1].verifier) for other in others if other}


def test_a_golden_picture_that_another_line_is_compared_with_is_not_drawn_over(tmp_path: Path) -> None:
    path = tmp_path / "linegate.yaml"
    path.write_text("""
cloud: {project: my-plant-dev, golden_bucket: golden}
recipes:
  pcb: {golden: golden.png}
  lax: {golden: lax.png}
lines:
  smt-1: {recipe: lax, recipes: [pcb]}
  smoke: {recipe: pcb, notifies: false}
""")
    assert smoke.main(path, "serial") == 78


def test_an_image_counts_when_it_is_scanned_and_for_what_has_been_mended() -> None:
    image = {
        "discovery_summary": {"discovery": [{"discovery": {"analysisStatus": "FINISHED_SUCCESS"}}]},
        "package_vulnerability_summary": {
            "vulnerabilities": {
                "CRITICAL": [
                    {"vulnerability": {"shortDescription": "CVE-1", "fixAvailable": True}},
                    {"vulnerability": {"shortDescription": "CVE-2"}},
                ],
                "LOW": [{"vulnerability": {"shortDescription": "CVE-3", "fixAvailable": True}}],
            }
        },
    }
    assert vulnerabilities.scanned(image)
    assert vulnerabilities.mended(image) == ["CVE-1"]
    assert not vulnerabilities.scanned(
        {"discovery_summary": {"discovery": [{"discovery": {"analysisStatus": "SCANNING"}}]}}
    )
    assert not vulnerabilities.scanned({})

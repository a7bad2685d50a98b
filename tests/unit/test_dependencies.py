"""What is declared in pyproject.toml is what is imported: `pip install .` is enough for the command."""

import re
import sys
import tomllib
from pathlib import Path

import pytest

from linegate.commands import main
from linegate.edge.runtime import GRACE_S
from tests.sources import MODULES, PACKAGE, imports

DOCS = Path(__file__).parents[2] / "shared" / "docs"
PROJECT = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())
GROUPS = PROJECT["dependency-groups"]
# Where a module is not called as its distribution is, or comes with another one
DISTRIBUTION = {
    "cv2": "opencv-python-headless",
    "PIL": "pillow",
    "argon2": "argon2-cffi",
    "yaml": "pyyaml",
    "inference_sdk": "inference-sdk",
    "google.genai": "google-genai",
    "google.cloud.firestore": "google-cloud-firestore",
    "google.cloud.pubsub": "google-cloud-pubsub",
    "google.cloud.storage": "google-cloud-storage",
    "functions_framework": "functions-framework",
    "pydantic_core": "pydantic",
    "flask": "functions-framework",
    "werkzeug": "functions-framework",
    "cloudevents": "functions-framework",
    "grpc": "google-cloud-firestore",
    "google.api_core": "google-cloud-firestore",
    "google.auth": "google-genai",
    "httpx2": "google-genai",
    "requests": "inference-sdk",
    "paho.mqtt": "paho-mqtt",
}
EXTRAS = {
    "adapters/roboflow": "roboflow",
    "adapters/roboflow/dataset.py": "dataset",
    "adapters/gcp": "cloud",
    "adapters/onnx.py": "onnx",
    "adapters/targets/modbus": "modbus",
    "adapters/targets/mqtt": "mqtt",
    "adapters/targets/opcua": "opcua",
    "commands/bench/services.py": "roboflow",
}


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[<>=\[ ;]", requirement)[0] for requirement in requirements}


def distribution(module: str) -> str | None:
    """Who must be installed for this import; None for the standard library and this package."""
    parts = module.split(".")
    if parts[0] in sys.stdlib_module_names:
        return None
    for length in (3, 2, 1):
        known = DISTRIBUTION.get(".".join(parts[:length]))
        if known:
            return known
    return None if parts[0] in ("linegate", "google") else parts[0]


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_an_installation_without_extras_has_all_that_is_imported(path: Path) -> None:
    inside = path.relative_to(PACKAGE).as_posix()
    declared = names(PROJECT["project"]["dependencies"])
    for prefix, extra in EXTRAS.items():
        if inside.startswith(prefix):
            declared |= names(PROJECT["project"]["optional-dependencies"][extra])
    wanted = {distribution(module) for module in imports(path)} - {None}
    assert wanted <= declared, wanted - declared


def test_the_service_is_not_started_again_where_that_mends_nothing() -> None:
    unit = (DOCS / "linegate.service").read_text()
    assert f"RestartPreventExitStatus={main.USAGE} {main.UNAVAILABLE} {main.CONFIGURATION}\n" in unit
    stop = re.search(r"TimeoutStopSec=(\d+)", unit)
    assert stop is not None and int(stop[1]) > GRACE_S


def test_the_image_is_made_of_all_that_the_wheel_needs() -> None:
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (DOCS / "Containerfile").read_text(), re.MULTILINE)
    sources = {source for line in copied for source in line.split()}
    wheel = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    wanted = {"pyproject.toml", PROJECT["project"]["readme"], *PROJECT["project"]["license-files"]}
    assert wanted | {*wheel["packages"], *wheel["force-include"]} <= sources


def test_a_bound_is_the_same_wherever_it_is_written() -> None:
    project = PROJECT["project"]
    lists = [project["dependencies"], *project["optional-dependencies"].values()]
    lists += [[entry for entry in group if isinstance(entry, str)] for name, group in GROUPS.items() if name != "dev"]
    bounds: dict[str, set[str]] = {}
    for requirement in (entry for entries in lists for entry in entries):
        bounds.setdefault(names([requirement]).pop(), set()).add(requirement)
    assert {name: spelled for name, spelled in bounds.items() if len(spelled) > 1} == {}


def test_every_function_knows_the_time_zones_that_its_file_may_name() -> None:
    """What a platform's image holds of them is its own affair."""
    for pins in (Path(__file__).parents[2] / "functions").glob("*/requirements.txt"):
        assert "\ntzdata==" in pins.read_text(), pins

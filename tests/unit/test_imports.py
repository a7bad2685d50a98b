"""Imports point one way, vendor code stays in adapters, and cold starts stay cold."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

from linegate.edge.functions import functions_folder
from tests.sources import MODULES, PACKAGE, imports

TESTS = Path(__file__).parents[1]
# Each layer may import from those before it, never from those after it.
LAYERS = (
    {"addresses", "audits", "links", "proxies", "redaction", "texts", "codec", "bounds", "shapes", "shifts"},
    {"errors", "answers", "deciders"},
    {"inspection", "logs"},
    {
        "messages",
        "stored",
        "verdict",
        "precedence",
        "merging",
        "challenges",
        "search",
        "rollups",
        "numbers",
        "control",
        "line",
    },
    {"stages", "sections"},
    {"station_section"},
    {"ports", "sight", "containers", "entropy", "pixels", "imaging"},
    {"kind"},
    {"adapters"},  # of the kinds
    {"kinds"},
    {"settings"},
    {"blind_spots", "faults", "config"},
    {"events", "annotate", "notification", "period", "wording", "cells", "shift_report", "exports"},
    {"handlers"},
    {"adapters.local", "adapters.gcp"},
    {"bootstrap"},
    {"admission"},
    {"serve", "startup"},
    {"station"},
    {"files", "console", "temporary", "reference"},
    {"edge"},
    {"samples"},
    {"evaluation"},
    {"commands"},
)
RANK = {name: rank for rank, layer in enumerate(LAYERS) for name in layer}
# What no function carries
BESIDE_THE_LINE = {"console", "edge", "samples", "evaluation", "commands"}
VENDORS = {
    "cv2",
    "numpy",
    "urllib3",
    "requests",
    "httpx2",
    "sqlite3",
    "watchdog",
    "pymodbus",
    "inference_sdk",
    "roboflow",
    "onnxruntime",
    "paho",
    "google",
    "rich",
}
HEAVY = ("cv2", "numpy", "inference_sdk", "onnxruntime", "paho", "pymodbus", "watchdog.observers", "sqlite3")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_imports_point_one_way(path: Path) -> None:
    module = ".".join(("linegate", *path.relative_to(PACKAGE).with_suffix("").parts))
    for name in imports(path):
        assert rank(name) <= rank(module), f"{module} must not import {name}"


def rank(module: str) -> int:
    """How far up a module of the package stands; -1 for all others, which anybody may import."""
    package, *parts = module.split(".")
    if package != "linegate" or not parts:
        return -1
    return RANK.get(".".join(parts[:2]), RANK.get(parts[0], -1))


@pytest.mark.parametrize("path", sorted(TESTS.rglob("*.py")), ids=lambda path: path.relative_to(TESTS).as_posix())
def test_what_tests_share_lies_in_modules_of_its_own(path: Path) -> None:
    assert not {
        name for name in imports(path) if "conftest" in name or (".test_" in name and name.startswith("tests."))
    }


def graph() -> dict[str, set[str]]:
    """Each module of the package with those that it imports, wherever in its file, for types only included."""
    paths = {".".join(("linegate", *path.relative_to(PACKAGE).with_suffix("").parts)): path for path in MODULES}
    paths |= {".".join(path.relative_to(PACKAGE.parent).parent.parts): path for path in PACKAGE.rglob("__init__.py")}
    return {name: (imports(path) & paths.keys()) - {name} for name, path in paths.items()}


def test_no_module_imports_one_that_imports_it() -> None:
    left = graph()
    while done := {name for name, wanted in left.items() if not wanted & left.keys()}:
        left = {name: wanted for name, wanted in left.items() if name not in done}
    assert not left, "these stand in a circle, or import who does"


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_vendor_code_stays_in_adapters_and_beside_the_line(path: Path) -> None:
    layer = path.relative_to(PACKAGE).with_suffix("").parts[0]
    if layer not in ("adapters", *BESIDE_THE_LINE):
        assert not {name.split(".")[0] for name in imports(path)} & VENDORS


SQL = re.compile(
    r"\b(SELECT\s|INSERT\s.*INTO|REPLACE\s+INTO|UPDATE\s+\w+\s+SET|DELETE\s+FROM|CREATE\s+(TABLE|INDEX)|PRAGMA\s)",
    re.DOTALL,
)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_only_the_local_adapters_know_the_tables(path: Path) -> None:
    if path.parent == PACKAGE / "adapters" / "local":
        return
    assert "sqlite3" not in imports(path)
    texts = (node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant))
    assert not [text for text in texts if isinstance(text, str) and SQL.search(text)]


@pytest.mark.slow
@pytest.mark.parametrize("path", sorted(functions_folder().glob("*/main.py")), ids=lambda path: path.parent.name)
def test_importing_a_function_builds_nothing_and_loads_nothing_heavy(path: Path) -> None:
    heavy = HEAVY if path.parent.name not in ("notify", "verify") else (*HEAVY, "PIL")
    code = f"""
import sys, threading
sys.path.insert(0, {str(path.parent)!r})
import main
loaded = [name for name in {heavy!r} if name in sys.modules]
assert not loaded, loaded
assert threading.active_count() == 1
"""
    outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    "build",
    [
        "app.verifier(settings.recipes['pcb'])",
        "from linegate.adapters.gemini import composed",
        "app.target('hmi'), app.target('slack')",
    ],
    ids=["Gemini", "a composed picture", "targets"],
)
def test_building_what_verify_and_notify_need_loads_nothing_of_the_detector(build: str, tmp_path: Path) -> None:
    (tmp_path / "linegate.yaml").write_text(f"""
roboflow: {{workspace: plant}}
gemini: {{api_key: k}}
recipes: {{pcb: {{detector: roboflow, verifier: gemini, workflow: {{id: pcb}}}}}}
lines: {{smt-1: {{recipe: pcb}}}}
targets:
  hmi: {{url: "https://hmi/", secrets: [whsec_{"A" * 43}=]}}
  slack: {{type: slack, url: "https://hooks.slack.com/services/x"}}
""")
    code = f"""
import sys
from pathlib import Path
from linegate import bootstrap, config
settings = config.load(Path({str(tmp_path / "linegate.yaml")!r}))
app = bootstrap.local(settings)
{build}
loaded = [name for name in ("inference_sdk", "cv2", "numpy") if name in sys.modules]
assert not loaded, loaded
"""
    outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert outcome.returncode == 0, outcome.stderr
